"""The pages for who does not see them, sees little contrast, or has no mouse: rules of WCAG 2.1 AA by axe, and the keyboard alone."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from support.browsing import open_example, settled, wait_for_detections, wait_for_threshold

pytestmark = [pytest.mark.browser, pytest.mark.full("accessibility")]
RULES = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
FADED = """() => document.getAnimations().every(
    a => a.playState !== 'running' || a.effect.getComputedTiming().endTime === Infinity)"""  # in, so that it has its contrast
SIGNS = {  # what stands on a page, with the open clip on it where it takes that along
    "Tracks": ".st-key-ribbons .js-plotly-plot",
    "PIT lab": ".st-key-pit_figure .js-plotly-plot",
    "Evaluate": "text=Score a system, and see what scores hide",
    "Scenes": "text=Compose scenes, and know the truth about them",
    "Train": "text=Train a network, and watch it learn",
    "Models": "text=Networks, and what is known of them",
}


def broken(page, width):
    """Rules that the page breaks at a width, each with the elements that break it."""
    page.set_viewport_size({"width": width, "height": 1000})
    settled(page)
    page.wait_for_function(FADED)
    found = Axe().run(page, options=RULES).response["violations"]
    page.set_viewport_size({"width": 1400, "height": 1000})  # where no link of another page is folded away
    return {rule["id"]: [node["html"][:200] for node in rule["nodes"]] for rule in found}


def unnamed_figures(page):
    """Those that are drawn and whose text a screen reader would not find."""
    return page.evaluate(
        """() => [...document.querySelectorAll('[data-testid=stPlotlyChart]')].filter(
            c => c.offsetParent && !c.closest('[aria-label]') && !c.querySelector('[aria-label]')).length"""
    )


def covered(page):
    """Texts of figures that lie under Plotly's tools, which appear under the mouse."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')].filter(c => c.offsetParent).flatMap(c => {
            const tools = [...c.querySelectorAll('.modebar-group')].map(e => e.getBoundingClientRect());
            return [...c.querySelectorAll('text')].filter(t => {
                const b = t.getBoundingClientRect();
                return b.width && tools.some(
                    a => a.width && b.left < a.right - 1 && b.right > a.left + 1 && b.top < a.bottom - 1 && b.bottom > a.top + 1);
            }).map(t => t.textContent);
        })"""
    )


@pytest.mark.parametrize("width, scheme", [(1400, "light"), (800, "dark")])
def test_no_page_breaks_a_rule(open_page, width, scheme):
    page = open_page(color_scheme=scheme)
    found = {"Inspect, empty": broken(page, width)}
    open_example(page, 2)
    found["Inspect"] = broken(page, width)
    for name, sign in SIGNS.items():
        page.get_by_role("link", name=name, exact=True).click()
        page.locator(sign).first.wait_for()
        if name == "Evaluate":
            page.get_by_role("button", name="Score the examples").click()
            page.get_by_text("Errors behind: all errors").wait_for()
        found[name] = broken(page, width)
        assert unnamed_figures(page) == 0 and covered(page) == []
    assert {name: rules for name, rules in found.items() if rules} == {}


def tab_to(page, element, most=120):
    """Presses Tab until an element has the focus, which must be seen."""
    element.wait_for(state="attached")
    for _ in range(most):
        page.keyboard.press("Tab")
        if element.evaluate("e => e === document.activeElement"):
            break
    else:
        raise AssertionError(f"Tab does not lead to {element}")
    focused = page.screenshot()
    page.evaluate("() => document.activeElement.blur()")
    assert page.screenshot() != focused, f"the focus on {element} is not seen"
    element.focus()


def test_from_an_example_to_the_pit_lab_by_the_keyboard_alone(open_page):
    page = open_page()
    tab_to(page, page.get_by_role("button", name="Try this example").nth(2))
    page.keyboard.press("Enter")
    wait_for_detections(page)
    tab_to(page, page.get_by_role("slider", name="Threshold").first)
    page.keyboard.press("ArrowRight")
    wait_for_threshold(page, 0.55)
    for name in ("Tracks", "PIT lab"):
        page.evaluate("() => { document.activeElement.blur(); getSelection().removeAllRanges(); }")
        tab_to(page, page.get_by_role("link", name=name, exact=True))
        page.keyboard.press("Enter")
        page.locator(SIGNS[name]).first.wait_for()
