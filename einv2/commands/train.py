"""Train a network."""

import argparse
import datetime
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import __version__, status
from ..config import CRITERION, FeatureConfig, ModelConfig, TrainConfig, require_compatible, without_effect
from ..datasets import class_decision, discovery
from ..datasets.discovery import DataSelection
from ..experiments.systems import SYSTEMS
from ..labels import class_lists, clip_sets
from ..labels.class_lists import ClassList
from ..permutations import MAX_TRACKS
from ..training import distributed, loop
from ..training.run import RunOptions
from ..training.run_folder import RunData, RunFolder, RunSettings
from . import config_flags
from .shared import note


class _SetSystem(argparse.Action):
    """--system NAME stands for the flags of that system; flags typed before or after it win."""

    def __call__(self, parser, namespace, value, option_string=None) -> None:
        if namespace.system not in (None, value):
            parser.error(f"--system {namespace.system} and --system {value}: choose one system")
        namespace.system = value
        config_flags.fill(namespace, _settings_of_system(namespace))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="DIR",
        help="folder of a DCASE SELD set of 2019 to 2024 (foa_dev/ and metadata_dev/), or that simulate wrote; repeatable",
    )
    parser.add_argument(
        "--validation", action="append", default=[], metavar="DIR", help="folder to validate on; repeatable"
    )
    parser.add_argument(
        "--train-part",
        type=config_flags.list_of(str),
        default=(),
        metavar="A,B,..",
        help="train on the clips whose name or folder begins with one of these: fold2,fold3 or dev-train; none: on all others",
    )
    parser.add_argument(
        "--validation-part",
        type=config_flags.list_of(str),
        default=(),
        metavar="A,B,..",
        help="validate on these, as fold1 or dev-test-sony; with neither part nor folder: on --validation-share of the clips",
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="folder for features, if not in the data folders")
    parser.add_argument(
        "--init",
        type=Path,
        metavar="FILE",
        help="checkpoint of the same configuration, whose weights the run begins with",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the network first (torch.compile), which takes a minute and needs a C++ compiler; for a GPU",
    )
    parser.add_argument(
        "--system",
        action=_SetSystem,
        choices=SYSTEMS,
        metavar="NAME",
        help=f"sets the flags of a system that the paper compares; flags beside it win: {', '.join(SYSTEMS)}",
    )
    parser.add_argument("--out", required=True, metavar="RUN_DIR", help="folder of the run")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in RUN_DIR from its last finished epoch, with its settings unless a flag changes one; "
        "--epochs may change while the learning rates so far stay the same",
    )
    parser.add_argument(
        "--classes",
        metavar="NAMES|FILE|N",
        default="auto",
        help=f"class list of the CSVs: {class_lists.HELP}; auto: from {class_lists.FILE_NAME} beside the data, else from the files",
    )
    parser.add_argument("--data-description", metavar="TEXT", help="what the data are, for the model card")
    for cls in (ModelConfig, FeatureConfig, TrainConfig):
        config_flags.add(parser, cls)
    parser.set_defaults(n_classes=None, n_tracks=None)  # from the data


def run(options: argparse.Namespace) -> int:
    out = Path(options.out)
    if not options.resume and RunFolder(out).holds_run:
        return _train(options, lambda done, total: None)  # will fail; the status of the run that is there stays
    with status.reporting(out, "epochs") as progress:
        return _train(options, progress)


def _train(options: argparse.Namespace, progress: Callable[[int, int], None]) -> int:
    _take_settings_of_run(options)
    model, features, config, class_list = _configurations(options)
    words = [word for part in (model, features, config) for word in config_flags.arguments(part)]
    provenance = {
        "code": f"EINV2 Studio {__version__}",
        "data": options.data_description or [Path(d).name for d in options.data],
        "date": datetime.date.today().isoformat(),
        "arguments": " ".join(words),
        **({"init": options.init.name} if options.init else {}),
        "parts": {"training": options.train_part, "validation": options.validation_part},
        "class_list": str(class_list),
    }
    settings = RunSettings(model, features, config, RunData(class_list.names))
    run_options = RunOptions(options.resume, options.init, options.compile, provenance)
    run = loop.train(Path(options.out), settings, _data(options), run_options, progress=progress)
    if run.best and run.fabric.is_global_zero:
        score = CRITERION[model.task]
        print(
            f"{run.out / 'best.safetensors'}: {score} {run.best[score]} after epoch {run.best['epoch']} of {run.epoch}"
        )
    distributed.leave()
    return 0


def _continues(options: argparse.Namespace) -> bool:
    return options.resume and RunFolder(Path(options.out)).holds_run


def _take_settings_of_run(options: argparse.Namespace) -> None:
    """With --resume, set the options that were not typed to the run's settings. The class list comes from the data again."""
    if _continues(options):
        fixed = {*_settings_of_system(options), "n_classes"}
        stored = RunFolder(Path(options.out)).settings()
        for config in (stored.model, stored.features, stored.train):
            config_flags.fill(options, {name: value for name, value in vars(config).items() if name not in fixed})


def _configurations(options: argparse.Namespace) -> tuple[ModelConfig, FeatureConfig, TrainConfig, ClassList]:
    """The configurations and the class list. Classes and tracks that were not given come from the training clips."""
    model = config_flags.read(ModelConfig, options)
    features = config_flags.read(FeatureConfig, options)
    config = config_flags.read(TrainConfig, options)
    require_compatible(model, features)
    _note_changes_of_system(options)
    if not _continues(options):
        _require_effect(options, model, config)
    clips, _ = discovery.split_clips(_data(options), config.validation_share, config.seed)
    class_list = class_decision.class_list(clips, options.classes)
    for text in clip_sets.reading_notes({str(clip.metadata): clip.metadata for clip in clips}, class_list.names):
        note(text)
    if options.n_classes is None:
        model = replace(model, n_classes=len(class_list.names))
    if options.n_tracks is None:
        events = discovery.largest_overlap(clips, class_list.names)
        model = replace(model, n_tracks=min(max(events, model.n_tracks), MAX_TRACKS))
    return model, features, config, class_list


def _data(options: argparse.Namespace) -> DataSelection:
    return DataSelection(
        tuple(map(Path, options.data)),
        tuple(map(Path, options.validation)),
        options.train_part,
        options.validation_part,
        options.cache,
    )


def _settings_of_system(options: argparse.Namespace) -> Mapping[str, Any]:
    system = SYSTEMS[options.system] if options.system else None
    return {} if system is None else system.model | system.train


def _note_changes_of_system(options: argparse.Namespace) -> None:
    """Print the flags that were typed and change the system."""
    for name, value in _settings_of_system(options).items():
        if name in options.given and getattr(options, name) != value:
            typed = " ".join(config_flags.flag(name, getattr(options, name)))
            note(f"{typed} changes the system {options.system}.")


def _require_effect(options: argparse.Namespace, model: ModelConfig, config: TrainConfig) -> None:
    """ValueError if a flag was typed that changes nothing here."""
    idle = without_effect(model, config)
    if options.validation or options.validation_part:
        idle["validation_share"] = "the clips to validate on are named"
    if wrong := [name for name in idle if name in options.given]:
        flags = [" ".join(config_flags.flag(name, getattr(options, name))) for name in wrong]
        reasons = dict.fromkeys(idle[name] for name in wrong)
        raise ValueError(f"{', '.join(flags)} would do nothing: {'; '.join(reasons)}. Leave it out.")
