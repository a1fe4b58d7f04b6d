"""The Train page without a browser."""

import json
import shutil
import sys

import pytest
from streamlit.testing.v1 import AppTest

from app.jobs import training_runs, training_speed
from app.storage import user_folder
from app.ui import session
from einv2.experiments.systems import SYSTEMS
from einv2.status import FINISHED, RUNNING, STOPPED
from support.pages import only_error, open_page
from support.places import ROOT
from support.trainings import WAIT, two_epochs, until

RECORD = "dict(epoch=epoch, loss=0.5, validation_loss=0.6, ER=0.7, F=0.4, LE=20.0, LR=None, seconds=2.0)"


@pytest.fixture(autouse=True)
def _page(monkeypatch, tmp_path, scenes):
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data", str(tmp_path / "data")])
    for kind in ("foa_dev", "metadata_dev"):
        shutil.copytree(scenes / kind, tmp_path / "data" / "scenes" / "six" / kind)
    yield
    for run in training_runs.runs():
        training_runs.stop(run.name)


@pytest.fixture
def full(fake, monkeypatch):
    """Trainings that take no time, and write what the page draws."""

    def put(what: str = WAIT) -> None:
        *start, code = fake(what)
        code = code.replace('{"epoch": epoch, "seconds": 10.0 * epoch}', RECORD)
        monkeypatch.setattr(training_runs, "COMMAND", (*start, code))

    return put


def start(view=None) -> AppTest:
    return open_page("train") if view is None else open_page("train", train_view=view)


def press(app, label) -> AppTest:
    next(b for b in app.button if b.label == label).click()
    app.run()
    assert not app.exception
    return app


def begin(app, name="run-1") -> AppTest:
    """Start a run of the three epochs that the pretended training has."""
    app.text_input(key="train_name").set_value(name)
    app.number_input(key="train_epochs").set_value(3)
    return press(app.run(), "Start training")


def labels_of(app) -> list[str]:
    return [b.label for b in app.button]


def texts_of(app) -> str:
    return " ".join(e.value for e in [*app.caption, *app.markdown, *app.code, *app.info]).replace("\\", "")


def finished(full, name="mine") -> None:
    """A run that is through."""
    full()
    begin(start(), name)
    two_epochs(name)
    training_runs.stop(name)
    training_runs.resume(name)
    assert until(name, lambda r: r.state != RUNNING).state == FINISHED


def test_without_data_the_page_tells_where_to_get_some():
    shutil.rmtree(user_folder.root())
    app = start()
    assert "There is nothing to train on yet" in app.info[0].value and not app.error
    assert "No run yet." in texts_of(start("Runs"))


def test_everything_is_chosen_at_first():
    app = start()
    assert not app.error and app.multiselect(key="train_data").value == ["six"]
    assert app.text_input(key="train_name").value == "run-1"
    assert "2,179,730 parameters, 8.7 MB" in texts_of(app)
    command = app.code[0].value
    assert "--system einv2-tpit" in command and "--epochs 10" in command and "runs/run-1" in command
    app.selectbox(key="train_classes").set_value("own names").run()
    assert next(b for b in app.button if b.label == "Start training").disabled  # until there are names
    app.text_area(key="train_classes_own").set_value('owl, "fox, red"').run()
    assert """--classes 'owl, "fox, red"'""" in app.code[0].value
    app.selectbox(key="train_classes").set_value("inferred from the data").run()
    assert "--classes" not in app.code[0].value


@pytest.mark.parametrize("system", [name for name in SYSTEMS if name in ("crnn", "accdoa", "doa-cpit")])
def test_other_systems_and_sizes(system):
    app = start()
    app.selectbox(key="train_system").set_value(system)
    app.selectbox(key="train_size").set_value("paper")
    app.toggle(key="train_released").set_value(False)
    app.run()
    assert not app.exception and not app.error
    assert f"--system {system}" in app.code[0].value and "--n-mels 256" in app.code[0].value
    assert app.number_input(key="train_sed_weight").disabled and not app.number_input(key="train_clip_norm").disabled


