"""The paper's comparisons on data that anyone can make: simulate, train each system with one budget, evaluate, tabulate.

    table2   each format and PIT for detection alone and for directions alone
    table3   formats and parameter sharing in the joint task, without and with augmentation
    fig3     validation scores over the epochs with tPIT, cPIT and no PIT

OUT/data holds the scenes, OUT/runs the training runs, OUT/NAME.md and OUT/NAME.json the results. What stands there already
is kept: a command that was stopped goes on where it was.
"""

import dataclasses
import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import checkpoint, data, datasets, inference, labels, train
from .config import VERSION, FeatureConfig, ModelConfig, TrainConfig
from .decode import as_tracks, decode
from .files import write_json, write_text
from .metrics import dcase
from .metrics.identity import SwapCounts, swap_rate
from .metrics.intervals import intervals
from .metrics.tracks import OVERLAPS, DoaError, OverlapCounts, SedCounts, doa_alone, overlap_recall, sed_alone
from .simulate import SceneConfig, SoundFolder, SourceBank, write_scenes
from .systems import SYSTEMS, TABLES, Row

CLASSES = labels.DCASE2020_CLASSES
THRESHOLD = 0.5
HELD_OUT_SHARE = 0.2
SPLIT_SEED = 2020
# Two events in two thirds of the frames, a third of them of one class: with a small budget tracks are learnt from these.
DENSE: dict[str, Any] = dict(polyphonic_share=1.0, same_class_share=0.4, gap_seconds=0.1, event_seconds=(1.0, 5.0))
UNAUGMENTED: dict[str, Any] = dict(
    rotate=False, time_mask_frames=0, frequency_mask_bins=0, gain_db=0.0, filter_db=0.0, shift_bins=0
)


@dataclass(frozen=True)
class Scale:
    """How much of everything a comparison gets. Scenes last 60 s; the dense ones are ``DENSE``."""

    n_train: int
    n_dense: int
    n_validation: int
    n_test: int
    model: ModelConfig
    features: FeatureConfig
    train: TrainConfig


SCALES = {
    "small": Scale(
        n_train=800,
        n_dense=400,
        n_validation=12,
        n_test=30,
        model=ModelConfig.released(channels=(16, 32, 64, 128), feedforward=512, dropout=0.0),
        features=FeatureConfig(n_mels=64),
        train=TrainConfig(epochs=6, schedule="one-cycle", learning_rate=1e-3, batch_size=16),
    ),
    "paper": Scale(
        n_train=500,
        n_dense=0,
        n_validation=100,
        n_test=200,
        model=ModelConfig(),
        features=FeatureConfig(n_mels=256),
        train=TrainConfig(),
    ),
}


@dataclass(frozen=True)
class Folders:
    """Data sets for training, validation and test."""

    train: tuple[Path, ...]
    validation: tuple[Path, ...]
    test: tuple[Path, ...]


def simulate_data(
    out: Path,
    scale: Scale,
    sources: Path | None,
    workers: int = 1,
    progress: Callable = lambda stems, what, n: stems,
    seconds: int = 60,
) -> Folders:
    """Write the scenes that are not there yet: procedural sounds, or also the recordings of ``sources``, split so that none
    is on both sides. ``progress(iterator, what, n)`` wraps the scenes being written."""
    train_sounds = held_out_sounds = None
    scene = SceneConfig(seconds=seconds)
    if sources is not None:
        train_sounds, held_out_sounds = SoundFolder.scan(sources, CLASSES).split(HELD_OUT_SHARE, SPLIT_SEED)
    training = SourceBank(CLASSES, train_sounds, 0.2, strong=True)
    testing = SourceBank(CLASSES, held_out_sounds, 0.0)
    parts = {
        "train": (scale.n_train, training, 2026, dataclasses.replace(scene, polyphonic_share=0.85)),
        "train-dense": (scale.n_dense, training, 2028, dataclasses.replace(scene, **DENSE)),
        "validation": (scale.n_validation, testing, 55, scene),
        "test": (scale.n_test, testing, 91, scene),
    }
    for name, (n, bank, seed, config) in parts.items():
        for _ in progress(write_scenes(out / name, n, config, bank, seed, workers), f"scenes, {name}", n):
            pass
    train_parts = ("train", "train-dense") if scale.n_dense else ("train",)
    return Folders(tuple(out / name for name in train_parts), (out / "validation",), (out / "test",))


