"""From nothing to a trained network that hears it, in headless Chromium, through kill -9 of training and server."""

import contextlib
import json
import os
import signal

import pytest

from support.browsing import WAIT_MS
from support.server import Server, until

pytestmark = [pytest.mark.browser, pytest.mark.full("training in the browser")]
EPOCHS = 6


@pytest.fixture
def server(tmp_path):
    started = Server(tmp_path)
    yield started
    started.kill()
    with contextlib.suppress(OSError, ValueError):
        os.killpg(process_of(tmp_path)["pid"], signal.SIGKILL)


def process_of(data) -> dict:
    return json.loads((data / "runs" / "run-1" / "process.json").read_text())


def epochs_of(data) -> list[dict]:
    """Without their time: an epoch whose state was not saved yet when it was killed is trained again, to the same figures."""
    file = data / "runs" / "run-1" / "metrics.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


@pytest.fixture
def visit(browser, server):
    contexts = []

    def open_(**options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(server.address)
        page.get_by_text("See what a SELD network hears").wait_for()
        return page

    yield open_
    for context in contexts:
        context.close()


def choose(page, label, option):
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option).click()


def make_set(page):
    """A training set for a try, made on the Scenes page."""
    page.get_by_role("link", name="Scenes").click()
    page.get_by_text("Training set", exact=True).click()
    for label, value in (("Scenes", 6), ("Length of each (s)", 8)):
        page.get_by_label(label, exact=True).fill(str(value))
        page.keyboard.press("Enter")
    page.get_by_text("--scenes 6 --seconds 8").wait_for()
    page.get_by_role("button", name="Render and keep the set").click()
    page.get_by_text("random-1 is kept: 6 scenes.").wait_for(timeout=3 * WAIT_MS)


def train(page):
    """The page of trainings, with a network for a try chosen."""
    page.get_by_role("link", name="Train a network on it").click()
    page.get_by_role("button", name="Start training").wait_for()
    choose(page, "Size", "tiny")
    page.get_by_text("90,398 parameters").wait_for()
    for label, value in (("Epochs", EPOCHS), ("Batch", 4)):
        page.get_by_label(label, exact=True).fill(str(value))
        page.keyboard.press("Enter")
    page.get_by_text("--batch-size 4").wait_for()
    page.get_by_role("button", name="Start training").click()


def chart(page, key):
    page.wait_for_function(
        f"() => [...document.querySelectorAll('.st-key-{key} .js-plotly-plot')].some(c => c._fullLayout && c.offsetParent)"
    )


def test_a_network_is_trained_through_kills_and_hears_a_composed_scene(server, visit):
    page = visit(viewport={"width": 1400, "height": 1000})
    make_set(page)
    train(page)
    page.locator(".st-key-train_stop_run-1 button").wait_for()
    until(lambda: epochs_of(server.data))
    os.kill(process_of(server.data)["pid"], signal.SIGKILL)
    server.kill()
    before = epochs_of(server.data)
    assert 1 <= len(before) < EPOCHS
    server.start()

    page = visit(viewport={"width": 800, "height": 1000}, color_scheme="dark")
    page.goto(f"{server.address}/train")
    page.locator(".st-key-train_view").get_by_text("Runs", exact=True).click()
    page.get_by_role("tab", name="Open or delete").click()
    page.get_by_role("button", name="Show", exact=True).click()
    page.get_by_text("was killed").wait_for()
    page.get_by_role("button", name="Resume").click()
    page.get_by_text(f"{EPOCHS} of {EPOCHS} epochs").wait_for(timeout=3 * WAIT_MS)
    chart(page, "train_curves_run-1")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    after = epochs_of(server.data)
    assert after[: len(before)] == before and [e["epoch"] for e in after] == list(range(1, EPOCHS + 1))

    page.locator(".st-key-train_open_run-1 button").click()
    page.get_by_text("run-1 (best)").first.wait_for()
    page.set_viewport_size({"width": 1400, "height": 1000})
    page.get_by_role("link", name="Scenes").click()
    page.get_by_role("button", name="Render", exact=True).click()  # the scene that the page begins with has two sources
    page.get_by_role("button", name="Open in Inspect").click()
    page.get_by_text("run-1 (best)").first.wait_for()
    chart(page, "timeline")
    assert page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
