// Playback: audio, loop and seeking. Every change of time ends in Player.draw, which draws all the rest.

const CHECK_MS = 120;
const NO_AUDIO_MS = 2500;

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
      emptied: () => { this.restoring = true; this.checksLoaded = 0; this.error = false; },  // another src: the listening mode has changed
      loadeddata: () => this.restore(),
      timeupdate: () => this.tick(),  // fires in a hidden tab, where animation frames do not
      seeked: () => this.draw(),
      error: () => { this.error = true; this.playing = false; this.draw(); },
    };
    for (const [name, listener] of Object.entries(on)) audio.addEventListener(name, listener);
    this.unbindAudio = () => { for (const [name, listener] of Object.entries(on)) audio.removeEventListener(name, listener); };
    if (audio.error) this.error = true;
  }

  /**
   * Moves a newly loaded source to the position of the previous one. Waits until its events have been dispatched, because
   * Streamlit sets the time to 0 on loadedmetadata.
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
    audio.defaultPlaybackRate = audio.playbackRate = this.speed;  // loading a source resets to the default rate
    audio.preservesPitch = true;
    audio.muted = this.muted;
    audio.loop = false;
  }

  get ready() { return Boolean(this.audio) && !this.restoring && this.audio.readyState > 0; }
  get seconds() { return this.data.seconds; }

  /** The playback position in seconds; without a source, the position at which the next one will continue. */
  now() {
    if (this.ready) this.time = Math.min(this.audio.currentTime, this.seconds);
    return this.time;
  }

  play() {
    if (!this.audio || this.error) return;
    if (this.now() >= this.seconds - 0.02) this.seek(this.bounds()?.start ?? 0);
    this.playing = true;
    this.chart.reveal(this.time);
    if (!this.ready) return;  // restore() continues from here
    this.setUpAudio();
    this.audio.play().catch((reason) => {
      if (reason.name === "AbortError") return;  // interrupted by a pause or another source
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

  /** The loop: the selected region, else the zoomed range, else the whole clip; null when loop is off. */
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

  /** One playback step: jump back at the end of the loop, stop at `stopAt`. Only playing past an end counts, not seeking past it. */
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
    if (this.restoring && this.audio?.readyState >= 2 && ++this.checksLoaded > 3) this.restore();  // bound after its events had fired
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

  /** Draws everything at the current time. Each part draws only what has changed. */
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

/** On large screens the player stays at the top of the page while it scrolls to the lower panels and the table. */
function stayInView(host) {
  host.closest(PLACE)?.classList.add(IN_VIEW);
  if (document.getElementById(IN_VIEW)) return;
  const style = document.createElement("style");
  style.id = IN_VIEW;
  style.textContent = `@media (min-width: 1100px) and (min-height: 700px) { .${IN_VIEW} { position: sticky; top: 3.75rem; z-index: 5; } }`;
  document.head.append(style);
}

const styleId = (audioKey) => `einv2-player-hides-${audioKey}`;

/** The strip replaces the controls of the audio element, which stays in the page, hidden and out of the tab order. */
function hideAudio(audioKey) {
  if (document.getElementById(styleId(audioKey))) return;
  const style = document.createElement("style");
  style.id = styleId(audioKey);
  const inside = `.st-key-${CSS.escape(audioKey)}`, element = "[data-testid=stElementContainer]";
  // an otherwise empty container would leave a gap
  style.textContent = `${inside} ${element}:has(audio), [data-testid=stLayoutWrapper]:has(> ${inside} > ${element}:only-child audio) {
    position: absolute !important; width: 1px; height: 1px; overflow: hidden; visibility: hidden; }`;
  document.head.append(style);
}
