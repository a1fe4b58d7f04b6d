"""What the Inspect page offers beyond opening a clip: windows, remedies, several networks, listening, links, exports."""

import io
import sys
import zipfile

import numpy as np
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from app.clip import analysis
from app.ui import session, widgets
from einv2.audio import foa, inputformat
from support.pages import TIMEOUT, encoded, figure, fine, live, noise, prepared_clip, shown, start, upload
from support.places import ROOT


@pytest.fixture(autouse=True)
def _full_errors(monkeypatch):
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["main.py"])


def example(key="phone_and_speech") -> AppTest:
    return start().button(key=f"example_{key}").click().run()


def names(app) -> list[str]:
    return [trace.get("name") for trace in figure(app)["data"]]


def test_a_long_clip_is_seen_through_a_window(minutes):
    app = fine(upload("long.flac", minutes(2)))
    assert figure(app)["layout"]["xaxis"]["range"] == [0, 60.0]
    app.slider(key="window").set_value(1)
    assert figure(fine(app.run()))["layout"]["xaxis"]["range"] == [0, 60.0]
    assert prepared_clip(app).start == 60


def test_a_recording_of_the_data_root_comes_with_its_metadata(data_root):
    app = start()
    assert app.selectbox(key="clip_in_root").options == ["alone.wav", "set/foa_dev/clip.wav"]
    fine(app.selectbox(key="clip_in_root").set_value("set/foa_dev/clip.wav").run())
    assert "truth" in names(app) and any("clip.wav, with clip.csv" in shown(c.value) for c in app.caption)
    fine(app.selectbox(key="clip_in_root").set_value("alone.wav").run())
    assert "truth" not in names(app) and figure(app)["layout"]["xaxis"]["range"] == [0, 3.0]
    next(b for b in app.button if b.label == "Close clip").click().run()
    assert app.selectbox[0].value is None and "example_moving_dog" in [b.key for b in app.button]


def test_a_recording_that_has_gone_is_said(data_root):
    app = start()
    app.selectbox(key="clip_in_root").set_value("alone.wav")
    (data_root / "alone.wav").unlink()
    assert "alone.wav" in shown(app.run().error[0].value) and not app.exception


@pytest.mark.full("long")
def test_an_hour_of_the_data_root_is_seen_through_a_window(data_root, monkeypatch):
    monkeypatch.setattr(analysis, "WINDOW_SECONDS", 60)
    hour = np.zeros((8000 * 3600, 4), np.int16)
    hour[::, 0], hour[-8000 * 30 :, 1] = 50, 40
    soundfile.write(data_root / "hour.flac", hour, 8000)
    app = fine(start().selectbox(key="clip_in_root").set_value("hour.flac").run())
    app.slider(key="window").set_value(50)
    assert figure(fine(app.run()))["layout"]["xaxis"]["range"] == [0, 60.0]
    assert prepared_clip(app).start == 3000


def test_a_ground_truth_can_follow_its_clip_and_leave_it():
    app = upload("clip.wav", encoded(noise()))
    assert "truth" not in names(app)
    app.file_uploader(key="truth_upload").upload("clip.csv", b"3,1,0,10,0\n", "text/csv").run()
    assert "truth" in names(fine(app))
    app.file_uploader(key="truth_upload").clear().run()
    assert "truth" not in names(fine(app))


def test_the_truth_of_a_window_counts_from_its_start():
    truth = b"5,0,0,10,0\n605,1,0,20,0\n"
    source = session.Source("clip.wav", b"", "clip.csv", truth, start=60.0)
    found = analysis.read_truth(source, ("alarm", "piano"), 600)
    assert found.table[["frame", "class"]].to_numpy().tolist() == [[5, 1]]


def test_gains_of_another_convention_are_mended_by_one_click():
    rng = np.random.default_rng(1)
    parts = [foa.encode(0.1 * rng.standard_normal(24000).astype(np.float32), a, 10) for a in (40, -120, 160)]
    n3d = np.concatenate(parts, axis=1) * np.array([1, 3**0.5, 3**0.5, 3**0.5], np.float32)[:, None]
    app = fine(upload("n3d.wav", encoded(n3d)))
    assert any("warning" in m.value for m in app.markdown)
    button = next(b for b in app.button if b.label.startswith("Read as N3D"))
    fine(button.click().run())
    assert any("nothing speaks against" in m.value for m in app.markdown)
    fine(next(b for b in app.button if b.label.startswith("Undo")).click().run())
    assert any("warning" in m.value for m in app.markdown)


