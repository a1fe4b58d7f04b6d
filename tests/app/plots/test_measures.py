"""The figures of measures say what the tables say, in any page's colours, and take no name for markup."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest

from app.plots import measures
from app.ui import texts, theme
from einv2 import evaluation
from einv2.labels import clip_sets
from einv2.metrics import breakdown
from einv2.metrics.errors import KINDS
from einv2.metrics.probabilities import THRESHOLDS, ReliabilityCounts, ThresholdCounts

HOSTILE = "<b>x</b> & <a href='https://a.b'>"
CLASSES = ("alarm", "piano", HOSTILE)
REFERENCE, ALONE = KINDS[:4], KINDS[4:]


def rows(frames, class_index, track, azimuth):
    return "".join(f"{frame},{class_index},{track},{azimuth},0\n" for frame in frames)


TRUTH = rows(range(10), 0, 0, 10) + rows(range(10), 1, 1, -120)
ESTIMATE = "".join(
    [
        rows(range(8), 0, 0, 15),  # correct, then missed
        rows(range(2), 0, 1, 5),  # duplicates
        rows(range(4), 2, 1, -118),  # wrong class
        rows(range(4, 6), 1, 1, -60),  # wrong place
        rows(range(12, 15), 0, 0, 100),  # false alarms in silence
    ]
)
WORSE = rows(range(5), 0, 0, 28) + rows(range(10), 1, 1, -120)


def evaluate(estimates, truths=None, classes=CLASSES):
    truths = truths or dict.fromkeys(estimates, TRUTH)
    encoded = ({stem: text.encode() for stem, text in side.items()} for side in (estimates, truths))
    return evaluation.evaluate_clips(clip_sets.read_clips(*encoded, classes))


@pytest.fixture(scope="module")
def one():
    return evaluate({"a": ESTIMATE, HOSTILE: WORSE})


@pytest.fixture(scope="module")
def other():
    return evaluate({"a": WORSE, HOSTILE: WORSE})


def named(figure, name):
    (trace,) = (t for t in figure.data if t.name == name)
    return trace


def notes(figure):
    return [annotation.text for annotation in figure.layout.annotations]


def all_figures(one, other):
    systems = {HOSTILE: one, "B": other}
    counts = ReliabilityCounts(np.full(10, 4.0), np.linspace(0.2, 3.8, 10), np.full(10, 2.0))
    breakdowns = {k: {name: e.breakdowns[k] for name, e in systems.items()} for k in one.breakdowns}
    return [
        *(measures.outcomes(table, k) for k, table in one.breakdowns.items()),
        *(measures.conditions(tables, m) for tables in breakdowns.values() for m in ("F", "recall", "precision", "LE")),
        *(measures.directions(breakdowns["azimuth"], m) for m in ("recall", "LE")),
        measures.confusion(one.confusion, CLASSES),
        measures.distances({name: e.distances for name, e in systems.items()}),
        measures.reliability({HOSTILE: counts}),
        measures.f_over_threshold(threshold_counts(), CLASSES),
        *(measures.years({name: e.scores for name, e in systems.items()}, k) for k in texts.SCORES),
        measures.identity({name: e.identity_rates for name, e in systems.items()}),
    ]


def threshold_counts():
    system = np.array([np.linspace(30, 2, len(THRESHOLDS)), np.full(len(THRESHOLDS), 8), np.zeros(len(THRESHOLDS))]).T
    return ThresholdCounts(np.minimum(system, [10, 5, 0]), system, np.array([12, 10, 0]))


# Outcomes


def test_outcomes_are_the_shares_of_the_table(one):
    table = one.breakdowns["class"].iloc[:2]
    figure = measures.outcomes(table, "class")
    for kind in REFERENCE:
        np.testing.assert_allclose(named(figure, kind).x, 100 * table[kind] / table["reference"])
    for kind in ALONE:
        np.testing.assert_allclose(named(figure, kind).x, -100 * table[kind] / table["reference"])
    np.testing.assert_allclose(sum(np.asarray(named(figure, kind).x) for kind in REFERENCE), 100)
    assert named(figure, "missed").x[0] == 100 * 7 / 20 and named(figure, "false alarm").x[0] == -100 * 3 / 20
    assert figure.layout.barmode == "relative" and figure.layout.yaxis.title.text == "class"


def test_a_bar_leads_back_to_its_group_and_kind(one):
    table = one.breakdowns["clip"]
    figure = measures.outcomes(table, "clip")
    for trace in figure.data[:6]:
        for row, (x, (group, kind)) in enumerate(zip(trace.x, trace.customdata)):
            assert kind == trace.name and group == table.index[row]
            assert abs(x) == 100 * table.loc[group, kind] / table.loc[group, "reference"]
            assert f"{table.loc[group, kind]:,} " in trace.hovertext[row]
    assert list(figure.layout.yaxis.tickvals) == [0, 1] and figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


def test_a_group_without_reference_frames_is_told_in_words(one):
    table = one.breakdowns["polyphony"]
    assert (
        table.loc["silence", ["reference", "false alarm"]].tolist() == [0, 3] and table.loc["three or more"].sum() == 0
    )
    figure = measures.outcomes(table, "events at once")
    assert "three or more" not in figure.layout.yaxis.ticktext
    row = figure.layout.yaxis.ticktext.index("silence")
    assert all(np.isnan(trace.x[row]) for trace in figure.data[:6])
    words = named(figure, "no reference frames")
    assert list(words.y) == [row] and [*words.customdata[0]] == ["silence", "false alarm"]
    assert "3 in the system" in words.text[0] and "of them 3 false alarm and 0 duplicate" in words.hovertext[0]


def test_bars_to_the_left_are_cut_at_100_percent_and_say_so():
    table = evaluate({"a": ESTIMATE + rows(range(100, 170), 0, 0, 5)}).breakdowns["class"]
    figure = measures.outcomes(table, "class")
    assert figure.layout.xaxis.range[0] == -100
    percent = 100 * (table.loc["alarm", "false alarm"] + table.loc["alarm", "duplicate"]) / 10
    assert percent == 750 and "◂ 750 %" in notes(figure)
    assert not [n for n in notes(measures.outcomes(table.loc[["piano"]], "class")) if "◂" in n]


def test_nothing_to_count_is_said(one):
    assert "no frames to count" in notes(measures.outcomes(one.breakdowns["class"].head(0), "class"))
    assert "no frames to count" in notes(measures.conditions({"A": one.breakdowns["class"].head(0)}, "F"))


# Systems beside each other


@pytest.mark.parametrize("measure", ["F", "recall", "precision", "LE"])
def test_dots_are_the_measures_of_each_group(one, other, measure):
    tables = {"A": one.breakdowns["class"], "B": other.breakdowns["class"]}
    figure = measures.conditions(tables, measure)
    for name, table in tables.items():
        dots = named(figure, name)
        expected = table.loc[list(dots.customdata), measure] * (1 if measure == "LE" else 100)
        np.testing.assert_allclose(dots.x, expected)
    assert [n for n in notes(figure) if n.isdigit()] == ["20", "20", "0"]
    assert ("°" if measure == "LE" else "%") in figure.layout.xaxis.title.text


def test_dots_of_systems_stand_apart_and_in_order():
    table = evaluate({"a": ESTIMATE}).breakdowns["class"]
    figure = measures.conditions(dict.fromkeys("ABCD", table), "F")
    heights = [trace.y[0] for trace in figure.data]
    assert heights == sorted(heights) and min(np.diff(heights)) > 0.1 and max(map(abs, heights)) < 0.5
    assert len({(t.marker.color, t.marker.symbol) for t in figure.data}) == 4
    assert len({t.marker.color for t in figure.data}) == len({t.marker.symbol for t in figure.data}) == 4


def test_more_systems_than_colours_are_refused(one):
    table = one.breakdowns["class"]
    with pytest.raises(ValueError, match="at most 4, to be told apart, not 5"):
        measures.conditions(dict.fromkeys("ABCDE", table), "F")
    with pytest.raises(ValueError, match="measure must be one of precision, recall, F, LE, not 'ER'"):
        measures.conditions({"A": table}, "ER")


def test_groups_of_all_systems_are_drawn(one):
    table = one.breakdowns["class"]
    figure = measures.conditions({"A": table.iloc[:1], "B": table}, "recall")
    assert list(named(figure, "A").customdata) == list(table.index)
    np.testing.assert_allclose(named(figure, "A").x, [65, np.nan, np.nan])
    assert "alarm, A: recall 65.0 %<br>20 reference frames" in named(figure, "A").hovertext[0]


def test_directions_are_where_they_are(one, other):
    systems = {"A": one.breakdowns["azimuth"], "B": other.breakdowns["azimuth"]}
    figure = measures.directions(systems, "recall")
    assert (figure.layout.polar.angularaxis.rotation, figure.layout.polar.angularaxis.direction) == (
        90,
        "counterclockwise",
    )
    ticks = dict(zip(figure.layout.polar.angularaxis.ticktext, figure.layout.polar.angularaxis.tickvals))
    assert [ticks[k] for k in ("front", "left", "back", "right")] == [0, 90, 180, 270]
    first, second = figure.data
    np.testing.assert_allclose(first.r, 100 * systems["A"]["recall"])
    middles = (np.asarray(first.theta) + (np.asarray(second.theta) - first.theta) % 360 / 2) % 360
    np.testing.assert_allclose(middles, [ticks[g] for g in first.customdata])
    assert (second.theta[2] - first.theta[2]) == pytest.approx(first.width[0]) and 2 * first.width[0] <= 45


def test_a_sector_says_its_azimuths(one):
    hover = dict(zip(breakdown.AZIMUTHS, measures.directions({"A": one.breakdowns["azimuth"]}, "LE").data[0].hovertext))
    assert hover["left"].startswith("left (azimuth 67.5° to 112.5°), A: LE –")
    assert hover["back"].startswith("back (azimuth 157.5° to −157.5°)")
    assert hover["front"].endswith("LE 10.0°<br>20 reference frames")  # 8 frames at 5°, 5 at 18°


def test_directions_need_sectors(one):
    with pytest.raises(ValueError, match=r"broken down by front, .* not by .*alarm"):
        measures.directions({"A": one.breakdowns["class"]}, "recall")
    with pytest.raises(ValueError, match="recall or LE, not 'F'"):
        measures.directions({"A": one.breakdowns["azimuth"]}, "F")


# Which class for which, and how far


def test_confusion_is_in_percent_of_rows(one):
    figure = measures.confusion(one.confusion, CLASSES)
    percent = np.array(figure.data[0].z, float)
    np.testing.assert_allclose(percent[:3][one.confusion[:3].sum(1) > 0].sum(1), 100)
    assert percent[1, 2] == 20 and "4 of 20 frames" in figure.data[0].hovertext[1][2]
    assert np.isnan(percent[2]).all() and np.isnan(percent[3, 3])
    assert figure.layout.xaxis.ticktext[-1] == figure.layout.yaxis.ticktext[-1] == "<i>nothing</i>"
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # the first class at the top


def test_shares_from_5_percent_are_written_legibly():
    matrix = np.array([[96, 4, 0], [50, 45, 5], [0, 0, 0]])
    figure = measures.confusion(matrix, ("a", "b"))
    texts = [t for t in figure.data[1:] if t.mode == "text"]
    written = {(y, x): (text, t.textfont.color) for t in texts for x, y, text in zip(t.x, t.y, t.text)}
    assert {place: text for place, (text, _) in written.items()} == {
        (0, 0): "96",
        (1, 0): "50",
        (1, 1): "45",
        (1, 2): "5",
    }
    positions, colours = zip(*figure.data[0].colorscale)
    for (row, column), (_, ink) in written.items():
        nearest = colours[int(np.argmin(np.abs(np.array(positions) - matrix[row, column] / 100)))]
        assert contrast(_hex(nearest), ink) >= 3.5


def test_each_cell_with_frames_can_be_selected():
    matrix = np.array([[96, 4, 0], [50, 45, 5], [0, 2, 0]])
    marks = measures.confusion(matrix, ("a", "b")).data[-1]
    assert {tuple(cell) for cell in marks.customdata} == {
        ("a", "a"), ("a", "b"), ("b", "a"), ("b", "b"), ("b", "nothing"), ("nothing", "b"),
    }  # fmt: skip
    assert marks.mode == "markers" and marks.marker.opacity == marks.unselected.marker.opacity == 0


def _hex(rgb):
    return "#" + "".join(f"{int(v):02X}" for v in re.findall(r"\d+", rgb))


def test_confusion_must_fit_the_classes(one):
    with pytest.raises(ValueError, match=r"matrix must be \(3, 3\), .* not \(4, 4\)"):
        measures.confusion(one.confusion, CLASSES[:2])


def test_distances_are_shares_of_all_pairs_drawn_as_steps_over_their_bins():
    degrees = np.array([1.0, 1, 3, 19, 20, 61, 100, 59.5])
    figure = measures.distances({"A": breakdown.histogram(degrees)})
    (line,) = figure.data
    middles = np.asarray(line.x)[1:-1]
    np.testing.assert_allclose(middles, np.arange(1, 60, 2))
    assert (line.line.shape, line.x[0], line.x[-1]) == ("hvh", 0, 60)
    shares = dict(zip(middles, np.asarray(line.y)[1:-1]))
    assert [shares[k] for k in (1, 3, 19, 21, 59)] == [25, 12.5, 12.5, 12.5, 12.5] and line.y[0] == 25
    assert "A: 25.0 % beyond 60°" in notes(figure)[-1]
    assert line.name == f"A: half within {np.median(degrees):.1f}°, 90 % within {np.percentile(degrees, 90):.1f}°"
    assert [shape.x0 for shape in figure.layout.shapes] == [20]


def test_distances_of_nothing():
    figure = measures.distances({"A": breakdown.histogram(np.zeros(0))})
    assert figure.data[0].name == "A: no pairs" and not np.any(figure.data[0].y)


# Probabilities


def test_reliability_is_that_of_the_counts():
    n = np.array([4.0, 0, 16, 0, 0, 0, 0, 0, 0, 100])
    counts = ReliabilityCounts(n, n * np.linspace(0.05, 0.95, 10), n * 0.5)
    dots = measures.reliability({"A": counts}).data[1]
    np.testing.assert_allclose(dots.x, [0.05, 0.25, 0.95])
    np.testing.assert_allclose(dots.y, 0.5)
    assert list(dots.customdata) == [4, 16, 100] and list(np.diff(dots.marker.size) > 0) == [True, True]
    assert dots.name == f"A: ECE {counts.ece:.3f}" and "8 of 16 tracks" in dots.hovertext[1]
    assert measures.reliability({"A": ReliabilityCounts()}).data[1].name == "A: nothing to count"


def test_f_over_threshold_marks_the_best():
    counts = threshold_counts()
    figure = measures.f_over_threshold(counts, CLASSES)
    assert [t.name for t in figure.data] == ["all classes", "alarm", "piano"]  # the third is not in the reference
    for trace, f, best in zip(
        figure.data, [counts.overall_f, *counts.f.T[:2]], [counts.report()["threshold"], *counts.best_thresholds[:2]]
    ):
        np.testing.assert_allclose(trace.y, 100 * f)
        assert [x for x, size in zip(trace.x, trace.marker.size) if size] == [best]
    assert figure.data[1].line.color == theme.class_colour("alarm")
    assert figure.data[0].line.width > 2 * figure.data[1].line.width


# Scores and identity


def test_years_with_their_intervals(one, other):
    systems = {"A": one.scores, "B": other.scores}
    figure = measures.years(systems, "F")
    assert list(figure.layout.xaxis.ticktext) == ["2020", "2021", "2022", "2023", "2024", "2025"]
    for name, scores in systems.items():
        dots, lines = named(figure, name), named(figure, f"{name}, 95 % intervals")
        np.testing.assert_allclose(dots.y, [100 * scores[m]["F"] for m in dots.customdata])
        low, high, gap = np.reshape(lines.y, (-1, 3)).T
        bounds = np.array([scores[m]["intervals"]["bootstrap"]["F"] for m in dots.customdata], float)
        np.testing.assert_allclose(np.stack([low, high], 1), 100 * bounds)
        assert np.isnan(gap).all() and list(lines.x[::3]) == list(dots.x)
        if not np.isnan(bounds[0]).any():
            assert f"95 % interval {texts.number('F', bounds[0][0])} to" in dots.hovertext[0]
    assert not set(named(figure, "A").x) & set(named(figure, "B").x)


def test_one_clip_has_no_intervals():
    scores = evaluate({"a": ESTIMATE}).scores
    assert not any(found["intervals"] for found in scores.values())
    figure = measures.years({"A": scores}, "LE")
    assert np.isnan(figure.data[1].y).all() and not any("interval" in text for text in figure.data[0].hovertext)
    low, high = figure.layout.yaxis.range
    values = [found["LE"] for found in scores.values() if found["LE"] is not None]
    assert low < min(values) and max(values) < high and high - low >= 4


def test_a_score_without_value_is_not_drawn():
    figure = measures.years({"A": {"dcase2024": {"LE": None, "intervals": {}}}}, "LE")
    assert np.isnan(figure.data[0].y[0]) and "LE –" in figure.data[0].hovertext[0]
    with pytest.raises(ValueError, match=r"score must be one of ER, F, .*, not 'coverage'"):
        measures.years({}, "coverage")


def test_identity_has_a_panel_for_each_measure(one, other):
    rates = {"A": one.identity_rates, "B": dict.fromkeys(other.identity_rates)}
    figure = measures.identity(rates)
    assert len(figure.data) == len(measures.IDENTITY) == len({t.xaxis for t in figure.data})
    for trace, name in zip(figure.data, measures.IDENTITY):
        assert trace.x[0] == pytest.approx(rates["A"][name] * (100 if name in texts.PERCENT else 1))
        assert trace.text == (texts.value(name, rates["A"][name]), "–")
    assert list(figure.layout.yaxis.ticktext) == ["A", "B"]


# The look of all


def strings(node, key=""):
    """Every string that plotly shows; customdata is not shown."""
    if isinstance(node, dict):
        for k, v in node.items():
            if k not in ("customdata", "template"):
                yield from strings(v, k)
    elif isinstance(node, list | tuple | np.ndarray):
        for v in node:
            yield from strings(v, key)
    elif isinstance(node, str):
        yield key, node


def test_names_are_never_markup(one, other):
    found = 0
    for figure in all_figures(one, other):
        for key, text in strings(figure.to_dict()):
            assert "<b>" not in text and "<a " not in text, (key, text)
            found += "&lt;b&gt;" in text
    assert found > 50


def test_no_colours_of_page_or_text_of_their_own(one, other):
    for figure in all_figures(one, other):
        layout = figure.layout
        assert (layout.paper_bgcolor, layout.plot_bgcolor, layout.font.color, layout.legend.font.color) == (None,) * 4
        colours = {text.upper() for key, text in strings(figure.to_dict()) if key in ("color", "bgcolor")}
        assert not {c for c in colours if re.fullmatch(r"#0000[0-4][0-9A-F]", c)} - {"#000000"}
        assert layout.font.size >= 14 and layout.height >= 100


def test_height_grows_with_the_rows(one):
    table = pd.concat([one.breakdowns["class"].iloc[:1]] * 12)
    table.index = [f"group {n}" for n in range(12)]
    heights = [measures.outcomes(table.head(n), "").layout.height for n in (2, 6, 12)]
    assert heights[1] - heights[0] >= 4 * 24 and heights[2] - heights[1] >= 6 * 24


def luminance(colour):
    return np.dot([0.2126, 0.7152, 0.0722], linear(colour))


def linear(colour):
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


VISIONS = {  # Machado et al., "A Physiologically-based Model for Simulation of Color Vision Deficiency", TVCG 2009, severity 1
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def lab(rgb):
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(
    "colours", [measures.SYSTEM_COLOURS, tuple(measures.KIND_COLOURS.values())], ids=["systems", "kinds"]
)
def test_colours_are_told_apart(colours, vision):
    seen = [lab(np.array(VISIONS[vision]) @ linear(c)) for c in colours]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 15


def test_colours_stand_out_of_light_and_dark_pages():
    assert set(measures.KIND_COLOURS) == set(KINDS)
    for colour in measures.SYSTEM_COLOURS:
        assert contrast(colour, "#FFFFFF") >= 3 and contrast(colour, "#0E141A") >= 3
    for colour in measures.KIND_COLOURS.values():
        assert contrast(colour, "#FFFFFF") >= 2 and contrast(colour, "#0E141A") >= 2
        assert contrast(colour, theme.text_on(colour)) >= 4.5


def test_data_are_left_as_they_are(one, other):
    before = {k: t.copy() for k, t in one.breakdowns.items()}, one.confusion.copy()
    all_figures(one, other)
    for name, table in before[0].items():
        pd.testing.assert_frame_equal(table, one.breakdowns[name])
    assert (before[1] == one.confusion).all()


# How values are written


def test_values_are_written_with_their_units():
    assert [
        texts.value(k, v) for k, v in [("F", 0.7782), ("LE", 6.58), ("SELD", 0.192), ("LE", None), ("F", np.nan)]
    ] == [
        "77.8 %",
        "6.6°",
        "0.19",
        "–",
        "–",
    ]
    assert texts.number("LE", -1.5) == "−1.5" and texts.title("LR") == "LR (%)" and texts.title("ER") == "ER"
    assert (texts.scale("F"), texts.scale("LE")) == (100, 1)


def test_every_kind_measure_and_rate_has_its_sentence(one):
    assert set(texts.KINDS) == set(KINDS) and set(texts.MEASURES) == set(one.tallies)
    assert set(texts.IDENTITY) == set(texts.IDENTITY_NAMES) == set(one.identity_rates)
    for said in [*texts.DEFINITIONS.values(), texts.MEASURES, texts.FIGURES]:
        assert all(text.endswith(".") for text in said.values())


def test_notes_have_the_colour_of_the_text_of_the_page():
    assert "color" not in measures._note("5,000")["font"]
