"""Score a folder of predictions against a folder of ground truth."""

import argparse
import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import evaluation
from ..atomic_files import below, write_text
from ..audio import recordings
from ..audio.inputformat import InputFormat
from ..datasets import class_decision, discovery
from ..frames import LABEL_FRAMES_PER_SECOND
from ..inference.prediction import Prediction
from ..labels import class_lists, clip_sets, csv_layout
from ..labels.clip_sets import Clips
from ..messages import counted
from ..metrics import dcase, single_task
from ..metrics.intervals import METHODS
from .shared import add_input, add_json, bar, count, note, write_report

MEASURES = list(dcase.MEASURES)  # the first is the default
DECIMALS = {"LE": 1, "DE": 1}  # of the scores printed; 3 of the others


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("predictions", metavar="PRED_DIR", help="folder of CSVs")
    parser.add_argument("references", metavar="REF_DIR", help="folder of CSVs with the same stems")
    parser.add_argument(
        "--metric",
        choices=[*MEASURES, "all"],
        help=f"which year's measure, or all; dcase2025 (stereo) takes the back for the front (default: {MEASURES[0]})",
    )
    parser.add_argument(
        "--classes",
        metavar="NAMES|FILE|N",
        default="auto",
        help=f"class list of the CSVs: {class_lists.HELP}; auto: from {class_lists.FILE_NAME} beside the data, else from the files",
    )
    parser.add_argument(
        "--seconds",
        dest="n_frames",
        type=_frames,
        metavar="S",
        help="score S seconds of every clip; the official code of 2020 and 2021 takes 60. Without it, up to the last event of the "
        "ground truth, as the official code from 2022 on",
    )
    parser.add_argument(
        "--intervals",
        nargs="?",
        choices=METHODS,
        const=METHODS[0],
        metavar="METHOD",
        help="also 95 %% confidence intervals over clips, and their method, for --against too: bootstrap, or the official "
        "scripts' jackknife, cut to the range of the score (without METHOD: bootstrap; the JSON holds both)",
    )
    parser.add_argument(
        "--breakdown",
        action="store_true",
        help="by class, overlap, motion, direction; kinds of error; confusion; track swaps. With what predict --arrays wrote "
        "beside the CSVs, also the probabilities",
    )
    parser.add_argument("--audio", metavar="DIR", help="recordings with the same stems, for the breakdown by level")
    add_input(parser, "channel format of these recordings")
    parser.add_argument(
        "--errors", metavar="FILE", help="write every error event as CSV: clip, kind, class, onset, offset, ..."
    )
    parser.add_argument(
        "--against", metavar="PRED_DIR", help="predictions of another system: the differences, with intervals"
    )
    parser.add_argument(
        "--overlap", action="store_true", help="also the share of frames with one or more events in which all are found"
    )
    add_json(parser)
    for prefix, side in (("", "predictions"), ("reference-", "ground truth"), ("against-", "predictions of --against")):
        _add_layout(parser, prefix, side)


def _add_layout(parser: argparse.ArgumentParser, prefix: str, side: str) -> None:
    """The flags for how the tables of one side are written: the fields of a ``csv_layout.Reading``."""
    group = parser.add_argument_group(f"layout of the {side}, where the files do not show it")
    group.add_argument(
        f"--{prefix}columns",
        type=lambda text: tuple(text.split(",")),
        metavar="A,B,..",
        help="in order, as frame,class,track,azimuth,elevation,distance; or x,y,z, onset,offset (s), and - for a column to skip",
    )
    group.add_argument(
        f"--{prefix}units", choices=csv_layout.UNITS, help="of the directions; cartesian: x front, y left, z up"
    )
    group.add_argument(f"--{prefix}distance-unit", choices=csv_layout.DISTANCE_UNITS, help="of the distances")
    group.add_argument(f"--{prefix}frame-ms", type=count, metavar="MS", help="length of a frame, if not 100 ms")
    group.add_argument(
        f"--{prefix}first-frame", type=int, choices=[0, 1], help="the number of the first frame, if not 0"
    )


def _layout(options: argparse.Namespace, prefix: str = "") -> csv_layout.Reading:
    """The layout that the flags of one side describe. ValueError if there is no such layout."""
    names = [f.name for f in dataclasses.fields(csv_layout.Reading)]
    return csv_layout.Reading(**{name: getattr(options, prefix + name) for name in names})


def _frames(text: str) -> int:
    """Label frames of a time in seconds."""
    value = round(float(text) * LABEL_FRAMES_PER_SECOND)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a tenth of a second or more")
    return value


def with_default_method(words: Sequence[str]) -> list[str]:
    """The command line with the method written out after a plain --intervals, which argparse would join with a following folder."""
    plain = (a == "--intervals" and b not in METHODS for a, b in itertools.pairwise([*words, ""]))
    return [f"{word}={METHODS[0]}" if is_plain else word for word, is_plain in zip(words, plain)]


