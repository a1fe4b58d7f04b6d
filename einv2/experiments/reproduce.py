"""The paper's comparisons on data that anyone can make: simulate, train each system with one budget, evaluate, tabulate.

    table2   each format and PIT for detection alone and for directions alone
    table3   formats and parameter sharing in the joint task, without and with augmentation
    fig3     localisation error over the epochs of networks for directions alone: SELDnet format, no PIT, cPIT, tPIT

OUT/data holds the scenes, OUT/runs the training runs, OUT/NAME.md and OUT/NAME.json the results. What is there already is kept, so
that a command that was stopped continues. ``DEVIATIONS`` lists where the setting is not the paper's; the table is written below
the results.
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
from ..datasets import chunking, class_decision, discovery
from ..datasets.discovery import DataSelection
from ..inference.model import BranchModel, Model
from ..labels import class_lists
from ..metrics import dcase
from ..metrics.intervals import intervals
from ..permutations import MAX_TRACKS
from ..simulate.render import write_scenes
from ..simulate.scene import SceneConfig
from ..simulate.sources import SoundFolder, SourceBank
from ..training import loop
from ..training.run import RunOptions
from ..training.run_folder import RunData, RunSettings
from ..training.scoring import ClipOutput, Outputs
from .report import markdown, settings
from .scales import AUGMENTED, DENSE, PLAIN, Scale
from .systems import SYSTEMS, TABLES, Row

HELD_OUT_SHARE = 0.2
SPLIT_SEED = 2020
FIRST_SEED = 2020


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
    """Write the scenes that are missing: of procedural sounds, or also of the recordings of ``sources``, split so that no recording
    is in training and test. ``progress(iterator, what, n)`` wraps the scenes being written."""
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
    """The scale with as many classes and tracks as the data have, found as ``train`` does, and the class list.

    ValueError if a recording is in two of the data sets, or the class list is not clear.
    """
    clips = {role: discovery.find_clips(*getattr(folders, role)) for role in ("train", "validation", "test")}
    roles: dict[tuple[int, int], str] = {}
    for role, of_role in clips.items():
        for clip in of_role:
            file = os.stat(clip.audio)  # recognises a file by any of its paths
            if (other := roles.setdefault((file.st_dev, file.st_ino), role)) != role:
                raise ValueError(
                    f"{clip.audio} is in the data for {other} and for {role}: give --data, --validation and --test folders "
                    "that share no recording."
                )
    classes = class_decision.class_list([clip for of_role in clips.values() for clip in of_role]).names
    events = discovery.largest_overlap(clips["train"], classes)
    n_tracks = min(max(events, scale.model.n_tracks), MAX_TRACKS)
    model = dataclasses.replace(scale.model, n_classes=len(classes), n_tracks=n_tracks)
    return dataclasses.replace(scale, model=model), classes


@dataclass(frozen=True)
class Comparison:
    """A scale that fits the data, the data and their class list, and the folder of the runs."""

    scale: Scale
    folders: Folders
    classes: tuple[str, ...]
    out: Path

    def run_row(self, row: Row, seeds: Sequence[int], systems: Sequence[str]) -> dict[str, Any]:
        """Train and evaluate those ``systems`` that are in a row: {"title", "systems", "paper", "paper_spread", "ours" (means over
        seeds), "spread" (standard deviations over them, from two seeds on), "le_by_epoch" (of validation, mean over seeds; where
        directions are trained), "seeds" (the results of each seed)}."""
        names, each, curves = [name for name in row.systems if name in systems], [], []
        for seed in seeds if names else ():
            results: dict[str, Any] = {}
            for name in names:
                trained = self._train(name, row.augmented, seed)
                results |= evaluate(trained, self.folders.test, self.scale.overlap_seconds, self.scale.n_frames)
                results["curve"] = checkpoint.read_header(trained)["curve"]
            curves.append([epoch["LE"] for epoch in results["curve"]])
            each.append({"seed": seed, **results})
        figures = dict.fromkeys(k for results in each for k, v in results.items() if isinstance(v, float))
        values = {k: [results[k] for results in each if results[k] is not None] for k in figures}
        return {
            "title": row.title,
            "systems": names,
            "paper": row.paper,
            "paper_spread": row.spread,
            "ours": {k: float(np.mean(v)) for k, v in values.items()},
            "spread": {k: float(np.std(v, ddof=1)) for k, v in values.items() if len(v) > 1},
            "le_by_epoch": [None if None in les else float(np.mean(les)) for les in zip(*curves)],
            "seeds": each,
        }

    def _train(self, name: str, augmented: bool, seed: int) -> Path:
        """Train a system to the end, or continue its run; returns the checkpoint of the last epoch."""
        run = self.out / f"{name}{'' if augmented else '-plain'}-seed{seed}"
        base = dataclasses.replace(self.scale.train, seed=seed, **(AUGMENTED if augmented else PLAIN))
        model, config = SYSTEMS[name].apply(self.scale.model, base)
        provenance = {
            "code": f"EINV2 Studio {__version__}",
            "data": [folder.name for folder in self.folders.train],
            "date": datetime.date.today().isoformat(),
            "arguments": f"reproduce: {name}, {'augmented' if augmented else 'not augmented'}",
        }
        settings = RunSettings(model, self.scale.features, config, RunData(self.classes))
        data = DataSelection(self.folders.train, self.folders.validation)
        loop.train(run, settings, data, RunOptions(resume=True, provenance=provenance))
        return run / "last.safetensors"


def evaluate(
    file: Path, folders: Sequence[Path], overlap_seconds: float | None = None, n_frames: int | None = None
) -> dict:
    """The scores of a checkpoint on data sets, against the whole ground truth. Its task decides the keys; values are float or None:

    both tasks: ER, F, LE, LR, SELD (DCASE 2020, as ``predict`` and ``evaluate`` give them), their 95 % ``intervals`` over
    clips, swap_rate, ``overlap``; detection: F_alone (micro F over segments of 1 s, directions ignored); directions:
    LE_alone (degrees; activity and class from the ground truth), LE_alone_single and LE_alone_overlap (frames of one, and of
    more events). A network of one task has its figure as F or LE, too.

    LE_alone assigns events to tracks in the order that fits best. For a network of directions alone that was trained without PIT,
    events are on the tracks that it was trained for, and LE_best_order has the other figure. overlap_seconds, n_frames: see
    ``Scale``.
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


