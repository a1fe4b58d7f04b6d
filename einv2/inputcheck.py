"""Is a clip what the network expects: ACN/SN3D first-order ambisonics at a sensible level?

Only what the samples can prove is reported. In SN3D the channels Y, Z and X together carry as much energy as W,
whatever the directions and the number of sources, as long as these are incoherent: a plane wave has gains with
Y^2 + Z^2 + X^2 = W^2, and a diffuse field a third of W^2 in each. That ratio tells other gains and other signals apart.
The order of Y, Z and X and their signs cannot be told from the samples: exchanging them gives another scene that is just as
possible. ``check_against`` tells them from the labels of the clip.

Where channels can be set right by reordering and scaling, a finding carries the ``Remedy``; ``CHOICES`` lists those that a
user can pick by hand.
"""

import itertools
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import scipy.signal

from . import foa, geometry
from .foa import CHANNELS

MAX_SECONDS = 120  # of the clip that are looked at
QUIET_DBFS = -60.0  # peak
DEAD_DB = -60.0  # energy against W
CLIPPED_SHARE = 1e-4  # of the samples of a channel
FULL_SCALE = 0.9995

# The ratio of directional energy to W is taken where FOA microphones are accurate: below, near sources and wind raise
# the directional channels; above, the capsules are too far apart.
_BAND_HZ = (500, 3000)
_BANDS = 20
_SEGMENT_SECONDS = 0.5
_CELL_RANGE_DB = -50.0  # cells weaker than this against the strongest are left out
_MIN_BANDS = 8  # a tone in a room can have any ratio; many bands cannot agree on a wrong one
_RATIO_STRONG = 1.6  # SN3D has 1, FuMa 2, N3D and unrelated signals 3
_RATIO_FUMA = 2.45  # up to here nearer to 2 than to 3, as a factor
_RATIO_N3D = 3.7
_RATIO_WEAK = 0.02
_N3D_DIRECTNESS = 0.4  # unrelated signals have 0.3

# Raw capsules: cardioids a towards the corners of a tetrahedron. With s = sum(a) / 2 a plane wave has 3 (sum(a^2) - s^2) = s^2.
_CAPSULES_HZ = 1500  # above, they are too far apart
_CAPSULES_MISFIT = 0.5  # median of |ln(ratio)|
_CAPSULES_BETTER = 0.5  # of the misfit of SN3D, FuMa and N3D

_SILENT_DBFS = -125.0  # of 500 Hz: ten decibels below the rounding noise of 16 bits
_BANDWIDTH_HZ = 8000  # narrower clips are named

# Comparing with labels
_MIN_FRAMES = 20  # of 100 ms with exactly one event
_FRAME_RANGE = 0.05  # of the clearest such frame; weaker ones are left out
_MIN_SPREAD = 0.05  # of directions off one line, mean square: 0.05 are two directions 26 degrees apart
_FITTING = 25.0  # degrees, median
_BETTER = 20.0  # degrees by which another order must fit better than the given one
_AS_GOOD = 3.0  # degrees within which the simplest explanation is taken


@dataclass(frozen=True)
class Remedy:
    """Channels set right: output channel c (W, Y, Z, X) is gains[c] times input channel order[c]. The default changes nothing.

    name: short, for a button. text: what it takes the clip to be.
    """

    order: tuple[int, ...] = (0, 1, 2, 3)
    gains: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    name: str = "ACN/SN3D (AmbiX)"
    text: str = "channels W, Y, Z, X in SN3D, as they are"

    def apply(self, block: np.ndarray) -> np.ndarray:
        """A block (4, S) set right, as float32. ValueError if the shape is not (4, S)."""
        block = np.asarray(block, np.float32)
        if block.ndim != 2 or len(block) != 4:
            raise ValueError(f"block must have the shape (4, samples), not {block.shape}")
        return block[list(self.order)] * np.array(self.gains, np.float32)[:, None]

    def then(self, other: "Remedy") -> "Remedy":
        """Both in one: ``other`` is of a clip to which this one has been applied. One of ``CHOICES`` where it is the same as that."""
        if self.order != AS_IS.order and other is FUMA:
            other = _FUMA_GAIN  # the order has been set right
        order = tuple(self.order[c] for c in other.order)
        gains = tuple(gain * self.gains[c] for gain, c in zip(other.gains, other.order))
        for choice in CHOICES:
            if choice.order == order and np.allclose(choice.gains, gains):
                return choice
        return Remedy(order, gains, f"{self.name}, then {other.name}", f"{self.text}; then {other.text}")


