"""Runs: the cards of those that train, and the view that lists, compares, opens and deletes all."""

import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from app import pages
from app.jobs import training_runs
from app.jobs.training_runs import Run
from app.networks import registry
from app.plots import curves
from app.storage import user_folder
from app.ui import texts, widgets
from einv2.config import CRITERION
from einv2.experiments.systems import SYSTEMS
from einv2.status import FAILED, FINISHED, RUNNING, STOPPED

POLL_SECONDS = 2.0
CURVES = ("loss", "validation_loss", *curves.SCORES)
# session keys
WRONG = "train_wrong"  # why the last action was refused, a sentence
WATCHED = "train_watched"  # the run whose card this user opened last
BESIDE = "train_beside"  # the checkbox of a new run, which counts for a resumption, too


def attempt(act: Callable[[], object]) -> bool:
    """Do something in a callback; whether it was done. Otherwise the page says why not when it is drawn next."""
    try:
        act()
    except (ValueError, OSError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        st.session_state[WRONG] = training_runs.public(text)
        return False
    return True


def watch(name: str) -> None:
    st.session_state[WATCHED] = name


# The card of a run

BADGES = {
    RUNNING: (":material/model_training:", "blue"),
    FINISHED: (":material/check:", "green"),
    STOPPED: (":material/pause:", "orange"),
    FAILED: (":material/error:", "red"),
}


def badge(run: Run) -> str:
    icon, colour = BADGES[run.state]
    return f":{colour}-badge[{icon} {run.state}]"


def show_current(runs: list[Run]) -> None:
    """The cards of the runs that train, and of the one that this user started or opened last."""
    for run in runs:
        if run.state == RUNNING or run.name == st.session_state.get(WATCHED):
            with st.container(border=True):
                every = POLL_SECONDS if run.state == RUNNING else None
                st.fragment(show_card, run_every=every)(run.name, run.state)


def show_card(name: str, state: str) -> None:
    """The card; when the run is not in this state any more, the whole page is drawn again."""
    try:
        run = training_runs.read_run(name)
    except ValueError:
        st.rerun()
    if run.state != state:
        st.rerun()
    head, buttons = st.columns([3, 2], vertical_alignment="center")
    head.markdown(f"#### {widgets.plain(run.name)} {badge(run)}")
    order = run.order
    summary = f"{SYSTEMS[order['system']].title}; {order['size']}; {', '.join(order['data'])}; seed {order['seed']}"
    head.caption(widgets.plain(summary))
    with buttons:
        show_actions(run)
    show_progress(run)
    if run.records:
        widgets.plot(curves.curves({run.name: run.records}, CURVES, columns=3), f"train_curves_{run.name}")
        with st.expander("Epochs", icon=":material/table:"):
            st.dataframe(epochs_table(run.records), hide_index=True, width="stretch", height="content")
    with st.expander("Log", icon=":material/article:"):
        st.code(training_runs.log_tail(run) or "Nothing yet.", language=None, wrap_lines=True)


def show_actions(run: Run) -> None:
    with st.container(horizontal=True, horizontal_alignment="right"):
        if run.state == RUNNING:
            st.button(
                "Stop",
                on_click=stop,
                args=(run.name,),
                icon=":material/stop:",
                key=f"train_stop_{run.name}",
            )
        elif run.resumable:
            st.button(
                "Resume",
                on_click=resume,
                args=(run.name,),
                icon=":material/play_arrow:",
                key=f"train_resume_{run.name}",
                type="primary",
            )
        open_button(run, f"train_open_{run.name}")
        if run.state != RUNNING:
            st.button(
                "Close",
                on_click=st.session_state.pop,
                args=(WATCHED, None),
                icon=":material/close:",
                key=f"train_close_{run.name}",
            )


def stop(name: str) -> None:
    attempt(lambda: training_runs.stop(name))


def resume(name: str) -> None:
    if attempt(lambda: training_runs.resume(name, beside=bool(st.session_state.get(BESIDE)))):
        watch(name)


def open_button(run: Run, key: str, width: Any = "content") -> None:
    """Opens the Inspect page with the best network of a run."""
    why_not = "" if run.records else "There is a network after the first epoch."
    if not run.is_seld:
        why_not = "A network of one task has no detections to show."
    if st.button(
        "Open in Inspect",
        key=key,
        disabled=bool(why_not),
        help=why_not or None,
        icon=":material/graphic_eq:",
        width=width,
    ):
        st.switch_page(pages.INSPECT.file, query_params={"networks": network_of(run)})


def network_of(run: Run) -> str:
    """The name, in all lists of networks, of the run's best network; of the last one if that was deleted."""
    names = {network.path: network.name for network in registry.files()}
    found = (names.get(run.folder / f"{which}{registry.SUFFIX}") for which in registry.BEST_AND_LAST)
    return next((name for name in found if name), run.name)


def show_progress(run: Run) -> None:
    if run.state == RUNNING:
        st.progress(min(run.done() / run.epochs, 1.0), progress_text(run))
        if run.seconds_an_epoch and run.records and (measured := run.order.get("seconds_an_epoch")):
            st.caption(
                f"An epoch takes {texts.duration(run.seconds_an_epoch)}; measured before the start: {texts.duration(measured)}."
            )
        return
    if run.state == FAILED:
        widgets.error(run.reason)
    elif run.reason:
        widgets.warning(run.reason)
    st.caption(f"{len(run.records)} of {run.epochs} epochs.{best_text(run)}")


def progress_text(run: Run) -> str:
    if run.epoch_began is None:
        return "Starting: reads the data, and computes the features that are not there yet"
    done, left = run.done(), run.seconds_left()
    epoch = min(int(done) + 1, run.epochs)
    share = f", about {100 * (done % 1):.0f} % of it" if done % 1 else ""
    return f"Epoch {epoch} of {run.epochs}{share}" + ("" if left is None else f" · about {texts.duration(left)} left")


def best_text(run: Run) -> str:
    best = run.best
    if best is None:
        return ""
    score = CRITERION[run.task]
    extreme = "the highest" if score == "F" else "the lowest"
    definition = " (the mean of ER, 1 − F, LE / 180° and 1 − LR)" if score == "SELD" else ""
    names = dict.fromkeys([score, *curves.SCORES])
    scores = (f"{key} {texts.value(key, best.get(key))}" for key in names if best.get(key) is not None)
    return (
        f" The best is epoch {best['epoch']}, with {extreme} {score}{definition} on the validation clips: {', '.join(scores)} "
        "(DCASE 2020 measures)."
    )


def epochs_table(records: list[dict[str, Any]]) -> pd.DataFrame:
    """The latest epoch first."""
    rows = [
        {"epoch": r["epoch"]}
        | {curves.title(key): f"{r[key]:.4f}" for key in curves.LOSSES}
        | {curves.title(key): texts.number(key, r.get(key)) for key in curves.SCORES}
        | {"time (s)": f"{r['seconds']:.1f}"}
        for r in reversed(records)
    ]
    return pd.DataFrame(rows)


# The view of all runs


def show_list(runs: list[Run]) -> None:
    st.info(user_folder.SHARED, icon=":material/group:")
    if not runs:
        st.markdown("No run yet.")
        return
    every = POLL_SECONDS if any(run.state == RUNNING for run in runs) else None  # as often as the card of a run
    st.fragment(show_table, run_every=every)()
    one, two = st.tabs(["Compare", "Open or delete"])
    with one:
        st.fragment(compare, run_every=every)()
    with two:
        for run in runs:
            show_row(run)
        widgets.show_capacity()
        offer_to_delete_features()


def show_table() -> None:
    best = {texts.title(key): f"Of the best epoch. {texts.SCORES[key]}" for key in ("SELD", *curves.SCORES)}
    config = {column: st.column_config.Column(help=help) for column, help in best.items()}
    runs = training_runs.runs()
    table = pd.DataFrame([row_of(run) for run in runs])
    if not any(run.resumed for run in runs):
        table = table.drop(columns="resumed", errors="ignore")
    st.dataframe(table, hide_index=True, height="content", key="train_runs", column_config=config)
    st.caption("Times are the server's. Scores are those of the best epoch, on the validation clips of the run.")


def row_of(run: Run) -> dict[str, Any]:
    best = run.best or {}
    return {
        "run": run.name,
        "status": run.state,
        "system": run.order["system"],
        "size": run.order["size"],
        "data": ", ".join(run.order["data"]),
        "seed": run.order["seed"],
        "epochs": f"{len(run.records)} of {run.epochs}",
        "best epoch": str(best.get("epoch", "–")),
        **{texts.title(key): texts.number(key, best.get(key)) for key in ("SELD", *curves.SCORES)},
        "started": minute_of(run.first_start),
        "resumed": minute_of(run.resumed),
    }


def minute_of(moment: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment)) if moment else "–"


