"""Run networks on clips and write what they detect. Under torchrun every process takes its share of the clips."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .. import geometry
from ..atomic_files import replacing, write_text
from ..audio import inputcheck, recordings
from ..frames import LABEL_FRAMES_PER_SECOND
from ..inference.ensemble import Ensemble, in_rotations
from ..inference.model import ESTIMATES, BranchModel, load_model
from ..inference.prediction import BranchPrediction, Prediction, on_classes
from ..inference.runner import OVERLAP_SECONDS
from ..labels import class_lists, dcase_csv
from ..models.acceleration import PRECISIONS
from .check import summary_with_fixes
from .shared import add_input, add_json, count, fail, note, require_unique_stems, seconds_bar, share, write_report

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STEREO_LOSES = (
    "dcase2025 is the format of the stereo task: elevations are not written, azimuths are (the measure takes the back for the front), "
    "onscreen is 0, and so is a distance that the network does not know."
)
# The CSVs of a network of one task have a header. Columns by task, and whether the output is class-wise:
BRANCH_COLUMNS = {
    ("sed", False): ("frame", "class", "track"),
    ("sed", True): ("frame", "class", "track"),
    ("doa", False): ("frame", "track", "azimuth", "elevation"),
    ("doa", True): ("frame", "if_class", "azimuth", "elevation"),
}
CHECKED_BLOCKS = 3  # of a clip, by the input check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "clips",
        nargs="+",
        metavar="CLIP",
        help="4-channel FOA recordings (WAV, FLAC, OGG, AIFF, CAF, W64, BW64; 8 to 192 kHz)",
    )
    parser.add_argument(
        "--model",
        action="append",
        required=True,
        metavar="NAME_OR_FILE",
        help="a name in pretrained/, or a file; given several times: an ensemble. A+B: a detection network and a direction network "
        "(of the tasks sed and doa) as one system",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder for CLIP.csv: frame (100 ms), class, track, degrees"
    )
    parser.add_argument(
        "--threshold",
        type=share,
        default=0.5,
        metavar="P",
        help="class probability, 0 to 1, above which a track is active",
    )
    parser.add_argument(
        "--rotations",
        type=count,
        default=1,
        metavar="N",
        help="average over N rotations and reflections of the scene, 1 to 16: more precise, N times slower",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        metavar="S",
        help="overlap of successive chunks in seconds, 0 to half of a chunk, whose length is that of the training, usually 4 s: more "
        f"precise, up to twice as slow (default: {OVERLAP_SECONDS:g}, or half of a chunk if that is less)",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="bfloat16: several times faster on processors that multiply it (AMX); the logits of the probabilities change by some "
        "hundredths",
    )
    parser.add_argument(
        "--format",
        choices=dcase_csv.WRITE_FORMATS,
        default="dcase2020",
        help="layout of the CSV; dcase2025 (stereo) has no elevations",
    )
    parser.add_argument(
        "--classes",
        metavar="NAMES|FILE",
        help="class list whose indices are written; it must have all of the network's classes, which are found by name: "
        + class_lists.HELP_NAMES
        + " (default: the network's own)",
    )
    add_input(parser)
    parser.add_argument("--arrays", action="store_true", help="also CLIP.npz: sed (T, M, K), doa (T, M, 3), classes")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    fabric = _processes()
    device = "cpu" if fabric is None else fabric.device
    models = in_rotations(
        [load_model(name, device, options.precision, options.overlap) for name in options.model],
        options.rotations,
    )
    model = Ensemble(models) if len(models) > 1 else models[0]
    if isinstance(model, BranchModel):
        _note_columns(model, options.format)
    require_unique_stems(options.clips)
    if options.classes is not None:
        class_lists.mapping(model.classes, class_lists.parse(options.classes))  # fails before anything is written
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    if options.format == "dcase2025":
        note(STEREO_LOSES)
    mine = options.clips if fabric is None else options.clips[fabric.global_rank :: fabric.world_size]
    entries = [_predict_clip(model, Path(clip), out, options) for clip in mine]
    if fabric is not None:
        from ..training.distributed import gather, leave

        entries = gather(fabric, entries)
        leave()
    overlaps = [one.overlap_frames / LABEL_FRAMES_PER_SECOND for one in models]
    report = {
        "model": " + ".join(options.model),
        "rotations": options.rotations,
        "overlap_seconds": overlaps[0] if len(set(overlaps)) == 1 else overlaps,
        "precision": options.precision,
        "threshold": options.threshold,
        "clips": entries,
    }
    if fabric is None or fabric.is_global_zero:
        write_report(options.json, report)
    return 1 if any("error" in entry for entry in entries) else 0


def _processes() -> "Fabric | None":
    """The processes that torchrun started; None where it did not start this one."""
    if not torch.distributed.is_torchelastic_launched():
        return None
    from ..training.distributed import launch  # Fabric takes a second to import

    return launch("fp32")


def _note_columns(model: BranchModel, layout: str) -> None:
    """Print the columns of a network of one task. ValueError if a CSV format is asked for that needs both."""
    what = ESTIMATES[model.task]
    if layout != "dcase2020":
        raise ValueError(f"{model.name} estimates {what} only, not enough for --format {layout}: leave it out.")
    columns = ",".join(BRANCH_COLUMNS[model.task, model.class_wise])
    note(f"{model.name} estimates {what} only; the CSVs have a header and the columns {columns}.")


def _predict_clip(model: Any, clip: Path, out: Path, options: argparse.Namespace) -> dict:
    """Predict and write one clip; returns its entry in the report. An error is printed, and the other clips are still processed."""
    try:
        return _write_prediction(model, clip, out, options)
    except (ValueError, OSError) as error:
        fail(error)
        return {"clip": str(clip), "error": str(error)}


def _write_prediction(model: Any, clip: Path, out: Path, options: argparse.Namespace) -> dict:
    began = time.monotonic()
    info = recordings.probe(clip, read_as=options.input)
    sampler = _BlockSampler(info.seconds)
    with seconds_bar(clip.name, info.seconds) as progress:
        prediction = model.predict(clip, progress=progress, read_as=options.input, observe=sampler.take)
    findings = sampler.findings(info)
    _warn(info, findings)
    if options.classes is not None:
        prediction = on_classes(prediction, class_lists.parse(options.classes))
    csv = out / f"{clip.stem}.csv"
    if options.arrays:
        _write_arrays(out / f"{clip.stem}.npz", prediction)
    if isinstance(prediction, BranchPrediction):
        _write_branch(csv, prediction, model, options.threshold)
        n_frames, n_events = len(prediction), None
        if prediction.has_events:
            n_events = len(prediction.events(options.threshold))
    else:
        dcase_csv.write_csv(prediction.frames(options.threshold), csv, options.format, classes=prediction.classes)
        n_frames, n_events = len(prediction.sed), len(prediction.events(options.threshold))
    return {
        "clip": str(clip),
        "csv": str(csv),
        "seconds": n_frames * prediction.frame_seconds,
        "events": n_events,
        "elapsed_seconds": time.monotonic() - began,
        "input": info.read_as.key,
        "notes": list(info.notes),
        "check": inputcheck.status(findings),
    }


class _BlockSampler:
    """Keeps a few of the blocks that a network reads, spread over the clip, to check the clip without reading it again."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds  # of the clip
        self.blocks: list[np.ndarray] = []
        self.samples, self.sample_rate = 0, recordings.SAMPLE_RATE

    def take(self, block: np.ndarray, sample_rate: int) -> None:
        if self.samples >= len(self.blocks) * self.seconds * sample_rate / CHECKED_BLOCKS:
            self.blocks.append(block)
        self.samples, self.sample_rate = self.samples + block.shape[1], sample_rate

    def findings(self, info: recordings.ClipInfo) -> list[inputcheck.Finding]:
        return inputcheck.check(np.concatenate(self.blocks, axis=1), self.sample_rate, info.read_as)


def _warn(info: recordings.ClipInfo, findings: list[inputcheck.Finding]) -> None:
    """Print the notes on the header, and in one line what the check found wrong with the channels."""
    for text in info.notes:
        note(f"{info.name}: {text}")
    against = [f for f in findings if f.level in ("error", "warning")]
    if against:
        summary = summary_with_fixes(against, info).removeprefix("warning: ")
        print(f"warning: {info.name}: {summary}", file=sys.stderr)


def _write_branch(path: Path, prediction: BranchPrediction, model: BranchModel, threshold: float) -> None:
    """The CSV of a network of one task, with a header that names the columns."""
    table = prediction.frames(threshold).rename(columns={} if prediction.has_events else {"class": "if_class"})
    table = table[list(BRANCH_COLUMNS[model.task, model.class_wise])].round().astype(int)
    if "azimuth" in table:
        table["azimuth"] = geometry.wrap_azimuth(table["azimuth"])
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def _write_arrays(path: Path, prediction: Prediction | BranchPrediction) -> None:
    """NPZ of sed, doa and classes; a network of one task has only one of the arrays."""
    arrays = {name: array for name in ("sed", "doa") if (array := getattr(prediction, name)) is not None}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays, classes=np.array(prediction.classes))
