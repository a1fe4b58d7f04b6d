"""How fast the pages are on this machine, measured in the browser: `python -m app.bench [--json FILE]`.

Starts a server, drives it with an installed Chromium, and prints the times that a user waits (s), the data received from the server
(kilobytes of 1000 bytes) and the memory of the server process (megabytes). Compare figures within one run only.

`python -m app.bench --load` measures many sessions at once: each uploads a different clip and moves the threshold as soon as the
clip is shown, while others still wait. The browsers run on the same machine as the server and share its processors.

`python -m app.bench --scaling FIGURE.svg` measures and draws, without any page, how time and memory of the library grow with the
length and the number of clips, and the throughput of training (``einv2.experiments.scaling``).
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from app.paths import ROOT
from einv2.experiments import bench as library
from einv2.frames import SAMPLE_RATE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
WAIT_MS = 120_000
MOVES = 9  # of the threshold
SESSIONS, UPLOADS = 5, 10  # browsers at once, and clips that each of them uploads
LOAD_SESSIONS = 20
LOAD_WAIT_SECONDS = 900
CHART = "[...document.querySelectorAll('.st-key-timeline .js-plotly-plot')].find(c => c._fullLayout && c.offsetParent)"
DETECTIONS = f"({CHART})?.data.find(t => t.name === 'detections')?.meta"
SLIDER = "[data-testid=stSlider] input[type=range]"
STOPWATCH = f"""() => {{
    const old = {DETECTIONS}, began = performance.now();
    const look = () => {{
        const now = {DETECTIONS};
        if (now && now !== old) window.moved = (performance.now() - began) / 1000; else setTimeout(look, 10);
    }};
    window.moved = null;
    look();
}}"""


@contextlib.contextmanager
def serving(
    script: str | Path = "app/main.py", arguments: Sequence[str] = (), options: Sequence[str] = ()
) -> Iterator[tuple[str, int]]:
    """The address at which Streamlit serves a script, and the server's process id; TimeoutError if it does not start.

    arguments: those of the script, such as --user-data DIR; options: those of Streamlit, such as --server.maxUploadSize 1.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--server.port", str(port), "--server.headless", "true", *options]
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
    """A browser with the app, which counts the bytes it receives."""

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

    def begin_upload(self, file: Path) -> None:
        self.page.locator("input[type=file]").first.set_input_files(file)

    def shows(self, name: str) -> bool:
        """Whether the detections that are drawn are those of the clip of a name."""
        return f"'{name}'" in (self.page.evaluate(DETECTIONS) or "")

    def begin_move(self) -> None:
        self.page.locator(SLIDER).first.focus()
        self.page.evaluate(STOPWATCH)
        self.page.keyboard.press("ArrowRight")

    def moved(self) -> float | None:
        """Seconds from ``begin_move`` until the detections were drawn again; None before that."""
        return self.page.evaluate("window.moved ?? null")

    def complains(self) -> bool:
        return self.page.locator("[data-testid=stAlertContentError], [data-testid=stException]").count() > 0

    def place_in_line(self) -> bool:
        return self.page.get_by_text("in line").count() > 0

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
    """Resident memory of a process; Linux only."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 / 1e6


def processor_seconds(process: int) -> float:
    """Processor time that a process has used; Linux only."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def write_clips(folder: Path, number: int, seconds: int) -> list[Path]:
    files = [folder / f"clip{n}.wav" for n in range(number)]
    for n, file in enumerate(files):
        soundfile.write(file, library.clip(seconds, seed=n).T, SAMPLE_RATE, subtype="PCM_16")
    return files


def run(seconds: int = library.SECONDS, sessions: int = SESSIONS, uploads: int = UPLOADS) -> dict[str, float]:
    """Measurements by name, which ends in the unit; seconds: length of the clips."""
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


@dataclass
class Guest:
    """One of many sessions, with its clip. seen, answered: seconds until the clip was shown, and until the slider responded."""

    visitor: Visitor
    clip: Path
    began: float = 0.0
    seen: float | None = None
    answered: float | None = None
    waited: bool = False
    failed: bool = False

    @property
    def through(self) -> bool:
        return self.failed or self.answered is not None

    def look(self) -> None:
        """Take the next step if the page is ready for it."""
        own, name = self.visitor, self.clip.name
        if self.seen is None:
            self.waited |= own.place_in_line()
            self.failed = own.complains()
            if own.shows(name):
                self.seen = time.perf_counter() - self.began
                own.begin_move()
        else:
            self.answered = own.moved()
            self.failed = self.answered is not None and not own.shows(name)


