import itertools

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from app.plots import ribbons, timeline
from app.ui import theme
from einv2.labels import class_lists

CLASSES = ("alarm", "piano")
TRACKS = ("track 1", "track 2")


def table(*rows):
    frame = pd.DataFrame(rows, columns=["frame", "class", "track", "azimuth", "elevation", "confidence"])
    return frame.assign(distance=np.nan)


MEL_HZ = np.array([100.0, 500, 2000, 8000])


def plain(image=None, names=TRACKS, truth=None, seconds=1.0, groups=(), picture=None, **behind):
    """The figure; picture: options of the Picture; behind: those of what lies behind the detections."""
    image = np.zeros((20, 4), np.int8) if image is None else image
    return timeline.timeline(
        timeline.Picture(image, 0.05, MEL_HZ, **(picture or {})),
        timeline.Lanes(names, groups),
        seconds,
        timeline.Truth(truth, CLASSES),
        timeline.Behind(**behind),
    )


def arrays_of(table, names=TRACKS, groups=()):
    return timeline.detection_arrays(table, CLASSES, timeline.Lanes(names, groups))


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
    return plain(np.arange(-40, 40, dtype=np.int8).reshape(20, 4), truth=detections)


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


def test_names_on_a_tint_have_the_colour_of_the_text_of_the_page(figure, detections):
    (bars,) = (trace for trace in figure.data if trace.name == "truth")
    assert bars.textfont.color == theme.PAGE_TEXT  # which is none that Plotly would take instead
    for event, again in ((ribbons.NOTHING, False), (0, True)):
        assert ribbons._fill(event, again, "alarm", ["#FF0000"])[-1] == theme.PAGE_TEXT
    assert ribbons._fill(0, False, "alarm", ["#FF0000"])[-1] == theme.text_on("#FF0000")


def test_arrays_fill_the_figure(figure, detections):
    filled = fill(figure, arrays_of(detections))
    bars, first, second = filled.data[-5:-2]
    assert list(bars.base) == [0.5, 0.7] and list(bars.x) == [0.5, 0.2]
    assert list(bars.y) == ["track 1", "track 2"] and list(bars.text) == ["alarm", "piano"]
    assert list(bars.marker.color) == [theme.class_colour("alarm"), theme.class_colour("piano")]
    assert list(first.x) == [0.55, 0.65, 0.75, 0.85, 0.95] and set(first.y) == {10.0}
    assert list(second.y) == [177.0, 178.0]
    assert len(figure.data[-1].x) == 0  # the standing figure is untouched


def test_nothing_detected_gives_empty_arrays():
    arrays = arrays_of(table())
    assert all(values == [] for properties in arrays for values in properties.values())


def test_lines_break_at_180_degrees_and_between_events():
    frame = np.array([0, 1, 2, 3, 7, 8])
    seconds, degrees = timeline.break_lines(frame, np.zeros(6, int), np.array([170.0, 178, -175, -170, 20, 21]))
    np.testing.assert_array_equal(np.isnan(degrees), [0, 0, 1, 0, 0, 1, 0, 0])
    np.testing.assert_allclose(seconds[~np.isnan(seconds)], (frame + 0.5) / 10)


def test_figure_without_ground_truth():
    picture = timeline.Picture(np.zeros((20, 4), np.int8), 0.05, MEL_HZ)
    figure = timeline.timeline(picture, timeline.Lanes([*TRACKS, "track 3"]), 1.0)
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
    assert len(set(colours)) == len(colours) and set(class_lists.DCASE2020_CLASSES) <= set(theme.CLASS_COLOURS)
    for colour in [*colours, theme.class_colour("a class of another list")]:
        assert contrast(colour, theme.text_on(colour)) >= 4.5
        assert contrast(colour, "#FFFFFF") >= 2 and contrast(colour, "#0E141A") >= 3


