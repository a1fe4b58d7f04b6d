"""What stands below the ribbons of the Tracks page: measures, assignment, differences, agreement, the network's inside, exports."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app.player.component import pictures
from app.plots import ribbons
from app.ui import session, texts, widgets
from app.views.tracks import network_inside, tracking
from app.views.tracks.shown import Shown
from app.views.tracks.tracking import Comparison
from einv2.frames import LABEL_FRAMES_PER_SECOND
from einv2.metrics.agreement import DISAGREEMENTS, Agreement
from einv2.metrics.track_assignment import MARKS

FIGURE_KEY = "ribbons"
SHOWN_ROWS = 2000
ALL = "all"
MEASURES = ("coverage", "purity", "swaps_per_minute", "fragments_per_event", "duplicates_per_minute")
MARK_TEXTS = {
    "swap": "an event continues on a different output track.",
    "duplicate": "a second output track reports an event that is already matched with another track.",
    "fragment": "an event is found again on the same track after at least one frame without it.",
}


def show(shown: Shown, comparison: Comparison) -> None:
    views = {
        "Measures": show_measures,
        "Assignment": show_assignment,
        "Differences": show_differences,
        "Agreement": show_agreement,
        "Inside the network": network_inside.show,
        "Export": show_export,
    }
    at_first = "Measures" if comparison.reference is not None else "Agreement"
    view = st.segmented_control(
        "View", list(views), default=at_first, key="tracks_view", required=True, bind=widgets.LINK
    )
    views[view or at_first](shown, comparison)


def needs_truth(comparison: Comparison) -> bool:
    if comparison.reference is None:
        st.info("Add the clip's metadata CSV in the sidebar: this view compares with the ground truth.")
        return True
    return False


def playable(table: pd.DataFrame, key: str, columns: dict[str, Any]) -> None:
    """A table with onset and offset (s), of which the selected row is played."""
    table = table.head(SHOWN_ROWS)

    def play() -> None:
        rows = st.session_state[key].selection.rows
        if rows and rows[0] < len(table):
            row = table.iloc[rows[0]]
            start = max(row["onset"] - 0.5, 0.0)
            st.session_state[session.SEEK] = session.seek(start, max(row["offset"] + 0.5, start + 1.0))

    number = st.column_config.NumberColumn
    st.dataframe(
        table,
        hide_index=True,
        key=key,
        on_select=play,
        selection_mode="single-row",
        placeholder="–",
        column_config={"onset": number("from (s)", format="%.1f"), "offset": number("to (s)", format="%.1f")} | columns,
    )


# Measures and assignment


def show_measures(shown: Shown, comparison: Comparison) -> None:
    if needs_truth(comparison):
        return
    tracked = tracking.tracked(comparison)
    number = st.column_config.NumberColumn
    config = {
        name: number(
            texts.IDENTITY_NAMES[name] + (" (%)" if texts.unit(name) else ""),
            format="%.1f" if texts.unit(name) else "%.2f",
            help=texts.IDENTITY[name],
        )
        for name in MEASURES
    }
    rows = [
        {"system": name}
        | {m: texts.scale(m) * value if (value := getattr(counts, m)) is not None else None for m in MEASURES}
        | {"found": f"{counts.found_events} of {counts.events}", "swaps": counts.swaps}
        for name, counts in tracking.counts(comparison).items()
    ]
    config |= {"found": st.column_config.TextColumn("events found", help="In one frame or more.")}
    st.dataframe(pd.DataFrame(rows), hide_index=True, placeholder="–", column_config=config)
    with st.expander("What these measures are"):
        st.markdown("\n".join(f"- **{texts.IDENTITY_NAMES[m]}**: {texts.IDENTITY[m]}" for m in MEASURES))
    show_marks(comparison, tracked)


def show_marks(comparison: Comparison, tracked: dict[str, tracking.Tracked]) -> None:
    kinds = st.pills(
        "Marks", MARKS, selection_mode="multi", default=MARKS, key="tracks_marks", help=" ".join(
            f"**{kind}**: {text}" for kind, text in MARK_TEXTS.items()
        ),
    )  # fmt: skip
    table = pd.concat([mark_rows(t, name, comparison) for name, t in tracked.items()], ignore_index=True)
    table = table[table["kind"].isin(kinds or MARKS)].sort_values(["onset", "system"], kind="stable", ignore_index=True)
    if table.empty:
        st.info("There are none: every event stays on one track, without a gap.")
        return
    playable(table, "tracks_mark_table", {"kind": "mark", "before": "before on"})
    more = f" The first {SHOWN_ROWS} of {len(table)} are listed." if len(table) > SHOWN_ROWS else ""
    st.caption(f"Select a row to hear it.{more}")


def mark_rows(tracked: tracking.Tracked, name: str, comparison: Comparison) -> pd.DataFrame:
    marks, lanes = tracked.following.marks, [*tracked.system.lanes, ""]
    names = ribbons.event_names(tracked.following.events, comparison.classes)
    onset = marks["frame"] / LABEL_FRAMES_PER_SECOND
    return pd.DataFrame(
        {
            "kind": marks["kind"],
            "system": name,
            "event": [names[e] for e in marks["event"]],
            "onset": onset,
            "offset": onset + marks["frames"] / LABEL_FRAMES_PER_SECOND,
            "track": [lanes[m] for m in marks["track"]],
            "before": [
                lanes[before] + (", another number" if kind == "swap" and before == track else "")
                for kind, track, before in zip(marks["kind"], marks["track"], marks["before"])
            ],
        }
    )


def show_assignment(shown: Shown, comparison: Comparison) -> None:
    if needs_truth(comparison):
        return
    st.markdown(
        "Seconds that each output track follows each event. A network that keeps events on their tracks has one filled cell in "
        "each column; two filled cells are swaps."
    )
    events = comparison.events
    assert events is not None
    columns = [*ribbons.event_names(events, comparison.classes), "duplicate", "nothing"]
    assignments = {name: (t, t.assignment) for name, t in tracking.tracked(comparison).items()}
    most = max(part.max(initial=0) for _, a in assignments.values() for part in (a.follows, a.missed, a.nothing))
    for number, (name, (t, a)) in enumerate(assignments.items()):
        st.markdown(f"**{widgets.plain(name)}**")
        seconds = np.block([[a.follows, a.duplicate[:, None], a.nothing[:, None]], [a.missed, np.full(2, np.nan)]])
        widgets.plot(ribbons.matrix(seconds, [*t.system.lanes, "missed"], columns, most=most), f"assignment_{number}")
    st.caption(
        "“duplicate”: the track reports an event that is matched with another track; “nothing”: it is active, but follows no event; "
        "“missed”: no track finds the event. Columns of events add up to their lengths, rows of tracks to the time they are active."
    )


# Two systems


def choose_two(comparison: Comparison) -> tuple[str, str] | None:
    names = list(comparison.systems)
    if len(names) < 2:
        st.info("Choose a second system in the sidebar to compare two.")
        return None
    left, right = st.columns(2)
    first = left.selectbox("First", names, 0, key="tracks_first")
    others = [name for name in names if name != first]
    return first, right.selectbox("Second", others, 0, key="tracks_second")


def show_differences(shown: Shown, comparison: Comparison) -> None:
    if needs_truth(comparison) or (two := choose_two(comparison)) is None:
        return
    found = tracking.compared(comparison, *two)
    seconds = [found.loc[found["right"] == n, "frames"].sum() / LABEL_FRAMES_PER_SECOND for n in (0, 1)]
    for column, n in zip(st.columns(2), (0, 1)):
        column.metric(
            f"Only {two[n]} is right",
            f"{seconds[n]:.1f} s",
            help="Frames in which it finds an event that the other misses, or in which only the other has a false alarm.",
        )
    who = st.segmented_control("Right is", [ALL, *two], default=ALL, key="tracks_right", required=True)
    if who in two:
        found = found[found["right"] == two.index(who)]
    if found.empty:
        st.info("There is no frame in which only one of them is right.")
        return
    table = pd.DataFrame(
        {
            "length": found["frames"] / LABEL_FRAMES_PER_SECOND,
            "right": [two[n] for n in found["right"]],
            "the other": found["kind"],
            "class": [comparison.classes[c] for c in found["class"]],
            "onset": found["onset"],
            "offset": found["offset"],
        }
    )
    length = st.column_config.NumberColumn("length (s)", format="%.1f")
    playable(table.reset_index(drop=True), "tracks_differences", {"length": length, "the other": "the other's error"})
    with st.expander("What the kinds of error are"):
        st.markdown("\n".join(f"- **{kind}**: {text}" for kind, text in texts.KINDS.items() if kind != "correct"))
    st.caption("Longest first. Select a row to hear it.")


def show_agreement(shown: Shown, comparison: Comparison) -> None:
    st.markdown("How far systems agree with each other, whatever the ground truth and the order of their tracks.")
    names = list(comparison.systems)
    if len(names) > 2:
        share = np.array([[tracking.agreed(comparison, a, b).share or 0 for b in names] for a in names])
        widgets.plot(ribbons.matrix(100 * share, names, names, unit="%", most=100), "agreement_all")
    if (two := choose_two(comparison)) is None:
        return
    found = tracking.agreed(comparison, *two)
    show_agreement_figures(found)
    first, second = (comparison.systems[name] for name in two)
    order = aligned_columns(found.permutation, len(second.lanes))
    st.markdown("**Seconds in which two tracks report the same**; the diagonal holds the tracks that belong together.")
    seconds = found.pairs[:, order] / LABEL_FRAMES_PER_SECOND
    widgets.plot(ribbons.matrix(seconds, first.lanes, [second.lanes[m] for m in order], *two), "agreement_tracks")
    show_disagreements(found.stretches, comparison, two)


def show_agreement_figures(found: Agreement) -> None:
    figures = {
        "Agreement": (
            None if found.share is None else f"{100 * found.share:.1f} %",
            "2 · frames in which both report a class at most 20° apart / (frames of the one + frames of the other).",
        ),
        "Mean distance": (
            None if found.degrees is None else f"{found.degrees:.1f}°",
            "Between the directions of what they agree on, great-circle.",
        ),
        "Same order of tracks": (
            None if found.in_order is None else f"{100 * found.in_order:.1f} %",
            "The share of what they agree on that is on tracks that belong together over the whole clip. Below 100 %, one of the two "
            "swaps tracks where the other does not.",
        ),
    }
    for column, (label, (value, text)) in zip(st.columns(3), figures.items()):
        column.metric(label, value or "–", help=text)


def aligned_columns(permutation: np.ndarray, n_second: int) -> list[int]:
    """The tracks of the second system: those that go with the tracks of the first in their order, then the rest."""
    order = [int(m) for m in permutation if m >= 0]
    return order + [m for m in range(n_second) if m not in order]


def show_disagreements(stretches: pd.DataFrame, comparison: Comparison, two: tuple[str, str]) -> None:
    if stretches.empty:
        st.info("They agree in every frame.")
        return
    words = dict(zip(DISAGREEMENTS, (f"only {two[0]}", f"only {two[1]}", "another place", "another class")))
    table = pd.DataFrame(
        {
            "length": stretches["frames"] / LABEL_FRAMES_PER_SECOND,
            "difference": [words[kind] for kind in stretches["kind"]],
            "class": [comparison.classes[c] for c in stretches["class"]],
            "onset": stretches["onset"],
            "offset": stretches["offset"],
        }
    )
    st.markdown("**Where they differ**, longest first. Select a row to hear it.")
    playable(table, "tracks_disagreements", {"length": st.column_config.NumberColumn("length (s)", format="%.1f")})


# Export


def show_export(shown: Shown, comparison: Comparison) -> None:
    stem, (left, right) = shown.source.stem, st.columns(2)
    if comparison.reference is not None:
        marks = pd.concat([mark_rows(t, name, comparison) for name, t in tracking.tracked(comparison).items()])
        measures = pd.DataFrame([{"system": n} | counts.rates() for n, counts in tracking.counts(comparison).items()])
        with left:
            file = f"{stem}_marks.csv"
            widgets.download("Marks (CSV)", lambda: as_csv(marks), file, "text/csv", f"download_{file}")
        with right:
            file = f"{stem}_identity.csv"
            widgets.download("Measures (CSV)", lambda: as_csv(measures), file, "text/csv", f"download_{file}")
    pictures(FIGURE_KEY, f"{shown.source.stem}_tracks", "tracks_pictures")
    st.caption(
        "Onset and offset in seconds; shares from 0 to 1. The picture is the figure as shown, without the cursor."
    )


def as_csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()
