"""What each command of ``python -m einv2`` takes: its flags, their units and defaults."""

import argparse
import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..audio import inputformat
from ..config import FeatureConfig, ModelConfig, TrainConfig
from ..datasets import download
from ..experiments.systems import SCALE_NAMES, SYSTEMS, TABLES
from ..frames import LABEL_FRAMES_PER_SECOND
from ..inference.model import OVERLAP_SECONDS
from ..labels import class_lists, csv_layout, dcase_csv
from ..metrics.dcase import MEASURES
from ..metrics.intervals import METHODS
from ..models.acceleration import PRECISIONS
from . import config_flags


class _SetSystem(argparse.Action):
    """--system NAME stands for the flags of that system. Flags that are given, before it or after it, have the last word."""

    def __call__(self, parser, namespace, value, option_string=None) -> None:
        if namespace.system not in (None, value):
            parser.error(f"--system {namespace.system} and --system {value}: a network is of one system")
        config_flags.fill(namespace, SYSTEMS[value].model | SYSTEMS[value].train)
        namespace.system = value


class _SetDisturbed(argparse.Action):
    """--disturbed stands for the flags of ``SceneConfig.disturbed``; those that are given beside it win."""

    def __call__(self, parser, namespace, value, option_string=None) -> None:
        from ..simulate.scene import DISTURBED

        config_flags.fill(namespace, DISTURBED)


class _HelpWithDefaults(argparse.HelpFormatter):
    """Adds defaults, as they would be typed, to the help of options that have one."""

    def _get_help_string(self, action) -> str:
        default = action.default
        if isinstance(action, argparse.BooleanOptionalAction):
            return f"{(action.help or '').partition(' (default')[0]} (default: {'on' if default else 'off'})"
        if action.dest in ("n_tracks", "n_classes"):
            return f"{action.help} (default: told by the data)"
        if default in (None, [], (), argparse.SUPPRESS) or action.nargs == 0:
            return action.help
        return f"{action.help} (default: {','.join(map(str, default)) if isinstance(default, tuple) else default})"


def parser(functions: Mapping[str, Callable]) -> argparse.ArgumentParser:
    """The parser of ``python -m einv2``. Each command's options name its function, by which it is run, as ``command``; the
    first line of its docstring is its help."""
    main = argparse.ArgumentParser(
        prog="python -m einv2", description="Sound event localization and detection with EINV2."
    )
    commands = main.add_subparsers(metavar="COMMAND", required=True)
    for name, function in functions.items():
        summary = (function.__doc__ or name).splitlines()[0]
        sub = commands.add_parser(name, help=summary, description=summary, formatter_class=_HelpWithDefaults)
        sub.set_defaults(command=function, given=frozenset())
        _ADDERS[name](sub)
    return main


