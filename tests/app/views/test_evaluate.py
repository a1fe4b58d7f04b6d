"""The Evaluate page without a browser, and what it is made of."""

import json
import shutil
import sys
from dataclasses import replace

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.clip import detections, prepared
from app.storage import server_folder
from app.ui import class_menu, session, widgets
from app.views.evaluate import report, results_view, scoring
from einv2.checkpoints import headers
from einv2.metrics import dcase
from support.pages import TIMEOUT, encoded, noise, only_error, shown
from support.places import ROOT

FIRST = {"a": "".join(f"{f},0,0,{f},5\n" for f in range(30)), "b": "".join(f"{f},13,0,-90,5\n" for f in range(20))}
SECOND = {"a": "".join(f"{f},0,{f // 15},{f + 3},5\n" for f in range(30)), "b": ""}


@pytest.fixture(autouse=True)
def _full_errors(monkeypatch):
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["main.py"])


def start() -> AppTest:
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()
    return app.switch_page("views/evaluate/page.py").run()


def score(truths, *systems, recordings=()) -> AppTest:
    app = start()
    upload(app, "evaluate_truths", truths)
    for letter, files in zip("AB", systems):
        upload(app, f"evaluate_tables_{letter}", files)
    for name, data in recordings:
        app.file_uploader(key="evaluate_audio").upload(name, data, "audio/wav")
    app.run()
    return press_score(app)


def upload(app, key, files) -> None:
    for stem, text in files.items():
        app.file_uploader(key=key).upload(f"{stem}.csv", text.encode(), "text/csv")


def press_score(app) -> AppTest:
    next(b for b in app.button if b.label == "Score").click()
    return app.run()


def results(app) -> scoring.Results:
    assert not app.exception and not app.error, (app.exception, app.error)
    return app.session_state[session.RESULTS]


def test_empty_state_teaches_and_offers_the_examples():
    app = start()
    assert not app.exception and not app.error
    assert "Score the examples" in [b.label for b in app.button]
    assert next(b for b in app.button if b.label == "Score").disabled


def test_examples_are_scored_as_by_the_command_line(tmp_path, capsys):
    from einv2.commands import main as cli

    app = start()
    next(b for b in app.button if b.label == "Score the examples").click()
    found = results(app.run()).systems["einv2"]
    for folder in ("clips", "truth"):
        (tmp_path / folder).mkdir()
    for example in session.examples():
        source = example.open()
        (tmp_path / "clips" / source.name).write_bytes(source.data)
        (tmp_path / "truth" / source.truth_name).write_bytes(source.truth)
    clips = [str(p) for p in (tmp_path / "clips").iterdir()]
    assert cli.main(["predict", *clips, "--model", "einv2", "--out", str(tmp_path / "out")]) == 0
    report = ["--metric", "all", "--json", str(tmp_path / "scores.json")]
    assert cli.main(["evaluate", str(tmp_path / "out"), str(tmp_path / "truth"), *report]) == 0
    measured = json.loads((tmp_path / "scores.json").read_text())["measures"]
    for measure in dcase.MEASURES:
        for key in ("ER", "F", "LE", "LR", "SELD"):
            assert found.scores[measure][key] == pytest.approx(measured[measure][key]), (measure, key)
    assert found.reliability is not None and "level" in found.breakdowns


def test_one_system_has_a_row_for_each_year():
    app = score(FIRST, FIRST)
    assert len(results(app).systems) == 1
    table = app.table[0].value
    assert table.index.tolist() == [f"DCASE {year}" for year in range(2020, 2026)]
    assert table["F"].iloc[0].startswith("100.0 %")


def test_two_systems_and_their_difference():
    app = score(FIRST, FIRST, SECOND)
    found = results(app)
    assert list(found.systems) == ["system A", "system B"]
    table = app.table[0].value
    assert table.index.tolist() == ["system A", "system B", "system B minus system A"]
    assert table["F"].iloc[2].startswith("−")
    app.selectbox(key="evaluate_year").set_value("dcase2024")
    assert not app.run().exception


def test_a_third_system_is_offered_when_there_are_two():
    app = start()
    upload(app, "evaluate_truths", FIRST)
    keys = [u.key for u in app.run().file_uploader]
    assert "evaluate_tables_B" in keys and "evaluate_tables_C" not in keys
    for letter, files in zip("AB", (FIRST, SECOND)):
        upload(app, f"evaluate_tables_{letter}", files)
    app.run()
    upload(app, "evaluate_tables_C", FIRST)
    assert list(results(press_score(app.run())).systems) == ["system A", "system B", "system C"]


