import numpy as np
import pytest

from einv2 import geometry


@pytest.mark.parametrize(
    "azimuth, elevation, vector",
    [
        (0, 0, (1, 0, 0)),
        (90, 0, (0, 1, 0)),
        (-180, 0, (-1, 0, 0)),
        (0, 90, (0, 0, 1)),
        (-90, -45, (0, -(0.5**0.5), -(0.5**0.5))),
    ],
)
def test_axes(azimuth, elevation, vector):
    np.testing.assert_allclose(geometry.to_vector(azimuth, elevation), vector, atol=1e-12)


def test_angles_invert_vectors(rng):
    azimuth, elevation = rng.uniform(-180, 180, 500), rng.uniform(-89, 89, 500)
    back = geometry.to_angles(3.7 * geometry.to_vector(azimuth, elevation))
    np.testing.assert_allclose(back, (azimuth, elevation), atol=1e-9)


def test_azimuth_180_becomes_minus_180():
    assert geometry.wrap_azimuth(180) == -180
    assert geometry.wrap_azimuth(-540) == -180
    assert geometry.to_angles([-1.0, 0.0, 0.0])[0] == -180


@pytest.mark.parametrize(
    "a, b, degrees",
    [((0, 0), (90, 0), 90), ((179, 0), (-179, 0), 2), ((0, 90), (123, 90), 0), ((10, 60), (-170, 60), 60)],
)
def test_great_circle(a, b, degrees):
    assert geometry.angular_distance(*a, *b) == pytest.approx(degrees, abs=1e-9)


def test_small_distances_are_exact():
    assert geometry.angular_distance(0, 0, 1e-6, 0) == pytest.approx(1e-6, rel=1e-6)


def test_rotation_about_z_adds_to_azimuth(rng):
    azimuth, elevation = rng.uniform(-180, 180, 20), rng.uniform(-80, 80, 20)
    turned = geometry.to_angles(geometry.rotate_z(geometry.to_vector(azimuth, elevation), 50))
    np.testing.assert_allclose(geometry.wrap_azimuth(turned[0] - azimuth - 50), 0, atol=1e-9)
    np.testing.assert_allclose(turned[1], elevation, atol=1e-9)
