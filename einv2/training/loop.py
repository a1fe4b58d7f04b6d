"""The training loop: plain, resumable, on one process or many, and followed in a progress bar, log.txt and TensorBoard.

A run is a folder: config.json (settings, and a fingerprint of the data), metrics.jsonl (one line an epoch), log.txt, events/
(TensorBoard), last.safetensors and best.safetensors (by the validation score that ``CRITERION`` names), state.pt (optimiser;
read back with tensors only). Files are whole or not there. Each epoch draws its randomness from (seed, epoch), so a run that
is killed and resumed repeats the epoch it was killed in and gives the curve of a run that was never stopped.

Under torchrun every process takes its share of each batch and of the validation set; rank 0 alone reads and writes the run's
folder. The loss is that of one process, but for two things: each process drops out other units, and the masked DoA loss
of the SELDnet format is averaged over each process's active pairs before it is averaged over processes.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import math
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from ..atomic_files import write_bytes, write_json, write_text
from ..checkpoints import checkpoint
from ..checkpoints.checkpoint import Checkpoint
from ..config import (
    CRITERION,
    FeatureConfig,
    ModelConfig,
    TrainConfig,
    from_json,
    require_compatible,
    to_json,
    without_effect,
)
from ..datasets import chunking, discovery
from ..inference.decoding import as_tracks, decode
from ..labels import class_lists
from ..messages import counted
from ..metrics import dcase
from ..metrics.identity import SwapCounts, swap_rate
from ..metrics.single_task import DoaError, SedCounts, doa_alone, sed_alone
from ..models import acceleration
from ..models.build import build
from ..models.einv2 import Output
from ..prefetch import ahead
from . import augmentation, distributed
from .losses import Losses, seld_losses

VALIDATION_THRESHOLD = 0.5
LOSSES = ("loss", "sed_loss", "doa_loss")
SCORES = ("ER", "F", "LE", "LR", "SELD", "swap_rate")  # of an epoch; None where the task has no such score
SETTINGS = {"model": ModelConfig, "features": FeatureConfig, "train": TrainConfig}  # in a run's config.json


@dataclass
class Run:
    """Everything one training run works on. ``forward`` is the network as Fabric runs it: precision, gradients of all processes."""

    out: Path
    model: ModelConfig
    features: FeatureConfig
    train: TrainConfig
    classes: tuple[str, ...]
    provenance: dict
    fabric: Fabric
    network: torch.nn.Module
    forward: torch.nn.Module
    optimizer: torch.optim.Optimizer
    mean: torch.Tensor
    std: torch.Tensor
    curve: list[dict] = field(default_factory=list)  # one record an epoch finished
    average: AveragedModel | None = None  # of the network's weights over the steps

    @property
    def kept(self) -> torch.nn.Module:
        """The network that is validated and kept: with the averaged weights, if there are any."""
        return self.network if self.average is None else self.average.module

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return len(self.curve)

    @property
    def best(self) -> dict | None:
        """The record of the best epoch, the first of equals."""
        return min(self.curve, key=lambda record: _rank(record, self.model.task), default=None)

    @property
    def is_over(self) -> bool:
        """All epochs done, or ``patience`` of them without a better score."""
        patience = self.train.patience
        return self.epoch >= self.train.epochs or 0 < patience <= self.epoch - (self.best or {"epoch": 0})["epoch"]


def _rank(record: dict, task: str) -> float:
    """Lower is better."""
    score = record[CRITERION[task]]
    return math.inf if score is None else -score if CRITERION[task] == "F" else score


def train(
    data_dirs: Sequence[Path],
    out: Path,
    model: ModelConfig,
    features: FeatureConfig,
    config: TrainConfig,
    classes: tuple[str, ...] = class_lists.DCASE2020_CLASSES,
    validation_dirs: Sequence[Path] = (),
    resume: bool = False,
    provenance: dict | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    parts: Sequence[str] = (),
    validation_parts: Sequence[str] = (),
    cache: Path | None = None,
    init: Path | None = None,
    compiled: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Run:
    """Train a network on the clips of folders and return the run, finished or stopped.

    ``parts``, ``validation_parts`` and ``cache`` as in ``datasets.split_clips``: without ``validation_dirs`` and
    ``validation_parts`` a share of the clips, drawn with the seed, is held out. ``should_stop`` is asked after each step.
    ``init``: a checkpoint of the same configuration and classes whose weights, and feature statistics, the run begins with.
    ``compiled``: the network as torch.compile makes it, which takes a minute at first and needs a C++ compiler.
    ``progress`` is told the finished epochs and their number, at the start and after each.
    ValueError if the data or the run's folder do not fit, OSError if it cannot be written.
    """
    _require_sound(model, features, config, classes)
    out = Path(out)
    model = _as_started(out, model) if resume else model
    fabric = distributed.launch(distributed.resolve_precision(config.precision))
    distributed.share(fabric, config.batch_size)  # ValueError if it is too small for the processes
    if not resume:
        distributed.on_rank_zero(fabric, lambda: _require_new(out))
    clips = discovery.split_clips(
        data_dirs, validation_dirs, parts, validation_parts, config.validation_share, config.seed, cache
    )
    training, validation = _load_data(fabric, clips, model, features, config, classes)
    settings = {
        "model": to_json(model),
        "features": to_json(features),
        "train": to_json(config),
        "data": {"classes": list(classes), "training": fingerprint(clips[0]), "validation": fingerprint(clips[1])},
    }
    run = _start(fabric, out, model, features, config, classes, training, provenance or {}, settings, init, compiled)
    log = _Log(out) if fabric.is_global_zero else lambda line: None
    _describe(run, training, validation, log)
    progress(run.epoch, config.epochs)
    with _events(run) as events:
        while not run.is_over:
            began = time.monotonic()
            losses = _train_epoch(run, training, should_stop)
            if losses is None:
                log(f"stopped in epoch {run.epoch + 1}; resume goes on from its start")
                return run
            scores = validate(run, validation)
            _finish_epoch(run, losses | scores, time.monotonic() - began, log, events)
            progress(run.epoch, config.epochs)
    if run.epoch < config.epochs:
        log(f"stopped after {counted(config.patience, 'epoch')} without a better validation {CRITERION[model.task]}")
    return run


def _require_sound(model: ModelConfig, features: FeatureConfig, config: TrainConfig, classes) -> None:
    """ValueError, before anything is read or written, if the settings cannot work together."""
    require_compatible(model, features)
    if model.n_classes != len(classes):
        raise ValueError(f"n_classes is {model.n_classes}, but the class list has {len(classes)} names")


def _as_started(out: Path, model: ModelConfig) -> ModelConfig:
    """The network of the run in a folder, if it began before some fields were there: these, where they are not changed from the
    default, are what was meant then (``ModelConfig.as_once_meant``)."""
    if not (out / "config.json").exists():
        return model
    meant = from_json(ModelConfig, stored_settings(out).get("model", {}))
    then, now = json.loads((out / "config.json").read_text()).get("model", {}), to_json(model)
    lacking = [f.name for f in dataclasses.fields(model) if f.name not in then and now[f.name] == f.default]
    return dataclasses.replace(model, **{name: getattr(meant, name) for name in lacking})


def _require_new(out: Path) -> None:
    if (out / "config.json").exists():
        raise ValueError(f"{out} holds a run already: add --resume to go on with it, or choose another folder.")


def _load_data(fabric, clips, model, features, config, classes) -> list[chunking.ChunkSet]:
    """The training and the validation set, from the clips of both. The first process of a machine computes the features."""
    with fabric.rank_zero_first(local=True):
        return [
            chunking.ChunkSet(
                part, features, model.n_tracks, classes, config.chunk_seconds, _bar(fabric, f"features, {what}")
            )
            for what, part in zip(("training", "validation"), clips)
        ]


def fingerprint(clips: Sequence[discovery.Clip]) -> str:
    """Their number, and a digest of their names and file sizes: another one means other data."""
    sizes = [(clip.place.as_posix(), clip.audio.stat().st_size, clip.metadata.stat().st_size) for clip in clips]
    return f"{len(clips)} clips, {hashlib.sha256(json.dumps(sizes).encode()).hexdigest()[:12]}"


def _start(fabric, out, model, features, config, classes, training, provenance, settings, init, compiled) -> Run:
    """A run as it stands in its folder, or a new one."""
    torch.manual_seed(config.seed)
    network = build(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    if fabric.device.type == "cpu" and distributed.resolve_precision(config.precision) == "fp32":
        network = acceleration.for_training(network)
    if fabric.world_size > 1:
        network = distributed.synchronise_batch_norm(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    begin = (lambda: _of_checkpoint(init, model, features, classes)) if init else (lambda: _statistics(training))
    state = distributed.on_rank_zero(fabric, lambda: _stored(out, settings) or _fresh(out, settings, begin()))
    forward, optimizer = fabric.setup(torch.compile(network) if compiled else network, optimizer)
    if "network" in state:
        network.load_state_dict(state["network"])
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    average = _average(network, config.average_decay)
    if average is not None and "average" in state:
        average.load_state_dict(state["average"])
    mean, std = (state[name].to(fabric.device) for name in ("mean", "std"))
    curve = json.loads(state["curve"])
    return Run(
        out,
        model,
        features,
        config,
        classes,
        provenance,
        fabric,
        network,
        forward,
        optimizer,
        mean,
        std,
        curve,
        average,
    )


def _average(network: torch.nn.Module, decay: float) -> AveragedModel | None:
    """The moving average of a network's weights and batch statistics (Polyak averaging), which begins as the network."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) if decay else None


