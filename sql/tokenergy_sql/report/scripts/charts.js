// Draws charts. In: a specification and its rows. Out: an SVG in a place of the page.
// `ast` makes Vega interpret its expressions, so that the page can forbid eval.
const drawn = new Map();

function draw(place, spec, rows) {
  const options = {
    actions: false,
    ast: true,
    renderer: "svg",
    defaultStyle: false,
    hover: false,
    tooltip: { theme: "page", disableDefaultStyle: true },
  };
  drawn.get(place)?.view.finalize();
  drawn.delete(place);
  return vegaEmbed(place, { ...fitted(spec, rows), datasets: { rows } }, options)
    .then((result) => {
      drawn.set(place, result);
      place.classList.add("drawn");
    })
    .catch((error) => {
      console.error(error);
      place.textContent = "This chart could not be drawn; its figures are in the tables.";
    });
}

// A chart takes its width from its container, so it is drawn when its page is first shown.
function drawAll(section) {
  for (const block of section.querySelectorAll("script[data-chart]")) {
    const place = byId(block.dataset.chart);
    if (!drawn.has(place)) {
      const { spec, rows } = JSON.parse(block.textContent);
      draw(place, spec, rows);
    }
  }
}

// Leave out layers without rows; give a chart with a parameter `top` an axis that holds all bounds.
function fitted(spec, rows) {
  const some = {
    bounds: rows.some(({ low, high }) => Number.isFinite(low) && Number.isFinite(high)),
    fine: rows.some(({ fine }) => Number.isFinite(fine)),
    missing: rows.some(({ missing }) => missing > 0),
  };
  const layer = spec.layer.filter(({ name = "" }) => some[name.split("-")[0]] ?? true);
  const ends = rows.flatMap(({ value, high }) => [value, high]).filter(Number.isFinite);
  const params = (spec.params ?? []).map((param) =>
    param.name === "top" ? { ...param, value: 1.15 * Math.max(...ends) } : param,
  );
  return { ...spec, layer, params };
}
