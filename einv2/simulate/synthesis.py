"""Procedural sounds of the 14 classes of DCASE 2020.

All variation comes from the random generator that is passed in: the same state gives the same samples. Signals are
float32 (S,) with a peak of 0.9 and faded edges.

The voices are a band-limited pulse train and noise through a cascade of formant resonators (after D. Klatt, "Software for
a cascade/parallel formant synthesizer", JASA 67, 1980); struck objects are banks of damped modes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, lfilter, resample_poly, sosfilt

from ..frames import SAMPLE_RATE

PEAK = 0.9

_RATE = SAMPLE_RATE  # everything procedural is computed at this rate
_BLOCK = 120  # samples; formants move in steps of 5 ms

# F1, F2, F3 in Hz of an adult male (Peterson and Barney, JASA 24, 1952).
_VOWELS = np.array(
    [
        (270, 2290, 3010),
        (390, 1990, 2550),
        (530, 1840, 2480),
        (660, 1720, 2410),
        (730, 1090, 2440),
        (570, 840, 2410),
        (300, 870, 2240),
        (640, 1190, 2390),
        (490, 1350, 1690),
    ],
    dtype=float,
)
# A cascade of resonators needs the formants up to the Nyquist frequency for the right level between them.
_UPPER_FORMANTS = np.array([3500, 4500, 5500, 6500, 7500, 8500, 9500, 10500], dtype=float)
_FRICATION_BANDS = ((4500, 9500), (2000, 6500), (1200, 8000))  # Hz: as in "s", "sh", "f"
_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)  # semitones above the tonic


def _samples(seconds: float) -> int:
    return round(seconds * _RATE)


def log_uniform(rng, low: float, high: float, size=None):
    return np.exp(rng.uniform(math.log(low), math.log(high), size))


def _wander(rng, length: int, knots_per_second: float, depth: float) -> np.ndarray:
    """A smooth random curve (S,) about 0 with the standard deviation ``depth``."""
    n_knots = max(2, math.ceil(length / _RATE * knots_per_second) + 1)
    return np.interp(np.linspace(0, n_knots - 1, length), np.arange(n_knots), rng.normal(0, depth, n_knots))


def _curve(length: int, positions: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Straight lines (S,) through values at positions in [0, 1]."""
    return np.interp(np.linspace(0, 1, length), positions, values)


def _arch(length: int, attack_seconds: float, release_seconds: float) -> np.ndarray:
    """An envelope (S,) with raised-cosine edges, which share a sound too short for both."""
    squeeze = min(1.0, length / max(1, _samples(attack_seconds) + _samples(release_seconds)))
    envelope = np.ones(length)
    attack, release = int(_samples(attack_seconds) * squeeze), int(_samples(release_seconds) * squeeze)
    if attack:
        envelope[:attack] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(attack) / attack)
    if release:
        envelope[-release:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, release + 1) / release)
    return envelope


def _gate(is_on: np.ndarray, edge_seconds: float) -> np.ndarray:
    """An envelope (S,) that follows a boolean (S,) with ramps in place of clicks."""
    return uniform_filter1d(is_on.astype(float), max(1, _samples(edge_seconds)))


def _decay(impulses: np.ndarray, seconds: float) -> np.ndarray:
    """Each impulse becomes an exponential decay with the time constant ``seconds``."""
    return lfilter([1], [1, -math.exp(-1 / (seconds * _RATE))], impulses)


def _impulses(length: int, seconds, amplitudes) -> np.ndarray:
    """A signal (S,) of single samples at times in seconds; those beyond the end are left out."""
    indices = np.rint(np.asarray(seconds) * _RATE).astype(int)
    signal = np.zeros(length)
    inside = (indices >= 0) & (indices < length)
    np.add.at(signal, indices[inside], np.broadcast_to(amplitudes, indices.shape)[inside])
    return signal


def _noise(rng, length: int, low: float, high: float) -> np.ndarray:
    """Noise (S,) of unit power between two frequencies in Hz."""
    high = min(high, 0.49 * _RATE)
    sections = butter(2, (low, high), "bandpass", fs=_RATE, output="sos")
    return sosfilt(sections, rng.standard_normal(length)) * math.sqrt(_RATE / 2 / (high - low))


def _ring(excitation: np.ndarray, frequencies, decays, gains) -> np.ndarray:
    """A bank of damped modes: frequencies in Hz, time constants in s. ``excitation`` is (S,), or (modes, S)."""
    excitation = np.broadcast_to(excitation, (len(frequencies), excitation.shape[-1]))
    out = np.zeros(excitation.shape[-1])
    for signal, frequency, decay, gain in zip(excitation, frequencies, decays, gains, strict=True):
        radius, angle = math.exp(-1 / (decay * _RATE)), 2 * math.pi * frequency / _RATE
        out += lfilter([gain * math.sin(angle)], [1, -2 * radius * math.cos(angle), radius**2], signal)
    return out