def run_row(row: Row, folders: Folders, out: Path, scale: Scale, seeds: Sequence[int]) -> dict:
    """Train and evaluate the systems of a row; {"title", "paper", "ours" (means over seeds), "seeds" (each seed's)}."""
    each = []
    for seed in seeds:
        results: dict[str, Any] = {}
        for name in row.systems:
            run = out / f"{name}{'' if row.augmented else '-plain'}-seed{seed}"
            _train(name, row.augmented, folders, run, scale, seed)
            trained = run / "last.safetensors"
            results |= evaluate(trained, folders.test) | {"curve": checkpoint.read_header(trained)["curve"]}
        each.append({"seed": seed, **results})
    keys = [k for k, v in each[0].items() if isinstance(v, float)]
    means = {k: float(np.mean([result[k] for result in each if result[k] is not None])) for k in keys}
    return {"title": row.title, "systems": list(row.systems), "paper": row.paper, "ours": means, "seeds": each}


def _train(name: str, augmented: bool, folders: Folders, run: Path, scale: Scale, seed: int) -> None:
    """Train a system to the end, or go on with its run."""
    base = dataclasses.replace(scale.train, seed=seed, **({} if augmented else UNAUGMENTED))
    model, config = SYSTEMS[name].apply(dataclasses.replace(scale.model, n_classes=len(CLASSES)), base)
    provenance = {
        "code": f"EINV2 Studio {VERSION}",
        "data": [folder.name for folder in folders.train],
        "date": datetime.date.today().isoformat(),
        "arguments": f"reproduce: {name}, {'augmented' if augmented else 'not augmented'}",
    }
    train.train(
        list(folders.train),
        run,
        model,
        scale.features,
        config,
        CLASSES,
        validation_dirs=list(folders.validation),
        resume=True,
        provenance=provenance,
    )


@torch.inference_mode()
def evaluate(file: Path, folders: Sequence[Path]) -> dict:
    """What a checkpoint scores on data sets. Keys by its task (see ``metrics``), each a float or None:

    both branches: ER, F, LE, LR, SELD (DCASE 2020), their 95 % ``intervals`` over clips, swap_rate, ``overlap``;
    with detection: F_alone (micro F over segments of 1 s, directions ignored); with directions: LE_alone (degrees; activity
    and class from the ground truth), LE_alone_single and LE_alone_overlap (frames of one, and of more events).
    A network of one task has its figure as F or LE, too.
    """
    loaded = checkpoint.load(file)
    task, output_format = loaded.model.task, loaded.model.output_format
    pairs, swaps, overlaps, sed_counts, doa_error = [], SwapCounts(), OverlapCounts(), SedCounts(), DoaError()
    for sed, doa, reference_sed, reference_doa in clip_outputs(loaded, folders):
        if task != "doa":
            sed_counts += sed_alone(sed, reference_sed, THRESHOLD)
        if task != "sed":
            doa_error += doa_alone(doa, reference_sed, reference_doa, output_format)
        if task == "seld":
            estimate, reference = decode(sed, doa, THRESHOLD), decode(reference_sed, reference_doa, 0.5)
            pairs.append((estimate, reference))
            swaps += swap_rate(sed, doa, reference_sed, reference_doa, THRESHOLD)
            overlaps += overlap_recall(estimate, reference)
    result: dict[str, Any] = {}
    if task == "seld":
        clips = dcase.tally_pairs(pairs, loaded.model.n_classes)
        result |= {k: float(v) for k, v in clips.sum().scores().items()}
        result |= {"swap_rate": swaps.rate, "overlap": overlaps.recall(), "intervals": intervals(clips)}
    if task != "doa":
        result |= {"F_alone": sed_counts.f} | ({"F": sed_counts.f} if task == "sed" else {})
    if task != "sed":
        keys = {
            "LE_alone": doa_error.le,
            "LE_alone_single": doa_error.le_single,
            "LE_alone_overlap": doa_error.le_overlap,
        }
        result |= keys | ({"LE": doa_error.le} if task == "doa" else {})
    return result


def clip_outputs(loaded: checkpoint.Checkpoint, folders: Sequence[Path]) -> Iterator[tuple]:
    """For each clip: sed (T, L, K) probabilities or None, doa (T, L, 3), reference sed (T, M, K) and doa (T, M, 3).

    A network with both branches says what ``predict`` says; of one branch, chunks stand end to end.
    """
    clips = datasets.find_clips(*folders)
    model = inference.Model(loaded) if loaded.model.task == "seld" else None
    chunks = data.ChunkSet(clips, loaded.features, loaded.model.n_tracks, loaded.classes, loaded.chunk_seconds)
    for index, (clip, (_, *reference)) in enumerate(zip(clips, chunks.items)):
        n = len(reference[0])
        if model is not None:
            prediction = model.predict(clip.audio)
            estimate = prediction.sed[:n], prediction.doa[:n]
        else:
            estimate = (None if part is None else part[:n] for part in _chunk_outputs(loaded, chunks, index))
        yield *estimate, *(part.astype(np.float32) for part in reference)


