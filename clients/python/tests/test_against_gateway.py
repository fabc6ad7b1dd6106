"""Real services, instrumented, driven by real clients, against a real gateway: what SQLite and `/metrics` then hold."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import httpx
import pytest

from conftest import FAST
from gateway import Gateway, eventually, free_port
from mcp_drive import http_server, session, whole_session
from mcp_metrics_client import MetricsClient, hash_user

SERVERS = Path(__file__).parent / "servers"


def variables(gateway: Gateway) -> dict[str, str]:
    return {**os.environ, **gateway.environment, "FASTMCP_CHECK_FOR_UPDATES": "off", "FASTMCP_LOG_LEVEL": "ERROR"}


@contextmanager
def fastapi_service(environment: dict[str, str], instrument: bool) -> Iterator[str]:
    port = free_port()
    program = [sys.executable, str(SERVERS / "fastapi_app.py"), str(port), "yes" if instrument else "no"]
    process = subprocess.Popen(program, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: httpx.get(f"{url}/api/servers").status_code == 200, 30)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def drive_fastapi(url: str) -> list[tuple[int, str, dict[str, str]]]:
    answers = []
    good = {"Authorization": "Bearer good", "X-Original-URL": "https://host/currenttime/mcp?x=1"}
    for method, path, headers in (
        ("GET", "/validate", good),
        ("GET", "/validate", {"X-Original-URL": "https://host/currenttime/mcp"}),
        ("GET", "/validate/events", {}),
        ("GET", "/validate/boom", {}),
        ("DELETE", "/api/servers/x", {}),
        ("POST", "/search?q=ignored", {}),
    ):
        response = httpx.request(method, url + path, headers=headers)
        kept = {name: value for name, value in response.headers.items() if name != "date"}
        answers.append((response.status_code, response.text, kept))
    return answers


def test_a_fastapi_service_reports_its_requests_and_answers_as_before(gateway: Gateway) -> None:
    environment = variables(gateway)
    with fastapi_service(environment, instrument=True) as url:
        answers = drive_fastapi(url)
        chunks: list[float] = []
        with httpx.stream("GET", f"{url}/validate/events") as response:
            chunks.extend(time.monotonic() for _ in response.iter_raw())
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{url}/validate/slow", timeout=0.2)
    assert chunks[-1] - chunks[0] > 0.2, "the stream was held back"
    with fastapi_service(environment, instrument=False) as url:
        assert answers == drive_fastapi(url)

    auth = gateway.rows("SELECT * FROM auth_metrics ORDER BY id")
    assert [(row["success"], row["error_code"]) for row in auth] == [
        (1, None),
        (0, "401"),
        (1, None),
        (0, "RuntimeError"),
        (1, None),
        (0, "aborted"),
    ]
    assert (auth[0]["method"], auth[0]["server"], auth[0]["user_hash"]) == (
        "jwt",
        "currenttime",
        hash_user("alice", salt=gateway.key),
    )
    assert auth[1]["server"] == "currenttime"
    # The stream goes on for 0.45 s; its request was authenticated when the answer began.
    assert float(str(auth[2]["duration_ms"])) < 440
    (search,) = gateway.rows("SELECT * FROM discovery_metrics")
    assert (search["query"], search["results_count"], search["embedding_time_ms"]) == ("find me a clock", 2, 1.25)
    assert gateway.series("mcp_auth_requests_total", service="fastapi-test", success="true") == 3
    assert gateway.series("mcp_auth_requests_total", success="false", error_code="401", server="currenttime") == 1
    # The first list is the test's own probe whether the service is up.
    assert gateway.series("mcp_registry_operations_total", operation="read", resource_type="servers") >= 1
    assert gateway.series("mcp_registry_operations_total", operation="delete", success="false") == 1
    assert gateway.series("mcp_tool_discovery_duration_seconds_count") == 1


@pytest.mark.parametrize("kind", ["sdk", "fastmcp"])
def test_an_mcp_server_reports_every_call(gateway: Gateway, kind: str) -> None:
    environment = variables(gateway)

    async def drive(url: str) -> list[Any]:
        async with session("http", url, environment, "real-client") as opened:
            return await whole_session(opened)

    with http_server(kind, True, environment) as url:
        anyio.run(drive, url)
    rows = gateway.rows("SELECT * FROM tool_metrics WHERE method = 'tools/call' ORDER BY id")
    assert [(row["tool_name"], row["success"], row["error_code"]) for row in rows] == [
        ("add", 1, None),
        ("slow", 1, None),
        ("fail", 0, "tool_error"),
        ("_other", 0, rows[3]["error_code"]),
    ]
    for row in rows:
        assert (row["client_name"], row["client_version"], row["server_name"]) == (
            "real-client",
            "9.8.7",
            "test-server",
        )
        assert int(str(row["input_size_bytes"])) > 10
    assert int(str(rows[0]["output_size_bytes"])) > 10
    assert 60 <= float(str(rows[1]["duration_ms"])) < 10_000
    assert len(gateway.rows("SELECT * FROM protocol_metrics")) == 3
    assert gateway.series("mcp_tool_executions_total", tool_name="add", success="true", client_name="real-client") == 1
    assert gateway.series("mcp_tool_executions_total", tool_name="fail", success="false", error_code="tool_error") == 1
    assert gateway.series("mcp_protocol_latency_seconds_count", flow_step="full_protocol_flow") == 1


def test_a_gateway_killed_under_a_client_loses_and_doubles_nothing(gateway: Gateway) -> None:
    # Room for all of it: a restart on a busy machine takes longer than the queue of a service is made for.
    limits = replace(FAST, max_queue_metrics=1_000_000, max_queue_bytes=2**30)
    client = MetricsClient(url=gateway.url, api_key=gateway.key, service="survivor", limits=limits)
    stop = threading.Event()
    recorded = 0

    def emit() -> None:
        nonlocal recorded
        while not stop.is_set():
            client.custom("beat", metadata={"number": recorded})
            recorded += 1
            time.sleep(0.0005)

    emitter = threading.Thread(target=emit)
    emitter.start()
    try:
        for _ in range(3):
            before = client.stats().delivered
            eventually(lambda before=before: client.stats().delivered > before + 50)  # type: ignore[misc]
            gateway.kill()
            retries = client.stats().retries
            eventually(lambda retries=retries: client.stats().retries > retries)  # type: ignore[misc]
            gateway.start()
    finally:
        stop.set()
        emitter.join()
    assert client.flush(20)
    stats = client.stats()
    assert (stats.delivered, stats.dropped, stats.rejected) == (recorded, 0, 0)
    rows = gateway.rows("SELECT json_extract(metadata, '$.number') AS number FROM metrics ORDER BY number")
    assert [row["number"] for row in rows] == list(range(recorded))
    eventually(lambda: gateway.series("mcp_custom_total", metric_name="beat") == recorded, 5)
    client.close()


@pytest.mark.parametrize("kind", ["fastapi", "sdk", "fastmcp"])
def test_a_gateway_killed_under_a_service_loses_and_doubles_nothing(gateway: Gateway, kind: str) -> None:
    environment = variables(gateway)
    calls_before, calls_without, calls_after = 40, 40, 10

    def around_a_kill(call: Callable[[], None]) -> None:
        for _ in range(calls_before):
            call()
        gateway.kill()
        for _ in range(calls_without):
            call()
        gateway.start()
        for _ in range(calls_after):
            call()

    if kind == "fastapi":
        with fastapi_service(environment, instrument=True) as url:
            around_a_kill(lambda: httpx.get(f"{url}/validate").close())
        counted = "SELECT count(*) AS n FROM auth_metrics"
    else:

        async def drive(url: str) -> None:
            async with session("http", url, environment, "client") as opened:
                await opened.initialize()
                await opened.list_tools()
                await anyio.to_thread.run_sync(
                    around_a_kill, lambda: anyio.from_thread.run(opened.call_tool, "add", {"a": 1, "b": 2})
                )

        with http_server(kind, True, environment) as url:
            anyio.run(drive, url)
        counted = "SELECT count(*) AS n FROM tool_metrics WHERE tool_name = 'add'"
    eventually(lambda: gateway.rows(counted) == [{"n": calls_before + calls_without + calls_after}])


def test_what_the_client_cuts_the_gateway_takes(gateway: Gateway, gateway_client: MetricsClient) -> None:
    wild = {"text": "\u0000\n\ud800😀" * 2000, "deep": [[[{"a": None}]]], "n": 2**70, "x" * 90: 1}
    gateway_client.custom(
        "wild " + "😀" * 300,
        1e12,
        duration_ms=1e300,
        dimensions={f"d{i}": "\ud800" * 500 for i in range(30)},
        metadata=wild,
    )
    gateway_client.protocol_latency(seconds=0, flow_step="x" * 500)
    gateway_client.health_check(endpoint="/health?a='\"", status_code=200, healthy=True, duration_ms=0)
    assert gateway_client.flush()
    stats = gateway_client.stats()
    assert (stats.delivered, stats.rejected, stats.invalid) == (3, 0, 0)
    assert len(gateway.rows("SELECT id FROM metrics")) == 3


def test_a_wrong_key_is_told_apart_and_delivers_once_it_is_right(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    right = gateway.key
    client = MetricsClient(url=gateway.url, api_key="mcp_metrics_" + "x" * 43, service="s", limits=FAST)
    client.custom("kept")
    eventually(lambda: "METRICS_API_KEY" in caplog.text)
    assert "x" * 43 not in caplog.text
    gateway.kill()
    gateway.key = "mcp_metrics_" + "x" * 43
    gateway.start()
    assert client.flush(20)
    assert client.stats().delivered == 1
    gateway.key = right
    client.close()
