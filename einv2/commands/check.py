"""Check the recordings, without a network."""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from ..atomic_files import below
from ..audio import inputcheck, recordings
from ..audio.inputformat import InputFormat
from ..labels import class_lists, clip_sets, dcase_csv
from .shared import add_input, add_json, fail, seconds_bar, write_report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "clips", nargs="+", metavar="CLIP", help="4-channel FOA recordings (WAV, FLAC, OGG, AIFF, CAF, W64, BW64)"
    )
    add_input(parser)
    parser.add_argument(
        "--truth",
        metavar="CSV_OR_FOLDER",
        help="labels of the clip, or a folder with a CSV for each clip, against which the order and signs of the channels are checked",
    )
    parser.add_argument(
        "--classes",
        metavar="NAMES|FILE|N",
        help="class list of the labels (default: any; only directions are compared)",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    if options.truth and len(options.clips) > 1 and not Path(options.truth).is_dir():
        raise ValueError(
            f"--truth {options.truth} is one file; for {len(options.clips)} clips give a folder of CSV files."
        )
    classes = class_lists.parse(options.classes) if options.classes else None
    report: list[dict] = []
    status = 0
    for clip in options.clips:
        try:
            info, findings = _check_clip(Path(clip), options.truth, classes, options.input)
        except (ValueError, OSError) as error:
            status = fail(error)
            report.append({"clip": str(clip), "error": str(error)})
            continue
        read = "" if options.input is None and info.read_as.is_plain else f", read as {info.read_as.name}"
        notes = "".join(f"{note[0].upper()}{note[1:]}. " for note in info.notes)
        summary = summary_with_fixes(findings, info)
        print(f"{clip}: {info.seconds:.2f} s, {info.sample_rate} Hz, {info.format}{read}. {notes}{summary}")
        entry = {"clip": str(clip), "seconds": info.seconds, "sample_rate": info.sample_rate, "format": info.format}
        entry |= {"input": info.read_as.key, "notes": list(info.notes), "status": inputcheck.status(findings)}
        report.append({**entry, "findings": [dataclasses.asdict(f) for f in findings]})
    write_report(options.json, report)
    return status


def _check_clip(
    clip: Path, truth: str | None, classes: tuple[str, ...] | None, read_as: InputFormat | None
) -> tuple[recordings.ClipInfo, list[inputcheck.Finding]]:
    """The format of a clip and the findings about it; with a ground truth, also those about its labels."""
    info = recordings.probe(clip, read_as=read_as)
    signal = _first_seconds(clip, info, inputcheck.MAX_SECONDS, read_as)
    findings = inputcheck.check(signal, recordings.SAMPLE_RATE, info.read_as)
    if truth is not None:
        path = Path(truth) if not Path(truth).is_dir() else _table_in(Path(truth), clip.stem)
        reference = dcase_csv.read_csv(path, _any_classes(path) if classes is None else classes)
        findings = inputcheck.together(findings + inputcheck.check_against(signal, recordings.SAMPLE_RATE, reference))
    return info, findings


def _first_seconds(clip: Path, info: recordings.ClipInfo, seconds: float, read_as: InputFormat | None) -> np.ndarray:
    """The start of a clip (4, S). The rest is read too, so that damage anywhere in it is found."""
    kept, samples = [], 0
    with seconds_bar(clip.name, info.seconds) as progress:
        for block in recordings.stream(clip, read_as=read_as):
            if samples < seconds * recordings.SAMPLE_RATE:
                kept.append(block)
            samples += block.shape[1]
            progress(samples / recordings.SAMPLE_RATE)
    return np.concatenate(kept, axis=1)


def _any_classes(table: Path) -> tuple[str, ...]:
    """A class list with which a table can be read, where classes do not matter."""
    evidence = clip_sets.class_evidence({table.stem: table})
    return tuple(sorted(*evidence.names.values())) if evidence.names else class_lists.numbered(class_lists.MOST_CLASSES)


def _table_in(folder: Path, stem: str) -> Path:
    """The CSV of a clip in a folder, whatever the case of its suffix."""
    return next((path for path in below(folder, ".csv") if path.stem == stem), folder / f"{stem}.csv")


def summary_with_fixes(findings: list[inputcheck.Finding], info: recordings.ClipInfo) -> str:
    """The summary of the findings, and the --input values that may correct the channels."""
    fixes = [f"{fix.text} (--input={info.read_as.then(fix).key})" for f in findings for fix in f.fixes]
    return inputcheck.summary(findings) + (f". To try: {'; or '.join(fixes)}" if fixes else "")
