"""Processes that work for a page: start, watch, stop.

Each has a folder, in which OUTPUT holds what it printed. There are two kinds:

- ``start`` with a lock, for work that is kept. The process holds the lock (flock) of its folder from its first moment to its last,
  however it ends, so that any server can tell whether it is running; neither a kill nor a reused process number is mistaken for it.
  START describes its last start. A detached process survives the tab and the server. How far it is, and how it ended, is in its
  status file (``einv2.status``).
- ``start_temporary``, for work that is shown once. The process and its temporary folder go with the object that stands for them.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from app.paths import ROOT
from einv2 import status
from einv2.atomic_files import write_json
from einv2.status import Status

LOCK, START, OUTPUT = ".lock", "process.json", "output.txt"
STOP_SECONDS = 10.0  # for a process to end after SIGTERM, before SIGKILL
TAIL_BYTES = 20_000  # of the output that are read
_TRACEBACK = "Traceback (most recent call last):"


@dataclass(eq=False)
class Job:
    """A process that this server started, and its folder."""

    popen: psutil.Popen
    folder: Path

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def stop(self) -> None:
        """End the process and those it started, and wait for it."""
        if self.is_running:
            _terminate(self.popen)
        self.popen.wait()


@dataclass(frozen=True)
class Start:
    """The last start in a folder. began: s since 1970; output_from: its first byte of OUTPUT; resumed: it was not the first;
    stopped: it was stopped by its user (older versions noted it here)."""

    pid: int | None = None
    began: float | None = None
    output_from: int = 0
    resumed: bool = False
    stopped: bool = False


# Start


def start(
    command: Sequence[str],
    folder: Path,
    lock: IO[str] | None = None,
    detached: bool = False,
    environment: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
) -> Job:
    """Run a command that works in a folder. ``lock``, of ``try_lock``, is passed on to it. OSError if it cannot be started."""
    (folder / status.FILE).unlink(missing_ok=True)  # of an earlier start
    with (folder / OUTPUT).open("ab") as output:
        output_from = output.tell()
        popen = psutil.Popen(
            command,
            cwd=ROOT,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(environment or {}),
            start_new_session=detached,
            pass_fds=() if lock is None else (lock.fileno(),),
        )
    job = Job(popen, folder)
    if lock is not None:
        began = Start(popen.pid, time.time(), output_from, (folder / START).exists())
        try:
            write_json(folder / START, dataclasses.asdict(began))
        except OSError:  # without it the process could not be stopped later
            job.stop()
            raise
    return job


def start_temporary(command: Sequence[str], directory: tempfile.TemporaryDirectory, stdin: bytes = b"") -> Job:
    """Run a command that works in a temporary directory. When the job is deleted, or Python exits, the process ends and the directory
    is removed."""
    job = start(command, Path(directory.name), stdin=subprocess.PIPE)
    with contextlib.suppress(BrokenPipeError), job.popen.stdin as pipe:
        pipe.write(stdin)
    weakref.finalize(job, _close, job.popen, directory)
    return job


def _close(popen: psutil.Popen, directory: tempfile.TemporaryDirectory) -> None:
    Job(popen, Path(directory.name)).stop()
    directory.cleanup()


# The lock


def try_lock(folder: Path, seconds: float = 0.0) -> IO[str] | None:
    """The lock of a folder, for its process; None if another one still holds it after some seconds. OSError without a folder."""
    lock = (folder / LOCK).open("a")
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() >= deadline:
                lock.close()
                return None
            time.sleep(0.02)


def is_running(folder: Path) -> bool:
    """Whether a process holds the lock of a folder. This takes the lock for a moment, so ``try_lock`` should wait for a second."""
    try:
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


# Watch


def last_start(folder: Path) -> Start:
    """The last start in a folder; nothing is known of it if its file is damaged or not there."""
    values = read_json(folder / START)
    names = [f.name for f in dataclasses.fields(Start) if isinstance(values.get(f.name), int | float)]
    return Start(**{name: values[name] for name in names})


def output(folder: Path, start: int = 0) -> str:
    """The end of what the process in a folder printed, from a byte on."""
    try:
        with (folder / OUTPUT).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(start, file.tell() - TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def printed_error(folder: Path) -> str:
    """The error that the process of the last start printed, for one that ended without writing a status; empty if there is none."""
    lines = output(folder, last_start(folder).output_from).splitlines()
    errors = [line for line in lines if "error: " in line and not line.startswith((" ", "\t"))]
    if errors:
        return errors[-1].partition("error: ")[2]
    return last_line(folder) if _TRACEBACK in lines else ""


def last_line(folder: Path) -> str:
    return next((line for line in reversed(output(folder).splitlines()) if line.strip()), "")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if the file is damaged or not there."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


# Stop


def stop(folder: Path, name: str) -> None:
    """End the process that works in a folder, whichever server started it. ValueError if it is not found, or does not end."""
    process = _holder(folder)
    if process is None:
        raise ValueError(f"The process of {name} cannot be found: end it where it was started.")
    _terminate(process)
    if is_running(folder):
        raise ValueError(f"The process of {name} does not end.")
    last = status.read(folder) or Status(status.RUNNING)
    if last.state == status.RUNNING:
        status.write(folder, dataclasses.replace(last, state=status.STOPPED))


def _holder(folder: Path) -> psutil.Process | None:
    """The process of the last start, if it has the lock open: a reused process number has not."""
    pid = last_start(folder).pid
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        return process if str((folder / LOCK).resolve()) in [file.path for file in process.open_files()] else None
    except psutil.Error:
        return None


def _terminate(process: psutil.Process) -> None:
    """End a process and all that it started: SIGTERM, then SIGKILL."""
    tree = [process]
    with contextlib.suppress(psutil.NoSuchProcess):
        tree += process.children(recursive=True)
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for one in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                end(one)
        _, tree = psutil.wait_procs(tree, STOP_SECONDS)
