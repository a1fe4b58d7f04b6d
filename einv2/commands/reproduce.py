"""Reproduce a comparison of the paper."""

import argparse
import dataclasses
from pathlib import Path

from ..experiments import reproduce, scales
from ..experiments.systems import TABLES
from .shared import bar, count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=TABLES, help="which of the paper's comparisons")
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder for data, runs and results; what it holds already is kept"
    )
    parser.add_argument(
        "--scale",
        choices=scales.SCALES,
        default="small",
        help="small: overnight on two cores; paper: the paper's own setting, for a GPU",
    )
    parser.add_argument(
        "--sources", type=Path, metavar="DIR", help="recordings by class for the scenes; none: procedural sounds only"
    )
    for flag, what in (("--data", "train on"), ("--validation", "validate on"), ("--test", "evaluate on")):
        parser.add_argument(
            flag, action="append", default=[], metavar="DIR", help=f"data set to {what}, instead of simulated scenes"
        )
    parser.add_argument("--systems", metavar="A,B,..", help="only the rows of these systems (see train --system)")
    parser.add_argument("--epochs", type=count, metavar="N", help="passes over the data, instead of the scale's")
    parser.add_argument(
        "--seeds",
        type=count,
        metavar="N",
        help="runs of each system, whose mean and standard deviation are written (default: small 1, paper 5)",
    )
    parser.add_argument("--workers", type=count, default=1, metavar="N", help="processes that simulate")


def run(options: argparse.Namespace) -> int:
    scale = scales.SCALES[options.scale]
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
        folders = reproduce.Folders(*given)
    else:
        folders = reproduce.simulate_data(out / "data", scale, options.sources, options.workers, bar)
    systems = [name for name in (options.systems or "").split(",") if name]
    seeds = range(reproduce.FIRST_SEED, reproduce.FIRST_SEED + n_seeds)
    reproduce.reproduce(options.name, out, scale, folders, seeds, systems)
    print((out / f"{options.name}.md").read_text())
    return 0
