"""Does an event stay on its output track? Nets trained with tPIT may move it from frame to frame; with cPIT they should not.

``swap_rate`` and ``match_tracks`` take the arrays of one clip, ``identity_*`` the frame tables (see
``einv2.labels.frame_tables``) of many. Units: frames of 100 ms, seconds, minutes, degrees.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import geometry
from ..frames import LABEL_FRAMES_PER_SECOND
from ..labels import frame_tables
from ..matching import MATCH_DEGREES, assign, within
from .common import Counts, active_classes, pairwise_distance, require_shape, share
from .matching import Pairs, find_pairs

_FRAMES_PER_MINUTE = 60 * LABEL_FRAMES_PER_SECOND


@dataclass(frozen=True)
class SwapCounts(Counts):
    """Steps from one frame to the next within an event that was found in both, and those on which it changed track."""

    swaps: int = 0
    steps: int = 0

    @property
    def rate(self) -> float | None:
        """swaps / steps, in [0, 1]; None where there were no steps."""
        return share(self.swaps, self.steps)


def swap_rate(
    reference_sed: np.ndarray, reference_doa: np.ndarray, sed: np.ndarray, doa: np.ndarray, threshold: float = 0.5
) -> SwapCounts:
    """Track swaps of one clip; ``.rate`` of the sum over clips is the swap rate.

    sed (T, L, K) probabilities, doa (T, L, 3); reference_sed (T, M, K) and reference_doa (T, M, 3), zero where silent. Each
    reference track stands for one event at a time. In class-wise formats track k holds class k only, so none swaps.
    """
    match = match_tracks(reference_sed, reference_doa, sed, doa, threshold)
    _, classes = active_classes(reference_sed)
    # A direction that jumps between two frames is the next event, which follows on the same track without a gap.
    one_event = (classes[1:] == classes[:-1]) & (
        geometry.distance(reference_doa[1:], reference_doa[:-1]) <= MATCH_DEGREES
    )
    steps = one_event & (match[1:] >= 0) & (match[:-1] >= 0)
    return SwapCounts(int((steps & (match[1:] != match[:-1])).sum()), int(steps.sum()))


def match_tracks(
    reference_sed: np.ndarray, reference_doa: np.ndarray, sed: np.ndarray, doa: np.ndarray, threshold: float = 0.5
) -> np.ndarray:
    """The estimated track that each reference track is found on, (T, M); -1 where it is silent or not found.

    Found: right class, within 20 degrees, at least total distance over the frame's pairs. Arrays as in ``swap_rate``.
    """
    n_frames, n_reference, n_classes = reference_sed.shape
    require_shape("reference_doa", reference_doa, (n_frames, n_reference, 3))
    require_shape("sed", sed, (n_frames, "L", n_classes))
    require_shape("doa", doa, (n_frames, sed.shape[1], 3))
    active, classes = active_classes(sed, threshold)
    reference_active, reference_classes = active_classes(reference_sed)
    distance = pairwise_distance(reference_doa, doa)
    same_class = (reference_active[:, :, None] & active[:, None]) & (reference_classes[:, :, None] == classes[:, None])
    return assign(np.where(same_class, within(distance), np.inf))


@dataclass(frozen=True)
class IdentityCounts(Counts):
    """What becomes of reference events on the output tracks. Rates are None where there is nothing to count.

    An *event* is a run of consecutive frames of one (clip, class, track) of the reference. It is *found* in a frame where it is
    matched: same clip, frame and class, at most 20 degrees apart, one-to-one, as many pairs as can be, least total distance.

    events: of the reference; found_events: those found in one frame or more.
    frames: of all events, so that ``frames`` / 600 are the minutes of reference events; found: those in which the event is found.
    swaps: found frames on another output track than the event's previous found frame; frames between, in which it is not found,
        change nothing.
    fragments: maximal runs of consecutive frames in which an event is found on one output track.
    duplicates: found frames with a second estimate, on any output track, that is left over: same class, at most 20 degrees
        from the event, matched to nothing. Near several events it counts at the nearest.
    held: the sum over the maximal runs of consecutive frames in which an output track is active, of the largest number of frames
        of the run in which one and the same event is found on it.
    """

    events: int = 0
    found_events: int = 0
    frames: int = 0
    found: int = 0
    swaps: int = 0
    fragments: int = 0
    duplicates: int = 0
    held: int = 0

    @property
    def coverage(self) -> float | None:
        """found / frames, in [0, 1]."""
        return share(self.found, self.frames)

    @property
    def swaps_per_minute(self) -> float | None:
        """60 * swaps / (0.1 * frames): by the time that reference events sound, found or not; two at once count twice."""
        return share(_FRAMES_PER_MINUTE * self.swaps, self.frames)

    @property
    def swaps_per_event(self) -> float | None:
        """swaps / found_events."""
        return share(self.swaps, self.found_events)

    @property
    def fragments_per_event(self) -> float | None:
        """fragments / found_events, at least 1."""
        return share(self.fragments, self.found_events)

    @property
    def purity(self) -> float | None:
        """held / found, in (0, 1]: 1 where no output track ever holds two events without falling silent between them.

        Below 1 too where a track takes up the next event at the moment the last one ends, which is not a swap.
        """
        return share(self.held, self.found)

    @property
    def duplicate_share(self) -> float | None:
        """duplicates / found, in [0, 1]."""
        return share(self.duplicates, self.found)

    @property
    def duplicates_per_minute(self) -> float | None:
        """60 * duplicates / (0.1 * frames), by the same time as ``swaps_per_minute``."""
        return share(_FRAMES_PER_MINUTE * self.duplicates, self.frames)

    def rates(self) -> dict[str, float | None]:
        """Every rate by its name."""
        return {name: getattr(self, name) for name in RATES}


RATES = (
    "coverage", "swaps_per_minute", "swaps_per_event", "fragments_per_event", "purity", "duplicate_share",
    "duplicates_per_minute",
)  # fmt: skip


def identity_counts(reference: pd.DataFrame, estimate: pd.DataFrame) -> IdentityCounts:
    """The counts of all clips in two frame tables, told apart by a column ``clip`` (int from 0), if there is one.

    The estimate's ``track`` is the output track. Rows may stand in any order. ValueError where two rows of the reference share
    clip, frame, class and track.
    """
    return sum(identity_by_clip(reference, estimate, 1 + _last_clip(reference, estimate)), IdentityCounts())


def identity_by_clip(reference: pd.DataFrame, estimate: pd.DataFrame, n_clips: int) -> list[IdentityCounts]:
    """The counts of each clip, 0 to n_clips - 1. Tables and errors as in ``identity_counts``; ValueError on a clip beyond."""
    if (last := _last_clip(reference, estimate)) >= n_clips:
        raise ValueError(f"clip {last} in the table, but n_clips is {n_clips}")
    rows = by_event(reference)
    found, doubled = _found(rows, estimate)
    events = _events(rows, found, doubled)
    each = events[["frames", "found", "swaps", "fragments", "duplicates"]]
    each = each.assign(events=1, found_events=each["found"] > 0, clip=events["clip"])
    totals = each.groupby("clip").sum().reindex(range(n_clips), fill_value=0).assign(held=_held(found, n_clips))
    return [IdentityCounts(**{str(k): int(n) for k, n in row.items()}) for row in totals.to_dict("records")]


def identity_events(reference: pd.DataFrame, estimate: pd.DataFrame) -> pd.DataFrame:
    """One row for each reference event, in order of clip, onset, track and class. Tables and errors as in ``identity_counts``.

    clip, class, track; onset, offset (s); frames, found, swaps, fragments, duplicates as in ``IdentityCounts``; tracks: the
    output tracks it is found on, each once, in the order in which they are first used, a tuple of int.
    """
    rows = by_event(reference)
    found, doubled = _found(rows, estimate)
    events = _events(rows, found, doubled)
    events = events.assign(tracks=_tracks_used(found, len(events)))  # type: ignore[arg-type]  # the stub knows no tuples
    return events.sort_values(["clip", "onset", "track", "class"], kind="stable", ignore_index=True)


def _last_clip(*tables: pd.DataFrame) -> int:
    return max(int(frame_tables.clip_of(t).max(initial=0)) for t in tables)


def by_event(reference: pd.DataFrame) -> pd.DataFrame:
    """The reference's rows in order of clip, class, track and frame, with the number of their event from 0 in ``event``."""
    names = ("frame", "class", "track", "azimuth", "elevation")
    rows = {"clip": frame_tables.clip_of(reference), **{c: reference[c].to_numpy() for c in names}}
    runs = frame_tables.runs_of_tracks(rows["clip"], rows["class"], rows["track"], frame=rows["frame"])
    rows = pd.DataFrame({c: values[runs.order] for c, values in (rows | {"event": runs.of_row}).items()})
    twice = (np.diff(rows["event"]) == 0) & (np.diff(rows["frame"]) == 0)
    if twice.any():
        row = rows.iloc[int(np.argmax(twice))]
        where = ", ".join(f"{c} {row[c]:g}" for c in ("clip", "frame", "class", "track"))
        raise ValueError(f"reference has two rows of {where}; expected one row for each")
    return rows


