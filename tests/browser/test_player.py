"""The player in headless Chromium, on the page tests/support/player_page.py: sound, display and cursor are at the same time."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from app.bench import serving
from app.player.component import energy_maps, packed, scene, short_lanes
from support.pages import unpacked

HOST = ".st-key-player [data-testid=stBidiComponentIsolated]"
CHART = ".st-key-timeline .js-plotly-plot"
AUDIO = ".st-key-listen audio"
FIRST_HZ, STEP_HZ = 400, 200  # of the tones of player_page.py, one a second
FRAME = 1 / 60

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_address():
    with serving("tests/support/player_page.py") as (url, _):
        yield url


@pytest.fixture
def open_player(new_page, page_address):
    def open_(query="", **options):
        page = new_page(**{"viewport": {"width": 1300, "height": 1400}} | options)
        page.goto(page_address + query)
        page.locator(".player").wait_for()
        wait_for_arrays(page, "at 0.5")
        page.wait_for_function(f"document.querySelector('{AUDIO}')?.readyState >= 2")
        page.wait_for_timeout(300)
        return page

    return open_


def wait_for_arrays(page, token):
    page.wait_for_function(
        f"""token => [...document.querySelectorAll('{CHART}')].some(
            c => c._fullLayout && c.offsetParent && c.data.some(t => t.name === 'detections' && t.meta === token))""",
        arg=token,
    )


def host(page):
    return page.evaluate(f"({{...document.querySelector('{HOST}').dataset}})")


def time_shown(page):
    return float(host(page)["time"])


def audio(page, what):
    return page.evaluate(f"document.querySelector('{AUDIO}').{what}")


def press_play(page):
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'true'")


def cursor(page):
    """Where the cursor is and where it should be, in pixels of the window, at one moment; and the times shown and heard."""
    return page.evaluate(
        f"""() => new Promise(done => requestAnimationFrame(() => setTimeout(() => {{
            const gd = document.querySelector('{CHART}'), axis = gd._fullLayout.xaxis;
            const line = gd.querySelector('.einv2-cursor'), box = line.getBoundingClientRect();
            const heard = document.querySelector('{AUDIO}').currentTime;
            done({{
                at: box.left + box.width / 2,
                due: gd.getBoundingClientRect().left + axis._offset + axis.d2p(heard),
                height: box.height, panels: gd._fullLayout._size.h, seen: line.offsetParent !== null,
                shown: Number(document.querySelector('{HOST}').dataset.time), heard, pixels: axis._length, range: axis.range,
            }});
        }}, 0)))"""
    )


def place_of(page, seconds, row):
    """Pixels of the window of a time in the middle of a panel (1 to 4)."""
    axes = ("", row if row > 1 else "")
    return page.evaluate(
        f"""seconds => {{
            const gd = document.querySelector('{CHART}'), box = gd.getBoundingClientRect();
            const x = gd._fullLayout['xaxis{axes[0]}'], y = gd._fullLayout['yaxis{axes[1]}'];
            return [box.left + x._offset + x.d2p(seconds), box.top + y._offset + y._length / 2];
        }}""",
        seconds,
    )


def click_at(page, seconds, row=1):
    page.mouse.click(*place_of(page, seconds, row))


def go_to(page, seconds):
    """About there, and paused: where exactly."""
    page.wait_for_timeout(400)  # two clicks soon after another are one double click
    click_at(page, seconds)
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'true'")
    page.keyboard.press(" ")
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'false'")
    page.wait_for_timeout(200)
    assert seconds - 0.1 < time_shown(page) < seconds + 1
    return time_shown(page)


def drag(page, start, end, row=3):
    page.mouse.move(*place_of(page, start, row))
    page.mouse.down()
    page.mouse.move(*place_of(page, (start + end) / 2, row), steps=3)
    page.mouse.move(*place_of(page, end, row), steps=3)
    page.mouse.up()


def zoom(page, start, end):
    page.evaluate(f"Plotly.relayout(document.querySelector('{CHART}'), {{'xaxis.range': [{start}, {end}]}})")


def shown_range(page):
    return page.evaluate(f"document.querySelector('{CHART}')._fullLayout.xaxis.range")


def listen_in(page):
    """Taps the sound that the element puts out. Once a page: an element has one tap."""
    page.evaluate(
        f"""async () => {{
            const context = new AudioContext();
            await context.resume();
            window.analyser = new AnalyserNode(context, {{fftSize: 4096, smoothingTimeConstant: 0}});
            context.createMediaElementSource(document.querySelector('{AUDIO}')).connect(analyser).connect(context.destination);
        }}"""
    )


def heard_hz(page):
    """The loudest frequency of the last 0.1 s that were put out (None: silence), and where the cursor stood meanwhile."""
    found = page.evaluate(
        f"""() => {{
            const bins = new Float32Array(analyser.frequencyBinCount);
            analyser.getFloatFrequencyData(bins);
            const top = bins.indexOf(Math.max(...bins));
            const gd = document.querySelector('{CHART}'), axis = gd._fullLayout.xaxis;
            const box = gd.querySelector('.einv2-cursor').getBoundingClientRect();
            const loud = bins[top] > -60;  // not yet so right after a start: the tap is filled by and by
            return {{hz: loud ? top * analyser.context.sampleRate / analyser.fftSize : null,
                     cursor: axis.p2d(box.left + box.width / 2 - gd.getBoundingClientRect().left - axis._offset)}};
        }}"""
    )
    return found["hz"], found["cursor"]


def assert_heard_under_cursor(page, first_hz=FIRST_HZ, times=4):
    """In the middle of seconds, where no transition blurs it."""
    checked = 0
    for _ in range(200):
        hz, at = heard_hz(page)
        if hz is not None and 0.35 < at % 1 < 0.85:
            assert hz == pytest.approx(first_hz + STEP_HZ * int(at), abs=30), at
            checked += 1
            if checked == times:
                return
        page.wait_for_timeout(60)
    raise AssertionError("nothing is heard, or the cursor does not move")


def test_a_scene_is_sorted_and_joins_the_class_lists():
    columns = {"frame": [4, 2], "class": [0, 1], "track": [1, 0], "azimuth": [-12.345, 90], "elevation": [0.04, -5]}
    estimate = pd.DataFrame(columns | {"confidence": [0.876, np.nan]})
    made = scene(estimate, pd.DataFrame(columns), ["piano", "alarm"], ["footsteps", "piano"], ["track 1", "track 2"])
    assert [name for name, _ in made["classes"]] == ["piano", "alarm", "footsteps"]
    assert made["estimate"] == {
        "frame": [2, 4], "class": [1, 0], "track": [0, 1], "azimuth": [90, -12.3], "elevation": [-5, 0], "p": [None, 0.88],
    }  # fmt: skip
    assert made["truth"]["class"] == [0, 2] and "p" not in made["truth"]
    json.dumps(made, allow_nan=False)


def test_arrays_are_sent_once_and_texts_that_repeat_by_their_place():
    at, colours = [0.05, 0.15, 0.25], ["#111111", "#222222"]
    traces = [
        {"x": at, "y": [1.0, 2.0, 3.0], "marker.color": colours * 4},
        {"x": at, "y": [], "text": ["a", "b"], "customdata": [[0, "a"], [0, "b"]]},
    ]
    sent = packed(traces)
    assert unpacked(sent) == traces
    assert len(sent["lists"]) == 6 and sent["lists"].count({"of": colours, "at": [0, 1] * 4}) == 1


@pytest.mark.parametrize(
    "names, short",
    [
        (["einv2-tpit", "einv2-cpit", "einv2-nopit"], ["tpit", "cpit", "nopit"]),
        (["einv2", "einv2-nopit"], ["einv2", "einv2-nopit"]),
        (["a_x.csv", "a_y.csv", "net"], ["a_x", "a_y", "net"]),
        (["clip.csv", "clip.csv (2)"], ["clip", "clip.csv (2)"]),
        (["e-tpit", "e-tpit + e-cpit", "e-cpit"], ["tpit", "tpit+cpit", "cpit"]),
        (["s" * 40 + "1" + "s" * 40, "s" * 40 + "2" + "s" * 40], ["sssssss…sss… 1", "sssssss…sss… 2"]),
    ],
)
def test_tracks_of_several_systems_have_short_names_of_their_own(names, short):
    assert short_lanes([(name, ("track 1", "piano")) for name in names]) == [
        f"{s} {lane}" for s in short for lane in ("1", "piano")
    ]


def test_energy_maps_are_checked():
    with pytest.raises(ValueError, match="uint8"):
        energy_maps(np.zeros((3, 12, 24)), 1)


def test_playing_moves_the_cursor_and_pausing_stops_it(open_player):
    page = open_player()
    assert host(page)["playing"] == "false" and time_shown(page) == 0
    press_play(page)
    page.wait_for_timeout(1200)
    for _ in range(3):
        now = cursor(page)
        pixels_a_frame = now["pixels"] / 16 * FRAME * 3  # the audio goes on between drawing and looking
        assert now["seen"] and now["height"] == now["panels"]
        assert abs(now["at"] - now["due"]) < 3 + pixels_a_frame
        assert now["shown"] == pytest.approx(now["heard"], abs=0.06)
        page.wait_for_timeout(150)
    assert now["heard"] > 0.8
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(200)
    before = cursor(page)
    page.wait_for_timeout(300)
    after = cursor(page)
    assert before == after and abs(after["at"] - after["due"]) < 1
    assert after["shown"] == pytest.approx(after["heard"], abs=0.01) and host(page)["playing"] == "false"


def test_a_click_on_a_panel_goes_there(open_player):
    page = open_player()
    for row, seconds in enumerate((7.3, 2.4, 12.6, 4.5), 1):
        click_at(page, seconds, row)
        page.wait_for_function(f"s => Math.abs(document.querySelector('{HOST}').dataset.time - s) < 1", arg=seconds)
        assert seconds - 0.05 < audio(page, "currentTime") < seconds + 1.5
        page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'true'")
        page.keyboard.press(" ")
        page.wait_for_timeout(400)  # two clicks soon after another are one double click


def test_a_drag_zooms_and_does_not_seek(open_player):
    page = open_player()
    drag(page, 4, 8, row=1)
    page.wait_for_timeout(400)
    assert shown_range(page) == pytest.approx([4, 8], abs=0.1) and time_shown(page) == 0
    page.get_by_role("button", name="Show the cursor").click()  # which was left at 0 s, out of view
    assert (
        shown_range(page) == pytest.approx([0, 4], abs=0.1)
        and page.get_by_role("button", name="Show the cursor").is_hidden()
    )
    page.mouse.dblclick(*place_of(page, 3, 1))
    page.wait_for_function(f"document.querySelector('{CHART}')._fullLayout.xaxis.range[1] > 15")
    assert time_shown(page) == 0 and host(page)["playing"] == "false"  # the first of two clicks is undone


def test_zoomed_in_names_stay_in_view_and_playing_is_followed(open_player):
    page = open_player()
    whole = page.evaluate(BARS)
    zoom(page, 9, 10)
    page.wait_for_timeout(300)
    assert all(9 <= base < 10 for base, x in page.evaluate(BARS) if base + x > 9 and base < 10)
    page.keyboard.press(" ")
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'true'")
    assert shown_range(page)[0] == 0
    page.keyboard.press(" ")
    zoom(page, 0, 16)
    page.wait_for_timeout(300)
    assert page.evaluate(BARS) == whole


BARS = f"""() => document.querySelector('{CHART}').data.filter(t => t.type === 'bar').flatMap(
    t => Array.from(t.base).map((base, i) => [base, t.x[i]]))"""


@pytest.mark.full("long")
def test_space_plays_after_the_pointer_has_moved_a_control(open_player):
    page = open_player()
    playing = f"document.querySelector('{HOST}').dataset.playing"
    for control in ("[data-testid=stSlider] input[type=range]", "text=second", "text=Play 3 to 4.5"):
        box = page.locator(control).first.bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_timeout(700)
        before = page.evaluate(playing)
        page.keyboard.press(" ")
        page.wait_for_function(f"before => {playing} !== before", arg=before)
        page.keyboard.press(" ")
        page.wait_for_function(f"before => {playing} === before", arg=before)
    page.get_by_role("button", name="Play 3 to 4.5").focus()  # by the keyboard
    page.wait_for_timeout(600)
    page.get_by_role("button", name="Play 3 to 4.5").focus()
    page.evaluate("document.activeElement.blur()")
    page.get_by_role("button", name="Play 3 to 4.5").focus()
    page.keyboard.press(" ")
    page.wait_for_function(f"Number(document.querySelector('{HOST}').dataset.time) >= 3")


def test_keys(open_player):
    page = open_player()
    for key, seconds in [
        ("ArrowRight", 1), ("ArrowRight", 2), (".", 2.1), (".", 2.2), (",", 2.1), ("ArrowLeft", 1.1), ("End", 16), ("Home", 0),
        ("ArrowLeft", 0),
    ]:  # fmt: skip
        page.keyboard.press(key)
        assert time_shown(page) == pytest.approx(seconds, abs=0.011), key
    page.keyboard.press(" ")
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'true'")
    page.keyboard.press(" ")
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'false'")
    page.keyboard.press("m")
    assert audio(page, "muted") is True
    page.keyboard.press("Shift+m")  # with shift it is somebody else's
    page.keyboard.press("Control+m")
    page.keyboard.press("m")
    assert audio(page, "muted") is False
    page.keyboard.press("l")
    assert host(page)["loop"] == "0.00,16.00"
    page.keyboard.press("l")
    assert host(page)["loop"] == ""


def test_keys_typed_into_a_field_are_not_taken(open_player):
    page = open_player()
    page.get_by_label("Notes").press_sequentially("a m l.1")
    assert page.get_by_label("Notes").input_value() == "a m l.1"
    page.locator("[data-testid=stSlider] input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    wait_for_arrays(page, "at 0.55")
    assert time_shown(page) == 0 and host(page)["playing"] == "false" and audio(page, "muted") is False
    page.locator(".speed").focus()
    page.keyboard.press("ArrowDown")
    assert time_shown(page) == 0 and audio(page, "playbackRate") == 1.5 and audio(page, "preservesPitch") is True


def test_a_digit_puts_a_track_in_the_foreground(open_player):
    page = open_player()

    def opacities():
        return page.evaluate(
            f"""() => Object.fromEntries(document.querySelector('{CHART}').data
                .filter(t => /^track/.test(t.name)).map(t => [t.name, t.opacity ?? 1]))"""
        )

    page.keyboard.press("2")
    assert opacities() == {
        "track 1 azimuth": 0.12, "track 2 azimuth": 1, "track 1 elevation": 0.12, "track 2 elevation": 1,
    }  # fmt: skip
    page.emulate_media(color_scheme="dark")  # draws the figure anew
    page.wait_for_timeout(1200)
    assert opacities()["track 1 azimuth"] == 0.12
    page.keyboard.press("2")
    assert set(opacities().values()) == {1}
    page.keyboard.press("9")  # there is no such track
    assert set(opacities().values()) == {1}


def test_shift_drag_loops(open_player):
    page = open_player()
    page.keyboard.down("Shift")
    drag(page, 5.0, 6.2)
    page.keyboard.up("Shift")
    start, end = map(float, host(page)["loop"].split(","))
    assert (start, end) == pytest.approx((5.0, 6.2), abs=0.05)
    assert time_shown(page) == pytest.approx(5.0, abs=0.05)
    assert shown_range(page) == [0, 16]  # neither zoomed nor panned
    band = page.locator(".einv2-region").bounding_box()
    assert band["x"] == pytest.approx(place_of(page, 5.0, 1)[0], abs=2)
    assert band["x"] + band["width"] == pytest.approx(place_of(page, 6.2, 1)[0], abs=2)
    press_play(page)
    seen = []
    for _ in range(25):
        seen.append(time_shown(page))
        page.wait_for_timeout(100)
    assert min(seen) > 4.9 and max(seen) < 6.3
    assert any(b < a for a, b in itertools.pairwise(seen))  # came round
    page.keyboard.press("Escape")
    assert host(page)["loop"] == "" and page.locator(".einv2-region").is_hidden()
    page.wait_for_function(f"Number(document.querySelector('{HOST}').dataset.time) > 6.5")


def test_the_visible_range_loops_where_no_region_is(open_player):
    page = open_player()
    zoom(page, 8, 9)
    page.keyboard.press("l")
    assert host(page)["loop"] == "8.00,9.00" and time_shown(page) == pytest.approx(8, abs=0.01)
    press_play(page)
    page.wait_for_timeout(1600)
    assert 7.95 < time_shown(page) < 9.1 and shown_range(page) == [8, 9]


@pytest.mark.full("long")
def test_the_page_turns_while_playing_zoomed(open_player):
    page = open_player()
    zoom(page, 2, 3)
    click_at(page, 2.7)
    page.wait_for_function(f"document.querySelector('{CHART}')._fullLayout.xaxis.range[0] === 3")
    assert shown_range(page) == [3, 4] and cursor(page)["seen"]
    page.mouse.move(*place_of(page, 3.2, 1))
    page.mouse.down()
    page.wait_for_function(f"Number(document.querySelector('{HOST}').dataset.time) > 4.2")
    assert shown_range(page) == [3, 4]  # somebody holds it
    page.mouse.move(*place_of(page, 3.2, 1))
    page.mouse.up()
    page.wait_for_timeout(200)
    assert time_shown(page) == pytest.approx(3.3, abs=0.2)  # that was a click


@pytest.mark.full("long")
def test_python_plays_a_stretch(open_player):
    page = open_player()
    page.get_by_role("button", name="Play 3 to 4.5").click()
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'true'")
    assert 2.95 < time_shown(page) < 4
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'false'")
    assert audio(page, "currentTime") == pytest.approx(4.5, abs=0.06)
    page.get_by_role("button", name="Play 3 to 4.5").click()  # again, and looped
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'true'")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("l")
    assert host(page)["loop"] == "3.00,4.50"
    page.wait_for_timeout(2000)
    assert host(page)["playing"] == "true" and 2.95 < time_shown(page) < 4.6


@pytest.mark.full("long")
def test_a_seek_of_before_does_not_start_a_new_player(open_player):
    page = open_player()
    page.get_by_role("button", name="Play 3 to 4.5").click()
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'true'")
    page.get_by_text("Player", exact=True).click()
    page.locator(HOST).wait_for(state="detached")
    page.get_by_text("Player", exact=True).click()
    page.locator(".player").wait_for()
    page.wait_for_timeout(800)
    assert host(page)["playing"] == "false" and time_shown(page) == 3


def test_what_is_heard_is_under_the_cursor(open_player):
    page = open_player()
    listen_in(page)
    press_play(page)
    assert_heard_under_cursor(page)
    click_at(page, 10.3, 3)
    page.wait_for_timeout(250)
    assert 10 < time_shown(page) < 11
    assert_heard_under_cursor(page, times=8)
    before, source = time_shown(page), audio(page, "src")
    page.get_by_text("second", exact=True).click()  # another way of listening: other tones
    page.wait_for_function(
        f"""source => {{ const audio = document.querySelector('{AUDIO}');
            return audio.src !== source && audio.readyState >= 2 && !audio.paused; }}""",
        arg=source,
    )
    page.wait_for_timeout(1200)
    assert before < time_shown(page) < before + 4 and host(page)["playing"] == "true"
    assert_heard_under_cursor(page, FIRST_HZ + 100)
    page.locator(".speed").select_option("2")
    page.wait_for_timeout(300)
    assert audio(page, "playbackRate") == 2


def test_another_source_keeps_how_it_is_heard_and_another_clip_starts_over(open_player):
    page = open_player()
    at = go_to(page, 9.4)
    page.locator(".speed").select_option("0.5")
    page.get_by_role("button", name="Mute").click()
    source = audio(page, "src")
    page.get_by_text("second", exact=True).click()
    page.wait_for_function(f"s => document.querySelector('{AUDIO}').src !== s", arg=source)
    page.wait_for_function(f"Math.abs(document.querySelector('{AUDIO}').currentTime - {at}) < 0.05")
    assert audio(page, "paused") and audio(page, "muted") and audio(page, "playbackRate") == 0.5
    assert time_shown(page) == pytest.approx(at, abs=0.05)
    page.get_by_text("b", exact=True).click()
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.time === '0.00'")


def test_the_threshold_moves_while_playing(open_player):
    page = open_player()
    zoom(page, 0, 8)
    page.evaluate(f"document.querySelector('{CHART}').mark = 1")
    drawn = f"document.querySelector('{CHART}').data.find(t => t.name === 'track 1 azimuth').x.length"
    before = page.evaluate(drawn)
    press_play(page)
    page.locator("[data-testid=stSlider] input[type=range]").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    wait_for_arrays(page, "at 0.7")
    started = time_shown(page)
    page.wait_for_timeout(500)
    assert page.evaluate(drawn) < before
    assert page.evaluate(f"document.querySelector('{CHART}').mark") == 1  # the same chart
    assert shown_range(page) == [0, 8]
    assert host(page)["playing"] == "true" and time_shown(page) > started


def test_what_sounds_now(open_player):
    page = open_player()
    go_to(page, 4.45)
    rows = [row.split("\t") for row in page.locator(".now tbody tr").all_inner_texts()]
    assert [row[:2] for row in rows] == [
        ["male speech", "track 1"], ["ringing phone", "track 2"], ["male speech", "truth 1"], ["ringing phone", "truth 2"],
    ]  # fmt: skip
    assert rows[2][2:4] == ["35°", "5°"] and float(rows[0][4]) > 0.5 and rows[2][4] == ""
    cut = "cells => cells.filter(c => c.scrollWidth > c.clientWidth).map(c => c.textContent)"
    assert page.locator(".now td").evaluate_all(cut) == []
    go_to(page, 0.1)
    page.get_by_text("No sound detected here.").wait_for()


@pytest.mark.full("long")
def test_the_figure_is_drawn_anew_with_the_cursor(open_player):
    page = open_player()
    press_play(page)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(900)
        now = cursor(page)
        assert now["seen"] and abs(now["at"] - now["due"]) < 6 and host(page)["playing"] == "true"
    page.locator(CHART).hover()
    page.get_by_role("button", name="Fullscreen").last.click()
    page.wait_for_timeout(900)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press(" ")
    page.wait_for_function(f"document.querySelector('{HOST}').dataset.playing === 'false'")
    page.wait_for_timeout(300)
    now = cursor(page)
    assert now["seen"] and now["height"] == now["panels"] and abs(now["at"] - now["due"]) < 1
    at = go_to(page, 5.5)
    now = cursor(page)
    assert now["heard"] == pytest.approx(at, abs=0.05) and abs(now["at"] - now["due"]) < 1


def test_without_audio_it_says_so_and_still_shows_directions(open_player):
    page = open_player()
    page.get_by_text("Audio", exact=True).click()
    page.get_by_text("There is no audio to play.").wait_for()
    assert page.locator(".play").is_disabled()
    click_at(page, 4.45)
    assert time_shown(page) == pytest.approx(4.45, abs=0.05)


def test_unmounting_leaves_nothing(open_player):
    page = open_player()
    press_play(page)
    page.get_by_text("Player", exact=True).click()
    page.locator(HOST).wait_for(state="detached")
    page.wait_for_timeout(300)
    assert audio(page, "paused") and page.locator(".einv2-cursor, .einv2-region, [id^=einv2-player]").count() == 0
    at = audio(page, "currentTime")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    click_at(page, 12)
    page.wait_for_timeout(200)
    assert audio(page, "currentTime") == at


@pytest.mark.parametrize("width", [500, 800, 1300])
def test_nothing_sticks_out(open_player, width):
    page = open_player(viewport={"width": width, "height": 900})
    for _ in range(4):
        page.keyboard.press("ArrowRight")  # to where two sounds are
    for view in ("Sphere", "Map"):
        page.get_by_role("button", name=view).click()
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, view
        assert page.locator(".player").evaluate("e => e.scrollWidth - e.clientWidth") <= 0, view
        painted = page.locator(".directions canvas").evaluate(
            "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 200)"
        )
        assert painted, view
