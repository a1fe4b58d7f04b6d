// The canvas with the directions at the cursor.

const TRAIL_SECONDS = 1;
const LABEL_FONT_PIXELS = 12.5;
const MOST_NAMES = 4;  // tracks named in one label

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

  /** The class; with several systems, also the tracks that detect it there. */
  nameOf(mark, near) {
    const { scene } = this.player;
    if (mark.isTruth) return `${scene.name(mark.row)} (truth)`;
    if (!scene.data.labels) return scene.name(mark.row);
    const names = near.map(({ row }) => scene.label(row));
    return `${scene.name(mark.row)}: ${names.length > (this.view === "map" ? MOST_NAMES : 1) ? `${names.length} tracks` : names.join(", ")}`;
  }

  /** Labels the marks without overlap; an estimate near its ground truth, or near another of its class, shares one label. */
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
