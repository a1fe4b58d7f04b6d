// The detections, the ground truth and the energy maps that Python sends, by frame.

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
  /** A short name that is unique among the tracks of all systems. */
  label(row) { return this.data.labels?.[row.track] ?? this.trackName(row); }

  /** The largest number of simultaneous sounds, detections and ground truth counted together. */
  get most() {
    let most = 0;
    for (const [frame, rows] of this.estimate) most = Math.max(most, rows.length + (this.truth.get(frame)?.length ?? 0));
    for (const rows of this.truth.values()) most = Math.max(most, rows.length);
    return most;
  }
}

/** Energy maps over the sphere, from the figure's `layout.meta.energy`. */
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
