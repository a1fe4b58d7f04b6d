"""What several commands share: flags and the types of their values, progress bars, and lines on standard error."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ..atomic_files import write_json
from ..audio import inputformat

# Flags


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", help="also write the results as JSON")


def add_input(parser: argparse.ArgumentParser, what: str = "channel format of the recordings") -> None:
    parser.add_argument(
        "--input",
        type=input_format,
        metavar="FORMAT",
        help=f"{what}: {inputformat.HELP} (default: as their headers declare, .amb as FuMa, else acn-sn3d)",
    )


class HelpWithDefaults(argparse.HelpFormatter):
    """Adds the default of an option, as it would be typed, to its help."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        if isinstance(action, argparse.BooleanOptionalAction):
            return f"{(action.help or '').partition(' (default')[0]} (default: {'on' if default else 'off'})"
        if action.dest in ("n_tracks", "n_classes"):
            return f"{action.help} (default: from the data)"
        if default in (None, [], (), argparse.SUPPRESS) or action.nargs == 0:
            return action.help
        return f"{action.help} (default: {','.join(map(str, default)) if isinstance(default, tuple) else default})"


# Types of values, for argparse


def input_format(text: str) -> inputformat.InputFormat:
    try:
        return inputformat.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} must lie between 0 and 1")
    return value


def count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} must not be negative")
    return value


# Checks


def require_unique_stems(files: list[str]) -> None:
    """ValueError if two files have the same name without suffix, by which results are named."""
    seen: dict[str, str] = {}
    for file in files:
        other = seen.setdefault(Path(file).stem, file)
        if other != file:
            raise ValueError(f"{other} and {file} would both be written as {Path(file).stem}.csv; rename one of them.")


# What is printed and written


def note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def fail(error: Exception | str) -> int:
    """Print an error and return the exit status. An error of the channel format says which --input would be right."""
    fix = getattr(error, "fix", None)
    print(f"error: {error}{f': --input={fix.key}' if fix else ''}", file=sys.stderr)
    return 1


def write_report(path: str | None, report: Any) -> None:
    """Write what --json asks for."""
    if path is not None:
        write_json(path, report)


def bar(items: Iterable, what: str, total: int | None = None) -> Iterable:
    """The items with a progress bar, on a terminal."""
    from tqdm import tqdm

    return tqdm(items, what, total, disable=not sys.stderr.isatty(), leave=False)


@contextlib.contextmanager
def seconds_bar(what: str, seconds: float) -> Iterator[Callable[[float], None]]:
    """A progress bar over the seconds of a clip; yields the function to call with the seconds done."""
    from tqdm import tqdm

    with tqdm(total=round(seconds), desc=what, unit="s", disable=not sys.stderr.isatty(), leave=False) as progress:
        yield lambda done: progress.update(min(round(done), progress.total) - progress.n)
