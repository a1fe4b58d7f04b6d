"""The command line, one function a command. ``python -m einv2 COMMAND --help`` says the units.

Exit status 0 only if everything asked for was done. Errors are one line each on standard error: what is wrong with which file,
and what would be right.
"""

import contextlib
import dataclasses
import datetime
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__, evaluation, geometry, status
from ..atomic_files import below, replacing, write_json, write_text
from ..audio import inputcheck, recordings
from ..audio.inputformat import InputFormat
from ..checkpoints import checkpoint, headers
from ..config import FeatureConfig, ModelConfig, TrainConfig, from_json, require_compatible, without_effect
from ..datasets import discovery, download
from ..experiments.systems import SYSTEMS
from ..frames import LABEL_FRAMES_PER_SECOND
from ..inference.ensemble import Ensemble, in_rotations
from ..inference.model import ESTIMATES, BranchModel, Prediction, load_model
from ..inference.prediction import BranchPrediction, on_classes
from ..labels import class_lists, clip_sets, csv_layout, dcase_csv
from ..labels.class_lists import ClassList
from ..messages import counted
from ..metrics import dcase, intervals, single_task
from ..permutations import MAX_TRACKS
from . import config_flags
from .arguments import parse, reading_of

STEREO_LOSES = (
    "dcase2025 is the format of the stereo task: elevations are not written, azimuths are (the measure takes the back for the front), "
    "onscreen is 0, and so is a distance that the network does not know."
)


