"""The Models page without a browser, and the lists of networks of the other pages."""

import json
import re
import shutil
import sys
import tomllib

import pytest
from streamlit.testing.v1 import AppTest

from app.clip import analysis
from app.jobs import training_order
from app.networks import network_files, registry
from app.views.models import tables
from einv2.checkpoints import checkpoint, headers
from einv2.config import ModelConfig
from support.pages import TIMEOUT, only_error, shown
from support.places import ROOT
from support.weights_of_others import SMALL, as_pth, their_state_dict

REAL = headers.available_models()  # those that are shipped
HOSTILE = "![x](https://example.org/p.png) <b>x</b>"


@pytest.fixture(autouse=True)
def folder(monkeypatch, one_shipped_network):
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    monkeypatch.chdir(ROOT)
    return one_shipped_network


def start(model=None) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()
    app.switch_page("views/models/page.py").run()
    if model is not None:
        app.selectbox(key="model").set_value(model).run()
    return fine(app)


def fine(app) -> AppTest:
    assert not app.exception and not app.error, (app.exception, app.error)
    return app


def choose(app, name) -> AppTest:
    app.session_state["models_view"] = name
    return fine(app.run())


def upload(app, name, data, keep_as=None) -> AppTest:
    app.file_uploader[0].upload(name, data, "application/octet-stream").run()
    if keep_as is not None:
        app.text_input[0].set_value(keep_as)
    return app.button(key="models_keep").click().run()


def press(app, key) -> AppTest:
    return app.button(key=key).click().run()


def text_input(app, label):
    return next(t for t in app.text_input if t.label == label)


def charts(app) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def table(app, n=0):
    return app.dataframe[n].value


def test_a_shipped_network_has_a_card_and_cannot_be_changed():
    app = start()
    assert table(app)["network"].tolist() == ["einv2"] and table(app)["origin"].tolist() == ["shipped"]
    assert [m.label for m in app.metric] == ["Parameters", "Classes", "Mel bands", "File (MB)"]
    assert "<b>SED block 1: 2 conv 3×3, pool 2×2</b>" in str(charts(app)[0]["data"][0]["text"])
    assert not [b for b in app.button if b.key in ("models_delete", "models_name_it")]
    assert len(app.get("download_button")) == 1


def test_every_view_of_a_card(tmp_path, tiny_checkpoint):
    tiny_checkpoint.scores["validation"]["swap_rate"] = -0.0
    checkpoint.save(tiny_checkpoint, tmp_path / "pretrained" / "einv2.safetensors")
    app = start()
    scores = table(choose(app, "Scores"), 1)
    further = app.table[0].value
    assert further.index.tolist() == ["track swaps \\(%\\)"] and further.iloc[0, 0] == "0\\.0"
    assert scores.to_dict("records") == [
        {"measured on": "validation", "ER": "0.50", "F (%)": "25.0", "LE (°)": "–", "LR (%)": "–", "SELD": "–"}
    ]
    assert choose(app, "Training").table[0].value["value"].tolist() == ["simulated", "3"]
    assert len(charts(app)[0]["data"]) == 4
    assert table(choose(app, "Settings and classes"), 1)["setting"].tolist()[0] == "sample rate"
    assert table(app, 2)["value"].tolist()[0] == "2"


def test_the_training_data_are_described():
    known, own = ({"data": names} for names in (["train-bank", "dense-bank"], ["mine"]))
    (_, said), *_ = tables.provenance_table(known, is_shipped=True).to_numpy().tolist()
    assert said.startswith("train-bank, dense-bank (800 simulated scenes") and "300 dense ones" in said
    for table in (tables.provenance_table(known), tables.provenance_table(own, is_shipped=True)):
        assert "names of the folders it was trained on" in table["value"][0]
    assert not tables.provenance_table({"data": [[]]}, is_shipped=True).isna().any(axis=None)
    for name, file in REAL.items():
        told = tables.provenance_table(headers.read_header(file)["provenance"], is_shipped=True)
        assert "simulated scenes" in told.set_index("what")["value"]["data"], name


def test_an_upload_appears_in_every_list_at_once(ours):
    app = fine(upload(start(), "net.safetensors", ours))
    assert "net is kept" in shown(app.success[0].value) and app.selectbox(key="model").value == "net"
    assert table(app)["network"].tolist() == ["einv2", "net"]
    assert not app.run().success
    app.switch_page("views/inspect/page.py").run()
    assert app.multiselect(key="networks").options == ["einv2", "net"]
    app.switch_page("views/evaluate/page.py").run()
    fine(app)


