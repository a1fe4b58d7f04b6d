"""The measures of DCASE 2020 to 2025 once more, in plain loops: slow, and without anything of ``einv2.metrics``.

Written after the rules of each challenge's code (sharathadavanne/seld-dcase2020 to seld-dcase2023, partha2409/DCASE2024_seld_baseline
since 2024-06-18 and partha2409/DCASE2025_seld_baseline, under the MIT licence): how rows become instances, what is matched, what is
counted, and what the scores are of the counts. A clip is a pair (estimate, reference) of lists of rows (frame, class, track, azimuth,
elevation, distance), as they stand in the files; distances in cm, 0 where there is none.
"""

import math
from collections import defaultdict

import numpy as np
from scipy.optimize import linear_sum_assignment

EPS = np.finfo(float).eps
THRESHOLD = 20


def scores(pairs, n_classes: int, measure: str, n_frames: int | None = None) -> tuple[dict, dict]:
    """(scores, scores of each class) over clips; the second is empty in 2020 and 2021."""
    counts = {
        k: np.zeros(n_classes) for k in ("tp", "fp", "far", "fn", "ref", "sys", "found", "degrees", "cm", "relative")
    }
    counts |= dict.fromkeys(("S", "D", "I"), 0)
    for estimate, reference in pairs:
        last = n_frames or int(max((row[0] for row in reference), default=0))
        if measure in ("dcase2024", "dcase2025"):
            count_frames(estimate, reference, last, n_classes, measure, counts)
        else:
            count_segments(estimate, reference, last, n_classes, measure, counts)
    distances = any(row[5] for side in pairs[0] for row in side)
    return {
        "dcase2020": lambda: (of_2020(counts), {}),
        "dcase2021": lambda: (of_2021(counts), {}),
    }.get(measure, lambda: of_classes(counts, measure, distances))()


# Counts


def count_segments(estimate, reference, last, n_classes, measure, counts) -> None:
    """Segments of 10 frames, up to the one before which, or in which, the last frame lies."""
    count = class_of_2020 if measure == "dcase2020" else class_of_2021
    for start in range(0, last, 10):
        wrong = [0, 0]  # false alarms, misses
        for c in range(n_classes):
            sides = []
            for side in (reference, estimate):
                frames = defaultdict(list)
                for row in side:
                    if start <= row[0] < start + 10 and row[1] == c:
                        frames[row[0]].append(row)
                sides.append(frames)
            false_alarms, misses = count(*sides, c, counts)
            wrong[0] += false_alarms
            wrong[1] += misses
        add_errors(counts, *wrong)


def add_errors(counts, false_alarms, misses) -> None:
    counts["S"] += min(false_alarms, misses)
    counts["D"] += max(0, misses - false_alarms)
    counts["I"] += max(0, false_alarms - misses)


def class_of_2020(true, found, c, counts) -> tuple[int, int]:
    counts["ref"][c] += bool(true)
    counts["sys"][c] += bool(found)
    if not true or not found:
        return int(bool(found)), int(bool(true))
    errors = [sum(match(true[f], found[f], spherical)[0]) for f in true if f in found]
    if not errors:
        return 0, 1
    counts["found"][c] += 1
    counts["degrees"][c] += np.mean(errors)
    counts["tp"][c] += np.mean(errors) <= THRESHOLD
    return 0, int(np.mean(errors) > THRESHOLD)


def class_of_2021(true, found, c, counts) -> tuple[int, int]:
    n_true, n_found = (max(map(len, side.values()), default=0) for side in (true, found))
    counts["ref"][c] += n_true
    if not true or not found:
        counts["fn"][c] += n_true
        counts["fp"][c] += n_found
        return n_found, n_true
    errors = defaultdict(list)  # by the place of an instance among the rows of its frame
    for f in true:
        if f in found:
            for error, i, _ in zip(*match(true[f], found[f], spherical)):
                errors[i].append(error)
    if not errors:
        counts["fn"][c] += n_found
        return 0, n_found
    far = 0
    for error in errors.values():
        mean = sum(error) / len(error)
        counts["degrees"][c] += mean
        counts["found"][c] += 1
        counts["tp" if mean <= THRESHOLD else "far"][c] += 1
        far += mean > THRESHOLD
    false_alarms, misses = max(0, n_found - n_true), max(0, n_true - n_found)
    counts["fp"][c] += false_alarms
    counts["fn"][c] += misses
    return false_alarms + far, misses


def count_frames(estimate, reference, last, n_classes, measure, counts) -> None:
    """Every frame before the last."""
    place, between = (place_of_2024, shortened) if measure == "dcase2024" else (place_of_2025, folded)
    sides = [instances(side, last, place) for side in (reference, estimate)]
    for f in range(last):
        wrong = [0, 0]
        for c in range(n_classes):
            true, found = ([*side[f][c].values()] for side in sides)
            counts["ref"][c] += len(true)
            errors, i, j = match(true, found, between) if true and found else ([], [], [])
            far = 0
            for error, m, n in zip(errors, i, j):
                cm, d = abs(true[m][5] - found[n][5]), true[m][5]
                counts["degrees"][c] += error
                counts["cm"][c] += cm
                counts["relative"][c] += cm / (d + EPS)
                far += error > THRESHOLD or cm / (d + EPS) > 1
            counts["found"][c] += len(errors)
            counts["tp"][c] += len(errors) - far
            counts["far"][c] += far
            false_alarms, misses = max(0, len(found) - len(true)), max(0, len(true) - len(found))
            counts["fp"][c] += false_alarms
            counts["fn"][c] += misses
            wrong[0] += false_alarms + far
            wrong[1] += misses
        add_errors(counts, *wrong)