def parse(functions: Mapping[str, Callable], arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. A plain ``--intervals`` may stand before folders, which are not its method."""
    given = [*arguments, ""]
    plain = (a == "--intervals" and b not in METHODS for a, b in itertools.pairwise(given))
    whole = [f"{a}={METHODS[0]}" if bare else a for a, bare in zip(arguments, plain)]
    return parser(functions).parse_args(whole)


def _add_json(sub) -> None:
    sub.add_argument("--json", metavar="FILE", help="write the results as JSON, too")


def _add_predict(sub) -> None:
    sub.add_argument(
        "clips",
        nargs="+",
        metavar="CLIP",
        help="4-channel FOA recordings (WAV, FLAC, OGG, AIFF, CAF, W64, BW64; 8 to 192 kHz)",
    )
    sub.add_argument(
        "--model",
        action="append",
        required=True,
        metavar="NAME_OR_FILE",
        help="a name in pretrained/, or a file; given several times: an ensemble. A+B: a detection network and a direction network "
        "(of the tasks sed and doa) as one system",
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
    sub.add_argument(
        "--rotations",
        type=_count,
        default=1,
        metavar="N",
        help="average over the scene turned and mirrored in so many ways, 1 to 16: more precise, so many times slower",
    )
    sub.add_argument(
        "--overlap",
        type=float,
        metavar="S",
        help="chunks overlap by so many seconds, 0 to half of their length, which is that of the training, 4 s as a rule: more "
        f"precise, up to twice as slow (default: {OVERLAP_SECONDS:g}, or half of a chunk if that is less)",
    )
    sub.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="bfloat16: several times faster on processors that multiply it (AMX), at the cost of some hundredths in the "
        "probabilities' logits",
    )
    sub.add_argument(
        "--format",
        choices=dcase_csv.WRITE_FORMATS,
        default="dcase2020",
        help="layout of the CSV; dcase2025 (stereo) has no elevations",
    )
    sub.add_argument(
        "--classes",
        metavar="NAMES|FILE",
        help="class list whose indices are written, mapped by the names of the network's classes, all of which it must have: "
        + class_lists.HELP_NAMES
        + " (default: the network's own)",
    )
    _add_input(sub)
    sub.add_argument("--arrays", action="store_true", help="also CLIP.npz: sed (T, M, K), doa (T, M, 3), classes")
    _add_json(sub)


def _add_input(sub, what: str = "what the channels of the recordings are") -> None:
    sub.add_argument(
        "--input",
        type=_input_format,
        metavar="FORMAT",
        help=f"{what}: {inputformat.HELP} (default: as their headers declare, .amb as FuMa, else acn-sn3d)",
    )


def _input_format(text: str) -> inputformat.InputFormat:
    try:
        return inputformat.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_evaluate(sub) -> None:
    sub.add_argument("predictions", metavar="PRED_DIR", help="folder of CSVs")
    sub.add_argument("references", metavar="REF_DIR", help="folder of CSVs with the same stems")
    sub.add_argument(
        "--metric",
        choices=[*MEASURES, "all"],
        help=f"which year's measure, or all; dcase2025 (stereo) takes the back for the front (default: {MEASURES[0]})",
    )
    sub.add_argument(
        "--classes",
        metavar="NAMES|FILE|N",
        default="auto",
        help=f"class list of the CSVs: {class_lists.HELP}; auto: told by {class_lists.FILE_NAME} beside the data, else by the files",
    )
    sub.add_argument(
        "--seconds",
        dest="n_frames",
        type=_frames,
        metavar="S",
        help="score S seconds of every clip; the official code of 2020 and 2021 takes 60. Without it, up to the last event of the "
        "ground truth, as the official code from 2022 on",
    )
    sub.add_argument(
        "--intervals",
        nargs="?",
        choices=METHODS,
        const=METHODS[0],
        metavar="METHOD",
        help="95 %% confidence intervals over clips, too, and their method, of --against too: bootstrap, or the official "
        "scripts' jackknife, cut to what a score can be (without METHOD: bootstrap; the JSON holds both)",
    )
    sub.add_argument(
        "--breakdown",
        action="store_true",
        help="by class, overlap, motion, direction; kinds of error; confusion; track swaps. With what predict --arrays wrote "
        "beside the CSVs, the probabilities too",
    )
    sub.add_argument("--audio", metavar="DIR", help="recordings with the same stems, for the breakdown by level")
    _add_input(sub, "what the channels of those are")
    sub.add_argument(
        "--errors", metavar="FILE", help="write every error event as CSV: clip, kind, class, onset, offset, ..."
    )
    sub.add_argument(
        "--against", metavar="PRED_DIR", help="predictions of another system: the differences, with intervals"
    )
    sub.add_argument(
        "--overlap", action="store_true", help="share of frames with one or more events in which all are found, too"
    )
    _add_json(sub)
    _add_reading(sub, "", "predictions")
    _add_reading(sub, "reference-", "ground truth")
    _add_reading(sub, "against-", "predictions of --against")


def _add_reading(sub, prefix: str, side: str) -> None:
    """How the tables of one side are written; the fields of a ``dcase_csv.Reading``."""
    group = sub.add_argument_group(f"layout of the {side}, where the files do not tell it")
    group.add_argument(
        f"--{prefix}columns",
        type=_names,
        metavar="A,B,..",
        help="in order, as frame,class,track,azimuth,elevation,distance; or x,y,z, onset,offset (s), and - for a column to read over",
    )
    group.add_argument(
        f"--{prefix}units", choices=csv_layout.UNITS, help="of the directions; cartesian: x front, y left, z up"
    )
    group.add_argument(f"--{prefix}distance-unit", choices=csv_layout.DISTANCE_UNITS, help="of the distances")
    group.add_argument(f"--{prefix}frame-ms", type=_count, metavar="MS", help="length of a frame, if not 100 ms")
    group.add_argument(
        f"--{prefix}first-frame", type=int, choices=[0, 1], help="the number of the first frame, if not 0"
    )


def reading_of(options, prefix: str = "") -> csv_layout.Reading:
    """What the flags of ``_add_reading`` say. ValueError if it cannot be."""
    return csv_layout.Reading(
        **{f.name: getattr(options, prefix + f.name) for f in dataclasses.fields(csv_layout.Reading)}
    )


def _add_simulate(sub) -> None:
    from ..simulate.scene import SceneConfig

    sub.add_argument("out", metavar="OUT_DIR", help="folder to write; scenes that stand there already are kept")
    sub.add_argument("--scenes", type=_count, metavar="N", help="number of scenes to draw")
    sub.add_argument("--seed", type=_count, metavar="S", help="the same seed gives the same bytes")
    sub.add_argument(
        "--specification",
        action="append",
        default=[],
        metavar="FILE.json",
        help="instead of drawing: the scene of the Scenes page's JSON, or of OUT_DIR/scenes/FILE.json with the flags of the sounds "
        "that it was drawn with, to the bit, as FILE.flac and FILE.csv; repeatable",
    )
    sub.add_argument(
        "--sources",
        metavar="DIR",
        help="folder of mono sounds, a sub-folder a class; none: procedural sounds only. With --specification: the folder in "
        "which, or below which, the files that it names lie",
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
    sub.add_argument(
        "--strong-variation",
        action="store_true",
        help="for training: vary pitch, speed and spectrum of recordings more, and fill thin classes with procedural sounds",
    )
    sub.add_argument(
        "--interferers",
        metavar="DIR",
        help="folder of recordings of no class, for --interferer-share and --ambience-share; half of the sounds are drawn from it",
    )
    sub.add_argument(
        "--disturbed",
        action=_SetDisturbed,
        nargs=0,
        default=argparse.SUPPRESS,
        help="for training: what recordings have, such as sounds of no class, noise from a direction and an imperfect microphone; "
        f"stands for {_disturbed_flags()}",
    )
    sub.add_argument("--workers", type=_count, default=1, metavar="N", help="number of processes")
    sub.add_argument(
        "--classes",
        metavar="NAMES|FILE",
        default="auto",
        help=f"class list of the scenes, which {class_lists.FILE_NAME} in OUT_DIR keeps: {class_lists.HELP_NAMES}; auto: of such a "
        "file among the sources; else that of dcase2020, or the sub-folders of the sources where most are of other classes",
    )
    config_flags.add(sub, SceneConfig)


def _disturbed_flags() -> str:
    from ..simulate.scene import DISTURBED

    return " ".join(word for name, value in DISTURBED.items() for word in config_flags.flag(name, value))


def _add_train(sub) -> None:
    sub.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="DIR",
        help="folder of a DCASE SELD set of 2019 to 2024 (foa_dev/ and metadata_dev/), or that simulate wrote; repeatable",
    )
    sub.add_argument(
        "--validation", action="append", default=[], metavar="DIR", help="folder to validate on; repeatable"
    )
    sub.add_argument(
        "--train-part",
        type=config_flags.list_of(str),
        default=(),
        metavar="A,B,..",
        help="train on the clips of which a folder or the name begins so: fold2,fold3 or dev-train; none: on all others",
    )
    sub.add_argument(
        "--validation-part",
        type=config_flags.list_of(str),
        default=(),
        metavar="A,B,..",
        help="validate on these, as fold1 or dev-test-sony; neither part nor folder: on --validation-share of the clips",
    )
    sub.add_argument("--cache", metavar="DIR", help="folder to keep features in, if not in the data folders")
    sub.add_argument(
        "--init",
        type=Path,
        metavar="FILE",
        help="checkpoint of the same configuration, whose weights the run begins with",
    )
    sub.add_argument(
        "--compile",
        action="store_true",
        help="compile the network first (torch.compile), which takes a minute and needs a C++ compiler; for a GPU",
    )
    sub.add_argument(
        "--system",
        action=_SetSystem,
        choices=SYSTEMS,
        metavar="NAME",
        help=f"sets the flags of a system that the paper compares; flags beside it change it again: {', '.join(SYSTEMS)}",
    )
    sub.add_argument("--out", required=True, metavar="RUN_DIR", help="folder of the run")
    sub.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in RUN_DIR, from its last finished epoch, with its settings where no flag says otherwise; "
        "--epochs may change while the learning rates so far stay the same",
    )
    sub.add_argument(
        "--classes",
        metavar="NAMES|FILE|N",
        default="auto",
        help=f"class list of the CSVs: {class_lists.HELP}; auto: told by {class_lists.FILE_NAME} beside the data, else by the files",
    )
    sub.add_argument("--data-description", metavar="TEXT", help="what the data are, for the model card")
    for cls in (ModelConfig, FeatureConfig, TrainConfig):
        config_flags.add(sub, cls)
    sub.set_defaults(n_classes=None, n_tracks=None)  # told by the data


def _add_fetch(sub) -> None:
    sub.add_argument(
        "name",
        choices=download.PUBLIC_SETS,
        help="which set; those of 2023 and 2024 (STARSS23) are not in soundata: see zenodo.org/records/7880637",
    )
    sub.add_argument(
        "--out", required=True, metavar="DIR", help="folder for foa_dev/, metadata_dev/ and so on; tens of GB"
    )


def _add_reproduce(sub) -> None:
    sub.add_argument("name", choices=TABLES, help="which of the paper's comparisons")
    sub.add_argument(
        "--out", required=True, metavar="DIR", help="folder for data, runs and results; goes on if it stands"
    )
    sub.add_argument(
        "--scale",
        choices=SCALE_NAMES,
        default="small",
        help="small: overnight on two cores; paper: its own setting, for a GPU",
    )
    sub.add_argument(
        "--sources", type=Path, metavar="DIR", help="recordings by class for the scenes; none: procedural sounds only"
    )
    for flag, what in (("--data", "train on"), ("--validation", "validate on"), ("--test", "evaluate on")):
        sub.add_argument(
            flag, action="append", default=[], metavar="DIR", help=f"data set to {what}, instead of simulated scenes"
        )
    sub.add_argument("--systems", metavar="A,B,..", help="only the rows of these systems (see train --system)")
    sub.add_argument("--epochs", type=_count, metavar="N", help="passes over the data, instead of the scale's")
    sub.add_argument(
        "--seeds",
        type=_count,
        metavar="N",
        help="runs of each system, of which mean and standard deviation are written (default: small 1, paper 5)",
    )
    sub.add_argument("--workers", type=_count, default=1, metavar="N", help="processes that simulate")


def _add_import_official(sub) -> None:
    sub.add_argument(
        "checkpoint", metavar="CHECKPOINT.pth", help="checkpoint of the authors' released code; never unpickled fully"
    )
    sub.add_argument("out", metavar="OUT.safetensors", help="file to write")
    sub.add_argument(
        "--scalar", metavar="SCALAR.h5", help="their feature statistics (HDF5 with mean and std, 1 x 7 x 1 x mels)"
    )


def _add_export(sub) -> None:
    sub.add_argument("checkpoint", metavar="CHECKPOINT", help="of a training run, e.g. RUN_DIR/last.safetensors")
    sub.add_argument("out", metavar="OUT.safetensors", help="file to write")
    sub.add_argument("--half", action="store_true", help="weights in half precision: half the size")
    sub.add_argument(
        "--average",
        action="append",
        default=[],
        metavar="CHECKPOINT",
        help="average the weights with those of this one, of a run that one of the two went on from; repeatable",
    )
    sub.add_argument(
        "--test",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="data set to score on, kept under NAME; repeatable",
    )


def _add_bench(sub) -> None:
    sub.add_argument("--model", default="einv2", metavar="NAME_OR_FILE", help="a name in pretrained/, or a file")
    sub.add_argument(
        "--small", action="store_true", help="leave out the network of the paper's size, which takes a minute"
    )
    _add_json(sub)


def _add_check(sub) -> None:
    sub.add_argument(
        "clips", nargs="+", metavar="CLIP", help="4-channel FOA recordings (WAV, FLAC, OGG, AIFF, CAF, W64, BW64)"
    )
    _add_input(sub)
    sub.add_argument(
        "--truth",
        metavar="CSV_OR_FOLDER",
        help="labels of the clip, or a folder with a CSV for each clip, to check the order and the signs of the channels with",
    )
    sub.add_argument(
        "--classes",
        metavar="NAMES|FILE|N",
        help="class list of the labels (default: any; only directions are compared)",
    )
    _add_json(sub)


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} must lie between 0 and 1")
    return value


def _frames(text: str) -> int:
    """Label frames of a time in seconds."""
    value = round(float(text) * LABEL_FRAMES_PER_SECOND)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a tenth of a second or more")
    return value


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} must not be negative")
    return value


_ADDERS = {
    "predict": _add_predict,
    "evaluate": _add_evaluate,
    "check": _add_check,
    "simulate": _add_simulate,
    "train": _add_train,
    "reproduce": _add_reproduce,
    "fetch": _add_fetch,
    "export": _add_export,
    "import-official": _add_import_official,
    "models": _add_json,
    "bench": _add_bench,
}
