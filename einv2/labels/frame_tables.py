"""Annotations as tables: one row per frame and source, or one row per event; and the arrays that a network is trained on.

A *frame table* is a pandas DataFrame with one row per sounding source and 100 ms frame, sorted by frame:

    frame      int    from 0
    class      int    index into the class list
    track      int    instance number in a reference, output track in an estimate
    azimuth    float  degrees, [-180, 180), counter-clockwise from the front
    elevation  float  degrees, [-90, 90], up
    distance   float  cm, NaN where the file has none

An *event table* has one row per event: class, track, onset and offset (seconds), azimuth, elevation (degrees, of the mean
direction) and confidence (mean probability, NaN for a reference). Further columns are name (of the class), distance (mean,
cm) and spread (mean angular distance from the mean direction, degrees: 0 for a source that stands still).
"""

import numpy as np
import pandas as pd

from .. import geometry
from ..frames import LABEL_FRAME_MS, LABEL_FRAMES_PER_SECOND
from ..runs import Runs, find_runs

FRAME_COLUMNS = ("frame", "class", "track", "azimuth", "elevation", "distance")

EVENT_COLUMNS = (
    "class", "name", "track", "onset", "offset", "azimuth", "elevation", "distance", "spread", "confidence",
)  # fmt: skip

JUMP_DEGREES, JUMP_FRAMES = 45.0, 5  # for ``event_runs``; sources of DCASE data move up to 4 degrees per frame


def empty_table() -> pd.DataFrame:
    """A frame table without rows, with the right columns and types."""
    return _frame_table({name: np.zeros(0) for name in FRAME_COLUMNS})


def frames_to_events(table: pd.DataFrame, classes=None, confidence=None) -> pd.DataFrame:
    """The event table of a frame table: one event per run of consecutive frames of one (track, class), cut where the direction jumps
    from one source to another (``event_runs``).

    classes: names by class index; None names a class by its index. confidence: a probability for each row of ``table``
    (N,); without it the table's own column ``confidence`` is used, and without that the events have NaN. Times are
    onset = first frame * 0.1 s and offset = (last frame + 1) * 0.1 s. Sorted by onset, track, class.
    """
    table = checked(table)
    if confidence is None:
        confidence = table["confidence"] if "confidence" in table else np.full(len(table), np.nan)
    table = distinct_instances(table.assign(confidence=np.asarray(confidence, float)))
    runs = event_runs(table)
    first, last = table.iloc[runs.first], table.iloc[runs.last]
    table = table.iloc[runs.order]
    vectors = geometry.to_vector(table["azimuth"].to_numpy(), table["elevation"].to_numpy())
    means = runs.mean(vectors)
    azimuth, elevation = geometry.to_angles(means)
    off_mean = geometry.distance(vectors, means[runs.of_position])
    events = pd.DataFrame(
        {
            "class": first["class"].to_numpy(),
            "name": class_names(first["class"].to_numpy(), classes),
            "track": first["track"].to_numpy(),
            "onset": first["frame"].to_numpy() / LABEL_FRAMES_PER_SECOND,
            "offset": (last["frame"].to_numpy() + 1) / LABEL_FRAMES_PER_SECOND,
            "azimuth": azimuth,
            "elevation": elevation,
            "distance": runs.mean(table["distance"].to_numpy()),
            "spread": runs.mean(off_mean),
            "confidence": runs.mean(table["confidence"].to_numpy()),
        }
    )
    return events.sort_values(["onset", "track", "class"], kind="stable", ignore_index=True)


def events_to_frames(events: pd.DataFrame) -> pd.DataFrame:
    """The frame table of an event table: each event sounds from its mean direction in all of its frames.

    The inverse of ``frames_to_events`` for sources that stand still. Times are rounded to the nearest frame; an event is at
    least one frame long. ``distance`` may be missing.
    """
    onset = _to_frame(events["onset"])
    offset = np.maximum(_to_frame(events["offset"]), onset + 1)
    if len(onset) and onset.min() < 0:
        raise ValueError(f"an event starts at {events['onset'].min()} s; times must not be negative")
    lengths = offset - onset
    rows = np.repeat(np.arange(len(events)), lengths)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    distance = events["distance"] if "distance" in events else pd.Series(np.nan, events.index)
    columns = {"frame": onset[rows] + within, "distance": distance.to_numpy(float)[rows]}
    columns |= {c: events[c].to_numpy()[rows] for c in ("class", "track", "azimuth", "elevation")}
    return tidied(pd.DataFrame(columns))


