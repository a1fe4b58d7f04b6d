"""Convert a checkpoint of the authors' released code."""

import argparse
import sys

from ..checkpoints import checkpoint, official
from ..messages import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT.pth", help="checkpoint of the authors' released code; never unpickled fully"
    )
    parser.add_argument("out", metavar="OUT.safetensors", help="file to write")
    parser.add_argument(
        "--scalar", metavar="SCALAR.h5", help="their feature statistics (HDF5 with mean and std, 1 x 7 x 1 x mels)"
    )


def run(options: argparse.Namespace) -> int:
    imported = official.import_checkpoint(options.checkpoint, options.scalar)
    checkpoint.save(imported, options.out)
    tracks, classes = counted(imported.model.n_tracks, "track"), counted(len(imported.classes), "class", "classes")
    print(f"{options.out}: {imported.n_parameters:,} parameters, {tracks}, {classes}")
    if not options.scalar:
        print(
            "without --scalar the features are not standardised; give the authors' scalar file for right results",
            file=sys.stderr,
        )
    return 0
