// The page of a job: figures, ledger bar, charts over time, hours, provenance.
const utc = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");

function showJob(section, job) {
  const page = data.pages[job];
  fill(section, job);
  showBooked(page.accounts);
  showParts(page.parts);
  showHours(page.hours);
  showFiles(page.files);
  showCodes(job);
  byId("job-load").hidden = !page.load.length;
  byId("job-load-list").replaceChildren(...page.load.flatMap(pairs));
  byId("job-charts").hidden = !page.series;
  byId("job-nothing").hidden = Boolean(page.series);
  if (page.series) showSeries(page.series, page.hours);
}

function pairs([name, text]) {
  return [make("dt", name), make("dd", text)];
}

function showBooked(accounts) {
  const booked = Object.entries(accounts).filter(([, booking]) => booking.j > 0);
  byId("job-bar").replaceChildren(...booked.map(([account, { j }]) => {
    const part = make("span");
    part.style.cssText = `flex-grow: ${j}; background: ${data.accounts[account][1]}`;
    return part;
  }));
  byId("job-accounts").replaceChildren(...Object.entries(accounts).map(([account, b]) => {
    const item = make("li");
    const swatch = make("i", "", "swatch");
    swatch.style.background = data.accounts[account][1];
    const amount = account === "gap" ? `${b.low} to ${b.high}` : b.text;
    item.append(swatch, `${data.accounts[account][0]}: `, make("strong", `${amount} ${data.unit}`));
    if (account !== "gap") item.append(make("span", ` [${b.low}, ${b.high}]`, "interval"));
    item.append(` in ${b.time} of GPU time`);
    return item;
  }));
}

// What the energy was used for: the parts, in the order of `data.parts`.
function showParts(parts) {
  byId("job-rate").hidden = !parts.length;
  byId("job-parts").replaceChildren(...parts.map(([place, share]) => {
    const part = make("span");
    part.style.cssText = `flex-grow: ${share}; background: ${data.parts[place][1]}`;
    return part;
  }));
  byId("job-part-list").replaceChildren(...parts.map(([place, , text]) => {
    const item = make("li");
    const swatch = make("i", "", "swatch");
    swatch.style.background = data.parts[place][1];
    item.append(swatch, `${data.parts[place][0]} `, make("strong", text));
    return item;
  }));
}

function showSeries(series, hours) {
  const steps = stepsOf(series);
  for (const place of document.querySelectorAll("[data-length]")) place.textContent = series.length;
  byId("job-power").querySelector(".legend").lastElementChild.hidden = !series.unknown.length;
  draw(byId("chart-job-power"), data.specs.power, powerRows(series, steps));
  const kinds = Object.keys(series.tokens);
  byId("job-has-tokens").hidden = !kinds.length;
  if (kinds.length) {
    draw(byId("chart-job-tokens"), data.specs.tokens, tokenRows(series, steps));
    const legend = byId("job-has-tokens").querySelector(".legend");
    legend.replaceChildren(...kinds.map((kind) => {
      const item = make("li");
      const swatch = make("i", "", "swatch");
      swatch.style.background = data.token_colors[kind];
      item.append(swatch, data.tokens[kind]);
      return item;
    }));
  }
  const rows = teRows(series, steps, hours);
  byId("job-has-te").hidden = !rows.length;
  if (rows.length) draw(byId("chart-job-te"), data.specs.te, rows);
}

function stepsOf({ start, first, step, end, active }) {
  return active.map((_, place) => ({
    t: Math.max(start, first + place * step),
    t2: Math.min(end, first + (place + 1) * step),
    when: utc(Math.max(start, first + place * step)),
  }));
}

function powerRows({ active, idle, unknown, end }, steps) {
  const rows = steps.map((step, place) => {
    const kw = [active[place], idle[place]].map((watts) => (watts ?? 0) / 1000);
    return {
      ...step, active: kw[0], idle: kw[1], total: kw[0] + kw[1], unknown: unknown[place] ?? 0,
    };
  });
  return [...rows, { ...rows.at(-1), t: end, end: true }];
}

function tokenRows({ tokens, end }, steps) {
  return Object.entries(tokens).flatMap(([kind, rates]) => {
    const rows = steps.map((step, place) => ({ ...step, kind, rate: rates[place] }));
    return [...rows, { ...rows.at(-1), t: end, end: true }];
  });
}

function teRows({ te, start, end }, steps, hours) {
  const bounded = hours.flatMap(([, , , gpu, facility, , from, length, values]) => {
    const span = { t: Math.max(start, from), t2: Math.min(end, from + length), when: utc(from) };
    return [["GPU", gpu, values.slice(0, 3)], ["facility", facility, values.slice(3)]]
      .filter(([, shown]) => shown)
      .map(([boundary, shown, [value, low, high]]) => ({
        ...span, boundary, value, low, high, text: `${shown[0]} [${shown[1]}, ${shown[2]}]`,
      }));
  });
  const fine = te.map((value, place) => ({ ...steps[place], fine: value }));
  return bounded.length ? [...bounded, ...fine] : [];
}

function showHours(hours) {
  byId("job-hours").hidden = !hours.length;
  const length = hours.length ? hours[0][7] / 3_600_000 : 1;
  for (const place of document.querySelectorAll("[data-hours]")) {
    place.textContent = length === 1 ? "hour" : `${length} hours`;
  }
  byId("hour-rows").replaceChildren(...hours.map(([from, energy, tokens, gpu, facility, coverage]) => {
    const row = make("tr");
    const head = make("th", from);
    head.scope = "row";
    row.append(head, ...[energy, tokens, gpu, facility, coverage].map((value) => {
      const place = make("td", Array.isArray(value) ? value[0] : value ?? "–", "n");
      if (Array.isArray(value)) {
        place.append(" ", make("span", `[${value[1]}, ${value[2]}]`, "interval"));
      }
      return place;
    }));
    return row;
  }));
}

function showFiles({ listed, more }) {
  byId("file-rows").replaceChildren(...listed.map(([node, places, span, names, count]) => {
    const row = make("tr");
    const head = make("th");
    head.scope = "row";
    head.append(make("bdi", node));
    const [place, name] = [make("td"), make("td")];
    place.append(make("code", places));
    name.append(make("code", names));
    row.append(head, place, make("td", span), name, make("td", count, "n"));
    return row;
  }));
  byId("files-more").textContent = more ? `Files of ${more} more nodes are not listed.` : "";
}

function showCodes(job) {
  const codes = [["Method", cell(job, "method"), "+"], ["Remark", cell(job, "remarks"), ","]];
  byId("job-codes").replaceChildren(...codes.flatMap(([name, { raw }, mark]) =>
    raw.split(mark).filter(Boolean).flatMap((code) => {
      const meaning = make("dd");
      meaning.append(make("code", code), ` ${data.meanings[code] ?? ""}`);
      return [make("dt", name), meaning];
    }),
  ));
}
