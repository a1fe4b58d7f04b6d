"""The status of a command, for whoever started it and watches its folder: OUT/status.json, replaced atomically.

The command writes that it is running, how far it is, and how it ended. It cannot write that it was killed: a status that says
"running" without a process means that. Under torchrun rank 0 alone writes. The work does not depend on the status: where it cannot be
written, because the disk is full or there is no folder yet, the command continues without it.
"""

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .atomic_files import write_json

FILE = "status.json"
RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped", "failed"


@dataclass(frozen=True)
class Status:
    """done of total: finished epochs of a training, scenes of a simulation; ``what`` names them. reason: of a failure, one sentence."""

    state: str
    done: int = 0
    total: int = 0
    what: str = ""
    reason: str = ""


def write(folder: Path, status: Status) -> None:
    with contextlib.suppress(OSError):
        write_json(folder / FILE, dataclasses.asdict(status))


def read(folder: Path) -> Status | None:
    """None if there is no status, or it is not whole."""
    try:
        status = Status(**json.loads((folder / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    types_hold = all(isinstance(getattr(status, f.name), type(f.default)) for f in dataclasses.fields(Status)[1:])
    return status if types_hold and status.state in (RUNNING, FINISHED, STOPPED, FAILED) else None


@contextlib.contextmanager
def reporting(folder: Path, what: str) -> Iterator[Callable[[int, int], None]]:
    """Write the status of the work in the block, which reports its progress by the function it gets: (done, total)."""
    if int(os.environ.get("RANK", 0)) > 0:
        yield lambda done, total: None
        return
    status = Status(RUNNING, what=what)

    def report(done: int, total: int) -> None:
        nonlocal status
        status = dataclasses.replace(status, done=done, total=total)
        write(folder, status)

    write(folder, status)
    try:
        yield report
    except KeyboardInterrupt:
        write(folder, dataclasses.replace(status, state=STOPPED))
        raise
    except (ValueError, OSError) as error:
        write(folder, dataclasses.replace(status, state=FAILED, reason=str(error)))
        raise
    except BaseException as error:
        write(folder, dataclasses.replace(status, state=FAILED, reason=f"{type(error).__name__}: {error}"))
        raise
    write(folder, dataclasses.replace(status, state=FINISHED))