def test_other_ways_to_validate():
    app = start()
    app.radio(key="train_held_out").set_value("other sets").run()
    app.multiselect(key="train_validation").set_value(["six"]).run()
    assert app.code[0].value.count("/six \\") == 2 and "--validation " in app.code[0].value
    app.radio(key="train_held_out").set_value("a part of the data").run()
    app.text_input(key="train_validation_part").set_value("fold1, --out").run()
    assert "--validation-part fold1 " in app.code[0].value and app.code[0].value.count("--out") == 1
    assert "all 6 are held out" in only_error(press(app, "Start training"))
    assert training_runs.runs() == []


def test_a_run_from_start_to_end(full):
    full()
    app = begin(start())
    run = two_epochs("run-1")
    app.run()
    assert "running" in texts_of(app) and len(app.get("plotly_chart")) == 1
    assert {"Stop", "Open in Inspect"} <= set(labels_of(app)) and "Resume" not in labels_of(app)
    assert app.text_input(key="train_name").value == "run-2"
    assert "run-1 is training at this moment" in only_error(press(app, "Start training"))
    app = start()  # another session sees it too
    assert "Stop" in labels_of(app)
    press(app, "Stop")
    assert training_runs.read_run("run-1").state == STOPPED
    app.session_state["train_watched"] = "run-1"
    press(app.run(), "Resume")
    until("run-1", lambda r: r.state == FINISHED)
    app.run()
    assert "finished" in texts_of(app) and "3 of 3 epochs" in texts_of(app)
    assert not run.folder.joinpath("best.safetensors").exists()  # of the pretended training
    press(app, "Close")
    assert "3 of 3 epochs" not in texts_of(app)


@pytest.mark.parametrize(
    "what, sentence",
    [("raise ValueError('the loss became nan')", "the loss became nan."), ("1 / 0", "division")],
)
def test_a_failed_run_shows_its_reason(full, what, sentence):
    full(what)
    app = press(start(), "Start training")
    until("run-1", lambda r: r.state != RUNNING)
    assert sentence in only_error(app.run()) and "Resume" in labels_of(app)


def test_impossible_names_and_a_full_folder_are_errors(full, monkeypatch):
    full()
    app = start()
    app.text_input(key="train_name").set_value("../up").run()
    assert "cannot be a name here" in only_error(press(app, "Start training"))
    app.text_input(key="train_name").set_value("good").run()
    monkeypatch.setattr(user_folder, "limit_bytes", lambda: 10)
    assert "delete what is no longer needed" in only_error(press(app, "Start training"))


def test_runs_are_listed_compared_and_deleted(full):
    finished(full, "one")
    finished(full, "two")
    app = start("Runs")
    table = app.dataframe[0].value
    assert set(table["run"]) == {"one", "two"} and set(table["epochs"]) == {"3 of 3"}
    assert {"started", "resumed"} <= set(table) and "–" not in set(table["resumed"])  # both were
    assert app.multiselect(key="train_compared").value == ["two", "one"]
    app.multiselect(key="train_compared").set_value(["one", "two"]).run()
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert {trace["name"] for trace in figure["data"]} == {"one", "two"} and len(figure["data"]) == 12
    app.button(key="train_watch_one").click().run()
    assert app.button(key="train_open_one") and len(app.get("plotly_chart")) == 2
    app.button(key="train_delete_one_cancel").click().run()
    assert len(training_runs.runs()) == 2
    app.button(key="train_delete_one").click().run()
    assert [run.name for run in training_runs.runs()] == ["two"] and not app.exception and not app.error


def test_the_page_names_the_score_of_the_best_epoch(full, tiny_checkpoint):
    from einv2.checkpoints import checkpoint

    finished(full)
    assert "resumed" in start("Runs").dataframe[0].value
    tiny_checkpoint.scores["validation"] = dict(epoch=7, SELD=0.98, ER=1.0, F=0.0, LE=170.0, LR=-0.0)
    checkpoint.save(tiny_checkpoint, training_runs.read_run("mine").folder / "best.safetensors")
    app = start("Runs")
    app.button(key="train_watch_mine").click().run()
    assert "The best is epoch 7, with the lowest SELD (the mean of ER" in texts_of(app)
    assert "SELD 0.98, ER 1.00, F 0.0 %, LE 170.0°, LR 0.0 %" in texts_of(app)
    row = app.dataframe[-1].value.iloc[0]
    assert (row["best epoch"], row["SELD"], row["LR (%)"]) == ("7", "0.98", "0.0")
    chart = app.get("plotly_chart")[0].proto
    layout, config = json.loads(chart.spec)["layout"], json.loads(chart.config)
    assert layout["modebar"]["orientation"] == "v" and layout["margin"]["r"] >= 32  # beside data and titles
    assert config["showTips"] is False


