"""Unlabelled sounds of a recording (directional noise, ambience) and its channel: a low-pass filter and a codec.

None of it moves the directions of the events.
"""

import io
from dataclasses import dataclass

import numpy as np
import soundfile
from scipy import signal

from ..audio import foa
from ..frames import SAMPLE_RATE
from .rooms import Room, coloured
from .unclassified import UnclassifiedBank

NO_CLASS = -1
CODECS = {"mp3": ("MP3", "MPEG_LAYER_III", 2), "vorbis": ("OGG", "VORBIS", 4)}  # container, coding, channels at a time
_AMBIENT_SECONDS = 6.0


@dataclass(frozen=True)
class DirectionalNoise:
    """Steady coloured noise from one direction (degrees) and distance, ``level_db`` below the events."""

    azimuth: float
    elevation: float
    distance_m: float
    level_db: float
    seed: int


@dataclass(frozen=True)
class Ambience:
    """Distant sources of no class in directions (azimuth, elevation), all together ``level_db`` below the events."""

    directions: tuple[tuple[float, float], ...]
    level_db: float
    seed: int


@dataclass(frozen=True)
class Channel:
    """What the recording went through: a low-pass filter (None: none), a codec of ``CODECS`` (None: none).

    compression: 0 (largest file) to 1 (smallest).
    """

    low_pass_hz: float | None = None
    codec: str | None = None
    compression: float = 0.5

    def __post_init__(self) -> None:
        if self.codec is not None and self.codec not in CODECS:
            raise ValueError(f"codec {self.codec!r} must be one of {', '.join(CODECS)}")
        if not 0 <= self.compression <= 1:
            raise ValueError(f"compression {self.compression} must lie in [0, 1]")


def steady_noise(n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise (S,) float32 of random colour, 0 to -9 dB an octave; half of the time a band of it stands out, as of a fan."""
    noise = coloured(n_samples, 1, rng.uniform(-9, 0), rng)[0]
    if rng.random() < 0.5:
        centre, width = np.exp(rng.uniform(np.log(150), np.log(6000))), rng.uniform(0.2, 1.0)
        edges = (centre * 2**-width, min(centre * 2**width, 11500.0))
        band = signal.sosfilt(signal.butter(2, edges, "bandpass", fs=SAMPLE_RATE, output="sos"), noise)
        noise = noise / np.std(noise) + rng.uniform(0.5, 3) * band / np.std(band)
    return noise.astype(np.float32)


def ambient_sound(ambience: Ambience, n_samples: int, room: Room, bank: UnclassifiedBank) -> np.ndarray:
    """The distant sources (4, S): each is heard directly, softly, and all of them through the late reverberation."""
    rng = np.random.default_rng(ambience.seed)
    sources = np.stack([_ambient_source(n_samples, bank, rng) for _ in ambience.directions])
    gains = foa.gains(*np.array(ambience.directions).T).astype(np.float32)
    out = gains.T @ sources
    early = room.early_responses(*ambience.directions[0], distance_m=1.0)[0]
    tail = room.late_response(early, rng, None if room.is_plain else np.zeros_like(early)).astype(np.float32)
    if tail.shape[1]:
        late = signal.oaconvolve(sources.sum(axis=0)[None], tail, axes=1)[:, :n_samples]
        out += late * np.float32(rng.uniform(0.5, 2) * np.std(out[0]) / (np.std(late[0]) + 1e-9))
    return out


def _ambient_source(n_samples: int, bank: UnclassifiedBank, rng: np.random.Generator) -> np.ndarray:
    """A steady noise that swells, or one sound again and again (S,), of unit power."""
    if rng.random() < 0.4:
        knots = max(2, n_samples // 48000)
        swell = np.interp(np.linspace(0, 1, n_samples), np.linspace(0, 1, knots), rng.uniform(-8, 0, knots))
        out = steady_noise(n_samples, rng) * 10 ** (swell / 20).astype(np.float32)
    else:
        sound, out, start = bank.draw(rng, _AMBIENT_SECONDS)[0], np.zeros(n_samples, np.float32), 0
        while start < n_samples:
            piece = sound[: n_samples - start]
            out[start : start + len(piece)] += np.float32(rng.uniform(0.3, 1)) * piece
            start += len(sound) + int(rng.exponential(2.0) * SAMPLE_RATE)
    return out / (np.std(out) + np.float32(1e-9))


def through_channel(mix: np.ndarray, channel: Channel, sample_rate: int) -> np.ndarray:
    """A signal (4, S) in [-1, 1] after the filter and the codec; a codec may put its peaks beyond."""
    if channel.low_pass_hz is not None and channel.low_pass_hz < 0.49 * sample_rate:
        mix = signal.sosfilt(signal.butter(6, channel.low_pass_hz, fs=sample_rate, output="sos"), mix, axis=1)
    if channel.codec is None:
        return mix
    container, coding, width = CODECS[channel.codec]
    pairs = [
        _coded(mix[i : i + width], container, coding, channel.compression, sample_rate) for i in range(0, 4, width)
    ]
    return np.concatenate(pairs)


def _coded(part: np.ndarray, container: str, coding: str, compression: float, sample_rate: int) -> np.ndarray:
    file = io.BytesIO()
    kind = dict(format=container, subtype=coding, compression_level=compression)
    with soundfile.SoundFile(file, "w", sample_rate, len(part), **kind) as sound:
        for start in range(0, part.shape[1], sample_rate):  # the Vorbis encoder overflows its stack on a long block
            sound.write(np.ascontiguousarray(part[:, start : start + sample_rate].T, dtype=np.float32))
    file.seek(0)
    decoded = soundfile.read(file, dtype="float32", always_2d=True)[0].T[:, : part.shape[1]]
    return np.pad(decoded, ((0, 0), (0, part.shape[1] - decoded.shape[1])))
