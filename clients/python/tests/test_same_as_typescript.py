"""One conversation, two instrumentations: what Python records is what TypeScript records, names and codes alike."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gateway import REPOSITORY
from mcp_drive import SDK_2
from standin import Standin
from test_mcp_servers import ALL_KINDS, environment
from wire import Message, Wire

SERVERS = Path(__file__).parent / "servers"
SAMPLED: Message = {"result": {"role": "assistant", "model": "m", "content": {"type": "text", "text": "me"}}}
WITHOUT_ANSWER = ("cancelled", "timeout", "connection_closed")


def typescript() -> list[str]:
    if REPOSITORY is None or not (REPOSITORY / "node_modules" / ".bin" / "node").exists():
        pytest.skip("no TypeScript instrumentation: run this in the repository, after npm ci")
    node = REPOSITORY / "node_modules" / ".bin" / "node"
    return [str(node), "--conditions=mcp-metrics-source", str(SERVERS / "typescript_server.mjs")]


def python(kind: str) -> list[str]:
    return [sys.executable, str(SERVERS / "mcp_server.py"), kind, "stdio", "0", "notifications"]


def converse(command: list[str], standin: Standin, leave: bool) -> list[Message]:
    """Every answer. `leave`: at the end a call is left open."""
    wire = Wire(command, environment(standin), {"sampling/createMessage": SAMPLED}, str(SERVERS))
    info = {"name": "test-client", "version": "9.8.7"}
    asked = {"protocolVersion": "1999-01-01", "clientInfo": info, "capabilities": {"sampling": {}}}
    answers = [wire.ask(0, "initialize", **asked)]
    wire.notify("notifications/initialized")
    answers.append(wire.ask("one", "ping"))
    answers.append(wire.ask(2, "tools/call", name="add", arguments={"a": 20, "b": 22}))
    answers.append(wire.ask(3, "tools/list"))
    for request_id, name in enumerate(["add", "fail", "no_such_tool", "ask", "change"], 4):
        arguments = {"a": 1, "b": 2} if name == "add" else {}
        answers.append(wire.ask(request_id, "tools/call", name=name, arguments=arguments))
    answers.append(wire.ask(10, "tools/call", name="progress", arguments={}, _meta={"progressToken": "p"}))
    for request_id, reason in ((11, "the user left"), (12, "Request timed out")):
        wire.begin(request_id, "tools/call", name="wait", arguments={})
        # Answered beside it, so it has begun.
        answers.append(wire.ask(f"beside {request_id}", "ping"))
        wire.notify("notifications/cancelled", requestId=request_id, reason=reason)
        answers.append(wire.ask(f"after {request_id}", "ping"))
    answers.append(wire.ask(13, "made/up"))
    answers.append(wire.ask(14, "tools/call", arguments={}))
    if leave:
        wire.begin(15, "tools/call", name="wait", arguments={})
    answers.append(wire.ask("last", "ping"))
    wire.close()
    return answers


def normalized(metric: dict[str, Any]) -> str:
    """A record without what differs from run to run, and from SDK to SDK: how a server words its failures."""
    dimensions = dict(metric["dimensions"])
    if "session_key" in dimensions:
        dimensions["session_key"] = "hash"
    metadata = metric.get("metadata", {})
    told = {name: metadata.get(name) for name in ("progress_notifications", "initiator", "actual_tool_name")}
    if (code := metadata.get("error_code")) is not None:
        told["ended_by"] = code if code in WITHOUT_ANSWER else "failure"
    return repr((metric["type"], sorted(dimensions.items()), sorted(metadata), told, "duration_ms" in metric))


def records(command: list[str], leave: bool) -> tuple[list[Message], list[dict[str, Any]]]:
    standin = Standin()
    try:
        answers = converse(command, standin, leave)
        requests = len(answers) + len(("cancelled", "timeout", "sampled")) + leave
        standin.wait(lambda: sum(metric["type"] == "tool_execution" for metric in standin.metrics) >= requests, 20)
        return answers, standin.metrics
    finally:
        standin.close()


def failure(answer: Message) -> str | None:
    if "error" in answer:
        return str(answer["error"]["code"])
    return "tool_error" if answer["result"].get("isError") is True else None


@pytest.fixture(scope="module")
def typescripts() -> list[dict[str, Any]]:
    return records(typescript(), leave=True)[1]


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_same_conversation_gives_the_same_records(kind: str, typescripts: list[dict[str, Any]]) -> None:
    # FastMCP 3 outlives its client until the tool has ended, with or without instrumentation.
    leave = SDK_2 or kind != "fastmcp"
    answers, metrics = records(python(kind), leave)
    theirs = Counter(normalized(metric) for metric in typescripts if leave or "connection_closed" not in str(metric))
    ours = Counter(map(normalized, metrics))
    assert sorted((ours - theirs).elements()) == []
    assert sorted((theirs - ours).elements()) == []

    metadata = [metric["metadata"] for metric in metrics if metric["type"] == "tool_execution"]
    codes = Counter(one["error_code"] for one in metadata if one.get("error_code", "cancelled") not in WITHOUT_ANSWER)
    assert codes == Counter(code for answer in answers if (code := failure(answer)) is not None)
    agreed = answers[0]["result"]["protocolVersion"]
    assert {one.get("protocol_version") for one in metadata} == {agreed}
    sizes = Counter(one["output_size_bytes"] for one in metadata if "initiator" not in one)
    del sizes[0]
    on_the_wire = Counter(len(json.dumps(a, separators=(",", ":"), ensure_ascii=False).encode()) for a in answers)
    # FastMCP's own middleware sees results before they get the form in which they are sent.
    assert kind == "fastmcp-middleware" or sizes == on_the_wire
