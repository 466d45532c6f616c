// Draws the charts. In: a JSON block a figure. Out: an SVG in the figure's .chart.
// `ast` makes Vega interpret its expressions, so that the page can forbid eval.
(() => {
  const tooltip = { theme: "page", disableDefaultStyle: true };
  const options = {
    actions: false, ast: true, renderer: "svg", defaultStyle: false, hover: false, tooltip,
  };
  for (const block of document.querySelectorAll("script[type='application/json'][data-chart]")) {
    const place = document.getElementById(block.dataset.chart);
    vegaEmbed(place, JSON.parse(block.textContent), options)
      .then(() => place.classList.add("drawn"))
      .catch((error) => {
        console.error(error);
        place.textContent = "This chart could not be drawn; its figures are in the tables.";
      });
  }
})();