def _stored(out: Path, settings: dict) -> dict | None:
    """The state of the run in a folder, if an epoch of it was finished. ValueError if it is damaged or of other settings, the
    number of epochs excepted where it changes nothing of what was trained."""
    if not (out / "config.json").exists():
        return None
    kept = stored_settings(out)
    changed = [
        f"{part}.{key}"
        for part, values in settings.items()
        for key, value in values.items()
        if kept.get(part, {}).get(key) != value
    ]
    longer = "train.epochs" in changed
    if changed := [name for name in changed if name != "train.epochs"]:
        own = [name for name in changed if not name.startswith("data.")]  # which may be why the data differ: the seed
        what, changed = ("settings", own) if own else ("data", changed)
        raise ValueError(f"{out} was started with other {what} ({', '.join(changed)}); resume needs the same.")
    for leftover in out.glob(".*.tmp"):  # of a run killed while it wrote
        leftover.unlink()
    state = _state(out)
    if longer:
        n_done = len(json.loads(state["curve"])) if state else 0
        _require_same_so_far(
            out, from_json(TrainConfig, kept["train"]), from_json(TrainConfig, settings["train"]), n_done
        )
        write_json(out / "config.json", kept | {"train": settings["train"]})
    return state


def stored_settings(out: Path) -> dict:
    """The settings that a run was started with. What an older version did not write is what it did. ValueError if damaged."""
    try:
        kept = json.loads((out / "config.json").read_text())
        return kept | {part: to_json(from_json(cls, kept[part])) for part, cls in SETTINGS.items() if part in kept}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{out / 'config.json'} is damaged ({error}): start the run again in another folder."
        ) from error


