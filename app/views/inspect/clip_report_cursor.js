// A line over the figure at the playing position; a click plays from there.
addEventListener("load", () => {
  const audio = document.querySelector("audio"), figure = document.getElementById("figure-timeline");
  const line = document.createElement("div");
  line.className = "cursor";
  line.style.cssText = "position: absolute; width: 2px; pointer-events: none; background: var(--ink)";
  line.style.boxShadow = "0 0 0 1px var(--page)";
  const place = () => {
    const frame = figure.querySelector(".svg-container"), { xaxis, _size } = figure._fullLayout, x = xaxis.d2p(audio.currentTime);
    if (line.parentNode !== frame) frame.append(line);
    line.hidden = x < 0 || x > xaxis._length;
    Object.assign(line.style, { left: `${xaxis._offset + x - 1}px`, top: `${_size.t}px`, height: `${_size.h}px` });
  };
  const follow = () => { place(); if (!audio.paused) requestAnimationFrame(follow); };
  for (const event of ["play", "seeked", "pause"]) audio.addEventListener(event, follow);
  figure.on("plotly_afterplot", place);
  let press = null;
  document.addEventListener("pointerdown", (event) => {  // Plotly covers the figure until the pointer is up
    const isOurs = event.button === 0 && !event.shiftKey && figure.contains(event.target) && !event.target.closest(".modebar");
    press = isOurs ? event : null;
  }, true);
  document.addEventListener("pointerup", (event) => {
    if (!press || Math.hypot(event.clientX - press.clientX, event.clientY - press.clientY) > 3) return;
    const { xaxis, _size } = figure._fullLayout, box = figure.getBoundingClientRect();
    const x = event.clientX - box.left - xaxis._offset, y = event.clientY - box.top - _size.t;
    if (x < 0 || x > xaxis._length || y < 0 || y > _size.h) return;
    audio.currentTime = xaxis.p2d(x);
    audio.play();
  }, true);
  place();
});
