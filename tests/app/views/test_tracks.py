"""The Tracks page without a browser: every state of it, and its figures."""

import dataclasses
import json
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.clip import detections
from app.plots import network, ribbons
from app.plots.ribbons import Block, Ribbons
from app.storage import user_folder
from app.ui import session, theme
from app.views.tracks import tracking
from einv2.analysis import attention
from einv2.checkpoints import checkpoint
from einv2.config import ModelConfig
from einv2.labels import class_lists
from einv2.metrics import track_assignment
from einv2.models.build import build
from support.pages import TIMEOUT, encoded, live, noise, only_error, shown
from support.places import ROOT

CLASSES = ("alarm", "piano")


@pytest.fixture(autouse=True)
def _full_errors(monkeypatch):
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["main.py"])


def tracks(**choices) -> AppTest:
    """The page, with widgets set beforehand. A widget's choice must stand in the session before it is drawn."""
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()
    for key, value in choices.items():
        app.session_state[key] = value
    return app.switch_page("views/tracks/page.py").run()


def example(key="two_of_a_kind", networks=("einv2-tpit", "einv2-nopit"), **choices) -> AppTest:
    app = tracks(tracks_networks=list(networks), **choices)
    return fine(app.button(key=f"example_{key}").click().run())


def fine(app) -> AppTest:
    assert not app.exception and not app.error, (app.exception, app.error)
    return app


def view(app, name, **choices) -> AppTest:
    for key, value in (("tracks_view", name), *choices.items()):
        app.session_state[key] = value
    return fine(app.run())


def figure(app, n=0) -> dict:
    return json.loads(app.get("plotly_chart")[n].proto.spec)


def table_of(key):
    """A dataframe on the page by its columns."""
    return lambda app: next(d.value for d in app.dataframe if key in d.value.columns)


def test_the_empty_page_teaches_and_offers_the_examples():
    app = fine(tracks())
    assert any("swap" in m.value for m in app.markdown)
    assert "example_two_of_a_kind" in [b.key for b in app.button] and not app.get("plotly_chart")


def test_without_a_system_it_says_what_to_do():
    app = tracks(tracks_networks=[])
    fine(app.button(key="example_two_of_a_kind").click().run())
    assert any("Choose a network" in i.value for i in app.info)


def test_an_example_through_two_networks():
    app = example()
    arrays = live(app)["arrays"]
    assert [trace["name"] for trace in figure(app)["data"][-4:]] == ["segments", "swap", "duplicate", "fragment"]
    assert len(arrays) == 4 and arrays[0]["x"]
    measures = table_of("coverage")(app)
    assert measures["system"].tolist() == ["einv2-tpit", "einv2-nopit"]
    assert measures["swaps"].tolist()[1] == sum("einv2-nopit" in d[2] for d in arrays[1]["customdata"])
    marks = table_of("kind")(app)
    assert len(marks) == sum(len(a["x"]) for a in arrays[1:])


def test_the_threshold_changes_ribbons_and_not_the_figure():
    app = example()
    spec, before = app.get("plotly_chart")[0].proto.spec, live(app)
    app.slider(key="threshold").set_value(0.9)
    after = live(fine(app.run()))
    assert app.get("plotly_chart")[0].proto.spec == spec and after["token"] != before["token"]
    assert sum(after["arrays"][0]["x"]) < sum(before["arrays"][0]["x"])


def test_every_view_of_two_systems():
    app = example()
    n = len(figure(view(app, "Assignment"), 1)["data"][0]["text"])
    assert n == 3  # two tracks, and what is missed
    assert len({figure(app, n)["data"][0]["zmax"] for n in (1, 2)}) == 1  # one scale of colours for all
    assert len(app.metric) == 0
    assert table_of("the other")(view(app, "Differences"))["length"].is_monotonic_decreasing
    assert [m.label.startswith("Only") for m in app.metric] == [True, True]
    view(app, "Agreement")
    assert [m.label for m in app.metric] == ["Agreement", "Mean distance", "Same order of tracks"]
    view(app, "Export")
    assert len(app.get("download_button")) == 2