def test_what_is_found_after_a_remedy_is_added_to_it():
    """Read as W, X, Y, Z by hand, a FuMa clip shows the level of its W; and one click sets that right too."""
    rng = np.random.default_rng(1)
    parts = [foa.encode(0.1 * rng.standard_normal(24000).astype(np.float32), a, 10) for a in (40, -120, 160)]
    fuma = np.concatenate(parts, axis=1)[[0, 3, 1, 2]] * np.array([2**-0.5, 1, 1, 1], np.float32)[:, None]
    app = fine(upload("fuma.wav", encoded(fuma)))
    app.selectbox(key="channels").set_value("W, X, Y, Z in SN3D").run()
    fine(next(b for b in app.button if b.label == "Apply this layout").click().run())
    fine(next(b for b in app.button if b.label == "Read as FuMa").click().run())
    assert prepared_clip(app).fix is inputformat.FUMA
    assert any("nothing speaks against" in m.value for m in app.markdown)


def test_a_layout_chosen_by_hand():
    app = fine(upload("clip.wav", encoded(noise())))
    app.selectbox(key="channels").set_value("left and right flipped").run()
    fine(next(b for b in app.button if b.label == "Apply this layout").click().run())
    assert prepared_clip(app).fix.gains == (1.0, -1.0, 1.0, 1.0)


@pytest.mark.parametrize("panel", ["Y, left", "Waveform of W", "Intensity along X, front"])
def test_every_kind_of_top_panel(panel):
    app = example()
    before = app.get("plotly_chart")[0].proto.spec
    app.selectbox(key="panel").set_value(panel)
    assert app.run().get("plotly_chart")[0].proto.spec != before
    fine(app)


def test_behind_the_detections_stand_probabilities_and_energy():
    assert {"probabilities", "energy", "detections", "truth"} <= set(names(fine(example())))


@pytest.mark.parametrize("way", ["Binaural", "W: everything", "Along track 1", "Along truth 2"])
def test_every_way_of_listening_is_another_sound(way):
    app = example()
    stereo = app.get("audio")[0].proto.url
    box = app.selectbox(key="way")
    box.set_value(next(option for option in box.options if option.startswith(way)))
    assert fine(app.run()).get("audio")[0].proto.url != stereo


def test_a_beam_along_a_track_hears_what_stands_there():
    """Two noises one after the other, from the left and from the right: the beam to the left loses the second."""
    left, right = (
        foa.encode(0.2 * np.random.default_rng(k).standard_normal(24000).astype(np.float32), a, 0)
        for k, a in ((0, 90), (1, -90))
    )
    source = session.Source("clip.wav", encoded(np.concatenate([left, right], axis=1)))
    trajectory = np.tile([90.0, 0.0], (20, 1))
    sound, rate = soundfile.read(io.BytesIO(analysis._listen(source, "beam", trajectory)))
    level = [np.sqrt(np.mean(sound[part] ** 2)) for part in (slice(2400, 21600), slice(26400, 45600))]
    assert rate == 24000 and level[0] > 2 * level[1]


def test_smoothing_and_filters_change_detections_and_not_the_figure():
    app = example("moving_dog")
    spec, before = app.get("plotly_chart")[0].proto.spec, live(app)
    app.slider(key="minimum").set_value(1.0)
    after = live(fine(app.run()))
    assert app.get("plotly_chart")[0].proto.spec == spec and after["token"] != before["token"]
    assert len(after["arrays"][0]["x"]) < len(before["arrays"][0]["x"])
    app.multiselect(key="only_classes").set_value(["piano"])
    assert set(live(fine(app.run()))["arrays"][0]["text"]) == {"piano"}
    app.multiselect(key="only_tracks").set_value([1])
    assert set(live(fine(app.run()))["arrays"][0]["y"]) <= {"track 1"}


def test_a_threshold_of_one_class():
    app = example("moving_dog")
    before = live(app)["arrays"][0]
    app.multiselect(key="own_thresholds").set_value(["barking dog"]).run()
    app.slider(key="threshold_barking dog").set_value(0.95)  # parts of it fall below
    after = live(fine(app.run()))["arrays"][0]
    assert after != before and "barking dog" in after["text"], (before, after)


def test_two_networks_stand_under_one_another_and_as_an_ensemble(two_networks):
    app = example()
    app.multiselect(key="networks").set_value(["einv2", "other"])
    lanes = figure(fine(app.run()))["layout"]["yaxis2"]["categoryarray"]
    assert {"einv2 track 1", "other track 2"} <= set(lanes)
    assert len(live(app)["arrays"]) == 9
    app.toggle(key="ensemble").set_value(True)
    assert len(live(fine(app.run()))["arrays"]) == 5