def test_the_authors_checkpoint_is_not_too_large_to_upload():
    with (ROOT / ".streamlit" / "config.toml").open("rb") as file:
        limit = tomllib.load(file)["server"]["maxUploadSize"]
    weights = 4 * training_order.n_parameters(ModelConfig.released())
    assert limit * 1e6 > 4 * weights  # beside them stand three moments of their optimiser
    assert f"client_max_body_size {limit + 10}m;" in (ROOT / "app" / "README.md").read_text()


def test_the_authors_checkpoint_is_imported():
    app = fine(upload(start(), "EINV2.pth", as_pth({"epoch": 3, "model": their_state_dict(**SMALL)}), "theirs"))
    assert app.selectbox(key="model").value == "theirs"
    rows = choose(app, "Training").table[0].value
    assert "EINV2.pth" in [shown(value) for value in rows["value"]]


@pytest.mark.parametrize(
    "file, data, name, said",
    [
        ("x.safetensors", b"junk", "mine", "x.safetensors is not a checkpoint"),
        ("x.pth", b"junk", "mine", "x.pth is refused"),
        ("x.safetensors", None, "../x", "cannot be a name here"),
        ("x.safetensors", None, "einv2", "comes with the app"),
    ],
)
def test_what_cannot_be_kept_is_an_error(ours, file, data, name, said):
    app = upload(start(), file, ours if data is None else data, name)
    assert said in only_error(app) and registry.names() == ["einv2"]


def test_the_limit_is_said(ours, monkeypatch, folder):
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data", str(folder), "--user-data-gib", "0.00001"])
    assert "--user-data-gib" in only_error(upload(start(), "x.safetensors", ours))


def test_with_a_wrong_option_the_shipped_networks_are_listed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data-gib", "many"])
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()
    fine(app)
    app.switch_page("views/models/page.py").run()
    assert "--user-data-gib" in only_error(app) and table(app)["network"].tolist() == ["einv2"]


def test_rename_and_delete_ask_first(ours, folder):
    network_files.keep_upload("mine", "x.safetensors", ours)
    app = start("mine")
    text_input(app, "New name").set_value("../x")
    assert "cannot be a name here" in only_error(press(app, "models_name_it"))
    text_input(app, "New name").set_value("yours")
    fine(press(app, "models_name_it"))
    assert registry.names() == ["einv2", "yours"] and app.selectbox(key="model").value == "yours"
    assert any("Everyone who may use this app loses it" in m.value for m in app.markdown)
    fine(press(app, "models_delete_cancel"))
    assert registry.names() == ["einv2", "yours"] and not app.session_state["models_delete_asked"]
    fine(press(app, "models_delete"))
    assert registry.names() == ["einv2"] and app.selectbox(key="model").value == "einv2"
    assert not list((folder / "models").iterdir())


def test_the_selected_cell_belongs_to_the_network_of_the_card(ours):
    network_files.keep_upload("mine", "x.safetensors", ours)

    def row() -> int:
        ((found, _),) = app.session_state["models_table"]["selection"]["cells"]
        return found

    app = start()
    assert row() == 0
    app.selectbox(key="model").set_value("mine").run()
    assert row() == 1
    fine(press(app, "models_delete"))
    assert row() == 0


def test_a_network_that_was_replaced_meanwhile_is_not_deleted(ours, monkeypatch):
    network_files.keep_upload("mine", "x.safetensors", ours)
    app = start("mine")
    monkeypatch.setattr(registry, "unchanged", lambda entry: False)
    assert "mine was changed or deleted meanwhile" in only_error(press(app, "models_delete"))
    assert registry.names() == ["einv2", "mine"]


def test_a_trained_network_can_be_copied(ours, folder):
    (folder / "runs" / "first").mkdir(parents=True)
    (folder / "runs" / "first" / "best.safetensors").write_bytes(ours)
    app = start("first (best)")
    assert any("The best epoch of the training run first" in shown(m.value) for m in app.markdown)
    text_input(app, "New name").set_value("good")
    fine(press(app, "models_name_it"))
    assert registry.names() == ["einv2", "good", "first (best)"]


