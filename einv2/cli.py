"""The command line, one function a command. ``python -m einv2 COMMAND --help`` says the units.

Exit status 0 only if everything asked for was done. Errors are one line each on standard error: what is wrong with which file,
and what would be right.
"""

import argparse
import contextlib
import dataclasses
import datetime
import sys
import time
import types
import typing
from pathlib import Path

import numpy as np

from . import audio, checkpoint, inference, inputcheck, labels
from .config import VERSION, FeatureConfig, ModelConfig, TrainConfig, field_help, from_json
from .files import replacing, write_json
from .metrics.dcase import evaluate_2020


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (ValueError, OSError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail("stopped.")


def predict(options) -> int:
    """Write the detections of each clip as CSV, and with --arrays the network's output as NPZ."""
    if len(options.model) > 1:
        raise ValueError(f"predict runs one model at a time, not {len(options.model)}: give --model once.")
    model = inference.load(options.model[0])
    _require_unique_stems(options.clips)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    report = {"model": options.model[0], "threshold": options.threshold, "clips": []}
    for clip in options.clips:
        report["clips"].append(_predict_clip(model, Path(clip), out, options))
    _write_json(options.json, report)
    return 1 if any("error" in entry for entry in report["clips"]) else 0


def _predict_clip(model, clip: Path, out: Path, options) -> dict:
    """Predict and write one clip. One that cannot be used or written is said, and the others go on."""
    try:
        return _write_prediction(model, clip, out, options)
    except (ValueError, OSError) as error:
        _fail(error)
        return {"clip": str(clip), "error": str(error)}


def _write_prediction(model, clip: Path, out: Path, options) -> dict:
    began = time.monotonic()
    with _seconds_bar(clip.name, audio.probe(clip).seconds) as progress:
        prediction = model.predict(clip, progress=progress)
    table = prediction.frames(options.threshold)
    csv = out / f"{clip.stem}.csv"
    if options.arrays:
        _write_arrays(out / f"{clip.stem}.npz", prediction)
    labels.write_csv(table, csv, options.format, classes=prediction.classes)
    seconds = len(prediction.sed) * prediction.frame_seconds
    events = len(prediction.events(options.threshold))
    elapsed = time.monotonic() - began
    return {"clip": str(clip), "csv": str(csv), "seconds": seconds, "events": events, "elapsed_seconds": elapsed}


def _write_arrays(path: Path, prediction: inference.Prediction) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, sed=prediction.sed, doa=prediction.doa, classes=np.array(prediction.classes))


def _require_unique_stems(clips: list[str]) -> None:
    seen = {}
    for clip in clips:
        other = seen.setdefault(Path(clip).stem, clip)
        if other != clip:
            raise ValueError(f"{other} and {clip} would both be written as {Path(clip).stem}.csv; rename one of them.")


def check(options) -> int:
    """Say what each clip is, and whether it looks like first-order ambisonics."""
    report, status = [], 0
    for clip in options.clips:
        try:
            info = audio.probe(clip)
            signal = _first_seconds(clip, inputcheck.MAX_SECONDS)
        except (ValueError, OSError) as error:
            status = _fail(error)
            report.append({"clip": str(clip), "error": str(error)})
            continue
        findings = inputcheck.check(signal, audio.SAMPLE_RATE)
        print(f"{clip}: {info.seconds:.2f} s, {info.sample_rate} Hz, {info.format}. {inputcheck.summary(findings)}")
        report.append(
            {
                "clip": str(clip),
                "seconds": info.seconds,
                "sample_rate": info.sample_rate,
                "findings": [dataclasses.asdict(f) for f in findings],
            }
        )
    _write_json(options.json, report)
    return status


def _first_seconds(clip, seconds: float) -> np.ndarray:
    """The start of a clip (4, S). The rest is read too, so that damage anywhere in it is found."""
    kept, samples = [], 0
    with _seconds_bar(Path(clip).name, audio.probe(clip).seconds) as progress:
        for block in audio.stream(clip):
            if samples < seconds * audio.SAMPLE_RATE:
                kept.append(block)
            samples += block.shape[1]
            progress(samples / audio.SAMPLE_RATE)
    return np.concatenate(kept, axis=1)


