import functools
import os
from collections import Counter

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of libraries, and of servers and commands that tests start

import numpy as np
import pytest
import torch
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import app_test, local_script_runner

from app.bench import CHROMIUM
from app.storage import user_folder
from einv2.audio import foa
from einv2.checkpoints import checkpoint
from einv2.config import FeatureConfig, ModelConfig
from einv2.labels import class_lists
from einv2.models.build import build
from einv2.simulate.render import write_scenes
from einv2.simulate.scene import SceneConfig
from einv2.simulate.sources import SourceBank
from support.data_sets import soundata as soundata

torch.set_num_threads(1)  # the networks here are too small for more

RERUNS = 2  # of a test that drives a browser


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config, items):
    """Tests marked ``full`` are left out unless they are asked for (-m full); what drives a browser runs first, in one process.

    Each other file runs in one process, too. Tests of the browser are skipped where there is none, unless one is required. They
    depend on how busy the machine is: one that fails runs again, twice at most.
    """
    if "full" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("full")]
        items[:] = [item for item in items if not item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        config.left_out = Counter(item.get_closest_marker("full").args[0] for item in left_out)
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)
    for item in items:
        drives_browser = item.get_closest_marker("browser") is not None
        item.add_marker(pytest.mark.xdist_group("browser" if drives_browser else item.nodeid.partition("::")[0]))
        if drives_browser:
            item.add_marker(pytest.mark.flaky(reruns=RERUNS))
            if not CHROMIUM and not os.environ.get("REQUIRE_BROWSER"):
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine"))


def pytest_sessionfinish(session):
    """A process of pytest-xdist tells the first one what it left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(getattr(session.config, "left_out", {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.left_out = Counter(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter, config):
    if left_out := getattr(config, "left_out", None):
        what = ", ".join(f"{count} of {kind}" for kind, count in sorted(left_out.items()))
        command = "python -m pytest -n 2 -m full"
        terminalreporter.write_line(f"left out: {left_out.total()} slow tests ({what}); `{command}` runs them")


@pytest.fixture(autouse=True)
def _no_user_data(monkeypatch, tmp_path):
    """What the developer keeps at home is in no test."""
    monkeypatch.setattr(user_folder, "DEFAULT", tmp_path / "home" / ".einv2-studio")


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
    return SourceBank(class_lists.DCASE2020_CLASSES, None, 0.2)


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
    network = build(tiny_model).eval()
    for track in network.tracks:
        torch.nn.init.normal_(track.sed_head.weight, std=2.0)
    return checkpoint.Checkpoint(
        network,
        tiny_model,
        tiny_features,
        class_lists.DCASE2020_CLASSES,
        torch.randn(1, 7, 1, tiny_features.n_mels) - 40,
        torch.rand(1, 7, 1, tiny_features.n_mels) + 10,
        {"data": "simulated", "seed": 3},
        {"validation": {"ER": 0.5, "F": 0.25}},
        [{"epoch": 1, "loss": 0.7}, {"epoch": 2, "loss": 0.6}],
    )


# A browser on the app
