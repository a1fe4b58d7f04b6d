"""Pages without a browser (Streamlit's AppTest): starting one, uploads, and what it shows."""

import io
import json
import re

import numpy as np
import soundfile
from streamlit.testing.v1 import AppTest

from app.clip import caches
from app.ui import session
from einv2.audio import foa
from support.data_sets import soundata as soundata
from support.places import ROOT

TIMEOUT = 60


def start() -> AppTest:
    return AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()


def open_page(page: str, **state) -> AppTest:
    """A session on a page (a folder of views), with these values in its session state."""
    app = start()
    app.switch_page(f"views/{page}/page.py").run()
    for key, value in state.items():
        app.session_state[key] = value
    if state:
        app.run()
    assert not app.exception
    return app


def encoded(signal, subtype="PCM_16", format="WAV", rate=24000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.asarray(signal).T, rate, subtype=subtype, format=format)
    return buffer.getvalue()


def noise(seconds=2.0, rate=24000):
    mono = np.random.default_rng(0).standard_normal(int(seconds * rate)).astype(np.float32) * 0.1
    return foa.encode(mono, 45, 10)


def upload(name, data, truth=None, truth_name="clip.csv") -> AppTest:
    app = start()
    app.file_uploader(key="clip_upload").upload(name, data, "audio/wav")
    if truth is not None:
        app.file_uploader(key="truth_upload").upload(truth_name, truth, "text/csv")
    return app.run()


def figure(app) -> dict:
    return json.loads(app.get("plotly_chart")[0].proto.spec)


def prepared_clip(app) -> session.Source:
    """The open clip with its channels and its window as chosen."""
    return next(iter(app.session_state[caches.PREPARED.session_key].values()))


def live(app) -> dict:
    """What the player is given, its arrays unpacked as it does."""
    found = next(data for c in app.get("bidi_component") if "arrays" in (data := json.loads(c.proto.json)))
    return found | {"arrays": unpacked(found["arrays"])}


def shown(markdown: str) -> str:
    """Markdown as read: without the backslashes before punctuation."""
    return re.sub(r"\\([^\w\s])", r"\1", markdown)


def only_error(app) -> str:
    assert not app.exception
    assert len(app.error) == 1
    return shown(app.error[0].value)


def fine(app) -> AppTest:
    assert not app.exception and not app.error, (app.exception, app.error)
    return app


def unpacked(sent) -> list[dict]:
    """The inverse of ``app.player.packed``."""
    lists = [value if isinstance(value, list) else [value["of"][i] for i in value["at"]] for value in sent["lists"]]
    return [{path: lists[i] for path, i in trace.items()} for trace in sent["traces"]]
