"""Texts of the pages and reports: how values are written, and what measures, kinds of errors and figures mean."""

import itertools
import math
from collections.abc import Container

PERCENT = frozenset({"F", "LR", "recall", "precision", "coverage", "purity", "duplicate_share"})
DEGREES = frozenset({"LE"})
CENTIMETRES = frozenset({"DE"})


def scale(name: str) -> float:
    """What a measure of this name is multiplied with to be drawn: 100 where it is shown in %, 1 elsewhere."""
    return 100.0 if name in PERCENT else 1.0


def unit(name: str) -> str:
    """ "%", "°", "cm" or, of a plain number, ""."""
    return "%" if name in PERCENT else "°" if name in DEGREES else "cm" if name in CENTIMETRES else ""


def number(name: str, value: float | None) -> str:
    """A measure as it is written, without its unit: shares in % and degrees with one decimal, plain numbers with two; "–" of none.

    What rounds to 0 has no sign.
    """
    if value is None or math.isnan(value):
        return "–"
    return f"{scale(name) * value:z.{1 if unit(name) else 2}f}".replace("-", "−")


def value(name: str, value: float | None) -> str:
    """The same with its unit: "77.8 %", "6.6°", "0.19"."""
    text, mark = number(name, value), unit(name)
    return text if text == "–" else f"{text} {mark}" if mark in ("%", "cm") else text + mark


def title(name: str) -> str:
    """A measure with its unit, for an axis or the head of a table: "F (%)", "LE (°)", "ER"."""
    return f"{name} ({unit(name)})" if unit(name) else name


