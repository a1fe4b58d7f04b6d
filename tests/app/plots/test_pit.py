"""The figures of the PIT lab from hand-made arrays."""

import numpy as np
import pandas as pd
import pytest

from app.plots import pit

CLASSES = ("alarm", "piano")
T = 6


@pytest.fixture
def tables():
    frames = np.arange(T)
    truth = pd.DataFrame({"frame": frames, "class": 0, "track": 0, "azimuth": 30.0, "elevation": 0.0})
    rows = {"frame": np.repeat(frames, 2), "track": [0, 1] * T, "class": [0, 1] * T}
    return pd.DataFrame(rows | {"azimuth": [28.0, -170.0] * T, "active": [True, False] * T}), truth


def traces(figure, name):
    return [t for t in figure.data if t.name == name]


def microscope(tables, pulls=None, chunk_seconds=None, parts=None):
    estimate, truth = tables
    active = np.arange(T) < 5
    chosen = {"tpit": np.array([0, 1, 0, 0, 1, 0]), "cpit": np.zeros(T, int), "none": np.zeros(T, int)}
    pulled = {rule: (index != chosen["tpit"]) & active for rule, index in chosen.items()}
    costs = np.stack([np.linspace(0, 1, T), np.linspace(1, 0, T)], 1)
    margin = np.abs(costs[:, 0] - costs[:, 1])
    return pit.microscope(
        T / 10,
        pit.Costs(np.array([[0, 1], [1, 0]]), costs, "SED + DoA", margin, active, parts or {}),
        pit.Choices(chosen, pulled),
        pit.Directions(estimate, truth, CLASSES, pulls),
        chunk_seconds,
    )


def test_a_line_a_permutation_empty_where_nothing_sounds(tables):
    figure = microscope(tables)
    lines = [t for t in figure.data if t.name.startswith("cost")]
    assert [t.name for t in lines] == ["cost 1→1, 2→2", "cost 1→2, 2→1"]
    np.testing.assert_allclose(lines[0].y, [0, 0.2, 0.4, 0.6, 0.8, np.nan])
    np.testing.assert_allclose(lines[0].x, [0.05, 0.15, 0.25, 0.35, 0.45, 0.55])
    assert figure.layout.xaxis.range == (0, 0.6)


def test_ribbons_have_the_colours_of_the_lines(tables):
    figure = microscope(tables)
    (ribbons,) = traces(figure, "chosen")
    assert [list(row) for row in ribbons.z] == [[0, 1, 0, 0, 1, None], [0, 0, 0, 0, 0, None], [0, 0, 0, 0, 0, None]]
    colours = [t.line.color for t in figure.data if t.name.startswith("cost")]
    assert [colour for _, colour in ribbons.colorscale[::2]] == colours
    assert figure.layout.yaxis2.ticktext == ("tPIT", "cPIT", "no PIT")


def test_a_cross_where_a_rule_pulls_the_wrong_way(tables):
    (marks,) = traces(microscope(tables), "pulled the wrong way")
    assert list(zip(marks.x, marks.y)) == [(0.15, 1), (0.45, 1), (0.15, 2), (0.45, 2)]


def test_pulls_go_the_shorter_way(tables):
    pulls = pd.DataFrame({"frame": [1, 4], "azimuth": [170.0, 10.0], "target": [-150.0, 60.0]})
    (lines,) = traces(microscope(tables, pulls), "pulls")
    np.testing.assert_allclose(lines.y, [170, 210, np.nan, 10, 60, np.nan])
    np.testing.assert_allclose(lines.x, [0.15, 0.15, np.nan, 0.45, 0.45, np.nan])
    assert not traces(microscope(tables, pulls[:0]), "pulls")


def test_chunk_borders_are_drawn_if_wanted(tables):
    assert not microscope(tables).layout.shapes
    assert microscope(tables, chunk_seconds=0.25).layout.shapes[0].path == "M0.25,0L0.25,1M0.5,0L0.5,1"
    assert not microscope(tables, chunk_seconds=4).layout.shapes


def test_dots_are_hollow_where_a_track_is_not_active(tables):
    estimate, truth = tables
    figure = pit.azimuths({"A": estimate, "<B>": estimate[:0]}, truth, CLASSES, 0.6)
    (first,), (second,) = traces(figure, "track 1 azimuth"), traces(figure, "track 2 azimuth")
    assert first.marker.symbol == "circle" and second.marker.symbol == "diamond-open"
    assert len(traces(figure, "truth alarm")) == 2  # in both panels
    assert [a.text for a in figure.layout.annotations] == ["A", "&lt;B&gt;"]


