"""The paper's comparisons on data that anyone can make: simulate, train each system with one budget, evaluate, tabulate.

    table2   each format and PIT for detection alone and for directions alone
    table3   formats and parameter sharing in the joint task, without and with augmentation
    fig3     localisation error over the epochs of networks for directions alone: SELDnet format, no PIT, cPIT, tPIT

OUT/data holds the scenes, OUT/runs the training runs, OUT/NAME.md and OUT/NAME.json the results. What stands there already
is kept: a command that was stopped goes on where it was. Where the setting is not the paper's is told in ``DEVIATIONS``, which
is written below the results.
"""

import dataclasses
import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..atomic_files import write_json, write_text
from ..checkpoints import checkpoint
from ..config import FeatureConfig, ModelConfig, TrainConfig
from ..datasets import chunking, class_decision, discovery
from ..datasets.discovery import DataSelection
from ..frames import LABEL_FRAMES_PER_SECOND
from ..inference.model import OVERLAP_SECONDS, BranchModel, Model
from ..labels import class_lists
from ..messages import counted
from ..metrics import dcase
from ..metrics.intervals import intervals
from ..metrics.single_task import OVERLAPS
from ..permutations import MAX_TRACKS
from ..simulate.render import write_scenes
from ..simulate.scene import SceneConfig
from ..simulate.sources import SoundFolder, SourceBank
from ..training import loop
from ..training.run import RunOptions
from ..training.run_folder import RunData, RunSettings
from ..training.scoring import THRESHOLD, ClipOutput, Outputs
from .deviations import DEVIATIONS
from .systems import QUOTED, SYSTEMS, TABLES, Row

HELD_OUT_SHARE = 0.2
SPLIT_SEED = 2020
FIRST_SEED = 2020
# Two events in two thirds of the frames, a third of them of one class: with a small budget tracks are learnt from these.
DENSE: dict[str, Any] = dict(polyphonic_share=1.0, same_class_share=0.4, gap_seconds=0.1, event_seconds=(1.0, 5.0))
PLAIN: dict[str, Any] = dict(
    rotate=False, time_mask_frames=0.0, frequency_mask_bins=0.0, gain_db=0.0, filter_db=0.0, shift_bins=0
)
# Rotation and SpecAugment, the latter's masks as wide as the defaults say
AUGMENTED = PLAIN | {f: getattr(TrainConfig(), f) for f in ("rotate", "time_mask_frames", "frequency_mask_bins")}


@dataclass(frozen=True)
class Scale:
    """How much of everything a comparison gets. Scenes last 60 s; the dense ones are ``DENSE``.

    The augmentation of ``train`` is not looked at: rows have ``PLAIN`` or ``AUGMENTED``. overlap_seconds: of the chunks at
    test time, None as ``predict`` has it. n_frames: how many of each clip are scored, None up to its last reference event.
    """

    n_train: int
    n_dense: int
    n_validation: int
    n_test: int
    model: ModelConfig
    features: FeatureConfig
    train: TrainConfig
    n_seeds: int = 1
    overlap_seconds: float | None = None
    n_frames: int | None = None


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
        train=TrainConfig(weight_decay=0.01, clip_norm=0.0, chunk_offset=False, precision="fp32"),
        n_seeds=5,
        overlap_seconds=0.0,
        n_frames=60 * LABEL_FRAMES_PER_SECOND,
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
        train_sounds, held_out_sounds = SoundFolder.scan(sources, class_lists.DCASE2020_CLASSES).split(
            HELD_OUT_SHARE, SPLIT_SEED
        )
    training = SourceBank(class_lists.DCASE2020_CLASSES, train_sounds, 0.2, strong=True)
    testing = SourceBank(class_lists.DCASE2020_CLASSES, held_out_sounds, 0.0)
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


def fitted(scale: Scale, folders: Folders) -> tuple[Scale, tuple[str, ...]]:
    """The scale with as many classes and tracks as the data have, told as by ``train``, and the class list.

    ValueError if a recording is in two of the roles, or the class list is not clear.
    """
    clips = {role: discovery.find_clips(*getattr(folders, role)) for role in ("train", "validation", "test")}
    roles: dict[tuple[int, int], str] = {}
    for role, of_role in clips.items():
        for clip in of_role:
            status = os.stat(clip.audio)  # the same for one file by several paths
            if (other := roles.setdefault((status.st_dev, status.st_ino), role)) != role:
                raise ValueError(
                    f"{clip.audio} is in the data for {other} and for {role}: give --data, --validation and --test folders "
                    "that share no recording."
                )
    classes = class_decision.class_list([clip for of_role in clips.values() for clip in of_role]).names
    events = discovery.largest_overlap(clips["train"], classes)
    n_tracks = min(max(events, scale.model.n_tracks), MAX_TRACKS)
    model = dataclasses.replace(scale.model, n_classes=len(classes), n_tracks=n_tracks)
    return dataclasses.replace(scale, model=model), classes