def models(options) -> int:
    """List the models in pretrained/."""
    report, status = [], 0
    for name, path in inference.available_models().items():
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
        print(f"{name:16s} {size:6.1f} MB  {model.n_tracks} tracks, {len(header['classes'])} classes  {figures}")
    if not report and not status:
        status = _fail(f"there is no model in {inference.PRETRAINED}.")
    _write_json(options.json, report)
    return status


def evaluate(options) -> int:
    """Score a folder of predictions against a folder of ground truth, matched by stem."""
    estimates, references = _csv_files(options.predictions), _csv_files(options.references)
    if estimates.keys() != references.keys():
        odd = sorted(estimates.keys() ^ references.keys())
        raise ValueError(
            f"the folders do not hold the same stems: {len(odd)} stand in one of them only, first {odd[0]}.csv."
        )
    classes = labels.CLASS_LISTS[options.classes]
    pairs = (
        (labels.read_csv(estimates[s], classes), labels.read_csv(references[s], classes)) for s in sorted(estimates)
    )
    scores = evaluate_2020(pairs, len(classes))
    scores["per_class"] = [{"class": c} | s for c, s in zip(classes, scores["per_class"])]
    print(f"{len(estimates)} clips, {options.metric}, within 20 degrees")
    print(f"ER {scores['ER']:.3f}  F {scores['F']:.3f}  LE {scores['LE']:.1f} degrees  LR {scores['LR']:.3f}", end="  ")
    print(f"SELD {scores['SELD']:.3f}")
    for entry in scores["per_class"]:
        line = f"  {entry['class']:20s} F {entry['F']:.3f}  LE {entry['LE']:5.1f}  LR {entry['LR']:.3f}"
        print(line + f"  ({entry['n_reference']} s)")
    _write_json(options.json, {"metric": options.metric, "n_clips": len(estimates), **scores})
    return 0


def _csv_files(folder: str) -> dict[str, Path]:
    """Stem to file of all CSVs below a folder."""
    if not Path(folder).is_dir():
        raise ValueError(f"{folder} is no folder: give the one that the CSV files lie in.")
    files = {}
    for path in sorted(Path(folder).rglob("*.csv")):
        if (other := files.setdefault(path.stem, path)) != path:
            raise ValueError(
                f"{other} and {path} have the same stem, by which files are matched; give one folder of them."
            )
    if not files:
        raise ValueError(f"{folder} holds no CSV files: give the folder that they lie in.")
    return files


def simulate(options) -> int:
    """Write scenes: audio as FLAC, ground truth as DCASE 2020 CSV, the drawn scene as JSON."""
    from .simulate import SceneConfig, SoundFolder, SourceBank, write_scenes

    classes = labels.DCASE2020_CLASSES
    folder = SoundFolder.scan(options.sources, classes) if options.sources else None
    if folder is not None and options.part != "all":
        folder = folder.split(options.held_out_share, seed=2020)[options.part == "held-out"]
    bank = SourceBank(classes, folder, options.procedural_share)
    config = _config_from(SceneConfig, options)
    stems = write_scenes(options.out, options.scenes, config, bank, options.seed, options.workers)
    for _ in _bar(stems, "scenes", options.scenes):
        pass
    print(f"{options.scenes} scenes of {config.seconds} s in {options.out}")
    return 0


def train(options) -> int:
    """Train a network; see the run's log.txt and metrics.jsonl."""
    from . import train as training

    classes = labels.CLASS_LISTS[options.classes]
    if options.n_classes == ModelConfig.n_classes:
        options.n_classes = len(classes)
    provenance = {
        "code": f"EINV2 Studio {VERSION}",
        "data": options.data_description or [Path(d).name for d in options.data],
        "date": datetime.date.today().isoformat(),
        "arguments": " ".join(_without_paths(options)),
    }
    configs = [_config_from(cls, options) for cls in (ModelConfig, FeatureConfig, TrainConfig)]
    run = training.train(
        [Path(d) for d in options.data],
        Path(options.out),
        *configs,
        classes=classes,
        validation_dirs=[Path(d) for d in options.validation],
        resume=options.resume,
        provenance=provenance,
    )
    print(f"{run.out / 'best.safetensors'}: SELD {run.best:.3f} after {run.epoch} epochs")
    return 0