def run(options: argparse.Namespace) -> int:
    measure = None if options.metric == "all" else options.metric
    references = clip_sets.csv_files(options.references)
    clips, class_list, notes = _read_clips(options, references, measure)
    for text in notes:
        note(text)
    needs_all = options.breakdown or options.errors or options.against
    further = _evaluate_further(clips, options) if needs_all else None
    wanted = MEASURES if options.metric == "all" else [options.metric or MEASURES[0]]
    if further is not None:
        tallies = {name: further.tallies[name] for name in wanted}
    else:
        sides, sizes = (clips.reference, clips.estimate), (len(clips.classes), wanted)
        tallies = dcase.tallies(*sides, *sizes, n_clips=len(clips.stems), n_frames=options.n_frames)
    scores = {name: evaluation.report(tally, clips.classes) for name, tally in tallies.items()}
    if options.intervals:
        for name, tally in tallies.items():
            scores[name]["intervals"] = evaluation.intervals_by_method(tally)
    report = {
        "metric": wanted[0],
        "n_clips": len(clips.stems),
        "class_list": class_list,
        **scores[wanted[0]],
        "notes": notes,
    }
    if options.intervals:
        report["intervals_method"] = options.intervals
    if options.metric == "all":
        report["measures"] = scores
    if options.overlap:
        report["overlap"] = single_task.overlap_recall(clips.reference, clips.estimate).recall()
    _print_scores(report, scores)
    if further is not None:
        report |= _report_further(further, references, options)
    write_report(options.json, report)
    return 0


def _read_clips(
    options: argparse.Namespace, references: dict[str, Path], measure: str | None
) -> tuple[Clips, str, list[str]]:
    """The clips of both folders, their class list in words, and the notes on both."""
    with clip_sets.flags_of("reference-"):
        reference_layout = _layout(options, "reference_")
        class_list, is_certain = class_decision.class_list_of_metadata(
            references, options.classes, measure, options.references, reference_layout
        )
    clips = clip_sets.read_clips(
        clip_sets.csv_files(options.predictions),
        references,
        class_list.names,
        reading=_layout(options),
        reference_reading=reference_layout,
        measure=measure,
    )
    if options.against:
        _predictions_of_other(clips, options.against)  # fails before anything is printed
    elif _layout(options, "against_") != csv_layout.USUAL:
        raise ValueError("the layout of the predictions of --against would do nothing without --against.")
    notes = [] if is_certain else [f"{class_list}. Choose with --classes if it is another."]
    notes += clips.notes
    has_distances = any(side["distance"].notna().any() for side in (clips.estimate, clips.reference))
    if measure in ("dcase2024", "dcase2025") and not has_distances:
        notes.append(f"Neither side has distances, so {measure} looks at directions alone.")
    return clips, str(class_list), notes


# --breakdown, --errors and --against


def _evaluate_further(clips: Clips, options: argparse.Namespace) -> evaluation.Evaluation:
    predictions = _read_arrays(clips, Path(options.predictions))
    levels = _frame_levels(clips, options.audio, options.input)
    measured = evaluation.evaluate_clips(clips, predictions, levels, n_frames=options.n_frames)
    for text in measured.clips.notes[len(clips.notes) :]:
        note(text)
    return measured


def _read_arrays(clips: Clips, folder: Path) -> list[Prediction] | None:
    """The arrays that ``predict --arrays`` wrote beside the CSVs, if every clip has them."""
    files = {path.stem: path for path in below(folder, ".npz")}
    if not files.keys() >= set(clips.stems):
        return None
    predictions = []
    for stem in clips.stems:
        with np.load(files[stem]) as arrays:
            if missing := {"sed", "doa", "classes"} - set(arrays):
                raise ValueError(
                    f"{files[stem]} has no array {' or '.join(sorted(missing))}, as for a network of one task, and cannot be broken "
                    "down: leave --breakdown, --errors and --against out, or predict again with a pair of networks."
                )
            classes = tuple(arrays["classes"].tolist())
            if classes != clips.classes:
                raise ValueError(
                    f"{files[stem]} was made with {len(classes)} classes, and not those {len(clips.classes)} that the ground truth is "
                    "read with: give --classes, or predictions of a network with that list."
                )
            predictions.append(Prediction(arrays["sed"], arrays["doa"], classes))
    return predictions


def _frame_levels(clips: Clips, folder: str | None, read_as: InputFormat | None) -> list[np.ndarray | None] | None:
    """dB of each frame of each clip, from the recordings in a folder; None for a clip without recording."""
    if folder is None:
        return None
    files = {path.stem: path for path in below(folder, *discovery.AUDIO_SUFFIXES)}
    levels = []
    for stem in bar(clips.stems, "levels"):
        blocks = recordings.stream(files[stem], read_as=read_as) if stem in files else ()
        levels.append(np.concatenate([recordings.frame_levels(block) for block in blocks]) if stem in files else None)
    return levels