def _found(rows: pd.DataFrame, estimate: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The found frames in order of event and frame, and the rows of the reference at which estimates are left over.

    A found frame: clip, event, frame, output (the track it is found on) and run (of that output track).
    """
    (row, matched), (doubled, _) = match_events(rows, estimate)
    track = estimate["track"].to_numpy()
    run = frame_tables.runs_of_tracks(frame_tables.clip_of(estimate), track, frame=estimate["frame"].to_numpy()).of_row
    found = rows[["clip", "event", "frame"]].iloc[row]
    return found.assign(output=track[matched], run=run[matched]), doubled


def match_events(rows: pd.DataFrame, estimate: pd.DataFrame) -> tuple[tuple, tuple]:
    """Pairs (rows of the reference, rows of the estimate), (N,) positions each: those found, and those left over.

    rows: from ``by_event``. Found as in ``IdentityCounts``, in order of the reference's rows. An estimate left over: matched with
    nothing, but of the class of rows of its frame at most 20 degrees away; it is paired with the nearest.
    """
    pairs = find_pairs(rows, estimate)
    row, matched, _ = pairs.matched(MATCH_DEGREES)
    order = np.argsort(row)
    return (row[order], matched[order]), _left_over(pairs, matched)


def _left_over(pairs: Pairs, matched: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(nearest row, estimate) of each estimate that has rows within reach but is not matched."""
    taken = np.zeros(1 + pairs.estimate.max(initial=0), bool)
    taken[matched] = True
    cost = within(pairs.degrees)
    spare = np.flatnonzero(np.isfinite(cost) & ~taken[pairs.estimate])
    spare = spare[np.lexsort([cost[spare], pairs.estimate[spare]])]
    nearest = spare[np.unique(pairs.estimate[spare], return_index=True)[1]]
    return pairs.reference[nearest], pairs.estimate[nearest]


def _events(rows: pd.DataFrame, found: pd.DataFrame, doubled: np.ndarray) -> pd.DataFrame:
    """The columns of ``identity_events`` but ``tracks``, in order of the events' numbers."""
    event, frame = rows["event"].to_numpy(), rows["frame"].to_numpy()
    of_found, output = found["event"].to_numpy(), found["output"].to_numpy()
    same_event, same_track = np.diff(of_found) == 0, np.diff(output) == 0
    joined = same_event & same_track & (np.diff(found["frame"].to_numpy()) == 1)
    first = np.flatnonzero(np.diff(event, prepend=-1))
    n = np.bincount(event)
    counted = {
        "found": of_found,
        "swaps": of_found[1:][same_event & ~same_track],
        "fragments": np.delete(of_found, 1 + np.flatnonzero(joined)),
        "duplicates": event[np.unique(doubled)],
    }
    return pd.DataFrame(
        {
            **{c: rows[c].to_numpy()[first] for c in ("clip", "class", "track")},
            "onset": frame[first] / LABEL_FRAMES_PER_SECOND,
            "offset": (frame[first] + n) / LABEL_FRAMES_PER_SECOND,
            "frames": n,
            **{name: np.bincount(events, minlength=len(n)) for name, events in counted.items()},
        }
    )


def _tracks_used(found: pd.DataFrame, n_events: int) -> list[tuple[int, ...]]:
    """For each event the output tracks it is found on, in the order of their first use."""
    used = found[["event", "output"]].drop_duplicates()
    ends = np.cumsum(np.bincount(used["event"], minlength=n_events))
    return [tuple(part.tolist()) for part in np.split(used["output"].to_numpy(), ends)[:-1]]


def _held(found: pd.DataFrame, n_clips: int) -> np.ndarray:
    """``IdentityCounts.held`` of each clip, (n_clips,)."""
    clip, run, event = (found[c].to_numpy() for c in ("clip", "run", "event"))
    n_events = 1 + event.max(initial=0)
    pair, first, n = np.unique(run * n_events + event, return_index=True, return_counts=True)
    _, start = np.unique(pair // n_events, return_index=True)
    return np.bincount(clip[first[start]], np.maximum.reduceat(n, start), n_clips)
