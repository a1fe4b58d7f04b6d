"""Where the project's own files are."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
# beside the package in a checkout, inside it where the library is installed
PRETRAINED = next((p for p in (ROOT / "pretrained", PACKAGE / "pretrained") if p.is_dir()), ROOT / "pretrained")
HRIR = PACKAGE / "audio" / "hrir" / "order1_left_ear.wav"
