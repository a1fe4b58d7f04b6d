"""Whose turn it is: heavy work of all sessions stands in one line, and is done for a few at a time, in order of arrival."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator

AT_ONCE = 1  # one analysis uses all cores; more at once would leave less of them to whoever moves a slider
NICENESS = 10  # of heavy work: whoever moves a slider comes first
LOOK_SECONDS = 0.5  # after which one who waits is told the place again, and may leave


class Line:
    """Those who work, ``at_once`` at most, and behind them those who wait. For threads."""

    def __init__(self, at_once: int = AT_ONCE):
        self._at_once = at_once
        self._tickets: list[object] = []
        self._moved = threading.Condition()

    def __len__(self) -> int:
        """How many work or wait."""
        return len(self._tickets)

    @contextlib.contextmanager
    def turn(self, waiting: Callable[[int], None]) -> Iterator[None]:
        """A context that begins when it is one's turn, and ends it. Not to be entered within itself.

        waiting: called with the place (1: next) at once and then every ``LOOK_SECONDS``, until it is one's turn; may raise to leave.
        """
        ticket = object()
        with self._moved:
            self._tickets.append(ticket)
        try:
            while place := self._place(ticket):
                waiting(place)
                with self._moved:
                    self._moved.wait_for(lambda seen=place: self._place(ticket) < seen, LOOK_SECONDS)
            _give_way()
            yield
        finally:
            with self._moved:
                self._tickets.remove(ticket)
                self._moved.notify_all()

    def _place(self, ticket: object) -> int:
        """0 for one who works."""
        with self._moved:
            return max(self._tickets.index(ticket) + 1 - self._at_once, 0)


def _give_way() -> None:
    """This thread, and those that it starts, let others go first from now on; where each thread has a priority of its own, and
    not the main one, which does other things later."""
    if sys.platform == "linux" and threading.current_thread() is not threading.main_thread():
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))


def place_text(place: int) -> str:
    """ "Waiting for other users: 3rd in line"."""
    teens = place % 100 in (11, 12, 13)
    ending = "th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"Waiting for other users: {place}{ending} in line"
