"""What the Inspect page plays: the whole clip, or a beam along an output track or a lane of the ground truth."""

import pandas as pd

from app.clip import analysis
from app.views.inspect.shown import Shown


def modes(shown: Shown) -> list[str]:
    """The entries of “Listen to”."""
    tracks = [f"Along {name}" for name in beams(shown)]
    lanes = [] if shown.truth is None else [f"Along truth {n + 1}" for n in sorted(shown.truth.lanes["track"].unique())]
    return [*analysis.LISTENING_MODES.values(), *tracks, *lanes]


def beams(shown: Shown) -> dict[str, tuple[str, int]]:
    """The output tracks along which a beam can point: label to (name of the network, track)."""
    several = len(shown.predictions) > 1
    return {
        f"{name} {track}" if several else track: (name, m)
        for name, prediction in shown.predictions.items()
        if not prediction.class_wise
        for m, track in enumerate(prediction.track_names)
    }


def sound(shown: Shown, mode: str, tables: dict[str, pd.DataFrame]) -> bytes:
    """FLAC. mode: of ``modes``; tables: the detections of each network."""
    whole = {label: name for name, label in analysis.LISTENING_MODES.items()}
    if mode in whole:
        return analysis.listen(shown.source, whole[mode])
    target = mode.removeprefix("Along ")
    if target in beams(shown):
        network, track = beams(shown)[target]
        rows = tables[network][tables[network]["track"] == track]
    else:
        assert shown.truth is not None
        rows = shown.truth.lanes[shown.truth.lanes["track"] == int(target.rsplit(" ", 1)[1]) - 1]
    return analysis.listen_along(shown.source, mode, rows, shown.n_frames)
