"""Scores a job of the Evaluate page: systems, as tables of predictions or as networks, against ground truth."""

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from app.clip import analysis
from app.ui.progress import Progress, part
from app.ui.session import Source, SystemTable
from app.ui.uploads import as_file
from einv2 import evaluation
from einv2.audio import recordings
from einv2.audio.inputformat import InputFormat
from einv2.datasets import class_decision
from einv2.evaluation import Evaluation
from einv2.inference.model import Prediction
from einv2.labels import clip_sets, dcase_csv
from einv2.labels.class_lists import ClassList
from einv2.labels.csv_layout import USUAL, Reading
from einv2.metrics import errors
from einv2.metrics.intervals import METHODS

Files = Mapping[str, Path | bytes]  # stem to a file, or to its content
MAX_RECORDINGS = 200
MAX_SYSTEMS = 4
NO_CLASS_LIST = (
    "The files do not tell their class list; it is taken for that of DCASE 2020 (14 classes). Choose it if not."
)


@dataclass(frozen=True)
class Job:
    """What is to be scored.

    tables: predictions by the name of their system; networks: names of checkpoints, which need recordings; for tables those add
    the levels, and something to hear. suffixes: of the recordings' files. classes: class names, a value of --classes, or "auto".
    n_frames: how many label frames of every clip are scored; None: up to the last event of the ground truth. reading and
    truth_reading: the layout of the tables of either side.
    read_as: what the channels of the recordings are; None: as in their headers.
    """

    truths: Files
    tables: dict[str, Files] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    recordings: Files = field(default_factory=dict)
    suffixes: dict[str, str] = field(default_factory=dict)
    classes: str | tuple[str, ...] = "auto"
    threshold: float = 0.5
    n_frames: int | None = None
    reading: Reading = USUAL
    truth_reading: Reading = USUAL
    read_as: InputFormat | None = None

    def recording_name(self, stem: str) -> str:
        return f"{stem}{self.suffixes.get(stem, '.wav')}"

    def source(self, stem: str) -> Source | None:
        """A clip to open on the Inspect page; None where its recording is not there."""
        if stem not in self.recordings:
            return None
        return Source(
            self.recording_name(stem),
            _bytes(self.recordings[stem]),
            f"{stem}.csv",
            _bytes(self.truths[stem]),
            fix=self.read_as,
        )


@dataclass(frozen=True)
class Results:
    """Each system by its name; for each method of intervals by how much every other differs from the first
    (``evaluation.differences``). class_list: what was decided about it, and why."""

    job: Job
    systems: dict[str, Evaluation]
    differences: dict[str, dict[str, dict]]
    notes: tuple[str, ...]
    class_list: str

    def source(self, stem: str, name: str) -> Source | None:
        """A clip to open on the Inspect page, with what the system ``name`` says of it, unless that is a network."""
        source = self.job.source(stem)
        if source is None or name not in self.job.tables:
            return source
        classes = self.systems[name].clips.classes
        return replace(source, system=SystemTable(name, _bytes(self.job.tables[name][stem]), classes))


def run(job: Job, progress: Progress) -> Results:
    """Score a job. ``progress`` may raise to stop. ValueError or OSError, one sentence, on what cannot be used."""
    _require_something(job)
    told, certain = _class_list(job)
    notes = [] if certain else [NO_CLASS_LIST]
    predictions = _predict(job, part(progress, 0.0, 0.75))
    tables = job.tables | {name: _as_csv(found.values(), found, job.threshold) for name, found in predictions.items()}
    stems = _common(tables, notes)
    levels = _levels(job, sorted(stems & job.truths.keys()), part(progress, 0.75, 0.8))
    systems = {}
    for n, (name, files) in enumerate(tables.items()):
        report = part(progress, 0.8 + 0.2 * n / len(tables), 0.8 + 0.2 * (n + 1) / len(tables))
        layout = USUAL if name in predictions else job.reading
        clips = clip_sets.read_clips(
            {s: files[s] for s in stems}, job.truths, told.names, report, layout, job.truth_reading
        )
        found = [predictions[name][stem] for stem in clips.stems] if name in predictions else None
        systems[name] = evaluation.evaluate_clips(clips, found, levels, report, job.n_frames)
    first, *others = systems
    differences = {
        method: {name: evaluation.differences(systems[first], systems[name], method) for name in others}
        for method in METHODS
    }
    return Results(job, systems, differences, tuple(notes), str(told))


