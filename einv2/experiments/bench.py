"""How fast the library is on this machine: the operations that a user waits for.

Every figure is the median of several calls in this process, in seconds unless its name has another unit; compare figures of one run
only. The reference points are PyTorch's eager forward pass of the same weights, chunk by chunk, and the STFT of torch and of
librosa on the same clip.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch

from .. import evaluation, geometry
from ..audio import inputcheck, recordings
from ..audio.features import LogMelIntensity
from ..audio.foa import encode
from ..checkpoints import checkpoint
from ..config import FeatureConfig, ModelConfig
from ..frames import CHUNK_SECONDS, LABEL_FRAMES_PER_SECOND
from ..inference.decoding import decode
from ..inference.model import Model, load_model, resolve
from ..inference.runner import batch_chunks
from ..labels import class_lists, dcase_csv
from ..labels.clip_sets import Clips
from ..models import acceleration
from ..models.build import build
from ..simulate.render import render
from ..simulate.scene import SceneConfig, sample_scene
from ..simulate.sources import SourceBank

SECONDS = 60
N_CLIPS = 100


def clip(seconds: int = SECONDS, sample_rate: int = recordings.SAMPLE_RATE, seed: int = 0) -> np.ndarray:
    """A test signal (4, S): noise that comes from a new direction each second."""
    rng = np.random.default_rng(seed)
    mono = 0.1 * rng.standard_normal((seconds, sample_rate)).astype(np.float32)
    directions = zip(mono, rng.uniform(-180, 180, seconds), rng.uniform(-60, 60, seconds))
    return np.concatenate([encode(part, *direction) for part, *direction in directions], axis=1)


def tables(n_clips: int = N_CLIPS, n_classes: int = 14, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(estimate, reference) of clips of 60 s with two events at a time; the estimate lacks some rows, and its azimuths have errors."""
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
    """Median wall-clock seconds of a call, after one call to warm up."""
    function()
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def peak_memory_mb() -> float:
    """The largest resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def forwards(network: torch.nn.Module, model: ModelConfig, features: FeatureConfig, name: str) -> dict[str, float]:
    """A forward pass of 60 s: eager, chunk by chunk; and with ``models.acceleration``, in each precision."""
    frames = CHUNK_SECONDS * LABEL_FRAMES_PER_SECOND * features.frames_per_label_frame
    x = torch.randn(SECONDS // CHUNK_SECONDS, 7, frames, features.n_mels, generator=torch.Generator().manual_seed(0))
    network = network.eval()
    figures = {}
    with torch.inference_mode():
        figures[f"{name}_eager_s"] = measure(lambda: [network(chunk[None]) for chunk in x])
        for precision in acceleration.PRECISIONS:
            size = batch_chunks(model.channels[0], features.n_mels, precision)
            figures[f"{name}_{precision}_s"] = _fitted_seconds(network, x.split(size), precision)
            figures[f"{name}_{precision}_times_faster"] = figures[f"{name}_eager_s"] / figures[f"{name}_{precision}_s"]
    return figures


def _fitted_seconds(network: torch.nn.Module, batches: Sequence[torch.Tensor], precision: str) -> float:
    fitted = acceleration.for_inference(network, precision)
    batches = [batch.to(getattr(torch, precision)) for batch in batches]
    return measure(lambda: [fitted(batch) for batch in batches])


def transforms(loaded: Model, signal: np.ndarray) -> dict[str, float]:
    """An STFT alone, in torch and librosa: a reference point for the features, which contain one."""
    from librosa import stft

    config, x = loaded.checkpoint.features, torch.from_numpy(signal)
    window = torch.hann_window(config.n_fft)
    return {
        "torch_stft_60_s_s": measure(
            lambda: torch.stft(x, config.n_fft, config.hop, window=window, return_complex=True)
        ),
        "librosa_stft_60_s_s": measure(lambda: stft(signal, n_fft=config.n_fft, hop_length=config.hop)),
    }


def file_to_csv(loaded: Model, signal: np.ndarray) -> dict[str, float]:
    """What ``predict`` does with a clip of 60 s, once the process is started and the model loaded."""
    with tempfile.TemporaryDirectory() as folder:
        clip, csv = Path(folder) / "clip.wav", Path(folder) / "clip.csv"
        soundfile.write(clip, signal.T, loaded.sample_rate, subtype="PCM_16")
        seconds = measure(lambda: dcase_csv.write_csv(loaded.predict(clip).frames(), csv))
    return {"file_to_csv_60_s_s": seconds, "file_to_csv_times_faster_than_sound": SECONDS / seconds}


def simulation() -> dict[str, float]:
    """Rendering a scene of 60 s with two static sources on one core."""
    config = SceneConfig(moving_share=0.0, polyphonic_share=1.0)
    bank, threads = SourceBank(class_lists.DCASE2020_CLASSES, None, 1.0), torch.get_num_threads()
    torch.set_num_threads(1)
    scene = sample_scene(config, len(bank.classes), np.random.default_rng(0))
    seconds = measure(lambda: render(scene, bank))
    torch.set_num_threads(threads)
    return {"simulate_60_s_s": seconds, "simulate_times_faster_than_sound": config.seconds / seconds}


def run(model: str | Path = "einv2", paper_size: bool = True) -> dict[str, float]:
    """Figures by name; paper_size: also measure a network of the paper's size. ValueError if there is no such model."""
    path = resolve(model)
    loaded = Model(checkpoint.load(path), name=path.name)
    signal = clip(sample_rate=loaded.sample_rate)
    extract = LogMelIntensity(loaded.checkpoint.features)
    prediction = loaded.predict_audio(signal)
    estimate, reference = tables()
    n_frames = np.full(N_CLIPS, SECONDS * LABEL_FRAMES_PER_SECOND)
    clips = Clips(tuple(map(str, range(N_CLIPS))), estimate, reference, class_lists.DCASE2020_CLASSES, n_frames, ())
    figures = {
        "load_model_s": measure(lambda: load_model(path)),
        "input_check_60_s_s": measure(lambda: inputcheck.check(signal, loaded.sample_rate)),
        "features_60_s_s": measure(lambda: extract(torch.from_numpy(signal[None]))),
        "predict_60_s_s": measure(lambda: loaded.predict_audio(signal)),
        "decode_60_s_s": measure(lambda: decode(prediction.sed, prediction.doa)),
        f"evaluate_{N_CLIPS}_clips_s": measure(lambda: evaluation.evaluate_clips(clips)),
    }
    figures["times_faster_than_sound"] = SECONDS / figures["predict_60_s_s"]
    figures |= transforms(loaded, signal) | file_to_csv(loaded, signal) | simulation()
    figures |= forwards(loaded.checkpoint.network, loaded.checkpoint.model, loaded.checkpoint.features, "this")
    model, features = ModelConfig(), FeatureConfig(n_mels=256)
    figures |= forwards(build(model), model, features, "paper_size") if paper_size else {}
    figures["peak_memory_mb"] = peak_memory_mb()
    return figures