def test_inside_networks_of_every_kind():
    app = example(networks=("einv2-tpit", "einv2-hard", "accdoa", "seldnet"))
    assert len(figure(view(app, "Inside the network"), 1)["data"]) == 2
    view(app, "Inside the network", tracks_part="Attention", tracks_chunk_4=8)
    heads = figure(app, 1)["data"]
    assert len(heads) == ModelConfig().n_heads and heads[0]["x0"] == pytest.approx(8.05)
    assert len(figure(view(app, "Inside the network", tracks_head=3), 1)["data"]) == 1
    view(app, "Inside the network", tracks_part="Cross-stitch")
    assert [t["name"] for t in figure(app, 1)["data"]] == list(attention.WEIGHTS)
    assert any("comes from DoA" in m.value for m in app.markdown)
    for name, why in (("einv2-hard", "share all convolution blocks"), ("accdoa", "no two branches")):
        view(app, "Inside the network", tracks_inside=name)
        assert any(why in i.value for i in app.info)
    view(app, "Inside the network", tracks_inside="accdoa", tracks_part="Class probabilities")
    assert len(figure(app, 1)["data"]) == 1


def test_inside_a_network_of_longer_chunks_and_more_tracks(tiny_checkpoint):
    """Its chunks are 8 s long; its attention is that of equation 5, without a root."""
    model = dataclasses.replace(tiny_checkpoint.model, n_tracks=5)
    path = user_folder.path_of("models", "longer.safetensors")
    path.parent.mkdir(parents=True)
    changes = dict(model=model, network=build(model), provenance={"train": {"chunk_seconds": 8}})
    checkpoint.save(dataclasses.replace(tiny_checkpoint, **changes), path)
    app = view(example(networks=("longer",)), "Inside the network", tracks_part="Attention", tracks_chunk_8=8)
    heads = figure(app, 1)["data"]
    assert len(heads) == model.n_heads and heads[0]["x0"] == pytest.approx(8.05)
    assert "sqrt" not in app.latex[0].value
    view(app, "Inside the network", tracks_part="Cross-stitch")
    assert any("Between 8 and 16 s" in m.value for m in app.markdown)


def test_an_ensemble_and_a_table_of_another_system_stand_below():
    app = example(tracks_ensembles=[("einv2-tpit", "einv2-nopit")])
    truth = (ROOT / "app" / "examples" / "two_of_a_kind.csv").read_bytes()
    for name, data in (("two_of_a_kind.csv", truth), ("other.csv", b"10,0,0,10,10\n10,3,0,50,10\n")):
        app.file_uploader(key="tracks_csv").upload(name, data, "text/csv")
    measures = table_of("coverage")(fine(app.run()))
    assert measures["system"].tolist()[2:] == ["einv2-tpit + einv2-nopit", "two_of_a_kind.csv", "other.csv"]
    assert measures["coverage"].tolist()[3] == 100
    ticks = figure(app)["layout"]["yaxis"]["ticktext"]
    assert ticks[-2:] == ["alarm", "barking dog"]  # its tracks number the instances of a class: a lane for each


def test_every_ensemble_of_the_networks_is_offered():
    three = ("einv2-tpit", "einv2-cpit", "einv2-nopit")
    app = example(networks=three, tracks_ensembles=[three[:2], three])
    names = [a["text"] for a in figure(app)["layout"]["annotations"]]
    assert names[3:] == ["<b>einv2-tpit + einv2-cpit</b>", "<b>einv2-tpit + einv2-cpit + einv2-nopit</b>"]
    assert len(app.multiselect(key="tracks_ensembles").options) == 4
    heat = figure(view(app, "Agreement"), 1)["data"][0]
    assert (heat["zmin"], heat["zmax"]) == (0, 100)


