// Two buttons that save the chart as it stands on the page, as PNG or SVG, without the server.

const bound = new WeakSet();
const WAIT_MS = 5000; // for a chart that is being drawn anew

function findChart(key) {
  const charts = document.querySelectorAll(`.st-key-${key} .js-plotly-plot`);
  return [...charts].find((chart) => chart._fullLayout && chart.offsetParent !== null);
}

function save(format, { figure, filename }, until) {
  const chart = findChart(figure);
  if (chart && window.Plotly) {
    const { width, height } = chart._fullLayout;
    window.Plotly.downloadImage(chart, { format, filename, width, height, scale: 2 });
  } else if (performance.now() < until) {
    requestAnimationFrame(() => save(format, { figure, filename }, until));
  }
}

export default function (component) {
  const { data, parentElement } = component;
  parentElement.pictures = data;
  for (const button of parentElement.querySelectorAll("button")) {
    if (bound.has(button)) continue;
    bound.add(button);
    button.addEventListener("click", () => {
      save(button.dataset.format, parentElement.pictures, performance.now() + WAIT_MS);
    });
    button.disabled = false; // before, a click would be lost
  }
}
