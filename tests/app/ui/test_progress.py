"""Progress of a part of a computation."""

import pytest

from app.ui import progress


def test_a_part_reports_its_share_of_the_whole():
    reports = []
    part = progress.part(lambda share, text: reports.append((share, text)), 0.5, 0.75)
    for share in (0.0, 0.4, 1.2):
        part(share, "now")
    assert reports == [(0.5, "now"), (pytest.approx(0.6), "now"), (0.75, "now")]
