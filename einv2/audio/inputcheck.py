"""Input check: is a clip ACN/SN3D first-order ambisonics at a sensible level, as the network expects?

Only what the samples can prove is reported. In SN3D the channels Y, Z and X together carry as much energy as W,
whatever the directions and the number of sources, as long as these are incoherent: a plane wave has gains with
Y^2 + Z^2 + X^2 = W^2, and a diffuse field a third of W^2 in each. In FuMa they carry twice as much, in N3D three times as much.
That ratio tells other gains and other signals apart. FuMa is by far the most common of the other formats, so it is
considered first. The order of Y, Z and X and their signs cannot be inferred from the samples: exchanging them gives
another scene that is just as plausible. ``check_against`` infers them from the labels of the clip.

Where channels can be corrected by reordering and scaling, a finding carries the ``InputFormat`` that does it.
"""

import itertools
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import scipy.fft
import scipy.signal

from .. import geometry
from . import foa, inputformat
from .foa import CHANNELS
from .inputformat import AS_IS, FUMA, FUMA_GAIN, N3D, WXYZ, InputFormat

MAX_SECONDS = 120  # of the clip that are checked
QUIET_DBFS = -60.0  # peak
DEAD_DB = -60.0  # energy against W
CLIPPED_SHARE = 1e-4  # of the samples of a channel
FULL_SCALE = 0.9995

# The ratio of directional energy to W is taken where FOA microphones are accurate: below, near sources and wind raise
# the directional channels; above, the capsules are too far apart.
_BIN_HZ, _BINS_PER_BAND = 25, 5
_BAND_HZ = (500, 3000)
_SEGMENT_SECONDS = 0.5
_CELL_RANGE_DB = -50.0  # cells weaker than this against the strongest are left out
_MIN_BANDS = 8  # a tone in a room can have any ratio; many bands cannot agree on a wrong one
_RATIO_NO_HEIGHT = (
    1.3  # without the height, diffuse sound lowers the ratio of FuMa to 1.33 at least, that of SN3D to 0.67
)
_RATIO_STRONG = 1.45  # SN3D has 1, FuMa 2: nearer to 2, as a factor
_RATIO_FUMA = 2.45  # up to here nearer to 2 than to the 3 of N3D, as a factor
_RATIO_EITHER = (2.2, 3.4)  # a microphone may have it in FuMa and in N3D, unless all cells agree
_RATIO_N3D = 4.2
_RATIO_SMALL = 0.6
_RATIO_WEAK = 0.02
_SHARP = 0.08  # |ln| of a ratio against the one expected, and the median of it over cells: no microphone is so exact by chance
_W_FITS = 0.22  # misfit with another channel as W
_MORE_DIRECT, _MUCH_MORE_DIRECT = 0.03, 0.15  # with that as W, against N3D and against FuMa, which is far more common
_DIRECTNESS = 0.34  # unrelated signals have 0.3
_DIRECTNESS_SECONDS = 20
_EVEN_DB = 1.0  # all channels of one energy
_LOW_HEIGHT_DB = -3.0  # of one channel against those that may be the horizontal ones

# Raw capsules: cardioids a towards the corners of a tetrahedron. With s = sum(a) / 2 a plane wave has 3 (sum(a^2) - s^2) = s^2.
_CAPSULES_HZ = 1500  # above, they are too far apart
_CAPSULES_MISFIT = 0.5  # median of |ln(ratio)|
_CAPSULES_BETTER = 0.5  # of the misfit of SN3D, FuMa and N3D
# With several sources, all cardioids have much in common and no figures of eight do, unless a source lies between all three axes:
# then ambisonics fit as well.
_CAPSULES_EXACT, _IN_PHASE, _CAPSULES_NEARER = 0.25, 0.3, 0.8
_CAPSULES_FUMA, _ONE_DIRECTION = 0.3, 0.8  # with one source, this near to FuMa is FuMa

# Microphones apart from each other, alone or on a sphere, hear the same at low frequencies and not at high ones; the channels of
# ambisonics are as alike at all of them.
_LOW_HZ, _HIGH_HZ = (100, 350), (2000, 7000)
_LOW_RANGE_DB = -60.0  # the least energy there against that of all bands
_ALIKE_COHERENCE, _ALIKE_REAL, _ALIKE_DB = 0.8, 0.4, 2.0
_APART_REAL, _APART_LESS = 0.5, 0.25
_SAME_REAL, _SAME_DB, _SAME_APART = (
    0.98,
    0.5,
    0.92,
)  # so much alike below, as no recording of ambisonics is: a centimetre apart

