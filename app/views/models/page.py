"""Models: the networks that there are, each with its card; upload, import, download, rename, delete."""

import functools
import time

import pandas as pd
import streamlit as st

from app.networks import network_files, registry
from app.networks.network_files import Card
from app.networks.registry import KEPT, SHIPPED, TRAINED, Entry
from app.plots.architecture import architecture, count_text
from app.plots.curves import LOSSES, SCORES, curves
from app.storage import user_folder
from app.ui import figure_texts, texts, widgets
from app.views.models import cards

CHOSEN = "model"  # the network whose card is shown; the address holds it
NEXT = "models_next"  # the one to be shown from the next run on
SAID = "models_said"  # what was done, to be said once
WRONG = "models_wrong"  # why it could not be done, to be said once
UPLOADS = "models_uploads"  # how often something was kept: each time there is a new uploader
TYPES = ["safetensors", "pth"]
VIEWS = ("Architecture", "Scores", "Training", "Settings and classes")
CURVES = {
    "Scores": SCORES,
    "Losses": (*LOSSES, "sed_loss", "doa_loss"),
    "Learning rate": ("learning_rate", "swap_rate"),
}
PLOTLY = {"displaylogo": False, "displayModeBar": False}


def page() -> None:
    entries = registry.entries()
    with st.sidebar:
        add()
        widgets.show_capacity()
    st.title("Networks, and what is known of them")
    if said := st.session_state.pop(SAID, None):
        st.success(widgets.plain(said), icon=":material/check:")
    if wrong := st.session_state.pop(WRONG, None):
        widgets.error(wrong)
    if not entries:
        st.error(widgets.MODELS_MISSING, icon=":material/error:")
        return
    entry = choose(entries)
    show(entry)


# Choices


def choose(entries: list[Entry]) -> Entry:
    """The table of all, and the one that is looked at: a click on a row chooses it, too."""
    names = [entry.name for entry in entries]
    wanted = st.session_state.pop(NEXT, None)
    if wanted in names:
        st.session_state[CHOSEN] = wanted
    elif st.session_state.get(CHOSEN) not in (None, *names):
        st.session_state.pop(CHOSEN)
    place = st.container()
    name = st.selectbox("Network", names, key=CHOSEN, bind="query-params", help="Or click its row in the table above.")
    chosen = names.index(name) if name in names else 0
    with place:
        show_table(cards.overview(entries), chosen)
    return entries[chosen]


def show_table(table: pd.DataFrame, chosen: int) -> None:
    """All networks; the cell that stands out is in the row of the one whose card is shown."""
    cells = st.session_state.get("models_table", {}).get("selection", {}).get("cells", [])
    if [row for row, _ in cells] != [chosen]:
        st.session_state["models_table"] = {"selection": {"rows": [], "columns": [], "cells": [(chosen, "network")]}}
    number = st.column_config.NumberColumn
    config = {
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
    """Why files cannot be used, a sentence each."""
    if "problem" not in table:
        return
    problems = table["problem"].dropna()
    with st.expander(f"Files that cannot be used: {len(problems)}", icon=":material/error:"):
        for said in problems:
            st.markdown(f"- {widgets.plain(said)}")


def choose_row() -> None:
    cells = st.session_state["models_table"].selection.cells
    entries = registry.entries()
    if cells and cells[0][0] < len(entries):
        st.session_state[NEXT] = entries[cells[0][0]].name


def add() -> None:
    """Upload a checkpoint of ours, or import one of the authors."""
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


def keep(name: str, file, scalar) -> None:
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
    done(f"{name} is kept, and in every list of networks now.", name)


def done(said: str, name: str | None = None) -> None:
    """Say it, and show a network, in a new run."""
    st.session_state[SAID] = said
    st.session_state[NEXT] = name
    st.rerun()


# The card


def show(entry: Entry) -> None:
    st.markdown(f"#### {widgets.plain(entry.name)}")
    try:
        card = network_files.card(entry)
    except ValueError as error:
        widgets.error(error)
        show_actions(entry, usable=False)
        return
    show_summary(entry, card)
    show_actions(entry, usable=True)
    view = st.segmented_control(
        "View", VIEWS, default=VIEWS[0], key="models_view", required=True, label_visibility="collapsed"
    )
    shown = {
        VIEWS[1]: show_scores,
        VIEWS[2]: functools.partial(show_training, entry.origin == SHIPPED),
        VIEWS[3]: show_settings,
    }
    shown.get(view, show_architecture)(card)


def show_summary(entry: Entry, card: Card) -> None:
    figures = (
        ("Parameters", count_text(card.n_parameters), f"{card.n_parameters:,}"),
        ("Classes", str(card.model.n_classes), "That it can tell apart."),
        ("Mel bands", str(card.features.n_mels), "Of its features."),
        ("File (MB)", f"{entry.n_bytes / 1e6:.1f}", "10^6 bytes each; weights in half precision take half."),
    )
    for column, (label, value, text) in zip(st.columns(len(figures)), figures):
        column.metric(label, value, help=text)
    kind = cards.kind_text(card.model)
    st.markdown(f"{kind[0].upper() + kind[1:]}. {origin(entry)}")
    if card.model.task != "seld":
        st.info(
            "One task alone, as in the paper's Table 2: it is not offered on the pages that need both. `predict` writes what it "
            "knows, and runs a detection and a direction network as one system: `--model DETECTION+DIRECTIONS`."
        )


def origin(entry: Entry) -> str:
    date = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.changed))
    if entry.origin == SHIPPED:
        return "It comes with the app."
    if entry.origin == KEPT:
        return f"It is kept in the folder of user data since {date}."
    run = widgets.plain(entry.file.parent.name)
    which = "The best epoch" if entry.file.stem == "best" else "The last epoch"
    return f"{which} of the training run {run}, written {date}."


