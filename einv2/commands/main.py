"""The command line: ``python -m einv2 COMMAND``, or ``einv2 COMMAND`` where the package is installed.

Each command is a module of this folder with ``add_arguments(parser)`` and ``run(options)``, and is imported when it is called. The
exit status is 0 only if everything that was asked for was done. An error is one line on standard error: which file, what is wrong
with it, and what would be right.
"""

import argparse
import importlib
import sys
from collections.abc import Collection, Sequence

from .shared import HelpWithDefaults, fail

COMMANDS = {
    "predict": "Write the detections of each clip as CSV, and with --arrays the network's output as NPZ.",
    "evaluate": "Score a folder of predictions against a folder of ground truth; files are matched by stem.",
    "check": "Report what each clip is, whether it looks like first-order ambisonics, and whether its labels agree with it.",
    "models": "List the models in pretrained/.",
    "simulate": "Write scenes: audio as FLAC, ground truth as DCASE 2020 CSV, the scene as JSON; progress in OUT/status.json.",
    "train": "Train a network. The run's folder holds log.txt, metrics.jsonl and, for its progress, status.json.",
    "reproduce": "Train and compare the systems of one of the paper's tables; writes OUT/NAME.md and OUT/NAME.json.",
    "fetch": "Download, unpack and check a public DCASE SELD set with the package soundata.",
    "export": "Write a checkpoint to ship: in half precision if asked, with its scores on test sets inside.",
    "import-official": "Convert a checkpoint of the authors' released code to a checkpoint of this library.",
    "bench": "Measure how fast the library is on this machine.",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Without ``argv`` the command line of this process, which then keeps freed memory (``memory.keep_memory``).
    """
    words = sys.argv[1:] if argv is None else [*argv]
    if words[:1] == ["evaluate"]:
        from .evaluate import with_default_method

        words = with_default_method(words)
    options = parser(words[:1]).parse_args(words)
    if argv is None:
        from ..memory import keep_memory

        keep_memory()
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        return fail(error)
    except KeyboardInterrupt:
        return fail("stopped.")


def parser(named: Collection[str]) -> argparse.ArgumentParser:
    """The parser that knows all commands, and the arguments of those named; only these are imported."""
    main = argparse.ArgumentParser(
        prog="python -m einv2", description="Sound event localization and detection with EINV2."
    )
    commands = main.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary, formatter_class=HelpWithDefaults)
        if name in named:
            command = importlib.import_module(f".{name.replace('-', '_')}", __package__)
            command.add_arguments(sub)
            sub.set_defaults(run=command.run)
    return main
