"""The waiting line: order of arrival, the place in line, and leaving it."""

import os
import sys
import threading

import pytest
from streamlit.testing.v1 import AppTest

from app.clip import analysis
from app.jobs import waiting_line
from app.jobs.waiting_line import WaitingLine, place_text
from support.places import ROOT
from support.waiting import WAIT, wait_until


def join(line, name, log, gate):
    """Start a thread that logs its places and its turn, and works until the gate opens; returns after its first log entry."""
    told = threading.Event()

    def waiting(place):
        log.append((name, place))
        told.set()

    def work():
        with line.turn(waiting):
            log.append((name, "works"))
            told.set()
            assert gate.wait(WAIT)

    thread = threading.Thread(target=work)
    thread.start()
    assert told.wait(WAIT)
    return thread


@pytest.fixture(autouse=True)
def _rarely_looks(monkeypatch):
    monkeypatch.setattr(waiting_line, "LOOK_SECONDS", WAIT)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_heavy_work_has_low_priority_except_in_the_main_thread():
    line, found = WaitingLine(), []

    def work():
        found.append(priority())
        with line.turn(found.append):
            found.append(priority())
            own = threading.Thread(target=lambda: found.append(priority()))  # as those of a network are
            own.start()
            own.join()

    before = priority()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    least = max(waiting_line.NICENESS, before)
    assert found == [before, least, least]
    with line.turn(found.append):
        assert priority() == before


def priority():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_turns_come_in_order_of_arrival_and_places_move_up():
    line, log, gates = WaitingLine(), [], {name: threading.Event() for name in "abc"}
    threads = [join(line, name, log, gates[name]) for name in "abc"]
    assert log == [("a", "works"), ("b", 1), ("c", 2)] and len(line) == 3
    gates["a"].set()
    wait_until(lambda: len(log) == 5)
    assert sorted(log[3:]) == [("b", "works"), ("c", 1)]
    gates["b"].set()
    gates["c"].set()
    for thread in threads:
        thread.join(WAIT)
    assert log[5:] == [("c", "works")] and len(line) == 0


def test_two_can_work_at_once():
    line, log, gate = WaitingLine(at_once=2), [], threading.Event()
    threads = [join(line, name, log, gate) for name in "abc"]
    assert log == [("a", "works"), ("b", "works"), ("c", 1)]
    gate.set()
    for thread in threads:
        thread.join(WAIT)
    assert log[-1] == ("c", "works")


def test_an_empty_line_has_no_wait():
    line, told = WaitingLine(), []
    with line.turn(told.append):
        assert len(line) == 1
    assert told == [] and len(line) == 0


def test_leaving_the_line_frees_the_place(monkeypatch):
    """A stopped script raises in its callback; a failed one while it works."""
    monkeypatch.setattr(waiting_line, "LOOK_SECONDS", 0.01)
    line, log, gate = WaitingLine(), [], threading.Event()
    worker = join(line, "a", log, gate)

    def leave(place):
        log.append(("left", place))
        if log.count(("left", 1)) == 3:  # looks again and again
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), line.turn(leave):
        raise AssertionError("it was never its turn")
    assert len(line) == 1
    gate.set()
    worker.join(WAIT)
    with pytest.raises(ZeroDivisionError), line.turn(leave):
        raise ZeroDivisionError
    assert len(line) == 0


def test_many_threads_work_one_at_a_time():
    line, working, seen = WaitingLine(), [], []

    def work():
        with line.turn(lambda place: None):
            working.append(1)
            seen.append(len(working))
            working.pop()

    threads = [threading.Thread(target=work) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert seen == [1] * 40 and len(line) == 0


@pytest.mark.parametrize("place, text", [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (12, "12th"), (21, "21st")])
def test_the_place_is_an_ordinal(place, text):
    assert place_text(place).endswith(f": {text} in line")


# On a page


def test_a_page_shows_its_place_while_another_session_works_and_then_continues(monkeypatch):
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    monkeypatch.setattr(waiting_line, "LOOK_SECONDS", 0.05)
    line, log, gate, said = analysis.line(), [], threading.Event(), []
    worker = join(line, "another", log, gate)
    waits = waiting_line.place_text

    def place_said(place):
        said.append(waits(place))
        gate.set()
        return said[-1]

    monkeypatch.setattr(waiting_line, "place_text", place_said)
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=WAIT).run()
    assert not said
    app.button(key="example_moving_dog").click().run()
    worker.join(WAIT)
    assert said and set(said) == {"Waiting for other users: 1st in line"}
    assert app.get("plotly_chart") and not app.exception and len(line) == 0
    with line.turn(said.append):  # what a session has already needs no turn
        said.clear()
        app.slider(key="threshold").set_value(0.9).run()
        app.run()
    assert not said and not app.exception
