"""EINV2: sound event localization and detection with trackwise output (Cao et al., ICASSP 2021).

model = einv2.load("einv2")
prediction = model.predict("clip.wav")
events = prediction.events(threshold=0.5)
scores = einv2.evaluate(events, "clip.csv")
"""

from .config import VERSION as __version__
from .evaluation import evaluate
from .inference import Model, Prediction, load

__all__ = ["Model", "Prediction", "__version__", "evaluate", "load"]
