"""Faults from outside: files that vanish, a full disk, a read-only folder, a clock that jumps. Nothing that was kept is lost, and the
page shows one sentence."""

import errno
import io
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.clip import analysis
from app.jobs import training_runs
from app.networks import network_files, registry
from app.storage import user_folder
from einv2 import status
from einv2.checkpoints import checkpoint
from einv2.commands import main as cli
from support.pages import TIMEOUT, only_error
from support.places import ROOT


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
    return app if name == "inspect" else app.switch_page(f"views/{name}/page.py").run()


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/inside")


def files_below(folder) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


# A model file


def test_a_network_that_vanishes_between_list_and_use_is_an_error(ours):
    entry = network_files.keep_upload("mine", "ours.safetensors", ours)
    entry.path.unlink()
    for use in (lambda: registry.find("mine"), lambda: network_files.load(entry), lambda: analysis.load_model("mine")):
        with pytest.raises(ValueError, match="mine") as error:
            use()
        assert str(entry.path.parent) not in str(error.value)


def test_a_network_that_vanishes_while_a_clip_is_read_is_an_error(ours, monkeypatch):
    entry = network_files.keep_upload("mine", "ours.safetensors", ours)
    hear = analysis._hear

    def hear_and_lose(source, progress):
        entry.path.unlink()
        return hear(source, progress)

    app = open_page()
    app.multiselect(key="networks").set_value(["mine"]).run()
    monkeypatch.setattr(analysis, "_hear", hear_and_lose)
    app.button(key="example_moving_dog").click().run()
    assert "There is no network mine any more" in only_error(app)
    app.run()  # and the page goes on without it
    assert not app.exception


# A full disk, a folder that is only read


def test_a_disk_that_fills_while_a_network_is_kept_leaves_the_others(ours, folder, monkeypatch):
    network_files.keep_upload("first", "ours.safetensors", ours)
    before = files_below(folder)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(ValueError, match="second cannot be kept: No space left on device") as error:
            network_files.keep_upload("second", "ours.safetensors", ours)
    assert "somewhere" not in str(error.value)
    assert files_below(folder) == before and network_files.load(registry.find("first"))
    network_files.keep_upload("second", "ours.safetensors", ours)  # once there is room again


def test_a_full_disk_is_noticed_before_anything_is_written(ours, folder, monkeypatch):
    monkeypatch.setattr(user_folder.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    app = open_page("models")
    app.file_uploader[0].upload("ours.safetensors", ours, "application/octet-stream").run()
    app.button(key="models_keep").click().run()
    assert "too little space" in only_error(app)
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="who may do everything is not stopped by modes")
def test_a_read_only_folder_is_an_error(ours, folder):
    network_files.keep_upload("first", "ours.safetensors", ours)
    (folder / "models").chmod(0o500)
    try:
        _refuses_to_write(ours)
    finally:
        (folder / "models").chmod(0o700)


def test_a_read_only_file_system_is_an_error(ours, folder, monkeypatch):
    network_files.keep_upload("first", "ours.safetensors", ours)

    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system", "/somewhere/inside")

    monkeypatch.setattr(Path, "mkdir", read_only)
    _refuses_to_write(ours)


def _refuses_to_write(ours):
    with pytest.raises(ValueError, match="The folder of user data cannot be written") as error:
        network_files.keep_upload("second", "ours.safetensors", ours)
    assert "somewhere" not in str(error.value)
    assert network_files.load(registry.find("first")) and [k.name for k in user_folder.items("models")] == [
        "first.safetensors"
    ]


# Killed in the middle of writing, by the system itself

EXAMPLE = ROOT / "app" / "examples" / "moving_dog.flac"


def in_a_process(act, most_bytes: int, kill: bool) -> int:
    """The wait status of a process that may write files of so many bytes: at one more it is killed, or its writing fails as on a
    full disk."""
    if (child := os.fork()) == 0:
        try:
            signal.alarm(300)  # rather than wait for ever
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL if kill else signal.SIG_IGN)
            sys.stdout = io.StringIO()  # else what is printed goes into a file, too
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
            os._exit(act())
        finally:
            os._exit(99)
    return os.waitpid(child, 0)[1]


