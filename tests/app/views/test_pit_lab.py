"""The PIT lab in every state: empty, with a clip, without ground truth, with networks missing; tables; the training."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.jobs import toy_run
from app.ui import session
from app.views.pit_lab import paper_tables, study
from einv2.analysis import pit_toy
from einv2.checkpoints import headers
from einv2.experiments.systems import TABLE2, TABLE3
from support.pages import TIMEOUT, encoded, noise, shown
from support.places import ROOT

PARTS = (
    "Microscope", "Three networks", "Homogeneous overlap", "Learning curves and tables", "Train it in front of me",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _full_errors(monkeypatch):
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["main.py"])


def start(part=None, example=None) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()
    if example is not None:
        app.session_state[session.CLIP] = next(e for e in session.examples() if e.key == example).open()
    if part is not None:
        app.session_state["pit_part"] = part
    return app.switch_page("views/pit_lab/page.py").run()


def fine(app) -> AppTest:
    assert not app.exception and not app.error, (app.exception, app.error)
    return app


def figures(app) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def names(figure) -> list[str]:
    return [trace.get("name") for trace in figure["data"]]


# Without a clip


@pytest.mark.parametrize("part", PARTS[:2])
def test_without_a_clip_the_page_teaches_and_offers_examples(part):
    app = fine(start(part))
    assert [b.key for b in app.button] == [f"example_{e.key}" for e in session.examples()]
    assert any("nothing in the sound says which event" in m.value for m in app.markdown)


def test_the_walk_needs_no_clip_and_ends_with_what_networks_hear():
    app = fine(start("Homogeneous overlap"))
    assert not app.table and "truth alarm" in names(figures(app)[0])
    app.session_state["pit_step"] = "2 · SELDnet format"
    table = fine(app.run()).table[0].value
    assert list(table.iloc[0]) == ["100.0 %", "–", "0.0 %"]  # one event, of other classes (none), of one class
    assert app.latex
    app.session_state["pit_step"] = "3 · Trackwise"
    table = fine(app.run()).table[0].value
    assert list(table.loc["the label trackwise"]) == ["100.0 %", "–", "100.0 %"]
    app.session_state["pit_step"] = "4 · What networks hear"
    table = fine(app.run()).table[0].value
    assert table.index.tolist() == ["SELDnet format", "EINV2, tPIT"]
    assert table.loc["SELDnet format"].iloc[2] == "0.0 %" and float(table.loc["EINV2, tPIT"].iloc[2][:-2]) > 50


# With a clip


def test_the_walk_says_which_clip_it_shows():
    app = fine(start("Homogeneous overlap", "moving_dog"))

    def said(of) -> str:
        return " ".join(element.value for element in of).replace("\\", "")

    assert "Shown is the example “Two of a kind”." in said(app.markdown)
    assert "This part shows the example “Two of a kind” instead." in said(app.sidebar.caption)
    app.toggle(key="pit_own_clip").set_value(True)
    fine(app.run())
    assert "Shown is the open clip, moving_dog.flac." in said(app.markdown)
    assert "instead" not in said(app.sidebar.caption)


def test_the_microscope_shows_costs_choices_and_pulls():
    app = fine(start("Microscope", "moving_dog"))
    (figure,) = figures(app)
    assert {"cost 1→1, 2→2", "cost 1→2, 2→1", "chosen", "pulled the wrong way", "pulls", "margin"} <= set(names(figure))
    table = app.table[0].value
    assert table.index.tolist() == ["tPIT", "cPIT", "no PIT"]
    wrong, loss = table["pulled the wrong way (%)"].astype(float), table["training loss"].astype(float)
    assert wrong["tPIT"] == 0 < wrong["cPIT"] < wrong["no PIT"] and loss["tPIT"] < loss["cPIT"] < loss["no PIT"]
    assert app.latex


def test_the_microscope_obeys_its_controls():
    app = fine(start("Microscope", "two_of_a_kind"))
    before = app.table[0].value["pulled the wrong way (%)"].astype(float)
    assert any("In the other order no PIT would" in m.value for m in app.markdown)
    app.toggle(key="pit_reverse").set_value(True).run()
    assert any("tPIT in none, cPIT in none, no PIT in " in m.value for m in app.markdown)
    after = fine(app).table[0].value["pulled the wrong way (%)"].astype(float)
    assert after["no PIT"] == pytest.approx(100 - before["no PIT"], abs=0.11) and after["cPIT"] == before["cPIT"]
    summed = figures(app)[0]
    app.selectbox(key="pit_cost").set_value("DoA")
    app.toggle(key="pit_chunks").set_value(True).run()
    (figure,) = figures(fine(app))
    assert figure["layout"]["yaxis"]["title"]["text"] == "DoA (sq. error)" and figure["layout"]["shapes"]
    assert figure["data"][0] != summed["data"][0]
    assert [t for t in figure["data"] if t["name"] == "chosen"] == [t for t in summed["data"] if t["name"] == "chosen"]
    app.session_state["pit_network"] = "einv2-nopit"
    assert figures(fine(app.run()))[0]["data"][0] != figure["data"][0]


def test_three_networks_side_by_side():
    app = fine(start("Three networks", "two_of_a_kind"))
    table = app.table[0].value
    assert table.columns.tolist() == ["EINV2, tPIT", "EINV2, cPIT", "EINV2, no PIT"]
    middle, error = (table.loc[row].astype(float) for row in ("nearer the midpoint (%)", "LE alone, overlap (°)"))
    assert (
        middle["EINV2, no PIT"] > 40 > 10 > middle["EINV2, tPIT"] and error["EINV2, no PIT"] > 2 * error["EINV2, tPIT"]
    )
    directions, points = figures(app)
    assert names(directions).count("midpoint") == 3 and "nearer to the midpoint" in names(points)
    assert names(directions).count("ribbons") == 3 and "track 2" in directions["layout"]["yaxis"]["ticktext"]
    (said,) = (m.value for m in app.markdown if "nearer to the midpoint of two sources" in m.value)
    assert f"EINV2, no PIT {middle['EINV2, no PIT']:.0f} %" in said
    live = next(data for c in app.get("bidi_component") if "arrays" in (data := json.loads(c.proto.json)))
    assert len(live["scene"]["tracks"]) == 6 and live["figure"] == "pit_figure"


def test_a_clip_without_simultaneous_sources_has_no_midpoints():
    app = start("Three networks")
    app.session_state[session.CLIP] = session.Source(
        "clip.wav", encoded(noise()), "clip.csv", b"0,0,0,10,0\n1,1,0,90,0\n"
    )
    assert "no frame with exactly two events" in fine(app.run()).info[0].value and len(figures(app)) == 1


def test_a_clip_without_ground_truth_asks_for_it():
    app = start()
    app.session_state[session.CLIP] = session.Source("*mine*.wav", encoded(noise()))
    info = fine(app.run()).info[0].value
    assert "add the ground truth of *mine*.wav" in shown(info) and not figures(app)


def test_silent_ground_truth_is_said():
    app = start()
    app.session_state[session.CLIP] = session.Source("clip.wav", encoded(noise()), "clip.csv", b"")
    assert "Nothing sounds" in fine(app.run()).info[0].value
    for part in PARTS[1:3]:
        app.session_state["pit_part"] = part
        fine(app.run())


def test_a_clip_that_cannot_be_read_is_one_sentence():
    app = start()
    app.session_state[session.CLIP] = session.Source("broken.wav", b"RIFFnothing", "broken.csv", b"0,0,0,0,0\n")
    app.run()
    assert not app.exception and len(app.error) == 1 and "broken.wav" in shown(app.error[0].value)


def test_classes_that_networks_do_not_know_are_left_out():
    app = start()
    truth = b"0,2,0,10,0\n1,2,0,10,0\n0,1,0,90,0\n"  # DCASE 2022: clapping, male speech
    app.session_state[session.CLIP] = session.Source("clip.wav", encoded(noise()), "clip.csv", truth)
    app.run().selectbox(key="truth_classes").set_value("DCASE 2022 to 2025").run()
    assert any("clapping" in w.value for w in fine(app).warning) and figures(app)


@pytest.fixture
def pretrained(tmp_path, monkeypatch):
    """A folder of networks with one of the three, and a file that is none."""
    for name in ("einv2-tpit", "einv2"):
        shutil.copy(headers.PRETRAINED / f"{name}.safetensors", tmp_path)
    (tmp_path / "seldnet.safetensors").write_bytes(b"nothing")
    monkeypatch.setattr(headers, "PRETRAINED", tmp_path)
    return tmp_path


def test_missing_networks_are_named_and_the_others_go_on(pretrained):
    app = fine(start("Three networks", "two_of_a_kind"))
    assert "einv2-cpit, einv2-nopit" in app.info[0].value
    assert app.table[0].value.columns.tolist() == ["EINV2, tPIT"]
    app.session_state["pit_part"] = "Learning curves and tables"
    app.run()
    assert not app.exception and any("seldnet" in shown(e.value) for e in app.error)
    assert any("einv2-cpit, einv2-nopit" in i.value for i in app.info)


def test_without_any_network_the_other_parts_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(headers, "PRETRAINED", tmp_path)
    app = fine(start("Microscope", "two_of_a_kind"))
    assert any("Without these networks" in i.value for i in app.info)
    for part in PARTS[1:]:
        app.session_state["pit_part"] = part
        fine(app.run())


# Curves and tables


def test_curves_and_tables_of_what_is_shipped():
    app = fine(start("Learning curves and tables"))
    curves, pairs = figures(app)
    assert names(curves) == ["EINV2, tPIT", "EINV2, cPIT", "EINV2, no PIT"]
    assert {"the paper", "measured here"} <= set(names(pairs))
    two, three = (t.value for t in app.table)
    assert len(two) == len(TABLE2) and len(three) == len(TABLE3)
    assert three["ER: paper"].tolist()[-3:] == ["0.23 ± 0.03", "0.25", "0.20"]
    assert three["F (%): paper"]["EINV2: trackwise, soft sharing, tPIT"] == "78.0 ± 0.3"
    assert any("networks for directions alone" in c.value for c in app.caption)
    assert two["LE (°): paper"].tolist() == ["17.2", "37.6", "12.6", "12.4"]
    networks, tables = paper_tables.shipped()[0], paper_tables.read_tables()
    told = paper_tables.conditions([n for n in networks if n.name.startswith("einv2-")], tables["table2"])
    assert told and any(told in c.value for c in app.caption)
    app.selectbox(key="pit_curve").set_value("F (%)")
    app.multiselect(key="pit_curve_networks").set_value(["accdoa"]).run()
    assert names(figures(fine(app))[0]) == ["ACCDOA"]


def network(name, augmented=True, **scores):
    return paper_tables.Shipped(name, [], {paper_tables.TEST_SET: scores} if scores else {}, augmented)


def test_how_networks_were_trained_is_told_by_what_was_measured():
    a, b, c = (paper_tables.Shipped("", [], {}, True, epochs) for epochs in (6, 20, None))
    assert paper_tables.conditions([a], []) == "6 epochs" and paper_tables.conditions([c], [{}]) == ""
    assert paper_tables.conditions([b, c], [{"n_clips": 30, "epochs": 9}]) == "9 to 20 epochs; 30 test scenes"


def test_the_checkpoints_fill_their_rows_of_table_3():
    shipped = [network("einv2-tpit", ER=0.4, F=0.7, LE=10.0, LR=0.7), network("seldnet", ER=0.5), network("accdoa")]
    rows = {(row.title, row.note): row.ours for row in paper_tables.table3(shipped, {})}
    assert rows["EINV2: trackwise, soft sharing, tPIT, augmented", ""] == {"ER": 0.4, "F": 0.7, "LE": 10.0, "LR": 0.7}
    assert rows["EINV2: trackwise, soft sharing, tPIT", ""]["ER"] is None
    assert rows["SELDnet format, soft sharing", "here with augmentation"]["ER"] == 0.5
    assert (
        len(paper_tables.missing(paper_tables.table3(shipped, {}))) == len([row for row in TABLE3 if row.systems]) - 2
    )


def test_what_tables_json_says_wins(tmp_path):
    file = tmp_path / "tables.json"
    content = {
        "table2": [{"system": "doa-tpit", "le": 12.3, "n_clips": 30}, {"system": "sed-tpit", "f": 0.7}],
        "table3": [
            {"system": "einv2-tpit", "er": 0.3},
            {"system": "einv2-none", "augmented": False, "f": 0.6, "le": None},
        ],
    }
    file.write_text(json.dumps(content))
    tables = paper_tables.read_tables(file)
    by_title = {row.title: row.ours for row in paper_tables.table2([], tables)}
    assert by_title["Trackwise, tPIT"] == {"F": 0.7, "LE": 12.3} and by_title["Trackwise, cPIT"] == {
        "F": None,
        "LE": None,
    }
    rows = {row.title: row.ours for row in paper_tables.table3([network("einv2-tpit", ER=0.4, F=0.7)], tables)}
    assert rows["EINV2: trackwise, soft sharing, tPIT, augmented"] == {"ER": 0.3, "F": 0.7, "LE": None, "LR": None}
    assert rows["Trackwise, no sharing, tPIT"]["F"] == 0.6


def test_no_tables_json_is_fine(tmp_path):
    assert paper_tables.read_tables(tmp_path / "tables.json") == {}


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "{",
        '{"table2": [{"system": "nobody"}]}',
        '{"table2": [{"system": "doa-tpit", "le": "x"}]}',
        '{"table3": {"a": 1}}',
        '{"table2": 3}',
    ],
)
def test_odd_tables_json_is_one_sentence(tmp_path, text):
    file = tmp_path / "tables.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"tables\.json"):
        paper_tables.read_tables(file)


# Train it in front of me


@dataclass
class FakeJob:
    """In place of a process: runs until it is told to end."""

    folder: Path
    is_running: bool = True

    def stop(self):
        self.is_running = False


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    pit_toy.main(["--out", str(folder), "--steps", "2"])
    return folder


def test_the_training_starts_is_watched_and_stopped(monkeypatch, written):
    begun = []

    def begin(seed):
        begun.append(toy_run.ToyRun(FakeJob(written), seed))
        return begun[-1]

    monkeypatch.setattr(toy_run, "start", begin)
    app = fine(start("Train it in front of me"))
    assert not figures(app) and app.button(key="pit_stop").disabled
    app.button(key="pit_train").click().run()
    assert len(begun) == 1 and len(figures(fine(app))) == 2
    assert app.button(key="pit_train").disabled and not app.button(key="pit_stop").disabled
    app.button(key="pit_stop").click().run()
    assert "Stopped at step 2 of 2" in fine(app).info[0].value and not begun[0].running
    app.button(key="pit_train").click().run()
    assert [run.seed for run in begun] == [1, 2] and fine(app)  # again, and not the same again


def test_at_the_end_both_networks_point_on_a_held_out_example(written):
    app = start()
    app.session_state[study.TOY] = toy_run.ToyRun(FakeJob(written, is_running=False))
    app.session_state["pit_part"] = "Train it in front of me"
    assert len(figures(fine(app.run()))) == 3
    before = figures(app)[2]
    app.slider(key="pit_example").set_value(5).run()
    assert figures(fine(app))[2] != before and not app.info


def test_a_training_that_broke_off_is_said(tmp_path):
    app = start()
    app.session_state[study.TOY] = toy_run.ToyRun(FakeJob(tmp_path, is_running=False))
    app.session_state["pit_part"] = "Train it in front of me"
    app.run()
    assert not app.exception and "stopped unexpectedly" in app.error[0].value


def test_a_training_that_cannot_start_is_said(monkeypatch):
    def refuse(seed):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(toy_run, "start", refuse)
    app = start("Train it in front of me")
    app.button(key="pit_train").click().run()
    assert not app.exception and "No space left on device" in app.error[0].value
