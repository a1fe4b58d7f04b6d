"""The Tracks page as a user sees it, in headless Chromium."""

import pytest

pytestmark = pytest.mark.browser

CHART = ".st-key-ribbons .js-plotly-plot"
HOST = ".st-key-tracks_player [data-testid=stBidiComponentIsolated]"
DRAWN = f"""() => [...document.querySelectorAll('{CHART}')].some(
    c => c._fullLayout && c.offsetParent && c.data.some(t => t.name === 'segments' && t.meta && t.x.length))"""


@pytest.fixture
def opened(open_page):
    """The page with an example on it."""

    def open_(**options):
        page = open_page(**options)
        page.get_by_role("link", name="Tracks").click()
        page.get_by_text("Which event does each output track follow?").wait_for()
        page.get_by_role("button", name="Try this example").nth(2).click()
        page.wait_for_function(DRAWN)
        page.get_by_text("What these measures are").wait_for()
        page.wait_for_function("() => document.querySelector('.st-key-tracks_listen audio')?.readyState >= 2")
        settled(page)
        return page

    return open_


def settled(page):
    page.wait_for_timeout(500)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")


def choose_view(page, name, kind="view"):
    page.locator(f".st-key-tracks_{kind}").get_by_text(name, exact=True).click()
    settled(page)


def a_mark(page, most):
    """Where the first mark of a kind that there is lies in the window, and what is to be heard, before ``most`` seconds."""
    return page.evaluate(
        f"""most => {{
            const c = [...document.querySelectorAll('{CHART}')].find(c => c._fullLayout && c.offsetParent);
            const box = c.getBoundingClientRect(), {{xaxis, yaxis}} = c._fullLayout;
            for (const kind of ['swap', 'fragment', 'duplicate']) {{
                const t = c.data.find(t => t.name === kind), i = t.x.findIndex((x, i) => t.customdata[i][1] < most);
                const x = box.left + xaxis._offset + xaxis.d2p(t.x[i]), y = box.top + yaxis._offset + yaxis.d2p(t.y[i]);
                if (i >= 0) return {{x, y, heard: t.customdata[i]}};
            }}
        }}""",
        most,
    )


def test_a_mark_is_clicked_and_heard(opened):
    page = opened()
    page.locator(CHART).last.scroll_into_view_if_needed()
    mark = a_mark(page, 12)
    before = page.evaluate(f"document.querySelector('{CHART}')._fullLayout._uid")
    page.mouse.click(mark["x"], mark["y"])
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'true'")
    start, end = mark["heard"][:2]
    at = page.evaluate(f"Number(document.querySelector('{HOST}').dataset.time)")
    assert start - 0.1 <= at <= end + 0.1
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'false'")
    at = page.evaluate(f"Number(document.querySelector('{HOST}').dataset.time)")
    assert at == pytest.approx(end, abs=0.15)
    page.mouse.move(mark["x"] + 200, mark["y"] + 150)
    page.mouse.click(mark["x"], mark["y"])  # once more
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'true'")
    assert page.evaluate(f"document.querySelector('{CHART}')._fullLayout._uid") == before  # the same figure


@pytest.mark.full("long")
def test_a_row_of_the_differences_is_heard(opened):
    page = opened()
    choose_view(page, "Differences")
    table = page.locator(".st-key-tracks_differences [data-testid=stDataFrame]")
    table.wait_for()
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 18, box["y"] + 35 + 17)
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'true'")


@pytest.mark.full("long")
def test_the_threshold_keeps_the_figure_and_its_zoom(opened):
    page = opened()
    page.evaluate(f"Plotly.relayout(document.querySelector('{CHART}'), {{'xaxis.range': [2, 9]}})")
    state = f"document.querySelector('{CHART}').data.find(t => t.name === 'segments').meta"
    before = page.evaluate(state)
    slider = page.locator(".st-key-threshold input[type=range]")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"before => {state} !== before", arg=before)
    assert page.evaluate(f"document.querySelector('{CHART}')._fullLayout.xaxis.range") == [2, 9]


@pytest.mark.full("width of pages")
@pytest.mark.parametrize("width, scheme", [(800, "dark"), (1400, "light")])
def test_no_view_is_wider_than_the_window(opened, width, scheme):
    page = opened(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 1000})
    for view in ("Measures", "Assignment", "Differences", "Agreement", "Inside the network", "Export"):
        choose_view(page, view)
        parts = ("Class probabilities", "Attention", "Cross-stitch") if view.startswith("Inside") else ("",)
        for part in parts:
            if part:
                choose_view(page, part, "part")
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, (view, part)
            assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0, view
    names = page.evaluate(
        f"[...document.querySelectorAll('{CHART} .bartext')].filter(e => e.style.display !== 'none').length"
    )
    assert names >= 4  # the events of the truth are named in their segments