PREDICT_CHECKS_BLOCKS = 3  # of the network's chunks, of a clip


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    options = parse(COMMANDS, sys.argv[1:] if arguments is None else arguments)
    try:
        return options.command(options)
    except (ValueError, OSError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail("stopped.")


def predict(options) -> int:
    """Write the detections of each clip as CSV, and with --arrays the network's output as NPZ.

    Under torchrun every process takes its share of the clips.
    """
    fabric = _processes()
    device = "cpu" if fabric is None else fabric.device
    loaded = in_rotations(
        [load_model(name, device, options.precision, options.overlap) for name in options.model],
        options.rotations,
    )
    model = Ensemble(loaded) if len(loaded) > 1 else loaded[0]
    if isinstance(model, BranchModel):
        _say_columns(model, options)
    _require_unique_stems(options.clips)
    if options.classes is not None:
        class_lists.mapping(model.classes, class_lists.parse(options.classes))  # refused before anything is written
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    if options.format == "dcase2025":
        print(f"note: {STEREO_LOSES}", file=sys.stderr)
    report = {
        "model": " + ".join(options.model),
        "rotations": options.rotations,
        "overlap_seconds": _one_or_all([one.overlap_frames / LABEL_FRAMES_PER_SECOND for one in loaded]),
        "precision": options.precision,
        "threshold": options.threshold,
    }
    mine = options.clips if fabric is None else options.clips[fabric.global_rank :: fabric.world_size]
    entries = [_predict_clip(model, Path(clip), out, options) for clip in mine]
    if fabric is not None:
        from ..training.distributed import gather, leave

        entries = gather(fabric, entries)
        leave()
    report["clips"] = entries
    if fabric is None or fabric.is_global_zero:
        _write_json(options.json, report)
    return 1 if any("error" in entry for entry in report["clips"]) else 0


_BRANCH_COLUMNS = {  # of a network of one task, by task and class-wise; CSVs of these have a header
    ("sed", False): ("frame", "class", "track"),
    ("sed", True): ("frame", "class", "track"),
    ("doa", False): ("frame", "track", "azimuth", "elevation"),
    ("doa", True): ("frame", "if_class", "azimuth", "elevation"),
}


def _say_columns(model: BranchModel, options) -> None:
    """What the CSVs of a network of one task hold. ValueError if a format is asked for that they cannot have."""
    what = ESTIMATES[model.task]
    if options.format != "dcase2020":
        raise ValueError(f"{model.name} estimates {what} only, too little for --format {options.format}: leave it out.")
    columns = ",".join(_BRANCH_COLUMNS[model.task, model.class_wise])
    print(
        f"note: {model.name} estimates {what} only; the CSVs have a header and the columns {columns}.", file=sys.stderr
    )


def _one_or_all(values: list):
    """The value that all models have in common, or that of each."""
    return values[0] if len(set(values)) == 1 else values


def _processes():
    """The processes that torchrun started, as Fabric joins them; None where it did not start this one."""
    if not torch.distributed.is_torchelastic_launched():
        return None
    from ..training.distributed import launch  # Fabric takes a second to import

    return launch("fp32")


def _predict_clip(model, clip: Path, out: Path, options) -> dict:
    """Predict and write one clip. One that cannot be used or written is said, and the others go on."""
    try:
        return _write_prediction(model, clip, out, options)
    except (ValueError, OSError) as error:
        _fail(error)
        return {"clip": str(clip), "error": str(error)}


def _write_prediction(model, clip: Path, out: Path, options) -> dict:
    began = time.monotonic()
    info = recordings.probe(clip, read_as=options.input)
    heard = _Heard(info.seconds)
    with _seconds_bar(clip.name, info.seconds) as progress:
        prediction = model.predict(clip, progress=progress, read_as=options.input, observe=heard.take)
    found = heard.findings(info)
    _warn(info, found)
    if options.classes is not None:
        prediction = on_classes(prediction, class_lists.parse(options.classes))
    csv = out / f"{clip.stem}.csv"
    if options.arrays:
        _write_arrays(out / f"{clip.stem}.npz", prediction)
    if isinstance(prediction, BranchPrediction):
        _write_branch(csv, prediction, model, options.threshold)
        n_frames, events = len(prediction), len(prediction.events(options.threshold)) if prediction.has_events else None
    else:
        dcase_csv.write_csv(prediction.frames(options.threshold), csv, options.format, classes=prediction.classes)
        n_frames, events = len(prediction.sed), len(prediction.events(options.threshold))
    seconds = n_frames * prediction.frame_seconds
    elapsed = time.monotonic() - began
    return {
        "clip": str(clip),
        "csv": str(csv),
        "seconds": seconds,
        "events": events,
        "elapsed_seconds": elapsed,
        "input": info.read_as.key,
        "notes": list(info.notes),
        "check": inputcheck.status(found),
    }


class _Heard:
    """Some of the blocks that a network reads, spread over the clip, kept to check it without reading it again.

    They are few, so that the check costs little beside the network.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds  # of the clip
        self.blocks: list[np.ndarray] = []
        self.samples, self.sample_rate = 0, recordings.SAMPLE_RATE

    def take(self, block: np.ndarray, sample_rate: int) -> None:
        if self.samples >= len(self.blocks) * self.seconds * sample_rate / PREDICT_CHECKS_BLOCKS:
            self.blocks.append(block)
        self.samples, self.sample_rate = self.samples + block.shape[1], sample_rate

    def findings(self, info: recordings.ClipInfo) -> list[inputcheck.Finding]:
        return inputcheck.check(np.concatenate(self.blocks, axis=1), self.sample_rate, info.read_as)


def _warn(info: recordings.ClipInfo, findings: list[inputcheck.Finding]) -> None:
    """On standard error what the file was read as in spite of its header, and in one line what speaks against its channels."""
    for note in info.notes:
        print(f"note: {info.name}: {note}", file=sys.stderr)
    against = [f for f in findings if f.level in ("error", "warning")]
    if against:
        print(f"warning: {info.name}: {_said(against, info).removeprefix('warning: ')}", file=sys.stderr)


def _write_branch(path: Path, prediction: BranchPrediction, model: BranchModel, threshold: float) -> None:
    """What a network of one task knows, with a header that names the columns."""
    table = prediction.frames(threshold).rename(columns={} if prediction.has_events else {"class": "if_class"})
    table = table[list(_BRANCH_COLUMNS[model.task, model.class_wise])].round().astype(int)
    if "azimuth" in table:
        table["azimuth"] = geometry.wrap_azimuth(table["azimuth"])
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def _write_arrays(path: Path, prediction: Prediction | BranchPrediction) -> None:
    """sed, doa and classes; of a network of one task without the other's array."""
    arrays = {name: array for name in ("sed", "doa") if (array := getattr(prediction, name)) is not None}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays, classes=np.array(prediction.classes))


def _require_unique_stems(clips: list[str]) -> None:
    seen: dict[str, str] = {}
    for clip in clips:
        other = seen.setdefault(Path(clip).stem, clip)
        if other != clip:
            raise ValueError(f"{other} and {clip} would both be written as {Path(clip).stem}.csv; rename one of them.")


