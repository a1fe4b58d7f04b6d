"""Everything that is measured of one system on a set of clips, for the command line and the pages alike."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .datasets import class_decision
from .inference.model import Prediction
from .labels import class_lists, clip_sets, dcase_csv, frame_tables
from .labels.class_lists import ClassList
from .labels.clip_sets import Clips
from .metrics import breakdown, dcase, errors, identity, intervals, probabilities, single_task
from .metrics.common import none_if_nan

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Evaluation:
    """All measures of a system. C clips, K classes.

    clips: tidied (see ``clip_sets.tidied``). tallies: the counts of each DCASE measure, (C, K), of the rows as written. outcomes and
    error_events: see ``metrics.errors``. groupings: those of ``metrics.breakdown``. confusion: (K + 1, K + 1) frames. distances:
    of the right class. identity: counts of each clip; events: the reference's, with the output tracks they are found on.
    overlap: what is found of simultaneous events. reliability and thresholds: only where the network's probabilities are known.
    """

    clips: Clips
    tallies: dict[str, dcase.Tally]
    outcomes: errors.Outcomes
    error_events: pd.DataFrame
    groupings: dict[str, breakdown.Grouping]
    confusion: np.ndarray
    distances: breakdown.Histogram
    identity: list[identity.IdentityCounts]
    events: pd.DataFrame
    overlap: single_task.OverlapCounts
    reliability: probabilities.ReliabilityCounts | None = None
    thresholds: probabilities.ThresholdCounts | None = None

    @cached_property
    def scores(self) -> dict[str, dict]:
        """For each measure: its scores and, from two clips on, their 95 % intervals over clips by jackknife and bootstrap."""
        has_intervals = len(self.clips.stems) > 1
        return {
            name: {
                **report(tally, self.clips.classes),
                "intervals": intervals_by_method(tally) if has_intervals else {},
            }
            for name, tally in self.tallies.items()
        }

    @cached_property
    def breakdowns(self) -> dict[str, pd.DataFrame]:
        """The measures of frames by each grouping."""
        return {name: breakdown.by(self.outcomes, *grouping) for name, grouping in self.groupings.items()}

    def events_in(self, grouping: str, group: str) -> pd.DataFrame:
        """The error events among the rows of one group only, as ``metrics.errors.error_events`` gives them."""
        of_reference, of_estimate, names = self.groupings[grouping]
        number = names.index(group)
        within = of_reference == number, of_estimate == number
        return errors.error_events(self.clips.reference, self.clips.estimate, self.outcomes, within)

    def named_error_events(self) -> pd.DataFrame:
        """The error events with the names of clips and classes; heard_as is empty where it says nothing."""
        classes = np.array([*self.clips.classes, ""], object)
        names = {column: classes[self.error_events[column]] for column in ("class", "heard_as")}
        return self.error_events.assign(clip=np.array(self.clips.stems, object)[self.error_events["clip"]], **names)

    @property
    def identity_rates(self) -> dict[str, float | None]:
        """The rates of ``metrics.identity.IdentityCounts`` over all clips."""
        return sum(self.identity, identity.IdentityCounts()).rates()

    def report(self) -> dict:
        """All of it except the lists of events, as plain values for JSON. None where there was nothing to count."""
        classes, probable = self.clips.classes, {}
        if self.reliability is not None and self.thresholds is not None:
            probable = {"reliability": _reliability(self.reliability), "thresholds": self.thresholds.report()}
            for name, entry in zip(classes, probable["thresholds"]["per_class"]):
                entry["class"] = name
        return {
            "n_clips": len(self.clips.stems),
            "notes": list(self.clips.notes),
            "measures": self.scores,
            "outcomes": errors.counts(self.outcomes),
            "breakdowns": {name: _records(table) for name, table in self.breakdowns.items()},
            "confusion": {"classes": [*classes, "nothing"], "frames": self.confusion.tolist()},
            "distances": {
                "median": none_if_nan(self.distances.median),
                "percentile_90": none_if_nan(self.distances.percentile_90),
            },
            "identity": self.identity_rates,
            "overlap": self.overlap.recall(),
            **probable,
        }


def evaluate(
    estimate: pd.DataFrame | str | Path,
    reference: pd.DataFrame | str | Path,
    measures: str | Sequence[str] = "dcase2020",
    classes: str | Sequence[str] = "auto",
) -> dict[str, Any]:
    """The scores of one clip by the measure of one year, as ``metrics.dcase.evaluate`` gives them; of several: {measure: scores}.

    estimate, reference: event tables (see ``einv2.labels.frame_tables``; ``Prediction.events`` gives one), frame tables, or CSV
    files. classes: the names that their class indices mean, or a value of --classes (``class_lists.parse``); "auto": inferred from the
    reference, as ``python -m einv2 evaluate`` does. Each entry of ``per_class`` names its "class", and "class_list" says what
    was decided. ValueError on anything else, or an unknown measure.
    """
    asked = (measures,) if isinstance(measures, str) else measures
    told = _class_list(reference, classes, asked)
    found = dcase.tallies(_frames(reference, told.names), _frames(estimate, told.names), len(told.names), asked)
    reports = {measure: dcase.report(tally) for measure, tally in found.items()}
    for scores in reports.values():
        scores["per_class"] = [{"class": name} | entry for name, entry in zip(told.names, scores["per_class"])]
        scores["class_list"] = str(told)
    return reports[measures] if isinstance(measures, str) else reports


def _class_list(reference: pd.DataFrame | str | Path, asked: str | Sequence[str], measures: Sequence[str]) -> ClassList:
    """The class list of one clip: the one asked for, or inferred from its reference and from the measures, if they have one list."""
    lists = {class_lists.CLASS_LISTS.get(measure) for measure in measures}
    measure = measures[0] if len(lists) == 1 else None
    if isinstance(reference, pd.DataFrame):
        files: dict[str, Path | bytes] = {"reference": _as_csv(_frames(reference, ()))}
        folder = None
    else:
        files = {Path(reference).stem: Path(reference)}
        folder = Path(reference).parent
    return class_decision.class_list_of_metadata(files, asked, measure, folder)[0]


def _as_csv(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    dcase_csv.write_csv(table, buffer, "dcase2024" if table["distance"].notna().any() else "dcase2020")
    return buffer.getvalue()


def _frames(side: pd.DataFrame | str | Path, classes: Sequence[str]) -> pd.DataFrame:
    if not isinstance(side, pd.DataFrame):
        return dcase_csv.read_csv(side, classes, as_written=True)
    return frame_tables.events_to_frames(side) if "onset" in side else side


def evaluate_clips(
    clips: Clips,
    predictions: Sequence[Prediction] | None = None,
    frame_levels: Sequence[np.ndarray | None] | None = None,
    progress: Progress = lambda share, what: None,
    n_frames: int | None = None,
) -> Evaluation:
    """Measure a system.

    predictions: those that the clips' estimates are decoded from, one per clip, for measures of probabilities. frame_levels: dB of
    each frame of each clip, for the breakdown by level, and to find rows after the end of a recording. ``progress`` is called with
    the share that is done and what is being done; it may raise to stop. n_frames: see ``metrics.dcase.tally``.
    """
    estimate, reference, n_classes = clips.estimate, clips.reference, len(clips.classes)
    progress(0.0, "The measures of DCASE 2020 to 2025")
    tallies = dcase.tallies(reference, estimate, n_classes, n_clips=len(clips.stems), n_frames=n_frames)
    lengths = [None if levels is None else len(levels) for levels in frame_levels or ()]
    clips = clip_sets.tidied(replace(clips, notes=(*clips.notes, *clip_sets.frames_beyond(clips, lengths))))
    estimate, reference = clips.estimate, clips.reference
    progress(0.4, "The kind of every error")
    outcomes = errors.classify(reference, estimate)
    progress(0.6, "Breakdowns")
    groupings = _groupings(clips, outcomes, frame_levels)
    progress(0.75, "Events and tracks")
    probable = () if predictions is None else _probabilities(clips, predictions, progress)
    return Evaluation(
        clips,
        tallies,
        outcomes,
        errors.error_events(reference, estimate, outcomes),
        groupings,
        breakdown.confusion(reference, estimate, outcomes, n_classes),
        breakdown.histogram(breakdown.distance_errors(outcomes)),
        identity.identity_by_clip(reference, estimate, len(clips.stems)),
        identity.identity_events(reference, estimate),
        single_task.overlap_recall(reference, estimate),
        *probable,
    )


def report(tally: dcase.Tally, classes: Sequence[str]) -> dict[str, Any]:
    """The scores of one measure over all clips, and those of each class with its name."""
    scores = dcase.report(tally.sum())
    scores["per_class"] = [{"class": name} | entry for name, entry in zip(classes, scores["per_class"])]
    return scores


def intervals_by_method(tally: dcase.Tally) -> dict[str, dict[str, tuple[float | None, float | None]]]:
    """Method to score to 95 % interval over clips, None where there is no value. ValueError with fewer than two clips."""
    bounds = {method: intervals.intervals(tally, method) for method in intervals.METHODS}
    return {method: {k: (none_if_nan(a), none_if_nan(b)) for k, (a, b) in of.items()} for method, of in bounds.items()}


def differences(
    first: Evaluation, second: Evaluation, method: str = intervals.METHODS[0]
) -> dict[str, dict[str, dict]]:
    """Second minus first for each measure and score: {"value", "low", "high"}, low to high being the 95 % interval over clips by
    a method of ``metrics.intervals``, None with fewer than two clips. ValueError if the clips are not the same."""
    if first.clips.stems != second.clips.stems:
        raise ValueError("two systems are compared on the same clips, and these two have other stems")
    found = {}
    for measure, tally in first.tallies.items():
        a, b = first.scores[measure], second.scores[measure]
        shared = [k for k in tally.sum().scores() if k in b]
        enough = len(first.clips.stems) > 1
        bounds = intervals.differences(tally, second.tallies[measure], method) if enough else {}
        values = {k: None if None in (a[k], b[k]) else b[k] - a[k] for k in shared}
        bounds = {k: bounds.get(k, (np.nan, np.nan)) for k in shared}
        found[measure] = {
            k: {"value": values[k], "low": none_if_nan(bounds[k][0]), "high": none_if_nan(bounds[k][1])} for k in shared
        }
    return found


def _groupings(clips: Clips, outcomes: errors.Outcomes, frame_levels) -> dict[str, breakdown.Grouping]:
    sides = clips.reference, clips.estimate
    groupings = {
        "all": breakdown.everything(outcomes),
        "class": breakdown.classes(*sides, clips.classes),
        "clip": breakdown.clips(*sides, clips.stems),
        "polyphony": breakdown.polyphony(*sides),
        "motion": breakdown.motion(clips.reference, outcomes),
        "azimuth": breakdown.azimuths(*sides),
        "elevation": breakdown.elevations(*sides),
    }
    if frame_levels is not None:
        groupings["level"] = breakdown.levels(*sides, frame_levels)
    return groupings


def _probabilities(clips: Clips, predictions: Sequence[Prediction], progress: Progress) -> tuple:
    references = dict(iter(clips.reference.groupby("clip")))
    reliability, thresholds = probabilities.ReliabilityCounts(), None
    for clip, prediction in enumerate(predictions):
        progress(0.8 + 0.2 * clip / len(predictions), f"Probabilities of {clips.stems[clip]}")
        reference = references.get(clip, clips.reference.head(0))
        reliability += probabilities.reliability(reference, prediction.sed, prediction.doa)
        found = probabilities.by_threshold(reference, prediction.sed, prediction.doa)
        thresholds = found if thresholds is None else thresholds + found
    return reliability, thresholds


def _reliability(counts: probabilities.ReliabilityCounts) -> dict:
    columns = {"n": counts.n, "probability": counts.mean_probability, "right": counts.share_right}
    bins = [{k: none_if_nan(v) for k, v in zip(columns, row)} for row in zip(*columns.values())]
    return {"ece": counts.ece, "bins": bins}


def _records(table: pd.DataFrame) -> list[dict]:
    """Rows of a breakdown: whole counts, other figures None where there was nothing to count."""
    whole = {c for c in table if not pd.api.types.is_float_dtype(table[c])}
    rows = table.reset_index().to_dict("records")
    return [
        {k: v if k == "group" else int(v) if k in whole else none_if_nan(v) for k, v in row.items()} for row in rows
    ]
