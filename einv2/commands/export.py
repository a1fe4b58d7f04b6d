"""Write a checkpoint to ship."""

import argparse
from pathlib import Path

from ..checkpoints import checkpoint
from ..experiments import reproduce


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="of a training run, e.g. RUN_DIR/last.safetensors")
    parser.add_argument("out", metavar="OUT.safetensors", help="file to write")
    parser.add_argument("--half", action="store_true", help="weights in half precision: half the size")
    parser.add_argument(
        "--average",
        action="append",
        default=[],
        metavar="CHECKPOINT",
        help="average the weights with this checkpoint's; one of the two must come from a run that continued the other's; repeatable",
    )
    parser.add_argument(
        "--test",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="data set to score on; the scores are stored under NAME; repeatable",
    )


def run(options: argparse.Namespace) -> int:
    loaded = checkpoint.load(options.checkpoint)
    if options.average:
        checkpoint.average(loaded, {Path(file).name: checkpoint.load(file) for file in options.average})
    checkpoint.save(loaded, options.out, options.half)
    for name, _, folder in (test.partition("=") for test in options.test):
        if not folder:
            raise ValueError(f"--test {name} has no folder: write NAME=DIR.")
        scores = reproduce.evaluate(Path(options.out), [Path(folder)])
        loaded.scores[name] = scores
        print(name, "  ".join(f"{key} {value:.3f}" for key, value in scores.items() if isinstance(value, float)))
    checkpoint.save(loaded, options.out, options.half)
    return 0