def _state(out: Path) -> dict | None:
    """What state.pt holds, if it is there."""
    if not (out / "state.pt").exists():
        return None
    try:
        return torch.load(out / "state.pt", map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{out / 'state.pt'} is damaged: start the run again in another folder.") from error


def _require_same_so_far(out: Path, kept: TrainConfig, now: TrainConfig, n_done: int) -> None:
    """ValueError unless the epochs done had the learning rates that they would have in a run of the other length: with the
    schedule "steps" those before the rate falls, with "one-cycle" none."""
    fewest = min(kept.epochs, now.epochs)
    if n_done > now.epochs:
        raise ValueError(f"{out} has trained {counted(n_done, 'epoch')} already, more than --epochs {now.epochs}.")
    if n_done and not (now.schedule == "steps" and 10 * n_done <= 9 * fewest):
        raise ValueError(
            f"{out} has trained {n_done} of {kept.epochs} epochs, at learning rates that a run of {now.epochs} epochs would not "
            f"have had (schedule {now.schedule}): resume it with --epochs {kept.epochs}, or begin a new run with its weights by "
            f"--init {out / 'last.safetensors'}."
        )


def _of_checkpoint(file: Path, model: ModelConfig, features: FeatureConfig, classes) -> dict:
    """The weights and feature statistics of a checkpoint. ValueError if it is another network's, or of other classes."""
    loaded = checkpoint.load(file)
    for name, ours, theirs in (
        ("network", model, loaded.model),
        ("features", features, loaded.features),
        ("classes", tuple(classes), loaded.classes),
    ):
        if ours != theirs:
            raise ValueError(
                f"{Path(file).name} has another configuration ({name}) than this run: give it the same flags{_as_in(theirs, ours)}."
            )
    return {"network": loaded.network.state_dict(), "mean": loaded.feature_mean, "std": loaded.feature_std}


def _as_in(theirs, ours) -> str:
    """The fields in which a configuration is another, with its values: ", dropout 0.1". Empty for what is none."""
    if not dataclasses.is_dataclass(ours):
        return ""
    values = to_json(theirs)
    return "".join(f", {name} {values[name]}" for name, value in to_json(ours).items() if values[name] != value)


def _statistics(training: chunking.ChunkSet) -> dict:
    return dict(zip(("mean", "std"), training.statistics()))


def _fresh(out: Path, settings: dict, begin: dict) -> dict:
    """The state of a run whose folder is made: what it ``begin``s with, feature statistics and perhaps weights."""
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "metrics.jsonl", "")
    write_json(out / "config.json", settings)
    return begin | {"curve": "[]"}


