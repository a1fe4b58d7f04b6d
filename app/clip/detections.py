"""What one system says of the open clip: the detections of a network, or those in a CSV, on lanes."""

import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.clip.caches import SYSTEMS
from app.networks import registry
from app.plots.ribbons import Block, stacked
from app.ui.session import Source
from einv2 import geometry
from einv2.frames import LABEL_FRAMES_PER_SECOND
from einv2.inference.decoding import Decoding
from einv2.inference.model import Prediction
from einv2.labels import dcase_csv, frame_tables
from einv2.labels.csv_layout import USUAL, Reading
from einv2.labels.instances import linked
from einv2.metrics.track_assignment import NOTHING

MAX_LANES = 24  # of one system that are drawn; all are measured
MOST_TRACKS = 8  # a system with more numbers than this numbers instances, not output tracks


@dataclass(frozen=True)
class System:
    """What one system says of the clip.

    table: frame table with ``confidence`` (NaN where it is not known), whose ``track`` counts ``lanes``, the names of its output
    tracks, and whose ``class`` counts ``classes``. key: equal where the same is said. numbers: of each row of the table the number
    that tells whether it is the same as another, where several of them share a lane one after the other; else None.
    notes: how its file was read, where that is not the usual way.
    """

    name: str
    table: pd.DataFrame
    lanes: tuple[str, ...]
    classes: tuple[str, ...]
    key: tuple
    numbers: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    @property
    def block(self) -> Block:
        return Block(self.name, self.lanes[:MAX_LANES])

    @property
    def numbered(self) -> pd.DataFrame:
        """The table with its own numbers as tracks, by which identity is measured."""
        return self.table if self.numbers is None else self.table.assign(track=self.numbers)

    def on_lanes(self, marks: pd.DataFrame) -> pd.DataFrame:
        """``Following.marks`` of ``numbered``, its numbers brought to lanes."""
        if self.numbers is None:
            return marks
        lane = dict(zip(self.numbers.tolist(), self.table["track"].tolist())) | {NOTHING: NOTHING}
        return marks.assign(**{c: [lane[n] for n in marks[c]] for c in ("track", "before")})


def of_network(source: Source, name: str, prediction: Prediction, decoding: Decoding) -> System:
    """The detections of a network or an ensemble. Class-wise, each class that is heard has a lane."""
    key = (source.key, name, registry.stamp(name), decoding)
    table = SYSTEMS.get(("frames", key), lambda: prediction.frames(decoding=decoding))
    if prediction.class_wise:
        table, lanes = _lane_by_class(table, prediction.classes)
    else:
        lanes = prediction.track_names
    return System(name, table, lanes, prediction.classes, key)


def of_csv(
    source: Source, name: str, data: bytes, classes: tuple[str, ...], n_frames: int, reading: Reading = USUAL
) -> tuple[System, int]:
    """The detections in a CSV of any DCASE year, and how many of its rows lie beyond the end of the clip.

    Where no two rows share frame and track, a track is an output track; otherwise, or where there are more than ``MOST_TRACKS``, it
    numbers the instances of a class. Then a class has as many lanes as it has instances at once. Where the file has no numbers,
    instances are told apart by their directions. ValueError, one sentence, if it cannot be read with these classes.
    """
    key = ("csv", hash(data), classes, source.start, n_frames, name, reading)

    def make() -> tuple[System, int]:
        read = dcase_csv.read(io.BytesIO(data), classes, name=name, reading=reading)
        numbered = has_numbers(data, classes, reading)
        system, beyond = _of_table(source, name, read.frames, numbered, classes, n_frames, key)
        return dataclasses.replace(system, notes=read.notes), beyond

    return SYSTEMS.get(key, make)


