"""First-order ambisonics in ACN/SN3D: channels W, Y, Z, X, as in every DCASE SELD data set.

A plane wave from azimuth phi and elevation theta has the gains W = 1, Y = sin(phi) cos(theta), Z = sin(theta),
X = cos(phi) cos(theta). Signals are arrays (4, S).

The direction of sound is estimated, without a network, from the active intensity of each frequency, I = Re(W* (X, Y, Z)), which points
to the source, and by the energy density E = (|W|^2 + |X|^2 + |Y|^2 + |Z|^2) / 2, both averaged over a label frame: |I| / E, one
minus the diffuseness of V. Pulkki, "Spatial Sound Reproduction with Directional Audio Coding", J. Audio Eng. Soc. 55(6), 2007,
is 1 for one plane wave and falls towards 0 where sound from many directions meets.
"""

import numpy as np
import scipy.fft
import scipy.signal

from .. import geometry
from ..frames import LABEL_FRAMES_PER_SECOND

CHANNELS = ("W", "Y", "Z", "X")
XYZ_CHANNELS = (3, 1, 2)  # the audio channels that carry the x, y and z components
BAND_HZ = (
    100,
    8000,
)  # of the energy maps: below, rooms blur directions; above, the capsules of a microphone are too far apart
DISPLAY_DB = 30  # below the loudest, the range of a picture

_WINDOWS = 4  # in a label frame, each 2/5 of it long, overlapping by half
_TINY = 1e-30


def gains(azimuth, elevation) -> np.ndarray:
    """SN3D gains (..., 4) in the order W, Y, Z, X of a plane wave from a direction in degrees."""
    x, y, z = np.moveaxis(geometry.to_vector(azimuth, elevation), -1, 0)
    return np.stack([np.ones_like(x), y, z, x], axis=-1)


def encode(mono, azimuth, elevation) -> np.ndarray:
    """FOA signal (4, S) of a mono signal (S,) from one direction, or from one direction per sample ((S,) degrees)."""
    mono = np.asarray(mono)
    return (np.broadcast_to(gains(azimuth, elevation), (len(mono), 4)) * mono[:, None]).T.astype(mono.dtype)


def rotate_z(audio, degrees: float) -> np.ndarray:
    """The scene (4, S) turned counter-clockwise about the vertical axis: every azimuth grows by ``degrees``."""
    rotated = np.array(audio)
    vectors = geometry.rotate_z(np.asarray(audio)[list(XYZ_CHANNELS)].T, degrees)
    rotated[list(XYZ_CHANNELS)] = vectors.T
    return rotated


def steer(audio, azimuth, elevation, omni: float = 0.5) -> np.ndarray:
    """A beam (S,) towards a direction in degrees (one, or one per sample): omni W + (1 - omni) (x X + y Y + z Z).

    omni: 0.5 is a cardioid, with a null in the opposite direction; 0.25 the hypercardioid, which picks up the least diffuse sound.
    """
    look = gains(azimuth, elevation) * np.array([omni, 1 - omni, 1 - omni, 1 - omni])
    return np.sum(np.asarray(audio) * np.atleast_2d(look).T, axis=0)


def intensity_direction(audio) -> tuple[float, float]:
    """(azimuth, elevation) in degrees of the mean active intensity of a signal (4, S): the sum over time of W times X, Y, Z.

    Exact for one plane wave; with several sources the energy-weighted mean of their directions.
    """
    audio = np.asarray(audio, float)
    azimuth, elevation = geometry.to_angles(audio[list(XYZ_CHANNELS)] @ audio[0])
    return float(azimuth), float(elevation)


# What comes from where, label frame by label frame


