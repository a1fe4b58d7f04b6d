"""The menu of class lists: what the class indices of CSV files mean."""

from collections.abc import Mapping
from typing import TypeVar

import streamlit as st

from app.ui import widgets
from einv2.labels import class_lists

KNOWN = {
    "DCASE 2019": class_lists.DCASE2019_CLASSES,
    "DCASE 2020": class_lists.DCASE2020_CLASSES,
    "DCASE 2021": class_lists.DCASE2021_CLASSES,
    "DCASE 2022 to 2025": class_lists.DCASE2022_CLASSES,
}
LABELS = {  # of ``KNOWN``, by the names of the lists in the library
    "dcase2020": "DCASE 2020",
    "dcase2021": "DCASE 2021",
    "dcase2022": "DCASE 2022 to 2025",
    "dcase2019": "DCASE 2019",
}
OWN = "own names"
HELP = "A DCASE CSV holds class numbers; which sounds they mean differs from year to year. Choose own names for any other list."
REMEMBERED = "own_classes"  # session key of the own names, as they were typed last on any page
Choice = TypeVar("Choice")


def choose(
    label: str, at_first: Mapping[str, Choice], key: str, first: int = 0, persist: bool = False
) -> Choice | tuple[str, ...] | None:
    """The choice: a value of ``at_first``, whose entries come first, or the names of a list; None while own names are wrong."""
    options: dict[str, Choice | tuple[str, ...]] = {**at_first, **KNOWN}
    chosen = st.selectbox(
        label, [*options, OWN], first, key=key, help=HELP, persist_state=widgets.KEEP if persist else None
    )
    return own_names(f"{key}_own") if chosen == OWN else options[chosen]


def own_names(key: str) -> tuple[str, ...] | None:
    """Names typed or read from a file, remembered from page to page. None, and an error on the page, while they are not a list."""
    file_key = f"{key}_file"

    def take() -> None:
        if (file := st.session_state[file_key]) is not None:
            try:
                names = class_lists.text_names(file.getvalue(), file.name)
                st.session_state[key] = st.session_state[REMEMBERED] = class_lists.written(names)
                st.session_state.pop(f"{key}_wrong", None)
            except ValueError as error:
                st.session_state[f"{key}_wrong"] = str(error)

    st.session_state.setdefault(key, st.session_state.get(REMEMBERED, ""))
    text = st.text_area(
        "Names, with commas between them",
        key=key,
        help="In the order of their indices, from 0. A number N stands for N classes without names.",
        placeholder="alarm, barking dog, … or 20",
        height=80,
    )
    st.file_uploader(
        "Or a file of names",
        [suffix.removeprefix(".") for suffix in class_lists.SUFFIXES],
        key=file_key,
        on_change=take,
        help="Text, CSV or JSON: one name a line, or index,name.",
    )
    if wrong := st.session_state.get(f"{key}_wrong"):
        widgets.error(wrong)
    st.session_state[REMEMBERED] = text
    if not text.strip():
        st.caption("Type the names, or give a file of them.")
        return None
    try:
        return class_lists.named(text)
    except ValueError as error:
        widgets.error(error)
        return None
