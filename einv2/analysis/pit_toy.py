"""A two-source problem so small that it is learnt while one looks on, with and without PIT: ``python -m einv2.analysis.pit_toy
--out DIR``.

Every example lasts 0.8 s, with two sounds of different classes from two directions, both of which began before: nothing in the
example tells which came first, so nothing tells which belongs on which track. The features are those of FOA audio, as far as
two incoherent plane waves in a little noise have them: the levels of W, Y, Z, X and the intensity in each band. Two EINV2
networks of the same first weights see the same examples in the same order; one is trained with ``pit`` "tpit", the other
with "none", by ``losses.pit_losses``.

DIR/metrics.jsonl gets a line at the start and after every ``EVERY`` steps, and DIR/examples.npz what both networks say of
held-out examples at the end. A run is stopped by terminating the process.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .. import geometry
from ..atomic_files import replacing
from ..config import ModelConfig
from ..metrics import midpoint
from ..metrics.single_task import DoaError, doa_alone
from ..models.build import build
from ..training import losses

PITS = ("tpit", "none")
METRICS, EXAMPLES = "metrics.jsonl", "examples.npz"
STEPS, EVERY, BATCH = 240, 10, 32
MAX_SECONDS = 80.0  # on a machine that is too slow for all steps the run ends sooner
LEARNING_RATE = 4e-3
N_HELD_OUT = 64
N_FRAMES, RATIO = 8, 2  # label frames, and feature frames in each
N_CLASSES, N_BANDS = 3, 20
APART = (60.0, 150.0)  # degrees between the sources
NOISE = 0.02  # of the power of a source
MODEL = ModelConfig(
    n_classes=N_CLASSES,
    channels=(8, 16, 32),
    time_pooling=(2, 1, 1),
    frequency_pooling=(2, 2, 2),
    stitch_blocks=(1, 2),
    stitch_tracks=False,
    track_layer="transformer",
    positional_encoding=False,
    n_layers=1,
    n_heads=4,
    feedforward=64,
    dropout=0.0,
)


@dataclass(frozen=True)
class Batch:
    """features (B, 7, T, F); sed (B, T', M, K) and doa (B, T', M, 3), the reference on tracks; float32."""

    features: np.ndarray
    sed: np.ndarray
    doa: np.ndarray


def draw(rng: np.random.Generator, n: int) -> Batch:
    """n examples. The order of the two sources, and with it their tracks, is drawn."""
    directions = _directions(rng, n)  # (B, 2, 3)
    classes = np.argsort(rng.random((n, N_CLASSES)), axis=1)[:, :2]
    power = _power(rng, classes)  # (B, 2, T, F)
    sed = np.repeat(np.eye(N_CLASSES, dtype=np.float32)[classes][:, None], N_FRAMES, axis=1)
    doa = np.repeat(directions[:, None].astype(np.float32), N_FRAMES, axis=1)
    return Batch(_features(power, directions), sed, doa)


def _directions(rng: np.random.Generator, n: int) -> np.ndarray:
    """Two unit vectors, within 20 degrees of the horizon, their azimuths ``APART`` from each other: (B, 2, 3)."""
    first = rng.uniform(-180, 180, n)
    second = first + rng.choice([-1, 1], n) * rng.uniform(*APART, n)
    return geometry.to_vector(np.stack([first, second], 1), rng.uniform(-20, 20, (n, 2)))


def _power(rng: np.random.Generator, classes: np.ndarray) -> np.ndarray:
    """The power of each source in time and band, (B, 2, T, F): a hump of bands for each class, whose level wavers."""
    n_frames = N_FRAMES * RATIO + 1
    centre = (classes + 0.5) * N_BANDS / N_CLASSES + rng.uniform(-2, 2, classes.shape)
    shape = np.exp(-0.5 * ((np.arange(N_BANDS) - centre[..., None]) / 3.0) ** 2)
    level = rng.uniform(-3, 3, (*classes.shape, 1)) + rng.normal(0, 2, (*classes.shape, n_frames))
    return 10 ** (level[..., None] / 10) * shape[:, :, None]


def _features(power: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Levels of W, Y, Z, X (bels) and the intensity along Y, Z, X (-1 to 1) of incoherent plane waves: (B, 7, T, F)."""
    yzx = directions[..., [1, 2, 0]]
    gains = np.concatenate([np.ones((*yzx.shape[:2], 1)), yzx], axis=-1)
    level = np.log10(np.einsum("bstf,bsc->bctf", power, gains**2) + NOISE)
    intensity = np.einsum("bstf,bsc->bctf", power, yzx) / (power.sum(1)[:, None] + NOISE)
    return np.concatenate([level, intensity], axis=1).astype(np.float32)