def reproduce(
    name: str,
    out: Path,
    scale: Scale,
    folders: Folders,
    seeds: Sequence[int] = (FIRST_SEED,),
    systems: Sequence[str] = (),
) -> dict:
    """Train and score ``systems`` of a table, or all of them, and write OUT/NAME.md and OUT/NAME.json. Returns the latter.

    A row of two systems of which one was asked for has the figure of that one. ValueError if the table does not have one of
    ``systems``, or the data cannot be used (``fitted``).
    """
    known = list(dict.fromkeys(system for row in TABLES[name] for system in row.systems))
    if unknown := [system for system in systems if system not in known]:
        raise ValueError(f"{name} has no system {', '.join(unknown)}; it has {', '.join(known)}.")
    fitted_scale, classes = fitted(scale, folders)
    comparison = Comparison(fitted_scale, folders, classes, out / "runs")
    asked = systems or known
    rows = [row for row in TABLES[name] if not row.systems or set(row.systems) & set(asked)]
    results = []
    for row in rows:
        results.append(comparison.run_row(row, seeds, asked))
        report = {
            "name": name,
            "seeds": list(seeds),
            "epochs": comparison.scale.train.epochs,
            "settings": settings(comparison.scale),
            "rows": results,
        }
        write_json(out / f"{name}.json", report)
        write_text(out / f"{name}.md", markdown(name, report))
    return report
