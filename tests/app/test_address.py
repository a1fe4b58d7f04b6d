"""What a link, a reload and a move between pages keep: the clip, and the choices of every page."""

import sys

import pytest
from streamlit.elements.lib import policies
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.storage import server_folder
from app.ui import session
from support.pages import TIMEOUT, encoded, fine, noise, prepared_clip, shown, start, upload
from support.places import ROOT


@pytest.fixture(autouse=True)
def _full_errors(monkeypatch):
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["main.py"])


@pytest.fixture(autouse=True)
def _no_value_twice(monkeypatch):
    """No widget has a value of the session and another at first: Streamlit would log that once for each server."""
    logged = []
    monkeypatch.setattr(policies, "_shown_default_value_warning", False)
    monkeypatch.setattr(policies._LOGGER, "warning", lambda text, *values, **_: logged.append(text % values))
    yield
    assert logged == []


def link(page="", **parameters) -> AppTest:
    """A session that begins with a link."""
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT)
    for name, value in parameters.items():
        app.query_params[name] = value
    if page:  # before the first run no page is registered that ``switch_page`` could look for
        app._page_hash = calc_hash(page.replace("_", "-"))
    return app.run()


def clip_of(app) -> str | None:
    return app.session_state[session.CLIP].name if session.CLIP in app.session_state else None


def move(app, page) -> AppTest:
    """To another page, whose address has lost what the browser drops."""
    app.query_params.clear()
    return app.switch_page(f"views/{page}/page.py").run()


@pytest.mark.parametrize("page", ["inspect", "tracks", "pit_lab", "evaluate", "scenes", "train", "models"])
def test_a_link_to_any_page_opens_its_clip(page):
    assert clip_of(fine(link(page, example="moving_dog"))) == "moving_dog.flac"


def test_what_a_link_says_of_other_pages_is_there_when_one_comes_to_them():
    app = fine(
        link("tracks", example="moving_dog", networks="einv2-nopit", threshold="0.65", tracks_networks="einv2-tpit")
    )
    assert app.slider(key="threshold").value == 0.65 and app.multiselect(key="tracks_networks").value == ["einv2-tpit"]
    fine(move(app, "inspect"))
    assert clip_of(app) == "moving_dog.flac" and app.slider(key="threshold").value == 0.65
    assert app.multiselect(key="networks").value == ["einv2-nopit"]


def test_all_choices_of_a_link_are_taken_on_every_page():
    of_tracks = dict(tracks_networks="einv2-tpit", tracks_view="Assignment", threshold="0.65")
    of_others = dict(
        pit_part="Homogeneous overlap", model="einv2-nopit", networks="einv2-nopit", median="3", panel="X, front"
    )
    app = link(example="two_of_a_kind", **of_tracks, **of_others)
    for page in ("tracks", "pit_lab", "models", "evaluate", "scenes", "train", "inspect"):
        fine(move(app, page).run())
        if page == "tracks":
            assert app.segmented_control(key="tracks_view").value == "Assignment"
    assert app.slider(key="threshold").value == 0.65 and app.slider(key="median").value == 3
    assert app.selectbox(key="panel").value == "X, front"


def test_a_link_opens_the_window_of_a_long_recording(data_root, minutes):
    (data_root / "set" / "foa_dev" / "long.flac").write_bytes(minutes(3))
    app = fine(link(recording="set/foa_dev/long.flac", window="1"))
    assert app.slider(key="window").value == 1 and prepared_clip(app).start == 60
    fine(move(fine(move(app, "models")), "tracks"))
    assert app.slider(key="window").value == 1 and prepared_clip(app).start == 60
    app = fine(link(recording="set/foa_dev/long.flac", window="99"))
    assert prepared_clip(app).start == 0