def check(options) -> int:
    """Say what each clip is, whether it looks like first-order ambisonics, and whether its labels agree with it."""
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
            status = _fail(error)
            report.append({"clip": str(clip), "error": str(error)})
            continue
        read = "" if options.input is None and info.read_as.is_plain else f", read as {info.read_as.name}"
        notes = "".join(f"{note[0].upper()}{note[1:]}. " for note in info.notes)
        print(
            f"{clip}: {info.seconds:.2f} s, {info.sample_rate} Hz, {info.format}{read}. {notes}{_said(findings, info)}"
        )
        entry = {"clip": str(clip), "seconds": info.seconds, "sample_rate": info.sample_rate, "format": info.format}
        entry |= {"input": info.read_as.key, "notes": list(info.notes), "status": inputcheck.status(findings)}
        report.append({**entry, "findings": [dataclasses.asdict(f) for f in findings]})
    _write_json(options.json, report)
    return status


def _check_clip(
    clip: Path, truth: str | None, classes: tuple[str, ...] | None, read_as: InputFormat | None
) -> tuple[recordings.ClipInfo, list[inputcheck.Finding]]:
    """What a clip is, and the findings on it, with a ground truth those against its labels too."""
    info = recordings.probe(clip, read_as=read_as)
    signal = _first_seconds(clip, inputcheck.MAX_SECONDS, read_as)
    findings = inputcheck.check(signal, recordings.SAMPLE_RATE, info.read_as)
    if truth is not None:
        path = truth if not Path(truth).is_dir() else _table_in(Path(truth), clip.stem)
        reference = dcase_csv.read_csv(path, _any_classes(Path(path)) if classes is None else classes)
        findings = inputcheck.together(findings + inputcheck.check_against(signal, recordings.SAMPLE_RATE, reference))
    return info, findings


def _any_classes(table: Path) -> tuple[str, ...]:
    """A class list with which a table can be read, where classes do not matter."""
    evidence = clip_sets.class_evidence({table.stem: table})
    return tuple(sorted(*evidence.names.values())) if evidence.names else class_lists.numbered(class_lists.MOST_CLASSES)


def _table_in(folder: Path, stem: str) -> Path:
    """The CSV of a clip in a folder, whatever the case of its suffix."""
    return next((path for path in below(folder, ".csv") if path.stem == stem), folder / f"{stem}.csv")


def _said(findings: list[inputcheck.Finding], info: recordings.ClipInfo) -> str:
    """The summary of the findings, and what would set the clip right."""
    fixes = [f"{fix.text} (--input={info.read_as.then(fix).key})" for f in findings for fix in f.fixes]
    return inputcheck.summary(findings) + (f". To try: {'; or '.join(fixes)}" if fixes else "")


def _first_seconds(clip, seconds: float, read_as: InputFormat | None) -> np.ndarray:
    """The start of a clip (4, S). The rest is read too, so that damage anywhere in it is found."""
    kept, samples = [], 0
    with _seconds_bar(Path(clip).name, recordings.probe(clip, read_as=read_as).seconds) as progress:
        for block in recordings.stream(clip, read_as=read_as):
            if samples < seconds * recordings.SAMPLE_RATE:
                kept.append(block)
            samples += block.shape[1]
            progress(samples / recordings.SAMPLE_RATE)
    return np.concatenate(kept, axis=1)


def models(options) -> int:
    """List the models in pretrained/."""
    report, status = [], 0
    for name, path in headers.available_models().items():
        try:
            header = checkpoint.read_header(path)
            model = from_json(ModelConfig, header["model"])
        except (ValueError, OSError) as error:
            status = _fail(error)
            continue
        scores = header["scores"].get("validation", {})
        report.append(
            {"name": name, "file": str(path), **{k: header[k] for k in ("model", "classes", "scores", "provenance")}}
        )
        figures = "  ".join(f"{key} {scores[key]:.3g}" for key in ("ER", "F", "LE", "LR") if key in scores)
        figures = f"validation: {figures}" if figures else ""
        size = path.stat().st_size / 1e6
        sizes = f"{counted(model.n_tracks, 'track')}, {counted(len(header['classes']), 'class', 'classes')}"
        print(f"{name:16s} {size:6.1f} MB  {sizes}  {figures}")
    if not report and not status:
        status = _fail(f"there is no model in {headers.PRETRAINED}.")
    _write_json(options.json, report)
    return status