_SILENT_DBFS = -125.0  # of 500 Hz: ten decibels below the rounding noise of 16 bits
_BENT_SHARE = 0.01  # of clipped samples, beyond which ratios of energies are not judged
_BANDWIDTH_HZ = 8000  # narrower clips are named

# Comparing with labels
_MIN_FRAMES = 20  # of 100 ms with exactly one event
_FRAME_RANGE = 0.05  # of the clearest such frame; weaker ones are left out
_MIN_SPREAD = 0.05  # of directions off one line, mean square: 0.05 are two directions 26 degrees apart
_FITTING = 25.0  # degrees, median
_BETTER = 20.0  # degrees by which another order must fit better than the given one
_AS_GOOD = 3.0  # degrees within which the simplest explanation is taken


LEVELS = (
    "error",
    "warning",
    "plausible",
    "ok",
)  # the worst first; plausible: neither contradicted nor proven


@dataclass(frozen=True)
class Finding:
    """One result of the check. level: one of ``LEVELS``; evidence: names to numbers or channel names; remedy: what to do, empty if
    nothing.

    fix: the format that corrects the samples, if it is known. It applies to the clip as it was checked: if that had been
    corrected before, ``earlier.then(fix)`` applies to the file. Of several findings apply one fix and check again, see ``together``.
    others: further possible fixes, less likely ones last.
    """

    code: str
    level: str
    message: str
    evidence: dict = field(default_factory=dict)
    remedy: str = ""
    fix: InputFormat | None = None
    others: tuple[InputFormat, ...] = ()

    @property
    def fixes(self) -> tuple[InputFormat, ...]:
        return () if self.fix is None else (self.fix, *self.others)


def check(audio: np.ndarray, sample_rate: int, read_as: InputFormat = AS_IS) -> list[Finding]:
    """The findings on a clip (4, S); a single one of level "plausible" if nothing is wrong.

    read_as: the format that its file was read as, for the messages.
    Looks at the first 120 s. Silence is reported, not raised; ValueError if
    the shape is not (4, S).
    """
    audio = np.asarray(audio, np.float32)
    if audio.ndim != 2 or audio.shape[0] != 4:
        raise ValueError(f"audio must have the shape (4, samples), not {audio.shape}")
    audio = audio[:, : MAX_SECONDS * sample_rate]
    peak_dbfs = _db(float(np.abs(audio).max(initial=0)) ** 2)
    if peak_dbfs < -100:
        return [_quiet(peak_dbfs)]
    findings = [_quiet(peak_dbfs)] if peak_dbfs < QUIET_DBFS else _over_full_scale(peak_dbfs) or _clipping(audio)
    bent = any(f.code == "clipping" and f.evidence["share"] > _BENT_SHARE for f in findings)
    cells = _Cells.of(audio, sample_rate)
    findings += _channels(audio, sample_rate, cells, bent, read_as)
    ratio = cells.ratio(0)
    return findings or [_narrow(audio, sample_rate, ratio) or _plausible(audio, peak_dbfs, cells, read_as)]


def _channels(audio: np.ndarray, sample_rate: int, cells: "_Cells", bent: bool, read_as: InputFormat) -> list[Finding]:
    """Findings on the channels; FuMa before rarer formats. A silent Z is usual in formats that often lack height."""
    energy = np.array([np.dot(channel, channel) for channel in audio], float)
    gains = [] if bent else _gains(audio, sample_rate, cells)
    if gains and FUMA in gains[0].fixes and not _is_copied(audio, cells):
        return gains
    has_own_gains = bool(gains) and N3D in gains[0].fixes  # without height or breadth, as a rule
    dead = [] if has_own_gains else _dead(energy, cells.ratio(0))
    if read_as.may_lack_height and [f.evidence["channels"] for f in dead] == [["Z"]]:
        dead = []
    return _copies(audio, cells, energy) or dead or gains


def together(findings: list[Finding], against: list[Finding] | None = None) -> list[Finding]:
    """Findings of one clip, those of the samples and those against its labels, with one fix where gains and axes are both wrong.

    against: those against its labels, if they are not among the others. What these prove is no longer reported as open.
    """
    findings = [*findings, *(against or [])]
    if any(f.code in ("fits_labels", "axes", "not_at_labels") for f in findings):
        findings = [f for f in findings if f.level != "plausible"]
    gains = next((f for f in findings if f.code == "not_sn3d" and f.fix in (FUMA, N3D)), None)
    axes = next((f for f in findings if f.code == "axes"), None)
    if gains is None or axes is None or axes.fix is None:
        return findings
    fix = axes.fix.then(FUMA_GAIN if gains.fix is FUMA else N3D)
    with_both = replace(axes, remedy=f"take the clip as {fix.text}", fix=fix)
    without = replace(gains, remedy="", fix=None, others=())
    return [with_both if f is axes else without if f is gains else f for f in findings]


