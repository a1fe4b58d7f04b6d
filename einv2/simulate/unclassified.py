"""Sounds of no class: procedural ones, endlessly different, and recordings of any folder.

A procedural sound is an excitation, through a body, under an envelope, each drawn from several kinds: whistles that glide,
hisses, drips, scrapes, rattles, buzzes, insects and many that have no name. Rhythms and spectra that would make a sound one of
the classes are left out: no formants of a voice, no steps, no struck strings.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfilt

from . import synthesis
from .sources import AUDIO_SUFFIXES, PROCEDURAL, SoundFolder
from .synthesis import finish, log_uniform, require_length, tilt

_NAME = "no class"  # of all recordings of a folder, as ``SoundFolder`` wants one


def synthesise_unclassified(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A procedural sound (S,) of no class at 24 kHz: float32, peak 0.9, at least 0.1 s long. It may hold pauses."""
    require_length(seconds, synthesis._RATE)
    length = synthesis._samples(seconds)
    excitation = _pick(rng, (_hiss, _whistle, _buzz, _bubbles, _rattle))(rng, length)
    sound = _pick(rng, (_plain, _plain, _resonant, _band))(rng, excitation)
    sound = sound * _pick(rng, (_one_arch, _bursts, _decays, _tremolo))(rng, length)
    return finish(rng, tilt(rng, sound, synthesis._RATE, 6.0), synthesis._RATE)


def _pick(rng, kinds: tuple[Callable, ...]) -> Callable:
    return kinds[rng.integers(len(kinds))]


# Excitations


def _hiss(rng, length: int) -> np.ndarray:
    low = log_uniform(rng, 60, 5000)
    return synthesis._noise(rng, length, low, low * log_uniform(rng, 1.3, 12))


def _whistle(rng, length: int) -> np.ndarray:
    """A tone of few harmonics that glides and wobbles, as of a bird, a hinge or a slide whistle."""
    glide = synthesis._wander(rng, length, log_uniform(rng, 0.5, 8), log_uniform(rng, 0.05, 0.6))
    wobble = rng.uniform(0, 0.15) * np.sin(2 * np.pi * log_uniform(rng, 3, 60) * np.arange(length) / synthesis._RATE)
    f0 = np.clip(log_uniform(rng, 300, 6000) * np.exp(glide + wobble), 60, 11000)
    return synthesis._tone(f0, np.arange(1, 4) ** -rng.uniform(1, 4))


def _buzz(rng, length: int) -> np.ndarray:
    """Pulses at the rate of a mains hum, a fly or a small motor, with noise at the same rate."""
    f0 = log_uniform(rng, 45, 700) * np.exp(synthesis._wander(rng, length, 2, rng.uniform(0, 0.15)))
    pulses = synthesis._pulses(f0, rng.uniform(20, 70))
    return pulses + rng.uniform(0, 1) * np.maximum(pulses, 0) * rng.standard_normal(length)


def _bubbles(rng, length: int) -> np.ndarray:
    """Many short rising tones at random times: drips, a stream, a pour."""
    out = np.zeros(length)
    n = max(1, int(log_uniform(rng, 2, 25) * length / synthesis._RATE))
    centre, spread = log_uniform(rng, 400, 3000), rng.uniform(0.1, 0.6)
    for start in rng.integers(0, length, n):
        size = min(length - start, synthesis._samples(log_uniform(rng, 0.01, 0.08)))
        time = np.arange(size) / synthesis._RATE
        pitch = centre * np.exp(rng.normal(0, spread)) * (1 + rng.uniform(0, 6) * time)
        envelope = np.exp(-5 * np.arange(size) / max(size, 1)) * rng.uniform(0.2, 1)
        out[start : start + size] += envelope * np.sin(2 * np.pi * np.minimum(pitch, 11000) * time)
    return out


def _rattle(rng, length: int) -> np.ndarray:
    """Clicks without a rhythm, thin or dense: keys, paper, gravel, a ratchet."""
    rate = log_uniform(rng, 6, 400) / synthesis._RATE
    clicks = (rng.uniform(size=length) < rate) * rng.lognormal(0, rng.uniform(0.2, 1.0), length)
    clicks[0] += 1  # or a short sound might have none
    shaped = synthesis._decay(clicks, log_uniform(rng, 0.0004, 0.012))
    return shaped * rng.standard_normal(length)


# Bodies


def _plain(rng, sound: np.ndarray) -> np.ndarray:
    return sound