def evaluate(options) -> int:
    """Score a folder of predictions against a folder of ground truth, matched by stem."""
    measure = None if options.metric == "all" else options.metric
    references = clip_sets.csv_files(options.references)
    with clip_sets.flags_of("reference-"):
        told, certain = discovery.class_list_of_metadata(
            references, options.classes, measure, options.references, reading_of(options, "reference_")
        )
    classes, notes = told.names, [] if certain else [f"{told}. Choose with --classes if it is another."]
    clips = clip_sets.read_clips(
        clip_sets.csv_files(options.predictions),
        references,
        classes,
        reading=reading_of(options),
        reference_reading=reading_of(options, "reference_"),
        measure=measure,
    )
    if reading_of(options, "against_") != csv_layout.USUAL and not options.against:
        raise ValueError("the layout of the predictions of --against would do nothing without --against.")
    if options.against:
        _others(clips, options.against)  # refused before anything is printed
    notes = [*notes, *clips.notes, *_without_distances(clips, measure)]
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    wanted = dcase.MEASURES if options.metric == "all" else (options.metric or dcase.MEASURES[0],)
    found = _evaluate_further(clips, options) if options.breakdown or options.errors or options.against else None
    tallies = (
        {measure: found.tallies[measure] for measure in wanted}
        if found
        else dcase.tallies(
            clips.estimate,
            clips.reference,
            len(classes),
            wanted,
            n_clips=len(clips.stems),
            n_frames=options.n_frames,
        )
    )
    reports = {measure: _report(tally, classes, options.intervals is not None) for measure, tally in tallies.items()}
    report = {
        "metric": wanted[0],
        "n_clips": len(clips.stems),
        "class_list": str(told),
        **reports[wanted[0]],
        "notes": notes,
    }
    if options.intervals:
        report["intervals_method"] = options.intervals
    if options.metric == "all":
        report["measures"] = reports
    if options.overlap:
        report["overlap"] = single_task.overlap_recall(clips.estimate, clips.reference).recall()
    _print_scores(report, reports)
    if found:
        report |= _report_further(found, references, options)
    _write_json(options.json, report)
    return 0


def _without_distances(clips: clip_sets.Clips, measure: str | None) -> list[str]:
    """A note if the measure that was asked for looks at distances, and neither side has any."""
    if measure not in ("dcase2024", "dcase2025") or any(
        t["distance"].notna().any() for t in (clips.estimate, clips.reference)
    ):
        return []
    return [f"Neither side has distances, so {measure} looks at directions alone."]


def _evaluate_further(clips: clip_sets.Clips, options) -> evaluation.Evaluation:
    """What --breakdown, --errors and --against need."""
    predictions, levels = _arrays_of(clips, Path(options.predictions)), _levels_of(clips, options.audio, options.input)
    found = evaluation.evaluate_clips(clips, predictions, levels, n_frames=options.n_frames)
    for note in found.clips.notes[len(clips.notes) :]:
        print(f"note: {note}", file=sys.stderr)
    return found


def _report_further(found: evaluation.Evaluation, references: dict[str, Path], options) -> dict:
    """What --breakdown, --errors and --against ask for."""
    clips, report = found.clips, {}
    if options.breakdown:
        report["breakdown"] = found.report()
        _print_breakdown(found)
    if options.errors:
        write_text(options.errors, found.named_error_events().to_csv(index=False, float_format="%.3f"))
    if options.against:
        with clip_sets.flags_of("against-"):
            other = clip_sets.read_clips(
                _others(clips, options.against),
                references,
                clips.classes,
                reading=reading_of(options, "against_"),
                reference_reading=reading_of(options, "reference_"),
                measure=None if options.metric == "all" else options.metric,
            )
        for note in other.notes:
            if not note.startswith("Ground truth"):  # said already
                print(f"note: {options.against}: {clip_sets.with_flags(note, 'against-')}", file=sys.stderr)
        others = evaluation.evaluate_clips(other, n_frames=options.n_frames)
        report["differences"] = evaluation.differences(others, found, options.intervals or intervals.METHODS[0])
        _print_differences(report["differences"], options)
    return report


def _others(clips: clip_sets.Clips, folder: str) -> dict[str, Path]:
    """Another system's predictions of the same clips."""
    files = clip_sets.csv_files(folder)
    if missing := set(clips.stems) - files.keys():
        raise ValueError(f"{folder} lacks {clip_sets.named(missing)}: two systems are compared on the same clips.")
    return {stem: files[stem] for stem in clips.stems}


