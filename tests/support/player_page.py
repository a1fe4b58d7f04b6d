"""A page for the tests of the player: the time figure of an example, and a second of each of many tones to hear."""

import io
import sys
from pathlib import Path

import numpy as np
import soundfile
import streamlit as st

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from app.player.component import Recording, TraceArrays, energy_maps, player, scene  # noqa: E402
from app.plots import timeline  # noqa: E402
from einv2.labels import class_lists, dcase_csv  # noqa: E402

SECONDS, SAMPLE_RATE = 16, 24000
TRACKS = ("track 1", "track 2")
CLASSES = class_lists.DCASE2020_CLASSES


@st.cache_data
def tones(first_hz: int) -> bytes:
    """WAV: in second k a tone of first_hz + 200 k."""
    t = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * np.sin(2 * np.pi * (first_hz + 200 * np.floor(t)) * t), SAMPLE_RATE, format="WAV")
    return buffer.getvalue()


@st.cache_data
def tables():
    """The truth of an example, and an estimate that is off a little, sure of itself to a varying degree."""
    truth = dcase_csv.read_csv(ROOT / "app/examples/phone_and_speech.csv")
    truth["track"] = truth.groupby("frame").cumcount()
    estimate = truth[truth["frame"] % 23 > 1].copy()
    estimate["azimuth"] = (estimate["azimuth"] + 6 * np.sin(estimate["frame"] / 4) + 180) % 360 - 180
    estimate["elevation"] += 5 * np.cos(estimate["frame"] / 5)
    estimate["confidence"] = 0.72 + 0.25 * np.sin(estimate["frame"] / 3 + estimate["track"])
    return estimate, truth


@st.cache_data
def maps():
    """A lobe of energy that goes once round in 16 s."""
    azimuth, elevation = np.meshgrid(180 - 15 * (np.arange(24) + 0.5), 90 - 15 * (np.arange(12) + 0.5))
    to_lobe = (azimuth[None] - np.linspace(0, 360, 80)[:, None, None] + 180) % 360 - 180
    lobe = np.exp(-((to_lobe / 40) ** 2) - ((elevation[None] - 10) / 30) ** 2)
    return energy_maps((255 * lobe).astype(np.uint8), 2)


@st.cache_data
def figure():
    rng = np.random.default_rng(5)
    spectrogram = rng.normal(-60, 6, (SECONDS * 20, 64)).clip(-120, 0).astype(np.int8)
    picture = timeline.Picture(spectrogram, 0.05, np.linspace(50, 11500, 64))
    made = timeline.timeline(
        picture, timeline.Lanes(TRACKS), SECONDS, timeline.Truth(tables()[1].assign(track=0), CLASSES)
    )
    return made.update_layout(meta={"energy": maps()})


def seek(t: float, end: float | None) -> None:
    nonce = st.session_state.get("seek", {"nonce": 0})["nonce"] + 1
    st.session_state["seek"] = {"t": t, "end": end, "play": True, "nonce": nonce}


st.set_page_config(layout="wide")
estimate, truth = tables()
left, middle, right, last = st.columns(4)
way = left.radio("Listen", ["first", "second"], horizontal=True)
clip = left.radio("Clip", ["a", "b"], horizontal=True)
middle.button("Play 3 to 4.5", on_click=seek, args=(3.0, 4.5))
mounted = middle.checkbox("Player", value=True)
heard = middle.checkbox("Audio", value=True)
threshold = right.slider("Threshold", 0.0, 1.0, 0.5, 0.05)
last.text_input("Notes")
with st.container(key="listen"):
    if heard:
        st.audio(tones(400 if way == "first" else 500), format="audio/wav")
shown = estimate[estimate["confidence"] > threshold]
if mounted:
    player(
        "player",
        "timeline",
        "listen",
        Recording(clip, SECONDS),
        scene(shown, truth, CLASSES, CLASSES, TRACKS),
        TraceArrays(timeline.detection_arrays(shown, CLASSES, timeline.Lanes(TRACKS)), f"at {threshold}"),
        st.session_state.get("seek"),
    )
st.plotly_chart(figure(), key="timeline", config={"displaylogo": False, "doubleClick": "reset"})