def test_tables_of_other_years_have_class_lists_of_their_own():
    app = example(networks=())
    events = b"sound_event_recording,start_time,end_time,ele,azi,dist\nspeech,1,3,0,10,1\nspeech,3,5,0,20,1\n"
    for name, data in (("one.csv", events), ("two.csv", b"10,1,0,10,10\n10,1,1,50,10\n")):
        app.file_uploader(key="tracks_csv").upload(name, data, "text/csv")
    lists = [s for s in fine(app.run()).selectbox if s.label.startswith("Classes of") and "csv" in s.label]
    assert [s.value for s in lists] == ["DCASE 2019", "as the network"]
    lists[1].set_value("DCASE 2022 to 2025")
    fine(app.run())
    ticks = figure(app)["layout"]["yaxis"]["ticktext"]
    assert ticks[-3:] == ["speech", "track 1", "track 2"] and "male speech" in live(app)["arrays"][0]["text"]


def test_tables_alone_need_no_network():
    app = example(networks=())
    truth = (ROOT / "app" / "examples" / "two_of_a_kind.csv").read_bytes()
    app.file_uploader(key="tracks_csv").upload("a.csv", truth, "text/csv")
    measures = table_of("coverage")(fine(app.run()))
    assert measures[["coverage", "purity", "swaps"]].to_numpy().tolist() == [[100, 100, 0]]
    assert any("stays on one track" in i.value for i in app.info)
    view(app, "Inside the network")
    assert any("CSV" in i.value for i in app.info)


def test_without_ground_truth_systems_agree_or_not():
    app = tracks(tracks_networks=["einv2-tpit", "einv2-cpit"])
    app.file_uploader(key="clip_upload").upload("clip.wav", encoded(noise(5.0)), "audio/wav")
    fine(app.run())
    assert [m.label for m in app.metric] == ["Agreement", "Mean distance", "Same order of tracks"]
    for name in ("Measures", "Assignment", "Differences"):
        assert any("ground truth" in i.value for i in view(app, name).info)
    view(app, "Inside the network", tracks_part="Attention")
    assert not any(trace["name"] == "truth" for trace in figure(app)["data"])


def test_a_table_that_cannot_be_read_is_left_out_in_one_sentence():
    app = example(networks=("einv2-tpit",))
    app.file_uploader(key="tracks_csv").upload("bad.csv", b"0,zero,0,10,10\n", "text/csv")
    assert "bad.csv" in only_error(app.run()) and "left out" in only_error(app)
    assert table_of("coverage")(app)["system"].tolist() == ["einv2-tpit"]


def test_rows_beyond_the_clip_are_told():
    app = example(networks=("einv2-tpit",))
    app.file_uploader(key="tracks_csv").upload("long.csv", b"0,0,0,10,10\n9000,0,0,10,10\n", "text/csv")
    fine(app.run())
    assert any("1 rows beyond" in shown(w.value) for w in app.warning)


def test_names_of_files_are_shown_as_they_are():
    app = example(networks=("einv2-tpit",))
    app.file_uploader(key="tracks_csv").upload("<b>[x](y).csv", b"10,0,0,10,10\n", "text/csv")
    fine(app.run())
    assert any("&lt;b&gt;[x](y).csv" in a["text"] for a in figure(app)["layout"]["annotations"])
    view(app, "Assignment")
    assert any(shown(m.value) == "**<b>[x](y).csv**" for m in app.markdown)


# Tables of other systems

SOURCE = session.Source("clip.wav", b"")


def of_csv(text: str, name="a.csv"):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detections, "SYSTEMS", SimpleNamespace(get=lambda key, make: make()))
        return detections.of_csv(SOURCE, name, text.encode(), class_lists.DCASE2020_CLASSES, 100)[0]


def test_rows_without_numbers_are_told_apart_by_their_directions():
    """Two alarms, of which the first in the file ends first: the other one is no swap."""
    text = "".join(f"{t},0,30,0\n" for t in range(8)) + "".join(f"{t},0,-90,0\n" for t in range(12))
    system = of_csv(text)
    assert system.lanes == ("alarm", "alarm 2") and system.numbers is None
    assert system.table.groupby("track")["azimuth"].unique().map(list).tolist() in ([[30], [-90]], [[-90], [30]])


