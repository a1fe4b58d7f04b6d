"""The folder of user data: its place, its limit, and no way out of it."""

import os
import sys
import time

import pytest

from app.storage import user_folder


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data", str(folder), "--user-data-gib", "0.001"])
    return folder


def keep(name, n_bytes=1000):
    unfinished = user_folder.begin("scenes", name)
    (unfinished / "a.csv").write_bytes(bytes(n_bytes))
    return user_folder.finish(unfinished)


def test_the_folder_is_given_at_the_start(root, tmp_path):
    assert user_folder.root() == root.resolve()
    assert user_folder.root([]) == (user_folder.DEFAULT.expanduser()).resolve()
    assert user_folder.limit_bytes([]) == 20 * 2**30
    assert user_folder.limit_bytes(["--user-data-gib", "0.5", "--other", "x"]) == 2**29
    for wrong in ("many", "0", "-3", "nan", "inf"):
        with pytest.raises(ValueError, match="user-data-gib"):
            user_folder.limit_bytes(["--user-data-gib", wrong])
    with pytest.raises(ValueError, match="wrong option"):
        user_folder.root(["--user-data"])


def test_nothing_is_created_before_something_is_kept(root):
    assert user_folder.items("scenes") == [] and user_folder.used_bytes() == 0
    user_folder.require_room(1000)
    assert not root.exists()


def test_an_item_is_listed_once_it_is_finished(root):
    unfinished = user_folder.begin("scenes", "mine")
    (unfinished / "a.csv").write_bytes(bytes(700))
    assert user_folder.items("scenes") == [] and user_folder.used_bytes() == 700
    assert user_folder.finish(unfinished) == root.resolve() / "scenes" / "mine"
    (kept,) = user_folder.items("scenes")
    assert (kept.kind, kept.name, kept.n_bytes, kept.n_files) == ("scenes", "mine", 700, 1)
    assert abs(kept.changed - time.time()) < 60
    assert user_folder.items("models") == user_folder.items("runs") == []
    user_folder.remove("scenes", "mine")
    assert user_folder.items("scenes") == []
    with pytest.raises(ValueError, match="mine is not there any more"):
        user_folder.remove("scenes", "mine")


def test_only_its_owner_can_read_the_folder(root):
    keep("mine")
    for folder in (root, root / "scenes"):
        assert folder.stat().st_mode & 0o077 == 0


def test_a_name_can_be_taken_once():
    user_folder.begin("scenes", "mine")
    with pytest.raises(ValueError, match="mine is being made at this moment"):
        user_folder.begin("scenes", "mine")
    keep("other")
    with pytest.raises(ValueError, match="other is there already"):
        user_folder.begin("scenes", "other")


@pytest.mark.parametrize(
    "name", ["", "..", ".hidden", "a/b", "../a", "/etc", "a\\b", "a\0b", "a\n", "x" * 65, "ends.", "ä", " a", "a "]
)
def test_a_name_cannot_lead_out_of_the_folder(name):
    for call in (user_folder.path_of, user_folder.begin, user_folder.remove):
        with pytest.raises(ValueError, match="cannot be a name here"):
            call("scenes", name)


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="kinds of user data"):
        user_folder.path_of("../etc", "a")


def test_links_are_not_followed(root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(bytes(5000))
    keep("mine")
    (root / "scenes" / "link").symlink_to(outside)
    (root / "scenes" / "mine" / "inner").symlink_to(outside)
    assert [k.name for k in user_folder.items("scenes")] == ["mine"]
    assert user_folder.used_bytes() < 3000
    with pytest.raises(ValueError, match="link is a link"):
        user_folder.remove("scenes", "link")
    user_folder.remove("scenes", "mine")
    assert (outside / "precious").exists()
    (root / "models").symlink_to(outside)
    assert user_folder.items("models") == []
    with pytest.raises(ValueError, match="is a link"):
        user_folder.begin("models", "a")


def test_the_limit_is_said():
    user_folder.require_room(1_000_000)
    keep("mine", 600_000)
    with pytest.raises(ValueError, match=r"holds 586 KiB|holds 0\.6 MiB") as error:
        user_folder.require_room(600_000)
    assert "--user-data-gib" in str(error.value) and "may need" in str(error.value)
    user_folder.require_room(1000)
    keep("more", 600_000)
    with pytest.raises(ValueError, match=r"holds .* of at most .*: delete"):
        user_folder.require_room()


def test_a_full_disk_is_refused(monkeypatch):
    monkeypatch.setattr(user_folder.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(ValueError, match="too little space"):
        user_folder.require_room(100)


def test_a_folder_that_cannot_be_written_is_refused(root):
    root.write_text("a file in the way")
    with pytest.raises(ValueError, match="cannot be written"):
        user_folder.begin("scenes", "mine")


def test_unfinished_items_of_an_ended_app_are_deleted_after_an_hour(root):
    left = user_folder.begin("scenes", "old")
    (left / "foa_dev").mkdir()
    fresh = user_folder.begin("scenes", "fresh")
    for path in (left / "foa_dev", left):
        os.utime(path, (time.time() - 7200,) * 2)
    user_folder.begin("scenes", "new")
    assert not left.exists() and fresh.exists()


@pytest.mark.parametrize("n, text", [(2000, "2 KiB"), (3 * 2**20, "3.0 MiB"), (2**30, "1.0 GiB"), (2**28, "0.2 GiB")])
def test_sizes_are_written_with_units(n, text):
    assert user_folder.size_text(n) == text
