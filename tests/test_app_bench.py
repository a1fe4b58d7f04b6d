"""The measurement of the pages: small clips, so that it is about what is measured, not how long it takes."""

import pytest

from app import bench


@pytest.mark.browser
def test_what_a_user_waits_for_is_measured():
    found = bench.run(seconds=2, sessions=2, uploads=2)
    assert {"start_to_first_page_s", "upload_kb", "slider_to_redraw_s", "memory_4_uploads_mb"} <= found.keys()
    assert all(value > 0 for value in found.values())
