import collections
import functools
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of libraries, and of servers and commands that tests start

import numpy as np
import pytest
import torch
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import app_test, local_script_runner

from app import userdata
from app.bench import ARGUMENTS, CHROMIUM, serving
from einv2 import checkpoint, foa, labels, models
from einv2.config import FeatureConfig, ModelConfig
from einv2.simulate import SceneConfig, SourceBank, write_scenes

torch.set_num_threads(1)  # the networks here are too small for more

TESTS = Path(__file__).parent
ROOT = TESTS.parent
WAIT_MS = 60_000
RERUNS = 2  # of a test that drives a browser


def pytest_collection_modifyitems(items):
    """Tests that drive a browser are skipped where there is none, unless one is required.

    They depend on the time of a machine that does other things too: one that fails runs again, twice at most.
    """
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=RERUNS))
            if not CHROMIUM and not os.environ.get("REQUIRE_BROWSER"):
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Where pytest-xdist runs the tests in several processes (-n), one of these drives all browsers, and begins with that."""
    from xdist.scheduler import LoadScopeScheduling

    driving = {path.name for path in TESTS.glob("test_*.py") if "mark.browser" in path.read_text(encoding="utf-8")}

    class Scheduling(LoadScopeScheduling):
        """Goes on where a process ended amid a test, or was ended because a test hung; the class above would wait for ever."""

        def __init__(self, config, log):
            super().__init__(config, log)
            self.ended = collections.Counter()  # processes, by the test that ran then

        def _split_scope(self, nodeid):
            return "browser" if Path(nodeid.partition("::")[0]).name in driving else nodeid

        def remove_node(self, node):
            units = self.assigned_work[node].values()
            left = [(unit, nodeid) for unit in units for nodeid, done in unit.items() if not done]
            if left:
                unit, amid = left[0]
                self.ended[amid] += 1
                unit[amid] = self._split_scope(amid) != "browser" or self.ended[amid] > RERUNS  # done, as a failure
            super().remove_node(node)
            return amid if left else None

        def mark_test_pending(self, item):
            """``remove_node`` has seen to it."""

        def schedule(self):
            super().schedule()
            # a node that came later has a single test now, and begins it when it knows what comes next
            for node in self.nodes:
                self._reschedule(node)

    return Scheduling(config, log)


@pytest.fixture(autouse=True)
def _no_user_data(monkeypatch, tmp_path):
    """What the developer keeps at home is in no test."""
    monkeypatch.setattr(userdata, "DEFAULT", tmp_path / "home" / ".einv2-studio")


@pytest.fixture(scope="session", autouse=True)
def _found_once():
    """What ``AppTest`` looks for anew in every test: components in all packages that are installed, and the pages' bytecode."""
    compiled = ScriptCache()
    with pytest.MonkeyPatch.context() as patch:
        for module in (app_test, local_script_runner):
            patch.setattr(module, "ScriptCache", lambda: compiled)
        scan = manifest_scanner.scan_component_manifests
        patch.setattr(manifest_scanner, "scan_component_manifests", functools.cache(scan))
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def tiny_model():
    """A network small enough to run in milliseconds."""
    return ModelConfig(channels=(4, 4, 8, 8), n_heads=2, feedforward=16)


@pytest.fixture
def tiny_features():
    return FeatureConfig(n_mels=16)


@pytest.fixture
def scene_audio(rng):
    """Two seconds (4, S) of two noise sources from different directions, in turn."""
    first, second = rng.standard_normal((2, 24000)) * 0.1
    return np.concatenate([foa.encode(first, 40, 10), foa.encode(second, -100, -20)], axis=1).astype(np.float32)


@pytest.fixture(scope="session")
def bank():
    """Procedural sources only: there is no folder of recordings."""
    return SourceBank(labels.DCASE2020_CLASSES, None, 0.2)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory, bank):
    """A data set of six scenes of 8 s. Tests may cache features beside it, and change nothing else."""
    root = tmp_path_factory.mktemp("scenes")
    list(write_scenes(root, 6, SceneConfig(seconds=8, event_seconds=(0.8, 3.0)), bank, seed=3))
    return root


@pytest.fixture
def tiny_checkpoint(tiny_model, tiny_features):
    """A random network whose classes differ from frame to frame, with statistics, provenance, scores and curve."""
    torch.manual_seed(1)
    network = models.build(tiny_model).eval()
    for track in network.tracks:
        torch.nn.init.normal_(track.sed_head.weight, std=2.0)
    return checkpoint.Checkpoint(
        network,
        tiny_model,
        tiny_features,
        labels.DCASE2020_CLASSES,
        torch.randn(1, 7, 1, tiny_features.n_mels) - 40,
        torch.rand(1, 7, 1, tiny_features.n_mels) + 10,
        {"data": "simulated", "seed": 3},
        {"validation": {"ER": 0.5, "F": 0.25}},
        [{"epoch": 1, "loss": 0.7}, {"epoch": 2, "loss": 0.6}],
    )


# A browser on the app


@pytest.fixture(scope="session")
def user_data(tmp_path_factory):
    """The folder of user data of the app that is served."""
    return tmp_path_factory.mktemp("user_data")


@pytest.fixture(scope="session")
def address(user_data):
    """The app, served from a process of its own."""
    with serving(arguments=("--user-data", str(user_data))) as (url, _):
        yield url


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def profiles():
    """Browser contexts by what they were made with: a later test finds there what an earlier one has fetched and compiled."""
    return {}


@pytest.fixture
def new_page(browser, profiles):
    """Opens an empty page, each of a test in a profile of its own; afterwards the console must be free of errors."""
    problems, pages = [], []

    def open_(**options):
        of = len(pages), repr(sorted(options.items()))
        profiles[of] = profiles.get(of) or browser.new_context(**options)
        page = profiles[of].new_page()
        pages.append(page)
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        return page

    open_.problems = problems
    yield open_
    for page in pages:
        page.evaluate("localStorage.clear()")
        page.context.clear_cookies()
        page.close()
    assert problems == []


@pytest.fixture
def open_page(new_page, address):
    """Opens the app; no request may leave the machine."""

    def requested(url):
        if not url.startswith((address, "data:", "blob:")):
            new_page.problems.append(url)

    def open_(**options):
        page = new_page(viewport={"width": 1400, "height": 1000}, **options)
        page.on("request", lambda request: requested(request.url))
        page.goto(address)
        page.get_by_text("See what a SELD network hears").wait_for()
        return page

    return open_


def settled(page):
    """Waits until the script has run, and what stood on the page before it, which is faint, has gone."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_function("() => !document.querySelector('[data-stale=true]')")


def unpacked(sent) -> list[dict]:
    """The inverse of ``app.player.packed``."""
    lists = [value if isinstance(value, list) else [value["of"][i] for i in value["at"]] for value in sent["lists"]]
    return [{path: lists[i] for path, i in trace.items()} for trace in sent["traces"]]
