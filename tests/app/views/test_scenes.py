"""The Scenes page without a browser, and what it is made of."""

import io
import json
import shutil
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from app.jobs import scene_sets, training_runs
from app.jobs.scene_sets import SetConfig
from app.storage import user_folder
from app.ui import session
from app.views.scenes import scene
from einv2.audio import recordings
from einv2.commands import main as cli
from einv2.labels import dcase_csv
from einv2.simulate import specification as scenes
from einv2.simulate.scene import SceneConfig
from einv2.simulate.specification import Noise, SpecifiedRoom
from support.pages import only_error, open_page, shown
from support.places import ROOT

RATE = 24000
MEDIUM = SpecifiedRoom((7.0, 6.0, 3.0), 0.4)


@pytest.fixture(autouse=True)
def _page(monkeypatch, tmp_path):
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data", str(tmp_path / "data")])


def start(view=None) -> AppTest:
    return open_page("scenes") if view is None else open_page("scenes", scenes_view=view)


def button(app, label):
    return next(b for b in app.button if b.label == label)


def press(app, label) -> AppTest:
    button(app, label).click()
    app.run()
    assert not app.exception
    return app


def put_rows(app, rows) -> AppTest:
    """As if the table had been edited."""
    app.session_state["scenes_form"] = app.session_state["scenes_form"].with_rows(rows)
    return app.run()


def rows_of(app) -> pd.DataFrame:
    return app.session_state["scenes_form"].rows


def wav(seconds=2.0, channels=1) -> bytes:
    buffer = io.BytesIO()
    signal = np.random.default_rng(0).standard_normal((int(seconds * RATE), channels)) * 0.1
    soundfile.write(buffer, signal, RATE, format="WAV")
    return buffer.getvalue()


def upload_sound(app, name, data) -> AppTest:
    app.file_uploader(key="scene_sounds_0").upload(name, data, "audio/wav")
    return app.run()


def open_json(app, text, name="mine.json") -> AppTest:
    app.file_uploader(key="scene_file").upload(name, text.encode(), "application/json")
    return app.run()


def made(app) -> scene.Rendered:
    """What was rendered last."""
    return app.session_state["scenes_rendered"][scenes.to_text(app.session_state["scenes_shown"])]


def charts(app) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


# One scene


def test_the_page_begins_with_a_scene_that_can_be_rendered():
    app = start()
    assert not app.error and not button(app, "Render").disabled
    assert rows_of(app)["class"].tolist() == ["ringing phone", "male speech"]
    assert len(charts(app)) == 1 and not app.get("audio")


def test_a_rendered_scene_is_heard_with_its_truth_and_is_that_of_the_command_line(tmp_path):
    app = press(start(), "Render")
    assert not app.error and len(app.get("audio")) == 1
    assert charts(app)[1]["data"][0]["name"] == "truth"
    rendered = made(app)
    file = tmp_path / f"{rendered.clip.stem}.json"
    file.write_text(rendered.text)
    assert cli.main(["simulate", str(tmp_path / "out"), "--specification", str(file)]) == 0
    assert (tmp_path / "out" / "foa_dev" / rendered.clip.name).read_bytes() == rendered.clip.data
    assert (tmp_path / "out" / "metadata_dev" / rendered.clip.truth_name).read_bytes() == rendered.clip.truth
    info = recordings.probe(tmp_path / "out" / "foa_dev" / rendered.clip.name)
    assert (info.channels, info.sample_rate, info.seconds) == (4, RATE, 10.0)


def test_a_rendered_scene_is_not_rendered_again(monkeypatch):
    app = press(start(), "Render")
    monkeypatch.setattr(scene, "_render", lambda *_: 1 / 0)
    assert len(app.run().get("audio")) == 1 and not app.exception
    press(app, "Render")
    assert not app.error


def test_a_changed_scene_says_so_and_can_be_rendered():
    app = press(start(), "Render")
    app.number_input(key="scene_seconds").set_value(12).run()
    assert any("has been changed since" in c.value for c in app.caption)
    before = made(app).clip.name
    press(app, "Render")
    assert made(app).clip.name != before and not any("has been changed since" in c.value for c in app.caption)
    assert len(app.session_state["scenes_rendered"]) == 2