def _without_paths(options) -> list[str]:
    """The configuration flags that differ from the defaults, as they would be typed."""
    flags = []
    for cls in (ModelConfig, FeatureConfig, TrainConfig):
        for field in dataclasses.fields(cls):
            value = getattr(options, field.name)
            if value != field.default:
                flags.append(_as_typed(field.name.replace("_", "-"), value))
    return flags


def _as_typed(name: str, value) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {','.join(map(str, value)) if isinstance(value, tuple) else value}"


def import_official(options) -> int:
    """Turn a checkpoint of the authors' released code into one of ours."""
    from . import official

    imported = official.import_checkpoint(options.checkpoint, options.scalar)
    checkpoint.save(imported, options.out)
    print(
        f"{options.out}: {imported.n_parameters:,} parameters, {imported.model.n_tracks} tracks, {len(imported.classes)} classes"
    )
    if not options.scalar:
        print(
            "without --scalar the features are not standardised; give the authors' scalar file for right results",
            file=sys.stderr,
        )
    return 0


class _HelpWithDefaults(argparse.HelpFormatter):
    """Adds defaults, as they would be typed, to the help of options that have one."""

    def _get_help_string(self, action) -> str:
        default = action.default
        if isinstance(action, argparse.BooleanOptionalAction):
            return f"{action.help.partition(' (default')[0]} (default: {'on' if default else 'off'})"
        if default in (None, [], argparse.SUPPRESS) or action.nargs == 0:
            return action.help
        return f"{action.help} (default: {','.join(map(str, default)) if isinstance(default, tuple) else default})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m einv2", description="Sound event localization and detection with EINV2."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_predict(commands)
    _add_evaluate(commands)
    _add_simulate(commands)
    _add_train(commands)
    sub = _add(commands, "import-official", import_official)
    sub.add_argument(
        "checkpoint", metavar="CHECKPOINT.pth", help="checkpoint of the authors' released code; never unpickled fully"
    )
    sub.add_argument("out", metavar="OUT.safetensors", help="file to write")
    sub.add_argument(
        "--scalar", metavar="SCALAR.h5", help="their feature statistics (HDF5 with mean and std, 1 x 7 x 1 x mels)"
    )
    sub = _add(commands, "check", check)
    sub.add_argument("clips", nargs="+", metavar="CLIP", help="4-channel FOA recordings (WAV, FLAC, OGG)")
    _add_json(sub)
    _add_json(_add(commands, "models", models))
    return parser


def _add(commands, name: str, function) -> argparse.ArgumentParser:
    summary = function.__doc__.splitlines()[0]
    sub = commands.add_parser(name, help=summary, description=summary, formatter_class=_HelpWithDefaults)
    sub.set_defaults(command=function)
    return sub


def _add_json(sub) -> None:
    sub.add_argument("--json", metavar="FILE", help="write the results as JSON, too")


def _add_predict(commands) -> None:
    sub = _add(commands, "predict", predict)
    sub.add_argument("clips", nargs="+", metavar="CLIP", help="4-channel FOA recordings (WAV, FLAC, OGG; 8 to 192 kHz)")
    sub.add_argument(
        "--model", action="append", required=True, metavar="NAME_OR_FILE", help="a name in pretrained/, or a file"
    )
    sub.add_argument(
        "--out", required=True, metavar="DIR", help="folder for CLIP.csv: frame (100 ms), class, track, degrees"
    )
    sub.add_argument(
        "--threshold",
        type=_share,
        default=0.5,
        metavar="P",
        help="class probability, 0 to 1, above which a track is active",
    )
    sub.add_argument("--format", choices=labels.WRITE_FORMATS, default="dcase2020", help="layout of the CSV")
    sub.add_argument("--arrays", action="store_true", help="also CLIP.npz: sed (T, M, K), doa (T, M, 3), classes")
    _add_json(sub)


