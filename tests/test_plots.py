import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from app import theme
from app.plots import timeline

CLASSES = ("alarm", "piano")
TRACKS = ("track 1", "track 2")


def table(*rows):
    frame = pd.DataFrame(rows, columns=["frame", "class", "track", "azimuth", "elevation", "confidence"])
    return frame.assign(distance=np.nan)


def fill(figure, arrays):
    """The figure with the detections in it, as the component in the browser puts them there."""
    filled = go.Figure(figure)
    for trace, properties in zip(filled.data[-len(arrays) :], arrays):
        trace.update({key.replace(".", "_"): value for key, value in properties.items()})
    return filled


@pytest.fixture
def detections():
    rows = [(f, 0, 0, 10.0, 0.0, 0.9) for f in range(5, 10)] + [(f, 1, 1, 170.0 + f, 5.0, 0.6) for f in range(7, 9)]
    return table(*rows)


@pytest.fixture
def figure(detections):
    levels = np.arange(-40, 40, dtype=np.int8).reshape(20, 4)
    return timeline.timeline(levels, 0.05, np.array([100.0, 500, 2000, 8000]), 1.0, TRACKS, detections, CLASSES)


def test_panels_share_one_axis_of_time(figure):
    assert {figure.layout[f"xaxis{i}"].matches for i in ("", 2, 3)} == {"x4"}
    assert figure.layout.xaxis.range == (0, 1)


def test_spectrogram_is_eight_bit_and_placed_in_time(figure):
    heatmap = figure.data[0]
    assert heatmap.z.dtype == np.int8 and heatmap.z.shape == (4, 20)
    assert (heatmap.x0, heatmap.dx) == (0.025, 0.05)


def test_detections_come_last_and_empty(figure):
    names = [trace.name for trace in figure.data[-5:]]
    assert names == ["detections", "track 1 azimuth", "track 2 azimuth", "track 1 elevation", "track 2 elevation"]
    assert all(len(trace.x) == 0 for trace in figure.data[-5:])


def test_arrays_fill_the_figure(figure, detections):
    filled = fill(figure, timeline.detection_arrays(detections, CLASSES, TRACKS))
    bars, first, second = filled.data[-5:-2]
    assert list(bars.base) == [0.5, 0.7] and list(bars.x) == [0.5, 0.2]
    assert list(bars.y) == ["track 1", "track 2"] and list(bars.text) == ["alarm", "piano"]
    assert list(bars.marker.color) == [theme.class_colour("alarm"), theme.class_colour("piano")]
    assert list(first.x) == [0.55, 0.65, 0.75, 0.85, 0.95] and set(first.y) == {10.0}
    assert list(second.y) == [177.0, 178.0]
    assert len(figure.data[-1].x) == 0  # the standing figure is untouched


def test_nothing_detected_gives_empty_arrays():
    arrays = timeline.detection_arrays(table(), CLASSES, TRACKS)
    assert all(values == [] for properties in arrays for values in properties.values())


def test_lines_break_at_180_degrees_and_between_events():
    frame = np.array([0, 1, 2, 3, 7, 8])
    seconds, degrees = timeline.break_lines(frame, np.zeros(6, int), np.array([170.0, 178, -175, -170, 20, 21]))
    np.testing.assert_array_equal(np.isnan(degrees), [0, 0, 1, 0, 0, 1, 0, 0])
    np.testing.assert_allclose(seconds[~np.isnan(seconds)], (frame + 0.5) / 10)


def test_figure_without_ground_truth():
    figure = timeline.timeline(
        np.zeros((20, 4), np.int8), 0.05, np.array([100.0, 500, 2000, 8000]), 1.0, [*TRACKS, "track 3"], None
    )
    assert list(figure.layout.yaxis2.categoryarray) == ["track 3", "track 2", "track 1"]


def contrast(a, b):
    def luminance(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return np.dot([0.2126, 0.7152, 0.0722], linear)

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_class_colours_differ_and_carry_legible_text():
    colours = list(theme.CLASS_COLOURS.values())
    assert len(set(colours)) == len(colours) == 14
    for colour in [*colours, theme.class_colour("a class of another list")]:
        assert contrast(colour, theme.text_on(colour)) >= 4.5
        assert contrast(colour, "#FFFFFF") >= 2 and contrast(colour, "#0E141A") >= 2


def test_a_class_has_one_colour_in_every_list():
    assert theme.class_colour("knock") == theme.class_colour("knocking on door")
    assert theme.class_colour("bell") != theme.class_colour("alarm")
    assert theme.class_colour("x y z") == theme.class_colour("x y z")


def test_a_class_wise_network_has_lanes_named_by_class_with_room_for_their_names():
    names = ("running engine", *(f"class {i}" for i in range(13)))
    levels = np.zeros((20, 4), np.int8)
    figure = timeline.timeline(levels, 0.05, np.array([100.0, 500, 2000, 8000]), 1.0, names, None)
    few = timeline.timeline(levels, 0.05, np.array([100.0, 500, 2000, 8000]), 1.0, TRACKS, None)
    assert figure.layout.yaxis2.categoryarray == names[::-1]
    assert figure.layout.margin.l > few.layout.margin.l and figure.layout.height < few.layout.height + 14 * 30
