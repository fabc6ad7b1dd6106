"""Real MCP servers, instrumented in one line, driven by the SDK's own client: records, and unchanged answers."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import anyio
import mcp
import pytest

from mcp_drive import SDK_2, command, http_server, session, whole_session
from mcp_metrics_client import MetricsClient, instrument_mcp_server
from standin import Standin

KINDS = ["sdk", "lowlevel", *(["fastmcp"] if importlib.util.find_spec("fastmcp") else [])]
# FastMCP's own middleware sees every request only since it stands on the SDK's 2.x line.
ALL_KINDS = [*KINDS, *(["fastmcp-middleware"] if SDK_2 and "fastmcp" in KINDS else [])]
FLOWS = {"initialize_to_tools_list", "tools_list_to_tools_call", "full_protocol_flow"}


def environment(standin: Standin) -> dict[str, str]:
    return {
        **os.environ,
        "METRICS_SERVICE_URL": standin.url,
        "METRICS_API_KEY": "k",
        "OTEL_SERVICE_NAME": "mcp-test",
        "FASTMCP_CHECK_FOR_UPDATES": "off",
        "FASTMCP_LOG_LEVEL": "ERROR",
    }


def drive(kind: str, transport: str, variables: dict[str, str], instrument: bool) -> list[Any]:
    async def over_stdio() -> list[Any]:
        target = command(kind, "stdio", 0, instrument)
        async with session("stdio", target, variables, "test-client") as opened:
            return await whole_session(opened)

    async def over_http(url: str) -> list[Any]:
        async with session("http", url, variables, "test-client") as opened:
            return await whole_session(opened)

    if transport == "stdio":
        return anyio.run(over_stdio)
    with http_server(kind, instrument, variables) as url:
        return anyio.run(over_http, url)


def of_type(standin: Standin, metric_type: str) -> list[dict[str, Any]]:
    return [metric for metric in standin.metrics if metric["type"] == metric_type]


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_request_of_a_session_is_recorded_and_no_answer_changes(
    standin: Standin, kind: str, transport: str
) -> None:
    variables = environment(standin)
    answers = drive(kind, transport, variables, instrument=True)
    standin.wait(lambda: sum(len(body["metrics"]) for body in standin.counted.values()) >= 11, 10)
    assert answers == drive(kind, transport, variables, instrument=False)

    calls = of_type(standin, "tool_execution")
    names = [(call["dimensions"]["method"], call["dimensions"]["tool_name"]) for call in calls]
    known = ["add", "slow", "fail"]
    assert [pair for pair in names if pair[0] != "tools/list"] == [
        ("initialize", "initialize"),
        *(("tools/call", name) for name in [*known, "_other"]),
        ("ping", "ping"),
        ("prompts/get", "prompts/get"),
    ]
    assert ("tools/list", "tools/list") in names
    by_tool = {call["dimensions"]["tool_name"]: call for call in calls}
    for name, success in [("initialize", True), ("add", True), ("slow", True), ("fail", False), ("_other", False)]:
        assert by_tool[name]["dimensions"]["success"] is success, name
        assert ("error_code" not in by_tool[name]["metadata"]) is success, name
    assert by_tool["fail"]["metadata"]["error_code"] == "tool_error"
    # 0 is what the SDKs answer an exception with, before 2026-07-28.
    assert by_tool["prompts/get"]["metadata"]["error_code"] in ("0", "-32601", "-32602")
    assert by_tool["_other"]["metadata"]["actual_tool_name"].startswith("no_such_tool_")
    assert 60 <= by_tool["slow"]["duration_ms"] < 10_000
    assert 0 < by_tool["add"]["duration_ms"] < 10_000
    for call in calls:
        assert call["dimensions"]["client_name"] == "test-client"
        assert call["dimensions"]["client_version"] == "9.8.7"
        assert call["dimensions"]["server_name"] == "test-server"
        assert call["metadata"]["protocol_version"].startswith("20")
    assert by_tool["add"]["metadata"]["input_size_bytes"] >= len('{"name":"add","arguments":{"a":20,"b":22}}')
    assert by_tool["add"]["metadata"]["output_size_bytes"] > 10
    assert "the tool broke" not in str(standin.metrics)

    latencies = of_type(standin, "protocol_latency")
    assert sorted(latency["dimensions"]["flow_step"] for latency in latencies) == sorted(FLOWS)
    keys = {latency["dimensions"]["session_key"] for latency in latencies}
    assert keys == {call["dimensions"]["session_key"] for call in calls}
    assert len(keys) == 1
    seconds = {latency["dimensions"]["flow_step"]: latency["value"] for latency in latencies}
    assert seconds["full_protocol_flow"] == pytest.approx(
        seconds["initialize_to_tools_list"] + seconds["tools_list_to_tools_call"]
    )


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_two_sessions_of_one_server_keep_their_own_times(standin: Standin, kind: str) -> None:
    variables = environment(standin)

    async def two(url: str) -> None:
        async with (
            session("http", url, variables, "one") as first,
            session("http", url, variables, "two") as second,
        ):
            await first.initialize()
            await second.initialize()
            await second.list_tools()
            await first.call_tool("add", {"a": 1, "b": 2})
            await second.call_tool("add", {"a": 1, "b": 2})

    with http_server(kind, True, variables) as url:
        anyio.run(two, url)
    flows: dict[str, list[str]] = {}
    for latency in of_type(standin, "protocol_latency"):
        flows.setdefault(latency["dimensions"]["session_key"], []).append(latency["dimensions"]["flow_step"])
    # The SDK's client lists the tools by itself after the first call, where nobody has done so before.
    assert sorted(flows.values(), key=len) == [
        ["full_protocol_flow", "initialize_to_tools_list"],
        ["initialize_to_tools_list", "tools_list_to_tools_call", "full_protocol_flow"],
    ]
    clients = [call["dimensions"]["client_name"] for call in of_type(standin, "tool_execution")]
    assert {"one", "two"} == set(clients)


@pytest.mark.skipif(not SDK_2, reason="the SDK's 1.x line has no protocol without a handshake")
@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_the_protocol_without_a_handshake_names_its_client_in_each_request(
    standin: Standin, kind: str, transport: str
) -> None:
    variables = environment(standin)
    info = mcp.types.Implementation(name="modern", version="3")

    async def over(target: Any) -> None:
        async with mcp.Client(target, mode="2026-07-28", client_info=info) as opened:
            await opened.list_tools()
            await opened.call_tool("add", {"a": 1, "b": 2})

    if transport == "stdio":
        program, *arguments = command(kind, "stdio", 0, True)
        parameters = mcp.StdioServerParameters(command=program, args=arguments, env=variables)
        anyio.run(over, mcp.stdio_client(parameters))
    else:
        with http_server(kind, True, variables) as url:
            anyio.run(over, url)
    standin.wait(lambda: any(m["dimensions"].get("tool_name") == "add" for m in standin.metrics), 10)
    (call,) = [m for m in of_type(standin, "tool_execution") if m["dimensions"]["tool_name"] == "add"]
    # The SDK lists the tools for itself before a call over HTTP; no client asked for that. Its client may, over stdio.
    methods = [metric["dimensions"]["method"] for metric in of_type(standin, "tool_execution")]
    assert transport == "stdio" or sorted(set(methods)) == sorted(methods)
    assert (call["dimensions"]["client_name"], call["dimensions"]["client_version"]) == ("modern", "3")
    assert call["metadata"]["protocol_version"] == "2026-07-28"
    flows = [latency["dimensions"]["flow_step"] for latency in of_type(standin, "protocol_latency")]
    # Over stdio the pipe is the session. Over HTTP nothing joins the requests of this protocol.
    assert flows == (["tools_list_to_tools_call", "full_protocol_flow"] if transport == "stdio" else [])


@pytest.mark.skipif(not SDK_2, reason="the SDK's 1.x line has no subscriptions/listen")
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_a_subscription_succeeds_when_it_stands_and_its_end_adds_nothing(standin: Standin, transport: str) -> None:
    variables = environment(standin)

    def listens() -> list[dict[str, Any]]:
        return [m for m in of_type(standin, "tool_execution") if m["dimensions"]["method"] == "subscriptions/listen"]

    async def over(target: Any) -> None:
        async with mcp.Client(target, mode="2026-07-28") as opened:
            async with opened.listen(tools_list_changed=True):
                await anyio.to_thread.run_sync(lambda: standin.wait(lambda: len(listens()) == 1, 10))
            await opened.call_tool("add", {"a": 1, "b": 2})

    if transport == "stdio":
        program, *arguments = command("sdk", "stdio", 0, True)
        anyio.run(over, mcp.stdio_client(mcp.StdioServerParameters(command=program, args=arguments, env=variables)))
    else:
        with http_server("sdk", True, variables) as url:
            anyio.run(over, url)
    standin.wait(lambda: any(m["dimensions"].get("tool_name") == "add" for m in standin.metrics), 10)
    (listen,) = listens()
    assert listen["dimensions"]["success"] is True
    assert "error_code" not in listen["metadata"]


def test_what_is_no_mcp_server_is_refused_with_its_name(client: MetricsClient) -> None:
    with pytest.raises(TypeError, match=r"builtins\.dict is no MCP server"):
        instrument_mcp_server({}, client)


def test_instrumenting_twice_records_once(client: MetricsClient) -> None:
    from mcp.server.lowlevel import Server

    server: Any = Server("twice")
    assert instrument_mcp_server(server, client) is server
    before = (server.run, list(getattr(server, "middleware", [])))
    instrument_mcp_server(server, client)
    assert (server.run, list(getattr(server, "middleware", []))) == before
