"""The training of the PIT lab, which runs while the user watches: a process, and the files it writes."""

import json
import sys
import tempfile
from dataclasses import dataclass, field

import numpy as np

from app.jobs import process
from einv2.analysis import pit_toy


@dataclass(eq=False)
class ToyRun:
    """A process of ``einv2.analysis.pit_toy``; it and its temporary folder end with the session that holds this object.

    lines: what was read last, and stays when the process is stopped.
    """

    job: process.Job
    seed: int = 1
    stopped: bool = False
    lines: list[dict] = field(default_factory=list)

    @property
    def running(self) -> bool:
        return self.job.is_running

    @property
    def failed(self) -> bool:
        """Ended before the last step, without being stopped."""
        return not self.running and not self.stopped and not (self.lines and self.lines[-1]["done"])

    def read(self) -> list[dict]:
        """The whole lines of ``metrics.jsonl`` so far; see ``pit_toy.train``."""
        try:
            text = (self.job.folder / pit_toy.METRICS).read_text(encoding="utf-8")
        except OSError:
            return self.lines
        self.lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return self.lines

    def examples(self) -> dict[str, np.ndarray] | None:
        """What both networks predict for the held-out examples, once the training has finished."""
        try:
            with np.load(self.job.folder / pit_toy.EXAMPLES) as arrays:
                return dict(arrays)
        except OSError:
            return None

    def stop(self) -> None:
        """End the process; what it wrote can still be read."""
        self.stopped = self.running
        self.job.stop()


def start(steps: int = pit_toy.STEPS, seed: int = 1) -> ToyRun:
    """OSError if there is no room for the folder, or the process cannot be started."""
    directory = tempfile.TemporaryDirectory(prefix="einv2-toy-")
    command = [sys.executable, "-m", "einv2.analysis.pit_toy", "--out", directory.name]
    command += ["--steps", str(steps), "--seed", str(seed)]
    return ToyRun(process.start_temporary(command, directory), seed)