def _resonant(rng, sound: np.ndarray) -> np.ndarray:
    n = int(rng.integers(2, 7))
    frequencies = log_uniform(rng, 150, 9000, n)
    rung = synthesis._ring(sound, frequencies, log_uniform(rng, 0.0008, 0.03, n), rng.uniform(0.2, 1, n))
    return _unit(rung) + rng.uniform(0, 0.5) * _unit(sound)


def _band(rng, sound: np.ndarray) -> np.ndarray:
    """A broad resonance that moves to and fro between two frequencies, as of wind or a scrape."""
    low = log_uniform(rng, 150, 4000)
    ends = []
    for centre in (low, min(low * log_uniform(rng, 1.2, 5), 9500)):
        frequencies = centre / rng.uniform(1.1, 1.8), min(centre * rng.uniform(1.1, 1.8), 11500)
        ends.append(_unit(sosfilt(butter(1, frequencies, "bandpass", fs=synthesis._RATE, output="sos"), sound)))
    place = 0.5 + np.clip(synthesis._wander(rng, len(sound), log_uniform(rng, 0.5, 6), 0.4), -0.5, 0.5)
    return place * ends[0] + (1 - place) * ends[1]


def _unit(sound: np.ndarray) -> np.ndarray:
    return sound / (np.sqrt(np.mean(sound**2)) + 1e-9)


# Envelopes


def _one_arch(rng, length: int) -> np.ndarray:
    return synthesis._arch(length, log_uniform(rng, 0.005, 1.0), log_uniform(rng, 0.02, 1.5))


def _bursts(rng, length: int) -> np.ndarray:
    """On and off at irregular times."""
    edges = np.cumsum(np.exp(rng.normal(math.log(log_uniform(rng, 0.06, 0.8)), 0.7, 400)))
    is_on = np.searchsorted(edges, np.arange(length) / synthesis._RATE) % 2 == 0
    return synthesis._gate(is_on, log_uniform(rng, 0.004, 0.08))


def _decays(rng, length: int) -> np.ndarray:
    """Struck, plucked or shaken now and then."""
    n = max(1, int(log_uniform(rng, 0.5, 5) * length / synthesis._RATE))
    strikes = np.zeros(length)
    strikes[np.append(rng.integers(0, length, n - 1), 0)] = rng.uniform(0.3, 1, n)
    attack = max(1, synthesis._samples(log_uniform(rng, 0.001, 0.03)))
    return uniform_filter1d(synthesis._decay(strikes, log_uniform(rng, 0.03, 0.8)), attack)


def _tremolo(rng, length: int) -> np.ndarray:
    phase = 2 * np.pi * log_uniform(rng, 0.7, 40) * np.arange(length) / synthesis._RATE
    depth, sharpness = rng.uniform(0.3, 1), rng.uniform(0.5, 3)
    return 1 - depth + depth * (0.5 + 0.5 * np.sin(phase + rng.uniform(0, 6.28))) ** sharpness


# Both kinds


@dataclass(frozen=True)
class UnclassifiedBank:
    """What sounds of no class are drawn from.

    folder: recordings, or None.
    procedural_share: probability of a procedural sound where there are recordings, in [0, 1].
    """

    folder: SoundFolder | None = None
    procedural_share: float = 0.5

    @classmethod
    def scan(cls, path: Path | str, procedural_share: float = 0.5) -> "UnclassifiedBank":
        """All recordings in a folder and below it. ValueError if there are none."""
        path = Path(path)
        if not path.is_dir():
            raise ValueError(f"{path} is not a folder; a folder of recordings of no class was expected")
        files = tuple(file for file in sorted(path.rglob("*")) if file.suffix.lower() in AUDIO_SUFFIXES)
        if not files:
            raise ValueError(f"{path} holds no recordings; files that end in {', '.join(AUDIO_SUFFIXES)} were expected")
        return cls(SoundFolder(path, {_NAME: files}), procedural_share)

    def draw(self, rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, str]:
        """(samples float32 (S,) at 24 kHz with a peak of 0.9, "procedural" or the path of the file below the folder).

        A recording may be shorter than ``seconds``; a procedural sound lasts so long.
        """
        wants_procedural = rng.uniform() < self.procedural_share
        if self.folder is None or wants_procedural:
            return synthesise_unclassified(rng, seconds), PROCEDURAL
        return self.folder.draw(_NAME, rng, seconds, strong=True)

    @property
    def names(self) -> list[str]:
        """The recordings, as paths below the folder."""
        if self.folder is None:
            return []
        return [path.relative_to(self.folder.path).as_posix() for path in self.folder.files[_NAME]]


PROCEDURAL_ONLY = UnclassifiedBank()
