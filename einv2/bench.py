"""How fast the library is on this machine: what a user waits for, each measured a few times.

Every figure is the median of several runs in this process, in seconds or as it says; compare within one run.
"""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from . import audio, evaluation, geometry, inference, inputcheck, labels
from .config import LABEL_FRAMES_PER_SECOND
from .decode import decode
from .features import LogMelIntensity
from .foa import encode
from .metadata import Clips

SECONDS = 60
N_CLIPS = 100


def clip(seconds: int = SECONDS, sample_rate: int = audio.SAMPLE_RATE, seed: int = 0) -> np.ndarray:
    """A signal (4, S) to measure with: noise that comes from a new direction each second."""
    rng = np.random.default_rng(seed)
    mono = 0.1 * rng.standard_normal((seconds, sample_rate)).astype(np.float32)
    directions = zip(mono, rng.uniform(-180, 180, seconds), rng.uniform(-60, 60, seconds))
    return np.concatenate([encode(part, *direction) for part, *direction in directions], axis=1)


def tables(n_clips: int = N_CLIPS, n_classes: int = 14, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(estimate, reference) of clips of 60 s with two events at a time, of which the estimate loses and moves some."""
    rng = np.random.default_rng(seed)
    n_events = n_clips * 2 * SECONDS // 3
    events = pd.DataFrame({"event": range(n_events), "class": rng.integers(0, n_classes, n_events)})
    events["clip"], events["track"] = events["event"] % n_clips, events["event"] // n_clips % 2
    events["first"] = events["event"] // (2 * n_clips) * 30
    events["azimuth"], events["elevation"] = rng.integers(-180, 180, n_events), rng.integers(-40, 40, n_events)
    reference = events.loc[events.index.repeat(25)].reset_index(drop=True)
    reference["frame"] = reference["first"] + np.tile(np.arange(25), n_events)
    reference = reference[["clip", "frame", "class", "track", "azimuth", "elevation"]].astype(float)
    reference = reference.astype(dict.fromkeys(("clip", "frame", "class", "track"), int)).assign(distance=np.nan)
    reference = reference.sort_values(["clip", "frame"], ignore_index=True)
    off = geometry.wrap_azimuth(reference["azimuth"] + rng.normal(0, 10, len(reference)))
    return reference.assign(azimuth=off)[rng.random(len(reference)) < 0.8], reference


def measure(function: Callable[[], object], runs: int = 3) -> float:
    """Median wall-clock seconds of a call, after one that does not count."""
    function()
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def run(model: str | Path = "einv2") -> dict[str, float]:
    """Name, with its unit, to figure. ValueError if there is no such model."""
    path = inference.resolve(model)
    loaded = inference.load(path)
    signal = clip(sample_rate=loaded.sample_rate)
    extract = LogMelIntensity(loaded.checkpoint.features)
    prediction = loaded.predict_audio(signal)
    estimate, reference = tables()
    n_frames = np.full(N_CLIPS, SECONDS * LABEL_FRAMES_PER_SECOND)
    clips = Clips(tuple(map(str, range(N_CLIPS))), estimate, reference, labels.DCASE2020_CLASSES, n_frames, ())
    found = {
        "load_model_s": measure(lambda: inference.load(path)),
        "input_check_60_s_s": measure(lambda: inputcheck.check(signal, loaded.sample_rate)),
        "features_60_s_s": measure(lambda: extract(torch.from_numpy(signal[None]))),
        "predict_60_s_s": measure(lambda: loaded.predict_audio(signal)),
        "decode_60_s_s": measure(lambda: decode(prediction.sed, prediction.doa)),
        f"evaluate_{N_CLIPS}_clips_s": measure(lambda: evaluation.evaluate_clips(clips)),
    }
    found["times_faster_than_sound"] = SECONDS / found["predict_60_s_s"]
    found["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 if sys.platform == "darwin" else 1024
    )
    return found
