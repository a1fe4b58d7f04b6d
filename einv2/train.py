"""The training loop: plain, resumable, and followed in a progress bar, ``log.txt`` and ``metrics.jsonl``.

A run is a folder: config.json, metrics.jsonl (one line an epoch), log.txt, last.safetensors and best.safetensors (by the
validation SELD score), state.pt (optimiser; read back with tensors only). Files are whole or not there. Each
epoch draws its randomness from (seed, epoch), so a run that is stopped and resumed repeats the epoch it was stopped in and
gives the curve of a run that was never stopped.
"""

import json
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import augment, checkpoint, data, labels, models
from .checkpoint import Checkpoint
from .config import FeatureConfig, ModelConfig, TrainConfig, require_compatible, to_json
from .decode import decode
from .files import replacing, write_json, write_text
from .losses import MAX_TRACKS, pit_losses
from .metrics.dcase import evaluate_2020

VALIDATION_THRESHOLD = 0.5
CLIP_NORM = 5.0
SCORES = ("ER", "F", "LE", "LR", "SELD")


@dataclass
class Run:
    """Everything one training run works on."""

    out: Path
    model: ModelConfig
    features: FeatureConfig
    train: TrainConfig
    classes: tuple[str, ...]
    provenance: dict
    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    mean: torch.Tensor
    std: torch.Tensor
    device: torch.device
    epoch: int = 0  # epochs finished
    best: float = float("inf")  # lowest validation SELD score so far
    curve: list = field(default_factory=list)


