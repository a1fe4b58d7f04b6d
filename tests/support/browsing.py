"""What a user does in the browser."""

import io

import numpy as np
import soundfile

from support.data_sets import soundata as soundata

CHART = ".st-key-timeline .js-plotly-plot"


def open_example(page, number):
    page.get_by_role("button", name="Try this example").nth(number).click()
    wait_for_detections(page)


def wait_for_detections(page):
    page.wait_for_function(
        f"""() => [...document.querySelectorAll('{CHART}')].some(
            c => c._fullLayout && c.offsetParent && c.data.some(t => t.name === 'detections' && t.meta))"""
    )


def wav(channels, seconds=3):
    rng = np.random.default_rng(1)
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.1 * rng.standard_normal((24000 * seconds, channels)), 24000, format="WAV")
    return {"name": f"{channels}_channels.wav", "mimeType": "audio/wav", "buffer": buffer.getvalue()}


def upload(page, *files):
    inputs = page.locator("[data-testid=stFileUploaderDropzoneInput]")
    for place, file in enumerate(files):
        inputs.nth(place).set_input_files(file)


def press_slider(page, key, times):
    page.locator("[data-testid=stSlider] input[type=range]").focus()
    for _ in range(times):
        page.keyboard.press(key)


def wait_for_threshold(page, threshold):
    """Until the detections drawn are those of a threshold, which stands in the token that names them."""
    page.wait_for_function(
        f"""part => [...document.querySelectorAll('{CHART}')].some(
            c => c._fullLayout && c.offsetParent && c.data.some(t => t.name === 'detections' && t.meta?.includes(part)))""",
        arg=f"threshold={threshold},",
    )


WAIT_MS = 60_000


def settled(page):
    """Waits until the script has run, and what stood on the page before it, which is faint, has gone."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_function("() => !document.querySelector('[data-stale=true]')")
