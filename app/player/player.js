// The player: one object a mounted component. Time is that of the <audio> element; everything drawn follows it.
//
//   Player       what is playing: audio, loop, seeking, the moments at which the rest is drawn
//   Chart        the Plotly figure: arrays put into it, cursor and loop region over it, clicks and shift+drags on it
//   Strip        the controls and the list of what sounds now
//   Directions   the canvas: a map of all directions, or the sphere from above and from behind
//
// Streamlit may draw the figure or the audio element anew at any time, so both are looked up again a few times a second.

const CHECK_MS = 120;
const CLICK_PIXELS = 4;
const DOUBLE_CLICK_MS = 350;
const NO_AUDIO_MS = 2500;
const TRAIL_SECONDS = 1;
const STEPS = { ArrowLeft: -1, ArrowRight: 1 };
const FRAME_STEPS = { ",": -1, ".": 1 };
// Where a key belongs to what has the focus.
const OWN_KEYS = "input, textarea, select, [contenteditable], [role=slider], [role=gridcell], [role=grid], [role=tab], [role=option], "
  + "[role=menuitem], [role=combobox], [role=textbox], [role=spinbutton], [role=radio], [role=dialog], dialog";

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const radians = (degrees) => degrees * Math.PI / 180;

function clock(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  const minutes = Math.floor(tenths / 600);
  return `${String(minutes).padStart(2, "0")}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}

// ---------------------------------------------------------------- what sounds when

/** The rows of a table of the scene, by frame. */
function byFrame(table) {
  const frames = new Map();
  (table ? table.frame : []).forEach((frame, i) => {
    const row = {
      class: table.class[i], track: table.track[i], azimuth: table.azimuth[i], elevation: table.elevation[i], p: table.p?.[i] ?? null,
    };
    if (!frames.has(frame)) frames.set(frame, []);
    frames.get(frame).push(row);
  });
  return frames;
}

class Scene {
  constructor(data) {
    this.data = data;
    this.estimate = byFrame(data.estimate);
    this.truth = byFrame(data.truth);
  }

  frameAt(seconds) { return Math.floor(seconds / this.data.frame_seconds + 1e-6); }
  name(row) { return this.data.classes[row.class][0]; }
  colour(row) { return this.data.classes[row.class][1]; }
  symbol(row) { return this.data.symbols?.[row.track] ?? "circle"; }
  trackName(row) { return this.data.tracks[row.track] ?? `track ${row.track + 1}`; }
  /** As short as tells the tracks of all systems apart. */
  label(row) { return this.data.labels?.[row.track] ?? this.trackName(row); }

  /** How many sounds there are at a time at most, detected and of the truth. */
  get most() {
    let most = 0;
    for (const [frame, rows] of this.estimate) most = Math.max(most, rows.length + (this.truth.get(frame)?.length ?? 0));
    for (const rows of this.truth.values()) most = Math.max(most, rows.length);
    return most;
  }
}

/** Maps of energy over the sphere, one after the other: what the figure carries in `layout.meta.energy`. */
class Energy {
  constructor(data) {
    this.data = data;
    this.bytes = Uint8Array.from(atob(data.data), (c) => c.charCodeAt(0));
  }

  /** The map of a frame: values row by row. */
  at(frame) {
    const { rows, columns, step } = this.data;
    const size = rows * columns;
    const index = clamp(Math.floor(frame / step), 0, this.bytes.length / size - 1);
    return { rows, columns, values: this.bytes.subarray(index * size, (index + 1) * size) };
  }
}

// ---------------------------------------------------------------- the player

class Player {
  constructor(root, data) {
    this.host = root.host;
    this.root = root;
    this.data = {};
    this.time = 0;
    this.last = 0;
    this.playing = false;
    this.restoring = false;
    this.checksLoaded = 0;
    this.loop = false;
    this.region = null;
    this.stopAt = null;
    this.muted = false;
    this.speed = 1;
    this.front = null;
    this.firstSeen = performance.now();
    this.chart = new Chart(this);
    this.strip = new Strip(this, root);
    this.directions = new Directions(this, root);
    this.stopListening = listen(this);
    this.timer = setInterval(() => this.check(), CHECK_MS);
    this.accept(data);
  }

  /** New data from Python, or a change of theme. */
  accept(data) {
    const { token, clip, seconds } = this.data;
    const isFirst = token === undefined;
    this.data = data;
    this.arrays = unpacked(data.arrays);
    this.scene = new Scene(data.scene);
    if (!isFirst && (clip !== data.clip || seconds !== data.seconds)) this.startOver();
    this.strip.setUp();
    this.check();
    if (data.token !== token) this.chart.mend(0);
    if (data.seek && data.seek.nonce !== this.nonce) this.obey(data.seek, !isFirst);
    this.draw();
  }

  startOver() {
    this.pause();
    this.region = this.stopAt = null;
    this.loop = false;
    this.front = null;
    this.seek(0);
  }

  obey({ t, end, play, nonce }, mayPlay) {
    this.nonce = nonce;
    this.region = end == null ? this.region : { start: t, end };
    this.seek(t);
    this.stopAt = end ?? null;
    if (play && mayPlay) this.play();
  }

  // Audio

  bindAudio() {
    const audio = document.querySelector(`.st-key-${CSS.escape(this.data.audio)} audio`);
    if (audio === this.audio) return;
    this.unbindAudio?.();
    this.audio = audio;
    this.error = false;
    if (!audio) return;
    this.restoring = true;
    this.checksLoaded = 0;
    audio.preload = "auto";
    const on = {
      play: () => { this.playing = true; this.run(); },
      pause: () => { if (audio.isConnected && audio.readyState) { this.playing = false; this.draw(); } },
      ended: () => this.atEnd(),
      emptied: () => { this.restoring = true; this.checksLoaded = 0; this.error = false; },  // another src: another way of listening
      loadeddata: () => this.restore(),
      timeupdate: () => this.tick(),  // goes on in a hidden tab, where frames do not
      seeked: () => this.draw(),
      error: () => { this.error = true; this.playing = false; this.draw(); },
    };
    for (const [name, listener] of Object.entries(on)) audio.addEventListener(name, listener);
    this.unbindAudio = () => { for (const [name, listener] of Object.entries(on)) audio.removeEventListener(name, listener); };
    if (audio.error) this.error = true;
  }

  /**
   * Puts a source that has been loaded where the last one was. Not before its events have been dispatched: on loadedmetadata
   * Streamlit sets the time to 0.
   */
  restore() {
    if (!this.restoring || !this.audio || this.audio.readyState < 2) return;
    this.restoring = false;
    this.checksLoaded = 0;
    this.audio.currentTime = this.time;
    this.setUpAudio();
    if (this.playing) this.play();
    this.draw();
  }

  setUpAudio() {
    const { audio } = this;
    if (!audio) return;
    audio.defaultPlaybackRate = audio.playbackRate = this.speed;  // loading a source goes back to the default
    audio.preservesPitch = true;
    audio.muted = this.muted;
    audio.loop = false;
  }

  get ready() { return Boolean(this.audio) && !this.restoring && this.audio.readyState > 0; }
  get seconds() { return this.data.seconds; }

  /** The time of what is heard. Without a source it is where one would go on. */
  now() {
    if (this.ready) this.time = Math.min(this.audio.currentTime, this.seconds);
    return this.time;
  }

  play() {
    if (!this.audio || this.error) return;
    if (this.now() >= this.seconds - 0.02) this.seek(this.bounds()?.start ?? 0);
    this.playing = true;
    this.chart.reveal(this.time);
    if (!this.ready) return;  // restore() goes on from here
    this.setUpAudio();
    this.audio.play().catch((reason) => {
      if (reason.name === "AbortError") return;  // overtaken by a pause or another source
      this.playing = false;
      this.error = reason.name === "NotSupportedError";
      this.draw();
    });
    this.run();
  }

  pause() {
    this.playing = false;
    this.audio?.pause();
    this.draw();
  }

  toggle() { if (this.playing) this.pause(); else this.play(); }

  stop() { this.pause(); this.seek(0); }

  seek(seconds) {
    this.time = this.last = clamp(seconds, 0, this.seconds);
    this.stopAt = null;
    if (this.ready) this.audio.currentTime = this.time;
    this.chart.reveal(this.time);
    this.draw();
  }

  setSpeed(speed) { this.speed = speed; this.setUpAudio(); }
  toggleMute() { this.muted = !this.muted; this.setUpAudio(); this.draw(); }

  /** Where playing loops: the region, else what is zoomed in on, else the clip. Null where it does not loop. */
  bounds() {
    if (!this.loop) return null;
    return this.region ?? this.chart.zoomed() ?? { start: 0, end: this.seconds };
  }

  setLoop(loop) {
    this.loop = loop;
    this.comeInside();
    this.draw();
  }

  setRegion(region) {
    this.region = region;
    this.stopAt = null;
    this.setLoop(region !== null);
  }

  comeInside() {
    const bounds = this.bounds();
    if (bounds && (this.now() < bounds.start || this.now() >= bounds.end)) this.seek(bounds.start);
  }

  setFront(track) {
    if (track !== null && track >= (this.scene.data.tracks.length)) return;
    this.front = track === this.front ? null : track;
    this.chart.dimTracks();
    this.draw();
  }

  /** One step of playing: round the loop, or stop at the end of the stretch, when its end is passed (not when jumped over). */
  tick() {
    const time = this.now();
    const passed = (end) => this.last < end && time >= end;
    const bounds = this.bounds();
    if (this.playing && bounds && passed(bounds.end)) {
      this.seek(bounds.start);
    } else if (this.playing && !bounds && this.stopAt !== null && passed(this.stopAt)) {
      const end = this.stopAt;
      this.pause();
      this.seek(end);
    } else {
      if (this.playing) this.chart.turnPage(this.last, time);
      this.last = time;
      this.draw();
    }
  }

  atEnd() {
    const bounds = this.bounds();
    this.playing = false;
    if (bounds && bounds.end >= this.audio.duration - 0.1) {
      this.seek(bounds.start);
      this.play();
    } else this.draw();
  }

  run() {
    cancelAnimationFrame(this.request);
    if (!this.playing) return;
    this.request = requestAnimationFrame(() => { this.tick(); this.run(); });
  }

  // Drawing

  check() {
    this.bindAudio();
    if (this.restoring && this.audio?.readyState >= 2 && ++this.checksLoaded > 3) this.restore();  // bound after its events
    hideAudio(this.data.audio);
    stayInView(this.host);
    this.chart.bind();
    this.chart.mend(1);
    this.directions.readColours();
    this.draw();
  }

  message() {
    if (this.error) return "This browser cannot play the clip.";
    if (!this.audio && performance.now() - this.firstSeen > NO_AUDIO_MS) return "There is no audio to play.";
    return "";
  }

  /** Everything at the time of the audio. Each part draws only what has changed. */
  draw() {
    const time = this.now();
    this.chart.place(time);
    this.strip.draw(time);
    this.directions.draw(time);
    const { dataset } = this.host;
    const bounds = this.bounds();
    dataset.time = time.toFixed(2);
    dataset.playing = String(this.playing && this.ready && !this.audio.paused);
    dataset.loop = bounds ? `${bounds.start.toFixed(2)},${bounds.end.toFixed(2)}` : "";
  }

  remove() {
    clearInterval(this.timer);
    cancelAnimationFrame(this.request);
    this.unbindAudio?.();
    this.audio?.pause();
    this.stopListening();
    this.chart.unbind();
    this.directions.remove();
    document.getElementById(styleId(this.data.audio))?.remove();
    this.host.closest(PLACE)?.classList.remove(IN_VIEW);
  }
}

const PLACE = "[data-testid=stElementContainer], [data-testid=stLayoutWrapper]", IN_VIEW = "einv2-in-view";

/** While the page scrolls on to the lower panels and the table, the player stays at its top, where there is room for both. */
function stayInView(host) {
  host.closest(PLACE)?.classList.add(IN_VIEW);
  if (document.getElementById(IN_VIEW)) return;
  const style = document.createElement("style");
  style.id = IN_VIEW;
  style.textContent = `@media (min-width: 1100px) and (min-height: 700px) { .${IN_VIEW} { position: sticky; top: 3.75rem; z-index: 5; } }`;
  document.head.append(style);
}

const styleId = (audioKey) => `einv2-player-hides-${audioKey}`;

/** The strip replaces the audio element's own controls; the element stays, out of sight and out of the tab order. */
function hideAudio(audioKey) {
  if (document.getElementById(styleId(audioKey))) return;
  const style = document.createElement("style");
  style.id = styleId(audioKey);
  const inside = `.st-key-${CSS.escape(audioKey)}`, element = "[data-testid=stElementContainer]";
  // a container with nothing else in it would leave a gap
  style.textContent = `${inside} ${element}:has(audio), [data-testid=stLayoutWrapper]:has(> ${inside} > ${element}:only-child audio) {
    position: absolute !important; width: 1px; height: 1px; overflow: hidden; visibility: hidden; }`;
  document.head.append(style);
}

// ---------------------------------------------------------------- keys and the pointer

/** Listens on the document: Plotly keeps pointer events to itself. Returns what ends it. */
function listen(player) {
  const listeners = {
    keydown: (event) => onKey(player, event),
    keyup: (event) => afterSpace(event),
    click: (event) => leaveList(event),
    focusin: () => { isFocusOfPointer = performance.now() - pointedAt < POINTER_MS; },
    pointerdown: (event) => { pointedAt = performance.now(); player.chart.onPointerDown(event); },
    mousedown: (event) => player.chart.onMouseDown(event),
    pointermove: (event) => player.chart.onPointerMove(event),
    pointerup: (event) => { pointedAt = performance.now(); player.chart.onPointerUp(event); },
    pointercancel: () => player.chart.onPointerCancel(),
  };
  const onSpace = (event) => takeSpace(player, event);
  for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener, name !== "keydown");
  document.addEventListener("keydown", onSpace, true);
  return () => {
    for (const [name, listener] of Object.entries(listeners)) document.removeEventListener(name, listener, name !== "keydown");
    document.removeEventListener("keydown", onSpace, true);
  };
}

const MODIFIERS = ["ctrlKey", "altKey", "metaKey", "shiftKey"];
const PRESSED = "button, a, summary, [role=button], [role=tab], [role=radio], [role=checkbox], [role=switch], "
  + "input[type=checkbox], input[type=radio]";  // what space presses
const POINTER_MS = 500;
let isSpaceTaken = false, pointedAt = -Infinity, isFocusOfPointer = false;

/**
 * Space is the player's on a slider, which has no use for it, and on what the pointer pressed last, where it would press again:
 * whoever moves a control with the mouse goes on to listen. What the keyboard has come to keeps it.
 */
function takeSpace(player, event) {
  if (event.key !== " " || MODIFIERS.some((name) => event[name])) return;
  const target = event.composedPath()[0];
  if (!(target instanceof Element) || target.closest("[role=dialog], dialog")) return;
  const isLeft = target.closest(PRESSED) && isFocusOfPointer;
  if (!isLeft && !target.matches("input[type=range]")) return;
  isSpaceTaken = true;
  event.preventDefault();
  event.stopPropagation();
  act(player, event);
}

/** Some browsers press a button when space comes up. */
function afterSpace(event) {
  if (event.key !== " " || !isSpaceTaken) return;
  isSpaceTaken = false;
  event.preventDefault();
  event.stopPropagation();
}

/** A list in which the pointer has chosen, and which has closed, gives the focus back. */
function leaveList(event) {
  const target = event.composedPath()[0];
  if (!(target instanceof Element) || !target.closest("[role=option]") || event.detail === 0) return;
  setTimeout(() => {
    const focused = document.activeElement;
    if (focused?.matches("[role=combobox], input[aria-autocomplete]") && focused.getAttribute("aria-expanded") !== "true") focused.blur();
  }, 60);
}

function onKey(player, event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  const path = event.composedPath().filter((node) => node instanceof Element);
  if (path.some((node) => node.matches(OWN_KEYS) || node.isContentEditable)) return;
  if (event.key === " " && path.some((node) => node.matches("button, a, summary, [role=button]"))) return;
  if (act(player, event)) event.preventDefault();
}

/** Whether the key means something here. */
function act(player, { key, code, repeat }) {
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(code)?.[1];
  if (key === " ") repeat || player.toggle();
  else if (key in STEPS) player.seek(player.now() + STEPS[key]);
  else if (key in FRAME_STEPS) player.seek(player.now() + FRAME_STEPS[key] * player.scene.data.frame_seconds);
  else if (key === "Home") player.seek(0);
  else if (key === "End") player.seek(player.seconds);
  else if (key === "l" || key === "L") repeat || player.setLoop(!player.loop);
  else if (key === "m" || key === "M") repeat || player.toggleMute();
  else if (key === "Escape" && player.region) player.setRegion(null);
  else if (digit) repeat || player.setFront(digit === "0" ? null : Number(digit) - 1);
  else return false;
  return true;
}

// ---------------------------------------------------------------- the figure

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

  /** A figure that is drawn anew stands beside the old, hidden one for a moment. */
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

  /** A figure that is drawn anew of the same clip is seen where the last one was, unless it asks for another stretch. */
  keepZoom(before) {
    this.before = null;
    if (before?.range && before.first === this.firstRange && before.clip === this.clip) {
      window.Plotly?.relayout(this.gd, { "xaxis.range": before.range });
    }
  }

  /** Bars that begin or end out of view are cut to what is seen, so that their names, which stand at their left, stay in it. */
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

  /** Plays what a point stands for, in a figure that says that its points are heard: [from, to, ...], seconds. */
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

  /** What the figure says of the energy over the sphere, or null. */
  get energy() {
    const data = this.gd?.layout?.meta?.energy;
    if (!data) return null;
    if (this.energyOfFigure?.data.data !== data.data) this.energyOfFigure = new Energy(data);
    return this.energyOfFigure;
  }

  // Arrays of Python

  /** Indices in the figure of the dots of the tracks, with the opacity that each should have. */
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
   * Makes the figure show what it should, once it has not done so for more than `patience` checks: drawing into a figure in the
   * middle of a change of theme would leave it in the old colours.
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

  /** Turns the page when playing leaves it at the right, but not under a pointer that is busy there. */
  turnPage(before, time) {
    const page = this.zoomed();
    if (!page || this.press || this.drag) return;
    this.follows = (before >= page.start && before <= page.end) || (this.follows && time > page.end);
    if (this.follows && time > page.end) this.showFrom(page.end, page);
  }

  /** Brings a time that was jumped to into view. */
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

  /** Shift+drag is ours: Plotly would pan. */
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

  /** Plays from there. The second click of two zooms out, and undoes what the first did. */
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

/** The properties of each trace: Python sends every list once, and a list of few values as these and the place of each. */
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

// ---------------------------------------------------------------- controls and the list

const MOST_ROWS = 12;  // of the list, all of them whole; it scrolls beyond that

class Strip {
  constructor(player, root) {
    this.player = player;
    const find = (selector) => root.querySelector(selector);
    this.section = find(".player");
    this.parts = {};
    for (const name of ["play", "loop", "mute", "at", "of", "region", "message", "now", "away"]) this.parts[name] = find(`.${name}`);
    this.parts.rows = find("tbody");
    this.parts.silence = find(".silence");
    this.parts.play.onclick = () => player.toggle();
    find(".start").onclick = () => player.stop();
    this.parts.loop.onclick = () => player.setLoop(!player.loop);
    this.parts.away.onclick = () => player.chart.reveal(player.now());
    this.parts.mute.onclick = () => player.toggleMute();
    this.setUpSpeed(find(".speed"));
  }

  /** Chosen with the pointer, the list gives the focus back, so that the keys work again. */
  setUpSpeed(speed) {
    let byPointer = false;
    speed.onpointerdown = () => { byPointer = true; };
    speed.onkeydown = () => { byPointer = false; };
    speed.onchange = () => {
      this.player.setSpeed(Number(speed.value));
      if (byPointer) speed.blur();
    };
  }

  setUp() {
    const { scene, seconds } = this.player;
    this.section.hidden = false;
    this.drawn = null;
    this.parts.of.textContent = `/ ${clock(seconds)}`;
    // where every class has a track of its own, its name says the class again
    const repeats = scene.data.tracks.length > 0 && scene.data.tracks.every((name) => scene.data.classes.some((c) => c[0] === name));
    this.parts.now.classList.toggle("no-tracks", repeats);
    this.parts.now.style.setProperty("--rows", clamp(scene.most, 2, MOST_ROWS));
    const longest = Math.max("truth 1".length, ...(scene.data.labels ?? scene.data.tracks).map((label) => label.length));
    this.parts.now.style.setProperty("--track", `${clamp(longest + 1, 8, 17)}ch`);
  }

  setWidth(width) {
    this.section.classList.toggle("medium", width >= 620 && width < 900);
    this.section.classList.toggle("narrow", width < 620);
  }

  draw(time) {
    const { player, parts } = this;
    const at = clock(time);
    if (parts.at.textContent !== at) parts.at.textContent = at;
    const page = player.chart.zoomed();
    const isAway = Boolean(page) && (time < page.start - 0.01 || time > page.end + 0.01);
    if (parts.away.hidden === isAway) parts.away.hidden = !isAway;
    const state = [player.playing, player.loop, player.muted, player.message(), Boolean(player.audio), JSON.stringify(player.bounds() ?? player.region)];
    if (String(state) !== this.state) this.drawControls(state);
    const now = `${player.scene.frameAt(time)} ${player.front}`;
    if (now !== this.drawn) this.drawList(now, player.scene.frameAt(time));
  }

  drawControls(state) {
    const { player, parts, section } = this;
    this.state = String(state);
    section.classList.toggle("playing", player.playing);
    section.classList.toggle("muted", player.muted);
    parts.play.disabled = !player.audio || Boolean(player.error);
    parts.play.setAttribute("aria-label", player.playing ? "Pause" : "Play");
    parts.loop.setAttribute("aria-pressed", player.loop);
    parts.mute.setAttribute("aria-pressed", player.muted);
    parts.message.textContent = player.message();
    const stretch = player.bounds() ?? player.region;
    parts.region.textContent = stretch ? `${player.loop ? "loop" : "region"} ${stretch.start.toFixed(1)} to ${stretch.end.toFixed(1)} s` : "";
  }

  drawList(now, frame) {
    this.drawn = now;
    const { scene, front } = this.player;
    const estimates = scene.estimate.get(frame) ?? [], truths = scene.truth.get(frame) ?? [];
    this.parts.rows.replaceChildren(
      ...estimates.map((row) => line(scene, row, false, front !== null && row.track !== front)),
      ...truths.map((row) => line(scene, row, true, false)),
    );
    const isSilent = !estimates.length && !truths.length;
    this.parts.silence.hidden = !isSilent;
    this.parts.silence.textContent = "No sound detected here.";
  }
}

function line(scene, row, isTruth, isDim) {
  const element = document.createElement("tr");
  element.classList.toggle("truth", isTruth);
  element.classList.toggle("dim", isDim);
  const name = document.createElement("td");
  name.append(swatch(scene.colour(row), isTruth ? "circle" : scene.symbol(row), isTruth), scene.name(row));
  name.title = scene.name(row);
  const track = cell(isTruth ? `truth ${row.track + 1}` : scene.label(row));
  track.className = "track";
  track.title = isTruth ? track.textContent : scene.trackName(row);
  element.append(name, track, cell(degrees(row.azimuth)), cell(degrees(row.elevation)), cell(row.p == null ? "" : row.p.toFixed(2)));
  return element;
}

function cell(text) {
  const element = document.createElement("td");
  element.textContent = text;
  return element;
}

const degrees = (value) => `${Math.round(value)}°`.replace("-", "\u2212").replace("\u22120°", "0°");

function swatch(colour, symbol, isHollow) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "-6 -6 12 12");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", SHAPES[symbol] ?? SHAPES.circle);
  path.setAttribute("fill", isHollow ? "none" : colour);
  if (isHollow) { path.setAttribute("stroke", colour); path.setAttribute("stroke-width", 2); }
  svg.append(path);
  return svg;
}

// Of about equal area, around 0, for a size of 10.
const SHAPES = {
  circle: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
  diamond: "M0-6.3L6.3 0L0 6.3L-6.3 0z",
  square: "M-4.5-4.5H4.5V4.5H-4.5z",
  "triangle-up": "M0-6L6 4.8H-6z",
  cross: "M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2z",
  x: "M-5.6-2.8L-2.8-5.6L0-2.8L2.8-5.6L5.6-2.8L2.8 0L5.6 2.8L2.8 5.6L0 2.8L-2.8 5.6L-5.6 2.8L-2.8 0z",
  "triangle-down": "M0 6L6-4.8H-6z",
  star: "M0-6.6L1.6-2.2L6.3-2L2.6 0.8L3.9 5.3L0 2.7L-3.9 5.3L-2.6 0.8L-6.3-2L-1.6-2.2z",
  pentagon: "M0-6L5.7-1.9L3.5 4.9H-3.5L-5.7-1.9z",
  hourglass: "M-5-5.6H5L1 0L5 5.6H-5L-1 0z",
  bowtie: "M-5.6-5L0-1L5.6-5V5L0 1L-5.6 5z",
  "diamond-tall": "M0-7L4 0L0 7L-4 0z",
};

// ---------------------------------------------------------------- directions

const LABEL_FONT_PIXELS = 12.5;
const GRID_FONT_PIXELS = 11;
const MOST_NAMES = 4;  // of tracks beside a mark

class Directions {
  constructor(player, root) {
    this.player = player;
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.view = "map";
    this.width = 0;
    this.colours = ["", "", ""];
    this.buttons = [...root.querySelectorAll(".views button")];
    for (const button of this.buttons) button.onclick = () => this.setView(button.dataset.view);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(root.host);
    this.observer.observe(this.canvas.parentElement);
  }

  remove() { this.observer.disconnect(); }

  setView(view) {
    this.view = view;
    for (const button of this.buttons) button.setAttribute("aria-pressed", button.dataset.view === view);
    this.drawn = null;
    this.player.draw();
  }

  resize() {
    this.player.strip.setWidth(this.root.host.clientWidth);
    const width = Math.floor(this.canvas.parentElement.clientWidth);
    if (width === this.width || !width) return;
    this.width = width;
    this.height = Math.round(clamp(width / 2, 150, 200));
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = width * scale;
    this.canvas.height = this.height * scale;
    this.canvas.style.height = `${this.height}px`;
    this.drawn = null;
    this.player.draw();
  }

  readColours() {
    const style = getComputedStyle(this.root.host);
    const read = (name, fallback) => style.getPropertyValue(`--st-${name}`).trim() || fallback;
    this.colours = [read("text-color", "#16232e"), read("primary-color", "#0f766e"), read("background-color", "#ffffff")];
  }

  draw(time) {
    if (!this.width) return;
    const { scene, front } = this.player;
    const frame = scene.frameAt(time);
    const { energy } = this.player.chart;
    const state = [frame, front, this.colours];
    if (this.scene === scene && this.energy === energy && this.drawn === String(state)) return;
    Object.assign(this, { scene, energy });
    this.drawn = String(state);
    const context = this.canvas.getContext("2d");
    const scale = window.devicePixelRatio || 1;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.font = getComputedStyle(this.canvas).fontFamily;
    const projection = this.view === "map" ? new MapProjection(this) : new SphereProjection(this);
    if (energy) projection.shade(context, energy.at(frame));
    projection.grid(context);
    this.drawTrails(context, projection, frame);
    this.drawSounds(context, projection, frame);
  }

  drawTrails(context, projection, frame) {
    const { scene } = this.player;
    const frames = Math.round(TRAIL_SECONDS / scene.data.frame_seconds);
    for (let age = frames; age > 0; age--) {
      for (const row of scene.estimate.get(frame - age) ?? []) {
        context.globalAlpha = 0.45 * (1 - age / (frames + 1)) * this.weight(row);
        context.fillStyle = scene.colour(row);
        for (const [x, y] of projection.points(row)) disc(context, x, y, 2.6);
      }
    }
    context.globalAlpha = 1;
  }

  weight(row) { return this.player.front === null || row.track === this.player.front ? 1 : 0.2; }

  drawSounds(context, projection, frame) {
    const { scene } = this.player;
    const truths = scene.truth.get(frame) ?? [], estimates = scene.estimate.get(frame) ?? [];
    const marks = [];
    const add = (row, isTruth) => projection.points(row).forEach(([x, y], part) => marks.push({ row, isTruth, x, y, part, radius: 0 }));
    truths.forEach((row) => add(row, true));
    estimates.forEach((row) => add(row, false));
    for (const mark of marks) this.drawMark(context, mark);
    this.drawNames(context, marks, projection.words);
  }

  drawMark(context, mark) {
    const { scene } = this.player;
    const { row, x, y } = mark;
    context.save();
    context.translate(x, y);
    context.lineWidth = 2;
    if (mark.isTruth) {
      mark.radius = 11;
      context.strokeStyle = scene.colour(row);
      context.beginPath();
      context.arc(0, 0, mark.radius, 0, 2 * Math.PI);
      context.stroke();
    } else {
      mark.radius = 3.5 + 4.5 * (row.p ?? 0.7);
      context.globalAlpha = this.weight(row);
      context.scale(mark.radius / 5, mark.radius / 5);
      const path = new Path2D(SHAPES[scene.symbol(row)] ?? SHAPES.circle);
      context.lineWidth = 1.5;
      context.strokeStyle = this.colours[2];
      context.stroke(path);
      context.fillStyle = scene.colour(row);
      context.fill(path);
    }
    context.restore();
  }

  /** The class, and of several systems the tracks that say it there. */
  nameOf(mark, near) {
    const { scene } = this.player;
    if (mark.isTruth) return `${scene.name(mark.row)} (truth)`;
    if (!scene.data.labels) return scene.name(mark.row);
    const names = near.map(({ row }) => scene.label(row));
    return `${scene.name(mark.row)}: ${names.length > (this.view === "map" ? MOST_NAMES : 1) ? `${names.length} tracks` : names.join(", ")}`;
  }

  /** A name beside each mark, moved until it covers no other; not twice where truth and estimate of a class are together. */
  drawNames(context, marks, words) {
    const { scene } = this.player;
    const taken = [...words];
    context.font = `${LABEL_FONT_PIXELS}px ${getComputedStyle(this.canvas).fontFamily}`;
    context.textBaseline = "middle";
    context.textAlign = "left";
    for (const mark of [...marks].sort((a, b) => a.isTruth - b.isTruth)) {
      const isNear = (other) => !other.isTruth && other.row.class === mark.row.class && other.part === mark.part
        && Math.hypot(other.x - mark.x, other.y - mark.y) < 40;
      const near = marks.filter(isNear);
      if (mark.isTruth ? near.length : near[0] !== mark) continue;
      const text = this.nameOf(mark, near);
      const box = this.findPlace(mark, context.measureText(text).width, marks, taken);
      taken.push(box);
      context.globalAlpha = mark.isTruth ? 0.85 : this.weight(mark.row);
      context.lineWidth = 3;
      context.lineJoin = "round";
      context.strokeStyle = this.colours[2];
      context.strokeText(text, box.x, box.y + box.height / 2);
      context.fillStyle = this.colours[0];
      context.fillText(text, box.x, box.y + box.height / 2);
    }
    context.globalAlpha = 1;
  }

  findPlace({ x, y, radius }, width, marks, taken) {
    const height = LABEL_FONT_PIXELS + 2, gap = radius + 4;
    const sides = [[x + gap, y - height / 2], [x - gap - width, y - height / 2]];
    const shifts = [0, 1, -1, 2, -2, 3, -3].map((n) => n * height);
    const boxes = shifts.flatMap((shift) => sides.map(([left, top]) => ({
      x: left, y: clamp(top + shift, 0, this.height - height), width, height,
    })));
    const isFree = (box) => box.x >= 0 && box.x + width <= this.width && !taken.some((other) => overlap(box, other))
      && !marks.some((m) => overlap(box, { x: m.x - m.radius, y: m.y - m.radius, width: 2 * m.radius, height: 2 * m.radius }));
    const inside = (box) => ({ ...box, x: clamp(box.x, 0, Math.max(0, this.width - width)) });
    return boxes.find(isFree) ?? inside(boxes.find((box) => !taken.some((other) => overlap(inside(box), other))) ?? boxes[0]);
  }
}

const overlap = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** Writes a word of the grid; returns the box that it takes. */
function write(context, text, x, y) {
  context.fillText(text, x, y);
  const { width } = context.measureText(text), height = GRID_FONT_PIXELS + 2;
  const left = { left: 0, right: width, center: width / 2 }[context.textAlign];
  return { x: x - left, y: y - (context.textBaseline === "bottom" ? height : height / 2), width, height };
}

function disc(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function stroke(context, points) {
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}

/** Energy as an image of the text colour whose opacity is the energy. */
function energyImage(colour, width, height, energyOf) {
  const image = new OffscreenCanvas(width, height);
  const context = image.getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) pixels.data.set([r, g, b, 0.32 * energyOf(i)], 4 * i);
  context.putImageData(pixels, 0, 0);
  return image;
}

/** Azimuth 180 at the left edge to -180 at the right, elevation up. */
class MapProjection {
  constructor({ width, height, colours, scene, font }) {
    Object.assign(this, { width, height, colours, scene, font });
    this.box = { x: 1, y: 1, width: width - 2, height: height - 2 };
  }

  at(azimuth, elevation) {
    const { x, y, width, height } = this.box;
    return [x + width * (180 - azimuth) / 360, y + height * (90 - elevation) / 180];
  }

  points({ azimuth, elevation }) { return [this.at(azimuth, elevation)]; }

  shade(context, { rows, columns, values }) {
    const image = energyImage(this.colours[0], columns, rows, (i) => values[i]);
    context.imageSmoothingQuality = "high";
    context.drawImage(image, this.box.x, this.box.y, this.box.width, this.box.height);
  }

  grid(context) {
    context.strokeStyle = context.fillStyle = this.colours[0];
    context.lineWidth = 1;
    for (let azimuth = -135; azimuth < 180; azimuth += 45) this.gridLine(context, [azimuth, 90], [azimuth, -90], azimuth === 0);
    for (let elevation = -60; elevation < 90; elevation += 30) this.gridLine(context, [180, elevation], [-180, elevation], elevation === 0);
    context.globalAlpha = 0.35;
    context.strokeRect(this.box.x - 0.5, this.box.y - 0.5, this.box.width + 1, this.box.height + 1);
    this.gridLabels(context);
  }

  gridLine(context, from, to, isMain) {
    context.globalAlpha = isMain ? 0.35 : 0.12;
    stroke(context, [this.at(...from), this.at(...to)]);
  }

  gridLabels(context) {
    context.globalAlpha = 0.7;
    context.font = `${GRID_FONT_PIXELS}px ${this.font}`;
    context.textBaseline = "bottom";
    const low = this.box.y + this.box.height - 3;
    this.words = [];
    for (const [azimuth, text, align] of [[180, "back", "left"], [90, "left", "center"], [0, "front", "center"], [-90, "right", "center"], [-180, "back", "right"]]) {
      context.textAlign = align;
      this.words.push(write(context, text, this.at(azimuth, 0)[0] + { left: 4, center: 0, right: -4 }[align], low));
    }
    context.globalAlpha = 1;
  }
}

/** The sphere from above (front up, left at left) and from behind (up is up, left at left). */
class SphereProjection {
  constructor({ width, height, colours, scene, font }) {
    Object.assign(this, { width, height, colours, scene, font });
    this.radius = Math.min(height / 2 - 18, width / 4 - 30);
    this.centres = [[width / 4, height / 2 - 1], [3 * width / 4, height / 2 - 1]];
  }

  points({ azimuth, elevation }) {
    const front = Math.cos(radians(azimuth)) * Math.cos(radians(elevation));
    const left = Math.sin(radians(azimuth)) * Math.cos(radians(elevation));
    const up = Math.sin(radians(elevation));
    return [this.at(0, -left, front), this.at(1, -left, up)];
  }

  /** Part 0 from above or 1 from behind; right and upwards on the page, in radii. */
  at(part, right, upwards) {
    const [x, y] = this.centres[part];
    return [x + right * this.radius, y - upwards * this.radius];
  }

  shade(context, energy) {
    const size = 48;
    [0, 1].forEach((part) => {
      const [x, y] = this.centres[part];
      const image = energyImage(this.colours[0], size, size, (i) => this.energyBehind(energy, part, i, size));
      context.save();
      context.beginPath();
      context.arc(x, y, this.radius, 0, 2 * Math.PI);
      context.clip();
      context.drawImage(image, x - this.radius, y - this.radius, 2 * this.radius, 2 * this.radius);
      context.restore();
    });
  }

  /** Both the near and the far side of the sphere lie behind a pixel: the larger energy of the two. */
  energyBehind(energy, part, index, size) {
    const right = 2 * (index % size + 0.5) / size - 1, upwards = 1 - 2 * (Math.floor(index / size) + 0.5) / size;
    const depth = Math.sqrt(Math.max(0, 1 - right * right - upwards * upwards));
    const of = (near) => {
      const [front, up] = part === 0 ? [upwards, near * depth] : [near * depth, upwards];
      return this.energyTowards(energy, front, -right, up);
    };
    return Math.max(of(1), of(-1));
  }

  /** Between the four cells around a direction, across +-180 degrees too. */
  energyTowards({ rows, columns, values }, front, left, up) {
    const azimuth = Math.atan2(left, front) / Math.PI, elevation = Math.asin(clamp(up, -1, 1)) / Math.PI;
    const y = clamp((0.5 - elevation) * rows - 0.5, 0, rows - 1), x = (1 - azimuth) / 2 * columns - 0.5 + columns;
    const [top, first] = [Math.floor(y), Math.floor(x)];
    const row = (r) => {
      const cell = (c) => values[Math.min(r, rows - 1) * columns + c % columns];
      return cell(first) + (x - first) * (cell(first + 1) - cell(first));
    };
    return row(top) + (y - top) * (row(top + 1) - row(top));
  }

  grid(context) {
    context.strokeStyle = context.fillStyle = this.colours[0];
    context.lineWidth = 1;
    [0, 1].forEach((part) => this.outline(context, part));
    this.gridLabels(context);
  }

  outline(context, part) {
    const [x, y] = this.centres[part];
    const circle = (radius, alpha) => {
      context.globalAlpha = alpha;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.stroke();
    };
    circle(this.radius, 0.4);
    context.globalAlpha = 0.2;
    stroke(context, [this.at(part, -1, 0), this.at(part, 1, 0)]);
    stroke(context, [this.at(part, 0, -1), this.at(part, 0, 1)]);
    if (part === 0) [30, 60].forEach((elevation) => circle(this.radius * Math.cos(radians(elevation)), 0.12));
    context.globalAlpha = 0.12;
    if (part === 1) {
      [-60, -30, 30, 60].forEach((elevation) => {
        const [half, up] = [Math.cos(radians(elevation)), Math.sin(radians(elevation))];
        stroke(context, [this.at(1, -half, up), this.at(1, half, up)]);
      });
    }
  }

  gridLabels(context) {
    context.globalAlpha = 0.7;
    context.font = `${GRID_FONT_PIXELS}px ${this.font}`;
    context.textBaseline = "middle";
    this.words = [];
    const names = [["front", "left", "back", "right"], ["up", "left", "down", "right"]];
    names.forEach(([top, left, bottom, right], part) => {
      for (const [text, align, at] of [[top, "center", [0, 1]], [bottom, "center", [0, -1]], [left, "right", [-1, 0]], [right, "left", [1, 0]]]) {
        const [x, y] = this.at(part, ...at);
        context.textAlign = align;
        this.words.push(write(context, text, x + 4 * at[0], y - 9 * at[1]));
      }
    });
    context.globalAlpha = 1;
  }
}

// ---------------------------------------------------------------- the component

const players = new WeakMap();

export default function (component) {
  const { data, parentElement } = component;
  const player = players.get(parentElement);
  if (player) player.accept(data);
  else players.set(parentElement, new Player(parentElement, data));
  return () => {
    players.get(parentElement)?.remove();
    players.delete(parentElement);
  };
}
