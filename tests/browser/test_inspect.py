"""The app as a user sees it, in headless Chromium. Skipped where there is none, unless REQUIRE_BROWSER is set."""

import csv
import io
from pathlib import Path

import pytest

from support.browsing import (
    CHART,
    open_example,
    press_slider,
    settled,
    upload,
    wait_for_detections,
    wait_for_threshold,
    wav,
)

pytestmark = pytest.mark.browser


def trace(page, name):
    """x and y of a trace as drawn."""
    found = page.evaluate(
        f"""name => {{
            const charts = [...document.querySelectorAll('{CHART}')].filter(c => c._fullLayout && c.offsetParent);
            const t = charts[0]._fullData.find(t => t.name === name);
            return t && {{x: Array.from(t.x || []), y: Array.from(t.y || []), meta: t.meta}};
        }}""",
        name,
    )
    assert found is not None, name
    return found


def ranges(page):
    return page.evaluate(
        f"['xaxis','xaxis2','xaxis3','xaxis4'].map(a => document.querySelector('{CHART}')._fullLayout[a].range)"
    )


def test_example_shows_detections_beside_ground_truth(open_page):
    page = open_page()
    page.get_by_role("button", name="Try this example").nth(2).wait_for()
    settled(page)
    feet = {round(button.bounding_box()["y"]) for button in page.get_by_role("button", name="Try this example").all()}
    assert len(feet) == 1  # on one line, though the texts of the cards differ in length
    open_example(page, 0)
    assert trace(page, "detections")["x"] and trace(page, "truth")["x"]
    assert trace(page, "track 1 azimuth")["x"]
    assert page.locator("audio").count() == 1


def test_zoom_is_linked_and_stays_when_the_threshold_moves(open_page):
    page = open_page()
    open_example(page, 1)
    before = trace(page, "detections")
    page.evaluate(f"Plotly.relayout(document.querySelector('{CHART}'), {{'xaxis4.range': [2, 6]}})")
    assert ranges(page) == [[2, 6]] * 4
    press_slider(page, "ArrowRight", 6)
    wait_for_threshold(page, 0.8)
    page.wait_for_timeout(500)
    assert sum(trace(page, "detections")["x"]) < sum(before["x"])
    assert ranges(page) == [[2, 6]] * 4


def test_upload_with_ground_truth(open_page):
    page = open_page()
    truth = {"name": "4_channels.csv", "mimeType": "text/csv", "buffer": b"3,1,0,10,0\n4,1,0,10,0\n"}
    upload(page, wav(4), truth)
    page.get_by_text("4_channels.wav").first.wait_for()
    wait_for_detections(page)
    page.wait_for_function(f"document.querySelector('{CHART}').data.some(t => t.name === 'truth')")
    assert trace(page, "truth")["x"] == pytest.approx([0.2])


def test_a_stereo_file_gets_one_sentence(open_page):
    page = open_page()
    upload(page, wav(2))
    alert = page.locator("[data-testid=stAlert]")
    alert.wait_for()
    assert "2_channels.wav" in alert.inner_text() and "2 channels" in alert.inner_text()
    assert page.locator(CHART).count() == 0 and page.locator("[data-testid=stException]").count() == 0


@pytest.mark.full("long")
def test_download_is_what_is_drawn(open_page):
    page = open_page()
    open_example(page, 0)
    page.get_by_role("tab", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download detections").click()
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text())))
    drawn = sum(len(trace(page, f"track {m} azimuth")["x"]) for m in (1, 2))
    assert len(rows) == drawn and {len(row) for row in rows} == {5}


@pytest.mark.full("long")
def test_the_figure_is_saved_as_it_stands(open_page):
    page = open_page()
    open_example(page, 0)
    page.get_by_role("tab", name="Export").click()
    for kind, begins in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Figure ({kind})").click()
        assert download.value.suggested_filename == f"moving_dog.{kind.lower()}"
        content = Path(download.value.path()).read_bytes()
        assert content.startswith(begins) and len(content) > 20_000


