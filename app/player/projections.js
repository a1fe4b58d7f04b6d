// The two views of the canvas: a map of all directions, or the sphere from above and from behind.

const GRID_FONT_PIXELS = 11;

/** Writes a word of the grid; returns its bounding box. */
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

/** Energy as an image in the text colour, with the energy as its opacity. */
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

  /** Pixels of a point; part: 0 from above, 1 from behind; right and upwards on the page, in radii. */
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

  /** The energy at a pixel: the larger of the near and the far side of the sphere. */
  energyBehind(energy, part, index, size) {
    const right = 2 * (index % size + 0.5) / size - 1, upwards = 1 - 2 * (Math.floor(index / size) + 0.5) / size;
    const depth = Math.sqrt(Math.max(0, 1 - right * right - upwards * upwards));
    const of = (near) => {
      const [front, up] = part === 0 ? [upwards, near * depth] : [near * depth, upwards];
      return this.energyTowards(energy, front, -right, up);
    };
    return Math.max(of(1), of(-1));
  }

  /** Bilinear interpolation of the energy in a direction, also across +-180 degrees. */
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
