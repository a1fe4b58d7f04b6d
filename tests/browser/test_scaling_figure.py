"""The figure of how time and memory grow, as the picture that the README shows."""

import pytest

from app import bench
from app.plots.scaling import scaling

pytestmark = pytest.mark.browser
LENGTH = [{"minutes": m, "seconds": 0.4 * m, "memory_mb": 500.0} for m in (1, 10, 60)]
CLIPS = [{"processes": p, "clips": n, "seconds": 0.5 * n / p, "memory_mb": 450.0} for p in (1, 2) for n in (4, 8)]


def test_the_figure_is_drawn_as_svg(browser):
    svg = bench.as_svg(scaling(LENGTH, CLIPS), browser)
    assert svg.startswith("<svg") and "number of clips" in svg
