"""First-order-ambisonics room impulse responses of shoebox rooms.

Up to the mixing time the image sources of pyroomacoustics, each encoded as a plane wave from its direction; beyond it a
diffuse tail of decaying noise, whose level goes on where the image sources end. Delays are rounded to whole samples, the
same in all four channels, so that directions are exact.
"""

from dataclasses import dataclass

import numpy as np
import pyroomacoustics as pra
from scipy import fft, signal

from .. import geometry
from ..audio import foa
from ..frames import SAMPLE_RATE
from .microphone import CENTRE, SPEED_OF_SOUND, TAPS, Encoder

MAX_ORDER = 6  # reflections followed; 377 image sources
BRIGHT_HZ = 3000.0  # above, reverberation dies away faster
BRIGHT_DECAY = 0.6  # ... by this factor of the reverberation time
DIFFUSE_GAINS = np.array([1.0, 1.0, 1.0, 1.0]) / np.sqrt([1, 3, 3, 3])  # an isotropic field in SN3D
LOW_HZ, MIDDLE_HZ, HIGH_HZ = 250.0, 1000.0, 4000.0  # of walls that absorb by frequency
BAND_HZ = (250.0, 707.0, 2000.0, 4000.0)  # bands of their late reverberation
ORDER_GROUPS = ((0, 0), (1, 2), (3, MAX_ORDER))  # numbers of reflections that are coloured alike
SCATTER_SECONDS = 0.004  # scattered sound comes so much later than the reflection, on average


@dataclass(frozen=True)
class Walls:
    """low_decay, high_decay: reverberation time below ``LOW_HZ`` and above ``HIGH_HZ``, as factors of the room's.
    scattering: share of the energy that leaves a reflection in all directions. seed: of the scattered sound."""

    low_decay: float
    high_decay: float
    scattering: float
    seed: int

    def __post_init__(self) -> None:
        if not (self.low_decay > 0 and self.high_decay > 0 and 0 <= self.scattering <= 1):
            raise ValueError(
                f"walls have decays above 0, and scattering in [0, 1], not {self.low_decay}, {self.high_decay} and "
                f"{self.scattering}"
            )