def test_only_a_few_rendered_scenes_stay():
    app = start()
    for seconds in range(10, 15):
        app.number_input(key="scene_seconds").set_value(seconds).run()
        press(app, "Render")
    assert len(app.session_state["scenes_rendered"]) == scene.RENDERED.size


def test_a_scene_of_another_class_list_opens_with_it():
    app = start()
    app.selectbox(key="scene_classes").set_value("dcase2021").run()
    press(press(app, "Render"), "Open in Tracks")
    assert app.selectbox(key="truth_classes").value == "DCASE 2021"
    assert [c for c in app.caption if "There, choose" in c.value] == []


def test_a_scene_of_own_classes_is_rendered_opened_and_scored_with_them():
    app = start()
    app.selectbox(key="scene_classes").set_value("own names").run()
    app.text_area(key="scene_classes_own").set_value("male speech, ringing phone, siren").run()
    assert not app.exception and not app.error
    press(app, "Render")
    assert made(app).specification.class_list == "male speech, ringing phone, siren"
    assert {row.split(",")[1] for row in made(app).clip.truth.decode().splitlines()} == {"0", "1"}
    app.switch_page("views/models/page.py").run().switch_page("views/scenes/page.py").run()
    assert not app.exception and app.text_area(key="scene_classes_own").value == "male speech, ringing phone, siren"
    press(press(app, "Render"), "Open in Inspect")
    assert app.selectbox(key="truth_classes").value == "as the scene" and not app.error


def test_a_specification_of_own_classes_opens_with_them_and_a_wrong_list_is_said():
    own = replace(scene.first_scene(), class_list="male speech, ringing phone")
    app = open_json(start(), scenes.to_text(own))
    assert not app.error and app.selectbox(key="scene_classes").value == "own names"
    assert app.text_area(key="scene_classes_own").value == "male speech, ringing phone"
    app.text_area(key="scene_classes_own").set_value("ringing phone, ringing phone").run()
    assert not app.exception and app.error and button(app, "Render").disabled
    app.text_area(key="scene_classes_own").set_value("piano, siren").run()
    assert "is not in the list of your own" in shown(app.error[0].value)


def test_open_in_inspect():
    app = press(start(), "Render")
    app.session_state[session.MOMENT] = (1.0, 2.0)
    press(app, "Open in Inspect")
    assert app.session_state[session.CLIP] == made(app).clip and session.MOMENT not in app.session_state
    assert app.markdown[0].value.startswith("#### scene") and not app.error and not app.warning


def test_the_composed_scene_is_there_after_another_page():
    app = start()
    app.number_input(key="scene_seconds").set_value(20).run()
    app.selectbox(key="scene_room").set_value("Large hall").run()
    put_rows(app, rows_of(app).iloc[:1])
    app.switch_page("views/evaluate/page.py").run()
    app.switch_page("views/scenes/page.py").run()
    assert not app.exception and app.number_input(key="scene_seconds").value == 20
    assert app.selectbox(key="scene_room").value == "Large hall" and len(rows_of(app)) == 1


@pytest.mark.parametrize(
    "column, value, says",
    [
        ("onset", 11.0, "Source 2: the onset at 11 s is not within the 10 s of the scene."),
        ("length", 0.0, "Source 2: a source lasts from 0.1 to 60 s, not 0 s."),
        ("length", np.nan, "Source 2: it has no length."),
        ("class", None, "Source 2: it has no class."),
        ("sound", "gone.wav", "Source 2: the file gone.wav is not among the uploaded sounds."),
        ("distance", 4.0, "Source 2: at 4 m it would meet a wall"),
    ],
)
def test_an_impossible_row_is_said_and_not_rendered(column, value, says):
    app = start()
    rows = rows_of(app).copy()
    rows.loc[1, column] = value
    put_rows(app, rows)
    assert says in only_error(app) and button(app, "Render").disabled
    assert len(charts(app)) == 1


def test_a_row_without_an_end_stands():
    app = start()
    rows = rows_of(app).copy()
    rows.loc[1, ["azimuth to", "elevation to", "number"]] = np.nan
    put_rows(app, rows)
    assert not app.error
    sources, missing = scene.from_rows(rows, {})
    assert missing == [] and sources[1].end_deg == sources[1].start_deg == (-110.0, 0.0) and sources[1].sound.seed == 0


