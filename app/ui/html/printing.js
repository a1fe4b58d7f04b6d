// Figures have the width of the window; paper is narrower.
const fit = (width) => document.querySelectorAll(".js-plotly-plot").forEach(
  (figure) => Plotly.relayout(figure, { width, autosize: !width }));
addEventListener("beforeprint", () => fit(660));
addEventListener("afterprint", () => fit(null));
