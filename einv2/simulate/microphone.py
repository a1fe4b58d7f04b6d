"""An imperfect first-order microphone: four capsules at the corners of a tetrahedron, and what its makers and users get wrong.

The capsules are cardioids in free air, or pressure capsules in a rigid sphere. A plane wave from direction s reaches the capsule
at u with the response T(f, u.s); its Legendre orders 0 and 1 become W and Y, Z, X, the others alias into them from about
c / (2 pi radius) on. So aliasing belongs to each reflection and is done with the room's responses (``Encoder``). The differences
between capsules, noise and wrong gains are the same for every direction: they are done on the signal (``record``), which may
as well come from elsewhere.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy import fft, signal, special

from .. import geometry
from ..audio import foa

SPEED_OF_SOUND = 343.0  # m/s
CONVENTIONS = {"sn3d": (1.0, 1.0), "n3d": (1.0, math.sqrt(3)), "fuma": (math.sqrt(0.5), 1.0)}  # gains of W, of Y, Z, X
CAPSULES = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)  # x, y, z
_TO_CAPSULES = 0.5 * np.concatenate([np.ones((4, 1)), CAPSULES[:, [1, 2, 0]]], axis=1)  # cardioids, of W, Y, Z, X
_FROM_CAPSULES = np.linalg.inv(_TO_CAPSULES)
TAPS, CENTRE = 32, 16  # of an encoder's filters; the tap of time 0
_LARGEST_BOOST = 10.0  # of Y, Z and X of a sphere at low frequencies, where it has little of them
_COSINES = np.linspace(-1, 1, 129)
_ORDERS = 12


@dataclass(frozen=True)
class Microphone:
    """One drawn microphone; by default an ideal one.

    radius_m: of the tetrahedron, or of the sphere; 0: the capsules coincide.
    rigid: a rigid sphere in place of cardioids in free air.
    equalised: the maker's filters make W and Y, Z, X as loud as they should be; a sphere always has them.
    gains_db, delays_us: of each capsule, against their mean.
    noise_db: level of the events above the low-frequency noise of Y, Z and X; None: no such noise. noise_hz: its corner.
    convention: the gains that were left in: "sn3d" (right), "n3d" or "fuma".
    """

    radius_m: float = 0.0
    rigid: bool = False
    equalised: bool = True
    gains_db: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    delays_us: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    noise_db: float | None = None
    noise_hz: float = 100.0
    convention: str = "sn3d"

    def __post_init__(self) -> None:
        if len(self.gains_db) != 4 or len(self.delays_us) != 4:
            raise ValueError("a microphone has four capsules, so four gains_db and delays_us")
        if not 0 <= self.radius_m <= 0.1:
            raise ValueError(f"radius_m {self.radius_m} must lie in [0, 0.1] m")
        if self.convention not in CONVENTIONS:
            raise ValueError(f"convention {self.convention!r} must be one of {', '.join(CONVENTIONS)}")
        if not self.noise_hz > 0:
            raise ValueError(f"noise_hz {self.noise_hz} must be positive")


# What a microphone does to each plane wave


class Encoder:
    """The filters (4, TAPS) with which a microphone of some size hears a plane wave, tap ``CENTRE`` being time 0."""

    def __init__(self, microphone: Microphone, sample_rate: int):
        hz = fft.rfftfreq(TAPS, 1 / sample_rate)
        orders = _orders(microphone, hz)  # (F, N)
        pressure = orders @ np.stack([special.eval_legendre(n, _COSINES) for n in range(_ORDERS)])  # (F, cosines)
        weights = _equaliser(orders, microphone)
        # mean over the capsules of T is order 0; 3 times the mean of u T is order 1
        self._omni, self._dipole = (_filters(pressure * weight[:, None]) for weight in weights.T)

    def __call__(self, azimuth, elevation) -> np.ndarray:
        """Filters (N, 4, TAPS) of plane waves from N directions (degrees)."""
        cosines = geometry.to_vector(azimuth, elevation) @ CAPSULES.T  # (N, capsules)
        place = (cosines.clip(-1, 1) + 1) * (len(_COSINES) - 1) / 2
        low = np.minimum(place.astype(int), len(_COSINES) - 2)
        share = (place - low)[..., None]
        omni = (self._omni[low] * (1 - share) + self._omni[low + 1] * share).mean(axis=1, keepdims=True)
        dipole = self._dipole[low] * (1 - share) + self._dipole[low + 1] * share
        yzx = CAPSULES[:, [1, 2, 0]].T * (3 / 4)
        return np.concatenate([omni, yzx @ dipole], axis=1)

    @functools.cached_property
    def diffuse(self) -> np.ndarray:
        """Symmetric filters (4, TAPS) with the power response to sound from all sides, relative to an ideal microphone's."""
        golden = (np.arange(256) + 0.5) / 256
        azimuth, elevation = 360 * golden * 256 * 0.6180339887, np.degrees(np.arcsin(2 * golden - 1))
        power = np.mean(np.abs(fft.rfft(self(azimuth, elevation), axis=2)) ** 2, axis=0)
        ideal = np.mean(foa.gains(azimuth, elevation) ** 2, axis=0)[:, None]
        return _filters(np.sqrt(power / ideal).T)


