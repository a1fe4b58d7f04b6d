"""The map of a composed scene and its truth over time."""

import numpy as np
import pandas as pd
import pytest

from app.plots import scene_map
from app.ui import theme
from app.views.scenes import scene
from einv2.labels import class_lists


def rows(*sources):
    """Rows of (class, onset, length, azimuth, elevation, azimuth to, elevation to)."""
    return pd.DataFrame(sources, columns=["class", "onset", "length", *scene_map.WHERE])


def test_the_left_is_left_and_every_place_can_be_chosen():
    figure = scene_map.scene_map(scene.to_rows(scene.first_scene().sources))
    low, high = figure.layout.xaxis.range
    assert low > 180 and high < -180
    places = {(x, y) for x, y in zip(figure.data[0].x, figure.data[0].y)}
    assert len(places) == 73 * 37 and {(-180, -90), (180, 90), (5, -35)} <= places
    assert figure.data[0].marker.opacity == 0 and figure.data[0].hoverinfo != "skip"


def test_sources_stand_with_numbers_and_times_or_have_an_arrow():
    figure = scene_map.scene_map(rows(("alarm", 1.0, 2.5, 20, 5, 20, 5), ("piano", 0.0, 4.0, -60, 0, 30, 40)), chosen=1)
    assert [trace.name for trace in figure.data] == ["places", "rim of source 2", "way of source 2", "starts"]
    _, rim, way, starts = figure.data
    assert list(rim.x) == list(way.x) and rim.line.width > way.line.width
    assert list(starts.x) == [20, -60] and list(starts.y) == [5, 0]
    assert list(starts.text) == ["1 alarm<br>1.0 to 3.5 s", "<b>2 piano<br>0.0 to 4.0 s</b>"]
    assert list(starts.marker.color) == [theme.class_colour("alarm"), theme.class_colour("piano")]
    assert list(starts.marker.line.width) == [1.5, 3] and starts.textfont.color is None  # the page's
    assert (way.x[0], way.y[0], way.x[-1], way.y[-1]) == (-60, 0, 30, 40)
    assert way.marker.symbol[-1] == "arrow" and way.marker.angleref == "previous"


def test_rows_that_are_not_complete_are_drawn_as_far_as_they_go():
    nothing = np.nan
    figure = scene_map.scene_map(
        rows(
            ("alarm", nothing, 1.0, 10, 0, nothing, nothing),
            (None, 0.0, 1.0, 5, 5, 5, 5),
            ("piano", 0, 1, nothing, 0, 0, 0),
        )
    )
    assert [trace.name for trace in figure.data] == ["places", "starts"]
    assert list(figure.data[-1].text) == ["1 alarm", "2 ?<br>0.0 to 1.0 s"]
    assert list(scene_map.scene_map(rows()).data[-1].x) == []


def test_names_are_escaped():
    figure = scene_map.scene_map(rows(("<img src=x>", 0.0, 1.0, 10, 0, 50, 0)))
    assert "<img" not in figure.to_json()


def test_a_way_over_the_back_goes_on_at_the_other_edge():
    azimuth, elevation = scene_map.way_points(170, 0, 190, 20)
    (gap,) = np.flatnonzero(np.isnan(azimuth))
    assert (azimuth[gap - 1], azimuth[gap + 1]) == (180, -180) and np.isfinite(elevation).all()
    assert azimuth[0] == 170 and azimuth[-1] == pytest.approx(-170) and elevation[-1] == 20
    azimuth, _ = scene_map.way_points(-170, 0, -190, 0)
    (gap,) = np.flatnonzero(np.isnan(azimuth))
    assert (azimuth[gap - 1], azimuth[gap + 1]) == (-180, 180)
    azimuth, _ = scene_map.way_points(0, 0, 720, 0)  # twice around
    assert np.isnan(azimuth).sum() == 2
    assert [len(v) for v in scene_map.way_points(30, 10, 30, 10)] == [1, 1]


def test_labels_do_not_cover_one_another():
    crowd = rows(*(("alarm", 0.0, 1.0, 3 * n, n, 3 * n, n) for n in range(6)))
    starts = scene_map.scene_map(crowd).data[-1]
    boxes = [scene_map._box(x, y, t, p) for x, y, t, p in zip(starts.x, starts.y, starts.text, starts.textposition)]
    free = [b for b in boxes if not any(scene_map._meet(b, other) for other in boxes if other is not b)]
    assert len(free) >= 2 and all(text.startswith(str(n)) for n, text in enumerate(starts.text, 1))
    far = rows(*(("alarm", 0.0, 1.0, 50 * n - 125, 0, 50 * n - 125, 0) for n in range(6)))
    texts = list(scene_map.scene_map(far).data[-1].text)
    assert texts == [f"{n} alarm<br>0.0 to 1.0 s" for n in range(1, 7)]
    many = rows(*(("alarm", 0.0, 1.0, 20 * n - 150, 0, 20 * n - 150, 0) for n in range(scene_map.MOST_TIMES + 1)))
    assert " s" not in "".join(scene_map.scene_map(many).data[-1].text)


def test_the_truth_has_a_lane_for_what_sounds_at_once():
    table = pd.DataFrame(
        {"frame": [*range(10), *range(5, 15)], "class": [0] * 10 + [13] * 10, "track": [0] * 10 + [1] * 10}
    ).assign(azimuth=20.0, elevation=-5.0, distance=np.nan)
    figure = scene_map.truth_figure(table, class_lists.DCASE2020_CLASSES, 3)
    assert list(figure.data[0].y) == ["truth 1", "truth 2"] and list(figure.data[0].base) == [0.0, 0.5]
    assert len(figure.data) == 5 and tuple(figure.layout.xaxis3.range) == (0, 3)
    assert scene_map.truth_figure(table.iloc[:0], class_lists.DCASE2020_CLASSES, 3).data[0].name == "truth"