def test_what_another_user_deleted_is_no_longer_shown(ours):
    network_files.keep_upload("mine", "x.safetensors", ours)
    app = start("mine")
    network_files.delete(registry.find("mine"))
    assert fine(app.run()).selectbox(key="model").value == "einv2"


def test_an_unusable_file_shows_why_and_can_be_deleted(folder):
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "empty.safetensors").touch()
    app = start()
    assert any("empty.safetensors is not a checkpoint" in shown(m.value) for m in app.markdown)
    app.selectbox(key="model").set_value("empty").run()
    assert "empty.safetensors is not a checkpoint" in only_error(app)
    fine(press(app, "models_delete"))
    assert not (folder / "models" / "empty.safetensors").exists()


def test_without_any_network_a_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(headers, "PRETRAINED", tmp_path / "nothing")
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()
    app.switch_page("views/models/page.py").run()
    assert "no trained network" in only_error(app)


def test_any_header_is_shown_as_text(tiny_checkpoint, folder):
    odd = tiny_checkpoint
    odd.classes = (HOSTILE[:60], *odd.classes[1:])
    odd.provenance = {HOSTILE: HOSTILE, "data": {"a": [1]}, "train": {"pit": ["x"], HOSTILE: None}, "code": 10**400}
    odd.scores = {
        HOSTILE: {
            "ER": HOSTILE,
            "F": float("nan"),
            "LE": 10**400,
            "intervals": {"ER": [1, "x"], "F": 3},
            "overlap": [1],
        },
        "other": 3,
        "validation": {"F": 0.5, "intervals": {"F": [0.4, 0.6]}, "overlap": {"single": 3, "same": {"found": 0.25}}},
    }
    odd.curve = [HOSTILE, {"epoch": "x", "F": [1]}, {"epoch": 3, "F": 0.5, "ER": 10**400}]
    (folder / "models").mkdir(parents=True)
    checkpoint.save(odd, folder / "models" / "odd.safetensors")
    app = start("odd")
    scores = table(choose(app, "Scores"), 1)
    assert scores["F (%)"].tolist() == ["–", "50.0 (40.0 to 60.0)"] and scores["LE (°)"].tolist() == ["–", "–"]
    assert app.table[0].value["validation"].tolist() == ["25\\.0"]
    assert not any(re.search(r"(?<!\\)[\[<]", name) for name in app.table[0].value.columns)
    for view in ("Training", "Settings and classes", "Architecture"):
        texts = [m.value for m in choose(app, view).markdown]
        texts += [cell for t in app.table for cell in (*t.value.index, *t.value["value"])]
        assert not any(re.search(r"(?<!\\)[\[<]", text) for text in texts)
        assert not any("<b>x</b>" in html.proto.body for html in app.get("html"))


def test_a_link_opens_a_card(ours):
    network_files.keep_upload("mine", "x.safetensors", ours)
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()
    app.switch_page("views/models/page.py")
    app.query_params["model"] = "mine"
    assert fine(app.run()).selectbox(key="model").value == "mine"
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()
    app.switch_page("views/models/page.py")
    app.query_params["model"] = "../../etc/passwd"
    assert fine(app.run()).selectbox(key="model").value == "einv2"


def test_a_replaced_network_is_read_again_and_a_deleted_one_is_gone(ours, tmp_path, folder, tiny_checkpoint):
    entry = network_files.keep_upload("mine", "x.safetensors", ours)
    first = analysis.load_model("mine")
    assert analysis.load_model("mine") is first
    tiny_checkpoint.classes = tuple(f"other {k}" for k in range(14))
    checkpoint.save(tiny_checkpoint, tmp_path / "new.safetensors")
    shutil.copy(tmp_path / "new.safetensors", entry.path)
    assert analysis.load_model("mine").classes[0] == "other 0"
    entry.path.unlink()
    with pytest.raises(ValueError, match="There is no network mine any more"):
        analysis.load_model("mine")


def test_a_deleted_network_leaves_the_inspect_page(ours):
    network_files.keep_upload("mine", "x.safetensors", ours)
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()
    app.multiselect(key="networks").set_value(["einv2", "mine"]).run()
    app.button(key="example_moving_dog").click()
    assert len(fine(app.run()).get("plotly_chart")) >= 1
    network_files.delete(registry.find("mine"))
    fine(app.run())
    assert app.multiselect(key="networks").options == ["einv2"]
