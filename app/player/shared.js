// The player: one Player object per mounted component. The <audio> element's time drives everything that is drawn.
//
//   scene.js         Scene, Energy   the detections, the ground truth and the energy maps, by frame
//   player.js        Player          audio, loop and seeking; tells the others when to draw
//   keys.js                          keyboard shortcuts, focus and pointer events
//   chart.js         Chart           the Plotly figure: detections, cursor, loop region, clicks and shift+drags
//   strip.js         Strip           the controls and the list of current sounds
//   directions.js    Directions      the canvas with the current directions
//   projections.js                   its two views: a map, or the sphere from above and from behind
//
// component.py joins these files into one module, this one first. Streamlit may replace the figure or the audio element at any
// time, so both are looked up again a few times a second.

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const radians = (degrees) => degrees * Math.PI / 180;

// SVG paths centred on 0, of about equal area, for a size of 10.
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