def to_tracks(table: pd.DataFrame, n_frames: int, n_tracks: int, n_classes: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The arrays a trackwise network is trained on: (sed (T, M, K), doa (T, M, 3), dropped), float32.

    A reference event is a run of consecutive frames of one (class, instance). In order of onset, ties in table order, it
    goes to the first track that no earlier event occupies at its onset, and keeps it to its offset. An event that finds no
    free track is left out, and its frames count in ``dropped``. Rows at or after ``n_frames`` are ignored. ``doa`` holds
    unit vectors (x, y, z), zeros where a track is inactive. ValueError on a class outside [0, n_classes).
    """
    table = checked(table)
    if len(table) and table["class"].max() >= n_classes:
        raise ValueError(f"class {table['class'].max()} in the table, but n_classes is {n_classes}")
    table = distinct_instances(table[table["frame"] < n_frames])
    sed = np.zeros((n_frames, n_tracks, n_classes), np.float32)
    doa = np.zeros((n_frames, n_tracks, 3), np.float32)
    runs = frame_runs(table)
    frames, classes = table["frame"].to_numpy(), table["class"].to_numpy()
    vectors = geometry.to_vector(table["azimuth"].to_numpy(), table["elevation"].to_numpy())
    events = sorted(
        (runs.order[s:e] for s, e in zip(runs.starts, runs.ends)), key=lambda rows: (frames[rows[0]], rows[0])
    )
    free_from = [0] * n_tracks
    dropped = 0
    for rows in events:
        onset, offset = frames[rows[0]], frames[rows[-1]] + 1
        track = next((m for m in range(n_tracks) if free_from[m] <= onset), None)
        if track is None:
            dropped += len(rows)
            continue
        free_from[track] = offset
        sed[onset:offset, track, classes[rows[0]]] = 1
        doa[onset:offset, track] = vectors[rows]
    return sed, doa, dropped


def distinct_instances(table: pd.DataFrame) -> pd.DataFrame:
    """The table with new track numbers where several rows share (frame, class, track), so that this key is unique.

    Some systems write the same source number for every direction of a class. The first row keeps its number; the j-th
    further one gets j more than the largest number of its class, so it keeps the number from frame to frame. A table of many
    clips tells them apart by a column ``clip``.
    """
    clip = ["clip"] if "clip" in table else []
    key = [*clip, "frame", "class", "track"]
    if not table.duplicated(key).any():
        return table
    repeat = table.groupby(key).cumcount().to_numpy()
    # Numbered within (frame, class), so that repeats of two different tracks do not collide.
    extra = pd.Series(repeat > 0, table.index).groupby([table[c] for c in key[:-1]]).cumsum().to_numpy()
    largest = table.groupby([*clip, "class"])["track"].transform("max").to_numpy()
    return table.assign(track=np.where(repeat > 0, largest + extra, table["track"].to_numpy()))


def tidied(raw: pd.DataFrame, as_written: bool = False) -> pd.DataFrame:
    """The frame table of checked columns, sorted and typed; unless ``as_written`` also azimuth wrapped, duplicates dropped, and
    instances distinct."""
    distance = raw["distance"].to_numpy(float) if "distance" in raw else np.full(len(raw), np.nan)
    raw = raw.assign(distance=np.where(distance == 0, np.nan, distance))
    raw = raw if "track" in raw else raw.assign(track=0)
    if not as_written:
        raw = raw.assign(azimuth=geometry.wrap_azimuth(raw["azimuth"].to_numpy(float)))
        raw = distinct_instances(raw[list(FRAME_COLUMNS)].drop_duplicates())
    order = ["frame"] if as_written else ["frame", "class", "track"]
    return _frame_table(raw).sort_values(order, kind="stable", ignore_index=True)


def _frame_table(columns) -> pd.DataFrame:
    integer = ("frame", "class", "track")
    return pd.DataFrame({n: np.asarray(columns[n], np.int64 if n in integer else float) for n in FRAME_COLUMNS})


def _to_frame(seconds) -> np.ndarray:
    """The nearest frame boundary of times in seconds, halves up, counted in whole milliseconds."""
    milliseconds = np.rint(np.asarray(seconds, float) * 1000).astype(np.int64)
    return (milliseconds + LABEL_FRAME_MS // 2) // LABEL_FRAME_MS


# Runs of frames


def checked(table: pd.DataFrame) -> pd.DataFrame:
    missing = [c for c in FRAME_COLUMNS if c not in table]
    if missing:
        raise ValueError(f"a frame table has the columns {', '.join(FRAME_COLUMNS)}; missing: {', '.join(missing)}")
    if len(table) and min(table["frame"].min(), table["class"].min()) < 0:
        raise ValueError("a frame table has frames and classes from 0; this one has a negative value")
    if not np.isfinite(table[["azimuth", "elevation"]].to_numpy(float)).all():
        raise ValueError("a frame table has finite azimuths and elevations; this one has NaN or infinity")
    return table


def frame_runs(table: pd.DataFrame, keys: tuple[str, ...] = ("class", "track")) -> Runs:
    """Runs of consecutive frames in which all keys stay the same, of a table whose (frame, class, track) are unique."""
    frame = table["frame"].to_numpy()
    order = np.lexsort([frame, *(table[k].to_numpy() for k in keys if k in ("class", "track"))])
    return find_runs(*(table[k].to_numpy() for k in keys), frame=frame, order=order)


def runs_of_tracks(*columns: np.ndarray, frame: np.ndarray) -> Runs:
    """Runs of consecutive frames in which all columns (N,) stay the same, in order of the columns, the first before all others.

    Several rows of one frame belong to one run.
    """
    return find_runs(*columns, frame=frame, order=np.lexsort([frame, *columns[::-1]]), repeats=True)


def event_runs(table: pd.DataFrame) -> Runs:
    """The frames of each event of a frame table whose (frame, class, track) are unique.

    An event is a run of consecutive frames of one class on one track, from one source. A jump to another source is a step of more
    than ``JUMP_DEGREES`` from one frame to the next that lasts: the mean directions of the up to ``JUMP_FRAMES`` frames before and
    after it are as far apart, and there are at least two frames on either side. So a single frame that is off cuts nothing, nor
    does a moving source. Measures and training do not cut events there.
    """
    runs = frame_runs(table)
    order, starts, ends = runs.order, runs.starts, runs.ends
    vectors = geometry.to_vector(*(table[c].to_numpy(float)[order] for c in ("azimuth", "elevation")))
    steps = geometry.distance(vectors[1:], vectors[:-1])
    cuts = [starts[:0]]
    for at in np.setdiff1d(np.flatnonzero(steps > JUMP_DEGREES) + 1, starts):
        run = np.searchsorted(starts, at, "right") - 1
        start, end = (
            max(starts[run], at - JUMP_FRAMES, cuts[-1][-1] if len(cuts) > 1 else 0),
            min(ends[run], at + JUMP_FRAMES),
        )
        before, after = vectors[start:at].mean(0), vectors[at:end].mean(0)
        if min(at - start, end - at) >= 2 and geometry.distance(before, after) > JUMP_DEGREES:
            cuts.append(np.array([at]))
    starts = np.sort(np.concatenate([starts, *cuts]).astype(int))
    return Runs(order, starts, np.append(starts, len(order))[1:])


def class_names(indices: np.ndarray, classes) -> list[str]:
    if classes is None:
        return [str(k) for k in indices]
    if len(indices) and indices.max() >= len(classes):
        raise ValueError(f"class {indices.max()} in the table, but the class list has {len(classes)}")
    return [str(classes[k]) for k in indices]


def clip_of(table: pd.DataFrame) -> np.ndarray:
    """The clip of each row, (N,) int; 0 in a table of one clip."""
    return table["clip"].to_numpy() if "clip" in table else np.zeros(len(table), np.int64)


def keys(columns: tuple[str, ...], *tables: pd.DataFrame) -> list[np.ndarray]:
    """For each table, (N,) int: equal where clip and ``columns`` (of integers from 0) are equal, in the order of these."""
    stacked = [[clip_of(t), *(t[c].to_numpy() for c in columns)] for t in tables]
    found = [np.zeros(len(t), np.int64) for t in tables]
    for parts in zip(*stacked):
        n = 1 + max((int(p.max()) for p in parts if len(p)), default=0)
        found = [key * n + part for key, part in zip(found, parts)]
    return found