def _orders(microphone: Microphone, hz: np.ndarray) -> np.ndarray:
    """Legendre coefficients (F, orders) of the response of a capsule to a plane wave, over the cosine between the two.

    The sphere: Rafaely, "Analysis and Design of Spherical Microphone Arrays", IEEE Trans. Speech Audio Proc. 13(1), 2005.
    """
    n, kr = np.arange(_ORDERS), 2 * np.pi * hz[:, None] / SPEED_OF_SOUND * microphone.radius_m
    if microphone.rigid:
        kr = np.maximum(kr, 1e-3)
        slope = special.spherical_jn(n, kr, True) - 1j * special.spherical_yn(n, kr, True)
        return (2 * n + 1) * 1j**n * -1j / (kr**2 * slope)
    cosines, weights = special.roots_legendre(48)
    response = 0.5 * (1 + cosines) * np.exp(1j * kr * cosines)  # (F, cosines)
    legendre = np.stack([special.eval_legendre(i, cosines) for i in n])
    return (response * weights) @ legendre.T * (2 * n + 1) / 2


def _equaliser(orders: np.ndarray, microphone: Microphone) -> np.ndarray:
    """Factors (F, 2) that make the orders 0 and 1 equal to 1, with at most 6 dB of boost at high frequencies."""
    wanted = 1 / np.where(np.abs(orders[:, :2]) > 1e-9, orders[:, :2], 1e-9)
    if not (microphone.equalised or microphone.rigid):
        return np.broadcast_to(wanted[:1], wanted.shape)
    lowest = np.minimum.accumulate(np.abs(wanted))  # a sphere's order 1 has its largest boost at low frequencies
    return wanted * np.minimum(1, 2 * lowest / np.abs(wanted))


def _filters(spectra: np.ndarray) -> np.ndarray:
    """Filters (N, TAPS) of spectra (F, N), with time 0 at ``CENTRE``."""
    return np.roll(fft.irfft(spectra, TAPS, axis=0), CENTRE, axis=0).T * signal.windows.tukey(TAPS, 0.5)


# What it does to every direction alike


def record(
    foa_signal: np.ndarray, microphone: Microphone, power: float, sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    """The signal (4, S) of an ideal microphone, as float32, as one with these capsules, noise and gains gives it.

    power: of W while events sound, which ``noise_db`` is relative to.
    """
    out = _through_capsules(foa_signal.astype(np.float32), microphone, sample_rate)
    if microphone.noise_db is not None:
        out[1:] += _low_noise(foa_signal.shape[1], microphone.noise_hz, sample_rate, rng) * np.sqrt(
            power * 10 ** (-microphone.noise_db / 10)
        )
    omni, dipole = CONVENTIONS[microphone.convention]
    out *= np.array([[omni], [dipole], [dipole], [dipole]], out.dtype)
    return out


def capsule_matrix(microphone: Microphone) -> np.ndarray:
    """Matrix (4, 4) from W, Y, Z, X as they should be to what comes of them if the gains of the capsules differ."""
    gains_db = np.asarray(microphone.gains_db) - np.mean(microphone.gains_db)
    return _FROM_CAPSULES @ (10 ** (gains_db[:, None] / 20) * _TO_CAPSULES)


def _through_capsules(foa_signal: np.ndarray, microphone: Microphone, sample_rate: int) -> np.ndarray:
    kind, matrix = foa_signal.dtype, capsule_matrix(microphone)
    out = matrix.astype(kind) @ foa_signal
    if any(microphone.delays_us):
        capsules = _delayed(_TO_CAPSULES.astype(kind) @ out, microphone.delays_us, sample_rate)
        out = _FROM_CAPSULES.astype(kind) @ capsules
    if microphone.rigid and any(microphone.gains_db):  # its Y, Z, X are small differences at low frequencies, amplified
        out[1:] += matrix[1:, :1].astype(kind) * _boosted(foa_signal[0], microphone.radius_m, sample_rate)
    return out


def _delayed(signals: np.ndarray, delays_us, sample_rate: int) -> np.ndarray:
    """Signals (4, S), each later by its delay, of a few microseconds, against their mean: windowed sinc functions."""
    shifts = (np.asarray(delays_us) - np.mean(delays_us)) * 1e-6 * sample_rate
    filters = np.sinc(np.arange(-16, 17) - shifts[:, None]) * np.hanning(35)[1:-1]
    return signal.oaconvolve(signals, filters.astype(signals.dtype), mode="same", axes=1)


def _boosted(omni: np.ndarray, radius_m: float, sample_rate: int) -> np.ndarray:
    """What the amplification of order 1 of a rigid sphere adds to a signal (S,)."""
    hz = fft.rfftfreq(512, 1 / sample_rate)
    boost = 1 / np.maximum(4 * np.pi * hz / SPEED_OF_SOUND * radius_m, 1 / _LARGEST_BOOST)
    taps = np.roll(fft.irfft(np.maximum(boost - 1, 0)), 256) * np.hanning(512)
    return signal.oaconvolve(omni, taps.astype(omni.dtype))[256 : 256 + len(omni)]


def _low_noise(length: int, corner_hz: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise (3, S) of unit power that falls by 12 dB an octave above its corner."""
    white = rng.standard_normal((3, length), np.float32)
    low = signal.sosfilt(signal.butter(2, corner_hz, fs=sample_rate, output="sos"), white, axis=1)
    return low / np.sqrt(np.mean(low**2))
