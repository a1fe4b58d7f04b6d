"""Everything that is measured, as one HTML page that stands on its own."""

import math
from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from app.plots import measures
from app.ui import html_page, texts
from app.ui.html_page import Cell, Figure, Table
from einv2.evaluation import Evaluation
from einv2.metrics.errors import KINDS
from einv2.metrics.intervals import METHODS

MOST_EVENTS = 500  # of each system
MOST_CLIPS = 20
Systems = Mapping[str, Evaluation]
Scores = Mapping[str, Mapping[str, dict]]  # of each system, by measure


def html(systems: Systems, differences: Mapping[str, dict] | None = None, method: str = METHODS[0]) -> str:
    """The page.

    systems: by name, from one to ``len(measures.SYSTEM_COLOURS)``, of one class list. differences: by name of each system but the
    first, ``evaluation.differences`` of the first and that one. method: of all intervals.
    ValueError if there are no systems, too many, or if they do not have the same classes.
    """
    _check(systems)
    scores = {name: evaluation.scores for name, evaluation in systems.items()}
    has_intervals = any(found["intervals"] for of_system in scores.values() for found in of_system.values())
    return html_page.render(
        "views/evaluate/report.html.j2",
        f"What is right and wrong: {' and '.join(systems)}",
        texts=texts,
        lead=_lead(systems),
        notes=notes_on_files(systems),
        scores=_scores(scores, method),
        intervals=f"{texts.INTERVALS} {texts.METHODS[method]}" if has_intervals else texts.ONE_CLIP,
        first=next(iter(systems)),
        differences={name: _differences(found) for name, found in (differences or {}).items()},
        years=[
            Figure(f"years-{k}", measures.years(scores, k, method), f"{k}. {texts.SCORES[k]}")
            for k in ("F", "LE", "LR", "ER", "SELD")
        ],
        outcomes=_outcomes(systems),
        conditions=_conditions(systems),
        distances=Figure(
            "distances", measures.distances({n: e.distances for n, e in systems.items()}), texts.FIGURES["distances"]
        ),
        directions=_directions(systems),
        identity=Figure(
            "identity", measures.identity({n: e.identity_rates for n, e in systems.items()}), texts.FIGURES["identity"]
        ),
        identity_rates=_identity_rates(systems),
        probabilities=_probabilities(systems),
        classes={n: {"frames": _class_frames(e), "scores": _class_scores(e)} for n, e in systems.items()},
        events=[_events(name, evaluation) for name, evaluation in systems.items()],
    )


def _check(systems: Systems) -> None:
    if not 1 <= len(systems) <= len(measures.SYSTEM_COLOURS):
        raise ValueError(f"systems must be 1 to {len(measures.SYSTEM_COLOURS)}, not {len(systems)}")
    if len({evaluation.clips.classes for evaluation in systems.values()}) > 1:
        raise ValueError("systems must have the same classes in the same order")


def _lead(systems: Systems) -> str:
    n_clips = {name: len(evaluation.clips.stems) for name, evaluation in systems.items()}
    if len(set(n_clips.values())) == 1:
        clips = _clips(next(iter(n_clips.values())))
    else:
        clips = "; ".join(f"{name}: {_clips(n)}" for name, n in n_clips.items())
    frames = next(iter(systems.values())).breakdowns["all"]["reference"].sum()
    return f"Sound event localization and detection on {clips}, with {frames:,} reference frames of 0.1 s."


def _clips(n: int) -> str:
    return f"{n:,} clip{'' if n == 1 else 's'}"


def notes_on_files(systems: Systems) -> list[str]:
    """What the files of a system do not have as usual, each note once; with the name of the system unless it applies to all."""
    notes_of = {name: list(evaluation.clips.notes) for name, evaluation in systems.items()}
    shared = set.intersection(*map(set, notes_of.values()))
    of_all = (note for notes in notes_of.values() for note in notes if note in shared)
    of_one = (f"{name}: {note}" for name, notes in notes_of.items() for note in notes if note not in shared)
    return list(dict.fromkeys([*of_all, *of_one]))


# Scores


def _scores(scores: Scores, method: str) -> Table:
    present = {key for of_system in scores.values() for found in of_system.values() for key in found}
    names = [k for k in texts.SCORES if k in present]
    rows = [
        [measure.removeprefix("dcase"), name, *(_score(found[measure], k, method) for k in names)]
        for measure in next(iter(scores.values()))
        for name, found in scores.items()
    ]
    return Table(["year", "system", *map(texts.title, names)], rows, words=2)


def _score(found: dict, score: str, method: str) -> Cell:
    bounds = found["intervals"].get(method, {}).get(score, (None, None))
    return texts.number(score, found.get(score)), _interval(score, *bounds)


def _interval(score: str, low: float | None, high: float | None, write: Callable = texts.number) -> str:
    return "" if low is None or high is None else f"{write(score, low)} to {write(score, high)}"


def _differences(differences: Mapping[str, dict]) -> Table:
    scores = [k for k in texts.SCORES if any(k in found for found in differences.values())]
    rows = [
        [measure.removeprefix("dcase"), *(_difference(k, found.get(k)) for k in scores)]
        for measure, found in differences.items()
    ]
    return Table(["year", *map(texts.title, scores)], rows)


def _difference(score: str, found: dict | None) -> Cell:
    if found is None or found["value"] is None:
        return "–"
    is_significant = found["low"] is not None and not found["low"] <= 0 <= found["high"]
    value = _signed(score, found["value"]) + (" ✱" if is_significant else "")
    return value, _interval(score, found["low"], found["high"], _signed)


def _signed(score: str, value: float) -> str:
    return ("+" if value > 0 else "") + texts.number(score, value)


# Figures