def _arrays_of(clips: clip_sets.Clips, folder: Path) -> list[Prediction] | None:
    """What ``predict --arrays`` wrote beside the CSVs, if it stands there for every clip."""
    files = {path.stem: path for path in below(folder, ".npz")}
    if not files.keys() >= set(clips.stems):
        return None
    found = []
    for stem in clips.stems:
        with np.load(files[stem]) as arrays:
            if missing := {"sed", "doa", "classes"} - set(arrays):
                raise ValueError(
                    f"{files[stem]} has no array {' or '.join(sorted(missing))}, as of a network of one task: too little to break "
                    "down; leave --breakdown, --errors and --against out, or predict again with a pair of networks."
                )
            classes = tuple(arrays["classes"].tolist())
            if classes != clips.classes:
                raise ValueError(
                    f"{files[stem]} was made with {len(classes)} classes, and not those {len(clips.classes)} that the ground truth is "
                    "read with: give --classes, or predictions of a network with that list."
                )
            found.append(Prediction(arrays["sed"], arrays["doa"], classes))
    return found


def _levels_of(
    clips: clip_sets.Clips, folder: str | None, read_as: InputFormat | None
) -> list[np.ndarray | None] | None:
    """dB of each frame of each clip, from the recordings in a folder."""
    if folder is None:
        return None
    files = {path.stem: path for path in below(folder, *discovery.AUDIO_SUFFIXES)}
    levels = []
    for stem in _bar(clips.stems, "levels"):
        blocks = recordings.stream(files[stem], read_as=read_as) if stem in files else ()
        levels.append(np.concatenate([recordings.frame_levels(block) for block in blocks]) if stem in files else None)
    return levels


def _report(tally: dcase.Tally, classes: tuple[str, ...], with_intervals: bool) -> dict:
    """Scores, those of each class by name, and if asked for their intervals over clips."""
    report = dcase.report(tally.sum())
    report["per_class"] = [{"class": c} | s for c, s in zip(classes, report["per_class"])]
    if with_intervals:
        report["intervals"] = {method: intervals.intervals(tally, method) for method in intervals.METHODS}
    return report


_DECIMALS = {"LE": 1, "DE": 1}


def _print_scores(report: dict, reports: dict[str, dict]) -> None:
    for measure, scores in reports.items():
        print(f"{counted(report['n_clips'], 'clip')}, {measure}, within 20 degrees; {report['class_list']}")
        figures = (f"{k} {_figure(k, v)}" for k, v in scores.items() if k not in ("per_class", "intervals"))
        print("  ".join(figures).replace("  LR", " degrees  LR"))
        for entry in scores["per_class"]:
            line = (
                f"  {entry['class']:20s} F {entry['F']:.3f}  LE {_figure('LE', entry['LE']):>5s}  LR {entry['LR']:.3f}"
            )
            print(f"{line}  ({entry['n_reference']} {'frames' if measure in dcase.OF_FRAMES else 's'})")
        if method := report.get("intervals_method"):
            bounds = scores["intervals"][method]
            print(f"95 % intervals over clips, {method}:")
            print(f"  {'  '.join(f'{k} {_figure(k, a)} to {_figure(k, b)}' for k, (a, b) in bounds.items())}")
    if "overlap" in report:
        print("frames in which all events are found, right class and within 20 degrees, of those with")
    for kind, entry in report.get("overlap", {}).items():
        found = "-" if entry["found"] is None else f"{entry['found']:.1%}"
        print(f"  {single_task.OVERLAPS[kind]:35s} {found:>6s}  ({counted(entry['frames'], 'frame')})")


def _print_breakdown(found: evaluation.Evaluation) -> None:
    """The measures of frames by every grouping but that of clips, and those of identity."""
    for name, table in found.breakdowns.items():
        if name == "clip":
            continue
        print(f"frames by {name}")
        for group, row in table[table["reference"] + table["system"] > 0].iterrows():
            figures = "  ".join(f"{key} {_figure(key, row[key]):>5s}" for key in ("F", "precision", "recall", "LE"))
            print(
                f"  {group:28s} {figures}  ({row['reference']:.0f} in the reference, {row['system']:.0f} in the system)"
            )
    print("identity, which the scores above do not see")
    for name, value in found.identity_rates.items():
        print(f"  {name.replace('_', ' '):28s} {_figure(name, value)}")


def _print_differences(differences: dict, options) -> None:
    method = options.intervals or intervals.METHODS[0]
    print(f"{options.predictions} minus {options.against}, with 95 % intervals over clips ({method}, clips paired)")
    for measure, scores in differences.items():
        figures = (
            f"{k} {_figure(k, d['value'])} ({_figure(k, d['low'])} to {_figure(k, d['high'])})"
            for k, d in scores.items()
        )
        print(f"  {measure}  {'  '.join(figures)}")