def test_60_seconds_of_each_clip():
    late = {"a": FIRST["a"] + "300,5,0,0,0\n"}
    app = score({"a": FIRST["a"]}, late)
    assert results(app).systems["system A"].scores["dcase2020"]["ER"] == 0
    app.selectbox(key="evaluate_extent").set_value("for 60 s")
    found = results(press_score(app.run()))
    assert found.systems["system A"].scores["dcase2020"]["ER"] > 0
    assert any("--seconds 60" in code.value for code in app.code)


@pytest.mark.parametrize(
    "view", ["Errors", "Classes", "Conditions", "Directions", "Tracks", "Probabilities", "Clips", "Export"]
)
def test_every_view(view):
    app = score(FIRST, SECOND, recordings=[("a.wav", encoded(noise(3.0)))])
    results(app)
    app.segmented_control(key="evaluate_view").set_value(view)
    app.run()
    assert not app.exception and not app.error
    if view == "Probabilities":
        assert "carry no probabilities" in app.info[0].value
    if view == "Export":
        assert len(app.get("download_button")) == 6
    else:
        assert any("Errors behind: all errors" in shown(m.value) for m in app.markdown)


def test_what_is_clicked_is_what_is_listed():
    app = score(FIRST, SECOND)
    app.session_state[results_view.BEHIND] = ("class", "piano", "missed")
    app.run()
    assert any("Errors behind: piano, missed** · 1 in 1 clip" in shown(m.value) for m in app.markdown)
    listed = app.dataframe[-1].value
    assert listed[["clip", "kind", "class", "onset", "offset"]].to_numpy().tolist() == [
        ["b", "missed", "piano", 0.0, 2.0]
    ]


def test_behind_each_cell_of_the_confusion():
    truth = {"a": "0,0,0,0,0\n1,1,0,0,0\n2,2,0,0,0\n3,1,0,0,0\n"}
    estimate = {"a": "0,0,0,0,0\n1,3,0,0,0\n3,4,0,90,0\n"}
    found = results(score(truth, estimate)).systems["system A"]
    cells = {
        ("alarm", "alarm"): [],
        ("crying baby", "barking dog"): ["wrong class"],
        ("crash", "nothing"): ["missed"],
        ("nothing", "running engine"): ["false alarm"],
    }
    for cell, kinds in cells.items():
        assert scoring.behind(found, "confusion", cell, "all")[0]["kind"].tolist() == kinds, cell


def test_oddities_are_said():
    app = score(FIRST | {"c": "1,0,0,0,0\n"}, FIRST | {"a": FIRST["a"] + "3,0,0,3,5\n"})
    assert "3 things to know" in app.expander[0].label
    notes = shown(app.expander[0].markdown[0].value)
    assert "without a prediction of that stem: c" in notes and "repeats another" in notes


def test_systems_that_cannot_be_told_apart():
    app = start()
    upload(app, "evaluate_truths", FIRST)
    for letter, files in zip("AB", (FIRST, SECOND)):
        upload(app, f"evaluate_tables_{letter}", files)
    app.run()
    for letter in "AB":
        app.text_input(key=f"evaluate_name_{letter}").set_value("mine")
    assert list(results(press_score(app.run())).systems) == ["mine", "mine (B)"]
    tables = {name: {"a": b""} for name in "abcde"}
    for job, says in (
        (scoring.Job({"a": b""}, tables), "5 systems are too many"),
        (scoring.Job({"a": b""}, {"einv2": {"a": b""}}, ("einv2",), {"a": b""}), "both called einv2"),
    ):
        with pytest.raises(ValueError, match=says):
            scoring.run(job, lambda share, text: None)


def test_systems_without_a_clip_in_common():
    app = score(FIRST, {"a": FIRST["a"]}, {"b": FIRST["b"]})
    assert "have no clip in common" in only_error(app)


