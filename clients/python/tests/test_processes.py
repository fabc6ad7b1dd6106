"""The client over the lives of processes: forks, workers, exits of every kind."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from gateway import eventually, free_port
from mcp_metrics_client import Limits, MetricsClient
from standin import Standin
from test_client import custom_names

Make = Callable[..., MetricsClient]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_forked_child_sends_its_own_and_not_the_parents(standin: Standin, make_client: Make) -> None:
    client = make_client(limits=Limits(flush_interval=0.3))
    client.custom("before the fork")
    child = os.fork()
    if child == 0:
        try:
            client.custom("from the child")
            os._exit(0 if client.flush(5) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert client.flush(5)
    assert sorted(custom_names(standin)) == ["before the fork", "from the child"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_multiprocessing_child_flushes_at_its_end(standin: Standin, make_client: Make) -> None:
    client = make_client(limits=Limits(flush_interval=60))
    process = multiprocessing.get_context("fork").Process(target=client.custom, args=("from a worker",))
    process.start()
    process.join(10)
    assert process.exitcode == 0
    assert custom_names(standin) == ["from a worker"]


def test_a_process_flushes_at_exit(standin: Standin) -> None:
    program = (
        "from mcp_metrics_client import MetricsClient\n"
        "client = MetricsClient(service='short')\n"
        "client.custom('at exit')\n"
    )
    environment = {**os.environ, "METRICS_SERVICE_URL": standin.url, "METRICS_API_KEY": "k"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert custom_names(standin) == ["at exit"]


def test_a_process_that_handles_no_sigterm_flushes_before_it_dies_of_it(standin: Standin) -> None:
    program = (
        "import time\n"
        "from mcp_metrics_client import MetricsClient, Limits\n"
        "client = MetricsClient(service='short', limits=Limits(flush_interval=60))\n"
        "client.custom('at sigterm')\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "METRICS_SERVICE_URL": standin.url, "METRICS_API_KEY": "k"}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM
    process.stdout.close()
    assert custom_names(standin) == ["at sigterm"]


def test_an_exit_is_not_held_up_by_a_gateway_that_is_away() -> None:
    program = (
        "from mcp_metrics_client import MetricsClient, Limits\n"
        "client = MetricsClient(service='short', limits=Limits(close_timeout=0.5))\n"
        "client.custom('never')\n"
    )
    gone = Standin()
    gone.close()
    environment = {**os.environ, "METRICS_SERVICE_URL": gone.url, "METRICS_API_KEY": "k"}
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, timeout=20)
    assert done.returncode == 0
    assert time.monotonic() - began < 15


def run(standin: Standin, program: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "METRICS_SERVICE_URL": standin.url, "METRICS_API_KEY": "k"}
    head = "import atexit, os, sys, threading, time\nfrom mcp_metrics_client import Limits, MetricsClient\n"
    return subprocess.run([sys.executable, "-c", head + program], env=environment, capture_output=True, timeout=30)


ENDINGS = {
    "sys.exit": "client.custom('at the end')\nsys.exit(3)",
    "an exception": "client.custom('at the end')\nraise LookupError",
    "an exit in a thread": (
        "def work():\n    client.custom('at the end')\n    sys.exit(1)\n"
        "thread = threading.Thread(target=work)\nthread.start()"
    ),
    # Interpreters from 3.12 on start no threads any more at this point.
    "a first metric at exit": "atexit.register(client.custom, 'at the end')",
    "a fork that exits": (
        "child = os.fork()\nif child == 0:\n    client.custom('at the end')\n    sys.exit(0)\nos.waitpid(child, 0)"
    ),
    "a metric of a destructor": (
        "class Late:\n    def __del__(self):\n        client.custom('too late')\n"
        "late = Late()\nclient.custom('at the end')"
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_however_a_program_ends_its_metrics_are_sent_and_it_ends_as_it_would(standin: Standin, ending: str) -> None:
    with_client = run(standin, "client = MetricsClient(service='short')\n" + ENDINGS[ending])
    nothing = "class client:\n    custom = staticmethod(lambda name: None)\n"
    without = run(standin, nothing + ENDINGS[ending])
    assert with_client.returncode == without.returncode
    assert b"mcp_metrics_client" not in with_client.stderr
    assert custom_names(standin) == ["at the end"]


def test_children_of_any_moment_can_send(standin: Standin) -> None:
    # Loaded or opened by the sender's thread, httpcore and OpenSSL were left half done in a child forked meanwhile.
    program = """
client = MetricsClient(service="s", limits=Limits(close_timeout=10))
client.custom("parent")
children = []
for number in range(12):
    time.sleep(number * 0.003)
    client.custom("parent")
    child = os.fork()
    if child == 0:
        client.custom(f"child {number}")
        os._exit(0 if client.flush(10) else 1)
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""
    assert run(standin, program).returncode == 0
    names = custom_names(standin)
    assert sorted(name for name in names if name != "parent") == sorted(f"child {number}" for number in range(12))
    assert names.count("parent") == 13


def test_a_fork_is_not_held_up_by_a_gateway_that_hangs(standin: Standin) -> None:
    program = """
import socket
silent = socket.create_server(("127.0.0.1", 0))
url = f"http://127.0.0.1:{silent.getsockname()[1]}"
client = MetricsClient(service="s", url=url, limits=Limits(flush_interval=0.01, close_timeout=0.1))
client.custom("waits for ever")
silent.accept()
began = time.monotonic()
child = os.fork()
print(time.monotonic() - began, flush=True)
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
"""
    assert all(float(line) < 5 for line in run(standin, program).stdout.split())


def test_where_no_thread_can_start_the_last_flush_sends(
    standin: Standin, make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    client = make_client()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        client.custom("at the end")
        # The stand-in needs its threads.
        patched.undo()
        monkeypatch.setattr(client._sender, "_start", lambda: None)
        assert client.close(5)
    assert custom_names(standin) == ["at the end"]


APPLICATION = """
import os
import time
from mcp_metrics_client import MetricsClient

metrics = MetricsClient(service="prefork")
metrics.custom("loaded")


def application(environ, start_response):
    metrics.custom("request", dimensions={"pid": os.getpid()})
    time.sleep(0.02)  # busy, so that the other worker takes the next one
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@pytest.mark.skipif(not importlib.util.find_spec("gunicorn"), reason="gunicorn is not here")
def test_workers_forked_after_the_client_was_made_report_each_their_own(standin: Standin, tmp_path: Path) -> None:
    (tmp_path / "prefork.py").write_text(APPLICATION)
    port = free_port()
    environment = {**os.environ, "METRICS_SERVICE_URL": standin.url, "METRICS_API_KEY": "k"}
    options = ["--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}", "--log-level", "error"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "prefork:application"], env=environment, cwd=tmp_path
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        eventually(lambda: httpx.get(url).status_code == 200, 20)
        answers: list[str] = []
        deadline = time.monotonic() + 30
        with ThreadPoolExecutor(4) as clients:
            while len(set(answers)) < 2 or len(answers) < 40:
                assert time.monotonic() < deadline, "both workers were to answer"
                answers.extend(clients.map(lambda _: httpx.get(url, timeout=20).text, range(4)))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    names = custom_names(standin)
    assert names.count("loaded") == 1
    assert names.count("request") == len(answers) + 1
    pids = {str(metric["dimensions"]["pid"]) for metric in standin.metrics if "pid" in metric["dimensions"]}
    assert pids >= set(answers)
