"""How long a training will take, measured on a few of its steps in a separate process:
`python -m app.jobs.training_speed OUT < ORDER`.

Some clips of the data are linked into a small data set, and trained on for an epoch with the settings of the run. OUT/speed.json
holds a JSON object: ``text`` and ``share`` while it works; in the end ``found`` (see ``Speed``) or ``error``, a sentence.
"""

import dataclasses
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.jobs import process
from app.jobs.training_order import Order
from einv2.atomic_files import write_json
from einv2.audio import recordings
from einv2.config import FeatureConfig, ModelConfig, TrainConfig, from_json, to_json
from einv2.datasets import chunking, class_decision, discovery
from einv2.frames import LABEL_FRAMES_PER_SECOND

if TYPE_CHECKING:
    from einv2.training.run_folder import RunSettings

STEPS = 5  # of a batch each; the first, in which memory is set up, does not count
MAX_CLIPS = 40
OUT = "speed.json"
COMMAND = (sys.executable, "-m", "app.jobs.training_speed")


@dataclass(frozen=True)
class Speed:
    """What was measured. ``chunks_a_second`` in training; ``seconds_an_epoch`` with validation; ``features_seconds`` once, at
    the start, for the features of the clips that are not cached yet."""

    chunks: int  # of an epoch
    steps: int  # of an epoch
    chunks_a_second: float
    seconds_an_epoch: float
    features_seconds: float

    def total(self, epochs: int) -> float:
        """Seconds of a run."""
        return self.features_seconds + epochs * self.seconds_an_epoch

    def epochs_in(self, seconds: float) -> int:
        """How many epochs fit into a time, at least one."""
        return max(int((seconds - self.features_seconds) / self.seconds_an_epoch), 1)


# In the process


@dataclass
class Clock:
    """Called by the training after each step: notes the time, reports progress, and stops the training after ``n_steps``."""

    n_steps: int
    out: Path
    times: list[float] = field(default_factory=list)

    def __call__(self) -> bool:
        self.times.append(time.monotonic())
        n = len(self.times)
        _report(self.out, 0.4 + 0.5 * n / self.n_steps, f"Training: step {n} of {self.n_steps}")
        return n >= self.n_steps

    @property
    def step_seconds(self) -> float:
        """The first step, in which memory is set up, does not count."""
        return float(statistics.median(np.diff(self.times)))


def _report(out: Path, share: float, text: str) -> None:
    write_json(out, {"share": min(share, 1.0), "text": text})


def measure(order: dict[str, Any], out: Path) -> Speed:
    """ValueError or OSError, one sentence, if the data cannot be used. order: see ``describe``."""
    from einv2.training.run_folder import RunData, RunSettings

    model, features = from_json(ModelConfig, order["ModelConfig"]), from_json(FeatureConfig, order["FeatureConfig"])
    train = from_json(TrainConfig, order["TrainConfig"])
    _report(out, 0.0, "Reading the lists of clips")
    folders, validation_folders = (tuple(map(Path, paths)) for paths in order["folders"])
    parts, validation_parts = map(tuple, order["parts"])
    data = discovery.DataSelection(folders, validation_folders, parts, validation_parts)
    clips = discovery.split_clips(data, train.validation_share, train.seed)
    chunks = [_chunks(part, train.chunk_seconds, train.chunk_offset) for part in clips]
    rng = np.random.default_rng(train.seed)
    wanted = STEPS * train.batch_size, train.batch_size
    samples = [_sample(*args, rng) for args in zip(clips, chunks, wanted)]
    classes = class_decision.class_list(samples[0], order["classes"] or "auto").names
    settings = RunSettings(dataclasses.replace(model, n_classes=len(classes)), features, train, RunData(classes))
    with tempfile.TemporaryDirectory(prefix="einv2-speed-") as folder:
        training, validation = (Path(folder) / name for name in ("training", "validation"))
        _link(samples[0], training)
        _link(samples[1], validation)
        clip_seconds = _features_seconds(discovery.find_clips(training, validation), features, out)
        chunk_seconds, validation_seconds = _chunk_seconds(training, validation, settings, Path(folder) / "run", out)
    n, n_validation = (float(part.sum()) for part in chunks)
    return Speed(
        chunks=round(n),
        steps=max(int(n / train.batch_size), 1),
        chunks_a_second=1 / chunk_seconds,
        seconds_an_epoch=n * chunk_seconds + n_validation * validation_seconds,
        features_seconds=clip_seconds * sum(map(len, clips)),
    )