def duration(seconds: float) -> str:
    """ "1.4 s", "45 s", "12 min", "3 h 20 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def capitalised(text: str) -> str:
    """The text with its first letter in upper case; ``str.capitalize`` would put all others in lower case."""
    return text[:1].upper() + text[1:]


def free_name(stem: str, taken: Container[str]) -> str:
    """The first of stem-1, stem-2, ... that is not taken."""
    return next(name for n in itertools.count(1) if (name := f"{stem}-{n}") not in taken)


WHY_THE_YEARS_DIFFER = (
    "The measures of all years count what is found with the right class within 20° of the reference. They differ in what is counted "
    "(a class, an instance of a class), over what time (a segment of 1 s, a frame of 0.1 s), and in whether all classes have the "
    "same weight or are weighted by their activity, so scores of different years cannot be compared."
)
MEASURES = {
    "dcase2020": "2020: a class counts once in each second, however many instances of it are active; what is found more than 20° off "
    "is missed; all counts are added up over classes.",
    "dcase2021": "2021: each instance counts in each second, so two of one class are two; one found more than 20° off is a false "
    "alarm in the wrong place; counts are added up over classes.",
    "dcase2022": "2022: counts as in 2021, but being more than 20° off costs F twice as much, and F, LE, LR and SELD are means over "
    "classes, where a class that is never found has an LE of 180°.",
    "dcase2023": "2023: the same as 2022.",
    "dcase2024": "2024: each instance counts in each frame of 0.1 s instead of each second; a class that is never found is left out of "
    "the mean LE; distances, where both sides give them, must be right too.",
    "dcase2025": "2025 (stereo): counts as in 2024, but only the azimuth of a direction counts, with the back folded onto the front; "
    "elevations are ignored. Of these scores the official code gives F, LE, DE and RDE.",
}
INTERVALS = "95 % intervals show how far a score, or the difference of two systems, would vary with other clips of the same kind."
METHODS = {
    "bootstrap": "Computed by the bootstrap over clips: clips are resampled 2000 times, with replacement.",
    "jackknife": "Computed by the jackknife over clips, as in the challenge's official code, clipped to the range of the score. It "
    "assumes that scores are nearly normal, which scores of few clips are not.",
}
DIFFERENCES = (
    "With 95 % intervals over clips; ✱ where the interval does not contain 0, so the systems differ significantly."
)
ONE_CLIP = "Intervals over clips need at least two clips."

SCORES = {
    "ER": "Error rate: substitutions, deletions and insertions, divided by the number of reference events. 0 is best; it can exceed 1.",
    "F": "F-score, in %, of what is found with the right class and within 20°. 100 % is best.",
    "LE": "Localisation error, in degrees: the mean great-circle distance to the reference of what is found with the right class, "
    "however far off. 0° is best.",
    "LR": "Localisation recall, in %: what is found with the right class, however far off (2020: as an F-score; later: of the "
    "reference). 100 % is best.",
    "SELD": "The mean of ER, 1 − F, LE / 180° and 1 − LR; from 2024 on, where there are distances, of 1 − F, LE / 180° and RDE. "
    "0 is best.",
    "RDE": "Relative distance error, only from 2024 on and where both sides give distances: the mean of |error of the distance| / "
    "distance. 0 is best.",
    "DE": "Distance error in cm, only from 2024 on and where both sides give distances. 0 is best.",
}
FRAMES = {
    "precision": "correct frames / frames of the system, in %.",
    "recall": "correct frames / frames of the reference, in %.",
    "F": "2 · correct frames / (frames of the reference + frames of the system), in %.",
    "LE": "mean great-circle distance, in degrees, of the correct and the wrong-place frames.",
}
KINDS = {
    "correct": "the right class, at most 20° from the reference.",
    "wrong place": "the right class, but more than 20° from the reference.",
    "wrong class": "a different class than the reference's, at most 20° from it.",
    "missed": "in the reference, and matched with nothing in the system.",
    "false alarm": "in the system, and matched with nothing in the reference.",
    "duplicate": "in the system, within 20° of a reference of its class that is already matched with another output.",
}
IDENTITY_NAMES = {
    "coverage": "coverage",
    "purity": "purity",
    "swaps_per_minute": "swaps per minute",
    "swaps_per_event": "swaps per event",
    "fragments_per_event": "fragments per event",
    "duplicates_per_minute": "duplicates per minute",
    "duplicate_share": "share of duplicates",
}
IDENTITY = {
    "coverage": "the share, in %, of the frames of reference events in which the event is found: right class, at most 20° off.",
    "purity": "the share, in %, of the found frames on output tracks that hold a single event until they fall silent.",
    "swaps_per_minute": "how often an event continues on a different output track, per minute of active reference events.",
    "swaps_per_event": "the same, per event that is found.",
    "fragments_per_event": "the number of pieces, each on one output track and without a gap, in which an event is found. 1 is best.",
    "duplicates_per_minute": "frames of 0.1 s in which an event is found twice, per minute of active reference events.",
    "duplicate_share": "the share, in %, of the found frames in which the event is found twice.",
}
DEFINITIONS = {
    "Scores": SCORES,
    "Measures of single frames": FRAMES,
    "Kinds of errors": KINDS,
    "Identity": {IDENTITY_NAMES[name]: text for name, text in IDENTITY.items()},
}

FIGURES = {
    "timeline": "Filled segments and dots are the network's, outlines and thin lines the ground truth; colours are classes. Behind the "
    "azimuths: where the sound comes from, computed without the network.",
    "years": "The scores by the measure of each year; the lines are 95 % intervals over clips.",
    "outcomes": "To the right, the outcome of the reference's frames, adding up to 100 %; to the left, what is in the system only, as "
    "a share of the same frames.",
    "clips": "The same for the clips of lowest F, 20 at most.",
    "conditions": "The frames of each group separately, with the number of reference frames at the right.",
    "motion": "An event moves if its frames are on average more than 5° from their mean direction; false alarms are in neither group.",
    "confusion": "What each reference class (row) was detected as, within 20°; “nothing” is what was missed, or is in the system "
    "only.",
    "directions": "By sectors of 45° seen from above, the front up and the left at the left.",
    "distances": "How far the system's direction is from the reference's, where the class is right.",
    "identity": "Whether events are found and stay on their output track; each measure has its own axis.",
    "reliability": "How often tracks are right by the probability the network gives them: on the diagonal, the probability is right.",
    "thresholds": "F of single frames by the threshold on the probability; the larger markers are at the best threshold.",
}