def test_one_threshold_for_all_pages_of_a_clip():
    app = fine(link(example="moving_dog"))
    app.slider(key="threshold").set_value(0.7)
    fine(app.run())
    assert fine(move(app, "tracks")).slider(key="threshold").value == 0.7
    app.slider(key="threshold").set_value(0.4)
    fine(app.run())
    assert fine(move(app, "inspect")).slider(key="threshold").value == 0.4


def test_the_choices_of_a_page_are_there_again_after_a_visit_to_another(two_networks):
    app = fine(link(example="moving_dog"))
    app.multiselect(key="networks").set_value(["other"])
    fine(app.run())
    assert fine(move(fine(move(app, "models")), "inspect")).multiselect(key="networks").value == ["other"]


@pytest.mark.parametrize("page", ["inspect", "tracks"])
def test_a_network_that_a_link_asks_for_and_that_is_gone_is_said(page):
    app = fine(link(page, example="moving_dog", networks="gone", tracks_networks="gone"))
    assert "gone" in shown(app.warning[0].value)
    key = "networks" if page == "inspect" else "tracks_networks"
    app.multiselect(key=key).set_value(["einv2-nopit"])
    assert not fine(app.run()).warning


def test_a_recording_of_the_data_root_is_opened_by_its_link(data_root):
    app = fine(link(recording="set/foa_dev/clip.wav"))
    assert clip_of(app) == "clip.wav" and app.session_state[session.CLIP].truth_name == "clip.csv"
    assert app.session_state[session.CLIP].link == ("recording", "set/foa_dev/clip.wav")
    assert app.selectbox(key="clip_in_root").value == "set/foa_dev/clip.wav"


@pytest.mark.parametrize(
    "name", ["../secret.wav", "/etc/passwd", "set/../../secret.wav", "out/secret.wav", "set/metadata_dev", "none.wav", "a\0.wav", ""]
)  # fmt: skip
def test_a_link_leads_to_recordings_of_the_data_root_alone(data_root, tmp_path_factory, name):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.wav").write_bytes(encoded(noise()))
    (data_root / "out").symlink_to(outside)
    app = link(recording=name)
    assert not app.exception and clip_of(app) is None and len(app.error) == 1
    with pytest.raises(ValueError, match="data root"):
        server_folder.recording_at(data_root, name)


@pytest.mark.parametrize("name", ["../secret", "", "nothing", "moving_dog.flac"])
def test_a_link_to_no_example_is_answered(name):
    app = link(example=name)
    assert not app.exception and "no example" in shown(app.error[0].value)
    assert "example_moving_dog" in [b.key for b in app.button]


def test_without_a_data_root_a_link_into_it_is_answered():
    app = link(recording="clip.wav")
    assert not app.exception and "without one" in shown(app.error[0].value)


def test_what_a_reload_loses_is_said_before_and_after():
    app = fine(upload("mine.wav", encoded(noise())))
    assert any("Reloading the page closes it" in c.value for c in app.caption)
    app = link(upload="mine.wav")
    assert not app.exception and "mine.wav was open here" in shown(app.error[0].value)
    app.button(key="example_moving_dog").click().run()
    assert not fine(app).error


def test_a_clip_knows_its_address(tmp_path):
    example = session.examples()[0].open()
    assert example.link == ("example", session.examples()[0].key)
    assert session.Source(example.name, b"other").link == ("upload", example.name)
    assert session.Source("../a.wav", tmp_path / "a.wav").link == ("upload", "../a.wav")


def test_every_page_has_a_title_of_its_own(monkeypatch):
    import streamlit

    titles = []
    monkeypatch.setattr(
        streamlit, "set_page_config", lambda page_title, page_icon=None, **_: page_icon or titles.append(page_title)
    )
    fine(move(fine(move(fine(start()), "tracks")), "evaluate"))
    fine(link(example="moving_dog"))
    assert titles[:3] == ["Inspect · EINV2 Studio", "Tracks · EINV2 Studio", "Evaluate · EINV2 Studio"]
    assert titles[3] == "moving_dog.flac · Inspect · EINV2 Studio"
