// The Plotly figure: puts the detections into it, draws cursor and loop region over it, handles clicks and shift+drags.

const CLICK_PIXELS = 4;
const DOUBLE_CLICK_MS = 350;

class Chart {
  constructor(player) {
    this.player = player;
    this.overlays = [overlay("cursor"), overlay("region")];
    [this.cursor, this.band] = this.overlays;
    this.mismatches = 0;
    this.busy = false;
    this.press = null;
    this.drag = null;
  }

  /** Finds the visible figure: for a moment, a redrawn one stands beside the old, hidden one. */
  bind() {
    const charts = document.querySelectorAll(`.st-key-${CSS.escape(this.player.data.figure)} .js-plotly-plot`);
    const found = [...charts].find((chart) => chart._fullLayout && chart.offsetParent !== null && chart.on);
    if (found === this.gd) return;
    const before = this.gd?._fullLayout && { first: this.firstRange, range: this.zoomed() && this.range, clip: this.clip };
    if (before) this.before = before;
    this.unbind();
    this.gd = found;
    if (!found) return;
    this.firstRange = String(found._fullLayout.xaxis.range);
    this.clip = this.player.data.clip;
    this.keepZoom(this.before);
    this.onDrawn = () => this.player.draw();
    this.onZoom = () => {
      if (this.player.loop && !this.player.region) this.player.comeInside();
      this.fitBars();
    };
    found.on("plotly_afterplot", this.onDrawn);
    found.on("plotly_relayouting", this.onDrawn);
    found.on("plotly_relayout", this.onZoom);
    this.onPoint = ({ points }) => this.hear(points?.[0]?.customdata);
    found.on("plotly_click", this.onPoint);
  }

  /** Keeps the zoom when the figure of the same clip is redrawn, unless the new figure has another initial range. */
  keepZoom(before) {
    this.before = null;
    if (before?.range && before.first === this.firstRange && before.clip === this.clip) {
      window.Plotly?.relayout(this.gd, { "xaxis.range": before.range });
    }
  }

  /** Cuts bars to the visible range, so that their labels, which stand at the left end, stay in view. */
  cutBars() {
    const [low, high] = this.range;
    for (const trace of this.gd.data) {
      if (trace.type !== "bar" || trace.orientation !== "h" || trace.x?.length === undefined) continue;
      const whole = trace.einv2Whole ??= { base: Array.from(trace.base), x: Array.from(trace.x) };
      const starts = whole.base.map((base, i) => (base < high && base + whole.x[i] > low ? Math.max(base, low) : base));
      const cut = { base: starts, x: whole.base.map((base, i) => {
        const end = base + whole.x[i];
        return (base < high && end > low ? Math.min(end, high) : end) - starts[i];
      }) };
      if (String(cut.base) === String(trace.base) && String(cut.x) === String(trace.x)) continue;
      Object.assign(trace, cut);
      this.isCut = true;
    }
  }

  fitBars() {
    if (!window.Plotly || !this.gd?.data || !this.axis || this.busy) return;
    this.isCut = false;
    this.cutBars();
    if (!this.isCut) return;
    this.busy = true;
    window.Plotly.redraw(this.gd).finally(() => { this.busy = false; });
  }

  /** Plays the stretch [from, to, ...] (s) of a clicked point, in a figure with `layout.meta.heard`. */
  hear(stretch) {
    if (!this.gd.layout?.meta?.heard || !Array.isArray(stretch)) return;
    this.player.obey({ t: stretch[0], end: stretch[1], play: true, nonce: this.player.nonce }, true);
  }

  unbind() {
    this.overlays.forEach((element) => element.remove());
    if (this.onDrawn) {
      this.gd?.removeListener?.("plotly_afterplot", this.onDrawn);
      this.gd?.removeListener?.("plotly_relayouting", this.onDrawn);
      this.gd?.removeListener?.("plotly_relayout", this.onZoom);
      this.gd?.removeListener?.("plotly_click", this.onPoint);
    }
    this.gd = this.onDrawn = null;
  }