@pytest.mark.full("long")
def test_the_networks_of_a_run_open_in_inspect(full, tiny_checkpoint):
    from einv2.checkpoints import checkpoint

    finished(full)
    checkpoint.save(tiny_checkpoint, training_runs.read_run("mine").folder / "best.safetensors")
    app = start("Runs")
    app.button(key="train_inspect_mine").click().run()
    assert not app.exception and app.session_state["networks"] == ["mine (best)"]
    assert "What you open goes through **mine (best)**" in texts_of(app)
    app.switch_page("views/inspect/page.py").run()  # where the script is already, and the test follows
    app.button(key="example_moving_dog").click().run()
    assert app.multiselect(key="networks").value == ["mine (best)"] and app.get("plotly_chart")
    app = start("Runs")
    app.session_state[session.CLIP] = session.examples()[0].open()
    app.button(key="train_inspect_mine").click().run()
    assert app.multiselect(key="networks").value == ["mine (best)"] and app.get("plotly_chart")


MEASURED = """
import json, pathlib, sys
out = pathlib.Path(sys.argv[1]) / "speed.json"
assert json.load(sys.stdin)["TrainConfig"]["batch_size"] == 16
WHAT
"""
FOUND = "dict(chunks=15, steps=3, chunks_a_second=7.5, seconds_an_epoch=2.5, features_seconds=6.0)"


def measured(app, monkeypatch, what) -> AppTest:
    command = (sys.executable, "-c", MEASURED.replace("WHAT", what))
    monkeypatch.setattr(training_speed, "COMMAND", command)
    press(app, "Measure")
    measuring = app.session_state["train_measuring"]
    assert measuring.job.popen.wait(60) == 0 and measuring.is_over
    return app.run()


def test_the_time_is_measured_and_budgets_are_set_by_it(full, monkeypatch):
    app = measured(start(), monkeypatch, f"out.write_text(json.dumps(dict(found={FOUND})))")
    assert {m.label: m.value for m in app.metric} == {"Total": "31 s", "An epoch": "2.5 s", "Chunks a second": "7.5"}
    assert "10 × 3 steps (15 chunks). Features, where they are not there yet: 6.0 s." in texts_of(app)
    press(app, "Set 717 epochs")  # (30 min - 6 s) / 2.5 s
    assert app.number_input(key="train_epochs").value == 717 and len(app.metric) == 3
    full()
    press(app, "Start training")
    assert training_runs.read_run("run-1").order["seconds_an_epoch"] == 2.5
    app.number_input(key="train_batch_size").set_value(8).run()
    assert not app.metric and "train_measuring" not in app.session_state


@pytest.mark.parametrize(
    "what, sentence",
    [
        ("out.write_text(json.dumps(dict(error='a.wav is odd')))", "a.wav is odd."),
        ("print('Killed')", "The measurement ended early: Killed."),
    ],
)
def test_a_failed_measurement_shows_its_reason(monkeypatch, what, sentence):
    app = measured(start(), monkeypatch, what)
    assert only_error(app) == sentence
    app.number_input(key="train_batch_size").set_value(8).run()
    assert "The settings have changed since this was measured." in texts_of(app) and not app.error


def test_a_measurement_can_be_stopped(monkeypatch):
    app = start()
    monkeypatch.setattr(training_speed, "COMMAND", (sys.executable, "-c", "import time; time.sleep(600)"))
    process = press(app, "Measure").session_state["train_measuring"].job.popen
    press(app, "Stop measuring")
    assert "train_measuring" not in app.session_state and process.poll() is not None and not app.error
