"""How time and memory grow with the length of a clip, the number of clips and of processes; and the throughput of training.

Each length and each number of clips is measured in new processes, so that their memory is separate. Seconds are from the first clip
to the last CSV, after the process has started and loaded the model; memory is the largest resident memory of a process.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

from ..atomic_files import write_json
from ..audio import recordings
from ..audio.features import LogMelIntensity
from ..config import FeatureConfig, ModelConfig, TrainConfig
from ..datasets import chunking, discovery
from ..datasets.discovery import DataSelection
from ..frames import LABEL_FRAMES_PER_SECOND
from ..inference.model import CHUNK_SECONDS, load_model, resolve
from ..labels import class_lists, dcase_csv
from ..memory import keep_memory
from ..models.build import build
from ..paths import ROOT
from ..simulate.render import write_scenes
from ..simulate.scene import SceneConfig
from ..simulate.sources import SourceBank
from ..training import augmentation, loop
from ..training.losses import seld_losses
from ..training.run_folder import RunData, RunSettings
from . import bench

MINUTES = (1, 5, 15, 30, 60)
NUMBERS = (4, 8, 16, 32)
PROCESSES = (1, 2)
TURNS = 3  # repetitions, of which the median is taken


def run(
    model: str | Path = "einv2",
    minutes: Sequence[int] = MINUTES,
    numbers: Sequence[int] = NUMBERS,
    progress: Callable[[str], None] = lambda what: None,
) -> dict:
    """All measurements, as plain JSON values.

    "length": rows of minutes, seconds, memory_mb. "clips": rows of processes (one thread each), clips of 60 s, seconds,
    memory_mb (of the largest process), for each number of clips by one process and by two, alternating. "training": see
    ``training``.
    """
    file = resolve(model)
    with tempfile.TemporaryDirectory() as folder:
        results: dict = {"length": [], "clips": []}
        for length in minutes:
            progress(f"a clip of {length} min")
            results["length"].append(by_length(file, length, Path(folder)))
        for number in numbers:
            progress(f"{number} clips, {' and '.join(map(str, PROCESSES))} process(es) in turn")
            turns = [[by_number(file, number, n, Path(folder)) for n in PROCESSES] for _ in range(TURNS)]
            results["clips"] += [sorted(rows, key=lambda row: row["seconds"])[TURNS // 2] for rows in zip(*turns)]
        progress("training")
        results["training"] = training(Path(folder))
    return results


def by_length(model: Path, minutes: int, folder: Path) -> dict:
    """One clip of that length, by one process with all cores."""
    clip = folder / f"{minutes}_minutes.flac"
    minute = bench.clip(60).T
    with soundfile.SoundFile(clip, "w", recordings.SAMPLE_RATE, minute.shape[1], "PCM_16") as file:
        for _ in range(minutes):
            file.write(minute)
    (report,) = _predict(model, [clip], folder / f"{minutes}_minutes")
    clip.unlink()
    return {"minutes": minutes, **report}


def by_number(model: Path, number: int, processes: int, folder: Path) -> dict:
    """That number of clips of 60 s, shared by processes of one thread each under torchrun."""
    clips = [folder / f"clip{n}.wav" for n in range(number)]
    for n, clip in enumerate(clips):
        if not clip.exists():
            soundfile.write(clip, bench.clip(60, seed=n).T, recordings.SAMPLE_RATE, "PCM_16")
    out = folder / f"{number}_by_{processes}"
    shutil.rmtree(out, ignore_errors=True)  # of the previous repetition
    reports = _predict(model, clips, out, processes)
    largest = {name: max(report[name] for report in reports) for name in ("seconds", "memory_mb")}
    return {"processes": processes, "clips": number, **largest}


def _predict(model: Path, clips: Sequence[Path], out: Path, processes: int = 0) -> list[dict]:
    """The report of each process (``_measured``); 0 processes: one, with all cores. RuntimeError with its output if one fails."""
    out.mkdir()
    run_module = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}"] if processes else []
    command = [sys.executable, *run_module, "-m", "einv2.experiments.scaling", str(model), str(out), *map(str, clips)]
    environment = os.environ | ({"OMP_NUM_THREADS": "1"} if processes else {})
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the measurement failed: {done.stderr.strip()[-500:]}")
    return [json.loads(report.read_text()) for report in sorted(out.glob("report*.json"))]


def _measured(model: str, out: Path, clips: Sequence[str]) -> None:
    """The work of a process of ``_predict``: write its share of the clips as CSV, and a report of seconds and memory."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    loaded = load_model(model)
    loaded.predict_audio(bench.clip(2 * CHUNK_SECONDS))  # warm up
    began = time.perf_counter()
    for clip in clips[rank::world]:
        dcase_csv.write_csv(loaded.predict(clip).frames(), out / f"{Path(clip).stem}.csv")
    seconds = time.perf_counter() - began
    write_json(out / f"report{rank}.json", {"seconds": seconds, "memory_mb": bench.peak_memory_mb()})


