"""The PIT lab in headless Chromium: cursor and clicks over its figures, every part in both themes, training that grows live."""

import re

import pytest

pytestmark = pytest.mark.browser
CHART = ".st-key-pit_figure .js-plotly-plot"
HOST = ".st-key-pit_player [data-testid=stBidiComponentIsolated]"
DRAWN = f"[...document.querySelectorAll('{CHART}')].find(c => c._fullLayout && c.offsetParent)"


@pytest.fixture
def open_lab(open_page):
    def open_(example=None, **options):
        page = open_page(**options)
        page.get_by_role("link", name="PIT lab").click()
        page.get_by_role("heading", name="PIT lab").wait_for()
        if example is not None:
            page.get_by_role("button", name="Try this example").nth(example).click()
            wait_for_figure(page, "chosen")
        return page

    return open_


def wait_for_figure(page, name):
    """Until the figure over which the cursor runs has a trace of this name."""
    page.wait_for_function(f"name => ({DRAWN})?.data.some(t => t.name === name)", arg=name)


def choose(page, name):
    page.get_by_role("radio", name=name, exact=True).or_(
        page.get_by_role("button", name=name, exact=True)
    ).first.click()


def test_a_click_on_the_microscope_goes_there(open_lab):
    page = open_lab(2)
    place = page.evaluate(
        f"""() => {{ const c = {DRAWN}; c.scrollIntoView({{block: 'end'}});
        const a = c._fullLayout.xaxis, r = c.getBoundingClientRect();
        return [r.left + a._offset + a.d2p(6), r.top + c._fullLayout._size.t + 60]; }}"""
    )
    page.wait_for_function("document.querySelector('.st-key-pit_audio audio')?.readyState >= 2")
    page.mouse.click(*place)
    page.wait_for_function(f"Math.abs(Number(document.querySelector('{HOST}').dataset.time) - 6) < 1.5")


def test_controls_change_what_is_marked(open_lab):
    page = open_lab(2)
    marks = f"({DRAWN})?._fullData.find(t => t.name === 'pulled the wrong way')?.x?.length"
    few = page.evaluate(marks) or 0
    page.get_by_text("Reference tracks in reverse", exact=True).click()
    page.wait_for_function(f"few => ({marks} ?? 0) > few + 50", arg=few)
    wait_for_figure(page, "pulls")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_part_in_both_themes_and_a_narrow_window(open_lab, scheme):
    page = open_lab(2, color_scheme=scheme)
    choose(page, "Three networks")
    wait_for_figure(page, "midpoint")
    page.get_by_text("Pulled to the middle?").wait_for()
    choose(page, "Homogeneous overlap")
    choose(page, "4 · What networks hear")
    page.get_by_text("Share of the frames in which every event is found").wait_for()
    choose(page, "Learning curves and tables")
    page.get_by_text("Table 3: both tasks").wait_for()
    page.set_viewport_size({"width": 800, "height": 1000})
    page.wait_for_function("document.querySelector('[data-testid=stMain]').scrollWidth <= window.innerWidth")
    assert page.locator("[data-testid=stException]").count() == 0


@pytest.mark.full("long")
def test_training_grows_live_and_stops(open_lab):
    page = open_lab()
    choose(page, "Train it in front of me")
    page.get_by_role("button", name="Train", exact=True).click()
    step = page.get_by_text(re.compile(r"^Step \d+ of \d+")).first
    step.wait_for()
    first = step.inner_text()
    page.wait_for_function(
        "before => [...document.querySelectorAll('p')].some(p => /^Step \\d+ of/.test(p.innerText) && p.innerText !== before)",
        arg=first,
    )
    page.locator(".st-key-pit_toy_le .js-plotly-plot").first.wait_for()
    page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click()  # not the one of the header
    page.get_by_text(re.compile(r"^Stopped at step \d+")).wait_for()
    page.get_by_role("button", name="Train again").wait_for()
