"""The pages launched without a browser."""

import errno
import re
import subprocess
import sys

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.clip import caches, prepared
from app.ui import session, uploads
from einv2.checkpoints import headers
from einv2.inference.model import load_model
from support.pages import TIMEOUT, encoded, figure, live, noise, only_error, shown, start, upload
from support.places import ROOT

PAGES = sorted((ROOT / "app" / "views").glob("*/page.py"))


@pytest.fixture(autouse=True)
def _full_errors(monkeypatch):
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.parent.name)
def test_every_page_starts(page):
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()
    assert not app.exception and not app.error
    if page.parent.name != "inspect":
        app.switch_page(f"views/{page.parent.name}/page.py").run()
        assert not app.exception and not app.error


def test_empty_state_offers_every_example():
    app = start()
    assert [b.key for b in app.button] == [f"example_{e.key}" for e in session.examples()]
    assert not app.get("plotly_chart")


@pytest.mark.parametrize("key", [e.key for e in session.examples()])
def test_an_example_opens_with_ground_truth(key):
    app = start()
    app.button(key=f"example_{key}").click().run()
    assert not app.exception and not app.error and not app.warning
    spec = figure(app)
    assert any(trace.get("name") == "truth" for trace in spec["data"])
    arrays = live(app)["arrays"]
    assert len(arrays) == 5 and arrays[0]["x"]  # bars, two tracks in two panels; something was found
    assert [m.label for m in app.metric] == ["ER", "F", "LE", "LR"]


def test_the_threshold_changes_detections_and_not_the_figure():
    app = start()
    app.button(key="example_moving_dog").click().run()
    before = app.get("plotly_chart")[0].proto.spec, live(app)
    app.slider(key="threshold").set_value(0.9).run()
    after = app.get("plotly_chart")[0].proto.spec, live(app)
    assert before[0] == after[0]
    assert before[1]["token"] != after[1]["token"]
    assert len(before[1]["arrays"][1]["x"]) > len(after[1]["arrays"][1]["x"])


def test_a_stopped_clip_can_be_started_again():
    app = start()
    app.session_state[prepared.STOPPED] = session.examples()[0].open().digest
    app.button(key="example_moving_dog").click().run()
    assert "Stopped" in app.info[0].value and not app.get("plotly_chart")
    next(b for b in app.button if b.label == "Start again").click().run()
    assert app.get("plotly_chart") and not app.exception