def test_a_click_places_a_source_or_moves_an_end():
    rows = scene.to_rows(scene.first_scene().sources)
    three = scene.with_source(rows, "piano", (-35.0, 20.0))
    assert three[:2].equals(rows) and scene.with_source(rows[:0], "piano", (-35.0, 20.0)).shape == (1, 11)
    added = scene.from_rows(three, {})[0][2]
    assert (added.class_name, added.start_deg, added.end_deg) == ("piano", (-35.0, 20.0), (-35.0, 20.0))
    where = scene.from_rows(scene.moved(three, 2, "start", (90.0, 0.0)), {})[0][2]
    assert where.start_deg == where.end_deg == (90.0, 0.0)
    where = scene.from_rows(scene.moved(three, 2, "end", (90.0, 0.0)), {})[0][2]
    assert where.start_deg == (-35.0, 20.0) and where.end_deg == (90.0, 0.0)
    assert added == scene.from_rows(three, {})[0][2]  # what was given is as it was


def test_an_empty_table_asks_for_a_source():
    app = start()
    put_rows(app, rows_of(app).iloc[:0])
    assert only_error(app) == "A scene has from 1 to 64 sources, not 0."


def test_an_impossible_room_is_said():
    app = start()
    app.selectbox(key="scene_room").set_value("Size of your own").run()
    app.number_input(key="scene_rt60").set_value(15.0).run()
    assert "No walls give a room of 7 × 6 × 3 m a reverberation time of 15 s" in only_error(app)
    app.number_input(key="scene_rt60").set_value(0.0).run()
    assert not app.error


def test_a_random_scene_fills_the_table_by_its_seed():
    app = start()
    app.number_input(key="random_seed").set_value(5)
    app.number_input(key="random_events").set_value(4)
    press(app, "Draw")
    expected = scenes.draw(5, 10, 4, 2, MEDIUM, Noise(20.0))
    assert rows_of(app).equals(scene.to_rows(expected.sources)) and not app.error
    app.number_input(key="random_events").set_value(60)
    press(app, "Draw")
    assert "do not fit into 10 s" in only_error(app) and len(rows_of(app)) == 4


def test_a_stopped_scene_says_so_and_goes_on_when_asked():
    app = start()
    specification = scene.first_scene()
    app.session_state["scenes_stopped"] = specification
    app.run()
    assert "Stopped" in app.info[0].value and not app.get("audio")
    press(app, "Render")
    assert app.get("audio") and not app.info


def test_a_scene_changed_while_it_is_rendered_is_not_gone_on_with():
    app = start()
    app.session_state["scenes_asked"] = scenes.draw(1, 10, 2, 1, MEDIUM)
    app.run()
    assert "scenes_asked" not in app.session_state and not app.get("audio")


# The specification


def test_a_specification_is_opened_as_it_was():
    specified = scenes.draw(8, 17, 7, 3, SpecifiedRoom((5.0, 4.5, 2.7), 0.35), Noise(12.5))
    app = press(open_json(start(), scenes.to_text(specified)), "Render")
    assert made(app).specification == specified and not app.error
    assert app.selectbox(key="scene_room").value == "Size of your own"
    without = scenes.draw(9, 10, 2, 1, SpecifiedRoom((7.0, 6.0, 3.0), 0.0), None)
    app = press(open_json(start(), scenes.to_text(without)), "Render")
    assert made(app).specification == without and not app.toggle(key="scene_noise").value


def test_another_file_is_refused_and_changes_nothing():
    app = open_json(start(), "{}", "other.json")
    assert only_error(app).startswith("other.json is not the specification of a scene: the scene has no class")
    specified = json.loads(scenes.to_text(scene.first_scene()))
    specified["sources"][1]["onset_s"] = 99.0
    app = open_json(start(), json.dumps(specified), "late.json")
    assert only_error(app) == "late.json: Source 2: the onset at 99 s is not within the 10 s of the scene."
    assert rows_of(app)["onset"].tolist() == [1.0, 3.0]
    assert not app.run().error


# Sounds of the user's own


