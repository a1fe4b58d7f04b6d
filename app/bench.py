"""How fast the pages are on this machine, seen from the browser: `python -m app.bench [--json FILE]`.

Starts a server of its own, drives it with an installed Chromium, and prints what a user waits for. Seconds, kilobytes (1000
bytes) received over the connection to the server, and megabytes of the server process; compare within one run.
"""

import argparse
import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import soundfile

from einv2 import bench as library

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
WAIT_MS = 120_000
MOVES = 9  # of the threshold
SESSIONS, UPLOADS = 5, 10  # browsers at once, and clips that each of them uploads
CHART = "[...document.querySelectorAll('.st-key-timeline .js-plotly-plot')].find(c => c._fullLayout && c.offsetParent)"
DETECTIONS = f"({CHART})?.data.find(t => t.name === 'detections')?.meta"
SLIDER = "[data-testid=stSlider] input[type=range]"


@contextlib.contextmanager
def serving(script: str | Path = "app/main.py", arguments: Sequence[str] = ()) -> Iterator[tuple[str, int]]:
    """The address at which Streamlit serves a script, and the server's process; TimeoutError if it does not come up.

    arguments: those of the script, such as --user-data DIR.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--server.port", str(port), "--server.headless", "true"]
    command = [sys.executable, "-m", "streamlit", "run", str(script), *options, "--", *arguments]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_up(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_until_up(url: str) -> None:
    for _ in range(300):
        try:
            if urllib.request.urlopen(url, timeout=1).status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(url)


class Visitor:
    """A browser on the app that counts what it is sent."""

    def __init__(self, browser, address: str):
        self.received = 0
        self.page = browser.new_page(viewport={"width": 1400, "height": 1000})
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("websocket", lambda socket: socket.on("framereceived", self._count))
        self.page.goto(address)
        self.page.get_by_text("See what a SELD network hears").wait_for()

    def _count(self, frame: str | bytes) -> None:
        self.received += len(frame)

    def upload(self, file: Path) -> tuple[float, float]:
        """(seconds until the full view, kilobytes). The full view: the figure with the detections of this clip in it."""
        token = self.page.evaluate(DETECTIONS)
        return self._timed(
            lambda: self.page.locator("input[type=file]").first.set_input_files(file),
            f"old => {DETECTIONS} && {DETECTIONS} !== old",
            token,
        )

    def move_threshold(self, key: str) -> tuple[float, float]:
        """(seconds until the detections are drawn again, kilobytes)."""
        self.page.locator(SLIDER).first.focus()
        token = self.page.evaluate(DETECTIONS)
        return self._timed(lambda: self.page.keyboard.press(key), f"old => {DETECTIONS} !== old", token)

    def switch(self, page: str, sign: str) -> float:
        """Seconds until another page shows its sign."""
        return self._timed(lambda: self.page.get_by_role("link", name=page).click(), f"() => {sign}", None)[0]

    def _timed(self, act, done: str, argument) -> tuple[float, float]:
        before, began = self.received, time.perf_counter()
        act()
        self.page.wait_for_function(done, arg=argument)
        seconds = time.perf_counter() - began
        self.page.wait_for_timeout(700)  # for the rest of what is sent
        return seconds, (self.received - before) / 1000


def memory_mb(process: int) -> float:
    """Resident memory of a process; of Linux only."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 / 1e6


def write_clips(folder: Path, number: int, seconds: int) -> list[Path]:
    files = [folder / f"clip{n}.wav" for n in range(number)]
    for n, file in enumerate(files):
        soundfile.write(file, library.clip(seconds, seed=n).T, 24000, subtype="PCM_16")
    return files


def run(seconds: int = library.SECONDS, sessions: int = SESSIONS, uploads: int = UPLOADS) -> dict[str, float]:
    """Name, with its unit, to figure, for clips of so many seconds."""
    from playwright.sync_api import sync_playwright

    found, began = {}, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, serving() as (address, process), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        visitor = Visitor(browser, address)
        found["start_to_first_page_s"] = time.perf_counter() - began
        found["memory_at_start_mb"] = memory_mb(process)
        files = write_clips(Path(folder), max(uploads, 2), seconds)
        found["first_upload_to_view_s"], found["upload_kb"] = visitor.upload(files[0])
        found["second_upload_to_view_s"], _ = visitor.upload(files[1])
        moves = [visitor.move_threshold("ArrowRight" if n % 2 else "ArrowLeft") for n in range(MOVES)]
        found["slider_to_redraw_s"], found["slider_kb"] = (statistics.median(values) for values in zip(*moves))
        found["slider_slowest_s"] = max(moves)[0]
        shown = "[...document.querySelectorAll('[data-testid=stMain] h1')].some(h => h.offsetParent)"
        found["to_evaluate_page_s"] = visitor.switch("Evaluate", shown)
        found["back_to_inspect_s"] = visitor.switch("Inspect", f"!!({DETECTIONS})")
        found["memory_one_session_mb"] = memory_mb(process)
        others = [Visitor(browser, address) for _ in range(sessions - 1)]
        for file in files[:uploads]:
            for one in (visitor, *others):
                one.upload(file)
        found[f"memory_{sessions * uploads}_uploads_mb"] = memory_mb(process)
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--seconds", type=int, default=library.SECONDS, help="length of the clips (default: %(default)s)"
    )
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="browsers at once (default: %(default)s)")
    parser.add_argument("--uploads", type=int, default=UPLOADS, help="clips that each uploads (default: %(default)s)")
    options = parser.parse_args()
    if CHROMIUM is None:
        parser.error("there is no Chromium on this machine: install chromium or google-chrome")
    found = run(options.seconds, options.sessions, options.uploads)
    for name, value in found.items():
        print(f"{name:32}{value:10.3f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