def training(folder: Path) -> dict[str, float]:
    """The throughput of training in chunks per second, and relative to a plain loop, for two sizes of network.

    The plain loop computes the same in fp32, in PyTorch's default memory layout, and one step after the other: it reads the audio of
    each chunk, computes its features, and trains on the batch. ``_fp32``: ``train`` in the same precision. ``_auto``: as it runs by
    default, with bf16 products where the processor has them.
    """
    compact = ModelConfig.released(channels=(16, 32, 64, 128), feedforward=512, dropout=0.0)
    sizes = {
        "compact": (compact, FeatureConfig(), 16, 8),
        "paper_size": (ModelConfig(), FeatureConfig(n_mels=256), 5, 1),
    }
    results = {}
    for name, (model, features, batch_size, n_scenes) in sizes.items():
        scenes, validation = folder / f"train_{name}", folder / "validation"
        bank = SourceBank(class_lists.DCASE2020_CLASSES, None, 1.0)
        list(write_scenes(scenes, n_scenes, SceneConfig(), bank, seed=1))
        list(write_scenes(validation, 1, SceneConfig(seconds=CHUNK_SECONDS), bank, seed=2))
        plain = _plain_rate(scenes, model, features, batch_size)
        results[f"{name}_plain_chunks_per_s"] = plain
        for precision in ("fp32", "auto"):
            config = TrainConfig(epochs=2, batch_size=batch_size, precision=precision)
            settings = RunSettings(model, features, config, RunData(class_lists.DCASE2020_CLASSES))
            run = loop.train(folder / f"{name}_{precision}", settings, DataSelection((scenes,), (validation,)))
            rate = _n_chunks(n_scenes, batch_size) / run.curve[-1]["seconds"]  # the first epoch warms up
            results |= {f"{name}_{precision}_chunks_per_s": rate, f"{name}_{precision}_times_faster": rate / plain}
    return results


def _n_chunks(n_scenes: int, batch_size: int) -> int:
    """The chunks of an epoch over scenes of 60 s, in whole batches. Chunks start anywhere, so that a scene has one less than fit."""
    chunks = n_scenes * (bench.SECONDS // CHUNK_SECONDS - 1)
    return chunks - chunks % batch_size


def _plain_rate(scenes: Path, model: ModelConfig, features: FeatureConfig, batch_size: int) -> float:
    """Chunks per second of the plain loop, in its second epoch."""
    clips = discovery.find_clips(scenes)
    chunks = chunking.ChunkSet(clips, features, model.n_tracks, class_lists.DCASE2020_CLASSES, CHUNK_SECONDS)
    mean, std = chunks.statistics()
    config, rng = TrainConfig(batch_size=batch_size), np.random.default_rng(0)
    network, extract = build(model).train(), LogMelIntensity(features)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    seconds = 0.0
    for _ in range(2):
        plan = chunks.plan(rng)[: _n_chunks(len(clips), batch_size)]
        began = time.perf_counter()
        for first in range(0, len(plan), batch_size):
            signal, sed, doa = map(np.stack, zip(*(_read(chunks, clips, *c) for c in plan[first : first + batch_size])))
            batch = chunking.Sample(extract(torch.from_numpy(signal)), torch.from_numpy(sed), torch.from_numpy(doa))
            batch = augmentation.augment_features(batch, config, rng)
            x = augmentation.augment_standardised((batch.features - mean) / std, config, rng)
            losses = seld_losses(network(x), batch.sed, batch.doa, model)
            optimizer.zero_grad()
            losses.total.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
            optimizer.step()
        seconds = time.perf_counter() - began
    return len(plan) / seconds


def _read(chunks: chunking.ChunkSet, clips: Sequence[discovery.Clip], index: int, start: int) -> tuple[np.ndarray, ...]:
    """Audio (4, S), activities (T, M, K) and directions (T, M, 3) of a chunk of clip ``index`` from label frame ``start`` on."""
    samples = recordings.SAMPLE_RATE // LABEL_FRAMES_PER_SECOND
    frames = slice(start, start + chunks.label_frames)
    signal, _ = soundfile.read(
        clips[index].audio, chunks.label_frames * samples, start * samples, dtype="float32", always_2d=True
    )
    return signal.T, *(part[frames].astype(np.float32) for part in chunks.items[index][1:])


if __name__ == "__main__":
    keep_memory()
    _measured(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