def _describe(run: Run, training: chunking.ChunkSet, validation: chunking.ChunkSet, log) -> None:
    for what, chunks in (("training", training), ("validation", validation)):
        log(
            f"{what}: {counted(len(chunks.items), 'clip')}, at most {counted(chunks.overlap, 'event')} at a time; "
            f"{chunks.dropped} of {chunks.total} reference frames "
            f"({chunks.dropped / max(chunks.total, 1):.1%}) had more simultaneous events than {counted(run.model.n_tracks, 'track')}"
        )
    trained_on = {clip.audio.resolve() for clip in training.clips}
    if both := sum(clip.audio.resolve() in trained_on for clip in validation.clips):
        log(
            f"{counted(both, 'clip')} of the validation {'is' if both == 1 else 'are'} trained on, too: its scores flatter."
        )
    sizes = counted(run.model.n_tracks, "track"), counted(run.model.n_classes, "class", "classes")
    log(f"{', '.join(sizes)}: {', '.join(run.classes)}")
    if "class_list" in run.provenance:
        log(run.provenance["class_list"])
    log(
        f"{sum(p.numel() for p in run.network.parameters()):,} parameters, {run.fabric.device}, processes: "
        f"{run.fabric.world_size}, {distributed.resolve_precision(run.train.precision)}"
    )