_WXYZ = (0, 2, 3, 1)  # where W, Y, Z, X stand in a file with W, X, Y, Z
_FUMA_W = 2**0.5  # FuMa carries W at -3 dB: Malham, "Higher order Ambisonic systems", 2003
_N3D = 3**-0.5  # N3D carries the first order sqrt(3) higher than SN3D: Daniel, thesis, Paris 6, 2000

AS_IS = Remedy()
WXYZ = Remedy(_WXYZ, name="W, X, Y, Z in SN3D", text="channels W, X, Y, Z in SN3D")
FUMA = Remedy(_WXYZ, (_FUMA_W, 1.0, 1.0, 1.0), "FuMa", "channels W, X, Y, Z with W at -3 dB, as FuMa has them")
_FUMA_GAIN = Remedy(gains=(_FUMA_W, 1.0, 1.0, 1.0), name="W louder by 3 dB", text="W at -3 dB, as FuMa has it")
N3D = Remedy(
    gains=(1.0, _N3D, _N3D, _N3D), name="N3D (ACN)", text="channels W, Y, Z, X in N3D, with Y, Z, X 4.8 dB higher"
)
LEFT_RIGHT = Remedy(gains=(1.0, -1.0, 1.0, 1.0), name="left and right flipped", text="channels W, -Y, Z, X")
FRONT_BACK = Remedy(gains=(1.0, 1.0, 1.0, -1.0), name="front and back flipped", text="channels W, Y, Z, -X")
UP_DOWN = Remedy(gains=(1.0, 1.0, -1.0, 1.0), name="up and down flipped", text="channels W, Y, -Z, X")
CHOICES = (AS_IS, WXYZ, FUMA, N3D, LEFT_RIGHT, FRONT_BACK, UP_DOWN)


@dataclass(frozen=True)
class Finding:
    """One result of the check. evidence: names to numbers or channel names; remedy: what to do, empty if nothing.

    fix: what sets the samples right, if that is known. It is meant for the clip as it was checked: if that had been set right
    in part, ``earlier.then(fix)`` is meant for the file. Of several findings apply one fix and check again, see ``together``.
    """

    code: str
    level: str  # "ok", "warning" or "error"
    message: str
    evidence: dict = field(default_factory=dict)
    remedy: str = ""
    fix: Remedy | None = None


def check(audio: np.ndarray, sample_rate: int) -> list[Finding]:
    """What is wrong with a clip (4, S); a single finding of level "ok" if nothing is.

    Looks at the first 120 s. Silence is reported, not raised; ValueError if the shape is not (4, S).
    """
    audio = np.asarray(audio, np.float32)
    if audio.ndim != 2 or audio.shape[0] != 4:
        raise ValueError(f"audio must have the shape (4, samples), not {audio.shape}")
    audio = audio[:, : MAX_SECONDS * sample_rate]
    peak_dbfs = _db(float(np.abs(audio).max(initial=0)) ** 2)
    if peak_dbfs < QUIET_DBFS:
        return [_quiet(peak_dbfs)]
    energy = np.array([np.dot(channel, channel) for channel in audio], float)
    ratios = _energy_ratios(audio, sample_rate)
    findings = _over_full_scale(peak_dbfs) or _clipping(audio)
    bent = bool(findings)  # clipping changes the ratio of the channels
    copies_or_dead = _copies(audio, sample_rate, energy) or _dead(energy, ratios)
    findings += copies_or_dead or ([] if bent else _gains(audio, sample_rate, ratios))
    return findings or [_narrow(audio, sample_rate, ratios) or _fine(peak_dbfs, ratios)]


def together(findings: list[Finding]) -> list[Finding]:
    """Findings of one clip, those of the samples and those against its labels, with one fix where gains and axes are both wrong."""
    gains = next((f for f in findings if f.code == "not_sn3d" and f.fix in (FUMA, N3D)), None)
    axes = next((f for f in findings if f.code == "axes"), None)
    if gains is None or axes is None or axes.fix is None:
        return findings
    fix = axes.fix.then(_FUMA_GAIN if gains.fix is FUMA else N3D)
    with_both = replace(axes, remedy=f"take the clip as {fix.text}", fix=fix)
    without = replace(gains, remedy="", fix=None)
    return [with_both if f is axes else without if f is gains else f for f in findings]


