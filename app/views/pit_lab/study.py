"""The parts of the PIT lab that need no clip: learning curves and tables, and the training in front of the user."""

import numpy as np
import pandas as pd
import streamlit as st

from app.jobs import toy_run
from app.plots import pit
from app.ui import figure_texts, texts, widgets
from app.views.pit_lab import paper_tables, pit_texts
from app.views.pit_lab.paper_tables import Compared, Shipped
from einv2.analysis import pit_toy
from einv2.experiments.systems import QUOTED, SYSTEMS, TABLE2, TABLE3

CURVES = {
    "LE (°)": ("LE", 1),
    "F (%)": ("F", 100),
    "ER": ("ER", 1),
    "LR (%)": ("LR", 100),
    "swaps (% of steps)": ("swap_rate", 100),
}
BY_PIT = ("einv2-tpit", "einv2-cpit", "einv2-nopit")
TITLES = {"einv2-tpit": "EINV2, tPIT", "einv2-cpit": "EINV2, cPIT", "einv2-nopit": "EINV2, no PIT"}
EVERY_SECONDS = 1
LONGEST = 90  # s that the training may take

# session keys
TOY = "toy"  # the training, running or ended
TOY_PROBLEM = "toy_problem"  # why it could not be started


# Learning curves and tables


def show_results() -> None:
    networks, problems = paper_tables.shipped()
    for problem in problems:
        widgets.error(problem)
    show_curves(networks)
    show_tables(networks)


def show_curves(networks: list[Shipped]) -> None:
    st.markdown("##### Learning curves of the shipped networks")
    with_curve = {network.name: network for network in networks if network.curve}
    if absent := [name for name in BY_PIT if name not in with_curve]:
        st.info(f"Not in pretrained/: {', '.join(absent)}. Their curves are not shown.")
    if not with_curve:
        return
    left, right = st.columns(2)
    measure = left.selectbox("Measure", list(CURVES), key="pit_curve")
    default = [name for name in BY_PIT if name in with_curve] or list(with_curve)
    chosen = right.multiselect("Networks", list(with_curve), default, key="pit_curve_networks")
    lines = {TITLES.get(name, SYSTEMS[name].title): curve_of(with_curve[name], *CURVES[measure]) for name in chosen}
    widgets.plot(pit.curves(lines, "epoch", measure), "pit_curves")
    st.caption(
        "DCASE 2020 measures on the validation scenes after each epoch, from the curve inside each checkpoint. These networks learn "
        "detection and directions together, and LE is of what they detect. The paper's Fig. 3 shows the localisation error of networks "
        "for directions alone, SELDnet format among them: there, without PIT the error stays highest to the end. "
        "`python -m einv2 reproduce fig3` trains those. "
        f"LE: {texts.SCORES['LE']} Swaps: steps of 0.1 s within an event at which it continues on a different track."
    )


def curve_of(network: Shipped, key: str, factor: float) -> tuple[list, list]:
    """(epochs, values), the epochs of which there is a value."""
    known = [(entry["epoch"], factor * entry[key]) for entry in network.curve if entry.get(key) is not None]
    return [epoch for epoch, _ in known], [value for _, value in known]


def show_tables(networks: list[Shipped]) -> None:
    try:
        tables = paper_tables.read_tables()
    except ValueError as error:
        widgets.error(error)
        tables = {}
    show_table2(networks, tables)
    show_table3(networks, tables)


def show_table2(networks: list[Shipped], tables: dict) -> None:
    st.markdown("##### Table 2: each task alone, by output format and PIT")
    rows, joint = paper_tables.table2(networks, tables), paper_tables.table2_joint(networks)
    frame = pd.DataFrame(
        {
            row.title: {
                f"{texts.title(m)}: {whose}": texts.number(m, values.get(m))
                for m in ("LE", "F")
                for whose, values in (("paper", row.paper), ("here", row.ours), ("here, both tasks", joint[row.title]))
            }
            for row in rows
        }
    ).T
    st.table(frame)
    both = [joint[row.title]["LE"] if row.ours["LE"] is None else row.ours["LE"] for row in rows]
    paper = [row.paper["LE"] for row in rows]
    widgets.plot(pit.paired([row.title for row in rows], paper, both, "LE, directions alone (°)"), "pit_table2")
    say_missing(rows, "alone; the figure shows the networks trained for both tasks in their place")
    st.caption(
        "Paper: networks with one task only, 100 epochs, evaluation set of TAU-NIGENS 2020. Here: simulated scenes"
        f"{_told(networks, tables, 'table2')}. "
        "“Both tasks”: the shipped networks, which learnt detection and directions together. The order compares, not the figures. LE: "
        f"{pit_texts.ALONE['le']}; the paper does not say in which order, and `reproduce table2` puts them without PIT as they were "
        "labelled, which gives a larger error. F: detection alone, whatever the direction, over segments of 1 s."
    )


def show_table3(networks: list[Shipped], tables: dict) -> None:
    st.markdown("##### Table 3: both tasks, by format and parameter sharing")
    rows = paper_tables.table3(networks, tables)
    frame = pd.DataFrame(
        [
            {
                "system": row.title + (f", {row.note}" if row.note else ""),
                **{
                    f"{texts.title(m)}: {whose}": texts.number(m, values.get(m)) + plus_minus(m, spread.get(m))
                    for m in ("ER", "F", "LE", "LR")
                    for whose, values, spread in (("paper", row.paper, row.spread), ("here", row.ours, {}))
                },
            }
            for row in rows
        ]
    ).set_index("system")
    st.table(frame)
    say_missing(rows, "")
    st.caption(
        "DCASE 2020 measures. Paper: evaluation set of TAU-NIGENS 2020, 100 epochs. Here: simulated scenes with recordings never "
        f"trained on{_told(networks, tables, 'table3')}; augmented: rotation and SpecAugment, here with a random level, too. The order "
        f"compares, not the figures. {QUOTED}"
    )


