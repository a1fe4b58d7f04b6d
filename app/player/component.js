// The function that Streamlit calls on mounting, on new data and on a change of theme.

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