def test_events_of_2019_share_a_lane_one_after_the_other():
    head = "sound_event_recording,start_time,end_time,ele,azi,dist\n"
    system = of_csv(head + "".join(f"piano,{t},{t + 1},0,{10 * t},1\n" for t in range(6)) + "piano,2,4,0,-150,1\n")
    assert system.lanes == ("piano", "piano 2")
    assert system.table.groupby("track")["frame"].nunique().tolist() == [60, 20]


def test_instances_with_numbers_share_lanes_and_keep_their_identity():
    """Instance 1 ends where instance 2 begins, in the same direction: one event that goes on under another number."""
    rows = [(t, 0, 1, 0) for t in range(5)] + [(t, 0, 2, 0) for t in range(5, 9)] + [(t, 3, 1, 90) for t in range(9)]
    system = of_csv("".join(f"{t},{k},{n},{azimuth},0\n" for t, k, n, azimuth in rows))
    assert system.lanes == ("alarm", "barking dog")
    reference = pd.DataFrame({"frame": range(9), "class": 0, "track": 0, "azimuth": 0.0, "elevation": 0.0})
    found = tracking._track(system, tracking.Comparison({}, reference, class_lists.DCASE2020_CLASSES, ()))
    (mark,) = found.following.marks.itertuples()
    assert (mark.kind, mark.frame, mark.track, mark.before) == ("swap", 5, 0, 0)
    assert "under another number" in ribbons.mark_text(mark, ["alarm 1"], system.block)
    assert found.assignment.follows.tolist() == [[pytest.approx(0.9)], [0]]


def test_more_numbers_than_output_tracks_number_instances():
    system = of_csv("".join(f"{5 * n},0,{n},10,0\n" for n in range(12)))
    assert system.lanes == ("alarm",) and len(set(system.numbers)) == 12
    assert of_csv("0,0,0,10,0\n0,0,1,50,0\n5,3,1,50,0\n").lanes == ("track 1", "track 2")


@pytest.mark.parametrize("text", ["", "200,0,0,10,0\n"])
def test_a_table_without_a_row_in_the_clip(text):
    system = of_csv(text)
    assert system.table.empty and len(system.lanes) == 1


# Figures


def events():
    return pd.DataFrame({"class": [0, 0, 1], "track": [0, 1, 0], "onset": [0.0, 0.5, 2.0], "offset": [1.0, 1.5, 3.0]})


def test_events_of_a_class_have_names_and_shades_of_their_own():
    assert ribbons.event_names(events(), CLASSES) == ["alarm 1", "alarm 2", "piano 1"]
    colours = ribbons.event_colours(events(), CLASSES)
    assert colours[0] == theme.class_colour("alarm") and colours[2] == theme.class_colour("piano")
    assert len(set(colours)) == 3
    assert ribbons.shaded("#808080", -1) == "#000000" and ribbons.shaded("#808080", 1) == "#FFFFFF"


def test_overlapping_events_are_on_lanes_of_their_own():
    assert ribbons.stacked(np.array([0, 0.5, 1.0, 1.2]), np.array([1.0, 3.0, 1.2, 2.0])).tolist() == [0, 1, 0, 0]