def run_row(
    row: Row,
    folders: Folders,
    out: Path,
    scale: Scale,
    seeds: Sequence[int],
    systems: Sequence[str],
    classes: tuple[str, ...],
) -> dict:
    """Train and evaluate those ``systems`` that are of a row: {"title", "systems", "paper", "paper_spread", "ours" (means over
    seeds), "spread" (standard deviations over them, from two on), "le_by_epoch" (validation, mean over seeds; where directions
    are trained), "seeds" (each seed's)}."""
    names, each, curves = [name for name in row.systems if name in systems], [], []
    for seed in seeds if names else ():
        results: dict[str, Any] = {}
        for name in names:
            run = out / f"{name}{'' if row.augmented else '-plain'}-seed{seed}"
            _train(name, row.augmented, folders, run, scale, seed, classes)
            trained = run / "last.safetensors"
            results |= evaluate(trained, folders.test, scale.overlap_seconds, scale.n_frames)
            results["curve"] = checkpoint.read_header(trained)["curve"]
        curves.append([epoch["LE"] for epoch in results["curve"]])
        each.append({"seed": seed, **results})
    values = {k: [result[k] for result in each if result[k] is not None] for k in _figures(each)}
    known = {k: v for k, v in values.items() if v}
    return {
        "title": row.title,
        "systems": names,
        "paper": row.paper,
        "paper_spread": row.spread,
        "ours": {k: float(np.mean(v)) for k, v in known.items()},
        "spread": {k: float(np.std(v, ddof=1)) for k, v in known.items() if len(v) > 1},
        "le_by_epoch": [None if None in les else float(np.mean(les)) for les in zip(*curves)],
        "seeds": each,
    }


def _figures(results: Sequence[dict]) -> list[str]:
    """The keys under which some of the results has a figure."""
    return list(dict.fromkeys(k for result in results for k, v in result.items() if isinstance(v, float)))


def _train(
    name: str, augmented: bool, folders: Folders, run: Path, scale: Scale, seed: int, classes: tuple[str, ...]
) -> None:
    """Train a system to the end, or go on with its run."""
    base = dataclasses.replace(scale.train, seed=seed, **(AUGMENTED if augmented else PLAIN))
    model, config = SYSTEMS[name].apply(scale.model, base)
    provenance = {
        "code": f"EINV2 Studio {__version__}",
        "data": [folder.name for folder in folders.train],
        "date": datetime.date.today().isoformat(),
        "arguments": f"reproduce: {name}, {'augmented' if augmented else 'not augmented'}",
    }
    settings = RunSettings(model, scale.features, config, RunData(classes))
    data = DataSelection(folders.train, folders.validation)
    loop.train(run, settings, data, RunOptions(resume=True, provenance=provenance))


def evaluate(
    file: Path, folders: Sequence[Path], overlap_seconds: float | None = None, n_frames: int | None = None
) -> dict:
    """What a checkpoint scores on data sets, against the whole ground truth. Keys by its task, each a float or None:

    both branches: ER, F, LE, LR, SELD (DCASE 2020, as ``predict`` and ``evaluate`` give them), their 95 % ``intervals`` over
    clips, swap_rate, ``overlap``; with detection: F_alone (micro F over segments of 1 s, directions ignored); with directions:
    LE_alone (degrees; activity and class from the ground truth), LE_alone_single and LE_alone_overlap (frames of one, and of
    more events). A network of one task has its figure as F or LE, too.

    LE_alone puts events on tracks in the order that fits best. With a network of directions alone that was trained without PIT
    they stand on the tracks that it was trained for, and LE_best_order has the other figure. overlap_seconds, n_frames: as of
    a ``Scale``.
    """
    loaded = checkpoint.load(file)
    task, trained = loaded.model.task, loaded.provenance.get("train")
    pit = trained.get("pit", "") if isinstance(trained, dict) else ""
    outputs = Outputs(list(clip_outputs(loaded, folders, overlap_seconds)), loaded.model, pit)
    result: dict[str, Any] = {}
    if task == "seld":
        clips = dcase.tally_pairs(outputs.pairs(in_whole_degrees=True), loaded.model.n_classes, n_frames=n_frames)
        result |= {k: float(v) for k, v in clips.sum().scores().items()}
        result |= {
            "swap_rate": outputs.swaps().rate,
            "overlap": outputs.overlaps().recall(),
            "intervals": intervals(clips),
        }
    if task != "doa":
        detection = outputs.detection()
        result |= {"F_alone": detection.f} | ({"F": detection.f} if task == "sed" else {})
    if task != "sed":
        error = outputs.directions()
        result |= {"LE_alone": error.le, "LE_alone_single": error.le_single, "LE_alone_overlap": error.le_overlap}
        result |= {"LE": error.le} if task == "doa" else {}
        result |= {"LE_best_order": outputs.directions(in_best_order=True).le} if outputs.on_trained_tracks else {}
    return result