def _train_epoch(run: Run, training: chunking.ChunkSet, should_stop) -> dict | None:
    """One pass over the data; mean losses, or None if stopped."""
    config, fabric = run.train, run.fabric
    rng = np.random.default_rng([config.seed, run.epoch])
    torch.manual_seed((config.seed * 1000 + run.epoch) * fabric.world_size + fabric.global_rank)
    plans = _batches(training.plan(rng, config.chunk_offset), config.batch_size)
    mine = ahead(training.batch(plan[distributed.share(fabric, len(plan))]) for plan in plans)
    bar = _bar(fabric, f"epoch {run.epoch + 1}/{config.epochs}", len(plans))(mine)
    totals = np.zeros(3)
    run.forward.train()
    for step, (plan, batch) in enumerate(zip(plans, bar)):
        _set_learning_rate(run, (run.epoch + step / len(plans)) / config.epochs)
        totals += train_step(run, batch, rng, len(plan))
        bar.set_postfix(loss=f"{totals[0] / (step + 1):.4f}")
        if fabric.all_reduce(torch.tensor(float(should_stop()), device=fabric.device), reduce_op="sum"):
            return None
    return dict(zip(LOSSES, totals / len(plans)))


def _batches(plan: list, size: int) -> list[list]:
    """The plan in batches. An incomplete last one is left out, unless it is the only one."""
    return [plan[i : i + size] for i in range(0, max(len(plan) - size, 0) + 1, size)]


def train_step(run: Run, batch: chunking.Sample, rng: np.random.Generator, n: int | None = None) -> list[float]:
    """Augment, forward, loss, backward, update. Returns total, SED and DoA loss. ValueError if the loss is not finite.

    ``batch`` is this process's share of n items (default: all); the losses returned are those of the n.
    """
    n = n or len(batch.sed)
    share = distributed.share(run.fabric, n)
    batch = run.fabric.to_device(batch)
    batch = batch._replace(features=batch.features.float())
    batch = augmentation.augment_features(batch, run.train, rng, n, share)
    x = augmentation.augment_standardised((batch.features - run.mean) / run.std, run.train, rng, n, share)
    output = run.forward(x.contiguous(memory_format=torch.channels_last))
    losses = _losses(run, output, batch, run.train.overlap_weight)
    weighted = torch.stack(losses[:3]) * distributed.weight(run.fabric, len(x), n)
    values = cast(torch.Tensor, run.fabric.all_reduce(weighted.detach(), reduce_op="mean")).tolist()
    _require_finite(run, values[0])
    run.optimizer.zero_grad(set_to_none=True)
    run.fabric.backward(weighted[0])
    if run.train.clip_norm:
        torch.nn.utils.clip_grad_norm_(run.network.parameters(), run.train.clip_norm)
    run.optimizer.step()
    if run.average is not None:
        run.average.update_parameters(run.network)
    return values


def _losses(run: Run, output: Output, batch: chunking.Sample, overlap_weight: float = 1.0) -> Losses:
    config = run.train
    options = config.pit, config.sed_weight, overlap_weight, config.masked_loss
    return seld_losses(output, batch.sed, batch.doa, run.model, *options)


def _require_finite(run: Run, loss: float) -> None:
    if not math.isfinite(loss):
        raise ValueError(f"the loss became {loss} in epoch {run.epoch + 1}; try a lower --learning-rate.")


def one_cycle(share: float, warmup_share: float) -> float:
    """The learning rate at ``share`` of the run, as a fraction of the peak: a half cosine up, a half cosine down to 0."""
    if share < warmup_share:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * share / warmup_share)) / 2
    return (1 + math.cos(math.pi * (share - warmup_share) / (1 - warmup_share))) / 2


def steps(share: float) -> float:
    """The paper's plan (5e-4 for 90 epochs, 5e-5 for 10) at ``share`` of the run, as a fraction of the first rate."""
    return 1.0 if share < 0.9 else 0.1