def status(findings: list[Finding]) -> str:
    """The worst level of the findings."""
    return min((f.level for f in findings), key=LEVELS.index, default="ok")


def _narrow(audio: np.ndarray, sample_rate: int, ratio: float | None) -> Finding | None:
    """A clip whose bands end far below those that a network uses, as a formerly lower sample rate leaves it."""
    highest = _highest_sound(audio, sample_rate)
    if ratio is None or highest >= min(_BANDWIDTH_HZ, sample_rate / 2):
        return None
    khz = highest / 1000
    return Finding(
        "narrow",
        "warning",
        f"nothing sounds above {khz:g} kHz, as in a clip that had a sample rate of {2 * khz:g} kHz",
        {"no_sound_above_khz": khz, "ratio": round(ratio, 2)},
        "use a recording of 24 kHz or more: networks listen up to 12 kHz, and miss or mistake what is cut off",
    )


def _plausible(audio: np.ndarray, peak_dbfs: float, cells: "_Cells", read_as: InputFormat) -> Finding:
    """Nothing is wrong; order and signs are not proven."""
    evidence: dict = {"peak_dbfs": round(peak_dbfs, 1)}
    ratio, what = cells.ratio(0), "4 channels, with sound in too few frequencies to judge their gains"
    if ratio is not None:
        evidence["ratio"] = round(ratio, 2)
        what = "4 channels with plausible gains"
        if ratio < _RATIO_SMALL:
            what = f"4 channels; Y, Z, X carry {ratio:.2f} times the energy of W, less than the 1 of most scenes"
    read = "ACN/SN3D" if read_as.is_plain else f"reading them as {read_as.name}"
    message = (
        f"{what}; nothing speaks against {read}; order and signs cannot be told without ground truth: add it, or listen"
    )
    fix = None
    if ratio is not None and cells.is_without_fourth():
        message += "; the fourth channel is silent, as in a file of W, X, Y, Z without height"
        fix = WXYZ
    return Finding("ok", "plausible", message, evidence, fix=fix)


def summary(findings: list[Finding]) -> str:
    """One line for all findings, the worst first."""
    worst_first = sorted(findings, key=lambda f: LEVELS.index(f.level))
    return "; ".join(f"{f.level}: {f.message}" for f in worst_first)


def _db(energy: float) -> float:
    return 10 * float(np.log10(max(energy, 1e-20)))


def _quiet(peak_dbfs: float) -> Finding:
    what = "the clip is silent" if peak_dbfs <= -199 else f"the clip is very quiet: its peak is {peak_dbfs:.0f} dBFS"
    return Finding(
        "quiet",
        "warning",
        what,
        {"peak_dbfs": round(peak_dbfs, 1)},
        "check the recording level and the export of the file",
        inputformat.louder(int(np.floor(-20 - peak_dbfs))) if peak_dbfs > -199 else None,
    )


def _clipping(audio: np.ndarray) -> list[Finding]:
    """Runs of samples at full scale: a single one is what normalising to the peak leaves."""
    full = np.abs(audio) >= FULL_SCALE
    share = (full[:, 1:] & full[:, :-1]).mean(axis=1) if audio.shape[1] > 1 else np.zeros(4)
    worst = int(np.argmax(share))
    if share[worst] < CLIPPED_SHARE:
        return []
    return [
        Finding(
            "clipping",
            "warning",
            f"channel {CHANNELS[worst]} is clipped: {share[worst]:.2%} of its samples are at full scale",
            {"channel": CHANNELS[worst], "share": float(share[worst])},
            "record or export at a lower level: clipping bends the directions",
        )
    ]


def _over_full_scale(peak_dbfs: float) -> list[Finding]:
    if peak_dbfs < 6:
        return []
    return [
        Finding(
            "over_full_scale",
            "warning",
            f"samples go {peak_dbfs:.0f} dB beyond full scale",
            {"peak_dbfs": round(peak_dbfs, 1)},
            "scale all channels by one factor to lie within [-1, 1]",
            inputformat.louder(int(np.floor(-peak_dbfs))),
        )
    ]


def _is_copied(audio: np.ndarray, cells: "_Cells") -> bool:
    """Whether two channels are equal though the channels that sound are not all alike, as those of one plane wave are."""
    pairs = [(c, d) for c, d in itertools.combinations(range(4), 2) if np.array_equal(audio[c], audio[d])]
    return any(audio[c].any() for c, _ in pairs) and not cells.are_one_wave()


