"""The only calls into einv2 that cost time. Results live in the session that asked for them, a few at most."""

import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import soundfile
import streamlit as st
import torch

from app.state import ANALYSES, Source
from einv2 import audio, features, inference, inputcheck, labels
from einv2.config import LABEL_FRAMES_PER_SECOND, FeatureConfig
from einv2.decode import decode
from einv2.features import LOGMEL, LogMelIntensity
from einv2.metrics import dcase

MAX_SECONDS = 600  # of a clip on a page; longer ones go through the command line
KEPT_ANALYSES = 3  # in a session
MAX_LANES = 8  # of simultaneous reference events drawn; all are scored
DISPLAY_MELS = 96
DISPLAY_FRAMES = 2  # feature frames of 25 ms in a column of the spectrogram


@dataclass(frozen=True)
class Analysis:
    """All that the page shows of a clip.

    spectrogram (4, columns, mels) int8: level of W, Y, Z, X in dB, rounded, in columns of column_seconds and bands around
    mel_hz. listen: stereo FLAC.
    """

    info: audio.ClipInfo
    prediction: inference.Prediction
    spectrogram: np.ndarray
    column_seconds: float
    mel_hz: np.ndarray
    findings: list
    listen: bytes
    seconds: float


@st.cache_resource(max_entries=4, show_spinner=False)
def load_model(name: str) -> inference.Model:
    return inference.load(name)


def analyse(source: Source, model_name: str, progress: Callable[[float, str], None]) -> Analysis:
    """Check, transform and run a clip; from the session if it was done before. audio.AudioError if it cannot be used."""
    kept: dict = st.session_state.setdefault(ANALYSES, {})
    key = (source.digest, source.name, model_name)
    if key not in kept:
        progress(0.0, "Loading the network")
        kept[key] = _analyse(source, load_model(model_name), progress)
        for old in list(kept)[:-KEPT_ANALYSES]:
            del kept[old]
    return kept[key]


def _analyse(source: Source, model: inference.Model, progress) -> Analysis:
    with tempfile.NamedTemporaryFile(suffix=source.suffix) as file:
        file.write(source.data)
        file.flush()
        info = audio.probe(file.name, name=source.name)
        if info.seconds > MAX_SECONDS:
            raise audio.AudioError(
                f"{source.name}: lasts {info.seconds / 60:.1f} minutes; a page shows at most {MAX_SECONDS // 60} minutes. "
                "`python -m einv2 predict` takes any length."
            )
        progress(0.02, f"Reading {info.seconds:.1f} s at {info.sample_rate} Hz")
        observer = _Observer(_display_features(model.sample_rate))
        blocks = audio.stream(file.name, model.sample_rate, inference.CHUNK_SECONDS, name=source.name)

        def report(seconds: float) -> None:
            progress(min(seconds / info.seconds, 1.0), f"{seconds:.0f} of {info.seconds:.0f} s through the network")

        prediction = model.predict_blocks(observer.watch(blocks), report)
    return Analysis(
        info=info,
        prediction=prediction,
        spectrogram=np.concatenate(observer.columns, axis=1),
        column_seconds=DISPLAY_FRAMES * observer.config.hop / observer.config.sample_rate,
        mel_hz=features.mel_centres(observer.config),
        findings=inputcheck.check(observer.start(), model.sample_rate),
        listen=_flac(observer.stereo, model.sample_rate),
        seconds=len(prediction.sed) / LABEL_FRAMES_PER_SECOND,
    )


def _display_features(sample_rate: int) -> FeatureConfig:
    """Frames of 25 ms at the rate that the network hears."""
    return FeatureConfig(
        sample_rate=sample_rate, hop=sample_rate // 40, n_mels=DISPLAY_MELS, f_max=min(12000.0, sample_rate / 2)
    )


class _Observer:
    """Takes what the page needs from blocks of audio on their way to the network, so that a clip is read once."""

    def __init__(self, config: FeatureConfig):
        self.config = config
        self.extract = LogMelIntensity(config)
        self.columns, self.stereo, self.kept = [], [], []

    def watch(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        samples = 0
        for block in blocks:
            if samples < inputcheck.MAX_SECONDS * self.config.sample_rate:
                self.kept.append(block)
            samples += block.shape[1]
            self.columns.append(self._levels(block))
            self.stereo.append(_stereo(block))
            yield block

    def start(self) -> np.ndarray:
        return np.concatenate(self.kept, axis=1)

    @torch.inference_mode()
    def _levels(self, block: np.ndarray) -> np.ndarray:
        """(4, columns, mels) int8 dB."""
        shortest = self.config.n_fft
        if block.shape[1] < shortest:
            block = np.pad(block, ((0, 0), (0, shortest - block.shape[1])))
        logmel = self.extract(torch.from_numpy(block[None]))[0, LOGMEL, :-1].numpy()
        n = -(-logmel.shape[1] // DISPLAY_FRAMES)
        logmel = np.pad(logmel, ((0, 0), (0, n * DISPLAY_FRAMES - logmel.shape[1]), (0, 0)), "edge")
        levels = logmel.reshape(4, n, DISPLAY_FRAMES, -1).max(axis=2)
        return np.clip(np.rint(levels), -128, 127).astype(np.int8)


def _stereo(block: np.ndarray) -> np.ndarray:
    """Two cardioids, to the left and to the right: (W + Y) / 2 and (W - Y) / 2, int16 (S, 2)."""
    w, y = block[0], block[1]
    pair = np.stack([w + y, w - y], axis=1) / 2
    return np.rint(np.clip(pair, -1, 1) * 32767).astype(np.int16)


def _flac(parts: list[np.ndarray], sample_rate: int) -> bytes:
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", sample_rate, 2, "PCM_16", format="FLAC") as file:
        for part in parts:
            file.write(part)
    return buffer.getvalue()


@dataclass(frozen=True)
class Truth:
    """Ground truth as shown: its frame table up to the end of the clip (lanes: the same on drawn lanes), and what was left out."""

    name: str
    table: pd.DataFrame
    lanes: pd.DataFrame
    classes: tuple[str, ...]
    frames_beyond: int
    rows_hidden: int


def read_truth(source: Source, classes: tuple[str, ...], n_frames: int) -> Truth | None:
    """The ground truth that came with a clip. ValueError in one sentence if it cannot be read with these classes."""
    if source.truth is None:
        return None
    table = labels.read_csv(io.BytesIO(source.truth), classes, name=source.truth_name)
    inside = table[table["frame"] < n_frames]
    sed, doa, hidden = labels.to_tracks(inside, n_frames, MAX_LANES, len(classes))
    beyond = table["frame"].nunique() - inside["frame"].nunique()
    return Truth(source.truth_name, inside, decode(sed, doa), classes, beyond, hidden)


def scores(estimate: pd.DataFrame, truth: Truth) -> dict:
    """DCASE 2020 measures of one clip."""
    return dcase.evaluate([(estimate, truth.table)], len(truth.classes))
