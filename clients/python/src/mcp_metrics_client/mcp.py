"""One line in an MCP server: `instrument_mcp_server(server)`."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from ._mcp_records import FindUser, McpRecorder
from ._mcp_sdk1 import watch_runs
from ._mcp_sdk2 import FindTool, MetricsServerMiddleware
from .client import MetricsClient, shared_client

Server = TypeVar("Server")

_INSTRUMENTED = "_mcp_metrics_instrumented"


def _tool_finder(server: Any) -> FindTool | None:
    """Servers of the high-level kind can be asked for their tools."""
    get_tool = getattr(server, "get_tool", None)
    if get_tool is not None and inspect.iscoroutinefunction(get_tool):

        async def has(name: str) -> bool:
            return await get_tool(name) is not None

        return has
    list_tools = getattr(server, "list_tools", None)
    # A low-level server of the 1.x line has a decorator of the same name.
    if list_tools is None or not inspect.iscoroutinefunction(list_tools):
        return None

    async def find(name: str) -> bool:
        return any(tool.name == name for tool in await list_tools())

    return find


def instrument_mcp_server(
    server: Server,
    client: MetricsClient | None = None,
    *,
    service_name: str | None = None,
    server_name: str | None = None,
    server_path: str | None = None,
    find_user: FindUser | None = None,
    notifications: bool = False,
) -> Server:
    """Records what an MCP server does, and gives it back. Call it before the server runs; a second call does nothing.

    Takes `MCPServer` and `Server` of the `mcp` package's 2.x line, `FastMCP` and `Server` of its 1.x line, and
    `FastMCP` of the `fastmcp` package. The server's answers stay as they are.

    client: default, one for the process from the environment.
    server_name: default, the server's own name.
    server_path: where it is mounted, such as `/currenttime/`.
    find_user: who asks, found in the HTTP request (`starlette.requests.Request`; None over stdio); sent as a hash.
    notifications: counts them too, apart from requests, as the custom metric `mcp_notifications`.

    Raises TypeError for anything else.
    """
    target: Any = server
    if getattr(target, _INSTRUMENTED, False):
        return server
    client = client or shared_client(service_name)
    server_name = server_name or getattr(target, "name", None)
    recorder = McpRecorder(client, server_name, server_path, find_user, notifications)
    finder = _tool_finder(target)
    # FastMCP of either package stands on a `Server` of the SDK, and only there is everything seen that passes the wire.
    low_level = getattr(target, "_mcp_server", target)
    if isinstance(getattr(low_level, "middleware", None), list):
        low_level.middleware.insert(0, MetricsServerMiddleware(recorder, finder))
    elif inspect.iscoroutinefunction(getattr(low_level, "run", None)):
        watch_runs(low_level, recorder, finder)
    else:
        raise TypeError(
            f"instrument_mcp_server: {type(server).__module__}.{type(server).__qualname__} is no MCP server that "
            "this version knows: expected MCPServer, Server or FastMCP of the packages mcp or fastmcp"
        )
    setattr(target, _INSTRUMENTED, True)
    return server
