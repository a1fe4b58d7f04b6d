"""Models: all networks, each with its card; upload, import, download, rename, delete."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from app.networks import network_files, registry
from app.networks.registry import KEPT, TRAINED, NetworkFile
from app.storage import user_folder
from app.ui import texts, widgets
from app.views.models import card, tables

# session keys
CHOSEN = "model"  # the network whose card is shown; also in the address
NEXT = "models_next"  # the network to be shown from the next run of the page on
DONE = "models_said"  # what was done, shown once
WRONG = "models_wrong"  # why it could not be done, shown once
UPLOADS = "models_uploads"  # how many networks were added: each time there is a new uploader

TYPES = ["safetensors", "pth"]


def page() -> None:
    networks = registry.files()
    with st.sidebar:
        add()
        widgets.show_capacity()
    st.title("Networks, and what is known of them")
    if message := st.session_state.pop(DONE, None):
        st.success(widgets.plain(message), icon=":material/check:")
    if wrong := st.session_state.pop(WRONG, None):
        widgets.error(wrong)
    if not networks:
        st.error(widgets.MODELS_MISSING, icon=":material/error:")
        return
    show(choose(networks))


# Choices


def choose(networks: list[NetworkFile]) -> NetworkFile:
    """The table of all networks, and the menu of the one whose card is shown; a click on a row of the table chooses it, too."""
    names = [network.name for network in networks]
    wanted = st.session_state.pop(NEXT, None)
    if wanted in names:
        st.session_state[CHOSEN] = wanted
    elif st.session_state.get(CHOSEN) not in (None, *names):
        st.session_state.pop(CHOSEN)
    place = st.container()
    name = st.selectbox("Network", names, key=CHOSEN, bind="query-params", help="Or click its row in the table above.")
    chosen = names.index(name) if name in names else 0
    with place:
        show_table(tables.overview(networks), chosen)
    return networks[chosen]


def show_table(table: pd.DataFrame, chosen: int) -> None:
    """All networks; a cell is selected in the row of the one whose card is shown."""
    cells = st.session_state.get("models_table", {}).get("selection", {}).get("cells", [])
    if [row for row, _ in cells] != [chosen]:
        st.session_state["models_table"] = {"selection": {"rows": [], "columns": [], "cells": [(chosen, "network")]}}
    number = st.column_config.NumberColumn
    config: dict[str, Any] = {
        "origin": st.column_config.Column("origin", help="Shipped with the app, kept here, or trained here."),
        "kind": "what it is",
        "pit": "PIT",
        "sharing": st.column_config.Column("sharing", help="Of convolution blocks by the SED and the DoA branch."),
        "classes": number("classes", format="%d"),
        "test": st.column_config.Column("scores on", help="DCASE 2020 measures; see Scores below for their intervals."),
        "size": number("file (MB)", format="%.1f"),
        "ER": number("ER", format="%.2f", help=texts.SCORES["ER"]),
        **{k: number(texts.title(k), format="%.1f", help=texts.SCORES[k]) for k in ("F", "LE", "LR")},
    }
    st.dataframe(
        table.drop(columns="problem", errors="ignore"),
        hide_index=True,
        placeholder="–",
        key="models_table",
        on_select=choose_row,
        selection_mode="single-cell",
        column_config={column: how for column, how in config.items() if column in table},
    )
    show_problems(table)


def show_problems(table: pd.DataFrame) -> None:
    """Why files cannot be used, one sentence for each."""
    if "problem" not in table:
        return
    problems = table["problem"].dropna()
    with st.expander(f"Files that cannot be used: {len(problems)}", icon=":material/error:"):
        for problem in problems:
            st.markdown(f"- {widgets.plain(problem)}")


def choose_row() -> None:
    cells = st.session_state["models_table"].selection.cells
    networks = registry.files()
    if cells and cells[0][0] < len(networks):
        st.session_state[NEXT] = networks[cells[0][0]].name


def add() -> None:
    """Upload a checkpoint of this project, or import one of the authors."""
    st.subheader("Add a network")
    number = st.session_state.get(UPLOADS, 0)
    file = st.file_uploader(
        "Checkpoint",
        TYPES,
        key=f"models_file_{number}",
        help="A .safetensors of this app or of `python -m einv2 train`; or a .pth of the authors' released code, which is imported. "
        "A larger .pth: `python -m einv2 import-official` first. Nothing in it is run.",
    )
    if file is None:
        return
    scalar = None
    if is_theirs(file.name):
        scalar = st.file_uploader(
            "Its scalar (optional)",
            ["h5", "hdf5"],
            key=f"models_scalar_{number}",
            help="The authors' HDF5 file with mean and std of the features. Without it features are left as they are.",
        )
    name = st.text_input(
        "Name",
        network_files.suggest(file.name),
        key=f"models_name_{number}_{file.file_id}",
        max_chars=52,
        help="Letters, digits, spaces, . _ and -.",
    )
    st.caption(user_folder.SHARED)
    if st.button("Keep it", type="primary", icon=":material/save:", width="stretch", key="models_keep"):
        keep(name.strip(), file, scalar)


def is_theirs(file_name: str) -> bool:
    return file_name.lower().endswith(".pth")


def keep(name: str, file: Any, scalar: Any) -> None:
    """Keep an uploaded file under a name; scalar: the file uploaded with it, if any."""
    try:
        with st.spinner("Reading and checking"):
            if is_theirs(file.name):
                network_files.keep_import(name, file.name, file.getvalue(), scalar and (scalar.name, scalar.getvalue()))
            else:
                network_files.keep_upload(name, file.name, file.getvalue())
    except ValueError as error:
        widgets.error(error)
        return
    st.session_state[UPLOADS] = st.session_state.get(UPLOADS, 0) + 1
    done(f"{name} is kept, and in every list of networks from now on.", name)


def done(sentence: str, name: str | None = None) -> None:
    """Draw the page again with a sentence about what was done, and with the card of a network."""
    st.session_state[DONE] = sentence
    st.session_state[NEXT] = name
    st.rerun()


def show(network: NetworkFile) -> None:
    """The card of a network."""
    st.markdown(f"#### {widgets.plain(network.name)}")
    try:
        summary = network_files.summary(network)
    except ValueError as error:
        widgets.error(error)
        show_actions(network, usable=False)
        return
    card.show_summary(network, summary)
    show_actions(network, usable=True)
    card.show_views(network, summary)


# What can be done with a network


@dataclass(frozen=True)
class Naming:
    """An action that asks for a name. act: called with the network and the name, raises ValueError if it is refused; offered: whether
    it makes sense, from the network and whether that can be used; suggest: the name that is suggested."""

    label: str
    icon: str
    act: Callable[[NetworkFile, str], object]
    offered: Callable[[NetworkFile, bool], bool]
    suggest: Callable[[NetworkFile], str]


NAMINGS = {  # by origin
    KEPT: Naming(
        "Rename",
        ":material/edit:",
        network_files.rename,
        lambda network, usable: network.path.suffix == registry.SUFFIX,
        lambda network: network.name,
    ),
    TRAINED: Naming(
        "Keep a copy",
        ":material/content_copy:",
        network_files.keep_copy,
        lambda network, usable: usable,
        lambda network: network_files.suggest(network.path.parent.name),
    ),
}
AFTER_DELETION = {  # by origin; a shipped network cannot be deleted
    KEPT: "Everyone who may use this app loses it.",
    TRAINED: "Everyone who may use this app loses it; the other files of its training run stay.",
}


def show_actions(network: NetworkFile, usable: bool) -> None:
    row = st.container(horizontal=True)
    if usable:
        row.download_button(
            "Download",
            lambda: network.path.read_bytes(),
            network.file_name,
            "application/octet-stream",
            on_click="ignore",
            icon=":material/download:",
            key="models_download",
        )
    naming = NAMINGS.get(network.origin)
    if naming is not None and naming.offered(network, usable):
        with row.popover(naming.label, icon=naming.icon):
            ask_name(network, naming)
    if network.origin in AFTER_DELETION:
        with row.container(width="content"):
            consequence = AFTER_DELETION[network.origin]
            question = f"Delete {widgets.plain(network.name)}? This cannot be undone. {consequence}"
            widgets.ask_to_delete(question, functools.partial(delete, network), "models_delete")


def ask_name(network: NetworkFile, naming: Naming) -> None:
    with st.form("models_name", border=False):
        key = f"models_new_name_{network.name}"
        name = st.text_input("New name", naming.suggest(network), key=key, max_chars=52).strip()
        st.caption(user_folder.SHARED)
        if not st.form_submit_button(naming.label, key="models_name_it", type="primary", width="stretch"):
            return
        try:
            naming.act(network, name)
        except (ValueError, OSError) as error:
            widgets.error(error_text(error))
        else:
            done(f"{network.name} is kept as {name} now.", name)


def delete(network: NetworkFile) -> None:
    try:
        network_files.delete(network)
    except (ValueError, OSError) as error:
        st.session_state[WRONG] = error_text(error)
    else:
        st.session_state[DONE] = f"{network.name} is deleted."


def error_text(error: ValueError | OSError) -> str:
    return f"The folder of user data cannot be written: {error.strerror}." if isinstance(error, OSError) else str(error)


page()
