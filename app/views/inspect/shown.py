"""What the Inspect page shows: a clip with what networks find in it."""

import dataclasses
from dataclasses import dataclass

import pandas as pd

from app.clip.analysis import Hearing, Truth
from app.ui.session import Source
from einv2.audio.inputcheck import Finding
from einv2.inference.prediction import Prediction


@dataclass(frozen=True)
class Shown:
    """An analysed clip.

    source: the clip, with its channels and its window as chosen.
    hearing: what can be seen of it without a network.
    predictions: by the name of the network or ensemble, or of the system whose CSV is shown; at least one. All have the same classes.
    truth: the ground truth, if there is one. Its classes may differ from those of the networks.
    findings: of the input check: of the samples, and if there is a ground truth, of its directions against those of the sound.
    """

    source: Source
    hearing: Hearing
    predictions: dict[str, Prediction]
    truth: Truth | None
    findings: list[Finding]

    @property
    def first(self) -> Prediction:
        return next(iter(self.predictions.values()))

    @property
    def classes(self) -> tuple[str, ...]:
        return self.first.classes

    @property
    def n_frames(self) -> int:
        """Label frames."""
        return len(self.first.sed)

    @property
    def lanes(self) -> tuple[str, ...]:
        """The names of all output tracks, network after network."""
        if len(self.predictions) == 1:
            return self.first.track_names
        return tuple(f"{name} {track}" for name, p in self.predictions.items() for track in p.track_names)

    @property
    def lanes_of_each(self) -> tuple[int, ...]:
        """The number of output tracks of each network."""
        return tuple(p.sed.shape[1] for p in self.predictions.values())

    @property
    def systems(self) -> tuple[int, ...]:
        """``lanes_of_each`` if there are several networks to tell apart, else empty."""
        return self.lanes_of_each if len(self.predictions) > 1 else ()

    def only(self, tables: dict[str, pd.DataFrame]) -> "Shown":
        """With the networks of these tables alone."""
        return dataclasses.replace(self, predictions={name: self.predictions[name] for name in tables})