class Learner:
    """A network that is trained with one sort of PIT."""

    def __init__(self, pit: str, seed: int, steps: int):
        torch.manual_seed(seed)
        self.pit = pit
        self.network = build(MODEL)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), LEARNING_RATE)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, LEARNING_RATE, total_steps=steps)

    def step(self, batch: Batch) -> float:
        """One step of the optimiser; the loss before it."""
        self.network.train()
        output = self.network(torch.from_numpy(batch.features))
        sed, doa = torch.from_numpy(batch.sed), torch.from_numpy(batch.doa)
        loss = losses.pit_losses(output.sed, output.doa, sed, doa, self.pit).total
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        return loss.item()

    @torch.inference_mode()
    def directions(self, batch: Batch) -> np.ndarray:
        """(B, T', M, 3)."""
        return self.network.eval()(torch.from_numpy(batch.features)).doa.numpy()


def scores(doa: np.ndarray, batch: Batch) -> dict[str, float | None]:
    """le: mean degrees from the tracks to the sources, tracks put in the order that fits best (``metrics.tracks.doa_alone``);
    midpoint: share of the directions that are nearer to the midpoint of the sources than to either."""
    sed, reference = batch.sed.reshape(-1, *batch.sed.shape[2:]), batch.doa.reshape(-1, *batch.doa.shape[2:])
    doa = doa.reshape(reference.shape)
    error: DoaError = doa_alone(sed, reference, doa)
    return {"le": error.le, "midpoint": midpoint.distances(sed, reference, doa).counts.share}


def train(
    steps: int = STEPS, seed: int = 1, max_seconds: float = MAX_SECONDS, every: int = EVERY
) -> Iterator[tuple[dict, dict[str, np.ndarray]]]:
    """Train both networks side by side; yields, before the first step and after every ``every`` of them, a line and arrays.

    The line: {"step", "steps", "seconds", "done", and for each of ``PITS`` {"loss" (None at first), "le" (degrees), "midpoint"}}.
    The arrays, of the held-out examples: "doa" and "sed", the reference, and for each of ``PITS`` its directions.
    """
    held_out = draw(np.random.default_rng([seed, 1]), N_HELD_OUT)
    rng, learners = np.random.default_rng([seed, 0]), [Learner(pit, seed, steps) for pit in PITS]
    begin, loss = time.monotonic(), dict.fromkeys(PITS)
    for step in range(steps + 1):
        seconds = time.monotonic() - begin
        done = step == steps or seconds > max_seconds
        if done or step % every == 0:
            doa = {learner.pit: learner.directions(held_out) for learner in learners}
            line = {pit: {"loss": loss[pit]} | scores(doa[pit], held_out) for pit in PITS}
            counted = {"step": step, "steps": steps, "seconds": round(seconds, 2), "done": done}
            yield counted | line, doa | {"doa": held_out.doa, "sed": held_out.sed}
        if done:
            return
        batch = draw(rng, BATCH)
        loss = {learner.pit: learner.step(batch) for learner in learners}


def main(arguments: list[str] | None = None) -> None:
    """Train, and write DIR/metrics.jsonl as it goes and DIR/examples.npz at the end."""
    parser = argparse.ArgumentParser(prog="python -m einv2.analysis.pit_toy", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for metrics.jsonl and examples.npz")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"optimiser steps of each network (default {STEPS})")
    parser.add_argument("--seed", type=int, default=1, help="of weights and examples (default 1)")
    chosen = parser.parse_args(arguments)
    if chosen.steps < 2:
        parser.error(f"--steps must be at least 2, not {chosen.steps}")
    torch.set_num_threads(1)  # the networks are too small for more
    chosen.out.mkdir(parents=True, exist_ok=True)
    with (chosen.out / METRICS).open("w") as file:
        for line, arrays in train(chosen.steps, chosen.seed):
            if line["done"]:
                with replacing(chosen.out / EXAMPLES) as temporary, temporary.open("wb") as stream:
                    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # no array is named allow_pickle
            file.write(json.dumps(line) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
