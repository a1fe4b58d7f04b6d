"""Controls and texts used by several pages."""

import html
import re
import time
from collections.abc import Callable
from typing import Final, Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.storage import user_folder
from app.ui import address, figure_texts, session, theme

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|$:~^])")


def plain(text: object) -> str:
    """Text from outside (a file's name or content) as Markdown that shows it as it is: no links, pictures or formulas."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(text).split()))


def error(text: object) -> None:
    st.error(plain(_sentence(for_page(text))), icon=":material/error:")


def warning(text: object) -> None:
    st.warning(plain(_sentence(for_page(text))), icon=":material/warning:")


_MENUS = (  # how a message of the library speaks of a flag, and how a page speaks of its menu
    (
        re.compile(r"(?:choose it with|give) --classes .*", re.DOTALL),
        "choose it in the menu of classes, or own names there.",
    ),
    (re.compile(r"--classes \d+, or names of your own"), "own names in the menu of classes."),
    (re.compile(r"\b[Cc]hoose with --classes\b"), "Choose in the menu of classes"),
    (re.compile(r"--classes\b"), "the menu of classes"),
    (re.compile(r"--(?:reference-)?columns\b(?: frame,class,\.\.\.)?"), "“Columns, in order” of its layout"),
    (re.compile(r"--(?:reference-)?units\b"), "“Directions” of its layout"),
    (re.compile(r"--(?:reference-)?distance-unit\b"), "“Distances” of its layout"),
    (re.compile(r"--(?:reference-)?frame-ms\b"), "“A frame lasts” of its layout"),
    (re.compile(r"--seconds 60\b"), "“for 60 s”"),
    (re.compile(r" \(--first-frame 1\)"), ""),
)


def for_page(text: object) -> str:
    """A message of the library with the menus of the pages in place of the flags of the command line."""
    message = str(text)
    for flag, menu in _MENUS:
        message = flag.sub(menu, message)
    return message


def _sentence(text: object) -> str:
    return str(text) if str(text).endswith((".", "?")) else f"{text}."


def show_capacity() -> None:
    """How full the folder of user data is."""
    try:
        used, limit = user_folder.used_bytes(), user_folder.limit_bytes()
    except (ValueError, OSError) as failure:
        error(failure)
        return
    st.caption(
        f"The folder of user data holds {user_folder.size_text(used)} of at most {user_folder.size_text(limit)}."
    )


MOST_MB = 200  # of a recording; a checkpoint of the authors, with the state of its training, is larger


def upload_limit() -> int:
    """The largest upload of a recording or a table, in MB: much more cannot be shown at once."""
    return min(MOST_MB, st.get_option("server.maxUploadSize"))


LINK: Final = "query-params"  # ``bind`` of a choice that the address holds, so that a link opens the same
KEEP: Final = "session"  # ``persist_state`` of a widget that keeps its value while other pages are shown
MODELS_MISSING = (
    "There is no trained network in the folder pretrained/. "
    "Train one with `python -m einv2 train`, or fetch the project again."
)


def warn_of_missing(key: str, available: list[str], placeholder: DeltaGenerator) -> None:
    """Warn of networks in the address that do not exist here, until others are chosen in the widget of this key."""
    missing = [name for name in address.asked(key) if name and name not in available]
    if missing:
        with placeholder:
            warning(
                f"The link asks for {' and '.join(missing)}, which this server does not have (any more). The other networks of the "
                "link are shown, or else the default ones."
            )


def choose_example(examples: list[session.Example]) -> None:
    """A card for each example; a click opens it."""
    for column, example in zip(st.columns(len(examples)), examples):
        # the button stands at the foot of the card: on one line with the others, however long the texts are
        with column.container(border=True, height="stretch", vertical_alignment="distribute"):
            with st.container():
                st.markdown(f"**{example.title}**")
                st.caption(example.text)
            st.button(
                "Try this example",
                key=f"example_{example.key}",
                on_click=_open,
                args=(example,),
                icon=":material/play_arrow:",
                width="stretch",
            )


def _open(example: session.Example) -> None:
    st.session_state[session.CLIP] = example.open()
    for key in (session.MOMENT, session.SEEK):
        st.session_state.pop(key, None)


def scroll_to(key: str) -> None:
    """Scroll the container of this key to the top of the window, once, as soon as it exists."""
    st.html(
        "<script>setTimeout(() => {"
        f"const container = document.querySelector('.st-key-{key}');"
        "if (container) { container.style.scrollMarginTop = '4.5rem';"
        " container.scrollIntoView({behavior: 'smooth', block: 'start'}); }"
        f"}}, 150);  // {time.time_ns()}\n</script>",
        unsafe_allow_javascript=True,
    )


def class_chips(names: list[str]) -> None:
    """The colours of the classes in view, with their names."""
    chips = "".join(
        f'<span style="display:inline-flex;align-items:center;gap:.4em;white-space:nowrap">'
        f'<span style="width:.8em;height:.8em;border-radius:.2em;background:{theme.class_colour(name)};'
        f'box-shadow:0 0 0 1px {theme.NEUTRAL}"></span>'
        f"{html.escape(name)}</span>"
        for name in names
    )
    st.html(f'<div style="display:flex;flex-wrap:wrap;gap:.3em 1.2em;font-size:.9rem">{chips}</div>')


PLOTLY = {  # of a figure that is zoomed: the tools that it needs, and no message of Plotly's own over it
    "displaylogo": False,
    "showTips": False,
    "doubleClick": "reset",
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
}
TOOLS_PIXELS = 32  # beside a figure, for its tools


def plot(figure, key: str, **options) -> None:
    """A figure with its tools in a column to its right, where they cover neither data nor text.

    One with a scale of colours at its right has none. options: of ``st.plotly_chart``.
    """
    figure = type(figure)(figure)  # a copy
    figure.update_layout(modebar_orientation="v", margin_r=(figure.layout.margin.r or 0) + TOOLS_PIXELS)
    has_scale = any(trace.type == "heatmap" and trace.showscale is not False for trace in figure.data)
    config = PLOTLY | ({"displayModeBar": False} if has_scale else {})
    st.plotly_chart(figure, key=key, config=config, alt=figure_texts.of(key), **options)


def download(
    label: str,
    data: bytes | str | Callable[[], bytes | str],
    file: str,
    mime: str,
    key: str,
    width: Literal["stretch", "content"] = "stretch",
    disabled: bool = False,
) -> None:
    """A download button; a click does not run the page again. data: the content, or a function that makes it at the click."""
    st.download_button(
        label,
        data,
        file,
        mime,
        key=key,
        on_click="ignore",
        icon=":material/download:",
        width=width,
        disabled=disabled,
    )


def ask_to_delete(question: str, delete: Callable[[], object], key: str, width="content", disabled=False) -> None:
    """A delete button that asks for confirmation: Cancel, or a red button whose key is ``key``.

    delete: a callback, which says itself what went wrong.
    """
    opened = f"{key}_asked"

    def close() -> None:
        st.session_state[opened] = False

    def close_and_delete() -> None:
        close()
        delete()

    with st.popover(
        "Delete", icon=":material/delete:", width=width, disabled=disabled, key=opened, on_change=lambda: None
    ):
        st.markdown(question)
        with st.container(horizontal=True, horizontal_alignment="right"):
            st.button("Cancel", on_click=close, key=f"{key}_cancel")
            with st.container(key=f"{DESTRUCTIVE}{key}", width="content"):
                st.button("Delete it", on_click=close_and_delete, key=key, type="primary", icon=":material/delete:")


DESTRUCTIVE = "destructive_"  # what the key of a container begins with whose button is red
