"""Where the app's own files are."""

from pathlib import Path

APP = Path(__file__).resolve().parent
ROOT = APP.parent
EXAMPLES = APP / "examples"
LOGO, ICON = APP / "logo.svg", APP / "icon.svg"
ADDRESS_SCRIPT = APP / "ui" / "address.js"
PLAYER = APP / "player"