def plus_minus(measure: str, spread: float | None) -> str:
    return "" if spread is None else f" ± {texts.number(measure, spread)}"


def _told(networks: list[Shipped], tables: dict, table: str) -> str:
    compared = {name for row in (TABLE2 if table == "table2" else TABLE3) for name in row.systems} | {
        *BY_PIT,
        "seldnet",
    }
    told = paper_tables.conditions([n for n in networks if n.name in compared], tables.get(table, []))
    return f" ({told})" if told else ""


def say_missing(rows: list[Compared], what: str) -> None:
    if absent := paper_tables.missing(rows):
        st.caption(f"Not measured here{' ' + what if what else ''}: {'; '.join(absent)}.")


# Train it in front of me


def show_toy() -> None:
    st.markdown(pit_texts.TOY)
    run: toy_run.ToyRun | None = st.session_state.get(TOY)
    buttons = st.container(horizontal=True)
    running = run is not None and run.running
    buttons.button(
        "Train again" if run else "Train",
        type="primary",
        on_click=begin,
        disabled=running,
        icon=":material/play_arrow:",
        key="pit_train",
    )
    buttons.button("Stop", on_click=stop, disabled=not running, icon=":material/stop:", key="pit_stop")
    if problem := st.session_state.pop(TOY_PROBLEM, None):
        widgets.error(problem)
    if run is None:
        st.caption(f"It takes about 20 s on an idle processor core, {LONGEST} s at the most.")
        with st.expander("What is drawn", icon=":material/function:"):
            st.markdown("Without PIT the loss is least at the mean of both directions:")
            st.latex(pit_texts.MEAN)
        return
    if running:
        watch()
    else:
        show_run(run)


def begin() -> None:
    """Each run has new initial weights and examples, so that a result that repeats is not chance."""
    old: toy_run.ToyRun | None = st.session_state.pop(TOY, None)
    if old is not None:
        old.stop()
    try:
        st.session_state[TOY] = toy_run.start(seed=1 if old is None else old.seed + 1)
    except OSError as error:
        st.session_state[TOY_PROBLEM] = f"The training could not be started: {error.strerror or error}"


def stop() -> None:
    if run := st.session_state.get(TOY):
        run.stop()


@st.fragment(run_every=EVERY_SECONDS)
def watch() -> None:
    """Updates while the process runs, then reruns the page once."""
    run: toy_run.ToyRun | None = st.session_state.get(TOY)
    if run is None or not run.running:
        st.rerun()
    show_run(run)


def show_run(run: toy_run.ToyRun) -> None:
    lines = run.read()
    say_state(run, lines)
    if lines:
        show_toy_curves(lines)
    if lines and lines[-1]["done"] and not run.running and (arrays := run.examples()) is not None:
        show_example(arrays)


def say_state(run: toy_run.ToyRun, lines: list[dict]) -> None:
    step, steps, seconds = (lines[-1][k] for k in ("step", "steps", "seconds")) if lines else (0, pit_toy.STEPS, 0.0)
    if run.running:
        st.progress(step / steps, f"Step {step} of {steps}, {seconds:.0f} s" if lines else "Starting")
    elif run.stopped:
        st.info(f"Stopped at step {step} of {steps}.")
    elif run.failed:
        widgets.error(
            "The training stopped unexpectedly. Start it again; if it stops again, check the memory of the server."
        )
    elif step < steps:
        st.info(f"Ended after {seconds:.0f} s, at step {step} of {steps}: this machine is busy.")


def show_toy_curves(lines: list[dict]) -> None:
    x, last = [line["step"] for line in lines], lines[-1]
    left, right = st.columns(2)
    for place, key, factor, title in (
        (left, "le", 1, "LE of the directions (°)"),
        (right, "midpoint", 100, "nearer the midpoint (%)"),
    ):
        systems = {pit.RULE_NAMES[p]: (x, [factor * line[p][key] for line in lines]) for p in pit_toy.PITS}
        with place:
            widgets.plot(pit.curves(systems, "step", title, last["steps"]), f"pit_toy_{key}")
    now = {p: f"{last[p]['le']:.1f}°, {100 * last[p]['midpoint']:.0f} % nearer the midpoint" for p in pit_toy.PITS}
    st.caption(
        f"On {pit_toy.N_HELD_OUT} examples never trained on, after step {last['step']}: "
        f"tPIT {now['tpit']}; no PIT {now['none']}. LE: mean great-circle distance from the tracks to the sources, tracks put in the "
        "order that fits best. Nearer the midpoint: share of the directions that are nearer to the midpoint of both sources than to "
        "either."
    )


def show_example(arrays: dict[str, np.ndarray]) -> None:
    """Both networks' directions on a held-out example."""
    n = len(arrays["doa"])
    index = st.slider("Held-out example", 1, n, 1, key="pit_example") - 1
    systems = {pit.RULE_NAMES[p]: arrays[p][index] for p in pit_toy.PITS}
    figure, key = pit.plane(arrays["doa"][index, 0], systems), "pit_toy_plane"
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=figure_texts.of(key))
    st.caption(
        "Seen from above, the front up and the left at the left. Circles: the two sources. Orange cross: the mean of both directions, "
        "where the squared error is least for a track that is pulled to each half of the time. Lines: the mean vector of each track; "
        "small dots: its frames (circle: track 1, diamond: track 2)."
    )
