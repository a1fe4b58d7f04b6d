"""Thousands of WAV, FLAC and OGG files that are wrong on purpose, and those that would unfold to hours."""

import io
import random
import sys
import time

import numpy as np
import pytest
import soundfile

from einv2.audio import inputcheck, recordings
from support import fuzzing
from support.pages import only_error, upload
from support.places import ROOT

pytestmark = pytest.mark.full("fuzzing")

CASES = 640  # of each kind of file


def encoded(format, subtype, rate):
    """A quarter of a second of noise."""
    signal = 0.1 * np.random.default_rng(0).standard_normal((rate // 4, 4)).astype(np.float32)
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, rate, format=format, subtype=subtype)
    return buffer.getvalue()


# suffix, content, mutations of its container, bytes of its headers
WHOLE = {
    "wav16": ("wav", encoded("WAV", "PCM_16", 24000), fuzzing.riff, 60),
    "wavfloat": ("wav", encoded("WAV", "FLOAT", 8000), fuzzing.riff, 90),
    "wavex24": ("wav", encoded("WAVEX", "PCM_24", 16000), fuzzing.riff, 90),
    "rf64": ("wav", encoded("RF64", "PCM_16", 8000), fuzzing.riff, 110),
    "flac": ("flac", encoded("FLAC", "PCM_16", 24000), fuzzing.flac, 100),
    "flac24": ("flac", encoded("FLAC", "PCM_24", 8000), fuzzing.flac, 100),
    "vorbis": ("ogg", encoded("OGG", "VORBIS", 16000), fuzzing.ogg, 4000),
    "opus": ("ogg", encoded("OGG", "OPUS", 24000), fuzzing.ogg, 200),
}


def read(path):
    """Whole and in blocks; what can be read can be checked."""
    loaded = recordings.load(path)
    assert loaded.shape[0] == 4 and np.isfinite(loaded).all()
    blocks = list(recordings.stream(path, block_seconds=0.1))
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), loaded)
    assert inputcheck.check(loaded, recordings.SAMPLE_RATE)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("kind", WHOLE)
def test_a_mutated_file_is_read_or_refused_in_one_sentence(tmp_path, kind):
    suffix, content, of_container, head = WHOLE[kind]
    draw = random.Random(f"audio {kind}")
    ways = (
        lambda: of_container(content, draw),
        lambda: fuzzing.mutated(content, draw, head=head),
        lambda: fuzzing.mutated(content, draw),
    )
    cases = (draw.choice(ways)() for _ in range(CASES))
    found = fuzzing.refusals([content], tmp_path / f"clip.{suffix}", read)
    assert found == [None]
    found = fuzzing.refusals(cases, tmp_path / f"clip.{suffix}", read)
    assert len(found) == CASES and 0.02 < found.count(None) / CASES < 0.98 and len(set(found)) > 5


def test_frames_that_are_wrong_and_have_checksums_that_fit(tmp_path):
    draw = random.Random("frames")
    cases = (fuzzing.silent_flac(draw.choice((1, 6)), draw=draw) for _ in range(300))
    found = fuzzing.refusals(cases, tmp_path / "clip.flac", read)
    assert len(set(found)) > 3


@pytest.mark.parametrize("value, says", [(1e20, "is beyond 1e+10 at 0.125 s"), (np.nan, "is not a number")])
def test_samples_that_no_recording_has(tmp_path, value, says):
    signal = np.zeros((24000, 4), np.float32)
    signal[3000, 2] = value
    soundfile.write(tmp_path / "clip.wav", signal, 24000, "FLOAT")
    with pytest.raises(recordings.AudioError, match=r"^clip\.wav: holds a sample that") as error:
        recordings.load(tmp_path / "clip.wav")
    assert says in str(error.value)


# Small files that would unfold to hours


def quickly(call):
    began = time.monotonic()
    result = call()
    assert time.monotonic() - began < fuzzing.SECONDS
    return result


@pytest.fixture
def written(tmp_path):
    def write(content):
        (tmp_path / "bomb.flac").write_bytes(content)
        return tmp_path / "bomb.flac"

    return write


@pytest.mark.parametrize("read", [recordings.probe, recordings.load, recordings.stream])
def test_three_hours_of_silence_are_refused_by_their_header(written, read):
    content = fuzzing.silent_flac(3 * 3600)
    assert len(content) < 100_000
    with pytest.raises(recordings.AudioError, match=r"^bomb\.flac: (would unfold to 3\.0 hours from|lasts 10802\.4 s)"):
        quickly(lambda: read(written(content)))


def test_a_header_that_promises_the_most_there_is_is_refused(written):
    path = written(fuzzing.silent_flac(10, promised=2**36 - 1))
    with pytest.raises(recordings.AudioError, match=r"lasts 2863311\.5 s; expected at most 604800 s"):
        quickly(lambda: recordings.probe(path))


def test_no_more_is_decoded_than_the_header_promises(written):
    path = written(fuzzing.silent_flac(3 * 3600, promised=24000))
    assert quickly(lambda: recordings.load(path)).shape == (4, 24000)
    assert [block.shape for block in recordings.stream(path)] == [(4, 24000)]


def test_a_header_that_promises_more_than_there_is_is_refused_where_it_ends(written):
    path = written(fuzzing.silent_flac(60, promised=24000 * 3000))
    with pytest.raises(
        recordings.AudioError, match=r"after 59\.4 s, so it is damaged or cut off; expected the 3000\.0 s"
    ):
        quickly(lambda: recordings.load(path))


def test_twenty_minutes_of_silence_are_read(written):
    path = written(fuzzing.silent_flac(1200, rate=8000))
    assert recordings.probe(path).seconds == pytest.approx(1200, abs=9)


@pytest.mark.parametrize(
    "content, says",
    [
        (fuzzing.silent_flac(3 * 3600), "bomb.flac: would unfold to 3.0 hours from 92810 bytes"),
        (fuzzing.silent_flac(10, promised=2**36 - 1), "bomb.flac: lasts 2863311.5 s"),
        (fuzzing.silent_flac(10, promised=0), "bomb.flac: does not say how long it is"),
        (fuzzing.silent_flac(10, promised=24000 * 3000), "so it is damaged or cut off"),
    ],
)
def test_the_page_says_it_in_one_sentence(monkeypatch, content, says):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["main.py"])
    app = quickly(lambda: upload("bomb.flac", content))
    assert says in only_error(app) and not app.get("plotly_chart")
