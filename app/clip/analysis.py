"""All slow calls into einv2. The last few results are kept in the session."""

import contextlib
import functools
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import streamlit as st
import torch

from app.clip.caches import ANALYSES, SOUNDS
from app.jobs import waiting_line
from app.networks import network_files, registry
from app.ui.progress import Progress, part
from app.ui.session import Source
from app.ui.uploads import as_file
from einv2.audio import features, foa, inputcheck, listening, recordings
from einv2.audio.features import INTENSITY, LOGMEL, LogMelIntensity
from einv2.config import FeatureConfig
from einv2.frames import LABEL_FRAMES_PER_SECOND
from einv2.inference import ensemble
from einv2.inference.decoding import decode
from einv2.inference.model import CHUNK_SECONDS, Model, Prediction
from einv2.labels import dcase_csv, frame_tables
from einv2.metrics import dcase, errors

SAMPLE_RATE = recordings.SAMPLE_RATE  # of what is shown and heard; each network is fed at its own
WINDOW_SECONDS = 600  # of a clip on a page at once: a longer one is seen through a window
MAX_LANES = 8  # of simultaneous reference events drawn; all are scored
DISPLAY_MELS = 96
MAX_SPHERES = 600  # maps of the sphere that are sent
DISPLAY_FRAMES = 2  # feature frames of 25 ms in a column of the pictures


@dataclass(frozen=True)
class Hearing:
    """What can be seen of a clip without a network. T label frames; columns of ``column_seconds``; mels around ``mel_hz``.

    spectrogram (4, columns, mels) int8: level of W, Y, Z, X in dB, rounded. intensity (3, columns, mels) int8: the mean direction
    in the band along Y, Z, X, 127 where all of it comes from there. waveform (columns, 2): least and largest sample of W. energy
    (T, azimuths) and sphere (maps, rows, columns) uint8: see ``foa.energy_maps``; a map for every ``sphere_step`` frames.
    """

    info: recordings.ClipInfo
    seconds: float
    spectrogram: np.ndarray
    intensity: np.ndarray
    waveform: np.ndarray
    column_seconds: float
    mel_hz: np.ndarray
    energy: np.ndarray
    sphere: np.ndarray
    sphere_step: int
    findings: list


def load_model(name: str) -> Model:
    """A network of the registry, read again when its file has changed. ValueError, one sentence, if it is not there."""
    network = registry.find(name)
    return _load(network, network.stamp)


@st.cache_resource(max_entries=4, show_spinner=False)
def _load(_network: registry.NetworkFile, stamp: tuple) -> Model:
    return network_files.load(_network)


@st.cache_resource(show_spinner=False)
def line() -> waiting_line.WaitingLine:
    """The queue of this server's sessions for heavy work."""
    return waiting_line.WaitingLine()


def turn(progress: Progress) -> contextlib.AbstractContextManager:
    """A context for heavy work, entered when it is the session's turn."""
    return line().turn(lambda place: progress(0.0, waiting_line.place_text(place)))


def analyse(source: Source, networks: tuple[tuple[str, ...], ...], progress: Progress) -> tuple[Hearing, dict]:
    """What ``hear`` and ``predict`` give, the predictions by the names joined with " + "; what is missing is computed in one turn."""
    keys = {_heard(source), *(_predicted(source, name) for names in networks for name in names)}
    with contextlib.nullcontext() if all(map(ANALYSES.holds, keys)) else turn(progress):
        hearing = hear(source, progress)
        return hearing, {" + ".join(names): predict(source, names, progress) for names in networks}


def _heard(source: Source) -> tuple:
    return source.key, "heard"


def _predicted(source: Source, name: str) -> tuple:
    return source.key, registry.stamp(name)


def hear(source: Source, progress: Progress) -> Hearing:
    """Check and transform a clip. audio.AudioError, one sentence, if it cannot be used; ``progress`` may raise to stop."""
    return ANALYSES.get(_heard(source), lambda: _hear(source, progress))


def predict(source: Source, names: tuple[str, ...], progress: Progress) -> Prediction:
    """What a network makes of a clip; of several names, their ensemble."""
    each = []
    for n, name in enumerate(names):
        report = part(progress, n / len(names), (n + 1) / len(names))
        each.append(ANALYSES.get(_predicted(source, name), functools.partial(_predict, source, name, report)))
    return each[0] if len(each) == 1 else ensemble.combine(each)


def opened(source: Source) -> contextlib.AbstractContextManager[Path]:
    """A path to the clip."""
    return as_file(source.data, source.suffix)


def seconds_of(source: Source) -> float:
    """The length of the whole clip."""
    with opened(source) as path:
        return recordings.probe(path, name=source.name, read_as=source.fix).seconds