MAX_COMPARED = 4


def compare() -> None:
    runs = {run.name: run for run in training_runs.runs()}
    if not any(run.records for run in runs.values()):
        st.markdown("No run has finished an epoch yet.")
        return
    chosen = st.multiselect("Runs", list(runs), list(runs)[:2], max_selections=MAX_COMPARED, key="train_compared")
    if drawn := {name: runs[name].records for name in chosen if runs[name].records}:
        widgets.plot(curves.curves(drawn, CURVES, columns=3), "train_compared_curves")
    if waiting := [name for name in chosen if name not in drawn]:
        st.caption(f"Without an epoch yet: {widgets.plain(', '.join(waiting))}.")
    st.caption(
        "After each epoch, on the validation clips; DCASE 2020 measures. Runs can be compared if they validate on the same clips. "
        + " ".join(f"{key}: {texts.SCORES[key]}" for key in curves.SCORES)
    )


def show_row(run: Run) -> None:
    name, view, inspect, delete = st.columns([4, 1.4, 1.6, 1.4], vertical_alignment="center")
    name.markdown(f"**{widgets.plain(run.name)}** {badge(run)}")
    view.button("Show", on_click=watch, args=(run.name,), key=f"train_watch_{run.name}", width="stretch")
    with inspect:
        open_button(run, f"train_inspect_{run.name}", "stretch")
    with delete:
        widgets.ask_to_delete(
            f"Delete {widgets.plain(run.name)} and its networks for everyone? This cannot be undone.",
            lambda: attempt(lambda: training_runs.delete(run.name)),
            f"train_delete_{run.name}",
            width="stretch",
            disabled=run.state == RUNNING,
        )


def offer_to_delete_features() -> None:
    if n := training_runs.features_bytes():
        st.button(
            f"Delete the features of data-root sets ({user_folder.size_text(n)})",
            on_click=delete_features,
            help="They are kept for the next run on the same sets, and computed again when they are needed.",
            icon=":material/delete:",
        )


def delete_features() -> None:
    attempt(training_runs.delete_features)
