"""The folder of what users keep: one place, a limit, and no way out of it."""

import os
import sys
import time

import pytest

from app import userdata


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data", str(folder), "--user-data-gib", "0.001"])
    return folder


def keep(name, n_bytes=1000):
    unfinished = userdata.begin("scenes", name)
    (unfinished / "a.csv").write_bytes(bytes(n_bytes))
    return userdata.finish(unfinished)


def test_the_folder_is_that_of_the_start(root, tmp_path):
    assert userdata.root() == root.resolve()
    assert userdata.root([]) == (userdata.DEFAULT.expanduser()).resolve()
    assert userdata.limit_bytes([]) == 20 * 2**30
    assert userdata.limit_bytes(["--user-data-gib", "0.5", "--other", "x"]) == 2**29
    for wrong in ("many", "0", "-3", "nan", "inf"):
        with pytest.raises(ValueError, match="user-data-gib"):
            userdata.limit_bytes(["--user-data-gib", wrong])
    with pytest.raises(ValueError, match="wrong option"):
        userdata.root(["--user-data"])


def test_nothing_is_made_before_something_is_kept(root):
    assert userdata.kept("scenes") == [] and userdata.used_bytes() == 0
    userdata.require_room(1000)
    assert not root.exists()


def test_what_is_kept_is_seen_when_it_is_whole(root):
    unfinished = userdata.begin("scenes", "mine")
    (unfinished / "a.csv").write_bytes(bytes(700))
    assert userdata.kept("scenes") == [] and userdata.used_bytes() == 700
    assert userdata.finish(unfinished) == root.resolve() / "scenes" / "mine"
    (kept,) = userdata.kept("scenes")
    assert (kept.kind, kept.name, kept.n_bytes, kept.n_files) == ("scenes", "mine", 700, 1)
    assert abs(kept.changed - time.time()) < 60
    assert userdata.kept("models") == userdata.kept("runs") == []
    userdata.remove("scenes", "mine")
    assert userdata.kept("scenes") == []
    with pytest.raises(ValueError, match="mine is not there any more"):
        userdata.remove("scenes", "mine")


def test_only_its_owner_reads_the_folder(root):
    keep("mine")
    for folder in (root, root / "scenes"):
        assert folder.stat().st_mode & 0o077 == 0


def test_a_name_is_taken_once():
    userdata.begin("scenes", "mine")
    with pytest.raises(ValueError, match="mine is being made at this moment"):
        userdata.begin("scenes", "mine")
    keep("other")
    with pytest.raises(ValueError, match="other is there already"):
        userdata.begin("scenes", "other")


@pytest.mark.parametrize(
    "name", ["", "..", ".hidden", "a/b", "../a", "/etc", "a\\b", "a\0b", "a\n", "x" * 65, "ends.", "ä", " a", "a "]
)
def test_a_name_does_not_lead_out(name):
    for call in (userdata.path_of, userdata.begin, userdata.remove):
        with pytest.raises(ValueError, match="cannot be a name here"):
            call("scenes", name)


def test_a_kind_is_one_of_the_three():
    with pytest.raises(ValueError, match="kinds of user data"):
        userdata.path_of("../etc", "a")


def test_links_are_not_followed(root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(bytes(5000))
    keep("mine")
    (root / "scenes" / "link").symlink_to(outside)
    (root / "scenes" / "mine" / "inner").symlink_to(outside)
    assert [k.name for k in userdata.kept("scenes")] == ["mine"]
    assert userdata.used_bytes() < 3000
    with pytest.raises(ValueError, match="link is a link"):
        userdata.remove("scenes", "link")
    userdata.remove("scenes", "mine")
    assert (outside / "precious").exists()
    (root / "models").symlink_to(outside)
    assert userdata.kept("models") == []
    with pytest.raises(ValueError, match="is a link"):
        userdata.begin("models", "a")


def test_the_limit_is_said():
    userdata.require_room(1_000_000)
    keep("mine", 600_000)
    with pytest.raises(ValueError, match=r"holds 586 KiB|holds 0\.6 MiB") as error:
        userdata.require_room(600_000)
    assert "--user-data-gib" in str(error.value) and "may need" in str(error.value)
    userdata.require_room(1000)
    keep("more", 600_000)
    with pytest.raises(ValueError, match="that it may: delete"):
        userdata.require_room()


def test_a_full_disk_is_said(monkeypatch):
    monkeypatch.setattr(userdata.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(ValueError, match="too little space"):
        userdata.require_room(100)


def test_a_folder_that_cannot_be_written_is_said(root):
    root.write_text("a file in the way")
    with pytest.raises(ValueError, match="cannot be written"):
        userdata.begin("scenes", "mine")


def test_what_an_ended_app_left_goes_after_an_hour(root):
    left = userdata.begin("scenes", "old")
    (left / "foa_dev").mkdir()
    fresh = userdata.begin("scenes", "fresh")
    for path in (left / "foa_dev", left):
        os.utime(path, (time.time() - 7200,) * 2)
    userdata.begin("scenes", "new")
    assert not left.exists() and fresh.exists()


@pytest.mark.parametrize("n, text", [(2000, "2 KiB"), (3 * 2**20, "3.0 MiB"), (2**30, "1.0 GiB"), (2**28, "0.2 GiB")])
def test_sizes_are_written_with_units(n, text):
    assert userdata.size_text(n) == text
