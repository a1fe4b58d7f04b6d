"""Waiting until something is true."""

import time

WAIT = 30


def wait_until(true):
    end = time.monotonic() + WAIT
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    assert true()
