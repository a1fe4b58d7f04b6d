"""The measurement of the pages: small clips, so that it is about what is measured, not how long it takes."""

import pytest

from app import bench


@pytest.mark.full("load")
@pytest.mark.browser
def test_what_a_user_waits_for_is_measured():
    found = bench.run(seconds=2, sessions=2, uploads=2)
    assert {"start_to_first_page_s", "upload_kb", "slider_to_redraw_s", "memory_4_uploads_mb"} <= found.keys()
    assert all(value > 0 for value in found.values())


@pytest.mark.full("load")
@pytest.mark.browser
def test_many_at_once_each_get_their_own_result():
    found = bench.load(seconds=5, sessions=4)
    assert found["sessions"] == 4 and found["failed"] == 0
    assert 0 < found["slider_p50_s"] <= found["slider_p95_s"] <= found["slider_p100_s"] < bench.LOAD_WAIT_SECONDS
    assert 0 < found["memory_before_mb"] <= found["memory_peak_mb"] < found["memory_before_mb"] + 4 * 200