def _add_evaluate(commands) -> None:
    sub = _add(commands, "evaluate", evaluate)
    sub.add_argument("predictions", metavar="PRED_DIR", help="folder of CSVs")
    sub.add_argument("references", metavar="REF_DIR", help="folder of CSVs with the same stems")
    sub.add_argument("--metric", choices=["dcase2020"], default="dcase2020", help="which year's measure")
    sub.add_argument(
        "--classes", choices=sorted(labels.CLASS_LISTS), default="dcase2020", help="class list of the CSVs"
    )
    _add_json(sub)


def _add_simulate(commands) -> None:
    from .simulate import SceneConfig

    sub = _add(commands, "simulate", simulate)
    sub.add_argument("out", metavar="OUT_DIR", help="folder to write; scenes that stand there already are kept")
    sub.add_argument("--scenes", type=_count, required=True, metavar="N", help="number of scenes")
    sub.add_argument("--seed", type=_count, required=True, metavar="S", help="the same seed gives the same bytes")
    sub.add_argument(
        "--sources", metavar="DIR", help="folder of mono sounds, a sub-folder a class; none: procedural sounds only"
    )
    sub.add_argument(
        "--procedural-share", type=_share, default=0.2, help="share of procedural sounds beside a folder's, 0 to 1"
    )
    sub.add_argument(
        "--part", choices=["all", "train", "held-out"], default="all", help="which recordings of the folder to use"
    )
    sub.add_argument(
        "--held-out-share", type=_share, default=0.2, help="share of each class's recordings that is held out"
    )
    sub.add_argument("--workers", type=_count, default=1, metavar="N", help="number of processes")
    _add_config(sub, SceneConfig)


def _add_train(commands) -> None:
    sub = _add(commands, "train", train)
    sub.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="DIR",
        help="folder with foa_dev/ and metadata_dev/; repeatable",
    )
    sub.add_argument(
        "--validation", action="append", default=[], metavar="DIR", help="folder to validate on; repeatable"
    )
    sub.add_argument("--out", required=True, metavar="RUN_DIR", help="folder of the run")
    sub.add_argument(
        "--resume", action="store_true", help="go on with the run in RUN_DIR, from its last finished epoch"
    )
    sub.add_argument(
        "--classes",
        choices=sorted(labels.CLASS_LISTS),
        default="dcase2020",
        help="class list of the CSVs; sets --n-classes",
    )
    sub.add_argument("--data-description", metavar="TEXT", help="what the data are, for the model card")
    for cls in (ModelConfig, FeatureConfig, TrainConfig):
        _add_config(sub, cls)


def _add_config(sub, cls) -> None:
    """A flag for every field of a configuration."""
    kinds, texts = typing.get_type_hints(cls), field_help(cls)
    has_lists = any(isinstance(kind, types.GenericAlias) for kind in kinds.values())
    group = sub.add_argument_group(
        cls.__name__, "a list that starts with a minus is written --flag=-A,B" if has_lists else None
    )
    for name, kind in kinds.items():
        flag, default = f"--{name.replace('_', '-')}", cls.__dataclass_fields__[name].default
        if kind is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=texts[name])
        else:
            group.add_argument(flag, type=_converter(kind), default=default, metavar=_metavar(kind), help=texts[name])


def _converter(kind):
    if isinstance(kind, types.GenericAlias):
        item = typing.get_args(kind)[0]

        def convert(text: str) -> tuple:
            return tuple(item(part) for part in text.split(",") if part)

        convert.__name__ = f"comma-separated list of {item.__name__}"
        return convert
    return kind


def _metavar(kind) -> str:
    return "A,B,.." if isinstance(kind, types.GenericAlias) else kind.__name__.upper()


def _config_from(cls, options):
    return cls(**{f.name: getattr(options, f.name) for f in dataclasses.fields(cls)})


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} must lie between 0 and 1")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} must not be negative")
    return value


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
    print(f"error: {error}", file=sys.stderr)
    return 1


def _write_json(path: str | None, value) -> None:
    if path is not None:
        write_json(path, value)
