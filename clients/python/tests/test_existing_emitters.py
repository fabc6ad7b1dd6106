"""Emitters of the replaced system run unchanged: recorded bodies, sent the way that those emitters send them.

Two environment variables, one metric per request or what was recorded, new connections or keep-alive, naive
timestamps, null and text booleans; exactly 200 is success and nobody reads the body.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from gateway import REPOSITORY, Gateway, eventually

BODIES_AT_MOST = 400


def recorded(limit: int) -> list[dict[str, Any]]:
    """Bodies as recorded, their naive timestamps moved so that the last is a minute old."""
    assert REPOSITORY is not None
    lines = (REPOSITORY / "tests" / "fixtures" / "auth-server.ndjson").read_text().splitlines()[:limit]
    bodies: list[dict[str, Any]] = [json.loads(line) for line in lines]
    metrics = [metric for body in bodies for metric in body["metrics"]]
    last = max(datetime.fromisoformat(metric["timestamp"]) for metric in metrics)
    shift = datetime.utcnow() - timedelta(minutes=1) - last
    for metric in metrics:
        metric["timestamp"] = (datetime.fromisoformat(metric["timestamp"]) + shift).isoformat()
    return bodies


def one_each(bodies: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for body in bodies:
        for metric in body["metrics"]:
            yield {**body, "metrics": [metric]}


def check_everything_arrived(gateway: Gateway, bodies: list[dict[str, Any]]) -> None:
    metrics = [metric for body in bodies for metric in body["metrics"]]
    assert len(gateway.rows("SELECT id FROM metrics")) == len(metrics)
    tools = [metric["dimensions"] for metric in metrics if metric["type"] == "tool_execution"]
    for success in (True, False):
        expected = sum(tool["success"] is success for tool in tools)
        found = gateway.series(
            "mcp_tool_executions_total",
            service="auth-server",
            metric_type="tool_execution",
            success=str(success).lower(),
        )
        assert found == expected
    jwt = sum(m["type"] == "auth_request" and m["dimensions"]["method"] == "jwt" for m in metrics)
    assert gateway.series("mcp_auth_requests_total", method="jwt") == jwt


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_one_metric_per_request_on_a_new_connection_each(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in gateway.environment.items():
        monkeypatch.setenv(name, value)
    bodies = recorded(BODIES_AT_MOST)
    for body in one_each(bodies):
        # As deployed emitters do it: a client per metric, nothing kept.
        response = httpx.post(
            f"{os.environ['METRICS_SERVICE_URL']}/metrics",
            json=body,
            headers={"X-API-Key": os.environ["METRICS_API_KEY"]},
            timeout=5,
        )
        assert response.status_code == 200
    check_everything_arrived(gateway, bodies)


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_recorded_requests_over_one_kept_connection(gateway: Gateway) -> None:
    bodies = recorded(BODIES_AT_MOST)
    with httpx.Client(base_url=gateway.url, headers={"X-API-Key": gateway.key}) as emitter:
        for body in bodies:
            assert emitter.post("/metrics", json=body).status_code == 200
    check_everything_arrived(gateway, bodies)


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_a_thousand_and_twenty_four_at_once_with_connection_close(gateway: Gateway) -> None:
    """The way of the nginx emitter, which looks for `200` in the status line."""
    bodies = recorded(2000)
    metrics = [metric for body in bodies for metric in body["metrics"]][:1024]
    assert len(metrics) == 1024
    together = {**bodies[0], "metrics": metrics}
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    text = json.dumps(together)
    connection.request(
        "POST", "/metrics", text, {"X-API-Key": gateway.key, "Connection": "close", "Content-Type": "application/json"}
    )
    response = connection.getresponse()
    assert (response.status, response.version) == (200, 11)
    response.read()
    check_everything_arrived(gateway, [together])


def test_every_spelling_of_a_boolean_gives_one_label_value(gateway: Gateway) -> None:
    spellings = [(True, False), ("true", "false"), ("True", "False"), ("TRUE", "FALSE")]
    for yes, no in spellings:
        for value in (yes, no):
            item = {
                "type": "auth_request",
                "timestamp": datetime.now().astimezone().isoformat(),
                "value": 1.0,
                "dimensions": {"success": value, "method": "jwt", "server": None, "user_hash": ""},
                "metadata": {"error_code": None},
                "an_unknown_field": [1],
            }
            body: dict[str, object] = {"service": "spelling", "version": None, "metrics": [item], "another": {}}
            answer = httpx.post(f"{gateway.url}/metrics", json=body, headers={"X-API-Key": gateway.key})
            assert answer.status_code == 200
            assert answer.json()["accepted"] == 1
    eventually(lambda: gateway.series("mcp_auth_requests_total", service="spelling") == 8, 5)
    assert gateway.series("mcp_auth_requests_total", service="spelling", success="true") == 4
    assert gateway.series("mcp_auth_requests_total", service="spelling", success="false") == 4
    rows = gateway.rows("SELECT success, server FROM auth_metrics ORDER BY id")
    assert [row["success"] for row in rows] == [1, 0] * 4
    assert {row["server"] for row in rows} == {None}