def test_an_uploaded_sound_is_placed():
    app = upload_sound(start(), "[my] dog.wav", wav())
    assert not app.error and any("2.00 s" in shown(m.value) for m in app.markdown)
    rows = rows_of(app).copy()
    rows.loc[0, ["sound", "length"]] = ["[my] dog.wav", 2.0]
    press(put_rows(app, rows), "Render")
    assert not app.error
    (sound,) = made(app).specification.files.values()
    assert sound.name == "[my] dog.wav" and len(sound.sha256) == 64
    rows.loc[0, "length"] = 4.0
    assert "lasts 2.00 s, so it cannot sound for 4 s" in only_error(put_rows(app, rows))
    press(app, "Forget all sounds")
    assert "is not among the uploaded sounds" in only_error(app)


def test_a_wrong_sound_is_said():
    assert "two.wav: has 2 channels; expected a mono sound" in only_error(
        upload_sound(start(), "two.wav", wav(channels=2))
    )
    assert "notes.wav: is a text file" in only_error(upload_sound(start(), "notes.wav", b"not a sound at all"))


def test_sounds_are_limited(monkeypatch):
    monkeypatch.setattr(scene, "MAX_UPLOAD_SECONDS", 3.0)
    app = start()
    for name in ("a.wav", "b.wav"):
        app.file_uploader(key="scene_sounds_0").upload(name, wav(), "audio/wav")
    assert "b.wav is not used: a session holds at most 0.05 minutes" in only_error(app.run())
    monkeypatch.setattr(scene, "MAX_UPLOADS", 1)
    app = start()
    for name in ("a.wav", "b.wav"):
        app.file_uploader(key="scene_sounds_0").upload(name, wav(), "audio/wav")
    assert "b.wav is not used: a session holds at most 1 sounds" in only_error(app.run())


def test_a_specification_waits_for_its_sound():
    app = upload_sound(start(), "dog.wav", wav())
    rows = rows_of(app).copy()
    rows.loc[0, ["sound", "length"]] = ["dog.wav", 2.0]
    text = made(press(put_rows(app, rows), "Render")).text
    app = open_json(start(), text)
    assert "the file dog.wav with the SHA-256" in only_error(app) and "is not at hand" in only_error(app)
    upload_sound(app, "dog.wav", wav(1.0))
    assert "is not at hand" in only_error(app)  # another file of the name
    press(app, "Forget all sounds")
    app.file_uploader(key="scene_sounds_1").upload("dog.wav", wav(), "audio/wav")
    assert made(press(app.run(), "Render")).text == text


# Training sets


def wait(app) -> scene_sets.Batch:
    batch = app.session_state["scenes_batch"]
    for _ in range(600):
        if batch.outcome:
            return batch
        time.sleep(0.1)
    raise TimeoutError


def order(app, n=2, seconds=2, name="mine") -> AppTest:
    app.number_input(key="set_scenes").set_value(n)
    app.number_input(key="set_seconds").set_value(seconds)
    app.text_input(key="set_name").set_value(name)
    return press(app.run(), "Render and keep the set")


@pytest.mark.full("long")
def test_a_set_is_kept_listed_opened_and_deleted(monkeypatch):
    app = start("Training set")
    assert any("everyone who may use this app" in i.value for i in app.info)
    order(app)
    assert app.exception is not None and "Stop" in [b.label for b in app.button]
    assert wait(app).is_kept
    app.run()
    assert "mine is kept: 2 scenes." in shown(app.success[0].value)
    folder = user_folder.path_of("scenes", "mine")
    (first, second) = sorted((folder / "foa_dev").iterdir())
    assert recordings.probe(first).seconds == recordings.probe(second).seconds == 2.0
    assert dcase_csv.read_csv(folder / "metadata_dev" / f"{first.stem}.csv") is not None
    assert app.text_input(key="set_name").value == "random-1"
    order(app)
    assert "mine is there already" in only_error(app)
    app.number_input(key="set_look_mine").set_value(2).run()
    inspect = press(app, "Open in Inspect")
    clip = inspect.session_state[session.CLIP]
    assert clip.data == second and clip.truth == (folder / "metadata_dev" / f"{second.stem}.csv").read_bytes()
    app = start("Training set")
    running = SimpleNamespace(name="run-1", state=training_runs.RUNNING, order={"paths": [str(folder)]})
    with monkeypatch.context() as patched:
        patched.setattr(training_runs, "runs", lambda: [running])
        assert "run-1 is training on mine: stop it" in only_error(press(app, "Delete it"))
    press(app, "Delete it")
    assert not folder.exists() and "None yet." in [m.value for m in app.markdown]