  /** The energy maps that the figure carries, or null. */
  get energy() {
    const data = this.gd?.layout?.meta?.energy;
    if (!data) return null;
    if (this.energyOfFigure?.data.data !== data.data) this.energyOfFigure = new Energy(data);
    return this.energyOfFigure;
  }

  // Arrays from Python

  /** The traces with the dots of the tracks: index in the figure, and the opacity that each should have. */
  trackTraces() {
    const { front, scene } = this.player;
    const { tracks } = scene.data;
    const track = new Map(tracks.flatMap((name, m) => ["azimuth", "elevation"].map((column) => [`${name} ${column}`, m])));
    return this.gd.data.flatMap(({ name }, index) => {
      if (!track.has(name)) return [];
      return [{ index, opacity: front === null || track.get(name) === front ? 1 : 0.12 }];
    });
  }

  get isCurrent() {
    const { arrays, data: { token } } = this.player;
    return this.gd.data[this.gd.data.length - arrays.length].meta === token
      && this.trackTraces().every(({ index, opacity }) => (this.gd.data[index].opacity ?? 1) === opacity);
  }

  /**
   * Updates the figure once it has been out of date for more than `patience` checks: drawing into a figure during a change of
   * theme would leave it in the old colours.
   */
  mend(patience) {
    const { arrays, data: { token } } = this.player;
    const { gd } = this;
    if (!window.Plotly || !gd?.data || !arrays.length || gd.data.length < arrays.length || this.busy || this.press || this.drag) return;
    this.mismatches = this.isCurrent ? 0 : this.mismatches + 1;
    if (this.mismatches <= patience) return;
    const first = gd.data.length - arrays.length;
    arrays.forEach((properties, i) => {
      const trace = gd.data[first + i];
      for (const [path, value] of Object.entries(properties)) assign(trace, path.split("."), value);
      trace.meta = token;
      delete trace.einv2Whole;
    });
    if (this.axis) this.cutBars();
    for (const { index, opacity } of this.trackTraces()) gd.data[index].opacity = opacity;
    this.busy = true;
    window.Plotly.redraw(gd).finally(() => { this.busy = false; });
  }

  dimTracks() {
    if (!window.Plotly || !this.gd?.data) return;
    const traces = this.trackTraces();
    if (!traces.length) return;
    window.Plotly.restyle(this.gd, { opacity: traces.map((t) => t.opacity) }, traces.map((t) => t.index));
  }

  // Time and pixels

  get axis() { return this.gd?._fullLayout?.xaxis; }
  get range() { return this.axis.range.map(Number); }

  /** The visible range where it is not the whole clip, else null. */
  zoomed() {
    if (!this.axis) return null;
    const [low, high] = this.range;
    const start = Math.max(low, 0), end = Math.min(high, this.player.seconds);
    return end - start < this.player.seconds - 0.01 ? { start, end } : null;
  }

  timeAt(clientX) {
    const x = clientX - this.gd.getBoundingClientRect().left - this.axis._offset;
    return clamp(this.axis.p2d(clamp(x, 0, this.axis._length)), 0, this.player.seconds);
  }

  place(time) {
    if (!this.axis || !this.gd.isConnected) return;
    const { t, h } = this.gd._fullLayout._size;
    const { _offset: left, _length: width } = this.axis;
    const x = this.axis.d2p(time);
    const at = x >= -0.5 && x <= width + 0.5;
    const frame = this.gd.querySelector(".svg-container") ?? this.gd;  // the graph div itself is not positioned
    show(frame, this.cursor, at && { left: left + x - 0.75, top: t, width: 1.5, height: h });
    const region = this.drag?.region ?? this.player.region;
    const [from, to] = region ? [region.start, region.end].map((s) => clamp(this.axis.d2p(s), 0, width)) : [0, 0];
    show(frame, this.band, to > from && { left: left + from, top: t, width: to - from, height: h });
    this.band.style.opacity = this.drag || this.player.loop ? 0.22 : 0.1;
    const [line, fill, halo] = this.player.directions.colours;
    this.cursor.style.background = line;
    this.cursor.style.boxShadow = `0 0 0 1px ${halo}`;  // a dark line on a dark spectrogram
    this.band.style.background = fill;
  }

