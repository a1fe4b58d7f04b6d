"""Measure the library's speed."""

import argparse

from ..experiments import bench
from .shared import add_json, write_report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="einv2", metavar="NAME_OR_FILE", help="a name in pretrained/, or a file")
    parser.add_argument(
        "--small", action="store_true", help="leave out the network of the paper's size, which takes a minute"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    figures = bench.run(options.model, not options.small)
    for name, value in figures.items():
        print(f"{name:36s} {value:10.3f}")
    write_report(options.json, figures)
    return 0