def train(
    data_dirs: list[Path],
    out: Path,
    model: ModelConfig,
    features: FeatureConfig,
    config: TrainConfig,
    classes: tuple[str, ...] = labels.DCASE2020_CLASSES,
    validation_dirs: list[Path] = (),
    resume: bool = False,
    provenance: dict | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Train a network on the clips of folders and return the run, finished or stopped.

    Without ``validation_dirs`` a share of the clips, drawn with the seed, is held out. ``should_stop`` is asked after each
    step. ValueError if the data or the run's folder do not fit.
    """
    _require_sound(model, features, config, classes)
    out = Path(out)
    if (out / "config.json").exists() and not resume:
        raise ValueError(f"{out} holds a run already: add --resume to go on with it, or choose another folder.")
    training, validation = _load_data(data_dirs, validation_dirs, model, features, config, classes)
    out.mkdir(parents=True, exist_ok=True)
    log = _Log(out)
    for what, chunks in (("training", training), ("validation", validation)):
        log(
            f"{what}: {len(chunks.items)} clips; {chunks.dropped} of {chunks.total} reference frames "
            f"({chunks.dropped / max(chunks.total, 1):.1%}) had more simultaneous events than {model.n_tracks} tracks"
        )
    run = _start(out, model, features, config, classes, training, provenance or {}, resume)
    log(f"{sum(p.numel() for p in run.network.parameters()):,} parameters, {run.device}, {_precision(run)}")
    while run.epoch < config.epochs:
        began = time.monotonic()
        losses = _train_epoch(run, training, should_stop)
        if losses is None:
            log(f"stopped in epoch {run.epoch + 1}; resume goes on from its start")
            return run
        scores = validate(run, validation)
        _finish_epoch(run, losses, scores, time.monotonic() - began, log)
    return run


def _require_sound(model: ModelConfig, features: FeatureConfig, config: TrainConfig, classes) -> None:
    """ValueError, before anything is read or written, if the settings cannot work together."""
    require_compatible(model, features)
    if model.n_classes != len(classes):
        raise ValueError(f"n_classes is {model.n_classes}, but the class list has {len(classes)} names")
    if config.pit != "none" and model.n_tracks > MAX_TRACKS:
        raise ValueError(f"PIT searches permutations of at most {MAX_TRACKS} tracks, not {model.n_tracks}")


def _load_data(data_dirs, validation_dirs, model, features, config, classes) -> list[data.ChunkSet]:
    """The training and the validation set."""
    clips = [clip for folder in data_dirs for clip in data.find_clips(folder)]
    held_out = [clip for folder in validation_dirs for clip in data.find_clips(folder)]
    if not held_out:
        order = np.random.default_rng(config.seed).permutation(len(clips))
        n = max(round(config.validation_share * len(clips)), 1)
        if n >= len(clips):
            raise ValueError("one clip is not enough: one is held out for validation, so give at least two.")
        clips, held_out = [clips[i] for i in sorted(order[n:])], [clips[i] for i in sorted(order[:n])]
    return [
        data.ChunkSet(part, features, model.n_tracks, classes, config.chunk_seconds, _bar(f"features, {what}"))
        for what, part in (("training", clips), ("validation", held_out))
    ]


def _start(out, model, features, config, classes, training, provenance, resume) -> Run:
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = models.build(model).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    settings = {"model": to_json(model), "features": to_json(features), "train": to_json(config)}
    run = Run(out, model, features, config, classes, provenance, network, optimizer, None, None, device)
    if resume and (out / "state.pt").exists():
        _restore(run, settings)
    else:
        run.mean, run.std = (s.to(device) for s in training.statistics())
        (out / "metrics.jsonl").write_text("")
        write_json(out / "config.json", settings)
    return run


def _train_epoch(run: Run, training: data.ChunkSet, should_stop) -> dict | None:
    """One pass over the data; mean losses, or None if stopped."""
    config = run.train
    rng = np.random.default_rng([config.seed, run.epoch])
    torch.manual_seed(config.seed * 1000 + run.epoch)
    n_batches = max(len(training.plan(np.random.default_rng([config.seed, run.epoch]))) // config.batch_size, 1)
    bar = _bar(f"epoch {run.epoch + 1}/{config.epochs}", n_batches)(training.batches(config.batch_size, rng))
    totals = np.zeros(3)
    run.network.train()
    for step, batch in enumerate(bar):
        _set_learning_rate(run, (run.epoch + step / n_batches) / config.epochs)
        losses = train_step(run, batch, rng)
        totals += losses
        bar.set_postfix(loss=f"{totals[0] / (step + 1):.4f}")
        if should_stop():
            return None
    return dict(zip(("loss", "sed_loss", "doa_loss"), totals / (step + 1)))


def train_step(run: Run, batch: augment.Sample, rng: np.random.Generator) -> tuple[float, float, float]:
    """Augment, forward, PIT loss, backward, update. Returns total, SED and DoA loss. ValueError if the loss is not finite."""
    batch = augment.augment_features(augment.Sample(*(t.to(run.device) for t in batch)), run.train, rng)
    x = augment.augment_standardised((batch.features - run.mean) / run.std, run.train, rng)
    with torch.autocast(run.device.type, torch.bfloat16, enabled=_precision(run) == "bf16"):
        output = run.network(x.contiguous(memory_format=torch.channels_last))
    losses = pit_losses(
        output.sed.float(), output.doa.float(), batch.sed, batch.doa, run.train.pit, run.train.sed_weight
    )
    if not torch.isfinite(losses.total):
        raise ValueError(
            f"the loss became {losses.total.item()} in epoch {run.epoch + 1}; try a lower --learning-rate."
        )
    run.optimizer.zero_grad(set_to_none=True)
    losses.total.backward()
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), CLIP_NORM)
    run.optimizer.step()
    return losses.total.item(), losses.sed.item(), losses.doa.item()


def _precision(run: Run) -> str:
    if run.train.precision != "auto":
        return run.train.precision
    if run.device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)() else "fp32"


def one_cycle(share: float, warmup_share: float) -> float:
    """The learning rate at ``share`` of the run, as a fraction of the peak: a half cosine up, a half cosine down to 0."""
    if share < warmup_share:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * share / warmup_share)) / 2
    return (1 + math.cos(math.pi * (share - warmup_share) / (1 - warmup_share))) / 2


def _set_learning_rate(run: Run, share: float) -> None:
    for group in run.optimizer.param_groups:
        group["lr"] = run.train.learning_rate * one_cycle(share, run.train.warmup_share)


@torch.inference_mode()
def validate(run: Run, chunks: data.ChunkSet) -> dict:
    """Losses and DCASE 2020 scores on a validation set, chunk by chunk in order."""
    run.network.eval()
    losses, sed, doa = [], [], []
    for batch in chunks.batches(run.train.batch_size, None):
        batch = augment.Sample(*(t.to(run.device) for t in batch))
        output = run.network(((batch.features - run.mean) / run.std).contiguous(memory_format=torch.channels_last))
        losses.append(pit_losses(*output, batch.sed, batch.doa, run.train.pit, run.train.sed_weight).total.item())
        sed.append(output.sed.sigmoid().cpu().numpy())
        doa.append(output.doa.cpu().numpy())
    scores = evaluate_2020(_clip_tables(chunks, np.concatenate(sed), np.concatenate(doa)), len(run.classes))
    return {"validation_loss": float(np.mean(losses))} | {k: float(scores[k]) for k in SCORES}


def _clip_tables(chunks: data.ChunkSet, sed: np.ndarray, doa: np.ndarray):
    """(estimate, reference) of each clip, from its chunks in order. The reference is what the tracks hold."""
    start = 0
    for _, reference_sed, reference_doa in chunks.items:
        n = len(reference_sed)
        stop = start - (-n // chunks.label_frames)
        estimate = [x[start:stop].reshape(-1, *x.shape[2:])[:n] for x in (sed, doa)]
        yield (
            decode(*estimate, VALIDATION_THRESHOLD),
            decode(reference_sed.astype(np.float32), reference_doa.astype(np.float32), 0.5),
        )
        start = stop


def _finish_epoch(run: Run, losses: dict, scores: dict, seconds: float, log) -> None:
    run.epoch += 1
    rate = run.optimizer.param_groups[0]["lr"]
    record = {"epoch": run.epoch, **losses, **scores, "learning_rate": rate, "seconds": seconds}
    run.curve.append({k: round(float(v), 5) if k != "epoch" else v for k, v in record.items()})
    better = scores["SELD"] < run.best
    run.best = min(run.best, scores["SELD"])
    _save(run, better)
    log(
        f"epoch {run.epoch}/{run.train.epochs}  loss {losses['loss']:.4f}  validation {scores['validation_loss']:.4f}  "
        f"ER {scores['ER']:.3f}  F {scores['F']:.3f}  LE {scores['LE']:.1f}  LR {scores['LR']:.3f}  "
        f"{seconds:.0f} s{'  best' if better else ''}"
    )


def to_checkpoint(run: Run) -> Checkpoint:
    """The run's network as it stands."""
    provenance = run.provenance | {"train": to_json(run.train), "epochs_done": run.epoch}
    scores = {"validation": run.curve[-1]} if run.curve else {}
    statistics = (run.mean.cpu(), run.std.cpu())
    return Checkpoint(
        run.network, run.model, run.features, run.classes, *statistics, provenance, scores, list(run.curve)
    )


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
        "epoch": run.epoch,
        "best": run.best,
        "curve": json.dumps(run.curve),
    }
    with replacing(run.out / "state.pt") as temporary:
        torch.save(state, temporary)


def _restore(run: Run, settings: dict) -> None:
    kept = json.loads((run.out / "config.json").read_text())
    changed = [
        f"{part}.{key}"
        for part, values in settings.items()
        for key, value in values.items()
        if kept.get(part, {}).get(key) != value
    ]
    if changed:
        raise ValueError(f"{run.out} was started with other settings ({', '.join(changed)}); resume needs the same.")
    try:
        state = torch.load(run.out / "state.pt", map_location=run.device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{run.out / 'state.pt'} is damaged: start the run again in another folder.") from error
    run.network.load_state_dict(state["network"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.mean, run.std = state["mean"], state["std"]
    run.epoch, run.best, run.curve = state["epoch"], state["best"], json.loads(state["curve"])


def _bar(description: str, total: int | None = None):
    """A progress bar around items, on a terminal only."""
    return lambda items: tqdm(items, description, total, leave=False, disable=None)


class _Log:
    """Lines with the time, to the terminal and to log.txt."""

    def __init__(self, out: Path):
        self.path = out / "log.txt"

    def __call__(self, line: str) -> None:
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}"
        tqdm.write(line)
        with self.path.open("a") as file:
            file.write(line + "\n")
