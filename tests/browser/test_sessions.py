"""Several people at one server: none sees what is another's, those who wait see their place, and who leaves takes nothing along."""

import urllib.error
import urllib.request

import pytest

from app import bench
from support.browsing import CHART, open_example, upload, wait_for_detections, wav
from support.server import Server
from support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.full("sessions and a killed server")]
KEEP_SECONDS = 2  # a closed tab's session
TOO_MUCH = 2_000_000  # bytes, more than the limit of the server below
SIGNS = {  # what stands on a page and on no other once its clip, if it takes the open one along, has been analysed
    "Tracks": ".st-key-ribbons .js-plotly-plot",
    "Evaluate": "text=Score a system, and see what scores hide",
    "Scenes": "text=Compose scenes, and know the truth about them",
    "Train": "text=Train a network, and watch it learn",
    "Models": "text=Networks, and what is known of them",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(address, process) of a server that forgets closed tabs soon, and takes 1 MB at most."""
    options = ("--server.disconnectedSessionTTL", str(KEEP_SECONDS), "--server.maxUploadSize", "1")
    data = tmp_path_factory.mktemp("user_data")
    with bench.serving(arguments=("--user-data", str(data)), options=options) as served:
        yield served


def clip(name, seconds=3):
    return {**wav(4, seconds), "name": name}


def text(page):
    return page.inner_text("body")


def visit(browser, address):
    page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    page.set_default_timeout(bench.WAIT_MS)
    page.goto(address)
    page.get_by_text("See what a SELD network hears").wait_for()
    return page


def held(address):
    """What the server says it holds: bytes of uploads and of sounds and downloads, and the number of open pages."""
    lines = urllib.request.urlopen(f"{address}/_stcore/metrics", timeout=30).read().decode().splitlines()
    found = {"UploadedFileManager": 0, "st_memory_media_file_storage": 0, "active_sessions": 0}
    for line in lines:
        for name in found:
            if name in line and not line.startswith("#"):
                found[name] += int(float(line.split()[-1]))
    return found


def test_two_browsers_each_see_their_own_clip_only(browser, address):
    first, second = visit(browser, address), visit(browser, address)
    upload(first, clip("of_ann.wav"))
    upload(second, clip("of_ben.wav", seconds=4))
    for page, own, other in ((first, "of_ann.wav", "of_ben.wav"), (second, "of_ben.wav", "of_ann.wav")):
        wait_for_detections(page)
        for name, sign in SIGNS.items():
            page.get_by_role("link", name=name, exact=True).click()
            page.locator(sign).first.wait_for()
            assert other not in text(page)
        page.get_by_role("link", name="Inspect", exact=True).click()
        page.get_by_text(own).first.wait_for()
        wait_for_detections(page)
        assert other not in text(page)
    # neither a new page of the same browser nor the other's address opens it
    again = first.context.new_page()
    again.goto(second.url)
    again.get_by_text("See what a SELD network hears").wait_for()
    assert again.locator(CHART).count() == 0 and "of_ann" not in text(again)
    assert "of_ben.wav was open here and is no more" in text(again)  # by the address, which the user was given
    for page in (first, second):
        page.context.close()


def test_an_upload_cannot_be_fetched_and_its_sound_only_by_its_own_name(browser, address):
    page, uploads = visit(browser, address), []
    page.on("request", lambda request: uploads.append(request.url) if "upload_file" in request.url else None)
    upload(page, clip("of_ann.wav"))
    wait_for_detections(page)
    assert uploads
    assert (
        b"RIFF" not in urllib.request.urlopen(uploads[0], timeout=30).read()
    )  # what was sent is never given out again
    assert (
        status(uploads[0], "DELETE") == 403 and status(uploads[0], "PUT") == 403
    )  # nor changed by another page's script
    sound = page.evaluate("document.querySelector('audio').src")
    assert len(sound.rpartition("/")[2].partition(".")[0]) >= 32  # a digest: nobody guesses it
    assert (
        status(sound) == 200
        and status(f"{address}/media/") in (403, 404, 405)
        and status(sound[:-7] + "00.flac") == 404
    )
    page.context.close()


def status(url, method="GET"):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_page_of_another_place_cannot_talk_to_the_server(browser, address):
    """Its script may ask, but gets no answer: no header lets it read, and its web socket is refused."""
    port = address.rpartition(":")[2]
    page = browser.new_page()
    page.route(
        "http://elsewhere.example/", lambda route: route.fulfill(body="<p>elsewhere</p>", content_type="text/html")
    )
    page.goto("http://elsewhere.example/")
    reads = "url => fetch(url).then(() => 'read', () => 'refused')"
    assert page.evaluate(reads, f"{address}/_stcore/health") == "refused"
    opens = """url => new Promise(done => {
        const socket = new WebSocket(url);
        socket.onopen = () => done('open');
        socket.onerror = () => done('refused');
    })"""
    assert page.evaluate(opens, f"ws://127.0.0.1:{port}/_stcore/stream") == "refused"
    page.context.close()


def test_a_name_that_leads_here_by_a_trick_is_refused(address):
    """DNS rebinding: the browser believes that evil.example is this machine, so that no header of another origin warns."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    host = address.removeprefix("http://")
    url = f"ws://{host}/_stcore/stream"
    with connect(url, origin=address, subprotocols=["streamlit"]):
        pass
    port = host.rpartition(":")[2]
    headers, evil = {"Host": f"evil.example:{port}"}, f"http://evil.example:{port}"
    with (
        pytest.raises(InvalidStatus),
        connect(url, origin=evil, additional_headers=headers, subprotocols=["streamlit"]),
    ):
        pass


def test_a_file_above_the_limit_is_refused(browser, small):
    page = visit(browser, small[0])
    large = {"name": "large.wav", "mimeType": "audio/wav", "buffer": bytes(TOO_MUCH)}
    upload(page, large)
    page.get_by_test_id("stFileChipIconError").wait_for()
    assert held(small[0])["UploadedFileManager"] == 0
    page.context.close()


def test_a_closed_tab_frees_what_it_held(browser, small):
    address, _ = small
    page = visit(browser, address)
    upload(page, clip("of_ann.wav"))
    wait_for_detections(page)
    wait_until(lambda: held(address)["UploadedFileManager"] > 500_000)  # the server counts every five seconds
    assert held(address)["st_memory_media_file_storage"] > 10_000
    page.close()
    nothing = dict.fromkeys(held(address), 0)
    wait_until(lambda: held(address) == nothing)


def test_who_waits_sees_the_place_may_stop_and_leaves_the_line_with_the_tab(browser, address):
    """The first has a long clip; the second waits behind it, the third leaves, the fourth stops."""
    pages = [visit(browser, address) for _ in range(4)]
    first, second, third, fourth = pages
    upload(first, clip("first.wav", 150))
    first.get_by_text("Reading").first.wait_for()
    for place, page in enumerate((second, third, fourth), 1):
        upload(page, clip(f"waits_{place}.wav"))
        page.get_by_text("in line").first.wait_for()
    assert "3rd in line" in text(fourth)
    third.context.close()
    fourth.get_by_text("2nd in line").wait_for()
    fourth.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    fourth.get_by_text("Stopped before").wait_for()
    wait_for_detections(first)
    wait_for_detections(second)
    assert "waits_1.wav" in text(second)
    for page in (first, second, fourth):
        page.context.close()


def amid_an_upload(page):
    page.route("**/upload_file/**", lambda route: None)  # it never ends
    with page.expect_request("**/upload_file/**"):
        upload(page, clip("lost.wav"))


def amid_an_inference(page):
    upload(page, clip("lost.wav", 150))
    page.get_by_text("Reading").first.wait_for()


def amid_a_download(page):
    open_example(page, 0)
    page.get_by_role("tab", name="Export").click()
    page.route("**/media/**", lambda route: None)
    with page.expect_request("**/media/**"):
        page.get_by_role("button", name="Download detections").click()


def test_after_the_server_was_killed_a_page_says_so_and_is_fresh_once_it_is_back(browser, tmp_path):
    """And what had been kept is there."""
    kept = tmp_path / "models" / "mine.safetensors"
    kept.parent.mkdir()
    kept.write_bytes(b"was kept")
    server = Server(tmp_path)
    try:
        for begin in (amid_an_upload, amid_an_inference, amid_a_download):
            page = visit(browser, server.address)
            begin(page)
            server.kill()
            page.get_by_text("Streamlit server is not responding").wait_for()
            server.start()
            assert kept.read_bytes() == b"was kept"
            if begin is not amid_a_download:
                page.context.close()
        page.get_by_text("Streamlit server is not responding").wait_for(state="detached")
        page.context.close()
        page = visit(browser, server.address)
        page.get_by_role("button", name="Try this example").nth(2).wait_for()
        assert "lost.wav" not in text(page)
        upload(page, clip("again.wav"))
        wait_for_detections(page)
        page.context.close()
    finally:
        server.kill()
