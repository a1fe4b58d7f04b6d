"""The Scenes page as a user sees it, in headless Chromium."""

import json
from pathlib import Path

import pytest

from einv2.simulate import specification as scenes
from support.browsing import WAIT_MS

pytestmark = pytest.mark.browser
CELL = 35  # pixels of a row of a table


@pytest.fixture
def composed(open_page):
    """The page of scenes as it begins."""

    def open_(**options):
        page = open_page(**options)
        page.get_by_role("link", name="Scenes").click()
        map_of(page)
        return page

    return open_


def chart(page, selector):
    page.wait_for_function(
        f"() => [...document.querySelectorAll('{selector} .js-plotly-plot')].some(c => c._fullLayout && c.offsetParent)"
    )
    return page.locator(f"{selector} .js-plotly-plot").last


def map_of(page):
    return chart(page, "[class*=st-key-scene_map]")


DRAWN = (
    "[...document.querySelectorAll('[class*=st-key-scene_map] .js-plotly-plot')]"
    ".filter(c => c._fullLayout && c.offsetParent)"
)


def starts(page):
    """Azimuths and elevations of the sources on the map."""
    return page.evaluate(
        f"""() => {{
            const trace = {DRAWN}.at(-1)?._fullData.at(-1);
            return trace ? [...trace.x].map((x, i) => [x, trace.y[i]]) : [];
        }}"""
    )


def click_map(page, azimuth, elevation):
    page.evaluate(f"() => {DRAWN}.at(-1).scrollIntoView({{block: 'center'}})")
    page.wait_for_timeout(500)
    place = page.evaluate(
        f"""([a, e]) => {{
            const c = {DRAWN}.at(-1), box = c.getBoundingClientRect();
            const x = c._fullLayout.xaxis, y = c._fullLayout.yaxis;
            return [box.x + x._offset + x.d2p(a), box.y + y._offset + y.d2p(e)];
        }}""",
        [azimuth, elevation],
    )
    page.mouse.move(place[0] - 3, place[1])
    page.mouse.move(*place)
    page.wait_for_timeout(300)
    page.mouse.click(*place)


def wait_for_chosen(page, n):
    """Until the map, which comes anew with every change, shows a source as chosen."""
    page.wait_for_function(f"() => {DRAWN}.at(-1)?._fullData.at(-1).marker.line.width[{n}] === 3")


def wait_for_start(page, n, where):
    for _ in range(WAIT_MS // 200):
        found = starts(page)
        if len(found) > n and found[n] == where:
            return
        page.wait_for_timeout(200)
    raise AssertionError((where, starts(page)))


def render(page):
    page.get_by_role("button", name="Render", exact=True).click()
    return chart(page, ".st-key-scene_truth")


def test_a_click_on_the_map_sets_the_chosen_direction(composed):
    page = composed()
    assert starts(page)[0] == [60, 10]
    page.locator(".st-key-scene_target input").click()
    page.get_by_text("the start of source 1 (ringing phone)").click()
    wait_for_chosen(page, 0)
    click_map(page, 135, -45)
    wait_for_start(page, 0, [135, -45])
    wait_for_chosen(page, 0)
    click_map(page, -90, 30)  # and once more
    wait_for_start(page, 0, [-90, 30])
    assert starts(page)[1] == [-110, 0]


def test_a_click_on_the_map_places_a_source_of_the_chosen_class(composed):
    page = composed()
    page.locator(".st-key-scene_new_class input").click()
    page.get_by_role("option", name="piano").click()
    click_map(page, -60, 45)
    wait_for_start(page, 2, [-60, 45])
    assert starts(page)[:2] == [[60, 10], [-110, 0]]
    assert "3: piano" in page.evaluate(f"() => {DRAWN}.at(-1)._fullData.at(-1).customdata[2]")


def test_a_cell_of_the_table_is_edited(composed):
    page = composed()
    table = page.locator("[class*=st-key-scene_sources] [data-testid=stDataFrame]")
    said = page.get_by_text("Source 1: the onset at 11 s is not within the 10 s of the scene.")
    for _ in range(8):  # a table that is being drawn anew moves, and drops what is typed into it
        box = table.bounding_box()
        page.mouse.dblclick(box["x"] + 33 + 140 + 100 + 70 + 50, box["y"] + CELL + CELL / 2)
        page.wait_for_timeout(1000)
        if page.evaluate("['INPUT', 'TEXTAREA'].includes(document.activeElement.tagName)"):
            page.keyboard.press("Control+A")
            page.keyboard.type("11", delay=80)
            page.keyboard.press("Enter")
        page.wait_for_timeout(2000)
        if said.count():
            break
    said.wait_for()
    assert page.get_by_role("button", name="Render", exact=True).is_disabled()


def test_a_scene_is_rendered_heard_downloaded_and_opened(composed):
    page = composed()
    render(page)
    page.wait_for_function("() => document.querySelector('audio')?.readyState >= 2")
    seen = "() => { const top = document.querySelector('.st-key-scene_result h4').getBoundingClientRect().top;"
    page.wait_for_function(f"{seen} return top > 0 && top < innerHeight / 2 }}")  # it was scrolled to
    assert page.evaluate("document.querySelector('audio').duration") == pytest.approx(10, abs=0.1)
    sizes = {}
    for name in ("Clip (FLAC)", "Truth (CSV)", "Its specification (JSON)"):
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        data = Path(download.value.path()).read_bytes()
        sizes[download.value.suggested_filename.rsplit(".")[-1]] = len(data)
        if name.startswith("Its"):
            assert scenes.from_text(data).seconds == json.loads(data)["seconds"] == 10
    assert sizes.keys() == {"flac", "csv", "json"} and sizes["flac"] > 100_000 and sizes["csv"] > 500
    stem = page.locator("h4").first.inner_text()
    page.get_by_role("button", name="Open in Inspect").click()
    page.get_by_text(f"{stem}.flac").first.wait_for()
    chart(page, ".st-key-timeline")
    page.get_by_role("link", name="Scenes").click()
    chart(page, ".st-key-scene_truth")  # it is still there


def test_a_random_scene_is_drawn(composed):
    page = composed()
    page.get_by_role("button", name="Random scene").click()
    page.get_by_role("button", name="Draw", exact=True).click()
    page.wait_for_function(f"() => {DRAWN}.at(-1)?._fullData.at(-1).x.length === 6")


@pytest.mark.parametrize("width, scheme", [(800, "dark"), (1400, "light")])
def test_nothing_is_wider_than_the_window(composed, width, scheme):
    page = composed(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 1000})
    words = page.get_by_role("button", name="Render", exact=True).evaluate("button => getComputedStyle(button).color")
    assert words == ("rgb(14, 20, 26)" if scheme == "dark" else "rgb(255, 255, 255)")  # on bright and on dark teal
    render(page)
    for view in ("One scene", "Training set"):
        page.get_by_text(view, exact=True).click()
        page.get_by_text("Kept sets" if view == "Training set" else "A click on the map sets").wait_for()
        wide = "document.querySelector('[data-testid=stMain]').scrollWidth"
        assert page.evaluate(wide) <= width
