"""First-order ambisonics in ACN/SN3D: channels W, Y, Z, X, as in every DCASE SELD data set.

A plane wave from azimuth phi and elevation theta has the gains W = 1, Y = sin(phi) cos(theta), Z = sin(theta),
X = cos(phi) cos(theta). Signals are arrays (4, S).
"""

import numpy as np

from . import geometry

CHANNELS = ("W", "Y", "Z", "X")
XYZ_CHANNELS = (3, 1, 2)  # the audio channels that carry the x, y and z components


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


def steer(audio, azimuth, elevation) -> np.ndarray:
    """A cardioid beam (S,) towards a direction in degrees (one, or one per sample): (W + x X + y Y + z Z) / 2."""
    look = gains(azimuth, elevation)
    return 0.5 * np.sum(np.asarray(audio) * np.atleast_2d(look).T, axis=0)


def intensity_direction(audio) -> tuple[float, float]:
    """(azimuth, elevation) in degrees of the mean active intensity of a signal (4, S): the sum over time of W times X, Y, Z.

    Exact for one plane wave; with several sources the energy-weighted mean of their directions.
    """
    audio = np.asarray(audio, float)
    azimuth, elevation = geometry.to_angles(audio[list(XYZ_CHANNELS)] @ audio[0])
    return float(azimuth), float(elevation)
