"""EINV2: sound event localization and detection with trackwise output (Cao et al., ICASSP 2021).

model = einv2.load("einv2")
prediction = model.predict("clip.wav")
events = prediction.events(threshold=0.5)
scores = einv2.evaluate(events, "clip.csv")
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .evaluation import evaluate
    from .inference.model import Model
    from .inference.model import load_model as load
    from .inference.prediction import Prediction

__version__ = "0.1.0"
__all__ = ["Model", "Prediction", "__version__", "evaluate", "load"]
_HOMES = {
    "evaluate": ("evaluation", "evaluate"),
    "Model": ("inference.model", "Model"),
    "Prediction": ("inference.prediction", "Prediction"),
    "load": ("inference.model", "load_model"),
}


def __getattr__(name: str):
    """What is imported on its first use (PEP 562): PyTorch, SciPy and pandas take seconds, and not every module needs them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, definition = _HOMES[name]
    return getattr(importlib.import_module(f".{module}", __name__), definition)