def instances(rows, last, place):
    """frame, class -> {place: row}: a place is that of the track number, or where it is taken another."""
    there = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row[0] < last:
            taken = there[row[0]][row[1]]
            taken[place(row[2], taken)] = row
    return there


def place_of_2024(track, taken):
    """The next number below all, and below zero."""
    return track if track not in taken else min(0, *taken) - 1


def place_of_2025(track, taken):
    """The first free of ten; without one, the row there is lost."""
    if track not in taken and track < 10:
        return track
    return next((n for n in range(10) if n not in taken), 0)


# Distances, in degrees


def match(true, found, between):
    """(error, place in true, place in found) of the pairs of least total error."""
    cost = np.array([[between(a, b) for b in found] for a in true])
    i, j = linear_sum_assignment(cost)
    return cost[i, j], i, j


def spherical(a, b) -> float:
    (azimuth, elevation), (azimuth_b, elevation_b) = ((row[3] * np.pi / 180, row[4] * np.pi / 180) for row in (a, b))
    cosine = np.sin(elevation) * np.sin(elevation_b)
    cosine += np.cos(elevation) * np.cos(elevation_b) * np.cos(np.abs(azimuth - azimuth_b))
    return np.arccos(np.clip(cosine, -1, 1)) * 180 / np.pi


def shortened(a, b) -> float:
    """Between vectors that are divided by slightly more than their length."""
    vectors = []
    for row in (a, b):
        azimuth, elevation = row[3] * np.pi / 180, row[4] * np.pi / 180
        x, y, z = np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)
        norm = np.sqrt(x**2 + y**2 + z**2 + 1e-10)
        vectors.append((x / norm, y / norm, z / norm))
    (x, y, z), (u, v, w) = vectors
    return np.arccos(np.clip(x * u + y * v + z * w, -1, 1)) * 180 / np.pi


def folded(a, b) -> float:
    """Between azimuths brought to the front."""
    fronts = []
    for row in (a, b):
        azimuth = (row[3] + 180) % 360 - 180
        fronts.append(-180 - azimuth if azimuth < -90 else 180 - azimuth if azimuth > 90 else azimuth)
    return abs(fronts[0] - fronts[1])


# Scores


def error_rate(counts) -> float:
    return (counts["S"] + counts["D"] + counts["I"]) / (counts["ref"].sum() + EPS)


def of_2020(counts) -> dict:
    n_ref, n_sys = counts["ref"].sum() + EPS, counts["sys"].sum() + EPS
    er, both = error_rate(counts), {}
    for name, key in (("F", "tp"), ("LR", "found")):
        precision, recall = counts[key].sum() / n_sys, counts[key].sum() / n_ref
        both[name] = 2 * precision * recall / (precision + recall + EPS)
    le = counts["degrees"].sum() / counts["found"].sum() if counts["found"].sum() else 180
    return {"ER": er, **both, "LE": le, "SELD": np.mean([er, 1 - both["F"], le / 180, 1 - both["LR"]])}


def of_2021(counts) -> dict:
    tp, fp, far, fn, found = (counts[k].sum() for k in ("tp", "fp", "far", "fn", "found"))
    er, f, lr = error_rate(counts), tp / (EPS + tp + (far + fp + fn) / 2), found / (EPS + found + fn)
    le = counts["degrees"].sum() / found if found else 180
    return {"ER": er, "F": f, "LE": le, "LR": lr, "SELD": np.mean([er, 1 - f, le / 180, 1 - lr])}


def of_classes(counts, measure, distances) -> tuple[dict, dict]:
    tp, fp, far, fn, found = (counts[k] for k in ("tp", "fp", "far", "fn", "found"))
    er, never = error_rate(counts), np.nan if measure in ("dcase2024", "dcase2025") else 180
    with np.errstate(invalid="ignore", divide="ignore"):
        each = {
            "F": tp / (EPS + tp + far + (fp + fn) / 2),
            "LE": np.where(found > 0, counts["degrees"] / found, never),
            "LR": found / (EPS + found + fn),
        }
        parts = [np.full(len(tp), er), 1 - each["F"], each["LE"] / 180, 1 - each["LR"]]
        if distances and measure in ("dcase2024", "dcase2025"):
            each |= {
                key: np.where(found > 0, counts[k] / found, np.nan) for key, k in (("DE", "cm"), ("RDE", "relative"))
            }
            parts = [1 - each["F"], each["LE"] / 180, each["RDE"]]
        each["SELD"] = np.nanmean(parts, 0)
    means = {key: float(np.nanmean(v)) if not np.isnan(v).all() else math.nan for key, v in each.items()}
    return {"ER": er, **means}, each
