"""Simulate scenes: draw them at random, or write specified ones."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import status
from ..labels import class_lists
from ..messages import counted
from ..simulate import specification
from ..simulate.render import is_drawn, rebuild_drawn, write_scenes
from ..simulate.scene import DISTURBED, SceneConfig
from ..simulate.sources import SoundFolder, SourceBank
from ..simulate.unclassified import UnclassifiedBank
from . import config_flags
from .shared import bar, count, note, require_unique_stems, share

Progress = Callable[[int, int], None]  # called with the scenes done and their number


class _SetDisturbed(argparse.Action):
    """--disturbed stands for the flags of ``DISTURBED``; flags typed beside it win."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        config_flags.fill(namespace, DISTURBED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT_DIR", help="folder to write; scenes that it holds already are kept")
    parser.add_argument("--scenes", type=count, metavar="N", help="number of scenes to draw")
    parser.add_argument("--seed", type=count, metavar="S", help="the same seed gives the same bytes")
    parser.add_argument(
        "--specification",
        action="append",
        default=[],
        metavar="FILE.json",
        help="instead of drawing: the scene of a JSON file, written bit for bit as FILE.flac and FILE.csv. The file is from the "
        "Scenes page, or it is OUT_DIR/scenes/FILE.json, with the flags of the sounds that it was drawn with; repeatable",
    )
    parser.add_argument(
        "--sources",
        metavar="DIR",
        help="folder of mono sounds, one sub-folder per class; none: procedural sounds only. With --specification: the folder that "
        "contains, at any depth, the files it names",
    )
    parser.add_argument(
        "--procedural-share", type=share, default=0.2, help="share of procedural sounds beside a folder's, 0 to 1"
    )
    parser.add_argument(
        "--part", choices=["all", "train", "held-out"], default="all", help="which recordings of the folder to use"
    )
    parser.add_argument(
        "--held-out-share", type=share, default=0.2, help="share of each class's recordings that is held out"
    )
    parser.add_argument(
        "--strong-variation",
        action="store_true",
        help="for training: vary pitch, speed and spectrum of recordings more, and fill thin classes with procedural sounds",
    )
    parser.add_argument(
        "--interferers",
        metavar="DIR",
        help="folder of recordings of no class, for --interferer-share and --ambience-share; half of those sounds are taken from it",
    )
    parser.add_argument(
        "--disturbed",
        action=_SetDisturbed,
        nargs=0,
        default=argparse.SUPPRESS,
        help="for training: disturbances that real recordings have, such as sounds of no class, noise from a direction and an "
        f"imperfect microphone; stands for {_as_flags(DISTURBED)}",
    )
    parser.add_argument("--workers", type=count, default=1, metavar="N", help="number of processes")
    parser.add_argument(
        "--classes",
        metavar="NAMES|FILE",
        default="auto",
        help=f"class list of the scenes, stored as {class_lists.FILE_NAME} in OUT_DIR: {class_lists.HELP_NAMES}; auto: that of such a "
        "file among the sources; else that of dcase2020, or the sub-folders of the sources if most are other classes",
    )
    config_flags.add(parser, SceneConfig)


def _as_flags(values: Mapping[str, Any]) -> str:
    return " ".join(word for name, value in values.items() for word in config_flags.flag(name, value))


def run(options: argparse.Namespace) -> int:
    with status.reporting(Path(options.out), "scenes") as progress:
        if options.specification:
            _write_specified(options, progress)
        else:
            _write_drawn(options, progress)
    return 0


def _write_drawn(options: argparse.Namespace, progress: Progress) -> None:
    if options.scenes is None or options.seed is None:
        raise ValueError("simulate needs --scenes and --seed, or the --specification of a scene.")
    bank, unclassified = _sounds(options)
    config = config_flags.read(SceneConfig, options)
    stems = write_scenes(options.out, options.scenes, config, bank, options.seed, options.workers, unclassified)
    for n_done, _ in enumerate(bar(stems, "scenes", options.scenes), 1):
        progress(n_done, options.scenes)
    what = f"{counted(options.scenes, 'scene')} of {config.seconds} s, {len(bank.classes)} classes"
    print(f"{what}, in {options.out}")


def _write_specified(options: argparse.Namespace, progress: Progress) -> None:
    """Write the scenes of files, drawn or composed, each under the name of its file."""
    if options.scenes is not None or options.seed is not None:
        raise ValueError("--specification determines the scene completely: leave --scenes and --seed out.")
    require_unique_stems(options.specification)
    out = Path(options.out)
    for n_done, file in enumerate(bar([Path(file) for file in options.specification], "scenes"), 1):
        text = file.read_bytes()
        if is_drawn(text):
            scene = rebuild_drawn(out, file.stem, text, *_sounds(options))
            what = f"{counted(len(scene.events), 'event')} in {scene.seconds} s"
        else:
            specified = specification.from_text(text, file.name)
            specification.write(specified, specification.find_sounds(specified, options.sources), out, file.stem)
            what = f"{counted(len(specified.sources), 'source')} in {specified.seconds} s"
        print(f"{file.stem}: {what}, in {options.out}")
        progress(n_done, len(options.specification))


def _sounds(options: argparse.Namespace) -> tuple[SourceBank, UnclassifiedBank]:
    """The sounds of the classes, and those of no class, that scenes are drawn from."""
    classes = _classes_of_sounds(options)
    folder = SoundFolder.scan(options.sources, classes) if options.sources else None
    if folder is not None and options.part != "all":
        folder = folder.split(options.held_out_share, seed=2020)[options.part == "held-out"]
    bank = SourceBank(classes, folder, options.procedural_share, options.strong_variation)
    return bank, UnclassifiedBank.scan(options.interferers) if options.interferers else UnclassifiedBank()


def _classes_of_sounds(options: argparse.Namespace) -> tuple[str, ...]:
    """The class list of the scenes: that of --classes, of a file beside the sounds, of a year, or the sub-folders of the sounds."""
    dcase2020 = class_lists.DCASE2020_CLASSES
    if options.classes != "auto":
        return class_lists.parse(options.classes)
    if not options.sources or not Path(options.sources).is_dir():
        return dcase2020
    if stored := class_lists.of_folders(options.sources):
        return stored.names
    folders = SoundFolder.class_names(options.sources)
    others = [name for name in folders if not class_lists.has(dcase2020, [name])]
    if 2 * len(others) > len(folders):
        of_years = class_lists.CLASS_LISTS.values()
        same = (known for known in of_years if len(known) == len(folders) and class_lists.has(known, folders))
        return next(same, folders)
    if others:
        note(
            f"{options.sources} has sounds of {', '.join(others[:3])}, which are not classes of DCASE 2020 and are left out. "
            f'To use them, give the list: --classes "{",".join(folders)}"'
        )
    return dcase2020