def load(seconds: int = library.SECONDS, sessions: int = LOAD_SESSIONS) -> dict[str, float]:
    """Measurements of ``sessions`` at once by name, which ends in the unit; seconds: length of each clip."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, serving() as (address, process), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        clips = write_clips(Path(folder), sessions, seconds)
        guests = [Guest(Visitor(browser, address), clip) for clip in clips]
        before, used, began = memory_mb(process), processor_seconds(process), time.perf_counter()
        peak = max(_crowd(guests, process), before)
        cores = (processor_seconds(process) - used) / (time.perf_counter() - began)
        browser.close()
    done = [guest for guest in guests if not guest.failed and guest.through]
    found: dict[str, float] = {
        "sessions": sessions,
        "failed": sessions - len(done),
        "saw_a_place_in_line": sum(g.waited for g in guests),
    }
    times = {"view": [g.seen for g in done], "slider": [g.answered for g in done]}
    for name, values in times.items():
        for share in (50, 95, 100):
            found[f"{name}_p{share}_s"] = (
                float(np.percentile(np.array(values, float), share)) if values else float("nan")
            )
    return found | {"cores_the_server_had": cores, "memory_before_mb": before, "memory_peak_mb": peak}


def _crowd(guests: list[Guest], process: int) -> float:
    """All upload at once, and each moves its slider when it can; the peak memory of the server meanwhile, MB."""
    peak, end = 0.0, time.perf_counter() + LOAD_WAIT_SECONDS
    for guest in guests:
        guest.began = time.perf_counter()
        guest.visitor.begin_upload(guest.clip)
    while not all(guest.through for guest in guests) and time.perf_counter() < end:
        for guest in guests:
            if not guest.through:
                guest.look()
        peak = max(peak, memory_mb(process))
        guests[0].visitor.page.wait_for_timeout(50)
    return peak


def scaling(figure: Path) -> dict:
    """The measurements of ``einv2.experiments.scaling``, also drawn into an SVG file."""
    from playwright.sync_api import sync_playwright

    from app.plots.scaling import scaling as draw
    from einv2.experiments.scaling import run as measure

    found = measure(progress=print)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        figure.write_text(as_svg(draw(found["length"], found["clips"]), browser))
    return found


def as_svg(figure, browser) -> str:
    """A plotly figure as SVG, drawn by a browser."""
    from plotly.offline import get_plotlyjs

    make = "async figure => decodeURIComponent((await Plotly.toImage(figure, {format: 'svg'})).replace(/^[^,]*,/, ''))"
    page = browser.new_page()
    page.add_script_tag(content=get_plotlyjs())
    return page.evaluate(make, json.loads(figure.to_json()))


def _table(name: str, value) -> str:
    """A measurement as one line, a list of rows as one line each."""
    if isinstance(value, dict):
        return "\n".join(_table(f"{name} {key}", part) for key, part in value.items())
    if isinstance(value, list):
        return "\n".join("  ".join(f"{key} {part:.4g}" for key, part in row.items()) for row in value)
    return f"{name:42}{value:10.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--seconds", type=int, default=library.SECONDS, help="length of the clips (default: %(default)s)"
    )
    parser.add_argument(
        "--load", action="store_true", help="measure many sessions at once instead of one after the other"
    )
    parser.add_argument(
        "--sessions", type=int, help=f"browsers at once (default: {SESSIONS}, with --load {LOAD_SESSIONS})"
    )
    parser.add_argument("--uploads", type=int, default=UPLOADS, help="clips that each uploads (default: %(default)s)")
    parser.add_argument(
        "--scaling", type=Path, metavar="FIGURE.svg", help="measure how the library scales instead, and draw it there"
    )
    options = parser.parse_args()
    if CHROMIUM is None:
        parser.error("there is no Chromium on this machine: install chromium or google-chrome")
    if options.scaling:
        found = scaling(options.scaling)
    elif options.load:
        found = load(options.seconds, options.sessions or LOAD_SESSIONS)
    else:
        found = run(options.seconds, options.sessions or SESSIONS, options.uploads)
    for name, value in found.items():
        print(_table(name, value))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
