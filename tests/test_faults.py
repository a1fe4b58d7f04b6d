"""What breaks from outside: files that vanish, a full disk, a folder that is only read, a clock that jumps. Nothing that was kept
is lost, and a page says one sentence."""

import errno
import os
import sys
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from test_app import ROOT, TIMEOUT, only_error

from app import compute, shelf, training, userdata
from einv2 import checkpoint


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder of user data."""
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data", str(tmp_path / "data")])
    return (tmp_path / "data").resolve()


@pytest.fixture
def ours(tmp_path, tiny_checkpoint) -> bytes:
    checkpoint.save(tiny_checkpoint, tmp_path / "ours.safetensors")
    return (tmp_path / "ours.safetensors").read_bytes()


def open_page(name="inspect") -> AppTest:
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()
    return app if name == "inspect" else app.switch_page(f"views/{name}.py").run()


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/inside")


def files_below(folder) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


# A model file


def test_a_network_that_vanishes_between_list_and_use_is_said(ours):
    entry = shelf.keep_upload("mine", "ours.safetensors", ours)
    entry.file.unlink()
    for use in (lambda: shelf.find("mine"), lambda: shelf.load(entry), lambda: compute.load_model("mine")):
        with pytest.raises(ValueError, match="mine") as error:
            use()
        assert str(entry.file.parent) not in str(error.value)


def test_a_network_that_vanishes_while_a_clip_is_read_is_said(ours, monkeypatch):
    entry = shelf.keep_upload("mine", "ours.safetensors", ours)
    hear = compute._hear

    def hear_and_lose(source, progress):
        entry.file.unlink()
        return hear(source, progress)

    app = open_page()
    app.multiselect(key="networks").set_value(["mine"]).run()
    monkeypatch.setattr(compute, "_hear", hear_and_lose)
    app.button(key="example_moving_dog").click().run()
    assert "There is no network mine any more" in only_error(app)
    app.run()  # and the page goes on without it
    assert not app.exception


# A full disk, a folder that is only read


def test_a_disk_that_fills_while_a_network_is_kept_leaves_the_others(ours, folder, monkeypatch):
    shelf.keep_upload("first", "ours.safetensors", ours)
    before = files_below(folder)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(ValueError, match="second cannot be kept: No space left on device") as error:
            shelf.keep_upload("second", "ours.safetensors", ours)
    assert "somewhere" not in str(error.value)
    assert files_below(folder) == before and shelf.load(shelf.find("first"))
    shelf.keep_upload("second", "ours.safetensors", ours)  # once there is room again


def test_a_full_disk_is_said_before_anything_is_written(ours, folder, monkeypatch):
    monkeypatch.setattr(userdata.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    app = open_page("models")
    app.file_uploader[0].upload("ours.safetensors", ours, "application/octet-stream").run()
    app.button(key="models_keep").click().run()
    assert "too little space" in only_error(app)
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="who may do everything is not stopped by modes")
def test_a_folder_that_is_only_read_is_said(ours, folder):
    shelf.keep_upload("first", "ours.safetensors", ours)
    (folder / "models").chmod(0o500)
    try:
        _refuses_to_write(ours)
    finally:
        (folder / "models").chmod(0o700)


def test_a_file_system_that_is_only_read_is_said(ours, folder, monkeypatch):
    shelf.keep_upload("first", "ours.safetensors", ours)

    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system", "/somewhere/inside")

    monkeypatch.setattr(Path, "mkdir", read_only)
    _refuses_to_write(ours)


def _refuses_to_write(ours):
    with pytest.raises(ValueError, match="The folder of user data cannot be written") as error:
        shelf.keep_upload("second", "ours.safetensors", ours)
    assert "somewhere" not in str(error.value)
    assert shelf.load(shelf.find("first")) and [k.name for k in userdata.kept("models")] == ["first.safetensors"]


# A corrupt run


GARBAGE = {
    "empty": {},
    "no text": {"order.json": b"\xff\xfe", "process.json": b"\x00", "metrics.jsonl": b"\xff", "log.txt": b"\xff\xfe\x00"},
    "no json": {"order.json": b"{", "process.json": b"[", "metrics.jsonl": b"{}\n[1]\nnull\n{", "config.json": b"3"},
    "other json": {"order.json": b"[]", "process.json": b"7", "metrics.jsonl": b"4\n", "config.json": b"null"},
    "part of an order": {"order.json": b'{"system": "einv2-tpit"}', "process.json": b'{"began": "noon"}'},
    "network": {"best.safetensors": b"no network", "last.safetensors": b""},
}  # fmt: skip


@pytest.mark.parametrize("kind", list(GARBAGE))
@pytest.mark.parametrize("page", ["train", "models", "inspect"])
def test_a_run_that_is_no_run_breaks_no_page(folder, page, kind):
    place = folder / "runs" / "broken"
    place.mkdir(parents=True)
    for file, content in GARBAGE[kind].items():
        (place / file).write_bytes(content)
    app = open_page(page)
    assert not app.exception
    if page == "train" and kind == "part of an order":
        assert "broken" in app.warning[0].value
    if page == "models" and kind == "network":
        assert "broken (best)" in app.selectbox(key="model").options


# A clock that jumps


@pytest.mark.parametrize("hours", [-24 * 365, -1, 1, 24 * 365])
def test_a_clock_that_jumps_keeps_what_is_whole_and_takes_no_lock(ours, folder, monkeypatch, hours):
    shelf.keep_upload("first", "ours.safetensors", ours)
    begun = userdata.begin("models", "begun")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600 * hours)
    assert shelf.find("first") and userdata.used_bytes() > 0
    shelf.keep_upload("second", "ours.safetensors", ours)
    assert {"first", "second"} <= set(shelf.names()) | {entry.name for entry in shelf.entries()}
    assert begun.exists() or hours >= 1  # unfinished things go after an hour; whole ones never


@pytest.mark.parametrize("hours", [-24 * 365, -1, 1, 24 * 365])
def test_a_clock_that_jumps_leaves_times_that_can_be(hours):
    """What a running training has done and has left stays between nothing and all of it."""
    order, records, began = {"epochs": 10}, [{"epoch": 1, "seconds": 60.0}], time.time()
    run = training.Run("mine", Path("mine"), order, records, training.RUNNING, "", began, began)
    now = began + 3600 * hours
    assert 1 <= run.done(now) <= 2 and 8 * 60 <= run.seconds_left(now) <= 9 * 60
