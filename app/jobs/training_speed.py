"""How long a training will take, measured on a few steps of it in a process of its own: `python -m app.jobs.training_speed OUT <
ORDER`.

Some clips of the data are taken as a data set of their own, and trained on for an epoch as the run will be. OUT holds a JSON
object: ``text`` and ``share`` while it goes on, at last ``found`` (see ``Speed``) or ``error``, a sentence.
"""

import dataclasses
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from app.jobs import process
from app.jobs.training_runs import Order
from einv2.atomic_files import write_json
from einv2.audio import recordings
from einv2.config import FeatureConfig, ModelConfig, TrainConfig, from_json, to_json
from einv2.datasets import chunking, discovery
from einv2.frames import LABEL_FRAMES_PER_SECOND

STEPS = 5  # of a batch each; the first, in which memory is set up, does not count
MAX_CLIPS = 40
OUT = "speed.json"
COMMAND = (sys.executable, "-m", "app.jobs.training_speed")


@dataclass(frozen=True)
class Speed:
    """What was measured. ``chunks_a_second`` in training; ``seconds_an_epoch`` with validation; ``features_seconds`` once, at
    the start, where the features of the clips are not there yet."""

    chunks: int  # of an epoch
    steps: int  # of an epoch
    chunks_a_second: float
    seconds_an_epoch: float
    features_seconds: float

    def total(self, epochs: int) -> float:
        """Seconds of a run."""
        return self.features_seconds + epochs * self.seconds_an_epoch

    def epochs_in(self, seconds: float) -> int:
        """How many epochs fit into so many seconds, at least one."""
        return max(int((seconds - self.features_seconds) / self.seconds_an_epoch), 1)


# In the process


@dataclass
class Clock:
    """Asked after each step whether to stop, it notes the time, says how far it is, and stops after so many steps."""

    n_steps: int
    out: Path
    times: list[float] = field(default_factory=list)

    def __call__(self) -> bool:
        self.times.append(time.monotonic())
        n = len(self.times)
        _say(self.out, 0.4 + 0.5 * n / self.n_steps, f"Training: step {n} of {self.n_steps}")
        return n >= self.n_steps

    @property
    def step(self) -> float:
        """Seconds; the first step, in which memory is set up, does not count."""
        return statistics.median(np.diff(self.times))


def _say(out: Path, share: float, text: str) -> None:
    write_json(out, {"share": min(share, 1.0), "text": text})


def measure(order: dict, out: Path) -> Speed:
    """ValueError, OSError in one sentence if the data do not do. order: see ``describe``."""
    configs = [from_json(cls, order[cls.__name__]) for cls in (ModelConfig, FeatureConfig, TrainConfig)]
    model, features, config = configs
    _say(out, 0.0, "Reading the lists of clips")
    clips = discovery.split_clips(*order["folders"], *order["parts"], config.validation_share, config.seed)
    chunks = [_chunks(part, config.chunk_seconds, config.chunk_offset) for part in clips]
    rng = np.random.default_rng(config.seed)
    wanted = STEPS * config.batch_size, config.batch_size
    samples = [_sample(*args, rng) for args in zip(clips, chunks, wanted)]
    classes = discovery.class_list(samples[0], order["classes"] or "auto").names
    model = dataclasses.replace(model, n_classes=len(classes))
    with tempfile.TemporaryDirectory(prefix="einv2-speed-") as folder:
        roots = [_linked(part, Path(folder) / name) for part, name in zip(samples, ("training", "validation"))]
        clip_seconds = _features_seconds(roots, features, out)
        training, validation = _chunk_seconds(roots, model, features, config, classes, Path(folder) / "run", out)
    n, n_validation = (float(part.sum()) for part in chunks)
    steps = max(int(n / config.batch_size), 1)
    epoch = n * training + n_validation * validation
    return Speed(round(n), steps, 1 / training, epoch, clip_seconds * sum(map(len, clips)))


def _chunks(clips: list[discovery.Clip], chunk_seconds: int, offset: bool = True) -> np.ndarray:
    """How many chunks of each clip an epoch has, on average over where the first begins; see ``data.ChunkSet.plan``."""
    frames = np.array([int(recordings.probe(clip.audio).seconds * LABEL_FRAMES_PER_SECOND) for clip in clips])
    length = chunk_seconds * LABEL_FRAMES_PER_SECOND
    if not offset:
        return np.ceil(frames / length)
    slack = np.clip(frames - length, 0, length - 1)
    return np.maximum((frames - length - slack / 2) / length + 0.5, 1.0)


