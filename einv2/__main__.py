"""`python -m einv2`, and the console script `einv2`."""

import sys

from .commands.cli import main
from .models.acceleration import keep_memory


def run() -> int:
    """The command line. The exit status is 0 only if everything asked for was done."""
    keep_memory()
    return main()


if __name__ == "__main__":
    sys.exit(run())