def energy_maps(
    block, sample_rate: int, n_azimuths: int = 72, rows: int = 12, columns: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """(``energy_by_azimuth``, ``energy_on_sphere``) of a block (4, S) from one analysis."""
    azimuth, elevation, energy = _directed_energy(block, sample_rate)
    return _by_azimuth(azimuth, energy, n_azimuths), _on_sphere(azimuth, elevation, energy, rows, columns)


def energy_by_azimuth(block, sample_rate: int, n_azimuths: int = 72) -> np.ndarray:
    """The sound of each azimuth in each label frame, (T, n_azimuths) float32 mean squares re full scale.

    block: (4, S); a last label frame in part is filled up with silence. Column k covers azimuths from -180 + 360 k / n_azimuths
    degrees, as ``azimuth_centres`` has it. A histogram: every frequency from 100 to 8000 Hz, in steps of 25, adds its energy
    in W times (|I| / E)^2 to the direction of its intensity I, so that diffuse sound counts little and several sources are
    separated where they sound at different frequencies. Label frames are analysed each on their own: maps of blocks of
    whole label frames, joined, are the map of the whole. ValueError if the shape is not (4, S), or if 100 ms are not a whole
    number of samples.
    """
    azimuth, _, energy = _directed_energy(block, sample_rate)
    return _by_azimuth(azimuth, energy, n_azimuths)


def energy_on_sphere(block, sample_rate: int, rows: int = 12, columns: int = 24) -> np.ndarray:
    """The same as a picture of the sphere seen from within, (T, rows, columns) float32 mean squares re full scale.

    Row 0 is the highest, from elevation 90 degrees downwards; column 0 begins at azimuth 180 and they fall to -180, so that
    left is left. Cells are equal in degrees, not in area.
    """
    return _on_sphere(*_directed_energy(block, sample_rate), rows, columns)


def azimuth_centres(n_azimuths: int = 72) -> np.ndarray:
    """The middle of each column of ``energy_by_azimuth``, (n_azimuths,) degrees, rising."""
    return (np.arange(n_azimuths) + 0.5) * 360 / n_azimuths - 180


def to_pixels(energy, loudest: float | None = None, range_db: float = DISPLAY_DB) -> np.ndarray:
    """Energies of any shape as uint8 for display: 255 at the loudest, 0 at ``range_db`` below it and at silence, linear in dB.

    loudest: the energy shown as 255; None takes the largest of ``energy``.
    """
    energy = np.asarray(energy, float)
    loudest = float(energy.max(initial=0)) if loudest is None else loudest
    if not loudest > 0:
        return np.zeros(energy.shape, np.uint8)
    below = 10 * np.log10(np.maximum(energy / loudest, _TINY))
    return np.rint(np.clip(1 + below / range_db, 0, 1) * 255).astype(np.uint8)


def direction_by_frame(block, sample_rate: int) -> np.ndarray:
    """The direction of each label frame of a block (4, S): vectors (T, 3), components x, y, z, of zero length in silence.

    The sum over frequencies of I / sqrt(E) times (|I| / E)^2: like an amplitude, so that one loud frequency does not outweigh
    all others, and diffuse sound counts little.
    """
    intensity, power = _averages(block, sample_rate)
    density = np.maximum(power.sum(axis=0) / 2, _TINY)[..., None]
    direct = np.linalg.norm(intensity, axis=-1, keepdims=True) / density
    return np.sum(intensity / np.sqrt(density) * np.square(direct), axis=1, dtype=float)


def directness(block, sample_rate: int) -> float:
    """|I| / E, each summed over all bins and label frames of a block (4, S), in [0, 1]; 0 for silence.

    Near 1 for plane waves that take turns; about 0.3 for diffuse sound and for four unrelated signals of the energies that
    it has, because the average over a label frame is short.
    """
    intensity, power = _averages(block, sample_rate)
    return float(np.linalg.norm(intensity, axis=-1).sum(dtype=float) / max(power.sum(dtype=float) / 2, _TINY))


def _directed_energy(block, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(azimuth, elevation, energy), each (T, bins): the direction of every bin in degrees and what it adds there."""
    intensity, power = _averages(block, sample_rate)
    x, y, z = np.moveaxis(intensity, -1, 0)
    across = np.hypot(x, y)
    direct = np.hypot(across, z) / np.maximum(power.sum(axis=0) / 2, _TINY)
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, across)), power[0] * np.square(direct)


def _averages(block, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Over each label frame, the intensity (T, bins, 3) and the powers of the channels (4, T, bins)."""
    spectra = _spectra(block, sample_rate)
    intensity = [(spectra[0].conj() * spectra[c]).real.sum(axis=1) for c in XYZ_CHANNELS]
    return np.stack(intensity, axis=-1), np.square(np.abs(spectra)).sum(axis=2)


def _spectra(block, sample_rate: int) -> np.ndarray:
    """Spectra (4, T, windows, bins) of the windows inside each label frame; the squares of a frame add up to its mean square."""
    frames = _in_label_frames(block, sample_rate)
    size = 2 * frames.shape[2] // 5
    window = scipy.signal.windows.hann(size, sym=False).astype(np.float32)
    window *= np.sqrt(2 / (size * _WINDOWS * np.sum(window**2)))
    parts = np.lib.stride_tricks.sliding_window_view(frames, size, axis=2)[:, :, :: size // 2][:, :, :_WINDOWS]
    low, high = (round(hz * size / sample_rate) for hz in BAND_HZ)
    return scipy.fft.rfft(parts * window, axis=-1)[..., low : high + 1]


def _in_label_frames(block, sample_rate: int) -> np.ndarray:
    """A block (4, S) as (4, T, samples of a label frame) float32, the last frame filled up with zeros."""
    block = np.asarray(block, np.float32)
    if block.ndim != 2 or len(block) != 4:
        raise ValueError(f"block must have the shape (4, samples), not {block.shape}")
    if sample_rate % LABEL_FRAMES_PER_SECOND:
        raise ValueError(f"sample_rate {sample_rate} Hz does not hold a whole number of samples in 100 ms")
    size = sample_rate // LABEL_FRAMES_PER_SECOND
    return np.pad(block, ((0, 0), (0, -block.shape[1] % size))).reshape(4, -1, size)


def _by_azimuth(azimuth: np.ndarray, energy: np.ndarray, n_azimuths: int) -> np.ndarray:
    return _histogram(_cell((azimuth + 180) / 360, n_azimuths) % n_azimuths, energy, n_azimuths)


def _on_sphere(azimuth: np.ndarray, elevation: np.ndarray, energy: np.ndarray, rows: int, columns: int) -> np.ndarray:
    row = np.clip(_cell((90 - elevation) / 180, rows), 0, rows - 1)
    column = _cell((180 - azimuth) / 360, columns) % columns
    return _histogram(row * columns + column, energy, rows * columns).reshape(-1, rows, columns)


def _cell(share: np.ndarray, n: int) -> np.ndarray:
    return np.floor(share * n).astype(np.int64)


def _histogram(cell: np.ndarray, energy: np.ndarray, n_cells: int) -> np.ndarray:
    """The energies (T, N) added up by their cell (T, N), in [0, n_cells), in each of the T frames: (T, n_cells) float32."""
    cell = cell + n_cells * np.arange(len(cell))[:, None]
    sums = np.bincount(cell.ravel(), energy.ravel(), minlength=n_cells * len(cell))
    return sums.reshape(-1, n_cells).astype(np.float32)
