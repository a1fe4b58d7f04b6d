// Keyboard shortcuts, focus and pointer events of the whole page.

const STEPS = { ArrowLeft: -1, ArrowRight: 1 };
const FRAME_STEPS = { ",": -1, ".": 1 };
// Elements that handle keys themselves when they have the focus.
const OWN_KEYS = "input, textarea, select, [contenteditable], [role=slider], [role=gridcell], [role=grid], [role=tab], [role=option], "
  + "[role=menuitem], [role=combobox], [role=textbox], [role=spinbutton], [role=radio], [role=dialog], dialog";

/** Adds listeners to the document, because Plotly stops pointer events. Returns a function that removes them. */
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
  + "input[type=checkbox], input[type=radio]";  // elements that space presses
const POINTER_MS = 500;
let isSpaceTaken = false, pointedAt = -Infinity, isFocusOfPointer = false;

/**
 * Takes space for the player on a slider, which does not use it, and on a control that was focused by the mouse: whoever has just
 * clicked a control wants to listen, not to press it again. A control that was reached by keyboard keeps its space.
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

/** Some browsers press a button on keyup of space. */
function afterSpace(event) {
  if (event.key !== " " || !isSpaceTaken) return;
  isSpaceTaken = false;
  event.preventDefault();
  event.stopPropagation();
}

/** A list that closes after a choice by mouse gives up the focus, so that keys reach the player. */
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

/** Handles a key of the player; false if it is none. */
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