def _of_table(
    source: Source, name: str, table: pd.DataFrame, numbered: bool, classes: tuple[str, ...], n_frames: int, key: tuple
) -> tuple[System, int]:
    first = int(source.start * LABEL_FRAMES_PER_SECOND)
    table = table[table["frame"] >= first]
    table = table.assign(frame=table["frame"] - first, confidence=np.nan)
    inside = table[table["frame"] < n_frames].reset_index(drop=True)
    n_beyond = len(table) - len(inside)
    if not numbered:
        inside, lanes = _lane_by_class(inside.assign(track=linked(inside)), classes)
        return System(name, inside, lanes, classes, key), n_beyond
    numbers, track = np.unique(inside["track"].to_numpy(), return_inverse=True)
    if inside.duplicated(["frame", "track"]).any() or len(numbers) > MOST_TRACKS:
        inside, lanes = _lane_by_class(inside, classes)
        number, inside = inside["track"].to_numpy(), _one_after_the_other(inside)
        inside, lanes = _lane_by_class(inside, classes)
        return System(name, inside, lanes, classes, key, number), n_beyond
    lanes = tuple(f"track {n + 1}" for n in numbers) or ("track 1",)
    return System(name, inside.assign(track=track), lanes, classes, key), n_beyond


def prediction_of_csv(source: Source, n_frames: int) -> Prediction:
    """What the CSV of ``source.system`` says, as a network would: probability 1 on the tracks of ``of_csv`` if they are output tracks,
    else on as many as sound at once. ValueError as ``of_csv``."""
    assert source.system is not None
    name, classes = source.system.name, source.system.classes
    system, _ = of_csv(source, name, source.system.data, classes, n_frames)
    table, n_tracks = system.table, len(system.lanes)
    if not all(lane.startswith("track ") for lane in system.lanes):
        n_tracks = int(table["frame"].value_counts().max()) if len(table) else 1
        sed, doa, _ = frame_tables.to_tracks(system.numbered, n_frames, n_tracks, len(classes))
        return Prediction(sed, doa, classes)
    sed = np.zeros((n_frames, n_tracks, len(classes)), np.float32)
    doa = np.zeros((n_frames, n_tracks, 3), np.float32)
    frame, track = table["frame"].to_numpy(), table["track"].to_numpy()
    sed[frame, track, table["class"].to_numpy()] = 1
    doa[frame, track] = geometry.to_vector(table["azimuth"].to_numpy(), table["elevation"].to_numpy())
    return Prediction(sed, doa, classes)


def has_numbers(data: bytes, classes: tuple[str, ...], reading: Reading = USUAL) -> bool:
    """Whether the track numbers of a CSV tell the instances of a class apart; events without numbers have none."""
    read = dcase_csv.read(io.BytesIO(data), classes, as_written=True, reading=reading)
    if read.written is not None and not {"frame", "track"} & {*read.written.columns}:
        return False
    return not read.frames.drop_duplicates().duplicated(["frame", "class", "track"]).any()


def _one_after_the_other(table: pd.DataFrame) -> pd.DataFrame:
    """The table with tracks that count, in each class, as many as it has instances at once: an instance is a track of one class."""
    span = table.groupby("track")["frame"].agg(["min", "max"]).assign(of=table.groupby("track")["class"].first())
    lane = pd.Series(0, span.index)
    for _, spans in span.sort_values("min", kind="stable").groupby("of"):
        lane[spans.index] = stacked(spans["min"].to_numpy(), spans["max"].to_numpy() + 1)
    return table.assign(track=lane.reindex(table["track"]).to_numpy(int))


def _lane_by_class(table: pd.DataFrame, classes: Sequence[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table with a lane for each instance of each class in it, and their names."""
    table = frame_tables.distinct_instances(table)
    pairs = table[["class", "track"]].drop_duplicates().sort_values(["class", "track"], ignore_index=True)
    instance = pairs.groupby("class").cumcount()
    names = tuple(classes[c] if n == 0 else f"{classes[c]} {n + 1}" for c, n in zip(pairs["class"], instance))
    lane = pd.Series(pairs.index, index=pd.MultiIndex.from_frame(pairs))
    track = lane.reindex(pd.MultiIndex.from_frame(table[["class", "track"]])).to_numpy(int)
    return table.assign(track=track), names or ("all classes",)


def fitting(data: bytes, lists: Sequence[tuple[str, ...]]) -> int:
    """The place of the first of the class lists that a CSV can be read with; 0 if there is none."""
    key = ("fitting", hash(data), *lists)
    return SYSTEMS.get(key, lambda: next((n for n, classes in enumerate(lists) if _reads(data, classes)), 0))


def _reads(data: bytes, classes: tuple[str, ...]) -> bool:
    try:
        dcase_csv.read_csv(io.BytesIO(data), classes)
    except ValueError:
        return False
    return True
