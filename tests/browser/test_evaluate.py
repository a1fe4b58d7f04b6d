"""The Evaluate page as a user sees it, in headless Chromium."""

import json
from pathlib import Path

import pytest

from support.browsing import settled

pytestmark = pytest.mark.browser


@pytest.fixture
def scored(open_page):
    """A page on which the examples are scored."""

    def open_(**options):
        page = open_page(**options)
        page.get_by_role("link", name="Evaluate").click()
        page.get_by_role("button", name="Score the examples").click()
        page.get_by_text("Errors behind: all errors").wait_for()
        return page

    return open_


def chart(page, key):
    page.wait_for_function(
        f"() => [...document.querySelectorAll('.st-key-{key} .js-plotly-plot')].some(c => c._fullLayout && c.offsetParent)"
    )
    return page.locator(f".st-key-{key} .js-plotly-plot").last


def choose_view(page, name):
    page.locator(".st-key-evaluate_view").get_by_text(name, exact=True).click()


def test_a_click_on_a_bar_lists_the_errors_behind_it(scored):
    page = scored()
    bars = chart(page, "errors_all")
    bars.scroll_into_view_if_needed()
    place = bars.evaluate(
        """c => {
            const missed = c.querySelectorAll('.trace.bars')[c._fullData.findIndex(t => t.name === 'missed')];
            const box = missed.querySelector('path').getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }"""
    )
    page.mouse.click(*place)
    page.get_by_text("Errors behind: missed").wait_for()
    page.get_by_role("button", name="Show all errors").click()
    page.get_by_text("Errors behind: all errors").wait_for()


def place_of(figure, choose):
    """Where the first mark of the last trace is that ``choose``, an expression of its customdata d, takes, and that customdata.

    Asked until it is the same twice: what is drawn above a figure moves it.
    """
    before, place = None, _place_of(figure, choose)
    while place != before:
        figure.page.wait_for_timeout(300)
        before, place = place, _place_of(figure, choose)
    return place


def _place_of(figure, choose):
    return figure.evaluate(
        """(c, choose) => {
            const t = c._fullData[c._fullData.length - 1], box = c.getBoundingClientRect();
            const i = [...t.customdata].findIndex(new Function('d', 'return ' + choose));
            const {xaxis, yaxis} = c._fullLayout;
            const x = box.x + xaxis._offset + xaxis.d2p(t.x[i]), y = box.y + yaxis._offset + yaxis.d2p(t.y[i]);
            return [x, y, t.customdata[i]];
        }""",
        choose,
    )


def test_a_click_on_a_cell_or_a_dot_lists_the_errors_behind_it(scored):
    page = scored()
    matrix = chart(page, "confusion")
    matrix.scroll_into_view_if_needed()
    x, y, (true, heard) = place_of(matrix, "d[0] !== 'nothing' && d[1] === 'nothing'")
    page.mouse.click(x, y)
    page.get_by_text(f"Errors behind: {true} heard as {heard}").wait_for()
    choose_view(page, "Conditions")
    dots = chart(page, "condition_polyphony")
    dots.scroll_into_view_if_needed()
    system = dots.evaluate("c => c._fullData[c._fullData.length - 1].name")
    x, y, group = place_of(dots, "d === 'one event'")
    page.mouse.click(x, y)
    page.get_by_text(f"Errors behind: {group}, all errors").wait_for()
    shown = "e => e.innerText.includes(system) || [...e.querySelectorAll('input')].some(i => i.value === system)"
    page.wait_for_function(  # the dot's system
        f"system => [...document.querySelectorAll('.st-key-evaluate_system')].some({shown})", arg=system
    )


@pytest.mark.full("long")
def test_an_error_opens_on_the_inspect_page_at_its_moment_with_its_network(scored):
    page = scored()
    page.locator(".st-key-evaluate_system").get_by_role("combobox").click()
    page.get_by_role("option", name="einv2-nopit", exact=True).click()
    settled(page)
    table = page.locator(".st-key-evaluate_events [data-testid=stDataFrame]")
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 18, box["y"] + 35 + 17)
    button = page.get_by_role("button", name="on the Inspect page")
    button.wait_for()
    stem, _, moment = button.inner_text().split("Open ")[1].partition(" at ")
    onset = float(moment.split(" s")[0])
    button.click()
    page.get_by_text("Shown around the error").wait_for()
    page.get_by_text(f"{stem}.flac").first.wait_for()
    assert "networks=einv2-nopit" in page.url
    page.get_by_text("Shown around the error of einv2-nopit").wait_for()
    assert page.locator(".st-key-networks").inner_text().split()[1:] == ["einv2-nopit"]
    chart(page, "timeline")
    start, end = page.evaluate("document.querySelector('.st-key-timeline .js-plotly-plot')._fullLayout.xaxis.range")
    assert start <= onset <= end < 12 and end - start < 10
    page.get_by_role("button", name="Show the whole clip").click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.st-key-timeline .js-plotly-plot')].some("
        "c => c._fullLayout && c.offsetParent && c._fullLayout.xaxis.range[1] > 9)"
    )
    page.get_by_role("link", name="Evaluate").click()
    page.get_by_text("Errors behind: all errors").wait_for()  # the results are still there


@pytest.mark.full("long")
def test_the_report_is_one_file_that_asks_nobody(scored, browser, tmp_path):
    page = scored()
    choose_view(page, "Export")
    with page.expect_download() as download:
        page.get_by_role("button", name="Report (HTML, one file)").click()
    file = tmp_path / "report.html"
    file.write_bytes(Path(download.value.path()).read_bytes())
    requests = []
    context = browser.new_context()
    report = context.new_page()
    report.on("request", lambda r: requests.append(r.url))
    report.goto(file.as_uri())
    report.wait_for_function("() => document.querySelectorAll('.js-plotly-plot .main-svg').length > 3")
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()
    with page.expect_download() as download:
        page.get_by_role("button", name="All measures (JSON)").click()
    measures = json.loads(Path(download.value.path()).read_text())["systems"]["einv2"]["measures"]
    assert 0 < measures["dcase2020"]["F"] <= 1


@pytest.mark.full("width of pages")
@pytest.mark.parametrize("width, scheme", [(800, "dark"), (1400, "light")])
def test_no_view_is_wider_than_the_window(scored, width, scheme):
    page = scored(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 1000})
    for view in ("Errors", "Classes", "Conditions", "Directions", "Tracks", "Probabilities", "Clips", "Export"):
        choose_view(page, view)
        page.wait_for_timeout(800)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, view
        assert page.locator("[data-testid=stException]").count() == 0, view
