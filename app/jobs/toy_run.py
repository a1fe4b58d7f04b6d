"""The training that runs in front of the user: a process of its own, watched through the files it writes."""

import json
import subprocess
import sys
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from app.paths import ROOT
from einv2.analysis import pit_toy

WAIT_SECONDS = 5


@dataclass(eq=False)
class ToyRun:
    """A process of ``einv2.analysis.pit_toy`` and the temporary folder it writes to; both end with the session that holds this object.

    lines: what was read last, and stays when the process is stopped.
    """

    process: subprocess.Popen
    folder: Path
    seed: int = 1
    stopped: bool = False
    lines: list[dict] = field(default_factory=list)

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def failed(self) -> bool:
        """Ended by itself, and not at its end."""
        return not self.running and not self.stopped and not (self.lines and self.lines[-1]["done"])

    def read(self) -> list[dict]:
        """The lines of ``metrics.jsonl`` as far as they are whole; see ``toy.train``."""
        try:
            text = (self.folder / pit_toy.METRICS).read_text(encoding="utf-8")
        except OSError:
            return self.lines
        self.lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return self.lines

    def examples(self) -> dict[str, np.ndarray] | None:
        """What both networks say of the held-out examples, once the run is through."""
        try:
            with np.load(self.folder / pit_toy.EXAMPLES) as arrays:
                return dict(arrays)
        except OSError:
            return None

    def stop(self) -> None:
        """End the process; what it wrote stays to be seen."""
        self.stopped = self.running
        _end(self.process)


def start(steps: int = pit_toy.STEPS, seed: int = 1) -> ToyRun:
    """OSError if there is no room for the folder, or the process cannot be started."""
    directory = tempfile.TemporaryDirectory(prefix="einv2-toy-")
    command = [
        sys.executable,
        "-m",
        "einv2.analysis.pit_toy",
        "--out",
        directory.name,
        "--steps",
        str(steps),
        "--seed",
        str(seed),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run = ToyRun(process, Path(directory.name), seed)
    weakref.finalize(run, _close, process, directory)
    return run


def _close(process: subprocess.Popen, directory: tempfile.TemporaryDirectory) -> None:
    _end(process)
    directory.cleanup()


def _end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