def test_a_link_opens_the_example_with_its_settings():
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT)
    app.query_params["example"] = "moving_dog"
    app.query_params["threshold"] = "0.8"
    app.query_params["median"] = "5"
    app.query_params["only_classes"] = "piano"
    app.query_params["only_tracks"] = "2"
    app.query_params["own_thresholds"] = "barking dog"
    app.query_params["threshold_barking dog"] = "0.35"
    app.query_params["way"] = "Along truth 1"
    app.query_params["panel"] = "Waveform of W"
    fine(app.run())
    assert any("moving" in shown(m.value) for m in app.markdown) and app.slider(key="threshold").value == 0.8
    assert app.slider(key="median").value == 5 and app.multiselect(key="only_classes").value == ["piano"]
    assert app.selectbox(key="panel").value == "Waveform of W" and app.selectbox(key="way").value == "Along truth 1"
    assert app.multiselect(key="only_tracks").value == [2] and app.slider(key="threshold_barking dog").value == 0.35


@pytest.mark.parametrize("parameter, value", [("networks", "nothing"), ("threshold", "high"), ("median", "-3")])
def test_a_broken_link_does_no_harm(parameter, value):
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT)
    app.query_params[parameter] = value
    fine(app.run())
    assert "example_moving_dog" in [b.key for b in app.button]


@pytest.mark.full("long")
def test_a_window_does_not_stay_for_the_next_clip(minutes):
    app = fine(upload("long.flac", minutes(3)))
    app.slider(key="window").set_value(2)
    fine(app.run())
    app.file_uploader(key="clip_upload").clear()
    app.file_uploader(key="clip_upload").upload("clip.wav", encoded(noise()), "audio/wav")
    assert figure(fine(app.run()))["layout"]["xaxis"]["range"] == [0, 2.0]


def test_events_say_how_far_off_they_are():
    events = fine(example()).dataframe[0].value
    assert {"error", "found"} <= set(events.columns)
    assert events["error"].min() < 20 and events["found"].max() == 100


def test_an_export_takes_the_networks_that_are_chosen_and_says_so(two_networks, monkeypatch):
    files = {}
    monkeypatch.setattr(widgets, "download", lambda label, data, file, *_: files.update({label: (data, file)}))
    app = example("two_of_a_kind")
    app.multiselect(key="networks").set_value(["einv2", "other"])
    fine(app.run())
    data, file = files["Download detections (CSV)"]
    assert file == "two_of_a_kind_csv.zip"
    archive = zipfile.ZipFile(io.BytesIO(data()))
    assert archive.namelist() == ["two_of_a_kind.einv2.csv", "two_of_a_kind.other.csv"] and archive.read(
        archive.namelist()[1]
    )
    assert (
        zipfile.ZipFile(io.BytesIO(files["Labels for Audacity"][0]())).namelist()[1]
        == "two_of_a_kind.other_audacity.txt"
    )
    app.selectbox(key="way").set_value("Along other track 2")
    app.multiselect(key="exported").set_value(["einv2"])
    fine(app.run())
    assert {file for _, file in files.values()} == {
        "two_of_a_kind.einv2.csv", "two_of_a_kind.einv2.json", "two_of_a_kind.einv2_audacity.txt", "two_of_a_kind.einv2_raven.txt",
        "two_of_a_kind.einv2.html",
    }  # fmt: skip
    page = files["Report with sound (HTML)"][0]()
    assert "Networks: einv2." in page and "The sound: Along other track 2." in page
    assert any(
        "The detections of einv2 as" in shown(c.value) and "Along other track 2" in shown(c.value) for c in app.caption
    )


def test_a_filter_of_classes_is_of_the_truth_too():
    app = example()
    app.multiselect(key="only_classes").set_value(["ringing phone"])
    fine(app.run())
    assert [n for n in names(app) if n and n.startswith("truth ") and "lane" not in n] == ["truth ringing phone"] * 2
    data = live(app)["scene"]
    assert {data["classes"][k][0] for k in data["truth"]["class"]} == {"ringing phone"}
    assert not any(
        "speech" in element.proto.body for element in app.get("html") if "border-radius" in element.proto.body
    )


def test_everything_can_be_exported():
    labels = {b.proto.label for b in fine(example()).get("download_button")}
    assert labels == {
        "Download detections (CSV)",
        "Events (JSON)",
        "Labels for Audacity",
        "Selections for Raven",
        "Report with sound (HTML)",
    }
