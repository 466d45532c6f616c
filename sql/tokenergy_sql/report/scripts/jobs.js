// The jobs table: search, sort, show more, save as CSV.
const PAGE_ROWS = 100;
const searched = ["name", "job_id", "user", "account", "workload", "model", "board", "remarks", "method"];
const haystack = jobs.map((job) =>
  searched.map((name) => cell(job, name).text ?? "").join("\n").toLowerCase(),
);
const table = { sort: "gpu_energy", descending: true, terms: [], most: PAGE_ROWS };

function matchingJobs() {
  const kept = jobs.filter((job) => table.terms.every((term) => haystack[job].includes(term)));
  const numeric = document.querySelector(`[data-sort="${table.sort}"]`).dataset.kind === "number";
  const sign = table.descending ? -1 : 1;
  const key = new Map(kept.map((job) => [job, cell(job, table.sort)]));
  // Unknown values come last in both directions.
  return kept.sort((a, b) => {
    const [left, right] = [key.get(a), key.get(b)];
    if (left.text === null || right.text === null) {
      return (left.text === null) - (right.text === null) || a - b;
    }
    const order = numeric ? Number(left.raw) - Number(right.raw) : left.raw.localeCompare(right.raw);
    return sign * order || a - b;
  });
}

function showTable() {
  const rows = matchingJobs();
  const visible = rows.slice(0, table.most);
  byId("rows").replaceChildren(...visible.map(tableRow));
  byId("shown").textContent = rows.length === jobs.length && visible.length === rows.length
    ? `${rows.length} jobs`
    : `${visible.length} of ${rows.length} found, ${jobs.length} jobs in all`;
  byId("more").hidden = byId("all").hidden = visible.length === rows.length;
  byId("more").textContent = `Show ${Math.min(PAGE_ROWS, rows.length - visible.length)} more`;
  byId("all").textContent = `Show all ${rows.length}`;
  for (const head of document.querySelectorAll("[data-sort]")) {
    if (head.dataset.sort !== table.sort) head.removeAttribute("aria-sort");
    else head.setAttribute("aria-sort", table.descending ? "descending" : "ascending");
  }
  byId("sort").value = table.sort;
}

const made = new Map();

function tableRow(job) {
  if (!made.has(job)) made.set(job, makeRow(job));
  return made.get(job);
}

function makeRow(job) {
  const row = byId("row").content.firstElementChild.cloneNode(true);
  fill(row, job);
  row.querySelector("[data-link]").href = address(job);
  const codes = cell(job, "remarks").raw.split(",").filter(Boolean);
  row.querySelector("[data-tags]").append(...codes.flatMap((code) => [tag(code), " "]));
  return row;
}

function sortBy(name) {
  const numeric = document.querySelector(`[data-sort="${name}"]`).dataset.kind === "number";
  table.descending = table.sort === name ? !table.descending : numeric;
  table.sort = name;
  showTable();
}

// A spreadsheet would run a text like =1+1 as a formula; an apostrophe in front prevents that.
function csvField(text, numeric) {
  const safe = !numeric && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csvText() {
  const head = data.csv.flatMap(([, names]) => names);
  const lines = matchingJobs().map((job) =>
    data.csv.flatMap(([name, names]) => {
      const { text, raw, ends } = cell(job, name);
      const values = text === null ? [] : [raw, ...ends];
      return names.map((_, place) => {
        const value = values[place] ?? "";
        return csvField(value, value !== "" && Number.isFinite(Number(value)));
      });
    }),
  );
  return [head, ...lines].map((line) => line.join(",")).join("\r\n") + "\r\n";
}

function saveCsv() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", csvText()], { type: "text/csv" }));
  link.download = "tokenergy-jobs.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function startTable() {
  byId("search").addEventListener("input", (event) => {
    table.terms = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    table.most = PAGE_ROWS;
    showTable();
  });
  for (const head of document.querySelectorAll("[data-sort]")) {
    head.querySelector("button").addEventListener("click", () => sortBy(head.dataset.sort));
  }
  byId("sort").addEventListener("change", (event) => sortBy(event.target.value));
  byId("reverse").addEventListener("click", () => sortBy(table.sort));
  byId("more").addEventListener("click", () => { table.most += PAGE_ROWS; showTable(); });
  byId("all").addEventListener("click", () => { table.most = Infinity; showTable(); });
  byId("csv").addEventListener("click", saveCsv);
  showTable();
}
