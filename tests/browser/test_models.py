"""The Models page as a user sees it, in headless Chromium."""

from pathlib import Path

import pytest

from einv2.checkpoints import checkpoint
from support.browsing import settled

pytestmark = pytest.mark.browser


@pytest.fixture
def models(open_page, user_data):
    """The page; afterwards nothing is kept."""

    def open_(**options):
        page = open_page(**options)
        page.get_by_role("link", name="Models").click()
        chart(page, "models_architecture")
        return page

    yield open_
    for path in (user_data / "models").glob("*"):
        path.unlink()


@pytest.fixture
def file(tmp_path, tiny_checkpoint):
    checkpoint.save(tiny_checkpoint, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def chart(page, key):
    page.wait_for_function(
        f"() => [...document.querySelectorAll('.st-key-{key} .js-plotly-plot')].some(c => c._fullLayout && c.offsetParent)"
    )
    return page.locator(f".st-key-{key} .js-plotly-plot").last


def heading(page, name):
    page.locator("h4", has_text=name).wait_for()


def view(page, name):
    page.locator(".st-key-models_view").get_by_text(name, exact=True).click()


def press_in_popover(page, label, button):
    page.get_by_role("button", name=label).click()
    page.get_by_test_id("stPopoverBody").get_by_role("button", name=button).click()


@pytest.mark.full("long")
def test_a_network_is_uploaded_renamed_downloaded_and_deleted(models, file, user_data):
    page = models()
    page.locator("input[type=file]").first.set_input_files(file)
    page.get_by_role("button", name="Keep it").click()
    heading(page, "tiny")
    page.get_by_text("tiny is kept, and in every list").wait_for()
    page.get_by_role("button", name="Rename").click()
    name = page.get_by_label("New name")
    name.fill("mine")
    page.get_by_test_id("stPopoverBody").get_by_role("button", name="Rename").click()
    heading(page, "mine")
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == "mine.safetensors"
    assert Path(download.value.path()).read_bytes() == file.read_bytes()
    press_in_popover(page, "Delete", "Cancel")
    page.get_by_role("button", name="Delete it").wait_for(state="detached")
    page.get_by_role("button", name="Delete").click()
    red = page.get_by_role("button", name="Delete it").evaluate("button => getComputedStyle(button).backgroundColor")
    assert red == "rgb(200, 50, 31)"
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("mine is deleted").wait_for()
    heading(page, "einv2")
    assert not list((user_data / "models").iterdir())


def test_a_click_on_a_row_opens_its_card(models):
    page = models()
    table = page.locator(".st-key-models_table [data-testid=stDataFrame]")
    box = table.bounding_box()
    page.mouse.click(box["x"] + 40, box["y"] + 35 * 2 + 17)  # the second network
    page.wait_for_function("() => !['einv2'].includes(document.querySelector('h4')?.innerText ?? 'einv2')")
    assert "model=" in page.url


def test_pointing_at_a_box_says_more(models):
    page = models()
    plot = chart(page, "models_architecture")
    plot.scroll_into_view_if_needed()
    words = plot.locator(".textpoint text", has_text="SED block 2").first
    box = words.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    plot.locator(".hovertext", has_text="batch norm").wait_for()


@pytest.mark.full("width of pages")
@pytest.mark.parametrize("width, scheme", [(800, "dark"), (1400, "light")])
def test_no_view_is_wider_than_the_window_and_all_words_fit_their_boxes(models, width, scheme):
    page = models(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 1000})
    for name in ("Scores", "Training", "Settings and classes", "Architecture"):
        view(page, name)
        page.wait_for_timeout(800)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, name
        assert page.locator("[data-testid=stException]").count() == 0, name
    plot = chart(page, "models_architecture")
    words = "c => [...new Set([...c.querySelectorAll('text')].map(t => getComputedStyle(t).fill))]"
    assert plot.evaluate(words) == ["rgb(230, 234, 241)" if scheme == "dark" else "rgb(12, 22, 30)"]  # none is grey
    assert plot.evaluate(
        """c => {
            const boxes = [...c.querySelectorAll('.shapelayer path')].map(p => p.getBoundingClientRect());
            return [...c.querySelectorAll('.textpoint text')].every(t => {
                const w = t.getBoundingClientRect();
                return boxes.some(b => b.left <= w.left && w.right <= b.right && b.top <= w.top && w.bottom <= b.bottom);
            });
        }"""
    )
