"""Everything that is measured, as one HTML page that stands on its own: it opens from a file and asks no other host for anything."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

import pandas as pd

from app.plots import measures
from app.ui import html_page, texts
from einv2.evaluation import Evaluation
from einv2.metrics.errors import KINDS
from einv2.metrics.intervals import METHODS

MOST_EVENTS = 500  # of each system
MOST_CLIPS = 20
Systems = Mapping[str, Evaluation]


def html(systems: Systems, differences: Mapping[str, dict] | None = None, method: str = METHODS[0]) -> str:
    """The page. systems: by name, at least one and at most ``len(measures.SYSTEM_COLOURS)``, of one class list.

    differences: by name of the others, ``evaluation.differences`` of the first and that one. method: of all intervals. All
    names and notes are escaped.
    ValueError if there are no systems, too many of them, or such as do not have the same classes.
    """
    _check(systems)
    return html_page.page(
        _title(systems),
        _opening(systems),
        _scores(systems, differences, method),
        _outcomes(systems),
        _conditions(systems),
        _directions(systems),
        _identity(systems),
        _probabilities(systems),
        _classes(systems),
        _events(systems),
        _definitions(),
    )


def _check(systems: Systems) -> None:
    if not 1 <= len(systems) <= len(measures.SYSTEM_COLOURS):
        raise ValueError(f"systems must be 1 to {len(measures.SYSTEM_COLOURS)}, not {len(systems)}")
    if len({evaluation.clips.classes for evaluation in systems.values()}) > 1:
        raise ValueError("systems must have the same classes in the same order")


# Sections


def _title(systems: Systems) -> str:
    return "What is right and wrong: " + " and ".join(systems)


def _opening(systems: Systems) -> str:
    n = {name: len(evaluation.clips.stems) for name, evaluation in systems.items()}
    same = len(set(n.values())) == 1
    clips = _clips(next(iter(n.values()))) if same else "; ".join(f"{name}: {_clips(k)}" for name, k in n.items())
    frames = next(iter(systems.values())).breakdowns["all"]["reference"].sum()
    lead = f"Sound event localization and detection on {clips}, with {frames:,} reference frames of 0.1 s."
    return html_page.paragraph(lead) + html_page.bullets(notes_on_files(systems))


def notes_on_files(systems: Systems) -> list[str]:
    """What was odd about the files, each once; with the name of the system, where it is not said of all."""
    every = {name: list(evaluation.clips.notes) for name, evaluation in systems.items()}
    shared = set.intersection(*map(set, every.values()))
    own = (f"{name}: {note}" for name, notes in every.items() for note in notes if note not in shared)
    return list(dict.fromkeys([*(n for notes in every.values() for n in notes if n in shared), *own]))


def _clips(n: int) -> str:
    return f"{n:,} clip{'' if n == 1 else 's'}"


def _scores(systems: Systems, differences: Mapping[str, dict] | None, method: str) -> str:
    scores = {name: evaluation.scores for name, evaluation in systems.items()}
    intervals = (
        f"{texts.INTERVALS} {texts.METHODS[method]}"
        if any(_has_intervals(s) for s in scores.values())
        else texts.ONE_CLIP
    )
    figures = [
        html_page.figure(f"years-{k}", measures.years(scores, k, method), f"{k}. {texts.SCORES[k]}")
        for k in ("F", "LE", "LR", "ER", "SELD")
    ]
    return html_page.section(
        "Scores",
        html_page.paragraph(texts.WHY_THE_YEARS_DIFFER),
        _score_table(scores, method),
        html_page.paragraph(intervals),
        _difference_tables(next(iter(systems)), differences or {}),
        html_page.bullets(texts.MEASURES.values()),
        html_page.paragraph(texts.FIGURES["years"]),
        f'<div class="pairs">{"".join(figures)}</div>',
    )


def _has_intervals(scores: Mapping[str, dict]) -> bool:
    return any(found["intervals"] for found in scores.values())


def _outcomes(systems: Systems) -> str:
    total = pd.concat([e.breakdowns["all"].set_axis([name]) for name, e in systems.items()])
    figures = [html_page.figure("outcomes", measures.outcomes(total, "system"), texts.FIGURES["outcomes"])]
    for n, (name, evaluation) in enumerate(systems.items()):
        by_class = measures.outcomes(evaluation.breakdowns["class"], "class")
        figures.append(
            html_page.figure(f"outcomes-class-{n}", by_class, f"{name}, by class. {texts.FIGURES['outcomes']}")
        )
        worst = measures.outcomes(evaluation.breakdowns["clip"].sort_values("F").head(MOST_CLIPS), "clip")
        figures.append(html_page.figure(f"outcomes-clip-{n}", worst, f"{name}. {texts.FIGURES['clips']}"))
    return html_page.section("What became of the frames", *figures)


_CONDITIONS = (  # breakdown, measure, what is said of it
    ("class", "F", "By class: F. "),
    ("polyphony", "F", "By what sounds at once: F. "),
    ("motion", "recall", "By whether the event moves: recall. "),
    ("elevation", "F", "By elevation: F. "),
    ("level", "F", "By level below the clip's loudest frame: F. "),
    ("class", "LE", "By class: LE. "),
)


def _conditions(systems: Systems) -> str:
    figures = []
    for grouping, measure, what in _CONDITIONS:
        if tables := {n: e.breakdowns[grouping] for n, e in systems.items() if grouping in e.breakdowns}:
            said = texts.FIGURES["motion" if grouping == "motion" else "conditions"]
            figures.append(html_page.figure(f"{grouping}-{measure}", measures.conditions(tables, measure), what + said))
    for n, (name, evaluation) in enumerate(systems.items()):
        matrix = measures.confusion(evaluation.confusion, evaluation.clips.classes)
        figures.append(html_page.figure(f"confusion-{n}", matrix, f"{name}. {texts.FIGURES['confusion']}"))
    return html_page.section("Under which conditions, and which class for which", *figures)


def _directions(systems: Systems) -> str:
    histograms = measures.distances({name: e.distances for name, e in systems.items()})
    sectors = {name: e.breakdowns["azimuth"] for name, e in systems.items()}
    polar = [
        html_page.figure(
            f"azimuth-{k}", measures.directions(sectors, k), f"{texts.title(k)}. {texts.FIGURES['directions']}"
        )
        for k in ("recall", "LE")
    ]
    return html_page.section(
        "Directions",
        html_page.figure("distances", histograms, texts.FIGURES["distances"]),
        f'<div class="pairs">{"".join(polar)}</div>',
    )


def _identity(systems: Systems) -> str:
    rates = {name: evaluation.identity_rates for name, evaluation in systems.items()}
    head = [f"{title} (%)" if k in texts.PERCENT else title for k, title in texts.IDENTITY_NAMES.items()]
    rows = [[name, *(texts.number(k, found[k]) for k in texts.IDENTITY_NAMES)] for name, found in rates.items()]
    figure = html_page.figure("identity", measures.identity(rates), texts.FIGURES["identity"])
    return html_page.section("Events on their tracks", figure, html_page.table(["system", *head], rows))


def _probabilities(systems: Systems) -> str:
    """Of the systems whose probabilities are known; nothing without any."""
    known = {name: e for name, e in systems.items() if e.reliability is not None}
    if not known:
        return ""
    counts = {name: e.reliability for name, e in known.items()}
    figures = [html_page.figure("reliability", measures.reliability(counts), texts.FIGURES["reliability"])]
    for n, (name, evaluation) in enumerate(known.items()):
        lines = measures.f_over_threshold(evaluation.thresholds, evaluation.clips.classes)
        figures.append(html_page.figure(f"thresholds-{n}", lines, f"{name}. {texts.FIGURES['thresholds']}"))
    return html_page.section("Probabilities and thresholds", *figures)


def _classes(systems: Systems) -> str:
    parts = []
    for name, evaluation in systems.items():
        parts += [f"<h3>{escape(name)}: frames of 0.1 s of each class</h3>", _class_frames(evaluation)]
        parts += [f"<h3>{escape(name)}: scores of each class by year</h3>", _class_scores(evaluation)]
    return html_page.section("Each class", *parts)


def _class_frames(evaluation: Evaluation) -> str:
    table = evaluation.breakdowns["class"]
    counts, shares = ["reference", "system", *KINDS], [*texts.FRAMES]
    head = ["class", *counts, *map(texts.title, shares)]
    rows = (
        [group, *(f"{row[c]:,.0f}" for c in counts), *(texts.number(c, row[c]) for c in shares)]
        for group, row in table.iterrows()
    )
    return html_page.table(head, rows)


def _class_scores(evaluation: Evaluation) -> str:
    kept = ("F", "LE", "LR")
    head = ["class", *(f"{m.removeprefix('dcase')} {texts.title(k)}" for m in evaluation.scores for k in kept)]
    columns = [scores["per_class"] for scores in evaluation.scores.values()]
    rows = (
        [name, *(texts.number(k, found[n][k]) for found in columns for k in kept)]
        for n, name in enumerate(evaluation.clips.classes)
    )
    return html_page.table(head, rows)


_EVENT_COLUMNS = {  # head: how it is written, of a row of the events
    "onset (s)": lambda row: f"{row.onset:.1f}",
    "offset (s)": lambda row: f"{row.offset:.1f}",
    "length (frames)": lambda row: f"{row.frames}",
    "track (from 0)": lambda row: f"{row.track}",
    "azimuth (°)": lambda row: _degrees(row.azimuth),
    "elevation (°)": lambda row: _degrees(row.elevation),
    "error (°)": lambda row: _degrees(row.error),
}


def _events(systems: Systems) -> str:
    parts = []
    for name, evaluation in systems.items():
        n = len(evaluation.error_events)
        said = f"{name}: {n:,} error events"
        said += f", of which the first {MOST_EVENTS} by clip and onset stand here." if n > MOST_EVENTS else "."
        parts += [html_page.paragraph(said), _event_table(evaluation) if n else ""]
    return html_page.section("Error events", *parts)


def _event_table(evaluation: Evaluation) -> str:
    stems, names, columns = evaluation.clips.stems, evaluation.clips.classes, _EVENT_COLUMNS
    events = evaluation.error_events.head(MOST_EVENTS).rename(columns={"class": "class_index"})
    rows = (
        [stems[row.clip], row.kind, names[row.class_index], _heard_as(names, row.heard_as), row.side]
        + [write(row) for write in columns.values()]
        for row in events.itertuples()
    )
    return html_page.table(["clip", "kind", "class", "heard as", "side", *columns], rows, words=5)


def _heard_as(classes: Sequence[str], index: int) -> str:
    return classes[index] if index >= 0 else ""


def _degrees(value: float) -> str:
    return "" if math.isnan(value) else str(round(value)).replace("-", "−")


def _definitions() -> str:
    return html_page.section(
        "What the words mean",
        *(f"<h3>{escape(head)}</h3>{html_page.terms(said)}" for head, said in texts.DEFINITIONS.items()),
    )


# Tables of scores


def _score_table(scores: Mapping[str, Mapping[str, dict]], method: str) -> str:
    names = _score_names(scores)
    rows = [
        [measure.removeprefix("dcase"), name, *(_score_cell(found[measure], k, method) for k in names)]
        for measure in next(iter(scores.values()))
        for name, found in scores.items()
    ]
    return html_page.table(["year", "system", *map(texts.title, names)], rows, words=2)


def _score_names(scores: Mapping[str, Mapping[str, dict]]) -> list[str]:
    present = {key for of_system in scores.values() for found in of_system.values() for key in found}
    return [k for k in texts.SCORES if k in present]


def _score_cell(found: dict, score: str, method: str) -> tuple[str, str]:
    bounds = found["intervals"].get(method, {}).get(score, (None, None))
    return texts.number(score, found.get(score)), _bounds(score, *bounds)


def _bounds(score: str, low: float | None, high: float | None, write: Callable = texts.number) -> str:
    return "" if low is None or high is None else f"{write(score, low)} to {write(score, high)}"


def _difference_tables(first: str, differences: Mapping[str, dict]) -> str:
    said = texts.DIFFERENCES if differences else ""
    return said and f"<h3>Differences</h3>{html_page.paragraph(said)}" + "".join(
        html_page.paragraph(f"{name} minus {first}:") + _difference_table(found) for name, found in differences.items()
    )


def _difference_table(differences: Mapping[str, dict]) -> str:
    scores = [k for k in texts.SCORES if any(k in found for found in differences.values())]
    rows = [
        [measure.removeprefix("dcase"), *(_difference_cell(k, found.get(k)) for k in scores)]
        for measure, found in differences.items()
    ]
    return html_page.table(["year", *map(texts.title, scores)], rows)


def _difference_cell(score: str, found: dict | None) -> tuple[str, str]:
    if found is None or found["value"] is None:
        return "–", ""
    apart = found["low"] is not None and not found["low"] <= 0 <= found["high"]
    return _signed(score, found["value"]) + (" ✱" if apart else ""), _bounds(
        score, found["low"], found["high"], _signed
    )


def _signed(score: str, value: float) -> str:
    return ("+" if value > 0 else "") + texts.number(score, value)


# Pieces of a page; every text is escaped here, and nowhere before