def _copies(audio: np.ndarray, cells: "_Cells", energy: np.ndarray) -> list[Finding]:
    """A channel equal to W says that every sound comes along that axis; then the other two must be silent. Two of the others
    are equal where a source is in the plane between their axes, but then they have all of its energy."""
    for c in (1, 2, 3):
        others = [d for d in (1, 2, 3) if d != c]
        if energy[0] > 0 and np.array_equal(audio[0], audio[c]) and energy[others].sum() > 0.01 * energy[0]:
            return [
                Finding(
                    "identical",
                    "error",
                    f"channels W and {CHANNELS[c]} are identical, as where mono or stereo was copied to four channels",
                    {"channels": ["W", CHANNELS[c]]},
                    "check that the file is not mono or stereo copied to four channels",
                )
            ]
    for c, d in itertools.combinations((1, 2, 3), 2):
        if energy[c] > 0 and np.array_equal(audio[c], audio[d]) and cells.is_incomplete() and not cells.are_one_wave():
            names = [CHANNELS[c], CHANNELS[d]]
            return [
                Finding(
                    "identical",
                    "warning",
                    f"channels {' and '.join(names)} are identical",
                    {"channels": names},
                    "check the cables and the export: one of the two has been recorded or written twice",
                )
            ]
    return []


def _dead(energy: np.ndarray, ratio: float | None) -> list[Finding]:
    """Channels without signal. A scene in a plane or along an axis has them too, but then the other channels are complete: ratio 1."""
    against = float(energy[0]) or float(energy.max())
    dead = [c for c in range(4) if _db(energy[c] / against) < DEAD_DB]
    certain = 0 in dead or len(dead) == 3
    if not dead or (not certain and (ratio is None or abs(ratio - 1) < 0.1)):
        return []
    names = [CHANNELS[c] for c in dead]
    what = f"channel {names[0]} is" if len(names) == 1 else f"channels {', '.join(names)} are"
    remedy = "check the recording and the export"
    if not certain:
        remedy += ", unless no sound of the scene comes along " + ("that axis" if len(names) == 1 else "those axes")
    found = Finding("dead_channel", "error" if certain else "warning", f"{what} silent", {"channels": names}, remedy)
    return [_without_height(found, ratio) if dead == [3] and ratio is not None else found]


def _without_height(found: Finding, ratio: float) -> Finding:
    """A silent fourth channel suggests a recording in the order of FuMa, W, X, Y, Z, without height."""
    fix, other = (FUMA, WXYZ) if ratio > _RATIO_NO_HEIGHT else (WXYZ, FUMA)
    message = f"{found.message}, as the fourth channel, the height, of a horizontal recording in FuMa is"
    remedy = f"read the file as {fix.name} or as {other.name} if it is one; else {found.remedy}"
    return replace(found, message=message, remedy=remedy, fix=fix, others=(other,))


# The gains


def _gains(audio: np.ndarray, sample_rate: int, cells: "_Cells") -> list[Finding]:
    """Channels whose energies do not fit SN3D with W first."""
    ratio = cells.ratio(0)
    if ratio is None:
        return []
    if (capsules := _capsules(cells)) is not None:
        return [capsules]
    if ratio > _RATIO_STRONG and (apart := _microphones(cells)) is not None:
        return [apart]
    if _RATIO_WEAK <= ratio <= _RATIO_STRONG:
        return []
    evidence: dict = {"ratio": round(ratio, 3)}
    if ratio < _RATIO_WEAK:
        what = f"channels Y, Z, X carry only {ratio:.1%} of the energy of W: hardly any direction in the clip"
        return [Finding("weak_directions", "warning", what, evidence, "check that the file is not a mono recording")]
    fixes = _formats(audio, sample_rate, cells, ratio, evidence)
    what = f"channels Y, Z, X carry {ratio:.1f} times the energy of W; SN3D has 1, FuMa 2, N3D and raw microphones 3"
    return [
        Finding("not_sn3d", "warning", what, evidence, _remedy(fixes, evidence), next(iter(fixes), None), fixes[1:])
    ]


def _remedy(fixes: tuple[InputFormat, ...], evidence: dict) -> str:
    if not fixes and "directness" in evidence:
        return "export as ACN/SN3D (AmbiX) ambisonics; signals of microphones are first converted with the software of the microphone"
    remedy = "export as ACN/SN3D (AmbiX) ambisonics, channels in the order W, Y, Z, X"
    if number := evidence.get("could_be_w"):
        remedy += f"; channel {number} may be W here"
    named = [fix.name for fix in fixes if fix in (FUMA, N3D)]
    return remedy + (f"; or read the file as {' or '.join(named)}" if named else "")


