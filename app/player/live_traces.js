// Puts arrays into the last traces of a chart without sending the chart again: zoom stays, and a slider is cheap.
// The chart may be drawn anew at any time (another clip, a change of theme), so what it shows is compared with what
// it should show a few times a second, and mended.

const instances = new WeakMap();
const CHECK_MS = 120;

function findChart(key) {
  const charts = document.querySelectorAll(`.st-key-${key} .js-plotly-plot`);
  return [...charts].find((chart) => chart._fullLayout && chart.offsetParent !== null);
}

function assign(target, path, value) {
  const last = path.pop();
  for (const part of path) target = target[part] ??= {};
  target[last] = value;
}

function mend(state) {
  const { figure, arrays, token } = state.data;
  const chart = findChart(figure);
  if (!window.Plotly || !chart || !chart.data || chart.data.length < arrays.length) return;
  const first = chart.data.length - arrays.length;
  if (chart.data[first].meta === token || state.busy) return;
  arrays.forEach((properties, i) => {
    const trace = chart.data[first + i];
    for (const [path, value] of Object.entries(properties)) assign(trace, path.split("."), value);
    trace.meta = token;
  });
  state.busy = true;
  window.Plotly.redraw(chart).finally(() => { state.busy = false; });
}

export default function (component) {
  const { data, parentElement } = component;
  let state = instances.get(parentElement);
  if (!state) {
    state = { data, busy: false };
    instances.set(parentElement, state);
    state.timer = setInterval(() => mend(state), CHECK_MS);
  }
  state.data = data;
  return () => { clearInterval(state.timer); instances.delete(parentElement); };
}
