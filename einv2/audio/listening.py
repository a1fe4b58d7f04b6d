"""FOA clips made audible: stereo, binaural for headphones, W alone, or a beam along a trajectory.

A listening mode is a function that takes the blocks of a clip in order, float (4, S) of any lengths, and returns the
output for each, float32 (C, S). Binaural and Along have state between blocks: make a new one for each pass over a clip. Joined
blocks equal the output for the whole clip.

    listen = listening.way("binaural", 24000)
    heard = np.concatenate([listen(block) for block in audio.stream("clip.wav")], axis=1)
"""

from collections.abc import Callable

import numpy as np
import scipy.signal
import soundfile
import soxr

from .. import geometry
from ..frames import LABEL_FRAMES_PER_SECOND
from ..paths import HRIR
from .foa import XYZ_CHANNELS

WAYS = ("stereo", "binaural", "W", "along")
BINAURAL_GAIN = 1 / 3  # an ear gets up to 1.52 times a sine; with this gain white noise at full scale does not clip
BEAM_OMNI = 0.25  # share of W in the beam, see Along
ELSEWHERE = 10 ** (-12 / 20)  # level of W where a trajectory has no direction

_PADDING = 32  # samples at 48 kHz: room for what resampling rings before the first sample


def way(name: str, sample_rate: int, azimuth=None, elevation=None) -> Callable[[np.ndarray], np.ndarray]:
    """One of the listening modes ``WAYS``. azimuth, elevation: (T,) degrees, for "along". ValueError on another name."""
    if name == "binaural":
        return Binaural(sample_rate)
    if name == "along":
        if azimuth is None or elevation is None:
            raise ValueError('to listen "along" needs azimuth and elevation, (T,) degrees')
        return Along(sample_rate, azimuth, elevation)
    if name not in WAYS:
        raise ValueError(f"the ways to listen are {', '.join(WAYS)}, not {name!r}")
    return stereo if name == "stereo" else omni


def stereo(block) -> np.ndarray:
    """Two cardioids, to the left and to the right: (W + Y) / 2 and (W - Y) / 2, (2, S)."""
    w, y = np.asarray(block, np.float32)[:2]
    return np.stack([w + y, w - y]) / 2


def omni(block) -> np.ndarray:
    """W alone, (1, S)."""
    return np.array(block[:1], np.float32)


class Binaural:
    """What the two ears of a head in the middle of the scene hear, (2, S): left, right.

    Each ear is the sum of the channels W, Y, Z, X convolved with that ear's impulse responses of order 1; those of the right
    ear are those of the left with the sign of Y changed, as the head is symmetric (see hrir/README.md). Scaled by
    ``BINAURAL_GAIN``; late by 1.2 ms. The last 5 ms that a clip would ring on are cut.
    """

    def __init__(self, sample_rate: int):
        self._responses = _responses(sample_rate)
        self._rest = np.zeros((4, self._responses.shape[1] - 1), np.float32)

    def __call__(self, block) -> np.ndarray:
        block = np.asarray(block, np.float32)
        if not block.shape[1]:
            return np.zeros((2, 0), np.float32)
        parts = scipy.signal.oaconvolve(block, self._responses, axes=1)
        parts[:, : self._rest.shape[1]] += self._rest
        parts, self._rest = np.split(parts, [block.shape[1]], axis=1)
        both, side = parts[0] + parts[2] + parts[3], parts[1]
        return np.stack([both + side, both - side])


def _responses(sample_rate: int) -> np.ndarray:
    """Impulse responses (4, L) of the left ear at a sample rate, scaled."""
    responses, rate = soundfile.read(HRIR, dtype="float32")
    padded = np.pad(responses, ((_PADDING, _PADDING), (0, 0)))
    resampled = soxr.resample(padded, rate, sample_rate, "VHQ") * (rate / sample_rate)
    return np.ascontiguousarray(resampled.T * BINAURAL_GAIN)


class Along:
    """A beam that follows a trajectory, (1, S): BEAM_OMNI W + (1 - BEAM_OMNI) (x X + y Y + z Z), with gain 1 for its direction.

    azimuth, elevation: (T,) degrees, one per label frame of 100 ms from the start of the clip, NaN where there is no direction;
    there, and after the last, W sounds at -12 dB instead. Between the middles of frames the beam turns along the great circle,
    or fades from or to W, so nothing clicks. ValueError if the two are not of one shape (T,).

    A beam omni + (1 - omni) cos(angle) picks up omni^2 + (1 - omni)^2 / 3 of the power of diffuse sound. The minimum, 1/4 or
    -6 dB, is at omni = 1/4: the hypercardioid. The cardioid, with omni = 1/2, picks up 1/3.
    """

    def __init__(self, sample_rate: int, azimuth, elevation):
        azimuth, elevation = np.asarray(azimuth, float), np.asarray(elevation, float)
        if azimuth.ndim != 1 or azimuth.shape != elevation.shape:
            raise ValueError(f"azimuth and elevation must both be (T,), not {azimuth.shape} and {elevation.shape}")
        self._samples_per_frame = sample_rate / LABEL_FRAMES_PER_SECOND
        self._vectors, self._present = _trajectory(azimuth, elevation)
        self._sample = 0

    def __call__(self, block) -> np.ndarray:
        block = np.asarray(block, np.float32)
        samples = self._sample + np.arange(block.shape[1])
        self._sample += block.shape[1]
        vectors, present = self._at((samples + 0.5) / self._samples_per_frame - 0.5)
        omni = present * BEAM_OMNI + (1 - present) * ELSEWHERE
        beam = np.einsum("sc,cs->s", vectors, block[list(XYZ_CHANNELS)])
        return (omni * block[0] + present * (1 - BEAM_OMNI) * beam).astype(np.float32)[None]

    def _at(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Directions (S, 3) and presence (S,), 0 to 1, at positions (S,) counted in middles of frames."""
        last = len(self._present) - 1
        before = np.clip(np.floor(frame).astype(int), 0, last)
        after = np.minimum(before + 1, last)
        share = np.clip(frame - before, 0, 1)
        present = (1 - share) * self._present[before] + share * self._present[after]
        return geometry.great_circle(self._vectors[before], self._vectors[after], share), present


def _trajectory(azimuth: np.ndarray, elevation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions (T + 1, 3), in gaps that of the nearest frame with one, and presence (T + 1,); the last frame is absent."""
    present = np.append(np.isfinite(azimuth) & np.isfinite(elevation), False)
    if not present.any():
        return np.zeros((len(present), 3)), present.astype(float)
    known = np.flatnonzero(present)
    middles = (known[1:] + known[:-1]) / 2
    nearest = known[np.searchsorted(middles, np.arange(len(present)))]
    return geometry.to_vector(azimuth[nearest], elevation[nearest]), present.astype(float)
