"""Download a public data set."""

import argparse

from ..datasets import download


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        choices=download.PUBLIC_SETS,
        help="which set; those of 2023 and 2024 (STARSS23) are not in soundata: see zenodo.org/records/7880637",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="folder for foa_dev/, metadata_dev/ and so on; tens of GB"
    )


def run(options: argparse.Namespace) -> int:
    parts = download.fetch(options.name, options.out)
    print(f"{options.out}: {', '.join(parts)}; the archives in it are no longer needed")
    return 0
