"""The small decisions by themselves: hashes, answers, session steps."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from mcp_metrics_client import MetricsClient, hash_user
from mcp_metrics_client._answer import classify, retry_after_seconds
from mcp_metrics_client._encode import truncate
from mcp_metrics_client._mcp_records import Call, McpRecorder
from mcp_metrics_client._mcp_session import SessionSteps
from standin import Standin

# The TypeScript client is held to the same file.
VECTORS = json.loads((Path(__file__).parents[2] / "user-hash-vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["why"] for vector in VECTORS])
def test_user_hashes_are_those_of_every_client(vector: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_API_KEY", vector["apiKey"])
    monkeypatch.delenv("METRICS_USER_HASH_SALT", raising=False)
    if vector["environmentSalt"] is not None:
        monkeypatch.setenv("METRICS_USER_HASH_SALT", vector["environmentSalt"])
    client = MetricsClient(user_hash_salt=vector["optionSalt"])
    assert client.hash_user(vector["user"]) == vector["hash"]
    assert hash_user(vector["user"], salt=vector["optionSalt"]) == vector["hash"]
    client.close()


def test_a_clients_own_key_is_its_salt_and_nobody_has_no_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_API_KEY", "of-the-environment")
    client = MetricsClient(api_key="own")
    assert client.hash_user("alice") == hash_user("alice", salt="own") != hash_user("alice")
    assert client.hash_user("alice", salt="") == hashlib.sha256(b"alice").hexdigest()[:12]
    assert hash_user("") == hash_user(None) == ""
    client.close()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("-3", 0),
        ("1.5", 1.5),
        ("999999", 3600),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Sun, 22 Nov 2026 12:00:10 GMT", 10),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(text, datetime(2026, 11, 22, 12, tzinfo=timezone.utc)) == seconds


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, "delivered"),
        (202, "misconfigured"),
        (301, "misconfigured"),
        (400, "refused"),
        (401, "misconfigured"),
        (403, "misconfigured"),
        (404, "misconfigured"),
        (408, "retry"),
        (409, "retry"),
        (413, "too_large"),
        (415, "refused"),
        (422, "refused"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
    ],
)
def test_the_table_of_answers(status: int, verdict: str) -> None:
    assert classify(status, {}, b"<html>").verdict == verdict


def test_cutting_counts_as_the_gateway_does_and_splits_no_character() -> None:
    assert truncate("x" * 201, 200) == "x" * 200
    assert truncate("a" + "😀" * 100, 200) == "a" + "😀" * 99
    assert truncate("short", 200) == "short"


def flows(steps: SessionSteps, *methods: str) -> list[str]:
    return [latency.flow_step for method in methods for latency in steps.request(method)]


def test_a_session_reports_each_step_once() -> None:
    methods = ["initialize", "ping", "tools/list", "tools/list", "tools/call", "tools/call", "tools/list"]
    expected = ["initialize_to_tools_list", "tools_list_to_tools_call", "full_protocol_flow"]
    assert flows(SessionSteps("id"), *methods) == expected


def test_a_session_that_lists_nothing_still_reports_the_whole_way() -> None:
    assert flows(SessionSteps("id"), "initialize", "tools/call") == ["full_protocol_flow"]


def test_without_a_handshake_a_session_begins_with_its_first_request() -> None:
    assert flows(SessionSteps(None), "tools/list", "tools/call") == ["tools_list_to_tools_call", "full_protocol_flow"]
    assert flows(SessionSteps(None), "server/discover", "tools/list") == ["initialize_to_tools_list"]
    assert flows(SessionSteps(None), "tools/call", "tools/call") == []
    assert flows(SessionSteps(None), "ping", "initialize", "tools/call") == ["full_protocol_flow"]


def test_two_sessions_do_not_run_into_each_other() -> None:
    one, other = SessionSteps("a"), SessionSteps("b")
    assert flows(one, "initialize") == []
    assert flows(other, "tools/list") == []
    assert flows(one, "tools/list") == ["initialize_to_tools_list"]
    assert one.key != other.key
    assert one.key != "a"


@pytest.mark.parametrize("result", [{"resultType": "input_required"}, SimpleNamespace(result_type="input_required")])
def test_an_answer_that_asks_for_more_is_told_from_the_end_of_its_call(
    standin: Standin, client: MetricsClient, result: object
) -> None:
    recorder = McpRecorder(client, "asking", None)
    for answer in (result, {"resultType": "complete"}):
        recorder.answered(Call(method="tools/call", params={"name": "deploy"}), None, result=answer)
    client.flush()
    assert [(m["dimensions"]["success"], m["metadata"].get("result_type")) for m in standin.metrics] == [
        (True, "input_required"),
        (True, None),
    ]