def test_a_full_disk_is_said(monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/inside")

    monkeypatch.setattr(uploads.tempfile, "NamedTemporaryFile", full)
    message = only_error(upload("clip.wav", encoded(noise())))
    assert "clip.wav" in message and "No space left" in message and "somewhere" not in message


def test_a_clip_that_is_no_foa_gets_a_warning_and_a_remedy():
    channels = np.random.default_rng(0).standard_normal((4, 48000)) * 0.1
    app = upload("four_microphones.wav", encoded(channels))
    assert any("warning" in m.value for m in app.markdown)
    assert any("What would help" in c.value for c in app.caption)


def test_closing_a_clip_leads_back_and_frees_it():
    app = start()
    app.button(key="example_moving_dog").click().run()
    next(b for b in app.button if b.label == "Close clip").click().run()
    assert not app.get("plotly_chart") and not any(
        k in app.session_state for k in (caches.ANALYSES.session_key, caches.TIMELINE.session_key)
    )
    assert not app.exception


@pytest.mark.parametrize("rate, format", [(24000, "WAV"), (48000, "FLAC"), (44100, "OGG")])
def test_an_upload_is_shown(rate, format):
    subtype = "VORBIS" if format == "OGG" else "PCM_16"
    app = upload(f"clip.{format.lower()}", encoded(noise(rate=rate), subtype, format, rate))
    assert not app.exception and not app.error
    assert figure(app)["layout"]["xaxis"]["range"] == [0, 2.0]


def test_detections_on_the_page_are_the_library_s(tmp_path):
    data = encoded(noise(5.3))
    (tmp_path / "clip.wav").write_bytes(data)
    expected = load_model("einv2").predict(tmp_path / "clip.wav").frames(0.3)
    app = upload("clip.wav", data)
    app.slider(key="threshold").set_value(0.3).run()
    arrays = live(app)["arrays"]
    assert len(arrays[1]["x"]) + len(arrays[2]["x"]) == len(expected)


@pytest.mark.parametrize(
    "name, data, words",
    [
        ("stereo.wav", lambda: encoded(noise()[:2]), ("2 channels", "4")),
        ("mono.wav", lambda: encoded(noise()[:1]), ("1 channel", "4")),
        ("five.wav", lambda: encoded(np.vstack([noise(), noise()[:1]])), ("5 channels", "4")),
        ("empty.wav", lambda: encoded(np.zeros((4, 0))), ()),
        ("short.wav", lambda: encoded(noise(0.1)), ("0.2",)),
        ("nan.wav", lambda: encoded(np.where(np.arange(48000) == 700, np.nan, noise()), "FLOAT"), ("NaN",)),
        ("text.wav", lambda: b"this is not audio at all" * 10, ()),
        ("nothing.wav", lambda: b"", ()),
        ("cut.wav", lambda: encoded(noise())[:9000], ()),
        ("cut.flac", lambda: encoded(noise(), format="FLAC")[:9000], ()),
    ],
)
def test_a_clip_that_cannot_be_used_gets_one_sentence(name, data, words):
    message = only_error(upload(name, data()))
    assert name in message and all(word in message for word in words), message
    assert "\n" not in message and "Traceback" not in message and "/tmp" not in message


@pytest.mark.parametrize(
    "truth, words",
    [
        (b"0,17,0,10,0\n", ("17", "14")),
        (b"sound_event_recording,start_time,end_time,ele,azi,dist\nspeech,0.1,0.9,0,10,1\n", ("clip.csv",)),
        (b"0,1,0,10\xff\xfe\x00,0\n", ("clip.csv",)),
        (b"hello,world\n", ("clip.csv",)),
    ],
)
def test_a_ground_truth_that_cannot_be_used_gets_one_sentence_and_the_clip_is_shown(truth, words):
    app = upload("clip.wav", encoded(noise()), truth)
    message = only_error(app)
    assert "clip.csv" in message and all(word in message for word in words), message
    assert app.get("plotly_chart")


def test_ground_truth_beyond_the_clip_is_said():
    app = upload("clip.wav", encoded(noise()), b"3,1,0,10,0\n400,1,0,10,0\n401,1,0,10,0\n")
    assert not app.error and "0.2 s" in shown(app.warning[0].value)


def test_ground_truth_of_another_class_list_is_shown_by_its_names():
    app = upload("clip.wav", encoded(noise()), b"3,4,0,10,0\n4,4,0,10,0\n")
    app.selectbox(key="truth_classes").set_value("DCASE 2022 to 2025").run()
    assert not app.error and not app.metric
    assert any("laughter" in element.proto.body for element in app.get("html"))


def test_a_ground_truth_of_another_name_is_questioned_and_left_to_its_clip():
    app = upload("clip.wav", encoded(noise()), b"3,1,0,10,0\n", truth_name="other.csv")
    assert "other.csv" in shown(app.warning[0].value)
    app.file_uploader(key="clip_upload").clear().run()
    app.button(key="example_moving_dog").click().run()
    assert not app.warning and float(app.metric[0].value) < 4  # scored against its own ground truth


@pytest.mark.parametrize(
    "name", ["![x](https://example.org/p.png).wav", "<img src=x onerror=y>.wav", "$a$ :red[b] `c`.wav"]
)
def test_a_file_name_is_shown_as_text(name):
    app = upload(name, encoded(noise()), b"0,1,0,![x](https://example.org/p.png),0\n")
    texts = [m.value for m in app.markdown] + [app.error[0].value]
    assert any(name in shown(text) for text in texts)
    for text in texts[-2:]:
        assert not re.search(r"(?<!\\)[\[$<`]", text.replace(":green[", "").replace(":material", ""))


def test_the_first_page_waits_for_no_large_library():
    parts = (  # what main.py and the Inspect page import at once
        "app.ui.address, app.ui.memory, app.clip.opening, app.networks.registry, app.ui.widgets, app.ui.session, app.pages"
    )
    large = "{'torch', 'scipy', 'pandas', 'librosa', 'soundfile'}"
    code = (
        f"import streamlit, sys, {parts}; app.networks.registry.header(app.networks.registry.files()[0]); "
        f"print({large} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    page = (ROOT / "app/views/inspect/page.py").read_text()
    imported = re.findall(r"^from (app[\w.]*) import (.+)$", page, re.MULTILINE)
    assert imported and {f"{room}.{name}" for room, names in imported for name in names.split(", ")} <= set(
        parts.split(", ")
    )


def test_a_model_that_is_not_one_is_said_beside_an_example(monkeypatch, tmp_path):
    (tmp_path / "einv2.safetensors").write_text("junk")
    monkeypatch.setattr(headers, "PRETRAINED", tmp_path)
    app = start()
    assert "einv2.safetensors is not a checkpoint" in only_error(app)


def test_without_models_a_sentence_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(headers, "PRETRAINED", tmp_path)
    assert "no trained network" in only_error(start())


def test_more_reference_events_than_lanes_are_said():
    truth = "".join(f"{frame},{c},0,{10 * c},0\n" for frame in (3, 4) for c in range(10)).encode()
    app = upload("clip.wav", encoded(noise()), truth)
    assert not app.error and "4 of its rows" in shown(app.warning[0].value)