def _chunks(clips: list[discovery.Clip], chunk_seconds: int, offset: bool = True) -> np.ndarray:
    """The number of chunks of each clip in an epoch, on average over random starts of the first; see ``ChunkSet.plan``."""
    frames = np.array([int(recordings.probe(clip.audio).seconds * LABEL_FRAMES_PER_SECOND) for clip in clips])
    length = chunk_seconds * LABEL_FRAMES_PER_SECOND
    if not offset:
        return np.ceil(frames / length)
    slack = np.clip(frames - length, 0, length - 1)
    return np.maximum((frames - length - slack / 2) / length + 0.5, 1.0)


def _sample(
    clips: list[discovery.Clip], chunks: np.ndarray, wanted: int, rng: np.random.Generator
) -> list[discovery.Clip]:
    """Random clips that together have ``wanted`` chunks, or all clips if these have fewer."""
    order = rng.permutation(len(clips))
    n = int(np.searchsorted(np.cumsum(chunks[order]), wanted)) + 1
    return [clips[i] for i in order[: min(n, MAX_CLIPS)]]


def _link(clips: list[discovery.Clip], root: Path) -> None:
    """Make a data set of links to clips. Features are cached in it, and deleted with it."""
    for n, clip in enumerate(clips):
        for kind, file in (("foa_dev", clip.audio), ("metadata_dev", clip.metadata)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            (root / kind / f"{n}{file.suffix.lower()}").symlink_to(file.resolve())


def _features_seconds(clips: list[discovery.Clip], config: FeatureConfig, out: Path) -> float:
    """Seconds for the features of a clip. Afterwards those of all clips are cached."""
    seconds = []
    for n, clip in enumerate(clips):
        _report(out, 0.4 * n / len(clips), f"Features: clip {n + 1} of {len(clips)}")
        began = time.monotonic()
        chunking.cached_features(clip, config)
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


def _chunk_seconds(
    training: Path, validation: Path, settings: "RunSettings", run: Path, out: Path
) -> tuple[float, float]:
    """Seconds to train on a chunk, and to validate on one; from two data sets, with the folder of a run."""
    from einv2.training import loop

    train, data = settings.train, discovery.DataSelection((training,), (validation,))
    trained, held_out = (
        chunking.ChunkSet(
            discovery.find_clips(root),
            settings.features,
            settings.model.n_tracks,
            settings.data.classes,
            train.chunk_seconds,
        )
        for root in (training, validation)
    )
    n_trained, n_validated = len(trained.plan(None)), len(held_out.plan(None))
    clock = Clock(STEPS, out)
    small = n_trained < STEPS * train.batch_size  # then a second epoch is short enough to be measured whole
    two_epochs = dataclasses.replace(settings, train=dataclasses.replace(train, epochs=2, patience=0))
    done = loop.train(run, two_epochs, data, should_stop=(lambda: False) if small else clock)
    _report(out, 0.9, "Validating")
    began = time.monotonic()
    loop.validate(done, held_out)
    validating = (time.monotonic() - began) / n_validated
    if not small:
        return clock.step_seconds / train.batch_size, validating
    return max(done.curve[-1]["seconds"] / n_trained - validating * n_validated / n_trained, 1e-4), validating


def main() -> int:
    out = Path(sys.argv[1]) / OUT
    try:
        found = measure(json.load(sys.stdin), out)
        write_json(out, {"found": dataclasses.asdict(found)})
    except (ValueError, OSError) as error:
        write_json(out, {"error": str(error)})
    return 0


# On the page


def describe(order: Order) -> dict[str, Any]:
    """An order as JSON values; equal for two orders whose epochs take the same time."""
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