def _figure(key: str, value: float | None) -> str:
    return "-" if value is None or np.isnan(value) else f"{value:.{_DECIMALS.get(key, 3)}f}"


def simulate(options) -> int:
    """Write scenes: audio as FLAC, ground truth as DCASE 2020 CSV, the drawn scene as JSON; progress in OUT/status.json."""
    with status.reporting(Path(options.out), "scenes") as progress:
        return _simulate(options, progress)


def _simulate(options, progress: Callable[[int, int], None]) -> int:
    from ..simulate.render import write_scenes
    from ..simulate.scene import SceneConfig

    if options.specification:
        return _simulate_specified(options, progress)
    if options.scenes is None or options.seed is None:
        raise ValueError("simulate needs --scenes and --seed, or the --specification of a scene.")
    bank, unclassified = _sounds(options)
    config = config_flags.read(SceneConfig, options)
    stems = write_scenes(options.out, options.scenes, config, bank, options.seed, options.workers, unclassified)
    for n_done, _ in enumerate(_bar(stems, "scenes", options.scenes), 1):
        progress(n_done, options.scenes)
    what = f"{counted(options.scenes, 'scene')} of {config.seconds} s, {len(bank.classes)} classes"
    print(f"{what}, in {options.out}")
    return 0


def _sounds(options):
    """The sounds of the classes and of no class that scenes draw from."""
    from ..simulate.sources import SoundFolder, SourceBank
    from ..simulate.unclassified import UnclassifiedBank

    classes = _classes_of_sounds(options)
    folder = SoundFolder.scan(options.sources, classes) if options.sources else None
    if folder is not None and options.part != "all":
        folder = folder.split(options.held_out_share, seed=2020)[options.part == "held-out"]
    bank = SourceBank(classes, folder, options.procedural_share, options.strong_variation)
    return bank, UnclassifiedBank.scan(options.interferers) if options.interferers else UnclassifiedBank()


def _classes_of_sounds(options) -> tuple[str, ...]:
    """The class list of scenes: asked for, that of a file beside the sounds, that of a year, or the sub-folders of sounds."""
    from ..simulate.sources import SoundFolder

    if options.classes != "auto":
        return class_lists.parse(options.classes)
    if not options.sources or not Path(options.sources).is_dir():
        return class_lists.DCASE2020_CLASSES
    if kept := class_lists.of_folders(options.sources):
        return kept.names
    found = SoundFolder.class_names(options.sources)
    others = [name for name in found if not class_lists.has(class_lists.DCASE2020_CLASSES, [name])]
    if 2 * len(others) > len(found):
        same = (
            known
            for known in class_lists.CLASS_LISTS.values()
            if len(known) == len(found) and class_lists.has(known, found)
        )
        return next(same, found)
    if others:
        print(
            f"note: {options.sources} holds sounds of {', '.join(others[:3])}, which are no classes of DCASE 2020; left out. To take "
            f'them, give the list: --classes "{",".join(found)}"',
            file=sys.stderr,
        )
    return class_lists.DCASE2020_CLASSES


def _simulate_specified(options, progress: Callable[[int, int], None]) -> int:
    """Write the scenes that were specified, each under the name of its file."""
    if options.scenes is not None or options.seed is not None:
        raise ValueError("--specification says all of a scene: leave --scenes and --seed out.")
    _require_unique_stems(options.specification)
    for n_done, file in enumerate(_bar([Path(file) for file in options.specification], "scenes"), 1):
        print(f"{file.stem}: {_write_specified(options, file)}, in {options.out}")
        progress(n_done, len(options.specification))
    return 0


def _write_specified(options, file: Path) -> str:
    """Write the scene of a file, drawn or composed; returns what it holds."""
    from ..simulate import specification
    from ..simulate.render import is_drawn, rebuild_drawn

    text = file.read_bytes()
    if is_drawn(text):
        scene = rebuild_drawn(Path(options.out), file.stem, text, *_sounds(options))
        return f"{counted(len(scene.events), 'event')} in {scene.seconds} s"
    specified = specification.from_text(text, file.name)
    sounds = specification.find_sounds(specified, options.sources)
    specification.write(specified, sounds, Path(options.out), file.stem)
    return f"{counted(len(specified.sources), 'source')} in {specified.seconds} s"


