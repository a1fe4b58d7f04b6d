"""Directions: unit vectors (x front, y left, z up) and angles (azimuth counter-clockwise from the front, elevation up).

Angles are degrees, azimuth in [-180, 180), elevation in [-90, 90].
"""

import numpy as np


def to_vector(azimuth, elevation) -> np.ndarray:
    """Unit vectors (..., 3) of azimuth (...) and elevation (...) in degrees."""
    azimuth, elevation = np.broadcast_arrays(np.radians(azimuth), np.radians(elevation))
    return np.stack(
        [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)], axis=-1
    )


def to_angles(vector) -> tuple[np.ndarray, np.ndarray]:
    """(azimuth, elevation) in degrees, each (...), of vectors (..., 3) of any length; the zero vector gives (0, 0)."""
    x, y, z = np.moveaxis(np.asarray(vector, float), -1, 0)
    azimuth = np.degrees(np.arctan2(y, x))
    return wrap_azimuth(azimuth), np.degrees(np.arctan2(z, np.hypot(x, y)))


def wrap_azimuth(azimuth) -> np.ndarray:
    """Azimuth in degrees brought to [-180, 180)."""
    return (np.asarray(azimuth) + 180) % 360 - 180


def distance(a, b) -> np.ndarray:
    """Great-circle distance in degrees, [0, 180], between vectors a (..., 3) and b (..., 3) of any positive length.

    Kahan's formula: exact for small angles too, where the arc cosine of the dot product is not.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    a, b = a * _length(b), b * _length(a)
    return 2 * np.degrees(np.arctan2(_length(a - b), _length(a + b)))[..., 0]


def _length(vector: np.ndarray) -> np.ndarray:
    """(..., 3) -> (..., 1)."""
    return np.sqrt((vector**2).sum(-1, keepdims=True))


def angular_distance(azimuth_a, elevation_a, azimuth_b, elevation_b) -> np.ndarray:
    """Great-circle distance in degrees between directions given as angles in degrees."""
    return distance(to_vector(azimuth_a, elevation_a), to_vector(azimuth_b, elevation_b))


def rotate_z(vector, degrees: float) -> np.ndarray:
    """Vectors (..., 3) turned counter-clockwise about the vertical axis: azimuth grows by ``degrees``."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(vector) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def great_circle(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Unit vectors (N, 3) at a share (N,), 0 to 1, of the shorter way from directions a (N, 3) to b (N, 3).

    Between opposite directions, where every way is as short, the one through the left of a, seen from above.
    """
    a, b = (to_vector(*to_angles(v)) for v in (a, b))
    angle = np.radians(distance(a, b)) * share
    across = b - (a * b).sum(-1, keepdims=True) * a
    opposite = (np.linalg.norm(across, axis=-1) < 1e-6) & ((a * b).sum(-1) < 0)
    left = np.stack([-a[:, 1], a[:, 0], np.zeros(len(a))], axis=-1)
    left[np.hypot(a[:, 0], a[:, 1]) < 1e-6] = 0, 1, 0
    across[opposite] = left[opposite]
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-12)
    return np.cos(angle)[:, None] * a + np.sin(angle)[:, None] * across