def show_actions(entry: Entry, usable: bool) -> None:
    row = st.container(horizontal=True)
    if usable:
        row.download_button(
            "Download",
            lambda: entry.file.read_bytes(),
            entry.file_name,
            "application/octet-stream",
            on_click="ignore",
            icon=":material/download:",
            key="models_download",
        )
    if entry.origin == TRAINED and usable:
        ask_name(row, entry, "Keep a copy", ":material/content_copy:", network_files.keep_copy)
    if entry.origin == KEPT and entry.file.suffix == registry.SUFFIX:
        ask_name(row, entry, "Rename", ":material/edit:", lambda name, e: network_files.rename(e, name))
    if entry.origin != SHIPPED:
        with row.container(width="content"):
            question = f"Delete {widgets.plain(entry.name)}? It cannot be brought back. {after_deletion(entry)}"
            widgets.ask_to_delete(question, functools.partial(delete, entry), "models_delete")


def ask_name(row, entry: Entry, label: str, icon: str, act) -> None:
    """A name, and a button that does it. act(name, entry): a ValueError says why it cannot be."""
    with row.popover(label, icon=icon), st.form("models_name", border=False):
        name = st.text_input(
            "New name",
            entry.name if entry.origin == KEPT else network_files.suggest(entry.file.parent.name),
            key=f"models_new_name_{entry.name}",
            max_chars=52,
        )
        st.caption(user_folder.SHARED)
        if st.form_submit_button(label, key="models_name_it", type="primary", width="stretch"):
            attempt(lambda: act(name.strip(), entry), f"{entry.name} is kept as {name.strip()} now.", name.strip())


def delete(entry: Entry) -> None:
    try:
        network_files.delete(entry)
    except (ValueError, OSError) as error:
        st.session_state[WRONG] = said_of(error)
    else:
        st.session_state[SAID] = f"{entry.name} is deleted."


def after_deletion(entry: Entry) -> str:
    if entry.origin == TRAINED:
        return "Everyone who may use this app loses it; the other files of its training run stay."
    return "Everyone who may use this app loses it."


def attempt(act, said: str, name: str | None = None) -> None:
    try:
        act()
    except (ValueError, OSError) as error:
        widgets.error(said_of(error))
    else:
        done(said, name)


def said_of(error: ValueError | OSError) -> str:
    return f"The folder of user data cannot be written: {error.strerror}." if isinstance(error, OSError) else str(error)


# What the card shows


def show_architecture(card: Card) -> None:
    figure, key = (
        architecture(card.model, card.features, card.parameters, card.chunk_seconds),
        "models_architecture",
    )
    st.plotly_chart(figure, key=key, config=PLOTLY, alt=figure_texts.of(key))
    stitched = (
        f" Cross-stitch: each channel of a branch takes from the other, with four weights a channel (equation 7, "
        f"{card.model.stitch_order})."
        if any("stitch" in name for name in card.parameters)
        else ""
    )
    st.caption(
        f"From top to bottom, what comes out of each part for a chunk of {card.chunk_seconds} s, as in its training, and its "
        "parameters. Maps are (channels, frames, mel bands), sequences (frames, channels), outputs (frames of 100 ms, numbers). "
        f"SED: which classes sound; DoA: from where.{stitched} Point at a box to read more."
    )


def show_scores(card: Card) -> None:
    if not cards.tests(card.scores):
        st.info("No scores are in this checkpoint. The Evaluate page measures it on your own recordings.")
        return
    config = {texts.title(name): st.column_config.Column(help=texts.SCORES[name]) for name in cards.MEASURES}
    st.dataframe(cards.scores_table(card.scores), hide_index=True, column_config=config, key="models_scores")
    st.caption(
        "DCASE 2020 measures: segments of 1 s, found within 20°, threshold 0.5; in brackets the 95 % interval over clips (bootstrap). "
        "“validation” is what the training chose its best epoch by."
    )
    further = cards.further_table(card.scores)
    if not further.empty:
        st.markdown("**What the scores do not say**")
        st.table(further.rename(columns=widgets.plain).map(widgets.plain).set_index("measure"))


def show_training(is_shipped: bool, card: Card) -> None:
    provenance = cards.provenance_table(card.provenance, is_shipped)
    if provenance.empty:
        st.info("Nothing is known of where these weights are from.")
    else:
        st.markdown("**Where it is from**")
        st.table(provenance.map(widgets.plain).set_index("what"))
    if not card.curve:
        st.info("No learning curve is in this checkpoint.")
    else:
        which = st.segmented_control(
            "Learning curve", list(CURVES), default="Scores", key="models_curve", required=True
        )
        figure, key = curves({"this network": card.curve}, CURVES[which or "Scores"]), "models_curves"
        st.plotly_chart(figure, key=key, config=PLOTLY, alt=figure_texts.of(key))
        st.caption("After each epoch, on the validation clips of its training; losses as they were minimised.")
    settings = cards.train_table(card.provenance)
    if not settings.empty:
        st.markdown("**Settings of the training**")
        st.dataframe(settings, hide_index=True, key="models_train", height="content")


def show_settings(card: Card) -> None:
    st.markdown("**Classes**")
    widgets.class_chips(list(card.classes))
    st.markdown("**Features**")
    st.dataframe(cards.config_table(card.features), hide_index=True, key="models_features", height="content")
    st.markdown("**Network**")
    st.dataframe(cards.config_table(card.model), hide_index=True, key="models_config", height="content")


page()
