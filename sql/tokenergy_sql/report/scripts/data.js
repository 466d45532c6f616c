// The embedded data. In: the JSON block. Out: a job's fields, and elements that show them.
const data = JSON.parse(document.getElementById("data").textContent);
const column = new Map(data.names.map((name, place) => [name, place]));
const jobs = data.rows.map((_, place) => place);
const byId = (id) => document.getElementById(id);

// A packed cell is its text, a list of text, raw value and bounds, or the place of its reason.
function cell(job, name) {
  const packed = data.rows[job][column.get(name)];
  if (typeof packed === "number") return { text: null, raw: "", why: data.whys[packed], ends: [] };
  const [text, raw = text, low = "", high = "", ...ends] = Array.isArray(packed) ? packed : [packed];
  return { text, raw, low, high, ends };
}

function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

function address(job) {
  return `#/job/${encodeURIComponent(data.ids[job])}`;
}

// Fill all fields below `root` with those of a job.
function fill(root, job) {
  for (const place of root.querySelectorAll("[data-cell]")) {
    place.replaceChildren(...shown(cell(job, place.dataset.cell), place.dataset));
  }
  for (const swatch of root.querySelectorAll(".swatch")) {
    if (swatch.closest("a") || "swatch" in swatch.dataset) {
      swatch.style.background = data.colors[job];
    }
  }
}

function shown(value, { explained, plain }) {
  if (value.text === null) {
    if (explained !== undefined) return [make("span", "not known", "none"), make("span", value.why, "why")];
    const dash = make("abbr", "–", "none");
    dash.title = value.why;
    dash.append(make("span", ` ${value.why}`, "hidden"));
    return [dash];
  }
  const interval = value.low && plain === undefined;
  return [
    document.createTextNode(value.text),
    ...(interval ? [" ", make("span", `[${value.low}, ${value.high}]`, "interval")] : []),
  ];
}

function tag(code) {
  const element = make("abbr", code, "tag");
  element.title = data.meanings[code] ?? code;
  return element;
}