def train(options) -> int:
    """Train a network; see the run's log.txt and metrics.jsonl, and status.json for how far it is."""
    out = Path(options.out)
    if not options.resume and (out / "config.json").exists():
        return _train(options, lambda done, total: None)  # refused: the status of the run that is there stays
    with status.reporting(out, "epochs") as progress:
        return _train(options, progress)


def _train(options, progress: Callable[[int, int], None]) -> int:
    from ..training import distributed
    from ..training import loop as training

    chosen = {
        "parts": options.train_part,
        "validation_parts": options.validation_part,
        "cache": None if options.cache is None else Path(options.cache),
    }
    _with_settings_of_run(options)
    model, features, config, told = _fitted_to_data(options, chosen)
    provenance = {
        "code": f"EINV2 Studio {__version__}",
        "data": options.data_description or [Path(d).name for d in options.data],
        "date": datetime.date.today().isoformat(),
        "arguments": " ".join(word for part in (model, features, config) for word in config_flags.arguments(part)),
        **({"init": options.init.name} if options.init else {}),
        "parts": {"training": options.train_part, "validation": options.validation_part},
        "class_list": str(told),
    }
    run = training.train(
        [Path(d) for d in options.data],
        Path(options.out),
        model,
        features,
        config,
        classes=told.names,
        validation_dirs=[Path(d) for d in options.validation],
        resume=options.resume,
        provenance=provenance,
        init=options.init,
        compiled=options.compile,
        progress=progress,
        **chosen,
    )
    if run.best and run.fabric.is_global_zero:
        score = training.CRITERION[run.model.task]
        print(
            f"{run.out / 'best.safetensors'}: {score} {run.best[score]} after epoch {run.best['epoch']} of {run.epoch}"
        )
    distributed.leave()
    return 0


def _fitted_to_data(options, chosen: dict) -> tuple[ModelConfig, FeatureConfig, TrainConfig, ClassList]:
    """The configurations and the class list, where they were not given told by the training clips."""
    model, features, config = (
        config_flags.read(ModelConfig, options),
        config_flags.read(FeatureConfig, options),
        config_flags.read(TrainConfig, options),
    )
    require_compatible(model, features)
    _require_effect(options, model, config)
    split = dict(chosen, share=config.validation_share, seed=config.seed)
    clips, _ = discovery.split_clips(options.data, options.validation, **split)
    told = discovery.class_list(clips, options.classes)
    for note in clip_sets.reading_notes({str(clip.metadata): clip.metadata for clip in clips}, told.names):
        print(f"note: {note}", file=sys.stderr)
    if options.n_classes is None:
        model = dataclasses.replace(model, n_classes=len(told.names))
    if options.n_tracks is None:
        events = discovery.largest_overlap(clips, told.names)
        model = dataclasses.replace(model, n_tracks=min(max(events, model.n_tracks), MAX_TRACKS))
    return model, features, config, told


def _with_settings_of_run(options) -> None:
    """With --resume the settings of the run, where no flag says otherwise; the class list is told by the data again."""
    from ..training import loop as training

    if not options.resume or not (Path(options.out) / "config.json").exists():
        return
    kept = training.stored_settings(Path(options.out))
    of_system = SYSTEMS[options.system].model | SYSTEMS[options.system].train if options.system else {}
    for part, cls in training.SETTINGS.items():
        run: Any = from_json(cls, kept[part])
        for field in dataclasses.fields(cls):
            if field.name not in {*options.given, *of_system, "n_classes"}:
                setattr(options, field.name, getattr(run, field.name))


def _require_effect(options, model: ModelConfig, config: TrainConfig) -> None:
    """Refuse flags that change nothing here, in a new run. A flag that changes the system is said."""
    of_system = SYSTEMS[options.system].model | SYSTEMS[options.system].train if options.system else {}
    for name in of_system.keys() & options.given:
        if (value := getattr(options, name)) != of_system[name]:
            print(
                f"note: {' '.join(config_flags.flag(name, value))} changes the system {options.system}.",
                file=sys.stderr,
            )
    idle = without_effect(model, config)
    if options.validation or options.validation_part:
        idle["validation_share"] = "the clips to validate on are named"
    wrong = [name for name in idle if name in options.given]
    if wrong and not (options.resume and (Path(options.out) / "config.json").exists()):
        flags = [" ".join(config_flags.flag(name, getattr(options, name))) for name in wrong]
        reasons = dict.fromkeys(idle[name] for name in wrong)
        raise ValueError(f"{', '.join(flags)} would do nothing: {'; '.join(reasons)}. Leave it out.")


