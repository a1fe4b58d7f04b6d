"""The README's server for a whole lab, as it is written there: nginx with TLS and a login, and the app behind it."""

import os
import shlex
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode

import pytest

from app import bench
from support.browsing import press_slider, upload, wait_for_detections, wait_for_threshold, wav
from support.readme import BLOCKS
from support.waiting import wait_until

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
NAME, PASSWORD, HOST = "ann", "of the lab", "studio.example.org"
pytestmark = [
    pytest.mark.full("a server behind nginx"),
    pytest.mark.browser,
    pytest.mark.skipif(not NGINX and not os.environ.get("REQUIRE_NGINX"), reason="no nginx on this machine"),
]


def replaced(text, changes):
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, str(new))
    return text


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The address at which the README's command serves, but for port and folder."""
    (line,) = (block[0] for block in BLOCKS if "--server.allowedHosts" in block[0])
    words = replaced(line, {"/srv/einv2": tmp_path_factory.mktemp("user_data")})
    before, _, after = words.partition(" -- ")
    with bench.serving(options=shlex.split(before)[3:], arguments=shlex.split(after)) as (address, _):
        yield address


@pytest.fixture(scope="module")
def lab(tmp_path_factory, app):
    """The address of nginx before it, with the README's configuration but for places."""
    folder = tmp_path_factory.mktemp("nginx")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=studio.example.org"
    subprocess.run([*make.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    hashed = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True).stdout
    (folder / "users").write_text(f"{NAME}:{hashed}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (block,) = ("\n".join(block) for block in BLOCKS if block[0].startswith("map $http_upgrade"))
    places = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "ssl_certificate     /etc/nginx/studio.pem": f"ssl_certificate {certificate}",
        "/etc/nginx/studio.key": key,
        "auth_basic_user_file /etc/nginx/studio.users": f"auth_basic_user_file {folder / 'users'}",
        "http://127.0.0.1:8501": app,
    }
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder / kind};\n" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""  # of the test's own folder
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder / 'pid'}; error_log {folder / 'error.log'}; events {{}}\n"
        f"http {{ access_log off; {temporary} {replaced(block, places)} }}\n"
    )
    server = subprocess.Popen([NGINX, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"])
    try:
        wait_until(lambda: server.poll() is not None or asks(f"https://127.0.0.1:{port}/")[0] == 401)
        assert server.poll() is None, (folder / "error.log").read_text()
        yield f"https://{HOST}:{port}"
    finally:
        server.terminate()
        server.wait(30)


def asks(url, path="", login=False):
    """(status, headers) of the machine of nginx, whatever its certificate."""
    port = url.rpartition(":")[2].strip("/")
    headers = {"Host": f"{HOST}:{port}"}
    if login:
        headers["Authorization"] = f"Basic {b64encode(f'{NAME}:{PASSWORD}'.encode()).decode()}"
    request = urllib.request.Request(f"https://127.0.0.1:{port}{path}", headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=30, context=ssl._create_unverified_context())
    except urllib.error.HTTPError as error:
        return error.code, error.headers
    except OSError:
        return 0, {}
    return answer.status, answer.headers


def test_who_has_no_login_gets_nothing(lab):
    for path in ("/", "/_stcore/health", "/_stcore/host-config", "/media/0.wav", "/static/index.html"):
        assert asks(lab, path)[0] == 401


def test_what_is_for_the_machine_alone_is_not_given_out(lab):
    assert asks(lab, "/_stcore/health", login=True)[0] == 200
    assert asks(lab, "/_stcore/metrics", login=True)[0] == 404
    headers = asks(lab, "/", login=True)[1]
    assert headers["X-Content-Type-Options"] == "nosniff" and "max-age" in headers["Strict-Transport-Security"]
    assert "object-src 'none'" in headers["Content-Security-Policy"]


def test_every_page_works_behind_it(browser, lab):
    """Nothing that a page does is against the policy of what it may load: the console stays empty."""
    problems = []
    behind = browser.browser_type.launch(
        executable_path=bench.CHROMIUM, args=[*bench.ARGUMENTS, f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
    )
    login = {"username": NAME, "password": PASSWORD}
    page = behind.new_context(http_credentials=login, ignore_https_errors=True).new_page()
    page.set_default_timeout(bench.WAIT_MS)
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(lab)
    page.get_by_text("See what a SELD network hears").wait_for()
    upload(page, wav(4, 4))
    wait_for_detections(page)
    page.wait_for_function("() => document.querySelector('audio')?.readyState >= 2")
    press_slider(page, "ArrowRight", 1)
    wait_for_threshold(page, 0.55)
    for name in ("Tracks", "PIT lab", "Evaluate", "Scenes", "Train", "Models"):
        page.get_by_role("link", name=name, exact=True).click()
        page.get_by_test_id("stMainBlockContainer").get_by_role("heading").first.wait_for()
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    behind.close()
    assert problems == []