def _tone(f0: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Harmonics (S,) of f0 (S,) in Hz; weights from the fundamental up, none above the Nyquist frequency."""
    phase = 2 * np.pi * np.cumsum(f0) / _RATE
    audible = [(k, weight) for k, weight in enumerate(weights, 1) if weight and k * f0.min() < 0.48 * _RATE]
    partials = (weight * np.sin(k * phase) * (k * f0 < 0.48 * _RATE) for k, weight in audible)
    return sum(partials, np.zeros(len(phase)))


def _pulses(f0: np.ndarray, fall_db: float = 50.0) -> np.ndarray:
    """A pulse train (S,) of unit power whose harmonics fall by ``fall_db`` up to the Nyquist frequency.

    The closed form of sum_k a^k cos(k phase): one evaluation whatever the number of harmonics, and no audible aliasing.
    """
    a = 10 ** (-fall_db / 20 * f0 / (_RATE / 2))
    cosine = np.cos(2 * np.pi * np.cumsum(f0) / _RATE)
    return (a * cosine - a**2) / (1 - 2 * a * cosine + a**2) * np.sqrt(2 * (1 - a**2)) / a


def _voice(rng, f0: np.ndarray, corner: float, jitter: float, breath: float) -> np.ndarray:
    """A glottal source (S,): harmonics fall by 6 dB an octave above ``corner`` Hz; ``breath`` is the share of noise."""
    length = len(f0)
    source = _pulses(f0 * (1 + _wander(rng, length, 60, jitter)), 40.0)
    source *= 1 + _wander(rng, length, 40, 3 * jitter)
    source = source + breath * rng.standard_normal(length)
    pole = math.exp(-2 * math.pi * corner / _RATE)
    return lfilter([1 - pole], [1, -pole], source)


def _resonate(source: np.ndarray, formants: np.ndarray, width: float = 0.06) -> np.ndarray:
    """The source (S,) through a cascade of formants in Hz: (F,), or (blocks, F) where they move, one row per 5 ms.

    A bandwidth is 50 Hz and ``width`` times the frequency.
    """
    tracks = np.clip(np.atleast_2d(formants), 60, 0.47 * _RATE)
    damping = np.exp(-np.pi * (50 + width * tracks) / _RATE)
    a1, a2 = -2 * damping * np.cos(2 * np.pi * tracks / _RATE), damping**2
    zero, one = np.zeros_like(a1), np.ones_like(a1)
    sections = np.stack([1 + a1 + a2, zero, zero, one, a1, a2], axis=-1)  # (blocks, F, 6)
    if len(sections) == 1:
        return sosfilt(sections[0], source)
    out, state, last = np.empty_like(source), np.zeros((tracks.shape[1], 2)), sections[0]
    for i, start in enumerate(range(0, len(source), _BLOCK)):
        section, stop = sections[min(i, len(sections) - 1)], start + _BLOCK
        out[start:stop], state = sosfilt(section, source[start:stop], zi=_carried(state, last, section))
        last = section
    return out


def _carried(state: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The state (F, 2) of resonators (F, 6) whose coefficients change, such that their last two outputs stay.

    The state holds products of outputs and coefficients; kept as it is, it would click at each change.
    """
    y1 = -state[:, 1] / before[:, 5]
    y2 = -(state[:, 0] + before[:, 4] * y1) / before[:, 5]
    return np.stack([-after[:, 4] * y1 - after[:, 5] * y2, -after[:, 5] * y1], axis=-1)


def _whole_tract(formants, tract: float) -> np.ndarray:
    """Lower formants (..., n) in Hz after the upper ones; ``tract`` above 1 is a shorter vocal tract.

    The lower ones move and come last in the cascade: the upper ones would bring out any roughness of the movement.
    """
    formants = np.asarray(formants, dtype=float)
    upper = _UPPER_FORMANTS[_UPPER_FORMANTS * tract < 0.46 * _RATE]
    upper = np.broadcast_to(upper, (*formants.shape[:-1], len(upper)))
    return np.concatenate([upper, formants], axis=-1) * tract


def _next_start(rng, end: float, gap: tuple[float, float], seconds: float, shortest: float) -> float:
    """A time in s for the next sound after a random gap, cut if need be to leave it ``shortest`` of the ``seconds``.

    Without the cut a sound would often end in a long silence.
    """
    latest = max(end + gap[0], seconds - shortest)
    return min(end + rng.uniform(*gap), latest)


def _levelled(signal: np.ndarray) -> np.ndarray:
    """Speech (S,) at unit power in its loud parts; its vowels differ in level by a third of what the formants make it.

    A cascade gives open vowels far more power than close ones, which speakers even out by effort.
    """
    level = np.sqrt(_power(signal))
    out = signal / (level + 0.02 * level.max() + 1e-9) ** 0.67  # an instant of speech may have no voice at all
    return out / np.sqrt(np.percentile(_power(out), 90) + 1e-9)


def _power(signal: np.ndarray) -> np.ndarray:
    """The mean square (S,) over 60 ms. The filter's running sum may fall below zero by a rounding error."""
    return np.maximum(uniform_filter1d(signal**2, _samples(0.06)), 0)


def _sequence(rng, length: int, make: Callable, gap: tuple[float, float], shortest: float = 0.25) -> np.ndarray:
    """Sounds of ``make(rng)`` one after another with random gaps in s; none begins with less than ``shortest`` left."""
    out, seconds, start = np.zeros(length), length / _RATE, 0.0
    while start == 0 or start <= seconds - shortest:
        first = _samples(start)
        sound = make(rng)[: length - first]
        # A sound that the end cuts off dies away rather than stops.
        out[first : first + len(sound)] += sound * (_arch(len(sound), 0, 0.06) if first + len(sound) == length else 1)
        start = _next_start(rng, (first + len(sound)) / _RATE, gap, seconds, shortest)
    return out


def tilt(rng, signal: np.ndarray, sample_rate: int, most_db: float) -> np.ndarray:
    """The signal with its treble raised or lowered by up to ``most_db`` above a random corner of 0.4 to 3 kHz."""
    pole = math.exp(-2 * math.pi * log_uniform(rng, 400, 3000) / sample_rate)
    treble_gain = 10 ** (rng.uniform(-most_db, most_db) / 20)
    bass = lfilter([1 - pole], [1, -pole], signal)
    return bass + treble_gain * (signal - bass)


def finish(rng, signal: np.ndarray, sample_rate: int) -> np.ndarray:
    """float32 (S,) without DC, with faded edges of 5 to 10 ms and a peak of 0.9."""
    out = sosfilt(butter(2, 25, "highpass", fs=sample_rate, output="sos"), signal)
    edge = min(len(out) // 2, round(rng.uniform(0.005, 0.010) * sample_rate))
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(edge) / max(1, edge))
    out[:edge] *= ramp
    out[len(out) - edge :] *= ramp[::-1]
    peak = np.max(np.abs(out), initial=0.0)
    return (out * (PEAK / peak if peak > 0 else 0.0)).astype(np.float32)


def _alarm_beeps(rng, length: int, weights) -> np.ndarray:
    """Groups of equal beeps, as of an alarm clock, a smoke detector or a reversing lorry."""
    beep, pause = log_uniform(rng, 0.05, 0.5), log_uniform(rng, 0.05, 0.4)
    in_group = int(rng.integers(1, 6))
    rest = rng.uniform(0.2, 0.8) if in_group > 1 else 0.0
    seconds = np.arange(length) / _RATE % (in_group * (beep + pause) + rest)
    is_on = (seconds % (beep + pause) < beep) & (seconds < in_group * (beep + pause))
    return _tone(np.full(length, log_uniform(rng, 700, 3600)), weights) * _gate(is_on, 0.004)


def _alarm_siren(rng, length: int, weights) -> np.ndarray:
    """A wail (slow) or a yelp (fast): the frequency swept up and down."""
    cycle = np.arange(length) / _RATE * log_uniform(rng, 0.25, 5) + rng.uniform()
    rise = rng.uniform(0.2, 0.9)  # the share of a cycle that goes up
    height = np.where(cycle % 1 < rise, cycle % 1 / rise, (1 - cycle % 1) / (1 - rise))
    low = log_uniform(rng, 400, 900)
    return _tone(low * rng.uniform(1.6, 3.0) ** height, weights)


def _alarm_two_tone(rng, length: int, weights) -> np.ndarray:
    step = np.floor(np.arange(length) / _RATE / log_uniform(rng, 0.15, 0.7)) % 2
    f0 = log_uniform(rng, 400, 1800) * rng.uniform(1.15, 1.5) ** step
    return _tone(uniform_filter1d(f0, _samples(0.004)), weights)


def _alarm_buzzer(rng, length: int, weights) -> np.ndarray:
    """A harsh low horn, pulsed or held."""
    seconds = np.arange(length) / _RATE
    period = rng.uniform(0.6, 1.6)
    is_on = (seconds % period < rng.uniform(0.45, 0.8) * period) | (rng.uniform() < 0.2)
    horn = _pulses(np.full(length, log_uniform(rng, 150, 450)), rng.uniform(15, 35))
    return _resonate(horn, log_uniform(rng, 800, 4000, 2)) * _gate(is_on, 0.01)


def _alarm(rng, length: int) -> np.ndarray:
    n = np.arange(1, 9)
    weights = n ** -rng.uniform(1.0, 2.5) * np.where(n % 2, 1, rng.uniform(0, 1))
    styles = (_alarm_beeps, _alarm_siren, _alarm_siren, _alarm_two_tone, _alarm_buzzer)
    return styles[rng.integers(len(styles))](rng, length, weights)


def _cry(rng, pitch: float, tract: float) -> np.ndarray:
    """One wail of a baby and the breath drawn in after it."""
    length = _samples(rng.uniform(0.5, 1.5))
    top = rng.uniform(1.1, 1.45)
    f0 = pitch * _curve(length, (0, rng.uniform(0.1, 0.3), rng.uniform(0.5, 0.8), 1), (0.85, top, top * 0.95, 0.75))
    f0 *= 1 + 0.02 * np.sin(2 * np.pi * np.cumsum(rng.uniform(4, 8) + _wander(rng, length, 4, 1)) / _RATE)
    source = _voice(rng, f0, 250, 0.01 + 0.02 * rng.uniform(), 0.08)
    opening = _curve(np.ceil(length / _BLOCK).astype(int), (0, 0.3, 0.8, 1), (0.7, 1.0, 1.05, 0.7))
    lower = np.stack([950 * opening, 1900 + 300 * opening], axis=-1)
    voiced = _resonate(source, _whole_tract(lower, tract)) * _arch(length, 0.08, 0.2)
    breath = _noise(rng, _samples(rng.uniform(0.12, 0.3)), 1200, 5000)
    breath *= _arch(len(breath), 0.08, 0.08) * 0.06 * np.max(np.abs(voiced))
    return np.concatenate([voiced, np.zeros(_samples(rng.uniform(0.02, 0.1))), breath])


def _crying_baby(rng, length: int) -> np.ndarray:
    pitch, tract = rng.uniform(330, 480), rng.uniform(0.9, 1.25)
    return _sequence(rng, length, lambda r: _cry(r, pitch * r.uniform(0.92, 1.1), tract), (0.02, 0.15))


def _one_crash(rng, material: str) -> np.ndarray:
    """An impact, then debris: modes struck again and again, ever more weakly."""
    low, high, decay, n_modes = {
        "glass": (1800, 10500, 0.05, 30),
        "metal": (250, 7000, 0.22, 26),
        "wood": (120, 2500, 0.025, 20),
    }[material]
    seconds = rng.uniform(0.7, 2.4)
    length = _samples(seconds)
    spread = rng.uniform(0.2, 0.45) * seconds
    frequencies = log_uniform(rng, low, high, n_modes)
    strikes = np.zeros((n_modes, length))
    for row in strikes:
        n = int(rng.integers(4, 16))
        times = np.append(rng.uniform(0, 0.012), rng.exponential(spread, n))
        row += _impulses(length, times, np.append(0.35, rng.lognormal(-0.7, 0.7, n) * np.exp(-times[1:] / spread)))
    decays = decay * rng.lognormal(0, 0.5, n_modes) * (low / frequencies) ** 0.3
    ringing = _ring(strikes, frequencies, decays, (low / frequencies) ** 0.4)
    impact = _noise(rng, length, 0.5 * low, 1.5 * high) * _decay(
        _impulses(length, [0.001], 1.0), rng.uniform(0.02, 0.08)
    )
    rattle = _noise(rng, length, low, high) * _decay(strikes.sum(0), 0.008)
    thud = _ring(_impulses(length, [0.001], 1.0), log_uniform(rng, 60, 250, 3), [0.04] * 3, [1.0] * 3)
    ringing, rattle = ringing / np.max(np.abs(ringing)), rattle / np.max(np.abs(rattle))
    return (ringing + rng.uniform(0.08, 0.25) * impact + rng.uniform(0.2, 0.6) * rattle + 0.2 * thud) * _arch(
        length, 0, 0.3
    )


def _crash(rng, length: int) -> np.ndarray:
    material = ("glass", "glass", "metal", "wood")[rng.integers(4)]
    return _sequence(rng, length, lambda r: _one_crash(r, material), (0.0, 0.5), 0.6)


def _bark(rng, size: float, hoarse: float) -> np.ndarray:
    """One bark: a short arch of pitch; ``size`` 0 is a lap dog, 1 a mastiff."""
    length = _samples(rng.uniform(0.09, 0.16) + 0.10 * size * rng.uniform())
    pitch = 750 * (200 / 750) ** size * rng.uniform(0.93, 1.07)
    f0 = pitch * _curve(length, (0, 0.25, 0.6, 1), (0.7, 1.25, 1.1, 0.55))
    source = _voice(rng, f0, 1200, 0.03 + 0.03 * hoarse, 0.25 + 0.5 * hoarse)
    blocks = math.ceil(length / _BLOCK)
    opening = _curve(blocks, (0, 0.35, 1), (0.6, 1.0, 0.55))  # the mouth opens and closes
    scale = 1.5 - 0.75 * size
    lower = np.stack([750 * opening, 1300 * opening + 200, 2500 + 0 * opening], axis=-1)
    return _resonate(source, _whole_tract(lower, scale), 0.1) * _arch(length, 0.012, 0.07)


def _barking_dog(rng, length: int) -> np.ndarray:
    size, hoarse = rng.uniform(), rng.uniform()
    pause = log_uniform(rng, 0.12, 0.45)

    def burst(r):
        barks = []
        for _ in range(r.integers(1, 5)):
            barks += [_bark(r, size, hoarse) * r.uniform(0.6, 1), np.zeros(_samples(pause * r.uniform(0.7, 1.3)))]
        return np.concatenate(barks)

    return _sequence(rng, length, burst, (0.05, 0.7))


def _engine_speed(rng, length: int) -> np.ndarray:
    """Firings per second (S,): idling, cruising or revving."""
    idle = log_uniform(rng, 18, 90)
    n_knots = max(2, round(length / _RATE * rng.uniform(0.5, 1.5)) + 1)
    top = rng.choice([1.1, 1.6, 3.0])
    knots = idle * top ** rng.uniform(0, 1, n_knots)
    speed = _curve(length, np.linspace(0, 1, n_knots), knots)
    return uniform_filter1d(speed, _samples(0.25)) * (1 + _wander(rng, length, 12, 0.012))


def _running_engine(rng, length: int) -> np.ndarray:
    speed = _engine_speed(rng, length)
    firings = np.floor(np.cumsum(speed) / _RATE).astype(int)
    cylinders = rng.integers(1, 7)
    # Cylinders differ, which puts energy at the sub-harmonics of the firing rate: the beat one hears when it idles.
    strength = rng.uniform(1 - rng.uniform(0.1, 0.6), 1, cylinders)[firings % cylinders]
    strength = strength * rng.uniform(0.85, 1.1, firings[-1] + 1)[firings]
    pulses = _pulses(speed, rng.uniform(90, 300)) * uniform_filter1d(strength, 24)
    exhaust = _resonate(pulses, np.sort(log_uniform(rng, 70, 900, 4)), 0.25)
    bursts = np.maximum(pulses, 0) ** 0.5
    gas = _noise(rng, length, log_uniform(rng, 80, 300), log_uniform(rng, 800, 4000)) * bursts
    rattle = _noise(rng, length, 1500, 11000) * (0.3 + bursts)
    whine = _tone(speed * rng.uniform(6, 14), (1, 0.5, 0.3)) * (rng.uniform() < 0.4)
    exhaust, gas = exhaust / np.std(exhaust), gas / np.std(gas)
    return (
        exhaust
        + rng.uniform(0.2, 0.8) * gas
        + log_uniform(rng, 0.05, 0.5) * rattle
        + log_uniform(rng, 0.03, 0.2) * whine
    )


def _one_scream(rng, low: float, high: float, tract: float) -> np.ndarray:
    """An open vowel at a strained pitch; pulses of the false vocal folds make it rough."""
    length = _samples(rng.uniform(0.5, 1.9))
    start, end = rng.uniform(0.6, 0.95), rng.uniform(0.55, 0.95)
    f0 = log_uniform(rng, low, high) * _curve(length, (0, 0.15, 0.65, 1), (start, 1.0, rng.uniform(0.9, 1.08), end))
    vibrato = rng.uniform(0, 0.03) * np.sin(2 * np.pi * rng.uniform(5, 9) * np.arange(length) / _RATE)
    source = _voice(rng, f0 * (1 + vibrato), 3000, 0.012, rng.uniform(0.1, 0.4))
    flutter = np.cumsum(rng.uniform(35, 110) * (1 + _wander(rng, length, 20, 0.2))) / _RATE
    roughness = np.clip(rng.uniform(0, 0.8) + _wander(rng, length, 3, 0.2), 0, 0.9)
    source *= 1 - roughness * (0.5 + 0.5 * np.cos(2 * np.pi * flutter))
    vowel = np.array([(850, 1450, 2800), (750, 1200, 2700), (650, 1800, 2700), (950, 1600, 2900)])[rng.integers(4)]
    formants = _whole_tract(vowel * rng.uniform(0.93, 1.07, 3), tract)
    out = _resonate(source, formants, 0.08)
    rasp = _noise(rng, length, 2500, 11000) * uniform_filter1d(np.abs(out), _samples(0.004))
    out += log_uniform(rng, 0.05, 0.4) * rasp
    return out * _arch(length, rng.uniform(0.02, 0.08), rng.uniform(0.1, 0.3))


def _scream(rng, length: int, low: float, high: float, tract: float) -> np.ndarray:
    tract *= rng.uniform(0.93, 1.07)
    return _sequence(rng, length, lambda r: _one_scream(r, low, high, tract), (0.05, 0.5))


def _female_scream(rng, length: int) -> np.ndarray:
    return _scream(rng, length, 700, 1500, 1.17)


def _male_scream(rng, length: int) -> np.ndarray:
    return _scream(rng, length, 250, 600, 1.0)


@dataclass(frozen=True)
class _Phone:
    """A stretch of speech with constant targets: formants in Hz, amplitudes of voice, of aspiration, of frication."""

    seconds: float
    formants: tuple[float, ...]
    voice: float = 0.0
    aspiration: float = 0.0
    frication: float = 0.0
    band: int = 0
    phrase_position: float = 0.0


def _consonant(rng, vowel: tuple[float, ...]) -> list[_Phone]:
    kind = rng.choice(["stop", "fricative", "nasal", "liquid", "none"], p=[0.33, 0.24, 0.18, 0.15, 0.1])
    band, voiced = int(rng.integers(3)), rng.uniform() < 0.5
    if kind == "stop":
        closure = _Phone(rng.uniform(0.04, 0.08), vowel, voice=0.1 * voiced)
        burst = _Phone(0.012, vowel, frication=0.7, band=band)
        return [closure, burst, _Phone(0.015 if voiced else 0.045, vowel, aspiration=0.5)]
    if kind == "fricative":
        loudness = (0.5, 0.45, 0.15)[band] * rng.uniform(0.6, 1.1)
        return [_Phone(rng.uniform(0.06, 0.14), vowel, voice=0.25 * voiced, frication=loudness, band=band)]
    if kind == "nasal":
        return [_Phone(rng.uniform(0.05, 0.09), (260.0, rng.uniform(1000, 1600), 2400.0), voice=0.35)]
    if kind == "liquid":
        return [_Phone(rng.uniform(0.05, 0.08), (360.0, rng.uniform(900, 1900), rng.uniform(1700, 2700)), voice=0.55)]
    return []


def _phrase(rng, pace: float) -> list[_Phone]:
    """A few syllables and a pause; ``pace`` scales the length of the vowels."""
    phones, n_syllables = [], int(rng.integers(3, 12))
    for i in range(n_syllables):
        vowel = tuple(_VOWELS[rng.integers(len(_VOWELS))] * rng.uniform(0.95, 1.05, 3))
        stretch = rng.uniform(0.06, 0.17) * pace * (1.5 if i == n_syllables - 1 else 1.0)
        syllable = [*_consonant(rng, vowel), _Phone(stretch, vowel, voice=rng.uniform(0.6, 1.0))]
        phones += [_Phone(**{**vars(phone), "phrase_position": i / n_syllables}) for phone in syllable]
    return [*phones, _Phone(rng.uniform(0.12, 0.45), phones[-1].formants, phrase_position=1.0)]


def _speech(rng, length: int, low: float, high: float, tract: float) -> np.ndarray:
    """Babble of no language: its rhythm, intonation and spectrum are those of speech."""
    pace, blocks = rng.uniform(0.75, 1.3), math.ceil(length / _BLOCK)
    phones: list[_Phone] = []
    while sum(max(1, round(phone.seconds * _RATE / _BLOCK)) for phone in phones) < blocks:
        phones += _phrase(rng, pace)
    repeats = [max(1, round(phone.seconds * _RATE / _BLOCK)) for phone in phones]

    def track(values, smoothing: int) -> np.ndarray:
        """One row per 5 ms block, smoothed over a number of blocks as the articulators are slow."""
        rows = np.repeat(np.array(values, dtype=float), repeats, axis=0)[:blocks]
        return uniform_filter1d(rows, smoothing, axis=0)

    def amplitude(values, smoothing: int) -> np.ndarray:
        return np.interp(np.arange(length) / _BLOCK, np.arange(blocks) + 0.5, track(values, smoothing))

    intonation = 1.12 - 0.25 * amplitude([phone.phrase_position for phone in phones], 12)
    f0 = rng.uniform(low, high) * intonation * np.exp(_wander(rng, length, 3.5, 0.1))
    voice = _voice(rng, f0, log_uniform(rng, 200, 600), 0.008, rng.uniform(0.01, 0.06)) * amplitude(
        [phone.voice for phone in phones], 4
    )
    aspiration = 0.1 * rng.standard_normal(length) * amplitude([phone.aspiration for phone in phones], 3)
    formants = _whole_tract(track([phone.formants for phone in phones], 9), tract * rng.uniform(0.94, 1.06))
    out = _levelled(_resonate(voice + aspiration, formants, 0.09))
    for band, (bottom, top) in enumerate(_FRICATION_BANDS):
        loudness = amplitude([phone.frication * (phone.band == band) for phone in phones], 2)
        out += 0.9 * loudness * _noise(rng, length, bottom * tract, top * tract)
    return out


def _female_speech(rng, length: int) -> np.ndarray:
    return _speech(rng, length, 165, 250, 1.17)


def _male_speech(rng, length: int) -> np.ndarray:
    return _speech(rng, length, 85, 140, 1.0)


def _burning_fire(rng, length: int) -> np.ndarray:
    """Crackles of all sizes over the rumble of the flames and the hiss of sap and steam."""
    out = np.zeros(length)
    liveliness = np.exp(_wander(rng, length, 2, 0.6))
    density = log_uniform(rng, 0.25, 1.5)
    for per_second, decay, low, high in ((60, 0.0008, 3000, 11000), (18, 0.002, 1200, 7000), (4, 0.006, 400, 4000)):
        struck = rng.uniform(size=length) < density * liveliness * per_second / _RATE
        sizes = rng.lognormal(-1, 0.9, length) * struck
        out += _decay(sizes, decay * rng.uniform(0.6, 1.6)) * _noise(rng, length, low, high)
    flicker = np.exp(_wander(rng, length, 8, 0.35))
    rumble = _noise(rng, length, 40, log_uniform(rng, 150, 500)) * flicker
    hiss = _noise(rng, length, 1500, 8000) * np.exp(_wander(rng, length, 3, 0.3))
    out += log_uniform(rng, 0.1, 0.8) * rumble + log_uniform(rng, 0.008, 0.05) * hiss
    return np.tanh(0.6 * out)  # or one large crackle would make all the rest inaudible


def _step_times(rng, length: int) -> np.ndarray:
    interval = 1 / rng.uniform(1.5, 2.5)
    n = math.ceil(length / _RATE / interval) + 1
    return rng.uniform(0.01, 0.06) + interval * (np.arange(n) + rng.normal(0, 0.025, n).clip(-0.06, 0.06))


def _footsteps(rng, length: int) -> np.ndarray:
    """Heel, then toe; the surface decides how much of a step is thump, knock or crunch."""
    thump, knock, crunch, low, high = (
        (1.5, 0.7, 0.15, 400, 4000),  # wood
        (0.9, 0.6, 0.30, 1000, 6000),  # stone and hard soles
        (0.7, 0.0, 1.00, 800, 9000),  # gravel
        (1.0, 0.0, 0.60, 200, 2500),  # grass, carpet
    )[rng.integers(4)]
    heels = np.maximum(0, _step_times(rng, length))
    toes = heels + rng.uniform(0.07, 0.15)
    feet = np.where(np.arange(len(heels)) % 2, rng.uniform(0.75, 1), 1.0) * rng.uniform(0.75, 1.1, len(heels))
    strikes = _impulses(length, heels, feet) + _impulses(length, toes, rng.uniform(0.25, 0.6) * feet)
    body = _ring(strikes, log_uniform(rng, 60, 160, 2), [0.025, 0.018], [0.8, 0.6])
    wood = _ring(strikes, log_uniform(rng, 180, 1600, 6), rng.uniform(0.006, 0.03, 6), rng.uniform(0.1, 0.4, 6))
    click = _noise(rng, length, low, high) * _decay(strikes, 0.004)
    grains = (rng.uniform(size=length) < 0.02) * rng.exponential(1, length)  # stones that turn under the sole
    grit = _decay(_decay(strikes, 0.012), 0.03) / 150 * _noise(rng, length, low, high) * (0.15 + _decay(grains, 0.002))
    return thump * body + knock * (wood + 0.35 * click) + crunch * grit


def _knocking_on_door(rng, length: int) -> np.ndarray:
    interval, start, seconds = 1 / rng.uniform(3, 7), 0.01, length / _RATE
    times: list[float] = []
    while start <= seconds - 0.25 or not times:
        n = int(rng.integers(2, 7))
        times += list(start + interval * (np.arange(n) + rng.normal(0, 0.04, n).clip(-0.1, 0.1)).clip(0))
        start = _next_start(rng, times[-1], (0.4, 1.3), seconds, 0.5)
    hits = _impulses(length, times, rng.uniform(0.6, 1, len(times)))
    n_modes = int(rng.integers(8, 16))
    frequencies = np.sort(log_uniform(rng, 110, 2400, n_modes)) * rng.uniform(0.8, 1.25)
    decays = rng.uniform(0.012, 0.05) * (frequencies[0] / frequencies) ** 0.4 * rng.uniform(0.7, 1.3, n_modes)
    knuckle = np.maximum(0, _decay(_decay(hits, 0.0006), 0.0004)) / 10  # a soft hammer has less treble than an impulse
    panel = _ring(knuckle, frequencies, decays, (frequencies[0] / frequencies) ** rng.uniform(-0.3, 0.4))
    click = _noise(rng, length, 800, 6000) * _decay(hits, 0.003)
    return panel / np.max(np.abs(panel)) + rng.uniform(0.1, 0.4) * click


def _phone_bell(rng, length: int) -> np.ndarray:
    """Two gongs struck in turn by a clapper of some 20 Hz: one long ring, or two short ones."""
    seconds = np.arange(length) / _RATE
    if rng.uniform() < 0.5:
        cycle = seconds % rng.uniform(2.0, 3.0)
        is_on = (cycle < 0.4) | ((cycle > 0.6) & (cycle < 1.0))
    else:
        ring = rng.uniform(0.8, 2.2)
        is_on = seconds % (ring + rng.uniform(0.5, 2.0)) < ring
    rate = rng.uniform(17, 30)
    times = np.arange(0.003, length / _RATE, 1 / rate)
    blows = is_on[np.minimum(length - 1, np.rint(times * _RATE).astype(int))] * rng.uniform(0.7, 1, len(times))
    out = np.zeros(length)
    gong = log_uniform(rng, 700, 1500)
    for side, detune in enumerate((1.0, rng.uniform(1.05, 1.3))):
        strikes = _impulses(length, times, blows * (np.arange(len(times)) % 2 == side))
        partials = gong * detune * np.array([1.0, 2.0, 2.7, 3.9, 5.3, 6.4]) * rng.uniform(0.97, 1.03, 6)
        partials = partials[partials < 11000]
        decays = rng.uniform(0.15, 0.4) / np.arange(1, len(partials) + 1) ** 0.5
        out += _ring(strikes, partials, decays, rng.uniform(0.3, 1, len(partials)))
    return out


def _phone_warble(rng, length: int) -> np.ndarray:
    """Two tones in fast alternation, as from an electronic desk telephone."""
    seconds = np.arange(length) / _RATE
    low = log_uniform(rng, 500, 1800)
    f0 = np.where(seconds * rng.uniform(10, 26) % 1 < 0.5, low, low * rng.uniform(1.15, 1.4))
    ring, pause = rng.uniform(0.5, 1.6), rng.uniform(0.3, 1.5)
    weights = np.arange(1, 8) ** -rng.uniform(0.8, 2.0)
    return _tone(uniform_filter1d(f0, 24), weights) * _gate(seconds % (ring + pause) < ring, 0.006)


def _phone_melody(rng, length: int) -> np.ndarray:
    """A short tune of marimba-like notes over and over."""
    step, n_notes = rng.uniform(0.09, 0.22), int(rng.integers(4, 13))
    scale = np.array((_MAJOR, _MINOR)[rng.integers(2)])
    degrees = np.cumsum(rng.integers(-3, 4, n_notes)) % 14
    pitches = log_uniform(rng, 500, 900) * 2 ** ((scale[degrees % 7] + 12 * (degrees // 7)) / 12)
    is_sounding = rng.uniform(size=n_notes) < 0.85
    is_sounding[0] = True
    overtones = np.array([(1, 3.9, 9.2), (1, 2.0, 3.0), (1, 2.76, 5.4)][rng.integers(3)])
    steps = np.arange(0, length / _RATE, step)
    rest_steps = int(rng.integers(0, 7))
    out, decay = np.zeros(length), log_uniform(rng, 0.05, 0.4)
    for i in np.flatnonzero(is_sounding):
        starts = steps[np.arange(len(steps)) % (n_notes + rest_steps) == i]
        strikes = _impulses(length, starts + 0.002, 1.0)
        frequencies = (pitches[i] * overtones)[pitches[i] * overtones < 11000]
        gains, decays = np.array([1, 0.35, 0.12])[: len(frequencies)], decay / np.arange(1, len(frequencies) + 1)
        out += _ring(strikes, frequencies, decays, gains)
    return out


def _ringing_phone(rng, length: int) -> np.ndarray:
    return (_phone_bell, _phone_warble, _phone_melody)[rng.integers(3)](rng, length)


def _piano_note(rng, pitch: float, velocity: float, seconds: float) -> np.ndarray:
    """A stiff string: partials drift sharp, die the sooner the higher, and beat with their neighbour strings."""
    length = _samples(seconds)
    stiffness = 1.5e-4 * (pitch / 130) ** 1.4
    n = np.arange(1, max(2, min(22, int(10500 / pitch))))
    frequencies = n * pitch * np.sqrt(1 + stiffness * n**2)
    n, frequencies = n[frequencies < 11000], frequencies[frequencies < 11000]
    gains = np.abs(np.sin(np.pi * n / 7.3)) * np.exp(-n * pitch / (350 + 1600 * velocity)) + 0.002 / n
    decays = 1.6 * (220 / pitch) ** 0.6 / (1 + 0.12 * n)
    strike = _impulses(length, [0.001], 1.0)
    detuned = frequencies * (1 + rng.uniform(2e-4, 8e-4))
    strings = _ring(strike, frequencies, decays / 2.5, gains) + _ring(strike, detuned, decays, 0.45 * gains)
    thump = _noise(rng, length, 80, 1500) * _decay(strike, 0.012)
    return velocity * (strings / np.sum(gains) + 0.04 * thump) * _arch(length, 0.002, 0.09)


def _piano(rng, length: int) -> np.ndarray:
    """A tune, broken chords or chords, in one key."""
    beat, style = rng.uniform(0.22, 0.6), rng.choice(["tune", "arpeggio", "chords"])
    scale, tonic = np.array((_MAJOR, _MINOR)[rng.integers(2)]), log_uniform(rng, 60, 500)
    out, start, degree = np.zeros(length), 0, int(rng.integers(7))
    chord_beats = 2 if style == "chords" else 1
    while start == 0 or start < length - _samples(0.1):
        degree = int(np.clip(degree + rng.integers(-3, 4), 0, 13))
        degrees = {"tune": [degree], "arpeggio": [degree], "chords": [degree, degree + 2, degree + 4]}[style]
        if style == "arpeggio":
            degree = (degree + 2) % 14
        seconds = min(beat * chord_beats * rng.uniform(0.95, 2.2), (length - start) / _RATE)
        for d in degrees:
            pitch = tonic * 2 ** ((scale[d % 7] + 12 * (d // 7)) / 12)
            note = _piano_note(rng, min(pitch, 4000), rng.uniform(0.4, 1), seconds)
            out[start : start + len(note)] += note[: length - start]
        start += _samples(beat * chord_beats * rng.choice([1, 1, 1, 2]))
    return out


# Class name -> (generator(rng, length) -> (S,), shortest and longest natural length in seconds).
_SYNTHESISERS: dict[str, tuple[Callable, tuple[float, float]]] = {
    "alarm": (_alarm, (2.0, 8.0)),
    "crying baby": (_crying_baby, (2.0, 8.0)),
    "crash": (_crash, (0.8, 2.6)),
    "barking dog": (_barking_dog, (0.8, 6.0)),
    "running engine": (_running_engine, (3.0, 8.0)),
    "female scream": (_female_scream, (0.7, 3.0)),
    "female speech": (_female_speech, (1.5, 8.0)),
    "burning fire": (_burning_fire, (3.0, 8.0)),
    "footsteps": (_footsteps, (2.0, 8.0)),
    "knocking on door": (_knocking_on_door, (1.0, 4.0)),
    "male scream": (_male_scream, (0.7, 3.0)),
    "male speech": (_male_speech, (1.5, 8.0)),
    "ringing phone": (_ringing_phone, (1.5, 8.0)),
    "piano": (_piano, (2.0, 8.0)),
}
PROCEDURAL_CLASSES = tuple(_SYNTHESISERS)


def synthesise(
    class_name: str, rng: np.random.Generator, seconds: float | None = None, sample_rate: int = SAMPLE_RATE
) -> np.ndarray:
    """A procedural sound (S,) of a class: float32, mono, peak 0.9, no DC, faded edges.

    class_name: one of ``PROCEDURAL_CLASSES``, the classes of DCASE 2020.
    seconds: length, at least 0.1; S is ``round(seconds * sample_rate)``. None draws one natural for the class, up to
        8 s. The sound may hold pauses, as between two rings of a telephone.
    sample_rate: Hz. The content ends at 12 kHz whatever the rate.
    ValueError for another class, and for a length or a rate out of range.
    """
    if class_name not in _SYNTHESISERS:
        known = ", ".join(_SYNTHESISERS)
        raise ValueError(f"class {class_name!r} cannot be synthesised; the procedural classes are: {known}")
    require_length(seconds, sample_rate)
    generate, natural = _SYNTHESISERS[class_name]
    signal = generate(rng, _samples(rng.uniform(*natural) if seconds is None else seconds))
    signal = tilt(rng, _trim_end(signal) if seconds is None else signal, _RATE, 5.0)
    length = round((len(signal) / _RATE if seconds is None else seconds) * sample_rate)
    if sample_rate != _RATE:
        ratio = Fraction(sample_rate, _RATE)
        signal = resample_poly(signal, ratio.numerator, ratio.denominator)
        signal = np.pad(signal[:length], (0, max(0, length - len(signal))))
    return finish(rng, signal, sample_rate)


def _trim_end(signal: np.ndarray) -> np.ndarray:
    """The signal without the silence after it, 50 dB below its peak."""
    loud = np.flatnonzero(np.abs(signal) > 10 ** (-50 / 20) * np.max(np.abs(signal)))
    return signal[: max(loud[-1] + 1, _samples(0.05))]


def require_length(seconds: float | None, sample_rate: int) -> None:
    if seconds is not None and not (math.isfinite(seconds) and seconds >= 0.1):
        raise ValueError(f"seconds is {seconds}; a sound is at least 0.1 s long")
    if sample_rate < 4000:
        raise ValueError(f"sample_rate is {sample_rate} Hz; at least 4000 Hz was expected")