def _narrow(audio: np.ndarray, sample_rate: int, ratios: np.ndarray | None) -> Finding | None:
    """A clip of many bands that end far below those that a network listens to, as a rate that was once lower leaves it."""
    highest = _highest_sound(audio, sample_rate)
    if ratios is None or highest >= min(_BANDWIDTH_HZ, sample_rate / 2):
        return None
    khz = highest / 1000
    return Finding(
        "narrow",
        "warning",
        f"nothing sounds above {khz:g} kHz, as in a clip that had a sample rate of {2 * khz:g} kHz",
        {"no_sound_above_khz": khz, "ratio": round(float(ratios[0]), 2)},
        "use a recording of 24 kHz or more: networks listen up to 12 kHz, and miss or mistake what is cut off",
    )


def _fine(peak_dbfs: float, ratios: np.ndarray | None) -> Finding:
    evidence = {"peak_dbfs": round(peak_dbfs, 1)}
    if ratios is None:
        return Finding("ok", "ok", "nothing speaks against ACN/SN3D first-order ambisonics", evidence)
    evidence["ratio"] = round(float(ratios[0]), 2)
    return Finding("ok", "ok", "the channels fit ACN/SN3D first-order ambisonics", evidence)


def summary(findings: list[Finding]) -> str:
    """One line for all findings, the worst first."""
    worst_first = sorted(findings, key=lambda f: ("error", "warning", "ok").index(f.level))
    return "; ".join(f.message if f.level == "ok" else f"{f.level}: {f.message}" for f in worst_first)


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
        _gain(-20 - peak_dbfs) if peak_dbfs > -199 else None,
    )


def _gain(db: float) -> Remedy:
    """All channels louder or quieter by whole decibels."""
    db = int(np.floor(db))
    what = "louder" if db > 0 else "quieter"
    return Remedy(
        gains=(10 ** (db / 20),) * 4, name=f"{what} by {abs(db)} dB", text=f"all channels {what} by {abs(db)} dB"
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
            _gain(-peak_dbfs),
        )
    ]


def _copies(audio: np.ndarray, sample_rate: int, energy: np.ndarray) -> list[Finding]:
    """A channel equal to W says that every sound comes along that axis; then the other two must be silent. Two of the others
    are equal where a source is in the plane between their axes, but then they have all of its energy."""
    for c in (1, 2, 3):
        others = [d for d in (1, 2, 3) if d != c]
        if energy[0] > 0 and np.array_equal(audio[0], audio[c]) and energy[others].sum() > 0.01 * energy[0]:
            return [
                Finding(
                    "identical",
                    "error",
                    f"channels W and {CHANNELS[c]} are identical, which no ambisonic scene has while the others sound",
                    {"channels": ["W", CHANNELS[c]]},
                    "check that the file is not mono or stereo copied to four channels",
                )
            ]
    for c, d in itertools.combinations((1, 2, 3), 2):
        if energy[c] > 0 and np.array_equal(audio[c], audio[d]) and _incomplete(audio, sample_rate):
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


def _incomplete(audio: np.ndarray, sample_rate: int) -> bool:
    """Whether Y, Z and X together do not have the energy of W, looked at in bands and segments."""
    cells = _cell_energies(audio, sample_rate)
    total = cells.sum(axis=0)
    heard = total > total.max(initial=0) * 10 ** (_CELL_RANGE_DB / 10)
    own = np.maximum(cells[0, heard], 1e-9 * total[heard])
    return bool(heard.any()) and _misfit((total[heard] - own) / own) >= 0.1


def _dead(energy: np.ndarray, ratios: np.ndarray | None) -> list[Finding]:
    """Channels without signal. A scene in a plane or along an axis has them too, but then the rest is complete: ratio 1."""
    against = float(energy[0]) or float(energy.max())
    dead = [c for c in range(4) if _db(energy[c] / against) < DEAD_DB]
    certain = 0 in dead or len(dead) == 3
    if not dead or (not certain and (ratios is None or abs(ratios[0] - 1) < 0.1)):
        return []
    names = [CHANNELS[c] for c in dead]
    what = f"channel {names[0]} is" if len(names) == 1 else f"channels {', '.join(names)} are"
    remedy = (
        "check the recording and the export" if certain else "check the recording, unless the scene has no sound there"
    )
    return [
        Finding(
            "dead_channel", "error" if certain else "warning", f"{what} silent", {"channels": names}, remedy + " of it"
        )
    ]