def clip_outputs(
    loaded: checkpoint.Checkpoint, folders: Sequence[Path], overlap_seconds: float | None = None
) -> Iterator[ClipOutput]:
    """The outputs on each clip: as ``predict`` writes them, with chunks end to end for a network of one task."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Model | BranchModel
    if loaded.model.task == "seld":
        model = Model(loaded, device, overlap_seconds=overlap_seconds)
    else:
        model = BranchModel(loaded, device, overlap_seconds=0.0)
    for clip in discovery.find_clips(*folders):
        prediction = model.predict(clip.audio)
        n_frames = len(next(part for part in (prediction.sed, prediction.doa) if part is not None))
        reference = chunking.reference(clip, loaded.classes, n_frames, loaded.model.n_tracks)
        yield ClipOutput(prediction.sed, prediction.doa, reference)


COLUMNS = {"table2": ("F", "LE"), "table3": ("ER", "F", "LE", "LR"), "fig3": ("LE",)}
UNITS = {"ER": "ER", "F": "F", "LE": "LE (degrees)", "LR": "LR"}


def reproduce(
    name: str,
    out: Path,
    scale: Scale,
    folders: Folders,
    seeds: Sequence[int] = (FIRST_SEED,),
    systems: Sequence[str] = (),
) -> dict:
    """Run ``systems`` of a table, or all of it, and write OUT/NAME.md and OUT/NAME.json. Returns the latter.

    A row that compares two systems of which one was asked for has that one's figure. ValueError if the table lacks one of
    ``systems``, or the data do not do (``fitted``).
    """
    known = list(dict.fromkeys(system for row in TABLES[name] for system in row.systems))
    if unknown := [system for system in systems if system not in known]:
        raise ValueError(f"{name} has no system {', '.join(unknown)}; it has {', '.join(known)}.")
    scale, classes = fitted(scale, folders)
    asked = systems or known
    rows = [row for row in TABLES[name] if not row.systems or set(row.systems) & set(asked)]
    results = []
    for row in rows:
        results.append(run_row(row, folders, out / "runs", scale, seeds, asked, classes))
        report = {
            "name": name,
            "seeds": list(seeds),
            "epochs": scale.train.epochs,
            "settings": settings(scale),
            "rows": results,
        }
        write_json(out / f"{name}.json", report)
        write_text(out / f"{name}.md", markdown(name, report))
    return report


def settings(scale: Scale) -> dict[str, str]:
    """What a reader has to know of a scale beside the table, by what it is about."""
    config, overlap = scale.train, scale.overlap_seconds
    low = f"{config.learning_rate:g}, a tenth of it for the last tenth of the epochs"
    masks = (
        AUGMENTED["time_mask_frames"] * config.chunk_seconds,
        AUGMENTED["frequency_mask_bins"] * scale.features.n_mels,
    )
    joined = "end to end" if overlap == 0 else f"overlap by {overlap or OVERLAP_SECONDS:g} s"
    return {
        "Network": f"{counted(scale.model.n_tracks, 'track')}, {counted(scale.model.n_classes, 'class', 'classes')}, channels "
        f"{', '.join(map(str, scale.model.channels))}, track layers {scale.model.track_layer}, {scale.features.n_mels} mel bands",
        "Training": f"{counted(config.epochs, 'epoch')}, batches of {config.batch_size} chunks of {config.chunk_seconds} s "
        f"{'from a random place on' if config.chunk_offset else 'end to end'}, AdamW at "
        f"{low if config.schedule == 'steps' else f'one cycle to {config.learning_rate:g}'}, weight decay {config.weight_decay:g}, "
        + (f"gradient norm at most {config.clip_norm:g}" if config.clip_norm else "gradients not clipped"),
        "Augmentation": "rows with “augmented”: rotation (16 patterns) and SpecAugment (a mask of up to "
        f"{masks[0]:g} s and one of up to {masks[1]:.0f} bands), nothing else; the others: none",
        "Test": f"last epoch, threshold {THRESHOLD:g}; chunks of networks for both tasks {joined}, of others end to end; "
        + (
            "up to the last event of the ground truth, as `evaluate`"
            if scale.n_frames is None
            else f"{scale.n_frames / LABEL_FRAMES_PER_SECOND:g} s of every clip, as `evaluate --seconds`"
        ),
    }


NOTES = {
    "table2": "F, from 0 to 1: detection alone, micro average over segments of 1 s, directions ignored. LE: directions alone, "
    "activity and class from the ground truth, whose events stand on the tracks in the order that fits best; without PIT on the "
    "tracks that the labels gave them in training.",
    "table3": "DCASE 2020 measure; F and LR from 0 to 1.",
    "fig3": "LE of directions alone, as in Table 2, whose figures stand for the ends of the paper's curves: activity and class from "
    "the ground truth, whose events stand on the tracks in the order that fits best, without PIT on the tracks that the labels "
    "gave them. First table: test set, last epoch.",
}


def markdown(name: str, report: dict) -> str:
    """The results as Markdown: the paper's figures beside ours, what overlaps and swaps do, for fig3 the curves; the settings, and
    where they are not the paper's."""
    rows, columns, seeds = report["rows"], COLUMNS[name], report["seeds"]
    over = f", mean ± standard deviation over {len(seeds)} seeds" if len(seeds) > 1 else ", one seed"
    sides = (("paper", "paper_spread"), ("ours", "spread"))
    parts = [
        f"# {name}: the paper's figures and ours",
        f"Ours: {counted(report['epochs'], 'epoch')}{over} ({', '.join(map(str, seeds))}). The data are the paper's only if you "
        f"gave them; on others the order of the rows compares, not the figures. {NOTES[name]}",
        _table(
            [f"{UNITS[c]}: {whose}" for c in columns for whose, _ in sides],
            {
                row["title"]: [_figure(c, row[w].get(c), row[s].get(c)) for c in columns for w, s in sides]
                for row in rows
            },
        ),
    ]
    if any(not row["systems"] for row in rows):
        parts.append(QUOTED)
    first = {row["title"]: row["seeds"][0] for row in rows if row["seeds"]}
    if first and all("overlap" in result for result in first.values()):
        parts += [
            "Share of the frames in which every event is found (right class, within 20 degrees), by what overlaps, and of the "
            "steps of 100 ms within an event that change its track. First seed.",
            _table([*OVERLAPS.values(), "swaps"], {title: _shares(result) for title, result in first.items()}),
        ]
    if name == "fig3":
        curves = [row["le_by_epoch"] for row in rows]
        parts += [
            "## LE (degrees) over the epochs",
            "Validation set, after each epoch; mean over the seeds.",
            _table(
                [row["title"] for row in rows],
                {f"epoch {n}": [_figure("LE", le) for le in each] for n, each in enumerate(zip(*curves), 1)},
            ),
        ]
    parts += ["## Settings", "\n".join(f"- {what}: {text}." for what, text in report["settings"].items())]
    parts += ["## Deviations from the paper", "Of `--scale paper`.", deviations()]
    return "\n\n".join(parts) + "\n"


def deviations() -> str:
    """``DEVIATIONS`` as a table in Markdown."""
    lines = [("", "the paper", "here"), ("---",) * 3, *DEVIATIONS]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _table(columns: Sequence[str], rows: dict[str, list[str]]) -> str:
    lines = [["", *columns], ["---"] * (len(columns) + 1), *([title, *cells] for title, cells in rows.items())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _shares(result: dict) -> list[str]:
    found = [result["overlap"][key]["found"] for key in OVERLAPS]
    return ["" if value is None else f"{value:.1%}" for value in (*found, result["swap_rate"])]


def _figure(column: str, value: float | None, spread: float | None = None) -> str:
    if value is None:
        return ""
    decimals = 1 if column == "LE" else 3
    return f"{value:.{decimals}f}" + ("" if spread is None else f" ± {spread:.{decimals}f}")