def _formats(
    audio: np.ndarray, sample_rate: int, cells: "_Cells", ratio: float, evidence: dict
) -> tuple[InputFormat, ...]:
    """The formats that the channels may have, the likeliest first; observations are added to the evidence."""
    found = _by_ratio(cells, ratio)
    if found and found[0] is N3D:
        evidence["directness"] = _directness(audio, sample_rate, N3D)
        if evidence["directness"] < _DIRECTNESS and cells.are_even():
            return ()
    w = min((1, 2, 3), key=cells.misfit_as_w)
    if cells.misfit_as_w(w) > _W_FITS:
        return found
    evidence["could_be_w"] = w + 1
    other = _with_w(w + 1)
    more = _directness(audio, sample_rate, other) - max(
        (_directness(audio, sample_rate, fix) for fix in found), default=-1.0
    )
    is_better = more > (_MORE_DIRECT if FUMA not in found[:1] else _MUCH_MORE_DIRECT)
    return (other, *found) if is_better else (*found, other)


def _directness(audio: np.ndarray, sample_rate: int, read_as: InputFormat) -> float:
    return round(foa.directness(read_as.apply(audio[:, : _DIRECTNESS_SECONDS * sample_rate]), sample_rate), 2)


def _by_ratio(cells: "_Cells", ratio: float) -> tuple[InputFormat, ...]:
    """FuMa, N3D or both. Where the ratio does not distinguish them, the channel with the least energy does: it is usually Z."""
    if ratio > _RATIO_N3D:
        return (FUMA, N3D) if cells.lowest() == 3 and ratio < 2 * _RATIO_N3D else ()
    nearer = (FUMA, N3D) if ratio < _RATIO_FUMA else (N3D, FUMA)
    expected = 2 if nearer[0] is FUMA else 3
    is_sharp = max(abs(np.log(ratio / expected)), cells.misfit(expected)) < _SHARP
    if is_sharp or not _RATIO_EITHER[0] <= ratio <= _RATIO_EITHER[1]:
        return nearer[:1]
    height = cells.lowest()
    return nearer if height is None else (FUMA, N3D) if height == 3 else (N3D, FUMA)


def _with_w(number: int) -> InputFormat:
    """Channel ``number``, from 1, taken to the front. The order of the others cannot be proven and stays."""
    order = (number - 1, *(c for c in range(4) if c != number - 1))
    text = f"W is channel {number}, the others are Y, Z, X in this order"
    return replace(inputformat.of_channels(order, (1.0,) * 4), name=f"channel {number} is W", text=text)


def _capsules(cells: "_Cells") -> Finding | None:
    """The raw capsules of a tetrahedral microphone (A-format), if plane waves fit these clearly better than ambisonics."""
    covariance = cells.within(_BAND_HZ[0], _CAPSULES_HZ)
    if not len(covariance):
        return None
    power = _powers(covariance)
    total = power.sum(axis=1)
    front = covariance.real.sum(axis=(1, 2)) / 4
    around = (total - power[:, 0]) / np.maximum(power[:, 0], 1e-9 * total)
    misfit = _misfit(3 * (total - front) / np.maximum(front, 1e-9 * total))
    others = {name: _misfit(around / expected) for name, expected in (("sn3d", 1), ("fuma", 2), ("n3d", 3))}
    one_direction = _largest_share(covariance) > _ONE_DIRECTION
    in_phase = float(np.median(_coherences(cells.within(_LOW_HZ[0], _CAPSULES_HZ)).real.min(axis=1)))
    other = min(others.values())
    certain = misfit < min(_CAPSULES_EXACT, _CAPSULES_NEARER * other) and in_phase > _IN_PHASE and not one_direction
    if not certain and misfit > min(_CAPSULES_MISFIT, _CAPSULES_BETTER * other):
        return None
    if others["fuma"] < _CAPSULES_FUMA and one_direction:
        return None  # one source in FuMa between two axes has what a source behind one capsule has
    what = "the channels fit the raw capsules of a microphone (A-format), not ambisonics"
    evidence = {f"misfit_{name}": round(value, 2) for name, value in {"capsules": misfit, **others}.items()}
    return Finding("not_ambisonics", "error", what, evidence, _CONVERT)


_CONVERT = "convert the raw microphone signals to ACN/SN3D with the software of the microphone"


