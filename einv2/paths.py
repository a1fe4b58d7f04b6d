"""Where the project's own files are."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
PRETRAINED = ROOT / "pretrained"
HRIR = PACKAGE / "audio" / "hrir" / "order1_left_ear.wav"
