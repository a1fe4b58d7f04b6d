"""A training run at work: the network with its optimiser, opened new or as its folder holds it."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..checkpoints import checkpoint
from ..checkpoints.checkpoint import Checkpoint
from ..config import CRITERION, to_json, without_effect
from ..models import acceleration
from ..models.build import build
from . import distributed
from .run_folder import RunFolder, RunSettings

Statistics = tuple[torch.Tensor, torch.Tensor]  # mean and standard deviation of the features, each (1, 7, 1, F)


@dataclass(frozen=True)
class RunOptions:
    """How a run is started.

    resume: continue the run that the folder holds, if there is one; otherwise a run there is an error. init: a checkpoint of the
    same configuration and classes, with whose weights and feature statistics a new run begins. compiled: use torch.compile, which
    takes a minute at first and needs a C++ compiler. provenance: what the checkpoints keep of where the network comes from.
    """

    resume: bool = False
    init: Path | None = None
    compiled: bool = False
    provenance: dict[str, Any] = field(default_factory=dict)


NEW_RUN = RunOptions()


@dataclass
class Run:
    """``forward`` is the network as Fabric runs it: in its precision, with the gradients averaged over processes."""

    folder: RunFolder
    settings: RunSettings
    provenance: dict[str, Any]
    fabric: Fabric
    network: torch.nn.Module
    forward: torch.nn.Module
    optimizer: torch.optim.Optimizer
    mean: torch.Tensor
    std: torch.Tensor
    curve: list[dict] = field(default_factory=list)  # one record per finished epoch
    average: AveragedModel | None = None  # of the network's weights over the steps

    @property
    def out(self) -> Path:
        return self.folder.path

    @property
    def released(self) -> torch.nn.Module:
        """The network that is validated and saved: with the averaged weights, if there are any."""
        return self.network if self.average is None else self.average.module

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return len(self.curve)

    @property
    def best(self) -> dict | None:
        """The record of the best epoch, the first of equals."""
        return min(self.curve, key=self._rank, default=None)

    def _rank(self, record: dict) -> float:
        """Lower is better."""
        criterion = CRITERION[self.settings.model.task]
        score = record[criterion]
        return math.inf if score is None else -score if criterion == "F" else score

    @property
    def is_over(self) -> bool:
        """All epochs are done, or ``patience`` of them without a better score."""
        patience, last_better = self.settings.train.patience, (self.best or {"epoch": 0})["epoch"]
        return self.epoch >= self.settings.train.epochs or 0 < patience <= self.epoch - last_better

    def checkpoint(self) -> Checkpoint:
        settings = self.settings
        idle = without_effect(settings.model, settings.train)
        effective = {name: value for name, value in to_json(settings.train).items() if name not in idle}
        return Checkpoint(
            self.released,
            settings.model,
            settings.features,
            settings.data.classes,
            self.mean.cpu(),
            self.std.cpu(),
            provenance=self.provenance | {"train": effective, "epochs_done": self.epoch},
            scores={"validation": self.curve[-1]} if self.curve else {},
            curve=list(self.curve),
        )

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs; see ``open_run``."""
        state: dict[str, Any] = {
            "optimizer": self.optimizer.state_dict(),
            "network": self.network.state_dict(),
            "mean": self.mean,
            "std": self.std,
            "curve": json.dumps(self.curve),
        }
        return state if self.average is None else state | {"average": self.average.state_dict()}


def open_run(
    folder: RunFolder,
    settings: RunSettings,
    fabric: Fabric,
    statistics: Callable[[], Statistics],
    options: RunOptions,
) -> Run:
    """The run that the folder holds, or a new one, which begins with these feature statistics or with ``options.init``.

    ValueError if the run in the folder has other settings, or ``options.init`` is a checkpoint of another configuration.
    """
    config = settings.train
    torch.manual_seed(config.seed)
    network = build(settings.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    if fabric.device.type == "cpu" and distributed.resolve_precision(config.precision) == "fp32":
        network = acceleration.for_training(network)
    if fabric.world_size > 1:
        network = distributed.synchronise_batch_norm(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    state = distributed.on_rank_zero(fabric, lambda: _initial_state(folder, settings, statistics, options.init))
    run_network = cast(torch.nn.Module, torch.compile(network)) if options.compiled else network
    forward, optimizer = fabric.setup(run_network, optimizer)
    if "network" in state:
        network.load_state_dict(state["network"])
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    average = averaged(network, config.average_decay)
    if average is not None and "average" in state:
        average.load_state_dict(state["average"])
    mean, std = (state[name].to(fabric.device) for name in ("mean", "std"))
    curve = json.loads(state["curve"])
    return Run(folder, settings, options.provenance, fabric, network, forward, optimizer, mean, std, curve, average)


def averaged(network: torch.nn.Module, decay: float) -> AveragedModel | None:
    """The moving average of a network's weights and batch statistics (Polyak averaging), which begins as the network."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) if decay else None


def _initial_state(
    folder: RunFolder, settings: RunSettings, statistics: Callable[[], Statistics], init: Path | None
) -> dict[str, Any]:
    """The state of the run in the folder; of a new run, whose folder is made, what it begins with."""
    if folder.holds_run and (stored := folder.resume(settings)) is not None:
        return stored
    begin = dict(zip(("mean", "std"), statistics())) if init is None else _state_of_checkpoint(init, settings)
    folder.begin(settings)
    return begin | {"curve": "[]"}


def _state_of_checkpoint(file: Path, settings: RunSettings) -> dict[str, Any]:
    """Weights and feature statistics. ValueError if the configurations or classes of the checkpoint are not those of the run."""
    loaded = checkpoint.load(file)
    for name, ours, theirs in (
        ("network", settings.model, loaded.model),
        ("features", settings.features, loaded.features),
        ("classes", settings.data.classes, loaded.classes),
    ):
        if ours != theirs:
            mine, others = ({} if isinstance(x, tuple) else to_json(x) for x in (ours, theirs))
            flags = "".join(f", {key} {others[key]}" for key in mine if mine[key] != others[key])
            raise ValueError(
                f"{file.name} has another configuration ({name}) than this run: give it the same flags{flags}."
            )
    return {"network": loaded.network.state_dict(), "mean": loaded.feature_mean, "std": loaded.feature_std}