def _largest_share(covariance: np.ndarray) -> float:
    """The share of its largest eigenvalue in the sum of covariances (N, 4, 4): 1 for one plane wave."""
    values = np.linalg.eigvalsh(covariance.sum(axis=0))
    return float(values[-1] / max(values.sum(), 1e-30))


def _microphones(cells: "_Cells") -> Finding | None:
    """Microphones with a distance between them: their signals agree at low frequencies and differ at high ones."""
    low, high = cells.within(*_LOW_HZ, _LOW_RANGE_DB), cells.within(*_HIGH_HZ, _LOW_RANGE_DB)
    if not len(low) or not len(high):
        return None
    level = 10 * np.log10(np.maximum(_powers(low), 1e-30))
    spread = float(np.median(np.ptp(level, axis=1)))
    pairs = _coherences(low)
    alike, alike_real = (float(np.median(part.min(axis=1))) for part in (np.abs(pairs), pairs.real))
    apart = float(np.median(_coherences(high).real.min(axis=1)))
    if spread > _ALIKE_DB or alike < _ALIKE_COHERENCE or alike_real < _ALIKE_REAL:
        return None
    is_same = alike_real >= _SAME_REAL and spread <= _SAME_DB
    if apart > (_SAME_APART if is_same else min(_APART_REAL, alike_real - _APART_LESS)):
        return None
    what = (
        "the channels look like the raw signals of four microphones, not ambisonics: below 350 Hz all hear the same at one level, "
        "above 2 kHz they do not"
    )
    evidence = {
        "coherence_low": round(alike, 2),
        "coherence_high": round(apart, 2),
        "spread_db": round(spread, 1),
        "ratio": round(cells.ratio(0) or 0.0, 2),
    }
    return Finding("microphones", "warning", what, evidence, _CONVERT)


def _misfit(ratios: np.ndarray) -> float:
    """How far ratios (N,) are from 1: the median of |ln|."""
    return float(np.median(np.abs(np.log(np.maximum(ratios, 1e-9)))))


def _powers(covariance: np.ndarray) -> np.ndarray:
    """Energies (N, 4) of covariances (N, 4, 4)."""
    return np.einsum("ncc->nc", covariance).real


def _coherences(covariance: np.ndarray) -> np.ndarray:
    """Complex coherence (N, 6) of the pairs of channels in covariances (N, 4, 4)."""
    power = np.maximum(_powers(covariance), 1e-30)
    return np.stack(
        [covariance[:, c, d] / np.sqrt(power[:, c] * power[:, d]) for c, d in itertools.combinations(range(4), 2)],
        axis=1,
    )


