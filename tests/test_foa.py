import numpy as np
import pytest

from einv2 import foa, geometry


@pytest.mark.parametrize(
    "azimuth, elevation, gains",
    [(0, 0, (1, 0, 0, 1)), (90, 0, (1, 1, 0, 0)), (0, 90, (1, 0, 1, 0)), (-90, 30, (1, -(0.75**0.5), 0.5, 0))],
)
def test_gains_in_acn_order(azimuth, elevation, gains):
    np.testing.assert_allclose(foa.gains(azimuth, elevation), gains, atol=1e-12)


def test_encode_shape_and_type(rng):
    encoded = foa.encode(rng.standard_normal(100).astype(np.float32), 30, 10)
    assert encoded.shape == (4, 100) and encoded.dtype == np.float32


def test_encode_follows_a_path(rng):
    mono = rng.standard_normal(4000)
    encoded = foa.encode(mono, np.linspace(0, 90, 4000), 0)
    assert foa.intensity_direction(encoded[:, :50])[0] == pytest.approx(0, abs=1)
    assert foa.intensity_direction(encoded[:, -50:])[0] == pytest.approx(90, abs=1)


def test_intensity_finds_the_direction(rng):
    for azimuth, elevation in [(33, -20), (-170, 45), (90, 0)]:
        assert foa.intensity_direction(foa.encode(rng.standard_normal(999), azimuth, elevation)) == pytest.approx(
            (azimuth, elevation), abs=1e-9
        )


def test_rotating_a_scene_rotates_its_direction(rng):
    turned = foa.rotate_z(foa.encode(rng.standard_normal(500), 100, 20), 120)
    azimuth, elevation = foa.intensity_direction(turned)
    assert geometry.wrap_azimuth(azimuth - 220) == pytest.approx(0, abs=1e-9)
    assert elevation == pytest.approx(20)


def test_a_beam_hears_its_direction_and_not_the_opposite(rng):
    mono = rng.standard_normal(500)
    encoded = foa.encode(mono, 60, 30)
    np.testing.assert_allclose(foa.steer(encoded, 60, 30), mono, atol=1e-12)
    np.testing.assert_allclose(foa.steer(encoded, -120, -30), 0, atol=1e-12)
