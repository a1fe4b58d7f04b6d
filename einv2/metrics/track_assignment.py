"""Which reference event does each output track follow, and when does that change? The frames behind the counts of ``identity``.

Frame tables (see ``einv2.labels.frame_tables``) of one clip. Units: frames of 100 ms, seconds. N rows of the estimate, L output
tracks, E reference events.

An event is *found* as in ``identity.IdentityCounts``; the track that it is found on *follows* it. An estimate that is left over,
of the class of an event and at most 20 degrees from it, is a duplicate of the nearest such event. Every other follows nothing.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..frames import LABEL_FRAMES_PER_SECOND
from ..runs import find_runs
from . import identity
from .errors import table_runs

NOTHING = -1  # in place of the number of an event
MARKS = ("swap", "duplicate", "fragment")
_MARK_COLUMNS = ("kind", "frame", "frames", "track", "event", "before")


@dataclass(frozen=True)
class Following:
    """What becomes of the reference events on the output tracks of a system.

    events: the reference's, in the order of ``identity.identity_events``, numbered from 0: class, track, onset, offset (s), frames.
    event (N,): the event that each row of the estimate follows or duplicates, in the table's order, or ``NOTHING``.
    duplicate (N,): is the row a duplicate?
    marks: a row each, in order of frame and track, with the columns

        kind    swap: the event continues on a different track than the one it was found on before, however long ago
                fragment: it continues on the same track, after a frame or more without
                duplicate: from here on, a second track has the event that another is matched with
        frame   the first frame of it
        frames  of a duplicate: its length; otherwise how long the event then stays found on the track
        track   the output track that takes up the event, or that duplicates it
        event   number of the event
        before  of a swap and of a fragment: the track that the event was found on before; otherwise -1

    There are as many swaps as ``identity.IdentityCounts.swaps``; fragments and swaps, and one for each found event, are its
    ``fragments``.
    """

    events: pd.DataFrame
    event: np.ndarray
    duplicate: np.ndarray
    marks: pd.DataFrame


def follow(reference: pd.DataFrame, estimate: pd.DataFrame) -> Following:
    """What each row of the estimate follows. ValueError where two rows of the reference share frame, class and track."""
    rows = identity.by_event(reference)
    (row, matched), (near, doubled) = identity.match_events(rows, estimate)
    events, number = _in_order_of_onset(rows)
    event, duplicate = np.full(len(estimate), NOTHING), np.zeros(len(estimate), bool)
    of_row = number[rows["event"].to_numpy()]
    event[matched], event[doubled] = of_row[row], of_row[near]
    duplicate[doubled] = True
    frame, track = (estimate[c].to_numpy() for c in ("frame", "track"))
    marks = pd.concat(
        [
            _changes(event[matched], frame[matched], track[matched]),
            _duplicates(event[doubled], frame[doubled], track[doubled]),
        ]
    )
    marks = marks.sort_values(["frame", "track", "kind"], kind="stable", ignore_index=True)
    return Following(events, event, duplicate, marks)


def _in_order_of_onset(rows: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """``Following.events``, and the place among them of each event of ``identity.by_event``, (E,)."""
    event, frame = rows["event"].to_numpy(), rows["frame"].to_numpy()
    first = np.flatnonzero(np.diff(event, prepend=-1))
    columns = {c: rows[c].to_numpy()[first] for c in ("class", "track")}
    order = np.lexsort([columns["class"], columns["track"], frame[first]])
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    frames = np.diff(np.append(first, len(event)))
    times = {"onset": frame[first], "offset": frame[first] + frames}
    columns |= {name: frame / LABEL_FRAMES_PER_SECOND for name, frame in times.items()}
    return pd.DataFrame({name: values[order] for name, values in (columns | {"frames": frames}).items()}), place


def _changes(event: np.ndarray, frame: np.ndarray, track: np.ndarray) -> pd.DataFrame:
    """The marks of swaps and fragments, from the found frames in any order."""
    runs = find_runs(event, track, frame=frame, order=np.lexsort([frame, event]))
    event, frame, track = event[runs.order], frame[runs.order], track[runs.order]
    continued = np.diff(event, prepend=-2)[runs.starts] == 0
    at = runs.starts[continued]
    kind = np.where(track[at] != track[at - 1], "swap", "fragment").astype(object)
    return _marks(kind, frame[at], runs.lengths[continued], track[at], event[at], track[at - 1])


def _duplicates(event: np.ndarray, frame: np.ndarray, track: np.ndarray) -> pd.DataFrame:
    """The marks of duplicates, from their frames in any order."""
    runs = find_runs(event, track, frame=frame, order=np.lexsort([frame, event, track]))
    kind, before = np.full(len(runs.starts), "duplicate", object), np.full(len(runs.starts), -1)
    return _marks(kind, frame[runs.first], runs.lengths, track[runs.first], event[runs.first], before)


def _marks(*columns: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(dict(zip(_MARK_COLUMNS, columns)))


@dataclass(frozen=True)
class Assignment:
    """Seconds. follows (L, E): track by event; missed (E,): each event found on no track; duplicate, nothing (L,): the time in which
    a track is a duplicate, or sounds and follows nothing.

    ``follows.sum(0) + missed`` is the length of each event; ``follows.sum(1) + duplicate + nothing`` the time each track sounds.
    """

    follows: np.ndarray
    missed: np.ndarray
    duplicate: np.ndarray
    nothing: np.ndarray


def assignment(following: Following, estimate: pd.DataFrame, n_tracks: int) -> Assignment:
    """How long each of the output tracks, 0 to n_tracks - 1, follows each event. ValueError on a track beyond."""
    track = estimate["track"].to_numpy()
    if len(track) and not 0 <= track.min() <= track.max() < n_tracks:
        raise ValueError(f"estimate must have tracks from 0 to {n_tracks - 1}, not {track.min()} to {track.max()}")
    n_events = len(following.events)
    found = (following.event != NOTHING) & ~following.duplicate
    cell = track[found] * n_events + following.event[found]
    follows = np.bincount(cell, minlength=n_tracks * n_events).reshape(n_tracks, n_events)
    alone = (following.duplicate, following.event == NOTHING)
    duplicate, nothing = (np.bincount(track[which], minlength=n_tracks) for which in alone)
    missed = following.events["frames"].to_numpy() - follows.sum(0)
    return Assignment(*(frames / LABEL_FRAMES_PER_SECOND for frames in (follows, missed, duplicate, nothing)))


def segments(following: Following, estimate: pd.DataFrame) -> pd.DataFrame:
    """The ribbons: runs of consecutive frames of one output track in which class, followed event and being a duplicate stay.

    Columns track, class, event, duplicate, onset, offset (s); in order of track and onset.
    """
    columns = ("track", "class", "event", "duplicate")
    table = estimate.assign(event=following.event, duplicate=following.duplicate.astype(int))
    runs = table_runs(table, columns)
    first, last = table.iloc[runs.first], table.iloc[runs.last]
    found = first[list(columns)].assign(
        duplicate=first["duplicate"] == 1,
        onset=first["frame"] / LABEL_FRAMES_PER_SECOND,
        offset=(last["frame"].to_numpy() + 1) / LABEL_FRAMES_PER_SECOND,
    )
    return found.sort_values(["track", "onset"], kind="stable", ignore_index=True)