def _outcomes(systems: Systems) -> Iterable[Figure]:
    total = pd.concat([e.breakdowns["all"].set_axis([name]) for name, e in systems.items()])
    yield Figure("outcomes", measures.outcomes(total, "system"), texts.FIGURES["outcomes"])
    for n, (name, evaluation) in enumerate(systems.items()):
        by_class = measures.outcomes(evaluation.breakdowns["class"], "class")
        yield Figure(f"outcomes-class-{n}", by_class, f"{name}, by class. {texts.FIGURES['outcomes']}")
        worst = measures.outcomes(evaluation.breakdowns["clip"].sort_values("F").head(MOST_CLIPS), "clip")
        yield Figure(f"outcomes-clip-{n}", worst, f"{name}. {texts.FIGURES['clips']}")


_CONDITIONS = (  # breakdown, measure, caption
    ("class", "F", "By class: F."),
    ("polyphony", "F", "By the number of simultaneous events: F."),
    ("motion", "recall", "By whether the event moves: recall."),
    ("elevation", "F", "By elevation: F."),
    ("level", "F", "By level below the clip's loudest frame: F."),
    ("class", "LE", "By class: LE."),
)


def _conditions(systems: Systems) -> Iterable[Figure]:
    for grouping, measure, caption in _CONDITIONS:
        if tables := {n: e.breakdowns[grouping] for n, e in systems.items() if grouping in e.breakdowns}:
            explanation = texts.FIGURES["motion" if grouping == "motion" else "conditions"]
            yield Figure(f"{grouping}-{measure}", measures.conditions(tables, measure), f"{caption} {explanation}")
    for n, (name, evaluation) in enumerate(systems.items()):
        matrix = measures.confusion(evaluation.confusion, evaluation.clips.classes)
        yield Figure(f"confusion-{n}", matrix, f"{name}. {texts.FIGURES['confusion']}")


def _directions(systems: Systems) -> Iterable[Figure]:
    sectors = {name: evaluation.breakdowns["azimuth"] for name, evaluation in systems.items()}
    for k in ("recall", "LE"):
        yield Figure(
            f"azimuth-{k}", measures.directions(sectors, k), f"{texts.title(k)}. {texts.FIGURES['directions']}"
        )


def _probabilities(systems: Systems) -> list[Figure]:
    """Of the systems whose probabilities are known."""
    reliability = {name: e.reliability for name, e in systems.items() if e.reliability is not None}
    if not reliability:
        return []
    figures = [Figure("reliability", measures.reliability(reliability), texts.FIGURES["reliability"])]
    for n, name in enumerate(reliability):
        thresholds = systems[name].thresholds
        assert thresholds is not None
        lines = measures.f_over_threshold(thresholds, systems[name].clips.classes)
        figures.append(Figure(f"thresholds-{n}", lines, f"{name}. {texts.FIGURES['thresholds']}"))
    return figures


# Tables


def _identity_rates(systems: Systems) -> Table:
    head = [f"{title} (%)" if k in texts.PERCENT else title for k, title in texts.IDENTITY_NAMES.items()]
    rows = [
        [name, *(texts.number(k, evaluation.identity_rates[k]) for k in texts.IDENTITY_NAMES)]
        for name, evaluation in systems.items()
    ]
    return Table(["system", *head], rows)


def _class_frames(evaluation: Evaluation) -> Table:
    counts, shares = ["reference", "system", *KINDS], [*texts.FRAMES]
    rows = [
        [str(group), *(f"{row[c]:,.0f}" for c in counts), *(texts.number(c, row[c]) for c in shares)]
        for group, row in evaluation.breakdowns["class"].iterrows()
    ]
    return Table(["class", *counts, *map(texts.title, shares)], rows)


def _class_scores(evaluation: Evaluation) -> Table:
    names = ("F", "LE", "LR")
    head = ["class", *(f"{m.removeprefix('dcase')} {texts.title(k)}" for m in evaluation.scores for k in names)]
    columns = [scores["per_class"] for scores in evaluation.scores.values()]
    rows = [
        [name, *(texts.number(k, found[n][k]) for found in columns for k in names)]
        for n, name in enumerate(evaluation.clips.classes)
    ]
    return Table(head, rows)


EVENT_COLUMNS: dict[str, Callable[[dict], str]] = {  # head: how it is written, of an event
    "onset (s)": lambda event: f"{event['onset']:.1f}",
    "offset (s)": lambda event: f"{event['offset']:.1f}",
    "length (frames)": lambda event: f"{event['frames']}",
    "track (from 0)": lambda event: f"{event['track']}",
    "azimuth (°)": lambda event: _degrees(event["azimuth"]),
    "elevation (°)": lambda event: _degrees(event["elevation"]),
    "error (°)": lambda event: _degrees(event["error"]),
}


def _events(name: str, evaluation: Evaluation) -> tuple[str, Table | None]:
    """How many error events a system has, and the table of the first of them."""
    n, stems, classes = len(evaluation.error_events), evaluation.clips.stems, evaluation.clips.classes
    text = f"{name}: {n:,} error events"
    text += f", of which the first {MOST_EVENTS} by clip and onset are listed." if n > MOST_EVENTS else "."
    rows: list[list[Cell]] = []
    for event in evaluation.error_events.head(MOST_EVENTS).to_dict("records"):
        heard_as = classes[event["heard_as"]] if event["heard_as"] >= 0 else ""
        words = [stems[event["clip"]], event["kind"], classes[event["class"]], heard_as, event["side"]]
        rows.append([*words, *(write(event) for write in EVENT_COLUMNS.values())])
    head = ["clip", "kind", "class", "heard as", "side", *EVENT_COLUMNS]
    return text, Table(head, rows, words=5) if n else None


def _degrees(value: float) -> str:
    return "" if math.isnan(value) else str(round(value)).replace("-", "−")