@dataclass(frozen=True)
class _Cells:
    """A clip in segments of 0.5 s and bands of 125 Hz: the covariances of its channels, (segments, bands, 4, 4) complex.

    hz: the lower end of each band.
    """

    covariance: np.ndarray
    hz: np.ndarray

    @classmethod
    def of(cls, audio: np.ndarray, sample_rate: int) -> "_Cells":
        """From windows of 40 ms of audio (4, S), so in bins of 25 Hz."""
        size = sample_rate // _BIN_HZ
        n = audio.shape[1] // size
        top = min(_HIGH_HZ[1], sample_rate // 2)
        n_bands = (top - _LOW_HZ[0]) // (_BIN_HZ * _BINS_PER_BAND)
        hz = _LOW_HZ[0] + _BIN_HZ * _BINS_PER_BAND * np.arange(n_bands)
        if not n:
            return cls(np.zeros((0, n_bands, 4, 4), complex), hz)
        first = _LOW_HZ[0] // _BIN_HZ
        frames = audio[:, : n * size].reshape(4, n, size) * np.hanning(size).astype(np.float32)
        spectra = scipy.fft.rfft(frames, axis=2)[:, :, first : first + n_bands * _BINS_PER_BAND]
        spectra = spectra.reshape(4, n, n_bands, _BINS_PER_BAND)
        starts = np.arange(0, n, max(1, round(_SEGMENT_SECONDS * _BIN_HZ)))
        covariance = np.zeros((len(starts), n_bands, 4, 4), complex)
        for c, d in itertools.combinations_with_replacement(range(4), 2):
            product = np.einsum("nbk,nbk->nb", spectra[c], spectra[d].conj())
            covariance[:, :, c, d] = np.add.reduceat(product, starts, axis=0)
            covariance[:, :, d, c] = covariance[:, :, c, d].conj()
        return cls(covariance, hz)

    def _heard(self, low: float, high: float, floor_db: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Covariances (segments, bands, 4, 4) from ``low`` to ``high`` Hz, and which of them hold sound, relative to the loudest there,
        unless that is ``floor_db`` below the loudest of all."""
        part = self.covariance[:, (self.hz >= low) & (self.hz < high)]
        total = np.einsum("sbcc->sb", part).real
        loudest = total.max(initial=0)
        heard = total > max(loudest, 1e-30) * 10 ** (_CELL_RANGE_DB / 10)
        if floor_db is not None:
            heard &= loudest > np.einsum("sbcc->sb", self.covariance).real.max(initial=0) * 10 ** (floor_db / 10)
        return part, heard

    def within(self, low: float, high: float, floor_db: float | None = None) -> np.ndarray:
        """The covariances (N, 4, 4) that hold sound from ``low`` to ``high`` Hz."""
        part, heard = self._heard(low, high, floor_db)
        return part[heard]

    def _ratios(self, c: int) -> np.ndarray | None:
        """In each cell (N,) the energy of the three others over that of channel c; None if too few bands hold sound."""
        part, heard = self._heard(*_BAND_HZ)
        if heard.any(axis=0).sum() < _MIN_BANDS:
            return None
        power = _powers(part[heard])
        total = power.sum(axis=1)
        return (total - power[:, c]) / np.maximum(power[:, c], 1e-9 * total)

    def ratio(self, c: int) -> float | None:
        """The median of the energy of the three others over that of channel c; None if too few bands hold sound."""
        ratios = self._ratios(c)
        return None if ratios is None else float(np.median(ratios))

    def misfit(self, expected: float) -> float:
        """How far the ratios with W first are from the expected one."""
        ratios = self._ratios(0)
        return np.inf if ratios is None else _misfit(ratios / expected)

    def misfit_as_w(self, c: int) -> float:
        """How far the ratios are from those of SN3D with channel c as W."""
        ratios = self._ratios(c)
        return np.inf if ratios is None else _misfit(ratios)

    def _energies_db(self) -> np.ndarray:
        power = _powers(self.within(*_BAND_HZ)).sum(axis=0)
        return 10 * np.log10(np.maximum(power, 1e-30))

    def are_even(self) -> bool:
        """Whether all channels have the same energy."""
        return bool(np.ptp(self._energies_db()) < _EVEN_DB)

    def lowest(self) -> int | None:
        """The channel, third or fourth, with clearly less energy than all others, as that of the height has."""
        db = self._energies_db()
        low = int(np.argmin(db))
        return low if low in (2, 3) and db[low] < np.delete(db, [0, low]).max() + _LOW_HEIGHT_DB else None

    def is_without_fourth(self) -> bool:
        db = self._energies_db()
        return bool(db[3] < db[0] + DEAD_DB and min(db[1], db[2]) > db[0] + DEAD_DB)

    def is_incomplete(self) -> bool:
        """Whether Y, Z and X together do not have the energy of W."""
        cells = self.within(*_BAND_HZ)
        if not len(cells):
            return False
        power = _powers(cells)
        total = power.sum(axis=1)
        own = np.maximum(power[:, 0], 1e-9 * total)
        return _misfit((total - own) / own) >= 0.1

    def are_one_wave(self) -> bool:
        """Whether the channels that sound are multiples of one signal, as those of one plane wave are."""
        total = self.within(*_BAND_HZ).sum(axis=0)
        power = np.einsum("cc->c", total).real
        sounding = np.flatnonzero(power > power.max(initial=0) * 10 ** (DEAD_DB / 10))
        pairs = itertools.combinations(sounding, 2)
        return all(abs(total[c, d].real) > 0.99 * np.sqrt(power[c] * power[d]) for c, d in pairs)


def _highest_sound(audio: np.ndarray, sample_rate: int) -> float:
    """The upper end in Hz, in steps of 500, of the highest band of W that is not silent."""
    hz, density = scipy.signal.welch(audio[0], sample_rate, nperseg=min(2048, audio.shape[1]))
    band = (hz // 500).astype(int)
    level = 10 * np.log10(np.maximum(np.bincount(band, density) * hz[1], 1e-20))
    heard = np.flatnonzero(level > _SILENT_DBFS)
    return 500.0 * (heard[-1] + 1) if len(heard) else 0.0


# Against labels


def check_against(audio: np.ndarray, sample_rate: int, reference: pd.DataFrame) -> list[Finding]:
    """Whether the sound of a clip (4, S) comes from the directions of its labels, a frame table; one finding.

    The directions of the intensity (``foa.direction_by_frame``) are compared with the labels in the label frames with exactly
    one event, for each of the 48 orders and signs of X, Y and Z. Looks at the first 120 s. Findings: "fits_labels" (ok),
    "not_compared" (plausible: less than 2 s of such frames, or all of them in one line), "axes" (error: another order or other
    signs fit clearly better; with a fix) and "not_at_labels" (warning: none fits). Where labels leave an axis open, as Z
    when all lie in the horizontal plane, it is taken as it is. ValueError if the shape is not (4, S).
    """
    heard = foa.direction_by_frame(np.asarray(audio)[:, : MAX_SECONDS * sample_rate], sample_rate)
    heard, labelled = _single_frames(heard, reference)
    evidence: dict[str, float] = {"frames": len(heard)}
    if len(heard) < _MIN_FRAMES or np.linalg.eigvalsh(labelled.T @ labelled / len(heard))[1] < _MIN_SPREAD:
        what = "the labels have too few frames with one event, or too few directions, to compare the channels with"
        return [Finding("not_compared", "plausible", what, evidence)]
    axes, errors = _axes_and_errors(heard, labelled)
    evidence["median_error_deg"] = round(float(errors[0]), 1)
    best = int(np.argmax(errors <= errors.min() + _AS_GOOD))  # the simplest stand first
    if errors[best] < _FITTING and errors[best] < errors[0] - _BETTER:
        return [_other_axes(axes[best], {**evidence, "median_error_fixed_deg": round(float(errors[best]), 1)})]
    if errors[0] < _FITTING + _BETTER:
        what = f"the sound comes from where the labels say, within {errors[0]:.0f} degrees in the median"
        return [Finding("fits_labels", "ok", what, evidence)]
    what = f"the sound comes from elsewhere than the labels say: {errors[0]:.0f} degrees off in the median"
    remedy = "check that the labels belong to this clip"
    return [Finding("not_at_labels", "warning", what, evidence, remedy)]


def _single_frames(heard: np.ndarray, reference: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Measured and labelled vectors, each (N, 3), in the frames with one event that are clear enough."""
    single = reference[~reference["frame"].duplicated(keep=False) & (reference["frame"] < len(heard))]
    heard = heard[single["frame"].to_numpy()]
    labelled = geometry.to_vector(single["azimuth"].to_numpy(), single["elevation"].to_numpy())
    clear = (length := np.linalg.norm(heard, axis=1)) > _FRAME_RANGE * length.max(initial=0)
    return heard[clear], labelled[clear]


def _axes_and_errors(heard: np.ndarray, labelled: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """All signed permutations (3, 3) of x, y, z, the simplest first, and the median error of each in degrees, (48,)."""
    axes = [
        np.eye(3)[list(order)] * np.array(signs)[:, None]
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
    ]
    axes.sort(key=lambda a: (3 - np.trace(np.abs(a))) + np.sum(a < 0))
    return axes, np.array([np.median(geometry.distance(heard @ a.T, labelled)) for a in axes])


def _other_axes(axes: np.ndarray, evidence: dict) -> Finding:
    fix = _axes_remedy(axes)
    before, after = evidence["median_error_deg"], evidence["median_error_fixed_deg"]
    what = f"{_what_is_wrong(fix)}; set right, it sounds {after:.0f} degrees from its labels in the median, not {before:.0f}"
    return Finding("axes", "error", what, evidence, f"take the clip as {fix.text}", fix)


def _axes_remedy(axes: np.ndarray) -> InputFormat:
    """The format that turns the vectors (x, y, z) of a clip by a signed permutation (3, 3)."""
    order, gains = [0, 1, 2, 3], [1.0] * 4
    for to, row in zip(foa.XYZ_CHANNELS, axes):
        axis = int(np.argmax(np.abs(row)))
        order[to], gains[to] = foa.XYZ_CHANNELS[axis], float(row[axis])
    return inputformat.of_channels(tuple(order), tuple(gains))


def _what_is_wrong(fix: InputFormat) -> str:
    moved = [CHANNELS[c] for c in range(4) if fix.order[c] != c]
    flipped = [CHANNELS[c] for c in range(4) if fix.gains[c] < 0]
    if moved:
        if len(moved) == 2 and not flipped:
            return f"{moved[0]} and {moved[1]} are swapped"
        return f"the channels are not W, Y, Z, X but {fix.text.removeprefix('channels ').removesuffix(' in SN3D')}"
    if len(flipped) == 3:
        return "W has the wrong sign, or all of Y, Z and X have"
    sides = {"Y": "left and right", "X": "front and back", "Z": "up and down"}
    return " and ".join(f"{sides[name]} are flipped" for name in flipped)
