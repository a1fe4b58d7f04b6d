import os
from pathlib import Path

import numpy as np
import pytest
import torch

from app import userdata
from app.bench import ARGUMENTS, CHROMIUM, serving
from einv2 import checkpoint, foa, labels, models
from einv2.config import FeatureConfig, ModelConfig
from einv2.simulate import SceneConfig, SourceBank, write_scenes

torch.set_num_threads(1)  # the networks here are too small for more

ROOT = Path(__file__).parent.parent
WAIT_MS = 60_000


def pytest_collection_modifyitems(items):
    """Tests that drive a browser are skipped where there is none, unless one is required.

    They depend on the time of a machine that does other things too: one that fails runs again, twice at most.
    """
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=2))
            if not CHROMIUM and not os.environ.get("REQUIRE_BROWSER"):
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine"))


@pytest.fixture(autouse=True)
def _no_user_data(monkeypatch, tmp_path):
    """What the developer keeps at home is in no test."""
    monkeypatch.setattr(userdata, "DEFAULT", tmp_path / "home" / ".einv2-studio")


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


@pytest.fixture
def open_page(browser, address):
    """Opens the app; afterwards the console must be free of errors and no request may have left the machine."""
    problems, contexts = [], []

    def open_(**options):
        context = browser.new_context(viewport={"width": 1400, "height": 1000}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith((address, "data:", "blob:")) else problems.append(r.url))
        page.goto(address)
        page.get_by_text("See what a SELD network hears").wait_for()
        return page

    yield open_
    for context in contexts:
        context.close()
    assert problems == []
