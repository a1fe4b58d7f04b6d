"""A waiting line for heavy work: the sessions of all users take turns, in order of arrival, a few at a time."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator

AT_ONCE = 1  # one analysis uses all cores; two would leave too little for a user who moves a slider
NICENESS = 10  # of heavy work, so that it yields to pages that are being drawn
LOOK_SECONDS = 0.5  # between two calls of ``waiting``


class WaitingLine:
    """Up to ``at_once`` threads that work, and behind them those that wait."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._tickets: list[object] = []
        self._moved = threading.Condition()

    def __len__(self) -> int:
        """The number of threads that work or wait."""
        return len(self._tickets)

    @contextlib.contextmanager
    def turn(self, waiting: Callable[[int], None]) -> Iterator[None]:
        """A context that is entered when the caller's turn comes. Not reentrant.

        waiting: called with the place in line (1: next) at once and then every ``LOOK_SECONDS``; it may raise to leave the line.
        """
        ticket = object()
        with self._moved:
            self._tickets.append(ticket)
        try:
            while place := self._place(ticket):
                waiting(place)
                with self._moved:
                    self._moved.wait_for(lambda: self._place(ticket) < place, LOOK_SECONDS)
            _lower_priority()
            yield
        finally:
            with self._moved:
                self._tickets.remove(ticket)
                self._moved.notify_all()

    def _place(self, ticket: object) -> int:
        """0 for a thread that works."""
        with self._moved:
            return max(self._tickets.index(ticket) + 1 - self._at_once, 0)


def _lower_priority() -> None:
    """Of this thread, and of those that it will start. Only on Linux, where each thread has its own priority; and not of the main
    thread, which does other work later."""
    if sys.platform == "linux" and threading.current_thread() is not threading.main_thread():
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))


def place_text(place: int) -> str:
    """ "Waiting for other users: 3rd in line"."""
    teens = place % 100 in (11, 12, 13)
    ending = "th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"Waiting for other users: {place}{ending} in line"