def _blocks(source: Source, path: Path, sample_rate: int, seconds: int = CHUNK_SECONDS) -> Iterator[np.ndarray]:
    """The window of the clip in blocks of ``seconds``, with its channels as the user chose."""
    blocks = recordings.stream(path, sample_rate, seconds, source.name, int(source.start), source.fix)
    yield from itertools.islice(blocks, -(-WINDOW_SECONDS // seconds))


def block(source: Source, start: float, sample_rate: int, seconds: int = CHUNK_SECONDS) -> np.ndarray:
    """Samples (4, S) of ``seconds`` of a clip from a whole second on, with its channels as the user chose; fewer at its end."""
    with opened(source) as path:
        return next(_blocks(replace(source, start=start), path, sample_rate, seconds))


def _hear(source: Source, progress: Progress) -> Hearing:
    with opened(source) as path:
        info = recordings.probe(path, name=source.name, read_as=source.fix)
        seconds = min(info.seconds - source.start, WINDOW_SECONDS)
        observer = _HearingBuilder(_display_features(SAMPLE_RATE))
        for block in _blocks(source, path, SAMPLE_RATE):
            observer.take(block)
            progress(observer.seconds / seconds, f"Reading {observer.seconds:.0f} of {seconds:.0f} s")
    return observer.hearing(info)


def _predict(source: Source, name: str, progress: Progress) -> Prediction:
    progress(0.0, f"Loading {name}")
    model = load_model(name)
    with opened(source) as path:
        seconds = min(
            recordings.probe(path, name=source.name, read_as=source.fix).seconds - source.start, WINDOW_SECONDS
        )

        def report(done: float) -> None:
            progress(done / seconds, f"{done:.0f} of {seconds:.0f} s through {name}")

        return model.predict_blocks(_blocks(source, path, model.sample_rate), report)


def _display_features(sample_rate: int) -> FeatureConfig:
    """Frames of 25 ms."""
    return FeatureConfig(
        sample_rate=sample_rate, hop=sample_rate // 40, n_mels=DISPLAY_MELS, f_max=min(12000.0, sample_rate / 2)
    )


class _HearingBuilder:
    """Computes a ``Hearing`` block by block, so that the signal is never held as a whole."""

    def __init__(self, config: FeatureConfig):
        self.config = config
        self.extract = LogMelIntensity(config)
        self.samples = 0
        self.levels: list[np.ndarray] = []
        self.intensity: list[np.ndarray] = []
        self.waveform: list[np.ndarray] = []
        self.energy: list[np.ndarray] = []
        self.sphere: list[np.ndarray] = []
        self.start: list[np.ndarray] = []

    @property
    def seconds(self) -> float:
        return self.samples / self.config.sample_rate

    def take(self, block: np.ndarray) -> None:
        if self.seconds < inputcheck.MAX_SECONDS:
            self.start.append(block)
        self.samples += block.shape[1]
        levels, intensity = self._pictures(block)
        self.levels.append(levels)
        self.intensity.append(intensity)
        self.waveform.append(self._peaks(block[0]))
        energy, sphere = foa.energy_maps(block, self.config.sample_rate)
        self.energy.append(energy)
        self.sphere.append(sphere)

    def hearing(self, info: recordings.ClipInfo) -> Hearing:
        rate = self.config.sample_rate
        spheres = np.concatenate(self.sphere)
        step = max(2, -(-len(spheres) // MAX_SPHERES))
        return Hearing(
            info=info,
            seconds=recordings.label_frames(self.samples, rate) / LABEL_FRAMES_PER_SECOND,
            spectrogram=np.concatenate(self.levels, axis=1),
            intensity=np.concatenate(self.intensity, axis=1),
            waveform=np.concatenate(self.waveform),
            column_seconds=DISPLAY_FRAMES * self.config.hop / rate,
            mel_hz=features.mel_centres(self.config),
            energy=foa.to_pixels(np.concatenate(self.energy)),
            sphere=foa.to_pixels(spheres[::step]),
            sphere_step=step,
            findings=inputcheck.check(np.concatenate(self.start, axis=1), rate, info.read_as),
        )

    @torch.inference_mode()
    def _pictures(self, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Levels (4, columns, mels) in dB and intensity (3, columns, mels), int8."""
        shortest = self.config.n_fft
        if block.shape[1] < shortest:
            block = np.pad(block, ((0, 0), (0, shortest - block.shape[1])))
        x = self.extract(torch.from_numpy(np.ascontiguousarray(block[None])))[0, :, :-1].numpy()
        n = -(-x.shape[1] // DISPLAY_FRAMES)
        x = np.pad(x, ((0, 0), (0, n * DISPLAY_FRAMES - x.shape[1]), (0, 0)), "edge")
        x = x.reshape(len(x), n, DISPLAY_FRAMES, -1)
        levels, intensity = x[LOGMEL].max(axis=2), 127 * x[INTENSITY].mean(axis=2) / self.extract.mel.sum(0).numpy()
        return tuple(np.clip(np.rint(a), -128, 127).astype(np.int8) for a in (levels, intensity))

    def _peaks(self, signal: np.ndarray) -> np.ndarray:
        """Least and largest sample of each column, (columns, 2)."""
        starts = np.arange(0, len(signal), DISPLAY_FRAMES * self.config.hop)
        return np.stack([f.reduceat(signal, starts) for f in (np.minimum, np.maximum)], axis=1)


LISTENING_MODES = {
    "stereo": "Stereo",
    "binaural": "Binaural",
    "W": "W: everything",
}
LISTENING_HELP = (
    "Stereo: two cardioids, to the left and to the right. Binaural: for headphones. W: without direction. A beam follows a "
    "track, so that you hear what is there."
)


def listen(source: Source, mode: str, trajectory: np.ndarray | None = None) -> bytes:
    """The clip as 16-bit FLAC; the last few are kept.

    mode: of ``LISTENING_MODES``, or any name for a beam along ``trajectory``, (T, 2) azimuth and elevation in degrees, NaN where there
    is none.
    """
    key = (source.key, mode, None if trajectory is None else hash(trajectory.tobytes()))
    return SOUNDS.get(key, lambda: _listen(source, mode, trajectory))


def listen_along(source: Source, name: str, rows: pd.DataFrame, n_frames: int) -> bytes:
    """The clip through a beam along the directions in the rows of a frame table, at most one per frame."""
    trajectory = np.full((n_frames, 2), np.nan)
    trajectory[rows["frame"]] = rows[["azimuth", "elevation"]]
    return listen(source, name, trajectory)


def _listen(source: Source, mode: str, trajectory: np.ndarray | None) -> bytes:
    along = () if trajectory is None else tuple(trajectory.T)
    hear_as = listening.way("along" if along else mode, SAMPLE_RATE, *along)
    buffer = io.BytesIO()
    with opened(source) as path:
        parts = (hear_as(block) for block in _blocks(source, path, SAMPLE_RATE))
        first = next(parts)
        with soundfile.SoundFile(buffer, "w", SAMPLE_RATE, len(first), "PCM_16", format="FLAC") as file:
            for part in itertools.chain([first], parts):
                file.write(np.clip(part.T, -1, 1))
    return buffer.getvalue()


@dataclass(frozen=True)
class Truth:
    """Ground truth as shown: its frame table up to the end of the clip (lanes: the same on drawn lanes), what was left out, and how
    its file was read where that is not the usual way."""

    name: str
    table: pd.DataFrame
    lanes: pd.DataFrame
    classes: tuple[str, ...]
    frames_beyond: int
    rows_hidden: int
    notes: tuple[str, ...] = ()


def read_truth(source: Source, classes: tuple[str, ...], n_frames: int) -> Truth | None:
    """The ground truth that came with a clip, its frames counted from the start of the window. ValueError in one sentence if it
    cannot be read with these classes."""
    if source.truth is None:
        return None
    read = dcase_csv.read(io.BytesIO(source.truth), classes, name=source.truth_name)
    table = read.frames
    first = int(source.start * LABEL_FRAMES_PER_SECOND)
    table = table[table["frame"] >= first].assign(frame=lambda t: t["frame"] - first)
    inside = table[table["frame"] < n_frames]
    sed, doa, hidden = frame_tables.to_tracks(inside, n_frames, MAX_LANES, len(classes))
    beyond = (
        0
        if n_frames >= WINDOW_SECONDS * LABEL_FRAMES_PER_SECOND
        else table["frame"].nunique() - inside["frame"].nunique()
    )
    return Truth(source.truth_name or "", inside, decode(sed, doa), classes, beyond, hidden, read.notes)


def check_against(source: Source, truth: Truth) -> list[inputcheck.Finding]:
    """What the clip's directions say against its ground truth; looks at the first two minutes."""
    return ANALYSES.get((source.key, "checked", source.truth), lambda: _check_against(source, truth))


def _check_against(source: Source, truth: Truth) -> list[inputcheck.Finding]:
    blocks, n = [], inputcheck.MAX_SECONDS // CHUNK_SECONDS
    with opened(source) as path:
        for block in itertools.islice(_blocks(source, path, SAMPLE_RATE), n):
            blocks.append(block)
    return inputcheck.check_against(np.concatenate(blocks, axis=1), SAMPLE_RATE, truth.table)


def scores(estimate: pd.DataFrame, truth: Truth) -> dict:
    """DCASE 2020 measures of one clip."""
    return dcase.evaluate([(truth.table, estimate)], len(truth.classes))


def event_table(table: pd.DataFrame, classes: tuple[str, ...], truth: Truth | None) -> pd.DataFrame:
    """The events of a frame table (see ``labels``). If a ground truth has the same classes, two columns are added:
    ``error``, the mean distance in degrees to the reference event of its class (NaN without one), and ``found``, the share of its
    frames that are correct."""
    events = frame_tables.frames_to_events(table, classes)
    if truth is None or truth.classes != classes:
        return events
    outcomes = errors.classify(truth.table, table)
    same_class = outcomes.estimate_kind <= errors.WRONG_PLACE
    rows = pd.DataFrame(
        {
            "error": np.where(same_class, outcomes.estimate_distance, np.nan),
            "found": outcomes.estimate_kind == errors.CORRECT,
        }
    )
    runs = frame_tables.event_runs(table)
    means = rows.groupby(runs.of_row).mean()
    first = table.iloc[runs.first]
    means = means.assign(
        **{c: first[c].to_numpy() for c in ("class", "track")},
        onset=first["frame"].to_numpy() / LABEL_FRAMES_PER_SECOND,
    )
    return events.merge(means, on=["class", "track", "onset"], how="left")
