// Puts arrays into the last traces of a chart without sending the chart again: zoom stays, and a slider is cheap.
// New arrays are drawn at once. The chart itself may be drawn anew at any time (another clip, a change of theme), so what
// it shows is compared with what it should show a few times a second, and mended once the chart has come to rest:
// drawing into it in the middle of a change of theme would leave it in the old colours.

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

function mend(state, patience) {
  const { figure, arrays, token } = state.data;
  const chart = findChart(figure);
  if (!window.Plotly || !chart || !chart.data || chart.data.length < arrays.length || state.busy) return;
  const first = chart.data.length - arrays.length;
  state.mismatches = chart.data[first].meta === token ? 0 : state.mismatches + 1;
  if (state.mismatches <= patience) return;
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
    state = { data, busy: false, mismatches: 0 };
    instances.set(parentElement, state);
    state.timer = setInterval(() => mend(state, 1), CHECK_MS);
  }
  const isNew = data.token !== state.data.token;
  state.data = data;
  if (isNew) mend(state, 0);
  return () => { clearInterval(state.timer); instances.delete(parentElement); };
}