def test_the_midpoint_is_drawn_and_broken_where_there_is_none(tables):
    estimate, truth = tables
    figure = pit.azimuths({"A": estimate}, truth, CLASSES, 0.6, (np.array([0, 1, 4]), np.array([5.0, 6.0, 7.0])))
    np.testing.assert_allclose(traces(figure, "midpoint")[0].y, [5, 6, np.nan, 7])


def test_tracks_have_ribbons_below_their_azimuths(tables):
    estimate, truth = tables
    ribbons = pd.DataFrame(
        {
            "track": [0, 1, 1],
            "onset": [0.0, 0.1, 0.3],
            "offset": [0.5, 0.3, 0.6],
            "colour": ["#111111", "#222222", "#333333"],
            "text": "<a>",
        }
    )
    figure = pit.azimuths({"A": estimate, "B": estimate}, truth, CLASSES, 0.6, ribbons={"A": ribbons, "B": ribbons[:0]})
    (bars,) = traces(figure, "ribbons")
    np.testing.assert_allclose(bars.base, [0, 0.1, 0.3])
    np.testing.assert_allclose(bars.x, [0.5, 0.2, 0.3])
    assert bars.y[0] > bars.y[1] == bars.y[2] > figure.layout.yaxis.range[0] and max(bars.y) < -184
    assert bars.customdata[0] == "&lt;a&gt;<br>0.0 to 0.5 s" and bars.marker.color == ("#111111", "#222222", "#333333")
    assert figure.layout.yaxis.ticktext[-2:] == ("track 1", "track 2") and figure.layout.yaxis2.range == (-184, 184)


def test_the_parts_of_a_cost_are_told_under_the_mouse(tables):
    parts = {"SED": np.full((T, 2), 0.25), "DoA": np.tile([0.5, 0.75], (T, 1))}
    first, second = (t for t in microscope(tables, parts=parts).data if t.name.startswith("cost"))
    assert first.customdata[0].tolist() == [0.25, 0.5] and second.customdata[0].tolist() == [0.25, 0.75]
    assert "SED %{customdata[0]:.3f}<br>DoA %{customdata[1]:.3f}" in first.hovertemplate


def test_points_are_told_apart_by_the_diagonal():
    figure = pit.midpoint_points({"A": (np.array([10.0, 50.0, 30.0]), np.array([40.0, 5.0, 30.0]))})
    assert traces(figure, "nearer to a source")[0].x.tolist() == [10, 30]
    assert traces(figure, "nearer to the midpoint")[0].x.tolist() == [50]
    assert pit.midpoint_points({}).data == ()


def test_curves_have_the_colour_of_their_rule():
    figure = pit.curves({"EINV2, tPIT": ([1, 2], [3, 4]), "other": ([1], [2]), "no PIT": ([], [])}, "epoch", "LE (°)")
    assert (
        figure.data[0].line.color == pit.RULE_COLOURS["tpit"] and figure.data[2].line.color == pit.RULE_COLOURS["none"]
    )
    assert figure.data[1].line.color in pit.OTHER_COLOURS and figure.data[1].line.dash == "dash"
    assert pit.curves({}, "epoch", "LE", 100).layout.xaxis.range == (-2, 102)


def test_pairs_are_joined_where_both_are_known():
    figure = pit.paired(["a", "b", "c"], [1.0, 2.0, None], [3.0, None, None], "LE (°)")
    joined = [t for t in figure.data if t.mode == "lines"]
    assert [(list(t.x), list(t.y)) for t in joined] == [([1, 3], [0, 0])]
    assert list(traces(figure, "the paper")[0].x) == [1, 2] and list(traces(figure, "measured here")[0].x) == [3]


def test_the_plane_has_the_front_up_and_the_left_at_the_left():
    sources = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    doa = np.repeat(sources.mean(0)[None, None], 2, axis=1)
    figure = pit.plane(sources, {"tPIT": doa, "no PIT": doa})
    found = traces(figure, "source")[0]
    np.testing.assert_allclose([found.x, found.y], [[0, -1], [1, 0]])
    middle, ends = traces(figure, "mean of both")[0], traces(figure, "track 2")[1]
    assert (middle.x[0], middle.y[0]) == (ends.x[1], ends.y[1]) == (-0.5, 0.5)


def test_permutations_are_named_from_1():
    assert pit.permutation_name([1, 0]) == "1→2, 2→1"