def contents(folder) -> dict[str, bytes]:
    """Of the files that are seen: one that was begun is hidden. The status of a command may say that it failed."""
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file() and p.name != status.FILE}
    return {name: path.read_bytes() for name, path in found.items() if not f"/{name}".count("/.")}


@pytest.fixture
def commands(tmp_path, ours) -> dict[str, list]:
    """Commands that write over what stands in ``out``, each with a size in the middle of its file."""
    out = tmp_path / "out"
    out.mkdir()
    for name in ("network.safetensors", "moving_dog.npz", "report.json"):
        (out / name).write_bytes(b"as it was")
    (out / "moving_dog.csv").write_bytes(b"0,1,0,10,5\n")
    network, truth = str(tmp_path / "ours.safetensors"), tmp_path / "truth"
    checkpoint.load(network)  # what that imports is not imported by each process
    truth.mkdir()
    shutil.copy(EXAMPLE.with_suffix(".csv"), truth)
    predict = ["predict", EXAMPLE, "--model", network, "--out", out, "--threshold", "0"]
    return {
        "export": [5000, "export", network, out / "network.safetensors"],
        "predict": [1000, *predict],
        "predict arrays": [5000, *predict, "--arrays"],
        "evaluate": [1000, "evaluate", truth, truth, "--json", out / "report.json"],
        "simulate": [5000, "simulate", out, "--scenes", "1", "--seconds", "8", "--seed", "1"],
    }


@pytest.mark.parametrize("name", ["export", "predict", "predict arrays", "evaluate", "simulate"])
def test_a_command_killed_while_it_writes_leaves_earlier_files_intact(tmp_path, commands, name, capfd):
    most, *words = commands[name]
    before = contents(tmp_path / "out")
    whole = {"predict arrays": {"moving_dog.csv"}, "simulate": {"classes.txt"}}.get(
        name, {}
    )  # which was written before
    ended = in_a_process(lambda: cli.main([str(w) for w in words]), most, kill=True)
    assert os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGXFSZ
    after = contents(tmp_path / "out")
    assert {k: v for k, v in after.items() if k not in whole} == {k: v for k, v in before.items() if k not in whole}
    ended = in_a_process(lambda: cli.main([str(w) for w in words]), most, kill=False)
    assert os.waitstatus_to_exitcode(ended) == 1
    assert contents(tmp_path / "out") == after
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and f"File too large: '{tmp_path}/out/" in lines[0]
    assert cli.main([str(w) for w in words]) == 0  # once there is room again
    assert contents(tmp_path / "out") != after


def test_a_server_killed_while_it_keeps_a_network_has_the_others(ours, folder, monkeypatch):
    network_files.keep_upload("first", "ours.safetensors", ours)
    before = contents(folder)
    keep = lambda: network_files.keep_upload("second", "ours.safetensors", ours)  # noqa: E731
    assert os.WIFSIGNALED(in_a_process(keep, len(ours) // 2, kill=True))
    assert contents(folder) == before and registry.names().count("second") == 0
    assert network_files.load(registry.find("first"))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 7200)
    keep()
    assert network_files.load(registry.find("second"))
    assert files_below(folder) == {"models/first.safetensors", "models/second.safetensors"}  # what was begun is gone


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
def test_a_damaged_run_breaks_no_page(folder, page, kind):
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
def test_a_clock_jump_deletes_nothing_finished(ours, folder, monkeypatch, hours):
    network_files.keep_upload("first", "ours.safetensors", ours)
    begun = user_folder.begin("models", "begun")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600 * hours)
    assert registry.find("first") and user_folder.used_bytes() > 0
    network_files.keep_upload("second", "ours.safetensors", ours)
    assert {"first", "second"} <= set(registry.names()) | {entry.name for entry in registry.files()}
    assert begun.exists() or hours >= 1  # unfinished things go after an hour; whole ones never


@pytest.mark.parametrize("hours", [-24 * 365, -1, 1, 24 * 365])
def test_a_clock_jump_leaves_possible_times(hours):
    """What a running training has done and has left stays between nothing and all of it."""
    order, records, began = {"epochs": 10}, [{"epoch": 1, "seconds": 60.0}], time.time()
    run = training_runs.Run("mine", Path("mine"), order, records, training_runs.RUNNING, "", began, began)
    now = began + 3600 * hours
    assert 1 <= run.done(now) <= 2 and 8 * 60 <= run.seconds_left(now) <= 9 * 60
