"""A browser, a server, and pages opened in it."""

import pytest

from app.bench import ARGUMENTS, CHROMIUM, serving
from support.browsing import WAIT_MS
from support.data_sets import soundata as soundata


@pytest.fixture(scope="session")
def user_data(tmp_path_factory):
    """The folder of user data of the app that is served."""
    return tmp_path_factory.mktemp("user_data")


@pytest.fixture(scope="session")
def address(user_data):
    """The app, served from a process of its own."""
    with serving(arguments=("--user-data", str(user_data))) as (url, _):
        yield url


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def profiles():
    """Browser contexts by what they were made with: a later test finds there what an earlier one has fetched and compiled."""
    return {}


@pytest.fixture
def new_page(browser, profiles):
    """Opens an empty page, each of a test in a profile of its own; afterwards the console must be free of errors."""
    problems, pages = [], []

    def open_(**options):
        of = len(pages), repr(sorted(options.items()))
        profiles[of] = profiles.get(of) or browser.new_context(**options)
        page = profiles[of].new_page()
        pages.append(page)
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        return page

    open_.problems = problems
    yield open_
    for page in pages:
        page.evaluate("localStorage.clear()")
        page.context.clear_cookies()
        page.close()
    assert problems == []


@pytest.fixture
def open_page(new_page, address):
    """Opens the app; no request may leave the machine."""

    def requested(url):
        if not url.startswith((address, "data:", "blob:")):
            new_page.problems.append(url)

    def open_(**options):
        page = new_page(viewport={"width": 1400, "height": 1000}, **options)
        page.on("request", lambda request: requested(request.url))
        page.goto(address)
        page.get_by_text("See what a SELD network hears").wait_for()
        return page

    return open_
