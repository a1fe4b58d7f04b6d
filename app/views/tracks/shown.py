"""What the Tracks page shows: a clip, and what systems find in it."""

from dataclasses import dataclass

from app.clip import detections
from app.clip.analysis import Hearing, Truth
from app.clip.detections import System
from app.networks import registry
from app.ui.session import Source
from app.views.tracks import tracking
from app.views.tracks.tracking import Comparison
from einv2.frames import LABEL_FRAMES_PER_SECOND
from einv2.inference.decoding import Decoding
from einv2.inference.prediction import Prediction


@dataclass(frozen=True)
class Shown:
    """An analysed clip.

    source: the clip, with its channels and its window as chosen.
    hearing: what can be seen of it without a network.
    predictions: by the name of the network; of an ensemble, by the names joined by " + ".
    tables: the systems that were uploaded as CSV files.
    truth: the ground truth, if there is one.
    """

    source: Source
    hearing: Hearing
    predictions: dict[str, Prediction]
    tables: tuple[System, ...]
    truth: Truth | None

    @property
    def n_frames(self) -> int:
        """Label frames."""
        whole_clip = round(self.hearing.seconds * LABEL_FRAMES_PER_SECOND)
        return max([len(p.sed) for p in self.predictions.values()], default=whole_clip)

    @property
    def networks(self) -> list[str]:
        """The names of the single networks, without ensembles."""
        names = registry.names()
        return [name for name in self.predictions if name in names]

    def comparison(self, decoding: Decoding) -> Comparison:
        networks = [detections.of_network(self.source, name, p, decoding) for name, p in self.predictions.items()]
        truth_key = () if self.truth is None else (self.source.key, hash(self.source.truth), self.truth.classes)
        return tracking.compare([*networks, *self.tables], self.truth, truth_key)
