"""First-order-ambisonics room impulse responses of shoebox rooms.

Up to the mixing time the image sources of pyroomacoustics, each encoded as a plane wave from its direction; beyond it a
diffuse tail of decaying noise, whose level goes on where the image sources end. Delays are rounded to whole samples, the
same in all four channels, so that directions are exact.
"""

from dataclasses import dataclass

import numpy as np
import pyroomacoustics as pra
from scipy import fft, signal

from .. import foa, geometry

SPEED_OF_SOUND = 343.0  # m/s
MAX_ORDER = 6  # reflections followed; 377 image sources
BRIGHT_HZ = 3000.0  # above, reverberation dies away faster
BRIGHT_DECAY = 0.6  # ... by this factor of the reverberation time
DIFFUSE_GAINS = np.array([1.0, 1.0, 1.0, 1.0]) / np.sqrt([1, 3, 3, 3])  # an isotropic field in SN3D


@dataclass(frozen=True)
class Room:
    """A shoebox. rt60_s 0 is a free field."""

    size_m: tuple[float, float, float]
    receiver_m: tuple[float, float, float]
    rt60_s: float
    sample_rate: int

    @property
    def mixing_samples(self) -> int:
        """The images are complete up to here: the first that was not followed crosses the shortest side most often."""
        return int((MAX_ORDER - 1) * min(self.size_m) / SPEED_OF_SOUND * self.sample_rate)

    def early_responses(self, azimuth, elevation, distance_m: float) -> np.ndarray:
        """Responses (N, 4, L) to sources in N directions (degrees) at one distance (m): direct sound and reflections.

        Gains are 1 / path length relative to the direct sound, which so has gain 1.
        """
        directions = geometry.to_vector(np.atleast_1d(azimuth), np.atleast_1d(elevation))
        positions = np.asarray(self.receiver_m) + distance_m * directions
        responses = np.zeros((len(positions), 4, self.mixing_samples))
        for response, position in zip(responses, positions):
            self._add_images(response, *self._images(position), distance_m)
        return responses

    def _images(self, position) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 3) relative to the receiver, and reflection gains (N,), of all image sources."""
        if not self.rt60_s:
            return (position - np.asarray(self.receiver_m))[None], np.ones(1)
        room = pra.ShoeBox(
            self.size_m, fs=self.sample_rate, materials=pra.Material(self.absorption), max_order=MAX_ORDER
        )
        room.add_source(position)
        room.add_microphone(self.receiver_m)
        room.image_source_model()
        source = room.sources[0]
        return source.images.T - np.asarray(self.receiver_m), np.abs(source.damping).mean(axis=0)

    @property
    def absorption(self) -> float:
        """Energy absorption of the walls that gives the reverberation time (Eyring)."""
        volume = np.prod(self.size_m)
        x, y, z = self.size_m
        surface = 2 * (x * y + y * z + x * z)
        return float(1 - np.exp(-24 * np.log(10) / SPEED_OF_SOUND * volume / (surface * self.rt60_s)))

    def _add_images(self, response, offsets, damping, distance_m) -> None:
        paths = np.linalg.norm(offsets, axis=1)
        delays = np.rint(paths / SPEED_OF_SOUND * self.sample_rate).astype(int)
        heard = delays < response.shape[1]
        weights = damping * distance_m / paths
        encoded = foa.gains(*geometry.to_angles(offsets)) * weights[:, None]
        np.add.at(response.T, delays[heard], encoded[heard])

    def late_response(self, early: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The diffuse tail (4, L) that follows an early response (4, L0); empty in a free field."""
        if not self.rt60_s:
            return np.zeros((4, 0))
        start = self.mixing_samples
        length = start + int(self.rt60_s * self.sample_rate)
        time = np.arange(length) / self.sample_rate
        noise = rng.standard_normal((4, length))
        bright = signal.sosfilt(signal.butter(2, BRIGHT_HZ, "high", fs=self.sample_rate, output="sos"), noise)
        since = time - start / self.sample_rate
        tail = (noise - bright) * _decay(since, self.rt60_s) + bright * _decay(since, BRIGHT_DECAY * self.rt60_s)
        tail *= _fade_in(length, start)
        return tail * DIFFUSE_GAINS[:, None] * self._level_at_mixing(early)

    def _level_at_mixing(self, early) -> float:
        """Root mean square of the omnidirectional response at the mixing time, from its last half, carried on by the decay."""
        half = self.mixing_samples // 2
        power = np.mean(early[0, half:] ** 2)
        return float(np.sqrt(power) * _decay(half / 2 / self.sample_rate, self.rt60_s))


def _decay(seconds, rt60_s):
    """Amplitude that has fallen by 60 dB after rt60_s; 1 before time 0."""
    return 10.0 ** (-3 * np.maximum(seconds, 0) / rt60_s)


def _fade_in(length: int, start: int) -> np.ndarray:
    """0 before two thirds of ``start``, 1 from ``start`` on, equal power in between."""
    ramp = np.clip((np.arange(length) - start * 2 / 3) / (start / 3), 0, 1)
    return np.sin(ramp * np.pi / 2)


def diffuse_noise(n_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Ambient noise (4, S): an isotropic field of random colour (-2 to -7 dB an octave) and slowly varying level, W of power 1."""
    slope = rng.uniform(-7, -2)
    spectrum = fft.rfft(rng.standard_normal((4, n_samples)).astype(np.float32))
    frequency = np.maximum(fft.rfftfreq(n_samples, 1 / sample_rate), 60.0)
    spectrum *= ((frequency / 60.0) ** (slope / 20 / np.log10(2))).astype(np.float32)
    noise = fft.irfft(spectrum, n_samples)
    knots = max(n_samples // (4 * sample_rate), 1) + 2
    swell = np.interp(np.linspace(0, 1, n_samples), np.linspace(0, 1, knots), rng.uniform(-3, 3, knots))
    noise *= 10 ** (swell / 20)
    return noise * (DIFFUSE_GAINS / np.sqrt(np.mean(noise[0] ** 2, dtype=float)))[:, None]
