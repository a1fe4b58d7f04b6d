"""The training loop, resumable, on one process or many.

Each epoch draws its randomness from (seed, epoch): a run that is killed and resumed repeats the epoch it was killed in, and gives
the curve of a run that was never stopped. ``run_folder`` describes what a run keeps.

Under torchrun every process takes its share of each batch and of the validation set; rank 0 alone reads and writes the run's
folder. The loss is that of one process with two exceptions: dropout differs between processes, and the masked DoA loss of the
SELDnet format is averaged over each process's active pairs before it is averaged over processes.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from ..config import CRITERION, require_compatible
from ..datasets import discovery
from ..datasets.chunking import ChunkSet, Sample
from ..datasets.discovery import Clip, DataSelection
from ..inference.decoding import as_tracks
from ..messages import counted
from ..models.build import count_parameters
from ..prefetch import ahead
from . import augmentation, distributed, schedules
from .losses import seld_losses
from .run import NEW_RUN, Run, RunOptions, open_run
from .run_folder import RunData, RunFolder, RunSettings, fingerprint
from .scoring import SCORES, ClipOutput, Outputs

LOSSES = ("loss", "sed_loss", "doa_loss")


def train(
    out: Path,
    settings: RunSettings,
    data: DataSelection,
    options: RunOptions = NEW_RUN,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Run:
    """Train a network and return the run, finished or stopped.

    out: the run's folder. settings: the fingerprints of the data are filled in. ``should_stop`` is called after each step, and
    ``progress`` before the first epoch and after each one with the finished epochs and their number. ValueError if the data or the
    folder do not fit the settings, OSError if a file cannot be written.
    """
    run, training, validation = _prepare(RunFolder(Path(out)), settings, data, options)
    config, fabric = run.settings.train, run.fabric
    log = run.folder.log if fabric.is_global_zero else lambda line: None
    _describe(run, training, validation, log)
    progress(run.epoch, config.epochs)
    with run.folder.events(run.epoch) if fabric.is_global_zero else contextlib.nullcontext() as events:
        while not run.is_over:
            began = time.monotonic()
            # order and augmentation are the same on every process, dropout is not
            rng = np.random.default_rng([config.seed, run.epoch])
            torch.manual_seed((config.seed * 1000 + run.epoch) * fabric.world_size + fabric.global_rank)
            plans = batches(training.plan(rng, config.chunk_offset), config.batch_size)
            mine = ahead(training.batch(plan[distributed.share(fabric, len(plan))]) for plan in plans)
            bar = _bar(fabric, mine, f"epoch {run.epoch + 1}/{config.epochs}", len(plans))
            totals = np.zeros(len(LOSSES))
            run.forward.train()
            for step, (plan, batch) in enumerate(zip(plans, bar)):
                for group in run.optimizer.param_groups:
                    group["lr"] = schedules.rate((run.epoch + step / len(plans)) / config.epochs, config)
                totals += train_step(run, batch, rng, len(plan))
                bar.set_postfix(loss=f"{totals[0] / (step + 1):.4f}")
                if distributed.on_any(fabric, should_stop()):
                    log(f"stopped in epoch {run.epoch + 1}; --resume continues from its start")
                    return run
            losses = dict(zip(LOSSES, totals / len(plans)))
            scores = validate(run, validation)
            _finish_epoch(run, losses | scores, time.monotonic() - began, log, events)
            progress(run.epoch, config.epochs)
    if run.epoch < config.epochs:
        criterion = CRITERION[run.settings.model.task]
        log(f"stopped after {counted(config.patience, 'epoch')} without a better validation {criterion}")
    return run


def train_step(run: Run, batch: Sample, rng: np.random.Generator, n: int | None = None) -> list[float]:
    """Augment, forward, loss, backward, update. Returns total, SED and DoA loss. ValueError if the loss is not finite.

    ``batch`` is this process's share of n items (default: all); the losses returned are those of the n.
    """
    config, n = run.settings.train, n or len(batch.sed)
    share = distributed.share(run.fabric, n)
    batch = run.fabric.to_device(batch)
    batch = batch._replace(features=batch.features.float())
    batch = augmentation.augment_features(batch, config, rng, n, share)
    x = augmentation.augment_standardised((batch.features - run.mean) / run.std, config, rng, n, share)
    output = run.forward(x.contiguous(memory_format=torch.channels_last))
    losses = seld_losses(output, batch.sed, batch.doa, run.settings.model, config)
    weighted = torch.stack(losses[:3]) * distributed.weight(run.fabric, len(x), n)
    values = cast(torch.Tensor, run.fabric.all_reduce(weighted.detach(), reduce_op="mean")).tolist()
    _require_finite(run, values[0])
    run.optimizer.zero_grad(set_to_none=True)
    run.fabric.backward(weighted[0])
    if config.clip_norm:
        torch.nn.utils.clip_grad_norm_(run.network.parameters(), config.clip_norm)
    run.optimizer.step()
    if run.average is not None:
        run.average.update_parameters(run.network)
    return values


@torch.inference_mode()
def validate(run: Run, chunks: ChunkSet) -> dict[str, float | None]:
    """Loss and scores on a validation set, chunk by chunk in order; the same on every process."""
    run.released.eval()
    plan, size = chunks.plan(None), run.settings.train.batch_size
    plans = [plan[i : i + size] for i in range(0, len(plan), size)]
    mine = plans[run.fabric.global_rank :: run.fabric.world_size]
    results = [_predict(run, batch) for batch in ahead(map(chunks.batch, mine))]
    losses, sed, doa = zip(*distributed.gather(run.fabric, results))
    _require_finite(run, loss := float(np.mean(losses)))
    joined = None if run.settings.model.task == "doa" else np.concatenate(sed)
    clips = list(_by_clip(chunks, joined, np.concatenate(doa)))
    return {"validation_loss": loss} | Outputs(clips, run.settings.model, run.settings.train.pit).scores()


def _predict(run: Run, batch: Sample) -> tuple[float, np.ndarray | None, np.ndarray]:
    """Loss, probabilities (B, T, M, K) and directions (B, T, M, 3) of a batch."""
    batch = run.fabric.to_device(batch)
    output = run.released(((batch.features - run.mean) / run.std).contiguous(memory_format=torch.channels_last))
    config = replace(run.settings.train, overlap_weight=1.0)
    loss = seld_losses(output, batch.sed, batch.doa, run.settings.model, config).total.item()
    sed, doa = as_tracks(output, run.settings.model)
    return loss, None if sed is None else sed.cpu().numpy(), doa.cpu().numpy()


def _by_clip(chunks: ChunkSet, sed: np.ndarray | None, doa: np.ndarray) -> Iterator[ClipOutput]:
    """The outputs on each clip, from its chunks in order."""
    start = 0
    for reference in chunks.references:
        n = len(reference.sed)
        stop = start - (-n // chunks.label_frames)
        sed_of_clip, doa_of_clip = (
            None if x is None else x[start:stop].reshape(-1, *x.shape[2:])[:n] for x in (sed, doa)
        )
        yield ClipOutput(sed_of_clip, doa_of_clip, reference)
        start = stop


def _require_finite(run: Run, loss: float) -> None:
    if not math.isfinite(loss):
        raise ValueError(f"the loss became {loss} in epoch {run.epoch + 1}; try a lower --learning-rate.")


def batches(plan: list, size: int) -> list[list]:
    """The plan in batches. An incomplete last one is left out, unless it is the only one."""
    return [plan[i : i + size] for i in range(0, max(len(plan) - size, 0) + 1, size)]


# Before the first epoch


def _prepare(
    folder: RunFolder, settings: RunSettings, data: DataSelection, options: RunOptions
) -> tuple[Run, ChunkSet, ChunkSet]:
    """The run, its training and its validation set. What does not fit is found before anything is written."""
    require_compatible(settings.model, settings.features)
    if settings.model.n_classes != (n := len(settings.data.classes)):
        raise ValueError(f"n_classes is {settings.model.n_classes}, but the class list has {n} names")
    if options.resume:
        settings = replace(settings, model=folder.as_started(settings.model))
    config = settings.train
    fabric = distributed.launch(distributed.resolve_precision(config.precision))
    distributed.share(fabric, config.batch_size)  # ValueError if it is too small for the processes
    if not options.resume:
        distributed.on_rank_zero(fabric, folder.require_new)
    clips = discovery.split_clips(data, config.validation_share, config.seed)
    with fabric.rank_zero_first(local=True):  # the first process of a machine computes the features
        training, validation = (
            _chunk_set(fabric, part, settings, f"features, {name}")
            for name, part in zip(("training", "validation"), clips)
        )
    settings = replace(settings, data=RunData(settings.data.classes, *map(fingerprint, clips)))
    return open_run(folder, settings, fabric, training.statistics, options), training, validation


def _chunk_set(fabric: Fabric, clips: Sequence[Clip], settings: RunSettings, what: str) -> ChunkSet:
    return ChunkSet(
        clips,
        settings.features,
        settings.model.n_tracks,
        settings.data.classes,
        settings.train.chunk_seconds,
        lambda items: _bar(fabric, items, what),
    )


def _describe(run: Run, training: ChunkSet, validation: ChunkSet, log: Callable[[str], None]) -> None:
    """Log the data, the network and the processes."""
    model = run.settings.model
    for name, chunks in (("training", training), ("validation", validation)):
        log(
            f"{name}: {counted(len(chunks.items), 'clip')}, at most {counted(chunks.overlap, 'event')} at a time; "
            f"{chunks.dropped} of {chunks.total} reference frames "
            f"({chunks.dropped / max(chunks.total, 1):.1%}) had more simultaneous events than {counted(model.n_tracks, 'track')}"
        )
    trained_on = {clip.audio.resolve() for clip in training.clips}
    if both := sum(clip.audio.resolve() in trained_on for clip in validation.clips):
        are = "is" if both == 1 else "are"
        log(f"{counted(both, 'clip')} of the validation {are} trained on, too: the validation scores are too good.")
    sizes = counted(model.n_tracks, "track"), counted(model.n_classes, "class", "classes")
    log(f"{', '.join(sizes)}: {', '.join(run.settings.data.classes)}")
    if "class_list" in run.provenance:
        log(run.provenance["class_list"])
    log(
        f"{count_parameters(run.network):,} parameters, {run.fabric.device}, processes: "
        f"{run.fabric.world_size}, {distributed.resolve_precision(run.settings.train.precision)}"
    )


def _bar(fabric: Fabric, items: Iterable, what: str, total: int | None = None) -> tqdm:
    """The items with a progress bar, on a terminal and rank 0 only."""
    return tqdm(items, what, total, leave=False, disable=None if fabric.is_global_zero else True)


# After each epoch


def _finish_epoch(
    run: Run, values: dict, seconds: float, log: Callable[[str], None], events: SummaryWriter | None
) -> None:
    """Add the epoch to the curve; rank 0 saves it."""
    rate = run.optimizer.param_groups[0]["lr"]
    record = {"epoch": run.epoch + 1, **values, "learning_rate": rate, "seconds": seconds}
    run.curve.append({k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in record.items()})
    distributed.on_rank_zero(run.fabric, lambda: _save_epoch(run, log, cast(SummaryWriter, events)))


def _save_epoch(run: Run, log: Callable[[str], None], events: SummaryWriter) -> None:
    """Write the epoch just finished to all files of the run. OSError in one sentence if the disk is full."""
    record = run.curve[-1]
    is_best = run.best is record
    try:
        for name in (*LOSSES, "learning_rate", "validation_loss", *SCORES):
            group = "validation" if name in SCORES or name == "validation_loss" else "train"
            if record[name] is not None:
                events.add_scalar(f"{group}/{name.removeprefix('validation_')}", record[name], record["epoch"])
        events.flush()
        run.folder.save(run.checkpoint(), run.state(), is_best)
        log(
            f"epoch {run.epoch}/{run.settings.train.epochs}  loss {record['loss']:.4f}  "
            f"validation {record['validation_loss']:.4f}  "
            + "  ".join(f"{name} {record[name]:.3f}" for name in SCORES if record[name] is not None)
            + f"  {record['seconds']:.0f} s{'  best' if is_best else ''}"
        )
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise OSError(
            f"epoch {run.epoch} could not be saved in {run.out}: {reason}. What was saved before is intact; "
            "free some space, then continue with --resume."
        ) from error
