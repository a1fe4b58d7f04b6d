"""The results on the Evaluate page: scores of all years, breakdowns, and the errors behind each figure."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import pages
from app.plots import measures
from app.ui import session, texts, widgets
from app.views.evaluate import report, scoring
from app.views.evaluate.scoring import Results
from einv2.evaluation import Evaluation
from einv2.frames import LABEL_FRAMES_PER_SECOND
from einv2.metrics.dcase import MEASURES
from einv2.metrics.errors import KINDS
from einv2.metrics.intervals import METHODS
from einv2.metrics.single_task import OVERLAPS

SHOWN_EVENTS = 2000
FEW_CLIPS = 10  # fewer than these, and intervals say little
GROUPINGS = {
    "class": "Class",
    "polyphony": "Events at once",
    "motion": "Static or moving",
    "azimuth": "Azimuth",
    "elevation": "Elevation",
    "level": "Level below the loudest frame",
    "clip": "Clip",
}
YEARS = {measure: measure.replace("dcase", "DCASE ") for measure in MEASURES}
NOT_A_KIND = "all"
BEHIND = "behind"  # session key: (grouping, group, kind) whose errors are listed


def show(results: Results) -> None:
    first = next(iter(results.systems.values()))
    seconds = first.clips.n_frames.sum() / LABEL_FRAMES_PER_SECOND
    stems = first.clips.stems
    st.markdown(f"#### {len(stems)} {'clip' if len(stems) == 1 else 'clips'}, {seconds / 60:.1f} minutes")
    st.caption(widgets.plain(widgets.for_page(f"{results.class_list[0].upper()}{results.class_list[1:]}.")))
    show_notes(results)
    method = choose_method(results)
    show_scores(results, method)
    details(results, method)


def show_notes(results: Results) -> None:
    """What was odd in the files, and what was done about it."""
    if notes := [*results.notes, *report.notes_on_files(results.systems)]:
        title = "1 thing to know about the files" if len(notes) == 1 else f"{len(notes)} things to know about the files"
        with st.expander(title, icon=":material/info:"):
            st.markdown("\n".join(f"- {widgets.plain(widgets.for_page(note))}" for note in notes))


def choose_method(results: Results) -> str:
    """How intervals are computed, on the page and in what is exported."""
    if len(next(iter(results.systems.values())).clips.stems) < 2:
        return METHODS[0]
    said = " ".join([texts.INTERVALS, *(f"{method.capitalize()}: {texts.METHODS[method]}" for method in METHODS)])
    return st.segmented_control(
        "95 % intervals over clips",
        METHODS,
        default=METHODS[0],
        key="evaluate_intervals",
        required=True,
        help=said,
        persist_state=widgets.KEEP,
    )


@st.fragment
def show_scores(results: Results, method: str) -> None:
    """One system: a row for each year. Several: a row for each system and difference, by the measure of a chosen year."""
    n_clips = len(next(iter(results.systems.values())).clips.stems)
    if len(results.systems) > 1:
        measure = st.selectbox(
            "Measure", list(YEARS), format_func=YEARS.__getitem__, key="evaluate_year", persist_state=widgets.KEEP
        )
        rows = system_rows(results, measure, method)
    else:
        (evaluation,) = results.systems.values()
        rows = [{"measure": YEARS[m], **score_texts(scores, method)} for m, scores in evaluation.scores.items()]
    table = pd.DataFrame(rows).fillna("–")
    named = table.set_index(table.columns[0]).rename(index=widgets.plain)
    st.table(named)  # whose cells, unlike those of st.dataframe, wrap where the page is narrow
    if len(results.systems) > 1:
        scores = {name: evaluation.scores for name, evaluation in results.systems.items()}
        for column, score in zip(st.columns(2), ("F", "LE")):
            with column:
                widgets.plot(measures.years(scores, score, method), f"years_{score}")
    few = f"With only {n_clips} clips the intervals are of little use. " if 1 < n_clips < FEW_CLIPS else ""
    st.caption(f"{few if n_clips > 1 else texts.ONE_CLIP + ' '}{texts.WHY_THE_YEARS_DIFFER}")
    with st.expander("What the scores are, what each year counts, and the command that gives the same"):
        st.markdown("\n".join(f"- **{name}**: {text}" for name, text in texts.SCORES.items() if name in table))
        st.markdown("\n".join(f"- {text}" for text in texts.MEASURES.values()))
        n_frames = results.job.n_frames
        seconds = "" if n_frames is None else f" --seconds {n_frames / LABEL_FRAMES_PER_SECOND:g}"
        st.code(
            f"python -m einv2 evaluate PRED_DIR REF_DIR --metric all --intervals {method}{seconds}", language="bash"
        )


def system_rows(results: Results, measure: str, method: str) -> list[dict]:
    rows = [{"system": name, **score_texts(e.scores[measure], method)} for name, e in results.systems.items()]
    first = next(iter(results.systems))
    for name, differences in results.differences[method].items():
        change = {k: difference_text(k, d) for k, d in differences[measure].items()}
        rows.append({"system": f"{name} minus {first}", **change})
    return rows


def score_texts(scores: dict, method: str) -> dict[str, str]:
    bounds = scores["intervals"].get(method, {})
    return {k: with_bounds(k, scores[k], *bounds.get(k, (None, None))) for k in texts.SCORES if k in scores}


def difference_text(key: str, difference: dict) -> str:
    text = with_bounds(key, difference["value"], difference["low"], difference["high"])
    return f"+{text}" if (difference["value"] or 0) > 0 else text


def with_bounds(key: str, value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None:
        return texts.value(key, value)
    return f"{texts.value(key, value)} ({texts.number(key, low)} to {texts.number(key, high)})"


@st.fragment
def details(results: Results, method: str) -> None:
    """Everything below the scores; choosing in it runs this part only."""
    name = next(iter(results.systems))
    if len(results.systems) > 1:
        name = st.selectbox(
            "System in detail", list(results.systems), key="evaluate_system", persist_state=widgets.KEEP
        )
    views: dict[str, Callable[[Results, str], None]] = {
        "Errors": show_errors,
        "Classes": show_classes,
        "Conditions": show_conditions,
        "Directions": show_directions,
        "Tracks": show_tracks,
        "Probabilities": show_probabilities,
        "Clips": show_clips,
        "Export": functools.partial(show_export, method=method),
    }
    view = st.segmented_control(
        "View", list(views), default="Errors", key="evaluate_view", required=True, persist_state=widgets.KEEP
    )
    views[view or "Errors"](results, name)
    if view != "Export":
        show_behind(results, name)


def show_errors(results: Results, name: str) -> None:
    st.markdown(
        "The outcome of every frame of the reference, and what the system adds. Click a bar to list the errors behind it."
    )
    tables = {system: e.breakdowns["all"] for system, e in results.systems.items()}
    joined = pd.concat([t.rename(index={"all": system}) for system, t in tables.items()])
    joined.index.name = "group"
    clickable(measures.outcomes(joined, "system"), "all", "errors_all")
    with st.expander("What the kinds of error are"):
        st.markdown("\n".join(f"- **{kind}**: {text}" for kind, text in texts.KINDS.items()))
    spread = results.systems[name].distances
    half, most = texts.value("LE", spread.median), texts.value("LE", spread.percentile_90)
    st.markdown(f"**How far off**, where the class is right: half within {half}, 90 % within {most}")
    widgets.plot(measures.distances({s: e.distances for s, e in results.systems.items()}), "distances")
    st.markdown(f"**Confusion of classes.** {texts.FIGURES['confusion']}")
    confusion(results.systems[name])


def show_classes(results: Results, name: str) -> None:
    clickable(measures.outcomes(results.systems[name].breakdowns["class"], "class"), "class", "errors_class")
    grouped(results, name, "class")
    st.markdown("**By the measures of each year**")
    measure = st.selectbox("Measure", list(YEARS), format_func=YEARS.__getitem__, key="evaluate_measure")
    per_class = pd.DataFrame(results.systems[name].scores[measure]["per_class"])
    counted = "reference (s)" if measure == "dcase2020" else "reference (s, instances)"
    counted = "reference (frames)" if MEASURES[measure].segment_frames == 1 else counted
    config = number_columns(per_class) | {"n_reference": counted}
    clickable_table(in_units(per_class), per_class["class"], "class", "evaluate_years_of_classes", config)


def show_conditions(results: Results, name: str) -> None:
    available = [g for g in ("polyphony", "motion", "level") if g in results.systems[name].breakdowns]
    figure_of = st.segmented_control(
        "Measure of frames", ["F", "recall", "precision", "LE"], default="F", key="evaluate_condition"
    )
    for grouping in available:
        st.markdown(f"**{GROUPINGS[grouping]}**")
        systems = {s: e.breakdowns[grouping] for s, e in results.systems.items()}
        clickable(measures.conditions(systems, figure_of or "F"), grouping, f"condition_{grouping}", list(systems))
        grouped(results, name, grouping)
    if "level" not in available:
        st.caption("With the recordings, scores are also broken down by level.")
    found = results.systems[name].overlap.recall()
    rows = [
        {"frames with": OVERLAPS[k], "frames": v["frames"], "all found": texts.value("recall", v["found"])}
        for k, v in found.items()
    ]
    st.markdown("**Events that overlap**: frames in which all events are found, right class and within 20°")
    st.dataframe(pd.DataFrame(rows), hide_index=True)


def show_directions(results: Results, name: str) -> None:
    measure = st.segmented_control(
        "Measure of frames", ["recall", "LE"], default="recall", key="evaluate_direction", required=True
    )
    systems = {s: e.breakdowns["azimuth"] for s, e in results.systems.items()}
    clickable(measures.directions(systems, measure), "azimuth", "directions", list(systems))
    grouped(results, name, "azimuth")
    grouped(results, name, "elevation")


def show_tracks(results: Results, name: str) -> None:
    st.markdown(
        "None of the scores above depends on which output track an event is on, but it matters for following a source."
    )
    widgets.plot(measures.identity({s: e.identity_rates for s, e in results.systems.items()}), "identity")
    with st.expander("What these figures are"):
        st.markdown("\n".join(f"- **{key}**: {text}" for key, text in texts.DEFINITIONS["Identity"].items()))
    evaluation = results.systems[name]
    events = evaluation.events.sort_values(["swaps", "fragments"], ascending=False)
    shown = with_names(events, evaluation).assign(
        tracks=[", ".join(str(t + 1) for t in used) for used in events["tracks"]],
        found=events["found"] / events["frames"],
    )
    columns = ["clip", "class", "onset", "offset", "found", "swaps", "fragments", "duplicates", "tracks"]
    st.markdown("**Events of the reference, by swaps**")
    event_table(results, name, shown[columns].head(SHOWN_EVENTS), "evaluate_identity_events")


def show_probabilities(results: Results, name: str) -> None:
    known = {s: e.reliability for s, e in results.systems.items() if e.reliability is not None}
    if not known:
        st.info("Tables of predictions carry no probabilities. Score recordings with a network to see them.")
        return
    left, right = st.columns(2)
    with left:
        st.markdown(
            "**Can the probabilities be believed?** On the diagonal, 70 % of what has probability 0.7 is right."
        )
        widgets.plot(measures.reliability(known), "reliability")
    counts, classes = results.systems[name].thresholds, results.systems[name].clips.classes
    if counts is None:
        return
    with right:
        st.markdown("**F of frames over the threshold**, and the best threshold of each class")
        widgets.plot(measures.f_over_threshold(counts, classes), "f_over_threshold")
    found = counts.report()
    rows = pd.DataFrame(found["per_class"]).assign(**{"class": classes})[
        ["class", "threshold", "F", "F_default", "n_reference"]
    ]
    number = st.column_config.NumberColumn
    st.dataframe(
        rows.assign(F=100 * rows["F"].astype(float), F_default=100 * rows["F_default"].astype(float)),
        hide_index=True,
        placeholder="–",
        column_config={
            "threshold": number("best threshold", format="%.2f"),
            "F": number("F at the best (%)", format="%.1f"),
            "F_default": number("F at 0.5 (%)", format="%.1f"),
            "n_reference": "frames of the reference",
        },
    )
    best, default, each = (texts.value("F", found[k]) for k in ("F", "F_default", "F_each_best"))
    st.caption(
        f"All classes with one threshold: F {best} at {found['threshold']:.2f}, {default} at 0.5; each class at its best, {each}. "
        "Chosen on these very clips, so expect less on others."
    )


def show_clips(results: Results, name: str) -> None:
    evaluation = results.systems[name]
    tally = evaluation.tallies["dcase2020"]
    scores = pd.DataFrame({k: np.asarray(v) for k, v in tally.scores().items()})
    st.markdown("**Each clip by the measure of DCASE 2020**, worst first")
    table = scores.assign(clip=evaluation.clips.stems).sort_values("SELD", ascending=False)
    shown = in_units(table[["clip", *scores]])
    clickable_table(shown, shown["clip"], "clip", "evaluate_years_of_clips", number_columns(table))
    grouped(results, name, "clip")


def grouped(results: Results, name: str, grouping: str) -> None:
    """A breakdown as a table; a click on a cell lists the errors behind it."""
    table = results.systems[name].breakdowns[grouping]
    shown = table[table["reference"] + table["system"] > 0].reset_index()
    written = in_units(shown).rename(columns={"group": GROUPINGS[grouping].lower()})
    clickable_table(written, shown["group"], grouping, f"evaluate_table_{grouping}", number_columns(shown))


def clickable_table(table: pd.DataFrame, groups: pd.Series, grouping: str, key: str, config: dict) -> None:
    """A table with a group of a breakdown in each row, of which a click on a cell shows the errors behind it."""

    def clicked() -> None:
        cells = st.session_state[key].selection.cells
        if cells:
            row, column = cells[0]
            kind = column if column in KINDS else NOT_A_KIND
            st.session_state[BEHIND] = (grouping, groups.iloc[row], kind)

    st.dataframe(
        table,
        hide_index=True,
        placeholder="–",
        key=key,
        column_config=config,
        on_select=clicked,
        selection_mode="single-cell",
    )


def in_units(table: pd.DataFrame) -> pd.DataFrame:
    """Shares in %, as the column heads say."""
    return table.assign(**{c: texts.scale(c) * table[c].astype(float) for c in table if c in texts.PERCENT})


def number_columns(table: pd.DataFrame) -> dict:
    """How the scores in a table ``in_units`` are written."""
    names = [c for c in table if c in texts.SCORES or c in texts.FRAMES]
    return {
        c: st.column_config.NumberColumn(
            texts.title(c), format="%.1f" if texts.unit(c) else "%.2f", help=(texts.FRAMES | texts.SCORES).get(c)
        )
        for c in names
    }


def clickable(figure, grouping: str, key: str, systems: Sequence[str] = ()) -> None:
    """Bars, dots or cells that lead to the errors behind them.

    ``customdata`` of each is its group, or that and a kind of error. systems: those of the traces, where each has its own.
    """

    def clicked() -> None:
        points = st.session_state[key].selection.points
        if points:
            chosen = points[0]["customdata"]
            group, kind = (chosen, NOT_A_KIND) if isinstance(chosen, str) else chosen[:2]
            if grouping == "confusion":
                group, kind = (group, kind), NOT_A_KIND
            st.session_state[BEHIND] = (grouping, group, kind)
            if grouping == "all":  # a bar is a system
                st.session_state["evaluate_system"] = group
            elif systems:
                st.session_state["evaluate_system"] = systems[points[0]["curve_number"]]

    widgets.plot(figure, key, on_select=clicked, selection_mode="points")


def confusion(evaluation: Evaluation) -> None:
    """The matrix as a picture, and as a table of which a cell can be clicked."""
    names = [*evaluation.clips.classes, "nothing"]
    figure = measures.confusion(evaluation.confusion, evaluation.clips.classes)
    clickable(figure, "confusion", "confusion")
    table = pd.DataFrame(evaluation.confusion, columns=names).assign(reference=names)[["reference", *names]]
    table = table[evaluation.confusion.sum(1) > 0]

    def clicked() -> None:
        cells = st.session_state["evaluate_confusion"].selection.cells
        if cells and cells[0][1] in names:
            row, column = cells[0]
            st.session_state[BEHIND] = ("confusion", (table["reference"].iloc[row], column), NOT_A_KIND)

    with st.expander("The same as a table of frames; click a cell for the errors behind it"):
        st.dataframe(table, hide_index=True, key="evaluate_confusion", on_select=clicked, selection_mode="single-cell")


def show_behind(results: Results, name: str) -> None:
    """The error events behind what was clicked, and the way to hear one."""
    evaluation = results.systems[name]
    grouping, group, kind = st.session_state.get(BEHIND, ("all", "all", NOT_A_KIND))
    events, title = scoring.behind(evaluation, grouping, group, kind)
    st.divider()
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    n_clips = events["clip"].nunique()
    left.markdown(f"**Errors behind: {widgets.plain(title)}** · {len(events)} in {n_clips} clip{'s' * (n_clips != 1)}")
    if (grouping, kind) != ("all", NOT_A_KIND):
        right.button("Show all errors", on_click=st.session_state.pop, args=(BEHIND,), width="stretch")
    if events.empty:
        st.info("There are none.")
        return
    by_clip = events.groupby("clip").agg(errors=("frames", "size"), seconds=("frames", "sum")).reset_index()
    by_clip = by_clip.assign(seconds=by_clip["seconds"] / LABEL_FRAMES_PER_SECOND).sort_values(
        "seconds", ascending=False
    )
    with st.expander("Clips, most affected first; select one for its errors only"):
        chosen = st.dataframe(
            with_names(by_clip, evaluation),
            hide_index=True,
            key=f"evaluate_clips_behind_{abs(hash((name, grouping, group, kind)))}",  # another table, another selection
            placeholder="–",
            on_select="rerun",
            selection_mode="single-row",
            column_config={"seconds": st.column_config.NumberColumn("seconds", format="%.1f")},
        )
    if chosen.selection.rows and chosen.selection.rows[0] < len(by_clip):
        events = events[events["clip"] == by_clip["clip"].iloc[chosen.selection.rows[0]]]
    shown = with_names(events, evaluation)
    columns = ["clip", "kind", "class", "heard_as", "onset", "offset", "azimuth", "elevation", "error"]
    st.caption("By clip and onset; select one to open its clip at that moment.")
    event_table(results, name, shown[columns].head(SHOWN_EVENTS), "evaluate_events")
    if len(events) > SHOWN_EVENTS:
        st.caption(f"The first {SHOWN_EVENTS} of {len(events)}; the export has all.")


def with_names(events: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    """Clips and classes by their names."""
    names = {"clip": np.array(evaluation.clips.stems, object), "class": np.array(evaluation.clips.classes, object)}
    events = events.assign(**{c: names[c][events[c].to_numpy(int)] for c in names if c in events})
    if "heard_as" in events:
        heard = np.array([*evaluation.clips.classes, ""], object)[events["heard_as"].to_numpy(int)]
        events = events.assign(heard_as=heard)
    return events


def as_written(events: pd.DataFrame) -> pd.DataFrame:
    """Shares in %, and angles in whole degrees without a sign before 0."""
    angles = [c for c in ("azimuth", "elevation", "error") if c in events]
    events = events.assign(**{c: events[c].astype(float).round() + 0.0 for c in angles})
    return events.assign(found=100 * events["found"].astype(float)) if "found" in events else events


def event_table(results: Results, name: str, shown: pd.DataFrame, key: str) -> None:
    """Events of the system ``name``, of which one can be opened on the Inspect page."""
    number = st.column_config.NumberColumn
    formats = {
        "onset": "onset (s)",
        "offset": "offset (s)",
        "azimuth": "azimuth (°)",
        "elevation": "elevation (°)",
        "error": "off by (°)",
    }
    config: dict[str, Any] = {
        c: number(title, format="%.1f" if c in ("onset", "offset") else "%.0f")
        for c, title in formats.items()
        if c in shown
    }
    config |= {"class": st.column_config.TextColumn(width=130)}  # wide enough for every class of DCASE
    config |= {"heard_as": "heard as", "found": number("found (%)", format="%.1f"), "tracks": "on tracks"}
    chosen = st.dataframe(
        as_written(shown),
        hide_index=True,
        placeholder="–",
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        column_config={c: v for c, v in config.items() if c in shown},
    )
    rows = chosen.selection.rows
    event = shown.iloc[rows[0]] if rows and rows[0] < len(shown) else None
    if event is None:
        return
    if event["clip"] not in results.job.recordings:
        st.caption(f"To hear {widgets.plain(event['clip'])}, add its recording in the sidebar and score again.")
    elif st.button(
        f"Open {event['clip']} at {event['onset']:.1f} s on the Inspect page",
        key=f"{key}_open",
        icon=":material/graphic_eq:",
        type="primary",
    ):
        st.session_state[session.CLIP] = results.source(event["clip"], name)
        of_network = {"networks": name, "threshold": str(results.job.threshold)}
        st.session_state[session.MOMENT] = (float(event["onset"]), float(event["offset"]))
        st.session_state[session.SEEK] = session.seek(event["onset"], event["offset"], play=False)
        st.switch_page(pages.INSPECT.file, query_params=of_network if name in results.job.networks else None)


def show_export(results: Results, name: str, method: str) -> None:
    evaluation = results.systems[name]
    stem = "evaluation" if len(results.systems) == 1 else f"evaluation_{name}"
    downloads: dict[str, tuple[Callable[[], bytes | str], str, str]] = {
        "Report (HTML, one file)": (
            lambda: report.html(results.systems, results.differences[method], method),
            "evaluation.html",
            "text/html",
        ),
        "All measures (JSON)": (lambda: scoring.as_json(results, method), "evaluation.json", "application/json"),
        "Scores of all years (CSV)": (lambda: scoring.scores_csv(results, method), "scores.csv", "text/csv"),
        "Error events (CSV)": (lambda: scoring.events_csv(evaluation), f"{stem}_errors.csv", "text/csv"),
        "Breakdowns (CSV)": (lambda: scoring.breakdowns_csv(results), "breakdowns.csv", "text/csv"),
        "Events and tracks (CSV)": (lambda: scoring.identity_csv(evaluation), f"{stem}_tracks.csv", "text/csv"),
    }
    for label, (data, file, mime) in downloads.items():
        widgets.download(label, data, file, mime, f"download_{file}", width="content")
    st.caption(
        "The report opens in any browser without a network. The JSON is that of `python -m einv2 evaluate PRED_DIR REF_DIR "
        f"--metric all --breakdown --json FILE`, a system each. Intervals are by the {method}, as chosen above."
    )