def _require_something(job: Job) -> None:
    if not job.truths:
        raise ValueError("there is no ground truth: give the metadata CSV of each clip.")
    if not job.tables and not job.networks:
        raise ValueError("there is no system to score: give its predictions, or choose a network.")
    if len(job.tables) + len(job.networks) > MAX_SYSTEMS:
        raise ValueError(
            f"{len(job.tables) + len(job.networks)} systems are too many to compare: choose {MAX_SYSTEMS}."
        )
    if both := sorted(job.tables.keys() & set(job.networks)):
        raise ValueError(f"predictions and a network are both called {both[0]}: give the predictions another name.")
    if not job.networks:
        return
    if not job.recordings:
        raise ValueError("there are no recordings for the network: give the clips that the ground truth describes.")
    if not job.recordings.keys() & job.truths.keys():
        raise ValueError(
            "no recording has the stem of a ground truth, by which they are matched: "
            f"{clip_sets.named(job.recordings)} on one side, {clip_sets.named(job.truths)} on the other."
        )
    if len(job.recordings) > MAX_RECORDINGS:
        raise ValueError(
            f"{len(job.recordings)} recordings are too many for a page (at most {MAX_RECORDINGS}): "
            "run `python -m einv2 predict`, and score what it writes."
        )


def _class_list(job: Job) -> tuple[ClassList, bool]:
    """The class list that the job's files mean, and whether anything told it."""
    lists = {name: analysis.load_model(name).classes for name in job.networks}
    if len(set(lists.values())) > 1:
        names = ", ".join(f"{name} ({len(classes)})" for name, classes in lists.items())
        raise ValueError(f"the networks have different class lists: {names}. Score those with the same list together.")
    network = next(iter(lists.values()), None)
    chosen = None if job.classes == "auto" else class_decision.class_list_of_metadata({}, job.classes)[0].names
    if network and chosen and network != chosen:
        raise ValueError(
            f"the ground truth is to be read with the {len(chosen)} classes that were chosen, but the network has "
            f"{len(network)}, and not the same: choose a network with that list."
        )
    if network:
        return ClassList(network, f"the network {next(iter(lists))}"), True
    return class_decision.class_list_of_metadata(job.truths, job.classes, folder=_folder(job.truths))


def _folder(files: Files) -> Path | None:
    """The folder that holds all of these files, unless their contents were given."""
    paths = [file.parent for file in files.values() if isinstance(file, Path)]
    return Path(os.path.commonpath(paths)) if paths else None


def _predict(job: Job, progress: Progress) -> dict[str, dict[str, Prediction]]:
    """Each network's prediction of every recording that has a ground truth."""
    stems = sorted(job.recordings.keys() & job.truths.keys())
    found: dict[str, dict] = {name: {} for name in job.networks}
    for n, (name, stem) in enumerate((name, stem) for name in job.networks for stem in stems):
        report = part(progress, n / (len(stems) * len(found)), (n + 1) / (len(stems) * len(found)))
        with analysis.turn(report), _opened(job, stem) as path:
            seconds = recordings.probe(path, job.recording_name(stem), read_as=job.read_as).seconds
            model = analysis.load_model(name)
            found[name][stem] = model.predict(
                path, job.recording_name(stem), _in_seconds(report, seconds, f"{name} runs on {stem}"), job.read_as
            )
    return found


def _in_seconds(progress: Progress, seconds: float, text: str) -> Callable[[float], None]:
    """The progress of a clip of this length, by the seconds that are done."""
    return lambda done: progress(done / seconds, text)


def _as_csv(predictions: Iterable[Prediction], stems: Iterable[str], threshold: float) -> dict[str, bytes]:
    """What `python -m einv2 predict` writes, so that the scores are those of the command line."""
    files = {}
    for stem, prediction in zip(stems, predictions):
        buffer = io.StringIO()
        dcase_csv.write_csv(prediction.frames(threshold), buffer)
        files[stem] = buffer.getvalue().encode()
    return files


def _common(tables: Mapping[str, Files], notes: list[str]) -> set[str]:
    """The stems that every system has; what is left out is noted."""
    each = [set(files) for files in tables.values()]
    common, every = set.intersection(*each), set.union(*each)
    if not common:
        raise ValueError(f"the systems {', '.join(tables)} have no clip in common, by the stems of their files.")
    if left := every - common:
        notes.append(f"Clips that not every system has are left out: {len(left)}, {clip_sets.named(left)}.")
    return common