@dataclass(frozen=True)
class Room:
    """A shoebox. rt60_s 0 is a free field. walls None: the same absorption at every frequency in early reflections.

    encoder: of a microphone with aliasing; None: ideal.
    """

    size_m: tuple[float, float, float]
    receiver_m: tuple[float, float, float]
    rt60_s: float
    sample_rate: int
    walls: Walls | None = None
    encoder: Encoder | None = None

    @property
    def is_plain(self) -> bool:
        """Walls that reflect alike at all frequencies, and an ideal microphone."""
        return self.walls is None and self.encoder is None

    @property
    def mixing_samples(self) -> int:
        """The images are complete up to here: the first that was not followed crosses the shortest side most often."""
        return int((MAX_ORDER - 1) * min(self.size_m) / SPEED_OF_SOUND * self.sample_rate)

    def early_responses(self, azimuth, elevation, distance_m: float, direct_loss_db: float = 0.0) -> np.ndarray:
        """Responses (N, 4, L) to sources in N directions (degrees) at one distance (m): direct sound and reflections.

        Gains are 1 / path length relative to the direct sound, which so has gain 1, less its loss.
        """
        directions = geometry.to_vector(np.atleast_1d(azimuth), np.atleast_1d(elevation))
        positions = np.asarray(self.receiver_m) + distance_m * directions
        responses = np.zeros((len(positions), len(ORDER_GROUPS) if self.walls else 1, 4, self.mixing_samples))
        for response, position in zip(responses, positions):
            offsets, damping, orders = self._images(position)
            if direct_loss_db:
                damping = np.where(orders == 0, 10 ** (-direct_loss_db / 20), damping)
            if self.walls is not None:
                damping = damping * (1 - self.walls.scattering) ** (orders / 2)
            groups = [orders >= 0] if self.walls is None else [(orders >= a) & (orders <= b) for a, b in ORDER_GROUPS]
            for part, chosen in zip(response, groups):
                self._add_images(part, offsets[chosen], damping[chosen], distance_m)
        return responses[:, 0] if self.walls is None else self._coloured_by_walls(responses)

    def _images(self, position) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions (N, 3) relative to the receiver, reflection gains (N,) and numbers of reflections (N,) of all images."""
        if not self.rt60_s:
            return (position - np.asarray(self.receiver_m))[None], np.ones(1), np.zeros(1, int)
        room = pra.ShoeBox(
            self.size_m, fs=self.sample_rate, materials=pra.Material(self.absorption), max_order=MAX_ORDER
        )
        room.add_source(position)
        room.add_microphone(self.receiver_m)
        room.image_source_model()
        source = room.sources[0]
        return source.images.T - np.asarray(self.receiver_m), np.abs(source.damping).mean(axis=0), source.orders

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
        if self.encoder is None:
            encoded = foa.gains(*geometry.to_angles(offsets)) * weights[:, None]
            np.add.at(response.T, delays[heard], encoded[heard])
            return
        filters = self.encoder(*geometry.to_angles(offsets[heard])) * weights[heard, None, None]
        starts = np.maximum(delays[heard] - CENTRE, 0)  # a filter that would begin before time 0 begins there
        long = np.zeros((response.shape[1] + TAPS, 4))
        np.add.at(long, starts[:, None] + np.arange(TAPS), filters.swapaxes(1, 2))
        response += long[: response.shape[1]].T

    def _coloured_by_walls(self, responses: np.ndarray) -> np.ndarray:
        """Responses (N, 4, L) of those of each group of reflections (N, groups, 4, L), coloured by as many reflections."""
        assert self.walls is not None
        length = responses.shape[-1]
        n = fft.next_fast_len(length + length // 2, real=True)  # a filter is shorter than half of the response
        decay = _decay_factors(fft.rfftfreq(n, 1 / self.sample_rate), self.walls)
        once = np.exp(0.5 * np.log(1 - self.absorption) * (1 / decay - 1))  # against the mean absorption
        numbers = np.array([np.mean(group) for group in ORDER_GROUPS[1:]])
        colours = (once ** numbers[:, None]).astype(np.float32)
        spectra = fft.rfft(responses[:, 1:].astype(np.float32), n)
        reflected = fft.irfft(np.einsum("ngcf,gf->ncf", spectra, colours), n)[..., :length]
        return responses[:, 0] + reflected

    def scattered_response(self, azimuth, elevation, distance_m: float) -> np.ndarray:
        """Diffuse sound (4, L) with the energy that the reflections of a source lose, a little later than they are."""
        if self.walls is None or not self.walls.scattering:
            return np.zeros((4, self.mixing_samples))
        position = np.asarray(self.receiver_m) + distance_m * geometry.to_vector(azimuth, elevation)
        offsets, damping, orders = self._images(position)
        paths = np.linalg.norm(offsets, axis=1)
        delays = np.rint(paths / SPEED_OF_SOUND * self.sample_rate).astype(int)
        lost = (damping * distance_m / paths) ** 2 * (1 - (1 - self.walls.scattering) ** orders)
        heard = delays < self.mixing_samples
        energy = np.bincount(delays[heard], lost[heard], self.mixing_samples)
        step = 1 / (SCATTER_SECONDS * self.sample_rate)
        envelope = np.sqrt(signal.lfilter([step], [1, step - 1], energy).clip(0))
        noise = np.random.default_rng(self.walls.seed).standard_normal((4, len(envelope)))
        dark = signal.lfilter([0.8], [1, -0.6], noise, axis=1)  # of unit power
        return dark * DIFFUSE_GAINS[:, None] * envelope

    def late_response(
        self, early: np.ndarray, rng: np.random.Generator, scattered: np.ndarray | None = None
    ) -> np.ndarray:
        """The diffuse tail (4, L) that follows an early response (4, L0); empty in a free field. What was ``scattered`` (4, L0)
        before comes with it."""
        if not self.rt60_s:
            return np.zeros((4, 0))
        start = self.mixing_samples
        tail = self._plain_tail(rng) if self.walls is None else self._tail_by_band(self.walls, rng)
        tail *= _fade_in(tail.shape[1], start)
        if scattered is None:
            return tail * DIFFUSE_GAINS[:, None] * self._level_at_mixing(early)
        tail *= DIFFUSE_GAINS[:, None] * self._level_at_mixing(early + scattered)
        tail[:, :start] += scattered
        if self.encoder is not None:
            tail = signal.oaconvolve(tail, self.encoder.diffuse, axes=1)[:, CENTRE : CENTRE + tail.shape[1]]
        return tail

    def _plain_tail(self, rng: np.random.Generator) -> np.ndarray:
        """Decaying noise (4, L), of unit power at the mixing time."""
        start = self.mixing_samples
        length = start + int(self.rt60_s * self.sample_rate)
        noise = rng.standard_normal((4, length))
        bright = signal.sosfilt(signal.butter(2, BRIGHT_HZ, "high", fs=self.sample_rate, output="sos"), noise)
        since = (np.arange(length) - start) / self.sample_rate
        return (noise - bright) * _decay(since, self.rt60_s) + bright * _decay(since, BRIGHT_DECAY * self.rt60_s)

    def _tail_by_band(self, walls: Walls, rng: np.random.Generator) -> np.ndarray:
        """As ``_plain_tail``, each band with its own decay since time 0, which is what coloured the reflections before."""
        start, rate = self.mixing_samples, self.sample_rate
        length = start + int(max(1.0, walls.low_decay) * self.rt60_s * rate)
        n = fft.next_fast_len(length, real=True)
        spectra = fft.rfft(rng.standard_normal((4, length)).astype(np.float32), n)
        edges = np.sqrt(np.multiply(BAND_HZ[1:], BAND_HZ[:-1]))
        steps = [1 / (1 + (np.maximum(fft.rfftfreq(n, 1 / rate), 1) / edge) ** 8) for edge in edges]
        masks = np.diff([np.zeros_like(steps[0]), *steps, np.ones_like(steps[0])], axis=0)
        since = (np.arange(length) - start) / rate
        tail, power = np.zeros((4, length), np.float32), 0.0
        for mask, decay in zip(masks, _decay_factors(np.array(BAND_HZ), walls)):
            level = _decay(start / rate, decay * self.rt60_s) / _decay(start / rate, self.rt60_s)
            band = fft.irfft(spectra * mask.astype(np.float32), n)[:, :length]
            tail += band * (level * _decay(since, decay * self.rt60_s)).astype(np.float32)
            power += level**2 * np.mean(mask**2)
        return tail / np.sqrt(power)

    def _level_at_mixing(self, early) -> float:
        """Root mean square of the omnidirectional response at the mixing time, from its last half, carried on by the decay."""
        half = self.mixing_samples // 2
        power = np.mean(early[0, half:] ** 2)
        return float(np.sqrt(power) * _decay(half / 2 / self.sample_rate, self.rt60_s))


def _decay(seconds, rt60_s):
    """Amplitude that has fallen by 60 dB after rt60_s; 1 before time 0."""
    return 10.0 ** (-3 * np.maximum(seconds, 0) / rt60_s)


def _decay_factors(hz: np.ndarray, walls: Walls) -> np.ndarray:
    """Reverberation times (F,) over the room's: those of low and high frequencies, and 1 between them."""
    corners = np.log([LOW_HZ, MIDDLE_HZ, HIGH_HZ])
    return np.interp(np.log(np.maximum(hz, 1.0)), corners, [walls.low_decay, 1.0, walls.high_decay])