def fetch(options) -> int:
    """Download, unpack and check a public DCASE SELD set with the package soundata."""
    parts = download.fetch(options.name, options.out)
    print(f"{options.out}: {', '.join(parts)}; the archives in it are no longer needed")
    return 0


def reproduce(options) -> int:
    """Train and compare the systems of one of the paper's tables; writes OUT/NAME.md and OUT/NAME.json."""
    from ..experiments import reproduce as comparison

    scale = comparison.SCALES[options.scale]
    n_seeds = scale.n_seeds if options.seeds is None else options.seeds
    if n_seeds < 1 or options.epochs == 0:
        raise ValueError("--seeds and --epochs must be at least 1.")
    if options.epochs:
        scale = dataclasses.replace(scale, train=dataclasses.replace(scale.train, epochs=options.epochs))
    out = Path(options.out)
    given = [tuple(map(Path, folders)) for folders in (options.data, options.validation, options.test)]
    if any(given) and not all(given):
        raise ValueError("--data, --validation and --test go together: give all three, or none to simulate scenes.")
    if all(given):
        folders = comparison.Folders(*given)
    else:
        folders = comparison.simulate_data(out / "data", scale, options.sources, options.workers, _bar)
    systems = [name for name in (options.systems or "").split(",") if name]
    seeds = range(comparison.FIRST_SEED, comparison.FIRST_SEED + n_seeds)
    comparison.reproduce(options.name, out, scale, folders, seeds, systems)
    print((out / f"{options.name}.md").read_text())
    return 0


def export(options) -> int:
    """Write a checkpoint to ship: in half precision if asked, with its scores on test sets inside."""
    from ..experiments.reproduce import evaluate as evaluate_checkpoint

    loaded = checkpoint.load(options.checkpoint)
    if options.average:
        checkpoint.average(loaded, {Path(file).name: checkpoint.load(file) for file in options.average})
    checkpoint.save(loaded, options.out, options.half)
    for name, _, folder in (test.partition("=") for test in options.test):
        if not folder:
            raise ValueError(f"--test {name} has no folder: write NAME=DIR.")
        loaded.scores[name] = evaluate_checkpoint(Path(options.out), [Path(folder)])
        figures = {k: v for k, v in loaded.scores[name].items() if isinstance(v, float)}
        print(name, "  ".join(f"{key} {value:.3f}" for key, value in figures.items()))
    checkpoint.save(loaded, options.out, options.half)
    return 0


def bench(options) -> int:
    """Measure how fast the library is on this machine."""
    from ..experiments import bench as benchmark

    figures = benchmark.run(options.model, not options.small)
    for name, value in figures.items():
        print(f"{name:36s} {value:10.3f}")
    _write_json(options.json, figures)
    return 0


def import_official(options) -> int:
    """Turn a checkpoint of the authors' released code into one of ours."""
    from ..checkpoints import official

    imported = official.import_checkpoint(options.checkpoint, options.scalar)
    checkpoint.save(imported, options.out)
    print(
        f"{options.out}: {imported.n_parameters:,} parameters, {counted(imported.model.n_tracks, 'track')}, "
        f"{counted(len(imported.classes), 'class', 'classes')}"
    )
    if not options.scalar:
        print(
            "without --scalar the features are not standardised; give the authors' scalar file for right results",
            file=sys.stderr,
        )
    return 0


def _bar(items, what: str, total: int | None = None):
    from tqdm import tqdm

    return tqdm(items, what, total, disable=not sys.stderr.isatty(), leave=False)


@contextlib.contextmanager
def _seconds_bar(what: str, seconds: float):
    """A progress bar over the seconds of a clip; gives the function that is told how many are done."""
    from tqdm import tqdm

    with tqdm(total=round(seconds), desc=what, unit="s", disable=not sys.stderr.isatty(), leave=False) as bar:
        yield lambda done: bar.update(min(round(done), bar.total) - bar.n)


def _fail(error) -> int:
    fix = getattr(error, "fix", None)
    print(f"error: {error}{f': --input={fix.key}' if fix else ''}", file=sys.stderr)
    return 1


def _write_json(path: str | None, value) -> None:
    if path is not None:
        write_json(path, value)


COMMANDS = {
    "predict": predict,
    "evaluate": evaluate,
    "check": check,
    "models": models,
    "simulate": simulate,
    "train": train,
    "reproduce": reproduce,
    "fetch": fetch,
    "export": export,
    "import-official": import_official,
    "bench": bench,
}