def test_a_stopped_set_leaves_nothing():
    app = order(start("Training set"), n=500, seconds=30)
    press(app, "Stop")
    batch = wait(app)
    assert batch.outcome == "Stopped; nothing was kept." and batch.job.popen.poll() is not None
    assert not batch.folder.exists() and user_folder.items("scenes") == []
    assert "Stopped" in app.run().warning[0].value


def test_a_set_that_would_not_fit_is_not_begun(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data", str(tmp_path / "data"), "--user-data-gib", "0.01"])
    app = order(start("Training set"), n=100, seconds=60)
    assert "may need 1.1 GiB more: delete what is no longer needed" in only_error(app)
    assert "scenes_batch" not in app.session_state and not (tmp_path / "data").exists()


def test_a_set_that_fills_the_folder_is_given_up(monkeypatch):
    app = order(start("Training set"), n=500, seconds=30)
    monkeypatch.setattr(user_folder, "limit_bytes", lambda: 0)
    assert wait(app).outcome.endswith("The set was given up.")
    assert user_folder.used_bytes() == 0


def test_one_set_at_a_time_is_seen_and_stopped_by_everyone():
    order(start("Training set"), n=500, seconds=30)
    other = start("Training set")
    assert "Render and keep the set" not in [b.label for b in other.button]
    assert "mine: " in shown(other.get("progress")[0].proto.text)
    with pytest.raises(ValueError, match="another training set is being made on this server"):
        scene_sets.begin_set(SetConfig("other", 1, 1, SceneConfig(seconds=1)))
    press(other, "Stop")
    wait(other)
    assert "Stopped" in other.run().warning[0].value


@pytest.mark.full("long")
def test_a_set_goes_on_after_its_server_was_killed(monkeypatch):
    config = SetConfig("mine", 3, 1, SceneConfig(seconds=2))
    batch = scene_sets.begin_set(config)
    for _ in range(600):
        if batch.n_done or batch.outcome:
            break
        time.sleep(0.05)
    batch.job.popen.kill()
    batch.job.popen.wait()
    left = batch.folder.with_name(".unfinished-left")  # as it is found by another server
    shutil.copytree(batch.folder, left, dirs_exist_ok=True)
    for _ in range(600):
        if batch.outcome:
            break
        time.sleep(0.05)
    first = {p.name: p.read_bytes() for p in left.glob("metadata_dev/*.csv")}
    app = start("Training set")
    again = app.session_state["scenes_batch"]
    assert again is not batch and again.config == config and again.n_before == len(first)
    assert wait(app).is_kept
    kept = user_folder.path_of("scenes", "left")
    found = {p.name: p.read_bytes() for p in kept.glob("metadata_dev/*.csv")}
    assert first.items() <= found.items() and len(found) == len(list(kept.glob("foa_dev/*.flac"))) == 3
    assert {p.name for p in kept.iterdir()} == {"classes.txt", "foa_dev", "metadata_dev", "scenes"}


def test_what_the_scenes_are_like_is_told_to_the_command():
    config = SetConfig("mine", 3, 1, SceneConfig(seconds=2, snr_db=(3.0, 12.5), moving_share=0.25, anechoic=True))
    assert config.arguments[8:] == ["--moving-share=0.25", "--snr-db=3,12.5", "--anechoic"]
    app = start("Training set")
    app.slider(key="set_polyphonic_share").set_value(1.0)
    app.slider(key="set_rt60_s").set_value((0.3, 0.6)).run()
    assert "--polyphonic-share=1 --rt60-s=0.3,0.6`" in " ".join(c.value for c in app.caption)


def test_a_set_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(scene_sets.SetConfig, "arguments", ["--scenes", "1", "--seed", "1", "--snr-db", "30,6"])
    app = order(start("Training set"))
    assert "snr_db (30.0, 6.0) must be low and high" in wait(app).outcome
    assert user_folder.used_bytes() == 0


def test_wrong_names_and_options_are_said(monkeypatch):
    assert "cannot be a name here" in only_error(order(start("Training set"), name="../up"))
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data-gib", "much"])
    assert "The app was started with a wrong option" in only_error(start("Training set"))
