"""The library as a package: what pyproject.toml says of it, and an installed copy in a folder of its own."""

import os
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement

from support.places import EXAMPLES, ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_named():
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "einv2").rglob("__init__.py")}
    assert {*SETTINGS["tool"]["setuptools"]["packages"]} == found | {"einv2.pretrained"}


def test_the_library_needs_what_the_app_is_pinned_to():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0]: line.split("==")[1] for line in lines if "==" in line}
    for requirement in map(Requirement, SETTINGS["project"]["dependencies"]):
        assert requirement.specifier.contains(pinned[requirement.name]), requirement


@pytest.mark.full("installation")
def test_an_installed_library_predicts_anywhere(tmp_path):
    """Not from the checkout: built and installed, with the shipped networks, as pip does it from git."""
    installed = tmp_path / "installed"
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(installed), str(ROOT)]
    subprocess.run([sys.executable, *install], cwd=tmp_path, check=True, capture_output=True)
    command = [
        installed / "bin" / "einv2",
        "predict",
        EXAMPLES / "moving_dog.flac",
        "--model",
        "einv2-tpit",
        "--out",
        "found",
    ]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "found" / "moving_dog.csv").read_text(), done.stderr