def _levels(job: Job, stems: list[str], progress: Progress) -> list[np.ndarray | None] | None:
    """dB of each frame of each clip; None for one without a recording, and None altogether without any."""
    if not job.recordings:
        return None
    found = []
    for n, stem in enumerate(stems):
        progress(n / len(stems), f"Level of {stem}")
        found.append(_level(job, stem) if stem in job.recordings else None)
    return found


def _level(job: Job, stem: str) -> np.ndarray:
    with _opened(job, stem) as path:
        blocks = recordings.stream(path, name=job.recording_name(stem), read_as=job.read_as)
        return np.concatenate([recordings.frame_levels(block) for block in blocks])


def _opened(job: Job, stem: str) -> contextlib.AbstractContextManager[Path]:
    """A path to the recording of a stem."""
    return as_file(job.recordings[stem], Path(job.recording_name(stem)).suffix)


def _bytes(file: Path | bytes) -> bytes:
    return file if isinstance(file, bytes) else file.read_bytes()


# What is behind a figure


def behind(result: Evaluation, grouping: str, group, kind: str) -> tuple[pd.DataFrame, str]:
    """The error events in one group of a breakdown, and what to call them.

    grouping: of ``Evaluation.groupings``; or "confusion", group being the names of a row and a column. kind: of
    ``metrics.errors.KINDS``; any other means every kind.
    """
    if grouping == "confusion":
        return _behind_confusion(result, *group), f"{group[0]} heard as {group[1]}"
    events = result.events_in(grouping, group) if grouping != "all" else result.error_events
    if kind in errors.KINDS:
        events = events[events["kind"] == kind]
    where = [] if grouping == "all" else [str(group)]
    return events, ", ".join([*where, kind if kind in errors.KINDS else "all errors"])


def _behind_confusion(result: Evaluation, true: str, heard: str) -> pd.DataFrame:
    """Error events of a cell of the confusion matrix: pairs off the diagonal, or one side of "nothing"."""
    events, classes = result.error_events, result.clips.classes
    if heard == true:
        return events.head(0)
    if heard not in classes:
        of_class = (events["side"] == "reference") & (events["class"] == classes.index(true))
        return events[of_class & events["kind"].isin(["missed", "wrong place"])]
    if true not in classes:
        return events[(events["side"] == "system") & (events["class"] == classes.index(heard))]
    return events[(events["class"] == classes.index(true)) & (events["heard_as"] == classes.index(heard))]


# Export


def as_json(results: Results, method: str = METHODS[0]) -> bytes:
    """Everything but the events; the intervals of the differences are by ``method``, those of the scores by all."""
    systems = {name: result.report() for name, result in results.systems.items()}
    found = {"systems": systems, "differences": results.differences[method], "intervals_method": method}
    return json.dumps(found | {"class_list": results.class_list}, indent=1).encode()


def scores_csv(results: Results, method: str = METHODS[0]) -> bytes:
    """A row for each system, measure and score, with its interval, if there is one, and the method of that."""
    rows = []
    for name, result in results.systems.items():
        for measure, scores in result.scores.items():
            bounds = scores["intervals"].get(method, {})
            for key in (k for k in scores if k not in ("per_class", "intervals")):
                low, high = bounds.get(key, (None, None))
                rows.append(
                    {"system": name, "measure": measure, "score": key, "value": scores[key], "low": low, "high": high}
                    | {"interval": method if bounds else ""}
                )
    return pd.DataFrame(rows).to_csv(index=False).encode()


def events_csv(result: Evaluation) -> bytes:
    return result.named_error_events().to_csv(index=False, float_format="%.3f").encode()


def breakdowns_csv(results: Results) -> bytes:
    """A row for each system, breakdown and group."""
    tables = [
        table.reset_index().assign(system=name, breakdown=breakdown)
        for name, result in results.systems.items()
        for breakdown, table in result.breakdowns.items()
    ]
    joined = pd.concat(tables)
    first = ["system", "breakdown"]
    return joined[[*first, *joined.columns.drop(first)]].to_csv(index=False, float_format="%.5f").encode()


def identity_csv(result: Evaluation) -> bytes:
    """The reference's events with the output tracks they are found on, from 1."""
    events = result.events
    named = events.assign(
        clip=np.array(result.clips.stems, object)[events["clip"]],
        tracks=[" ".join(str(track + 1) for track in used) for used in events["tracks"]],
        **{"class": np.array(result.clips.classes, object)[events["class"]]},
    )
    return named.to_csv(index=False, float_format="%.3f").encode()