def _sample(clips: list, chunks: np.ndarray, wanted: int, rng: np.random.Generator) -> list:
    """Clips that together have so many chunks, in a random order; all if they have fewer."""
    order = rng.permutation(len(clips))
    n = int(np.searchsorted(np.cumsum(chunks[order]), wanted)) + 1
    return [clips[i] for i in order[: min(n, MAX_CLIPS)]]


def _linked(clips: list[discovery.Clip], root: Path) -> Path:
    """A data set of links to clips. Its features are kept in it, and go with it."""
    for n, clip in enumerate(clips):
        for kind, file in (("foa_dev", clip.audio), ("metadata_dev", clip.metadata)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            (root / kind / f"{n}{file.suffix.lower()}").symlink_to(file.resolve())
    return root


def _features_seconds(roots: list[Path], config: FeatureConfig, out: Path) -> float:
    """Seconds of a clip. Afterwards all are in the cache of the sample."""
    clips, seconds = discovery.find_clips(*roots), []
    for n, clip in enumerate(clips):
        _say(out, 0.4 * n / len(clips), f"Features: clip {n + 1} of {len(clips)}")
        began = time.monotonic()
        chunking.cached_features(clip, config)
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


def _chunk_seconds(roots, model, features, config, classes, run: Path, out: Path) -> tuple[float, float]:
    """Seconds of a chunk trained on, and of one validated on."""
    from einv2.training import loop

    training, held_out = (
        chunking.ChunkSet(discovery.find_clips(root), features, model.n_tracks, classes, config.chunk_seconds)
        for root in roots
    )
    trained, validated = (len(chunks.plan(None)) for chunks in (training, held_out))
    clock = Clock(STEPS, out)
    small = trained < STEPS * config.batch_size  # then a second epoch is short enough to be measured whole
    config = dataclasses.replace(config, epochs=2, patience=0)
    how = {} if small else {"should_stop": clock}
    done = loop.train([roots[0]], run, model, features, config, classes, [roots[1]], **how)
    _say(out, 0.9, "Validating")
    began = time.monotonic()
    loop.validate(done, held_out)
    of_validation = (time.monotonic() - began) / validated
    if not small:
        return clock.step / config.batch_size, of_validation
    return max(done.curve[-1]["seconds"] / trained - of_validation * validated / trained, 1e-4), of_validation


def main() -> int:
    out = Path(sys.argv[1]) / OUT
    try:
        found = measure(json.load(sys.stdin), out)
        write_json(out, {"found": dataclasses.asdict(found)})
    except (ValueError, OSError) as error:
        write_json(out, {"error": str(error)})
    return 0


# On the page


def describe(order: Order) -> dict:
    """An order as JSON values; two that take the same time an epoch are the same."""
    configs = [dataclasses.replace(c, epochs=1) if isinstance(c, TrainConfig) else c for c in order.configs]
    return {
        "folders": [[one.path for one in sets] for sets in (order.data, order.validation)],
        "parts": [list(order.train_part), list(order.validation_part)],
        "classes": list(order.classes),
        **{type(config).__name__: to_json(config) for config in configs},
    }


@dataclass(eq=False)
class Measuring:
    """A process that measures the training of an order, see ``describe``. It ends with the session that holds this object."""

    order: dict[str, Any]
    job: process.Job

    def read(self) -> dict[str, Any]:
        """What it wrote last; ``error`` if it ended without a result."""
        ended = not self.job.is_running
        found = process.read_json(self.job.folder / OUT) or {"share": 0.0, "text": "Starting"}
        if ended and not found.keys() & {"found", "error"}:
            reason = process.last_line(self.job.folder) or "its process was killed"
            found = {"error": f"The measurement ended early: {reason}"}
        return found

    @property
    def is_over(self) -> bool:
        return bool(self.read().keys() & {"found", "error"})

    @property
    def speed(self) -> Speed | None:
        found = self.read().get("found")
        return Speed(**found) if found else None

    def stop(self) -> None:
        self.job.stop()


def begin(order: Order) -> Measuring:
    """OSError if there is no room for its folder, or the process cannot be started."""
    described = describe(order)
    directory = tempfile.TemporaryDirectory(prefix="einv2-speed-")
    job = process.start_temporary([*COMMAND, directory.name], directory, json.dumps(described).encode())
    return Measuring(described, job)


if __name__ == "__main__":
    sys.exit(main())