def _report_further(
    measured: evaluation.Evaluation, references: dict[str, Path], options: argparse.Namespace
) -> dict[str, Any]:
    report: dict[str, Any] = {}
    if options.breakdown:
        report["breakdown"] = measured.report()
        _print_breakdown(measured)
    if options.errors:
        write_text(options.errors, measured.named_error_events().to_csv(index=False, float_format="%.3f"))
    if options.against:
        other = _evaluate_other(measured.clips, references, options)
        report["differences"] = evaluation.differences(other, measured, options.intervals or METHODS[0])
        _print_differences(report["differences"], options)
    return report


def _evaluate_other(clips: Clips, references: dict[str, Path], options: argparse.Namespace) -> evaluation.Evaluation:
    """The system of --against, on the same clips."""
    with clip_sets.flags_of("against-"):
        other = clip_sets.read_clips(
            _predictions_of_other(clips, options.against),
            references,
            clips.classes,
            reading=_layout(options, "against_"),
            reference_reading=_layout(options, "reference_"),
            measure=None if options.metric == "all" else options.metric,
        )
    for text in other.notes:
        if not text.startswith("Ground truth"):  # printed already
            note(f"{options.against}: {clip_sets.with_flags(text, 'against-')}")
    return evaluation.evaluate_clips(other, n_frames=options.n_frames)


def _predictions_of_other(clips: Clips, folder: str) -> dict[str, Path]:
    files = clip_sets.csv_files(folder)
    if missing := set(clips.stems) - files.keys():
        raise ValueError(f"{folder} lacks {clip_sets.named(missing)}: two systems are compared on the same clips.")
    return {stem: files[stem] for stem in clips.stems}


# What is printed


def _print_scores(report: dict[str, Any], scores_of_measures: dict[str, dict]) -> None:
    for measure, scores in scores_of_measures.items():
        print(f"{counted(report['n_clips'], 'clip')}, {measure}, within 20 degrees; {report['class_list']}")
        figures = (f"{k} {_figure(k, v)}" for k, v in scores.items() if k not in ("per_class", "intervals"))
        print("  ".join(figures).replace("  LR", " degrees  LR"))
        for entry in scores["per_class"]:
            line = (
                f"  {entry['class']:20s} F {entry['F']:.3f}  LE {_figure('LE', entry['LE']):>5s}  LR {entry['LR']:.3f}"
            )
            print(
                f"{line}  ({entry['n_reference']} {'frames' if dcase.MEASURES[measure].segment_frames == 1 else 's'})"
            )
        if method := report.get("intervals_method"):
            bounds = scores["intervals"][method]
            print(f"95 % intervals over clips, {method}:")
            print(f"  {'  '.join(f'{k} {_figure(k, a)} to {_figure(k, b)}' for k, (a, b) in bounds.items())}")
    if "overlap" in report:
        print("frames in which all events are found, right class and within 20 degrees, of those with")
    for kind, entry in report.get("overlap", {}).items():
        found = "-" if entry["found"] is None else f"{entry['found']:.1%}"
        print(f"  {single_task.OVERLAPS[kind]:35s} {found:>6s}  ({counted(entry['frames'], 'frame')})")


def _print_breakdown(measured: evaluation.Evaluation) -> None:
    """The measures of frames by every grouping except by clip, and the identity rates."""
    for name, table in measured.breakdowns.items():
        if name == "clip":
            continue
        print(f"frames by {name}")
        for group, row in table[table["reference"] + table["system"] > 0].iterrows():
            figures = "  ".join(f"{key} {_figure(key, row[key]):>5s}" for key in ("F", "precision", "recall", "LE"))
            print(
                f"  {group:28s} {figures}  ({row['reference']:.0f} in the reference, {row['system']:.0f} in the system)"
            )
    print("identity, which the scores above do not see")
    for name, value in measured.identity_rates.items():
        print(f"  {name.replace('_', ' '):28s} {_figure(name, value)}")


def _print_differences(differences: dict[str, dict], options: argparse.Namespace) -> None:
    method = options.intervals or METHODS[0]
    print(f"{options.predictions} minus {options.against}, with 95 % intervals over clips ({method}, clips paired)")
    for measure, scores in differences.items():
        figures = (
            f"{k} {_figure(k, d['value'])} ({_figure(k, d['low'])} to {_figure(k, d['high'])})"
            for k, d in scores.items()
        )
        print(f"  {measure}  {'  '.join(figures)}")


def _figure(key: str, value: float | None) -> str:
    return "-" if value is None or np.isnan(value) else f"{value:.{DECIMALS.get(key, 3)}f}"
