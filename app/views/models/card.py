"""The card of a network: what it is, and the views of its checkpoint."""

import functools
import time
from collections.abc import Callable

import streamlit as st

from app.networks.network_files import Summary
from app.networks.registry import KEPT, SHIPPED, NetworkFile
from app.plots.architecture import architecture, count_text
from app.plots.curves import LOSSES, SCORES, curves
from app.ui import figure_texts, texts, widgets
from app.views.models import tables

CURVES = {
    "Scores": SCORES,
    "Losses": (*LOSSES, "sed_loss", "doa_loss"),
    "Learning rate": ("learning_rate", "swap_rate"),
}
PLOTLY = {"displaylogo": False, "displayModeBar": False}


def show_summary(network: NetworkFile, summary: Summary) -> None:
    figures = (
        ("Parameters", count_text(summary.n_parameters), f"{summary.n_parameters:,}"),
        ("Classes", str(summary.model.n_classes), "That it distinguishes."),
        ("Mel bands", str(summary.features.n_mels), "In its features."),
        ("File (MB)", f"{network.n_bytes / 1e6:.1f}", "10^6 bytes each; weights in half precision take half."),
    )
    for column, (label, value, text) in zip(st.columns(len(figures)), figures):
        column.metric(label, value, help=text)
    st.markdown(f"{texts.capitalised(tables.kind_text(summary.model))}. {origin_text(network)}")
    if summary.model.task != "seld":
        st.info(
            "One task alone, as in the paper's Table 2: it is not offered on the pages that need both. `predict` writes what it "
            "estimates, and runs a detection and a direction network as one system: `--model DETECTION+DIRECTIONS`."
        )


def origin_text(network: NetworkFile) -> str:
    date = time.strftime("%Y-%m-%d %H:%M", time.localtime(network.changed))
    if network.origin == SHIPPED:
        return "It comes with the app."
    if network.origin == KEPT:
        return f"It is kept in the folder of user data since {date}."
    run = widgets.plain(network.path.parent.name)
    which = "The best epoch" if network.path.stem == "best" else "The last epoch"
    return f"{which} of the training run {run}, written {date}."


def show_views(network: NetworkFile, summary: Summary) -> None:
    """One of the views, and the menu of them."""
    views: dict[str, Callable[[Summary], None]] = {
        "Architecture": show_architecture,
        "Scores": show_scores,
        "Training": functools.partial(show_training, network.origin == SHIPPED),
        "Settings and classes": show_settings,
    }
    first = next(iter(views))
    view = st.segmented_control(
        "View", list(views), default=first, key="models_view", required=True, label_visibility="collapsed"
    )
    views[view or first](summary)


def show_architecture(summary: Summary) -> None:
    figure, key = (
        architecture(summary.model, summary.features, summary.parameters, summary.chunk_seconds),
        "models_architecture",
    )
    st.plotly_chart(figure, key=key, config=PLOTLY, alt=figure_texts.of(key))
    stitched = (
        f" Cross-stitch: each channel of a branch takes from the other, with four weights a channel (equation 7, "
        f"{summary.model.stitch_order})."
        if any("stitch" in name for name in summary.parameters)
        else ""
    )
    st.caption(
        f"From top to bottom, what comes out of each part for a chunk of {summary.chunk_seconds} s, as in its training, and its "
        "parameters. Maps are (channels, frames, mel bands), sequences (frames, channels), outputs (frames of 100 ms, numbers). "
        f"SED: which classes sound; DoA: from where.{stitched} Point at a box to read more."
    )


def show_scores(summary: Summary) -> None:
    if not tables.tests(summary.scores):
        st.info("This checkpoint contains no scores. The Evaluate page measures it on your own recordings.")
        return
    config = {texts.title(name): st.column_config.Column(help=texts.SCORES[name]) for name in tables.MEASURES}
    st.dataframe(tables.scores_table(summary.scores), hide_index=True, column_config=config, key="models_scores")
    st.caption(
        "DCASE 2020 measures: segments of 1 s, found within 20°, threshold 0.5; in brackets the 95 % interval over clips (bootstrap). "
        "By “validation” the training chose its best epoch."
    )
    further = tables.further_table(summary.scores)
    if not further.empty:
        st.markdown("**What the scores do not say**")
        st.table(further.rename(columns=widgets.plain).map(widgets.plain).set_index("measure"))


def show_training(is_shipped: bool, summary: Summary) -> None:
    provenance = tables.provenance_table(summary.provenance, is_shipped)
    if provenance.empty:
        st.info("The origin of these weights is unknown.")
    else:
        st.markdown("**Where it is from**")
        st.table(provenance.map(widgets.plain).set_index("what"))
    if not summary.curve:
        st.info("This checkpoint contains no learning curve.")
    else:
        which = st.segmented_control(
            "Learning curve", list(CURVES), default="Scores", key="models_curve", required=True
        )
        figure, key = curves({"this network": summary.curve}, CURVES[which or "Scores"]), "models_curves"
        st.plotly_chart(figure, key=key, config=PLOTLY, alt=figure_texts.of(key))
        st.caption("After each epoch, on the validation clips of its training; losses as they were minimised.")
    settings = tables.train_table(summary.provenance)
    if not settings.empty:
        st.markdown("**Settings of the training**")
        st.dataframe(settings, hide_index=True, key="models_train", height="content")


def show_settings(summary: Summary) -> None:
    st.markdown("**Classes**")
    widgets.class_chips(list(summary.classes))
    st.markdown("**Features**")
    st.dataframe(tables.config_table(summary.features), hide_index=True, key="models_features", height="content")
    st.markdown("**Network**")
    st.dataframe(tables.config_table(summary.model), hide_index=True, key="models_config", height="content")