def test_the_report_plays_and_its_cursor_follows(open_page, browser, tmp_path):
    page = open_page()
    open_example(page, 0)
    page.get_by_role("tab", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Report with sound (HTML)").click()
    download.value.save_as(tmp_path / "report.html")
    context = browser.new_context(viewport={"width": 1000, "height": 1400}, offline=True)
    report, problems = context.new_page(), []
    report.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    report.goto((tmp_path / "report.html").as_uri())
    report.locator("#figure-timeline .cursor").wait_for(state="attached")
    at, x, y = report.evaluate(
        """() => {
            const f = document.getElementById("figure-timeline"), { xaxis, _size } = f._fullLayout, box = f.getBoundingClientRect();
            return [5, box.left + xaxis._offset + xaxis.d2p(5), box.top + _size.t + 40];
        }"""
    )
    report.mouse.click(x, y)
    report.wait_for_function("at => document.querySelector('audio').currentTime > at + 0.3", arg=at)
    report.evaluate("document.querySelector('audio').pause()")
    report.wait_for_function(
        """() => {
            const f = document.getElementById("figure-timeline"), box = f.querySelector(".cursor").getBoundingClientRect();
            const { xaxis } = f._fullLayout, due = f.getBoundingClientRect().left + xaxis._offset;
            return Math.abs(box.left + 1 - due - xaxis.d2p(document.querySelector("audio").currentTime)) < 2;
        }"""
    )
    context.close()
    assert problems == []


def test_the_player_stays_in_view_beside_the_lower_panels(open_page):
    page = open_page()
    open_example(page, 1)
    panel = page.evaluate(f"document.querySelector('{CHART}')._fullLayout.yaxis4._offset")
    page.evaluate(f"document.querySelector('{CHART}').closest('[data-testid=stMain]').scrollTo(0, 430)")
    page.wait_for_function(
        f"""panel => {{
            const chart = document.querySelector('{CHART}').getBoundingClientRect();
            const player = document.querySelector('.st-key-player').getBoundingClientRect();
            return player.top >= 0 && player.bottom < chart.top + panel && chart.top + panel < innerHeight - 100;
        }}""",
        arg=panel,
    )


def test_an_event_of_the_table_is_played(open_page):
    page = open_page()
    open_example(page, 1)
    table = page.locator(".st-key-events [data-testid=stDataFrame]")
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 18, box["y"] + 35 + 35 * 2 + 17)  # the third event
    host = ".st-key-player [data-testid=stBidiComponentIsolated]"
    page.wait_for_function(f"() => Number(document.querySelector('{host}')?.dataset.time ?? 0) > 1")


def test_dark_and_narrow(open_page):
    page = open_page(color_scheme="dark")
    page.set_viewport_size({"width": 800, "height": 1000})
    open_example(page, 2)
    background = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    assert sum(int(v) for v in background[4:-1].split(",")) < 120
    paper = page.evaluate(f"document.querySelector('{CHART}')._fullLayout.font.color")
    assert paper not in ("#444", "black")
    page.wait_for_timeout(600)  # the theme redraws the figure; the detections must come back
    assert trace(page, "detections")["x"]
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0


def test_a_change_of_theme_changes_the_figure_and_keeps_the_detections(open_page):
    page = open_page(color_scheme="light")
    open_example(page, 1)
    drawn = trace(page, "detections")["x"]
    colours = []
    for scheme in ("light", "dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(1500)
        colours.append(page.evaluate(f"document.querySelector('{CHART}')._fullLayout.font.color"))
        assert trace(page, "detections")["x"] == drawn
    assert colours[0] == colours[2] != colours[1]


def test_back_forward_and_reload_keep_clip_page_and_threshold(open_page, new_page):
    page = open_page()
    open_example(page, 2)
    press_slider(page, "ArrowRight", 3)
    wait_for_threshold(page, 0.65)

    def at(path, sign):
        page.locator(sign).first.wait_for()
        page.wait_for_function("path => location.pathname === path", arg=path)
        page.wait_for_function("() => location.search.includes('example=two_of_a_kind')")
        page.get_by_text("Open: two_of_a_kind.flac").first.wait_for()
        page.wait_for_function(
            "() => [...document.querySelectorAll('.st-key-threshold input[type=range]')].some(e => Number(e.value) === 0.65)"
        )

    ribbons = ".st-key-ribbons .js-plotly-plot"
    page.get_by_role("link", name="Tracks", exact=True).click()
    at("/tracks", ribbons)
    page.reload()
    at("/tracks", ribbons)
    page.go_back()
    at("/", CHART)
    page.go_forward()
    at("/tracks", ribbons)
    # Streamlit asks below a page's own path first for the server's state, where there is none
    new_page.problems[:] = [text for text in new_page.problems if "404" not in text]


def test_sessions_do_not_share_a_clip(open_page):
    first, second = open_page(), open_page()
    open_example(first, 0)
    second.reload()
    second.get_by_text("See what a SELD network hears").wait_for()
    assert second.locator(CHART).count() == 0
