"""Processes that work for a page: the lock tells whether they run, the whole tree ends, and temporary ones leave nothing behind."""

import gc
import sys
import tempfile
import time

import psutil
import pytest

from app.jobs import process
from einv2 import status
from einv2.status import Status

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")
UP = "print('up', flush=True); time.sleep(600)"
WITH_CHILD = (sys.executable, "-c", f"import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); {UP}")
DEAF = (sys.executable, "-c", f"import signal, time; signal.signal(15, signal.SIG_IGN); {UP}")


@pytest.fixture
def started(tmp_path):
    jobs = []

    def start(command=SLEEP, **options) -> process.Job:
        with process.try_lock(tmp_path, 1.0) as lock:
            jobs.append(process.start(command, tmp_path, lock, **options))
        return jobs[-1]

    yield start
    for job in jobs:
        job.stop()


def wait_until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError


def test_the_lock_is_held_as_long_as_the_process_runs(started, tmp_path):
    assert not process.is_running(tmp_path)
    job = started(detached=True)
    assert process.is_running(tmp_path) and process.try_lock(tmp_path) is None
    job.popen.kill()
    wait_until(lambda: not process.is_running(tmp_path))
    assert process.last_start(tmp_path).pid == job.popen.pid


def test_a_stop_ends_the_tree_and_is_written(started, tmp_path):
    job = started((*WITH_CHILD, *SLEEP))
    status.write(tmp_path, Status(status.RUNNING, 2, 3, "epochs"))
    wait_until(lambda: process.output(tmp_path) == "up\n")
    (child,) = job.popen.children()
    process.stop(tmp_path, "it")
    assert not job.is_running and not child.is_running()
    assert status.read(tmp_path) == Status(status.STOPPED, 2, 3, "epochs")


def test_a_process_that_ignores_the_signal_is_killed(started, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "STOP_SECONDS", 0.3)
    job = started(DEAF)
    wait_until(lambda: process.output(tmp_path) == "up\n")
    job.stop()
    assert job.popen.returncode == -9


def test_a_process_without_the_lock_is_not_stopped(tmp_path):
    stranger = psutil.Popen(SLEEP)
    try:
        (tmp_path / process.LOCK).touch()
        (tmp_path / process.START).write_text(f'{{"pid": {stranger.pid}, "began": "noon"}}')
        with pytest.raises(ValueError, match="cannot be found"):
            process.stop(tmp_path, "it")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize(
    "code, error",
    [
        ("print('usage'); sys.exit('prog: error: --x is odd')", "--x is odd"),
        ("raise MemoryError('no room')", "MemoryError: no room"),
        ("print('fine')", ""),
    ],
)
def test_the_error_of_the_last_start_is_found(started, tmp_path, code, error):
    started((sys.executable, "-c", "import sys; sys.exit('error: of an earlier start')")).popen.wait()
    assert process.printed_error(tmp_path) == "of an earlier start" and not process.last_start(tmp_path).resumed
    started((sys.executable, "-c", f"import sys; {code}")).popen.wait()
    assert process.printed_error(tmp_path) == error and process.last_start(tmp_path).resumed


def test_a_new_start_has_no_status_of_an_earlier_one(started, tmp_path):
    status.write(tmp_path, Status(status.FAILED, reason="of an earlier start"))
    started()
    assert status.read(tmp_path) is None


def test_a_temporary_process_reads_its_input_and_leaves_nothing_behind():
    directory = tempfile.TemporaryDirectory()
    code = "import sys, time; print(sys.stdin.read(), flush=True); time.sleep(600)"
    job = process.start_temporary((sys.executable, "-c", code), directory, b"order")
    popen, folder = job.popen, job.folder
    wait_until(lambda: process.output(folder) == "order\n")
    del job
    gc.collect()
    assert popen.poll() is not None and not folder.exists()