def _gains(audio: np.ndarray, sample_rate: int, ratios: np.ndarray | None) -> list[Finding]:
    """Channels whose energies do not fit SN3D with W first."""
    if ratios is None:
        return []
    if (capsules := _capsules(audio, sample_rate)) is not None:
        return [capsules]
    if _RATIO_WEAK <= ratios[0] <= _RATIO_STRONG:
        return []
    evidence = {"ratio": round(float(ratios[0]), 3)}
    if ratios[0] < _RATIO_WEAK:
        what = f"channels Y, Z, X carry only {ratios[0]:.1%} of the energy of W: hardly any direction in the clip"
        return [Finding("weak_directions", "warning", what, evidence, "check that the file is not a mono recording")]
    remedy, fix = "export as ACN/SN3D (AmbiX) ambisonics, channels in the order W, Y, Z, X", None
    if len(fitting := [c + 1 for c in (1, 2, 3) if 0.8 < ratios[c] < 1.25]) == 1:
        evidence["could_be_w"] = fitting[0]
        remedy += f"; channel {fitting[0]} may be W here"
        fix = _with_w(fitting[0])
    elif ratios[0] < _RATIO_FUMA:
        fix = FUMA
    elif ratios[0] < _RATIO_N3D:
        evidence["directness"] = round(foa.directness(N3D.apply(audio), sample_rate), 2)
        fix = N3D if evidence["directness"] > _N3D_DIRECTNESS else None
    what = (
        f"channels Y, Z, X carry {ratios[0]:.1f} times the energy of W; SN3D has 1, FuMa 2, N3D and raw microphones 3"
    )
    return [Finding("not_sn3d", "warning", what, evidence, remedy, fix)]


def _with_w(number: int) -> Remedy:
    """Channel ``number``, from 1, taken to the front. The order of the others is not provable and stays."""
    order = (number - 1, *(c for c in range(4) if c != number - 1))
    return Remedy(
        order, name=f"channel {number} is W", text=f"W is channel {number}, the others are Y, Z, X in this order"
    )


def _capsules(audio: np.ndarray, sample_rate: int) -> Finding | None:
    """The raw capsules of a tetrahedral microphone (A-format), if plane waves fit these clearly better than ambisonics."""
    cells = _cell_energies(np.concatenate([audio, audio.sum(axis=0, keepdims=True) / 2]), sample_rate)
    total = cells[:4].sum(axis=0)
    heard = total > total.max() * 10 ** (_CELL_RANGE_DB / 10)
    heard[:, round(_BANDS * (_CAPSULES_HZ - _BAND_HZ[0]) / (_BAND_HZ[1] - _BAND_HZ[0])) :] = False
    if not heard.any():
        return None
    cells, total = cells[:, heard], total[heard]
    around = (total - cells[0]) / np.maximum(cells[0], 1e-9 * total)
    capsules = 3 * (total - cells[4]) / np.maximum(cells[4], 1e-9 * total)
    misfit = _misfit(capsules)
    others = {name: _misfit(around / expected) for name, expected in (("sn3d", 1), ("fuma", 2), ("n3d", 3))}
    if misfit > min(_CAPSULES_MISFIT, _CAPSULES_BETTER * min(others.values())):
        return None
    what = "the channels fit the raw capsules of a microphone (A-format), not ambisonics"
    evidence = {f"misfit_{name}": round(value, 2) for name, value in {"capsules": misfit, **others}.items()}
    remedy = "convert the raw microphone signals to ACN/SN3D with the software of the microphone"
    return Finding("not_ambisonics", "error", what, evidence, remedy)


def _misfit(ratios: np.ndarray) -> float:
    """How far ratios (N,) are from 1: the median of |ln|."""
    return float(np.median(np.abs(np.log(np.maximum(ratios, 1e-9)))))


