"""Small data sets in the layouts of the public ones."""

import subprocess
import sys
import types

import numpy as np
import pytest
import soundfile

from einv2.datasets import download

ROWS = ["0,{0},0,30,0", "1,{0},0,31,0", "1,3,1,-90,10"]  # frame, class, track, azimuth, elevation


def write(root, clips, rows=ROWS, rate=24000, class_=5, seconds=1.0):
    """Clips of noise, one for each pair (place of the audio, place of the CSV)."""
    for seed, (place, table) in enumerate(clips.items()):
        for path in (root / place, root / table):
            path.parent.mkdir(parents=True, exist_ok=True)
        noise = 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * rate), 4))
        soundfile.write(root / f"{place}.wav", noise, rate)
        (root / f"{table}.csv").write_text("\n".join(rows).format(class_) + "\n")


def flat(*stems):
    return {f"foa_dev/{stem}": f"metadata_dev/{stem}" for stem in stems}


@pytest.fixture
def soundata(tmp_path, monkeypatch):
    """Puts a fake soundata in the place of the package, and a fake program zip."""

    def install(**options):
        fake = FakeSoundata(tmp_path, **options)
        module = types.ModuleType("soundata")
        module.initialize, module.download_utils = fake.initialize, fake.download_utils
        monkeypatch.setitem(sys.modules, "soundata", module)
        monkeypatch.setitem(sys.modules, "soundata.download_utils", fake.download_utils)
        monkeypatch.setattr(download.shutil, "which", lambda program: f"/bin/{program}")
        joined = subprocess.CompletedProcess([], 0, "", "")
        monkeypatch.setattr(
            download.subprocess, "run", lambda command, **_: fake.note("zip", command[-1].name) or joined
        )
        return fake

    return install


class FakeSoundata:
    """What ``download.fetch`` uses of soundata: ``initialize``, a data set, and ``download_utils``."""

    def __init__(self, out, error=None, missing=()):
        self.out, self.error, self.calls = out, error, []
        self.missing = {"metadata": {}, "clips": {clip: [f"{clip}.wav"] for clip in ("mic_dev/a", *missing)}}
        part = types.SimpleNamespace(filename="metadata_dev.zip")
        parts = [types.SimpleNamespace(filename=f"foa_dev.{ending}") for ending in ("zip", "z01")]
        self.remotes = {"foa_dev": parts, "mic_dev": parts, "metadata_dev": part}
        self.download_utils = types.ModuleType("soundata.download_utils")
        self.download_utils.download_from_remote = lambda remote, folder, force: self.note("remote", remote.filename)
        self.download_utils.unzip = lambda path, cleanup: self.note("unzip", path, cleanup)

    def note(self, *call):
        if self.error:
            raise self.error
        self.calls.append(call)

    def initialize(self, name, data_home):
        self.calls.append((name, data_home))
        return self

    def download(self, partial_download):
        self.note("download", *partial_download)

    def validate(self, verbose):
        return self.missing, {"metadata": {}, "clips": {}}
