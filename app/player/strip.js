// The controls and the list of current sounds.

const MOST_ROWS = 12;  // shown at full height; a longer list scrolls

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

  /** After a choice by mouse the menu gives up the focus, so that keys reach the player. */
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
    // with one track per class, the names of the tracks repeat those of the classes
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

function clock(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  const minutes = Math.floor(tenths / 600);
  return `${String(minutes).padStart(2, "0")}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}