def _energy_ratios(audio: np.ndarray, sample_rate: int) -> np.ndarray | None:
    """For each channel (4,), the energy of the three others over its own: the median over bands and segments of 0.5 s.

    None where too few bands hold sound to judge.
    """
    cells = _cell_energies(audio, sample_rate)
    total = cells.sum(axis=0)
    if not total.size or not total.max() > 0:
        return None
    heard = total > total.max() * 10 ** (_CELL_RANGE_DB / 10)
    if heard.any(axis=0).sum() < _MIN_BANDS:
        return None
    own = np.maximum(cells[:, heard], 1e-9 * total[heard])
    return np.median((total[heard] - cells[:, heard]) / own, axis=1)


def _cell_energies(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Energies (C, segments, bands) of audio (C, S) from windows of 40 ms, so in bins of 25 Hz."""
    size = sample_rate // 25
    n = audio.shape[1] // size
    bins = np.arange(*_BAND_HZ, 25) // 25
    window = np.hanning(size).astype(np.float32)
    frames = audio[:, : n * size].reshape(len(audio), n, size) * window
    power = np.abs(np.fft.rfft(frames, axis=2)[:, :, bins]) ** 2
    per_segment = max(1, round(_SEGMENT_SECONDS * 25))
    starts = np.arange(0, n, per_segment)
    if not n:
        return np.zeros((len(audio), 0, _BANDS))
    power = power.reshape(len(audio), n, _BANDS, -1).sum(axis=3)
    return np.add.reduceat(power, starts, axis=1)


def _highest_sound(audio: np.ndarray, sample_rate: int) -> float:
    """The upper end in Hz, in steps of 500, of the highest band of W that is not silent."""
    hz, density = scipy.signal.welch(audio[0], sample_rate, nperseg=min(2048, audio.shape[1]))
    band = (hz // 500).astype(int)
    level = 10 * np.log10(np.maximum(np.bincount(band, density) * hz[1], 1e-20))
    heard = np.flatnonzero(level > _SILENT_DBFS)
    return 500.0 * (heard[-1] + 1) if len(heard) else 0.0


# Against labels


def check_against(audio: np.ndarray, sample_rate: int, reference: pd.DataFrame) -> list[Finding]:
    """Whether the sound of a clip (4, S) comes from where its labels, a frame table, say; one finding.

    The directions of the intensity (``foa.direction_by_frame``) are compared with the labels in the label frames with exactly
    one event, for each of the 48 orders and signs of X, Y and Z. Looks at the first 120 s. Findings: "fits_labels" (ok),
    "not_compared" (ok: less than 2 s of such frames, or all of them in one line), "axes" (error: another order or other
    signs fit clearly better; with a fix) and "not_at_labels" (warning: none fits). Where labels leave an axis open, as Z
    when all lie in the horizontal plane, it is taken as it is. ValueError if the shape is not (4, S).
    """
    heard = foa.direction_by_frame(np.asarray(audio)[:, : MAX_SECONDS * sample_rate], sample_rate)
    heard, labelled = _single_frames(heard, reference)
    evidence: dict[str, float] = {"frames": len(heard)}
    if len(heard) < _MIN_FRAMES or np.linalg.eigvalsh(labelled.T @ labelled / len(heard))[1] < _MIN_SPREAD:
        what = "the labels have too few frames with one event, or too few directions, to compare the channels with"
        return [Finding("not_compared", "ok", what, evidence)]
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
    """Vectors heard and labelled, each (N, 3), in the frames with one event that are clear enough."""
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


def _axes_remedy(axes: np.ndarray) -> Remedy:
    """The remedy that turns the vectors (x, y, z) of a clip by a signed permutation (3, 3)."""
    order, gains = [0, 1, 2, 3], [1.0] * 4
    for to, row in zip(foa.XYZ_CHANNELS, axes):
        axis = int(np.argmax(np.abs(row)))
        order[to], gains[to] = foa.XYZ_CHANNELS[axis], float(row[axis])
    known = [c for c in CHOICES if (c.order, c.gains) == (tuple(order), tuple(gains))]
    signed = [("-" if gain < 0 else "") + name for name, gain in zip(CHANNELS, gains)]
    channels = ", ".join(signed[order.index(c)] for c in range(4))
    return known[0] if known else Remedy(tuple(order), tuple(gains), channels, f"channels {channels}")


def _what_is_wrong(fix: Remedy) -> str:
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