  /** Scrolls on by one page when playback leaves the zoomed range at the right, unless the pointer is pressed there. */
  turnPage(before, time) {
    const page = this.zoomed();
    if (!page || this.press || this.drag) return;
    this.follows = (before >= page.start && before <= page.end) || (this.follows && time > page.end);
    if (this.follows && time > page.end) this.showFrom(page.end, page);
  }

  /** Scrolls a time into view. */
  reveal(time) {
    const page = this.zoomed();
    if (page && (time < page.start || time > page.end)) this.showFrom(time - 0.1 * (page.end - page.start), page);
  }

  showFrom(start, { start: low, end: high }) {
    const width = high - low;
    const from = clamp(start, 0, this.player.seconds - width);
    this.follows = true;
    window.Plotly?.relayout(this.gd, { "xaxis.range": [from, from + width] });
  }

  // Pointer

  isOnPanels(event) {
    const target = event.composedPath()[0];
    if (!this.axis || !(target instanceof Element) || !this.gd.contains(target)) return false;
    if (target.closest(".modebar, .modebar-container")) return false;
    const box = this.gd.getBoundingClientRect();
    const x = event.clientX - box.left - this.axis._offset, y = event.clientY - box.top - this.gd._fullLayout._size.t;
    return x >= 0 && x <= this.axis._length && y >= 0 && y <= this.gd._fullLayout._size.h;
  }

  onPointerDown(event) {
    this.press = this.drag = null;
    if (event.button !== 0 || event.ctrlKey || event.altKey || event.metaKey || !this.isOnPanels(event)) return;
    if (event.shiftKey) this.drag = { x: event.clientX, start: this.timeAt(event.clientX), region: null };
    else this.press = { x: event.clientX, y: event.clientY };
  }

  /** Keeps shift+drag from Plotly, which would pan. */
  onMouseDown(event) {
    if (!this.drag) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  onPointerMove(event) {
    if (!this.drag) return;
    const time = this.timeAt(event.clientX);
    const isWide = Math.abs(event.clientX - this.drag.x) >= CLICK_PIXELS;
    this.drag.region = isWide ? { start: Math.min(this.drag.start, time), end: Math.max(this.drag.start, time) } : null;
    this.player.draw();
  }

  onPointerUp(event) {
    const { press, drag } = this;
    this.press = this.drag = null;
    if (drag?.region && drag.region.end > drag.region.start) this.player.setRegion(drag.region);
    if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) < CLICK_PIXELS) this.onClick(event);
  }

  /** Plays from the clicked time. On a double click, which zooms out, the second click undoes the first. */
  onClick({ clientX, clientY }) {
    const { player, last } = this;
    const now = performance.now();
    this.last = null;
    if (last && now - last.at < DOUBLE_CLICK_MS && Math.hypot(clientX - last.x, clientY - last.y) < 2 * CLICK_PIXELS) {
      if (!last.playing) player.pause();
      player.seek(last.time);
      return;
    }
    this.last = { at: now, x: clientX, y: clientY, time: player.now(), playing: player.playing };
    player.seek(this.timeAt(clientX));
    player.play();
  }

  onPointerCancel() { this.press = this.drag = null; }
}

/** The properties of each trace, from the compact form of `packed` in component.py. */
function unpacked({ lists, traces }) {
  const whole = lists.map((list) => (list.of ? list.at.map((i) => list.of[i]) : list));
  return traces.map((paths) => Object.fromEntries(Object.entries(paths).map(([path, i]) => [path, whole[i]])));
}

function assign(target, path, value) {
  const last = path.pop();
  for (const part of path) target = target[part] ??= {};
  target[last] = value;
}

function overlay(name) {
  const element = document.createElement("div");
  element.className = `einv2-${name}`;
  element.style.cssText = "position: absolute; pointer-events: none; z-index: 2;";
  return element;
}

function show(parent, element, box) {
  if (element.parentNode !== parent) parent.append(element);
  element.style.display = box ? "block" : "none";
  for (const [side, pixels] of Object.entries(box || {})) element.style[side] = `${pixels}px`;
}
