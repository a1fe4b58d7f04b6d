"""Orders of the Train page: data, a system of the paper, its size and a budget, as arguments of ``python -m einv2 train``.

Errors are ValueErrors of one sentence.
"""

import dataclasses
import shlex
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from app.storage import server_folder, user_folder
from einv2.commands import config_flags
from einv2.config import FeatureConfig, ModelConfig, TrainConfig, without_effect
from einv2.datasets import chunking, discovery
from einv2.experiments.systems import SYSTEMS
from einv2.labels import class_lists

FEATURES = ".features"  # beside the runs: features of data-root sets, which cannot be written to, kept for later runs
COPIES = 5  # of the weights in a run's folder: last, best, and a state with two moments of AdamW


@dataclass(frozen=True)
class Size:
    """Width of the first convolution block (each further block doubles it), width inside transformer layers, mel bands."""

    title: str
    width: int
    feedforward: int
    n_mels: int = 64


SIZES = {
    "tiny": Size("tiny, for a try", 4, 32),
    "compact": Size("compact, for two cores", 16, 512),
    "medium": Size("medium, as the app's default network", 32, 512),
    "paper": Size("the paper's, for a GPU", 64, 1024, 256),
}


@dataclass(frozen=True)
class DataSet:
    """A folder to train on, by the name that the page gives it."""

    title: str
    path: str
    is_kept: bool  # in the folder of user data, so that features can be cached in it


@dataclass(frozen=True)
class Order:
    """A run to be started. Without validation sets or parts a share of the clips (``train.validation_share``) is held out."""

    name: str
    data: tuple[DataSet, ...]
    system: str = "einv2-tpit"
    size: str = "compact"
    released: bool = True  # the layers of the authors' released code; otherwise those of the paper's equations
    dropout: float = 0.1
    train: TrainConfig = field(default_factory=TrainConfig)
    validation: tuple[DataSet, ...] = ()
    train_part: tuple[str, ...] = ()
    validation_part: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()  # the class list of the data; inferred from them if empty

    @property
    def configs(self) -> tuple[ModelConfig, FeatureConfig, TrainConfig]:
        """As the command builds them, except for the numbers of tracks and classes, which it infers from the data."""
        size, base = SIZES[self.size], ModelConfig.released() if self.released else ModelConfig()
        model, train = SYSTEMS[self.system].apply(base, self.train)
        if model.network == "crnn":
            model = dataclasses.replace(ModelConfig.crnn(), channels=(size.width,) * 3)
        else:
            widths = tuple(size.width * 2**n for n in range(len(model.channels)))
            model = dataclasses.replace(model, channels=widths, feedforward=size.feedforward, dropout=self.dropout)
        return model, FeatureConfig(n_mels=size.n_mels), train

    @property
    def arguments(self) -> list[str]:
        """Of ``python -m einv2 train``, without the folder of the run."""
        model, features, train = self.configs
        preset = SYSTEMS[self.system].model | SYSTEMS[self.system].train
        idle = {*without_effect(model, train)}
        if self.validation or self.validation_part:
            idle.add("validation_share")
        words = []
        for name, sets in (("data", self.data), ("validation", self.validation)):
            for one in sets:
                words += config_flags.flag(name, one.path)
        for name, parts in (("train_part", self.train_part), ("validation_part", self.validation_part)):
            words += config_flags.flag(name, parts) if parts else []
        words += config_flags.flag("classes", class_lists.written(self.classes)) if self.classes else []
        words += config_flags.flag("system", self.system)
        for config in (model, features, train):
            words += config_flags.arguments(config, preset, idle)
        return words + (config_flags.flag("cache", self.cache) if self.cache else [])

    @property
    def cache(self) -> Path | None:
        """Where features are cached that cannot be cached beside their clips."""
        all_kept = all(one.is_kept for one in (*self.data, *self.validation))
        return None if all_kept else user_folder.root() / "runs" / FEATURES

    @property
    def command(self) -> str:
        """The whole command, as it would be typed in the project's folder, a flag a line."""
        folder = user_folder.root() / "runs" / (self.name or "NAME")
        words = map(shlex.quote, [*self.arguments, "--out", str(folder)])
        return "python -m einv2 train" + "".join(f" \\\n  {w}" if w.startswith("--") else f" {w}" for w in words)

    def clips(self) -> tuple[list[discovery.Clip], list[discovery.Clip]]:
        """Those to train on and those to validate on. ValueError or OSError if the data cannot be used."""
        if not self.data:
            raise ValueError("Choose data to train on.")
        folders, validation = (tuple(Path(one.path) for one in sets) for sets in (self.data, self.validation))
        data = discovery.DataSelection(folders, validation, self.train_part, self.validation_part, self.cache)
        return discovery.split_clips(data, self.train.validation_share, self.train.seed)

    @property
    def most_bytes(self) -> int:
        """What the run will write: its networks, and the features that are not cached yet. ValueError, OSError as ``clips``."""
        model, features, _ = self.configs
        clips = [clip for part in self.clips() for clip in part]
        return COPIES * 4 * n_parameters(model) + chunking.missing_bytes(clips, features)


@lru_cache(maxsize=64)
def n_parameters(config: ModelConfig) -> int:
    """Of the network of a configuration, built without memory for its weights."""
    import torch

    from einv2.models.build import build, count_parameters

    with torch.device("meta"):
        return count_parameters(build(config))


def data_sets() -> list[DataSet]:
    """What can be trained on: sets kept on the Scenes page first, then the data sets below the data root."""
    kept = [DataSet(name, str(user_folder.path_of("scenes", name)), True) for name in user_folder.names("scenes")]
    root = server_folder.data_root()
    if root is None:
        return kept
    folders = (Path(folder).parts for folder in server_folder.folders_with(root, "recordings"))
    sets = sorted({Path(*p[:n]) for p in folders for n, part in enumerate(p) if part.startswith("foa")})
    titles = (f"{root.name}/{place.as_posix()}" if place.parts else root.name for place in sets)
    return kept + [DataSet(f"{title} (data root)", str(root / place), False) for title, place in zip(titles, sets)]