# Linear RGB as it is seen without one kind of cone: Machado, Oliveira and Fernandes 2009, severity 1.
SEEN = {
    "all cones": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour, seen):
    """CIE L*a*b* of #RRGGBB under D65."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(seen @ linear, 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("classes", sorted({*class_lists.CLASS_LISTS.values()}), ids=len)
def test_colours_of_a_class_list_are_apart_for_every_eye(classes, seen):
    """By more than a difference of colour that is plain in small marks side by side."""
    points = [lab(theme.class_colour(name), np.array(SEEN[seen])) for name in classes]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(points, 2)) > 12


def test_a_class_has_one_colour_in_every_list():
    assert theme.class_colour("knock") == theme.class_colour("knocking on door")
    assert theme.class_colour("bell") != theme.class_colour("alarm")
    assert theme.class_colour("x y z") == theme.class_colour("x y z")


def test_a_class_wise_network_has_lanes_named_by_class_with_room_for_their_names():
    names = ("running engine", *(f"class {i}" for i in range(13)))
    figure, few = plain(names=names), plain()
    assert figure.layout.yaxis2.categoryarray == names[::-1]
    assert figure.layout.margin.l > few.layout.margin.l and figure.layout.height < few.layout.height + 14 * 30


# What stands behind the detections


def trace(figure, name):
    return next(t for t in figure.data if t.name == name)


def test_the_mel_axis_says_hertz(figure):
    """The hover text gets the frequency from the axis; ticks lie between the bands, evenly spaced as mels."""
    assert (
        list(figure.data[0].y) == list(figure.layout.yaxis.categoryarray) == ["100 Hz", "500 Hz", "2000 Hz", "8000 Hz"]
    )
    assert "%{y}" in figure.data[0].hovertemplate and "dB" in figure.data[0].hovertemplate
    ticks = dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals))
    assert ticks["500"] == 1 and ticks["2k"] == 2 and ticks["1k"] == pytest.approx(1 + 1 / 3)


def test_a_component_of_the_intensity_has_two_colours_and_nothing_in_the_middle():
    heatmap = plain(np.full((20, 4), -90, np.int8), picture={"kind": "intensity", "title": "intensity Y"}).data[0]
    assert (heatmap.zmin, heatmap.zmax) == (-127, 127) and heatmap.z.dtype == np.int8
    (low, blue), (middle, dark), (high, orange) = heatmap.colorscale
    assert (low, middle, high) == (0, 0.5, 1) and len({blue, dark, orange}) == 3


def test_a_waveform_is_drawn_between_its_extremes():
    extremes = np.stack([np.full(20, -127), np.arange(20)], axis=1).astype(np.int8)
    figure = plain(extremes, picture={"kind": "waveform", "full_scale": 0.5})
    lower, upper = figure.data[:2]
    assert upper.fill == "tonexty" and (upper.x0, upper.dx) == (0.025, 0.05)
    np.testing.assert_allclose(lower.y, -0.5)
    np.testing.assert_allclose(upper.y, np.arange(20) * 0.5 / 127, atol=1e-4)
    np.testing.assert_allclose(figure.data[2].z[0], 0.5)  # the peaks, told wherever the mouse is
    assert figure.layout.yaxis.range == (-0.525, 0.525) and figure.layout.yaxis.type != "category"


@pytest.mark.parametrize(
    "options, title", [({}, "log-mel (dB)"), ({"title": "<W>"}, "&lt;W&gt;"), ({"title": ""}, None)]
)
def test_the_first_panel_has_a_title(options, title):
    assert [a.text for a in plain(picture=options).layout.annotations] == ([title] if title else [])


def test_probabilities_lie_in_their_lanes_and_are_told_with_the_class(detections):
    """Rows go from the lowest lane upwards, for every lane: in any other order plotly.js shows the text of another row."""
    sed = np.zeros((10, 2, 2))
    sed[:, 0, 0], sed[:, 1, 1] = 0.126, 0.7
    sed[0] = 0.01
    probabilities, probable = timeline.lane_probabilities(sed)
    assert probabilities.dtype == probable.dtype == np.uint8 and probabilities[:3].tolist() == [
        [1, 1],
        [13, 70],
        [13, 70],
    ]
    strip = trace(
        plain(truth=detections, probabilities=probabilities, probable=probable, classes=("alarm", "<piano>")),
        "probabilities",
    )
    assert strip.y == ("truth 2", "truth 1", "track 2", "track 1")
    assert [row[1] for row in strip.z] == [None, None, 70, 13] and [row[0] for row in strip.z] == [None, None, 1, 1]
    assert [row[1] for row in strip.text[2:]] == ["&lt;piano&gt;", "alarm"] and strip.text[2][0] == ""
    alone = trace(plain(probabilities=probabilities), "probabilities")
    assert alone.text is None and "%{text}" not in alone.hovertemplate


def test_energy_lies_behind_the_azimuths():
    energy = np.zeros((10, 4), np.uint8)
    energy[3, 1] = 255
    heatmap = trace(plain(energy=energy), "energy")
    assert heatmap.yaxis == "y3" and heatmap.z.dtype == np.uint8 and heatmap.z[1, 3] == 255
    assert list(heatmap.y) == [-135, -45, 45, 135] and (heatmap.x0, heatmap.dx) == (0.05, 0.1)
    falling = trace(plain(energy=energy, energy_azimuths=np.array([180, 90, 0, -90])), "energy")
    assert list(falling.y) == [180, 90, 0, -90]
    assert heatmap.colorscale[0][1].endswith(",0)")  # nothing is seen through


def test_chunk_borders_are_one_shape_inside_the_clip():
    shapes = plain(seconds=12.0, chunk_seconds=4).layout.shapes
    assert [s.path for s in shapes] == ["M4,0L4,1M8,0L8,1"]
    assert (shapes[0].xref, shapes[0].yref) == ("x", "paper")
    assert not plain(seconds=4.0, chunk_seconds=4).layout.shapes and not plain(seconds=12.0).layout.shapes


SYSTEMS = ("a 1", "a 2", "b 1", "b 2", "b 3", "c 1")


def test_systems_are_blocks_of_lanes_with_dots_of_their_own(detections):
    figure = plain(names=SYSTEMS, truth=detections, groups=(2, 3, 1))
    dots = [t.marker for t in figure.data[-6:]]
    assert [d.symbol for d in dots[:5]] == ["circle", "diamond", "square", "triangle-up", "cross"]
    assert dots[5].symbol == "x" and dots[0].line.width is None and dots[2].line.width == 1.2
    assert [s.y0 for s in figure.layout.shapes] == [5.5, 2.5, 1.5]  # of eight lanes, the truth's two below
    without = plain(names=SYSTEMS, groups=(2, 3, 1))
    assert [s.y0 for s in without.layout.shapes] == [3.5, 0.5]


def test_rows_of_each_system_go_to_its_lanes(detections):
    both = pd.concat([detections.assign(system=0), detections.assign(system=1, azimuth=50.0)])
    arrays = arrays_of(both, SYSTEMS, (2, 3, 1))
    assert len(arrays) == len(timeline.empty_detections(timeline.Lanes(SYSTEMS, (2, 3, 1)))) == 13
    assert arrays[0]["y"] == ["a 1", "b 1", "a 2", "b 2"]
    assert [len(dots["x"]) for dots in arrays[1:7]] == [5, 2, 5, 2, 0, 0]
    assert set(arrays[1]["y"]) == {10.0} and set(arrays[3]["y"]) == {50.0}
    assert "system" in both and both["track"].max() == 1  # the input is left alone
    assert arrays_of(both[both["system"] == 0], TRACKS, (2,)) == arrays_of(detections)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"picture": {"kind": "phase"}}, "kind must be one of level, intensity, waveform, not 'phase'"),
        ({"groups": (2, 1)}, "must add up to the 2 lanes"),
        ({"probabilities": np.zeros((10, 3), np.uint8)}, r"probabilities must be \(T, 2\)"),
    ],
)
def test_what_does_not_fit_is_named(options, says):
    with pytest.raises(ValueError, match=says):
        plain(**options)


def test_names_of_lanes_are_cut_and_harmless():
    names = ("<b>bold</b>", "a name that goes on and on and on and on", "c")
    axis = plain(names=names).layout.yaxis2
    assert axis.ticktext == ("&lt;b&gt;bold&lt;/b&gt;", "a name that goes on and…", "c")
    assert axis.tickvals == names and plain(names=names).layout.margin.l < 200


def test_nothing_to_show():
    nothing = np.zeros((0, 2), np.uint8)
    figure = plain(
        np.zeros((0, 4), np.int8), probabilities=nothing, probable=nothing, classes=CLASSES,
        energy=np.zeros((0, 72), np.uint8), chunk_seconds=4,
    )  # fmt: skip
    assert len(figure.data) == 3 + 5 and figure.to_json()
    for empty in (np.zeros((0, 2), np.int8), np.zeros((3, 2), np.int8)):
        assert plain(empty, picture={"kind": "waveform"}).to_json()


@pytest.mark.parametrize("n_lanes, groups", [(2, ()), (6, (2, 2, 2)), (14, ())])
def test_a_minute_is_less_than_900_kilobytes(rng, detections, n_lanes, groups):
    """Values of single frames travel in eight bits; written out as numbers they would be megabytes."""
    figure = timeline.timeline(
        timeline.Picture(rng.integers(-100, 0, (1200, 96), np.int8), 0.05, np.geomspace(50, 12000, 96)),
        timeline.Lanes([f"system {i}" for i in range(n_lanes)], groups),
        60.0,
        timeline.Truth(detections, CLASSES),
        timeline.Behind(
            probabilities=rng.integers(0, 101, (600, n_lanes), np.uint8),
            probable=rng.integers(0, 2, (600, n_lanes), np.uint8),
            classes=("knocking on door", "running engine"),
            energy=rng.integers(0, 256, (600, 72), np.uint8),
            chunk_seconds=4,
        ),
    )
    assert len(figure.to_json()) < 900_000


def test_silence_is_dark_and_hiss_is_faint():
    """Levels are of mel bands: white noise of -60 dBFS has up to about -38 dB in them, a full sine 32."""
    for top, expected in ((-100, (-90, -20)), (-60, (-90, -20)), (-20, (-90, -20)), (10, (-60, 10)), (32, (-38, 32))):
        levels = np.full((10, 4), top, np.int8)
        assert timeline.level_range(levels) == expected
    assert timeline.level_range(np.zeros((0, 4), np.int8)) == (-90, -20)
    heatmap = plain().data[0]
    assert heatmap.showscale is None and heatmap.colorbar.title.text == "dB" and heatmap.colorbar.len < 0.5
