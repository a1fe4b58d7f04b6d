// Two buttons that save the chart as it stands on the page, as PNG or SVG, without the server.

const bound = new WeakSet();

function findChart(key) {
  const charts = document.querySelectorAll(`.st-key-${key} .js-plotly-plot`);
  return [...charts].find((chart) => chart._fullLayout && chart.offsetParent !== null);
}

export default function (component) {
  const { data, parentElement } = component;
  parentElement.pictures = data;
  for (const button of parentElement.querySelectorAll("button")) {
    if (bound.has(button)) continue;
    bound.add(button);
    button.addEventListener("click", () => {
      const { figure, filename } = parentElement.pictures;
      const chart = findChart(figure);
      if (!chart || !window.Plotly) return;
      const { width, height } = chart._fullLayout;
      window.Plotly.downloadImage(chart, { format: button.dataset.format, filename, width, height, scale: 2 });
    });
  }
}
