"""A server of its own, for tests that stop it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable

from support.browsing import WAIT_MS
from support.places import ROOT


class Server:
    """The app with a folder of user data, which can be killed and started again at its address."""

    def __init__(self, data):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address, self.data = f"http://127.0.0.1:{self.port}", data
        self.start()

    def start(self) -> None:
        options = ["--server.port", str(self.port), "--server.headless", "true", "--", "--user-data", str(self.data)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app/main.py", *options],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self.is_up)

    def is_up(self) -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=1).status == 200
        return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def until(done: Callable):
    """What ``done`` gives as soon as it is true."""
    for _ in range(3 * WAIT_MS // 50):
        if found := done():
            return found
        time.sleep(0.05)
    raise TimeoutError(done)