@pytest.mark.parametrize(
    "truths, says",
    [
        ({"x": "1,0,0,0,0\n"}, "no prediction has the stem of a ground truth"),
        ({"a": "not a table\n"}, "a.csv: line 1 has 1 column"),
        ({"a": "1,99,0,0,0\n", "b": ""}, "class indices up to 99 (a.csv, line 1)"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_sentence(truths, says):
    assert says in only_error(score(truths, FIRST))


def test_recordings_through_a_network(monkeypatch, tmp_path):
    app = start()
    app.radio(key="evaluate_way").set_value("Recordings, by a network").run()
    app.file_uploader(key="evaluate_audio").upload("a.wav", encoded(noise(1.0)), "audio/wav")
    upload(app, "evaluate_truths", {"a": "3,0,0,45,10\n4,0,0,45,10\n"})
    found = results(press_score(app.run()))
    assert list(found.systems) == ["einv2"] and found.job.source("a").name == "a.wav"


def test_a_bad_recording_is_named():
    app = start()
    app.radio(key="evaluate_way").set_value("Recordings, by a network").run()
    app.file_uploader(key="evaluate_audio").upload("a.wav", encoded(noise(1.0)[:2]), "audio/wav")
    upload(app, "evaluate_truths", {"a": "3,0,0,45,10\n"})
    assert "a.wav: has 2 channels" in only_error(press_score(app.run()))


def test_without_models_a_sentence_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(headers, "PRETRAINED", tmp_path)
    app = start()
    app.radio(key="evaluate_way").set_value("Recordings, by a network").run()
    assert "no trained network" in only_error(app)


def test_stopping(monkeypatch):
    app = score(FIRST, SECOND)
    app.session_state["evaluation_stopped"] = app.session_state["job"]
    del app.session_state[session.RESULTS]
    app.run()
    assert "Stopped" in app.info[0].value and not app.exception
    next(b for b in app.button if b.label == "Start again").click()
    assert len(results(app.run()).systems) == 1


def test_a_clip_whose_analysis_was_stopped_stays_stopped_after_a_score():
    app = start()
    clip = app.session_state[session.CLIP] = session.examples()[0].open()
    app.session_state[prepared.STOPPED] = clip.digest
    upload(app, "evaluate_truths", FIRST)
    upload(app, "evaluate_tables_A", FIRST)
    results(press_score(app.run()))
    app.switch_page("views/inspect/page.py").run()
    assert "Stopped" in app.info[0].value and not app.get("plotly_chart")


def test_closing():
    app = score(FIRST, SECOND)
    next(b for b in app.button if b.label == "Close the evaluation").click()
    app.run()
    assert "Score the examples" in [b.label for b in app.button]


def test_hostile_names_are_shown_as_they_are():
    bad = "<img src=x onerror=alert(1)> **b** [l](javascript:x)"
    app = start()
    upload(app, "evaluate_truths", {bad: FIRST["a"]})
    for letter in "AB":
        upload(app, f"evaluate_tables_{letter}", {bad: SECOND["a"]})
    app.run()
    app.text_input(key="evaluate_name_A").set_value("<script>x</script>")
    press_score(app.run())
    assert not app.exception and not app.error
    assert "<script" not in str(app.table[0].value.index[0]).replace("\\<", "")
    for element in [*app.markdown, *app.caption]:
        assert "<img" not in element.value.replace("\\<", "") and "<script" not in element.value.replace("\\<", "")


# Folders


@pytest.fixture
def root(tmp_path):
    for place, files in {"set/truth": FIRST, "out/one": FIRST, "out/two": SECOND}.items():
        (tmp_path / "root" / place).mkdir(parents=True)
        for stem, text in files.items():
            (tmp_path / "root" / place / f"{stem}.csv").write_text(text)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.csv").write_text("1,0,0,0,0\n")
    return tmp_path / "root"


def test_folders_of_the_data_root(root, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["main.py", "--data-root", str(root)])
    app = start()
    app.radio(key="evaluate_way").set_value("Folders in root").run()
    assert app.selectbox(key="evaluate_truth_folder").options == ["out", "out/one", "out/two", "set", "set/truth"]
    app.selectbox(key="evaluate_truth_folder").set_value("set/truth")
    app.multiselect(key="evaluate_system_folders").set_value(["out/one", "out/two"])
    found = results(press_score(app.run()))
    assert list(found.systems) == ["out/one", "out/two"]
    assert found.systems["out/one"].scores["dcase2020"]["F"] == 1


def test_a_set_of_the_scenes_page_by_a_network(scenes, tmp_path, monkeypatch):
    for kind in ("foa_dev", "metadata_dev"):
        (tmp_path / "data" / "scenes" / "six" / kind).mkdir(parents=True)
        for file in sorted((scenes / kind).glob("*mix000[12].*")):
            shutil.copy(file, tmp_path / "data" / "scenes" / "six" / kind)
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data", str(tmp_path / "data")])
    app = start()
    app.radio(key="evaluate_way").set_value("A set of the Scenes page, by a network").run()
    assert app.selectbox(key="evaluate_set").options == ["six"]
    found = results(press_score(app))
    assert list(found.systems) == ["einv2"] and found.systems["einv2"].scores["dcase2020"]["F"] > 0.3
    assert set(found.job.recordings) == set(found.job.truths) and len(found.job.truths) == 2


def test_without_a_data_root_no_folder_is_offered():
    assert start().radio(key="evaluate_way").options == ["Predictions (CSV)", "Recordings, by a network"]


@pytest.mark.parametrize("path", ["..", "../secret", "set/../../secret", "/etc"])
def test_no_folder_outside_the_root_is_read(root, path):
    with pytest.raises(ValueError, match="leads out of the data root"):
        server_folder.files_in(root, path, "tables")


def test_links_do_not_lead_out_of_the_root(root):
    (root / "link").symlink_to(root.parent / "secret")
    (root / "set" / "truth" / "c.csv").symlink_to(root.parent / "secret" / "a.csv")
    with pytest.raises(ValueError, match="leads out"):
        server_folder.files_in(root, "link", "tables")
    assert list(server_folder.files_in(root, "set/truth", "tables")) == ["a", "b"]
    assert "link" not in server_folder.folders_with(root, "tables")


def test_a_folder_that_has_gone(root):
    with pytest.raises(ValueError, match="nowhere is no folder in the data root"):
        server_folder.files_in(root, "nowhere", "tables")
    with pytest.raises(ValueError, match="set holds no recordings"):
        server_folder.files_in(root, "set", "recordings")
    with pytest.raises(ValueError, match="two files with the stem a"):
        server_folder.files_in(root, "out", "tables")


def test_data_root_is_that_of_the_start(root, tmp_path):
    assert server_folder.data_root(["--data-root", str(root)]) == root.resolve()
    assert (
        server_folder.data_root([]) is None and server_folder.data_root(["--data-root", str(tmp_path / "no")]) is None
    )


def test_cells_have_no_sign_before_zero_and_shares_in_percent():
    events = pd.DataFrame({"elevation": [-0.3, 12.6], "error": [None, 3.2], "found": [0.9565, 1.0]})
    written = results_view.as_written(events)
    assert [str(value) for value in written["elevation"]] == ["0.0", "13.0"] and written["found"].tolist() == [
        95.65,
        100.0,
    ]
    assert written["error"].isna().tolist() == [True, False] and "kind" in results_view.as_written(
        events.assign(kind="x")
    )


# What leads from and to other pages


def example_scored_as(name: str) -> AppTest:
    """Two systems of CSVs against the first example, with its recording; the second finds one event that is not there."""
    source = session.examples()[0].open()
    truth = source.truth.decode()
    files = {source.stem: truth}, {source.stem: truth + "590,3,0,10,10\n"}
    app = score({source.stem: truth}, *files, recordings=[(source.name, source.data)])
    app.selectbox(key="evaluate_system").set_value(name)
    return app.run()


def test_an_error_of_a_table_opens_with_that_table_and_leads_back():
    app = example_scored_as("system B")
    found = results(app)
    stem = found.systems["system B"].clips.stems[0]
    source = found.source(stem, "system B")
    assert source.system.name == "system B" and source.system.data.endswith(b"590,3,0,10,10\n")
    assert found.source("nowhere", "system B") is None
    app.session_state[session.CLIP], app.session_state[session.MOMENT] = source, (59.0, 59.1)
    app.switch_page("views/inspect/page.py").run()
    assert not app.exception, app.exception
    said = " ".join(m.value for m in app.markdown)
    assert "Shown around the error of system B" in said and "system B, from CSV" in str(app.main)
    assert any("Back to the evaluation" in link.proto.label for link in app.get("page_link"))
    app.switch_page("views/evaluate/page.py").run()
    assert not app.exception, app.exception
    kept = app.session_state["evaluate_uploads"]
    assert set(kept) == {"evaluate_truths", "evaluate_tables_A", "evaluate_tables_B", "evaluate_audio"}
    assert "Kept from before" in " ".join(c.value for c in app.caption)
    assert app.selectbox(key="evaluate_system").value == "system B"
    assert not next(b for b in app.button if b.label == "Score").disabled


def test_a_table_is_shown_as_tracks_of_its_own():
    """Output tracks keep their numbers; a table without tracks has as many as sound at once."""
    source = session.Source(
        "a.wav", b"", system=session.SystemTable("B", b"0,1,0,0,0\n0,1,1,90,0\n2,0,1,90,0\n", ("x", "y"))
    )
    found = detections.prediction_of_csv(source, 4)
    assert found.classes == ("x", "y") and found.sed.shape == (4, 2, 2) and found.sed.sum() == 3
    assert found.sed[2, 1, 0] == 1 and found.doa[0, 1] == pytest.approx([0, 1, 0], abs=1e-6)
    table = session.SystemTable("C", b"0,1,0,0\n0,1,90,0\n1,0,90,0\n", ("x", "y"))
    found = detections.prediction_of_csv(replace(source, system=table), 2)
    assert found.sed.shape == (2, 2, 2) and found.sed.sum() == 3


def test_own_class_names_are_scored_and_remembered():
    truth = {"a": "0,2,0,0,0\n1,2,0,0,0\n"}
    app = score(truth, truth)
    app.selectbox(key="evaluate_classes").set_value(class_menu.OWN)
    app.run()
    assert next(b for b in app.button if b.label == "Score").disabled  # no names yet
    app.text_area(key="evaluate_classes_own").set_value("owl, owl, fox")
    assert "'owl' is the name of class 0 already" in only_error(app.run())
    app.text_area(key="evaluate_classes_own").set_value('owl, "fox, red", wren')
    found = results(press_score(app.run()))
    assert found.systems["system A"].clips.classes == ("owl", "fox, red", "wren")
    app.switch_page("views/inspect/page.py").run()
    app.switch_page("views/evaluate/page.py").run()
    assert app.text_area(key="evaluate_classes_own").value.startswith("owl")


def test_notes_name_the_system_that_they_are_about():
    beyond = {"a": FIRST["a"] + "40,0,0,0,5\n"}
    app = score({"a": FIRST["a"]}, {"a": FIRST["a"]}, beyond)
    (note,) = report.notes_on_files(results(app).systems)
    assert note.startswith("system B: 1 row of the predictions lies after")


def test_an_unclear_class_list_is_asked_for_by_the_menu_not_by_a_flag():
    app = score({"a": "3,20,0,10,0\n"}, {"a": "3,20,0,10,0\n"})
    said = shown(app.error[0].value)
    assert "class list" in said and "in the menu of classes" in said and "--" not in said


@pytest.mark.parametrize(
    "said, on_page",
    [
        (
            "a.csv: choose a longer one: --classes 21, or names of your own",
            "a.csv: choose a longer one: own names in the menu of classes.",
        ),
        ("Frames of 20 ms (--frame-ms).", "Frames of 20 ms (“A frame lasts” of its layout)."),
        ("Read from 0 (--first-frame 1).", "Read from 0."),
        ("Read as radians (--reference-units).", "Read as radians (“Directions” of its layout)."),
        ("Read as tracks (--columns).", "Read as tracks (“Columns, in order” of its layout)."),
        ("Nothing of the kind.", "Nothing of the kind."),
    ],
)  # fmt: skip
def test_pages_name_their_menus_where_the_library_names_flags(said, on_page):
    assert widgets.for_page(said) == on_page


def test_what_the_files_do_not_tell_is_chosen_and_what_was_decided_is_said():
    swapped = {"a": FIRST["a"].replace(",", ";"), "b": "".join(f"{f};13;0;-90;5\n" for f in range(20))}
    app = score(FIRST, swapped)
    assert results(app).systems["system A"].scores["dcase2020"]["F"] == 1
    assert any("Columns separated by semicolons" in m.value for m in app.markdown)
    app.text_input(key="evaluate_columns").set_value("frame,klass,azimuth")
    assert any("'klass' is no column" in e.value for e in app.run().error)
    app.text_input(key="evaluate_columns").set_value("frame,class,-,elevation,azimuth")
    app = press_score(app.run())
    assert results(app).job.reading.columns[3] == "elevation"
    assert results(app).systems["system A"].clips.estimate["azimuth"].tolist()[0] == 5
