"""Drives a real MCP server through a whole session with the SDK's own client, whichever version is installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import mcp

from gateway import eventually, free_port

try:
    from mcp.client.streamable_http import streamable_http_client
except ImportError:
    from mcp.client.streamable_http import streamablehttp_client as streamable_http_client

SERVER = Path(__file__).parent / "servers" / "mcp_server.py"
SDK_2 = hasattr(mcp, "Client")


def plain(model: Any) -> Any:
    return model.model_dump(by_alias=True, exclude_none=True, mode="json")


def command(kind: str, transport: str, port: int, instrument: bool) -> list[str]:
    return [sys.executable, str(SERVER), kind, transport, str(port), "yes" if instrument else "no"]


@contextmanager
def http_server(kind: str, instrument: bool, environment: Mapping[str, str], port: int = 0) -> Iterator[str]:
    """A server process over HTTP; gives its address."""
    port = port or free_port()
    process = subprocess.Popen(command(kind, "http", port, instrument), env=dict(environment))
    url = f"http://127.0.0.1:{port}/mcp"

    def up() -> bool:
        assert process.poll() is None
        return httpx.get(url, headers={"accept": "text/plain"}).status_code < 500

    try:
        eventually(up, 30)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@asynccontextmanager
async def streams(transport: str, target: Any, environment: Mapping[str, str]) -> AsyncIterator[tuple[Any, Any]]:
    if transport == "stdio":
        parameters = mcp.StdioServerParameters(command=target[0], args=target[1:], env=dict(environment))
        async with mcp.stdio_client(parameters) as (reading, writing):
            yield reading, writing
    else:
        async with streamable_http_client(target) as (reading, writing, *_):
            yield reading, writing


@asynccontextmanager
async def session(transport: str, target: Any, environment: Mapping[str, str], name: str) -> AsyncIterator[Any]:
    """An initialized session of the handshake era."""
    info = mcp.types.Implementation(name=name, version="9.8.7")
    async with (
        streams(transport, target, environment) as (reading, writing),
        mcp.ClientSession(reading, writing, client_info=info) as opened,
    ):
        yield opened


async def whole_session(opened: Any) -> list[Any]:
    """Every answer, as JSON: the same with and without instrumentation."""
    answers = [plain(await opened.initialize()), plain(await opened.list_tools())]
    for tool, arguments in (
        ("add", {"a": 20, "b": 22}),
        ("slow", {"milliseconds": 60}),
        ("fail", {}),
        ("no_such_tool_" + "x" * 20, {}),
    ):
        try:
            answers.append(plain(await opened.call_tool(tool, arguments)))
        except Exception as error:
            answers.append(str(error))
    answers.append(plain(await opened.send_ping()))
    try:
        answers.append(plain(await opened.get_prompt("no_such_prompt")))
    except Exception as error:
        answers.append(str(error))
    return answers
