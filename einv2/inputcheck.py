"""Is a clip what the network expects: ACN/SN3D first-order ambisonics at a sensible level?

Only what the samples can prove is reported. In SN3D the channels Y, Z and X together carry as much energy as W,
whatever the directions and the number of sources, as long as these are incoherent: a plane wave has gains with
Y^2 + Z^2 + X^2 = W^2, and a diffuse field a third of W^2 in each. That ratio tells other gains and other signals apart.
The order of Y, Z and X cannot be told from the samples: exchanging them gives another scene that is just as possible.
"""

from dataclasses import dataclass, field

import numpy as np

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
_RATIO_WEAK = 0.02


@dataclass(frozen=True)
class Finding:
    """One result of the check. evidence: names to numbers or channel names; remedy: what to do, empty if nothing."""

    code: str
    level: str  # "ok", "warning" or "error"
    message: str
    evidence: dict = field(default_factory=dict)
    remedy: str = ""


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
    findings = [*_clipping(audio), *_over_full_scale(peak_dbfs)]
    findings += _copies(audio, energy) or _dead(energy, ratios) or _gains(ratios)
    if findings:
        return findings
    evidence = {"peak_dbfs": round(peak_dbfs, 1)}
    if ratios is None:
        return [Finding("ok", "ok", "nothing speaks against ACN/SN3D first-order ambisonics", evidence)]
    evidence["ratio"] = round(float(ratios[0]), 2)
    return [Finding("ok", "ok", "the channels fit ACN/SN3D first-order ambisonics", evidence)]


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
        )
    ]


def _copies(audio: np.ndarray, energy: np.ndarray) -> list[Finding]:
    """A channel equal to W says that every sound comes along that axis; then the other two must be silent."""
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
    return []


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


def _gains(ratios: np.ndarray | None) -> list[Finding]:
    """Channels whose energies do not fit SN3D with W first."""
    if ratios is None or _RATIO_WEAK <= ratios[0] <= _RATIO_STRONG:
        return []
    evidence = {"ratio": round(float(ratios[0]), 3)}
    if ratios[0] < _RATIO_WEAK:
        what = f"channels Y, Z, X carry only {ratios[0]:.1%} of the energy of W: hardly any direction in the clip"
        return [Finding("weak_directions", "warning", what, evidence, "check that the file is not a mono recording")]
    remedy = "export as ACN/SN3D (AmbiX) ambisonics, channels in the order W, Y, Z, X"
    if len(fitting := [c + 1 for c in (1, 2, 3) if 0.8 < ratios[c] < 1.25]) == 1:
        evidence["could_be_w"] = fitting[0]
        remedy += f"; channel {fitting[0]} may be W here"
    what = (
        f"channels Y, Z, X carry {ratios[0]:.1f} times the energy of W; SN3D has 1, FuMa 2, N3D and raw microphones 3"
    )
    return [Finding("not_sn3d", "warning", what, evidence, remedy)]


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
    """Energies (4, segments, bands) from windows of 40 ms, so in bins of 25 Hz."""
    size = sample_rate // 25
    n = audio.shape[1] // size
    bins = np.arange(*_BAND_HZ, 25) // 25
    window = np.hanning(size).astype(np.float32)
    frames = audio[:, : n * size].reshape(4, n, size) * window
    power = np.abs(np.fft.rfft(frames, axis=2)[:, :, bins]) ** 2
    per_segment = max(1, round(_SEGMENT_SECONDS * 25))
    starts = np.arange(0, n, per_segment)
    if not n:
        return np.zeros((4, 0, _BANDS))
    power = power.reshape(4, n, _BANDS, -1).sum(axis=3)
    return np.add.reduceat(power, starts, axis=1)
