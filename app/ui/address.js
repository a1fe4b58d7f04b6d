// Streamlit makes a new entry of the browser's history whenever the server changes the address, and for a moment drops what the page
// that is left or come to has no widget for. Here an entry is a page and a clip: Back leads to the page or the clip before, as it was
// left.

const CLIP = ["example", "recording", "upload"];
const clipOf = (url) => CLIP.map((kind) => url.searchParams.get(kind) ?? "").join("\n");
const NONE = clipOf(new URL("http://none"));
const push = history.pushState.bind(history), replace = history.replaceState.bind(history);
let isNew = true;  // nobody has done anything since this entry was come to

function copyClip(from, to) {
  for (const kind of CLIP) {
    if (from.searchParams.has(kind)) to.searchParams.set(kind, from.searchParams.get(kind));
  }
}

function onPush(state, title, to) {
  const here = new URL(location.href), there = new URL(to, here);
  const isOtherPage = there.pathname !== here.pathname;
  if (clipOf(there) === NONE && clipOf(here) !== NONE) {
    if (!isOtherPage) return;  // the page is left, or the clip is closed, which showClip sees
    copyClip(here, there);
  }
  const isEntry = isOtherPage || (clipOf(there) !== clipOf(here) && !isNew);
  (isEntry ? push : replace)(state, title, there.href);
  isNew ||= isOtherPage;
}

function showClip(clip) {
  const here = new URL(location.href), there = new URL(here);
  for (const kind of CLIP) there.searchParams.delete(kind);
  if (clip) there.searchParams.set(clip[0], clip[1]);
  if (clipOf(there) !== clipOf(here)) (isNew ? replace : push)({}, "", there.href);
}

function setUp() {
  window.einv2History = true;
  history.pushState = onPush;
  addEventListener("popstate", () => { isNew = true; }, true);
  for (const gesture of ["pointerdown", "keydown"]) document.addEventListener(gesture, () => { isNew = false; }, true);
}

export default function ({ data }) {
  if (!window.einv2History) setUp();
  showClip(data.clip);
}