def test_ribbons_are_put_into_the_standing_figure():
    blocks = [Block("a", ("track 1", "track 2")), Block("b", ("track 1",))]
    segments = pd.DataFrame(
        {
            "track": [0, 1, 1],
            "class": [0, 0, 1],
            "event": [1, 1, track_assignment.NOTHING],
            "duplicate": [False, True, False],
            "onset": [0.5, 0.7, 2.0],
            "offset": [1.5, 0.9, 2.2],
        }
    )
    marks = pd.DataFrame(
        [("swap", 12, 3, 0, 1, 1), ("duplicate", 7, 2, 1, 1, -1)],
        columns=["kind", "frame", "frames", "track", "event", "before"],
    )
    nothing = Ribbons(segments[:0], marks[:0])
    figure = ribbons.ribbons(4.0, events(), CLASSES, blocks)
    arrays = ribbons.ribbon_arrays(events(), CLASSES, blocks, [Ribbons(segments, marks), nothing])
    assert len(figure.data) == 1 + len(arrays) == 5
    bars, swaps, duplicates, fragments = arrays
    colour = ribbons.event_colours(events(), CLASSES)[1]
    assert bars["marker.color"] == [colour, ribbons.faded(colour), ribbons.GREY]
    assert bars["marker.pattern.shape"] == ["", "/", ""] and bars["text"] == ["alarm 2", "alarm 2", "piano"]
    assert swaps["x"] == [1.2] and duplicates["x"] == [0.7] and fragments["x"] == []
    assert swaps["customdata"] == [[0.2, 2.7, "a: swap at 1.2 s: alarm 2 continues on track 1, from track 2"]]
    first, second = ribbons.lane_heights(blocks, 2)
    assert first[0] < -1 and first[1] == first[0] - 1 and second[0] < first[1] - 1
    assert all(v == [] for v in ribbons.ribbon_arrays(None, CLASSES, blocks, [nothing, nothing])[0].values())


def test_without_events_ribbons_have_the_colours_of_classes():
    segments = pd.DataFrame(
        {"track": [0], "class": [1], "event": [-1], "duplicate": [False], "onset": [0.0], "offset": [1.0]}
    )
    found = Ribbons(segments, pd.DataFrame(columns=["kind", "track"]))
    (bars, *_) = ribbons.ribbon_arrays(None, CLASSES, [Block("a", ("track 1",))], [found])
    assert bars["marker.color"] == [theme.class_colour("piano")] and "no event" not in bars["customdata"][0]


def test_a_matrix_shows_numbers_and_leaves_out_what_is_not_there():
    heat = ribbons.matrix(np.array([[1.25, 0], [np.nan, 3]]), ["a<b", "c"], ["x", "y"]).data[0]
    assert [list(row) for row in heat.text] == [["1.2", ""], ["", "3.0"]] and heat.customdata[0][0] == "a&lt;b, x"
    assert (heat.zmin, heat.zmax) == (0, 3)  # Plotly takes the one only with the other


def test_attention_in_per_mille_with_times_of_the_clip():
    figure = network.attention(np.full((3, 4, 4), 0.25), ["1", "2", "3"], start=8.0)
    assert len(figure.data) == 3 and figure.data[0].z.dtype == np.uint16 and (figure.data[0].z == 250).all()
    assert (figure.data[0].x0, figure.data[0].y0) == (8.05, 8.05) and figure.layout.xaxis.range == (8.0, 8.4)


def test_probabilities_and_stitches():
    percent = np.zeros((20, 2, 2), np.uint8)
    figure = network.probabilities(percent, ["track 1", "track 2"], CLASSES, (0, 2))
    assert [t.z.dtype for t in figure.data] == [np.uint8] * 2 and figure.data[0].z.shape == (2, 20)
    boxes = network.stitches(["after block 1"], [np.arange(24.0).reshape(4, 6)]).data
    assert [b.name for b in boxes] == list(attention.WEIGHTS) and boxes[1].median[0] == 8


def test_notes_on_how_a_table_was_read_go_with_its_system(monkeypatch):
    monkeypatch.setattr(detections, "SYSTEMS", SimpleNamespace(get=lambda key, make: make()))
    text = "frame;class;track;azimuth;elevation\n" + "".join(f"{t};0;1;10,5;0\n" for t in range(5))
    system, beyond = detections.of_csv(SOURCE, "a.csv", text.encode(), class_lists.DCASE2020_CLASSES, 100)
    assert beyond == 0 and system.table["azimuth"].tolist() == [10.5] * 5
    assert "Columns separated by semicolons." in system.notes