def _fade_in(length: int, start: int) -> np.ndarray:
    """0 before two thirds of ``start``, 1 from ``start`` on, equal power in between."""
    ramp = np.clip((np.arange(length) - start * 2 / 3) / (start / 3), 0, 1)
    return np.sin(ramp * np.pi / 2)


def diffuse_noise(n_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Ambient noise (4, S): an isotropic field of random colour (-2 to -7 dB an octave) and slowly varying level, W of power 1."""
    noise = coloured(n_samples, 4, rng.uniform(-7, -2), rng, sample_rate)
    knots = max(n_samples // (4 * sample_rate), 1) + 2
    swell = np.interp(np.linspace(0, 1, n_samples), np.linspace(0, 1, knots), rng.uniform(-3, 3, knots))
    noise *= 10 ** (swell / 20)
    return noise * (DIFFUSE_GAINS / np.sqrt(np.mean(noise[0] ** 2, dtype=float)))[:, None]


def coloured(
    n_samples: int, n_channels: int, slope: float, rng: np.random.Generator, sample_rate: int = SAMPLE_RATE
) -> np.ndarray:
    """Noise (channels, S) float32 whose level changes by ``slope`` dB an octave above 60 Hz."""
    spectrum = fft.rfft(rng.standard_normal((n_channels, n_samples)).astype(np.float32))
    frequency = np.maximum(fft.rfftfreq(n_samples, 1 / sample_rate), 60.0)
    spectrum *= ((frequency / 60.0) ** (slope / 20 / np.log10(2))).astype(np.float32)
    return fft.irfft(spectrum, n_samples)
