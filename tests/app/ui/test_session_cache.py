"""What the session keeps of results: the most recently used ones."""

from types import SimpleNamespace

from app.ui import session_cache
from app.ui.session_cache import SessionCache


def test_the_least_recently_used_result_is_dropped(monkeypatch):
    monkeypatch.setattr(session_cache, "st", SimpleNamespace(session_state={}))
    cache, made = SessionCache("results", 2), []

    def get(key):
        return cache.get(key, lambda: made.append(key) or key)

    assert [get(key) for key in ("a", "b", "a", "c", "a", "b")] == ["a", "b", "a", "c", "a", "b"]
    assert made == ["a", "b", "c", "b"]
    assert cache.holds("a") and cache.peek("b") == "b" and not cache.holds("c")
    cache.clear()
    assert not cache.holds("a") and cache.peek("a") is None