def _chunk_outputs(loaded: checkpoint.Checkpoint, chunks: data.ChunkSet, index: int) -> Iterator[np.ndarray | None]:
    """sed and doa of one clip, from chunks that do not overlap."""
    batch = chunks.batch([chunk for chunk in chunks.plan(None) if chunk[0] == index])
    x = (batch.features - loaded.feature_mean) / loaded.feature_std
    output = as_tracks(loaded.network(x), loaded.model)
    return (None if part is None else part.flatten(0, 1).numpy() for part in output)


COLUMNS = {"table2": ("F", "LE"), "table3": ("ER", "F", "LE", "LR"), "fig3": ("ER", "F", "LE", "LR")}
UNITS = {"ER": "ER", "F": "F", "LE": "LE (degrees)", "LR": "LR"}


def reproduce(
    name: str,
    out: Path,
    scale: Scale,
    folders: Folders,
    seeds: Sequence[int] = (2020,),
    systems: Sequence[str] = (),
) -> dict:
    """Run the rows of a table (those that use ``systems``, or all) and write OUT/NAME.md and OUT/NAME.json. Returns the
    latter. ValueError if ``systems`` names none of its systems."""
    rows = [row for row in TABLES[name] if not systems or set(row.systems) <= set(systems)]
    if not rows:
        known = dict.fromkeys(system for row in TABLES[name] for system in row.systems)
        raise ValueError(f"{name} has no row of {', '.join(systems)}; its systems are {', '.join(known)}.")
    results = []
    for row in rows:
        results.append(run_row(row, folders, out / "runs", scale, seeds))
        report = {"name": name, "seeds": list(seeds), "epochs": scale.train.epochs, "rows": results}
        write_json(out / f"{name}.json", report)
        write_text(out / f"{name}.md", markdown(name, report))
    return report


def markdown(name: str, report: dict) -> str:
    """The results as Markdown: the paper's figures beside ours, what overlaps and swaps do, and for fig3 the curves."""
    rows, columns = report["rows"], COLUMNS[name]
    seeds = ", ".join(map(str, report["seeds"]))
    what = "F: detection alone. LE: directions alone." if name == "table2" else "DCASE 2020 measure."
    parts = [
        f"# {name}: the paper's figures and ours",
        f"Ours: {report['epochs']} epochs, seeds {seeds}. The data are not the paper's: the order of the rows compares, not "
        f"the figures. F and LR from 0 to 1. {what}",
        _table(
            [f"{UNITS[c]}: {whose}" for c in columns for whose in ("paper", "ours")],
            {row["title"]: [_figure(c, row[w].get(c)) for c in columns for w in ("paper", "ours")] for row in rows},
        ),
    ]
    first = {row["title"]: row["seeds"][0] for row in rows}
    if all("overlap" in result for result in first.values()):
        parts += [
            "Share of the frames in which every event is found (right class, within 20 degrees), by what overlaps, and of the "
            "steps of 100 ms within an event that change its track. First seed.",
            _table([*OVERLAPS.values(), "swaps"], {title: _shares(result) for title, result in first.items()}),
        ]
    if name == "fig3":
        curves = {title: [_figure("SELD", e["SELD"]) for e in result["curve"]] for title, result in first.items()}
        parts += [
            "Validation SELD score (mean of ER, 1 - F, LE / 180, 1 - LR) after each epoch. First seed.",
            _table([f"epoch {i + 1}" for i in range(max(map(len, curves.values())))], curves),
        ]
    return "\n\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: dict[str, list[str]]) -> str:
    lines = [["", *columns], ["---"] * (len(columns) + 1), *([title, *cells] for title, cells in rows.items())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _shares(result: dict) -> list[str]:
    found = [result["overlap"][key]["found"] for key in OVERLAPS]
    return ["" if value is None else f"{value:.1%}" for value in (*found, result["swap_rate"])]


def _figure(column: str, value: float | None) -> str:
    return "" if value is None else f"{value:.1f}" if column == "LE" else f"{value:.3f}"