def _set_learning_rate(run: Run, share: float) -> None:
    part = one_cycle(share, run.train.warmup_share) if run.train.schedule == "one-cycle" else steps(share)
    for group in run.optimizer.param_groups:
        group["lr"] = run.train.learning_rate * part


@torch.inference_mode()
def validate(run: Run, chunks: chunking.ChunkSet) -> dict:
    """Losses and scores on a validation set, chunk by chunk in order; the same on every process."""
    run.kept.eval()
    plan, size = chunks.plan(None), run.train.batch_size
    plans = [plan[i : i + size] for i in range(0, len(plan), size)]
    mine = plans[run.fabric.global_rank :: run.fabric.world_size]
    results = [_predict(run, batch) for batch in ahead(map(chunks.batch, mine))]
    losses, sed, doa = zip(*distributed.gather(run.fabric, results))
    _require_finite(run, loss := float(np.mean(losses)))
    sed = None if run.model.task == "doa" else np.concatenate(sed)
    clips = list(_by_clip(chunks, sed, np.concatenate(doa)))
    return {"validation_loss": loss} | dict.fromkeys(SCORES) | _scores(clips, run.model, run.train.pit)


def _predict(run: Run, batch: chunking.Sample) -> tuple[float, np.ndarray | None, np.ndarray]:
    """Loss, probabilities (B, T, M, K) and directions (B, T, M, 3) of a batch."""
    batch = run.fabric.to_device(batch)
    output = run.kept(((batch.features - run.mean) / run.std).contiguous(memory_format=torch.channels_last))
    loss = _losses(run, output, batch).total.item()
    sed, doa = as_tracks(output, run.model)
    return loss, None if sed is None else sed.cpu().numpy(), doa.cpu().numpy()


def _by_clip(chunks: chunking.ChunkSet, sed: np.ndarray | None, doa: np.ndarray) -> Iterator[tuple]:
    """(sed, doa, ``data.Reference``) of each clip, from its chunks in order."""
    start = 0
    for reference in chunks.references:
        n = len(reference.sed)
        stop = start - (-n // chunks.label_frames)
        estimate = (None if x is None else x[start:stop].reshape(-1, *x.shape[2:])[:n] for x in (sed, doa))
        yield *estimate, reference
        start = stop


def _scores(clips: list[tuple], model: ModelConfig, pit: str) -> dict:
    """The scores of a task, against the whole ground truth. One task alone is judged as in the paper's Table 2."""
    if model.task == "sed":
        return {"F": sum((sed_alone(sed, ref.sed, VALIDATION_THRESHOLD) for sed, _, ref in clips), SedCounts()).f}
    if model.task == "doa":
        options = model.output_format, pit == "none"
        return {"LE": sum((doa_alone(doa, ref.sed, ref.doa, *options) for _, doa, ref in clips), DoaError()).le}
    scores = dcase.evaluate(
        [(decode(sed, doa, VALIDATION_THRESHOLD), ref.table) for sed, doa, ref in clips], model.n_classes
    )
    swaps = sum(
        (swap_rate(sed, doa, ref.sed, ref.doa, VALIDATION_THRESHOLD) for sed, doa, ref in clips), SwapCounts()
    ).rate
    return {name: scores[name] for name in SCORES[:-1]} | {"swap_rate": swaps}


def _finish_epoch(run: Run, values: dict, seconds: float, log, events: SummaryWriter | None) -> None:
    """Add the epoch to the curve; rank 0 writes it down."""
    rate = run.optimizer.param_groups[0]["lr"]
    record = {"epoch": run.epoch + 1, **values, "learning_rate": rate, "seconds": seconds}
    run.curve.append({name: _rounded(value) for name, value in record.items()})
    distributed.on_rank_zero(run.fabric, lambda: _write(run, log, events))


def _write(run: Run, log, events: SummaryWriter | None) -> None:
    """The epoch just finished, to all files of the run. OSError in one sentence if the disk does not take it."""
    record = run.curve[-1]
    better = run.best is record
    try:
        if events is not None:
            _add_events(events, record)
        _save(run, better)
        log(
            f"epoch {run.epoch}/{run.train.epochs}  loss {record['loss']:.4f}  validation {record['validation_loss']:.4f}  "
            + "  ".join(f"{name} {record[name]:.3f}" for name in SCORES if record[name] is not None)
            + f"  {record['seconds']:.0f} s{'  best' if better else ''}"
        )
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise OSError(
            f"epoch {run.epoch} could not be saved in {run.out}: {reason}. What was saved before is whole; "
            "make room, then go on with --resume."
        ) from error


def _rounded(value: float | int | None) -> float | int | None:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def to_checkpoint(run: Run) -> Checkpoint:
    """The run's network as it stands."""
    idle = without_effect(run.model, run.train)
    settings = {name: value for name, value in to_json(run.train).items() if name not in idle}
    provenance = run.provenance | {"train": settings, "epochs_done": run.epoch}
    scores = {"validation": run.curve[-1]} if run.curve else {}
    statistics = (run.mean.cpu(), run.std.cpu())
    return Checkpoint(run.kept, run.model, run.features, run.classes, *statistics, provenance, scores, list(run.curve))


def _save(run: Run, better: bool) -> None:
    """State last: a kill in between repeats the epoch, and loses nothing."""
    checkpoint.save(to_checkpoint(run), run.out / "last.safetensors")
    if better:
        checkpoint.save(to_checkpoint(run), run.out / "best.safetensors")
    write_text(run.out / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in run.curve))
    state = {
        "optimizer": run.optimizer.state_dict(),
        "network": run.network.state_dict(),
        "mean": run.mean,
        "std": run.std,
        "curve": json.dumps(run.curve),
    }
    if run.average is not None:
        state["average"] = run.average.state_dict()
    content = io.BytesIO()
    torch.save(state, content)
    write_bytes(run.out / "state.pt", content.getbuffer())


@contextlib.contextmanager
def _events(run: Run) -> Iterator[SummaryWriter | None]:
    """TensorBoard's writer, on rank 0. What a killed run wrote of the epoch to come is not shown."""
    if not run.fabric.is_global_zero:
        yield None
        return
    with _quiet_threads():
        try:
            writer = SummaryWriter(run.out / "events", purge_step=run.epoch + 1 if run.epoch else None)
        except OSError as error:
            raise OSError(f"{run.out / 'events'} could not be written: {error.strerror or error}") from error
        try:
            yield writer
        finally:
            with contextlib.suppress(OSError):  # which ``_write`` has said: it flushes every epoch
                writer.close()


@contextlib.contextmanager
def _quiet_threads() -> Iterator[None]:
    """The writer's thread prints no stack where the disk fails it: who writes next raises its error."""
    shown = threading.excepthook
    threading.excepthook = lambda error: None if isinstance(error.exc_value, OSError) else shown(error)
    try:
        yield
    finally:
        threading.excepthook = shown


def _add_events(events: SummaryWriter, record: dict) -> None:
    for name in (*LOSSES, "learning_rate", "validation_loss", *SCORES):
        group = "validation" if name in SCORES or name == "validation_loss" else "train"
        if record[name] is not None:
            events.add_scalar(f"{group}/{name.removeprefix('validation_')}", record[name], record["epoch"])
    events.flush()


def _bar(fabric: Fabric, description: str, total: int | None = None):
    """A progress bar around items, on a terminal and rank 0 only."""
    disable = None if fabric.is_global_zero else True
    return lambda items: tqdm(items, description, total, leave=False, disable=disable)


class _Log:
    """Lines with the time, to the terminal and to log.txt."""

    def __init__(self, out: Path):
        self.path = out / "log.txt"

    def __call__(self, line: str) -> None:
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}"
        tqdm.write(line)
        with self.path.open("a") as file:
            file.write(line + "\n")
