"""A real MCP server for the tests: `mcp_server.py KIND TRANSPORT PORT INSTRUMENT`, on whichever SDK is installed.

KIND: sdk (the SDK's high-level server), lowlevel, fastmcp, fastmcp-middleware. TRANSPORT: stdio, http.
INSTRUMENT: yes, no.
"""

from __future__ import annotations

import sys
import time
from typing import Any


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def slow(milliseconds: int) -> str:
    """Takes its time."""
    time.sleep(milliseconds / 1000)
    return "done"


def fail() -> str:
    """Raises."""
    raise RuntimeError("the tool broke")


def high_level(kind: str) -> Any:
    if kind.startswith("fastmcp"):
        from fastmcp import FastMCP

        server: Any = FastMCP("test-server")
    else:
        try:
            from mcp.server.mcpserver import MCPServer as SdkServer
        except ImportError:
            from mcp.server.fastmcp import FastMCP as SdkServer
        server = SdkServer("test-server", log_level="CRITICAL")
    for tool in (add, slow, fail):
        server.tool()(tool)
    return server


def low_level() -> Any:
    from mcp import types
    from mcp.server.lowlevel import Server

    schema = {"type": "object"}

    async def run(name: str, arguments: dict[str, Any]) -> Any:
        text = {"add": lambda: str(add(**arguments)), "slow": lambda: slow(**arguments), "fail": fail}[name]()
        return [types.TextContent(type="text", text=text)]

    if hasattr(Server, "call_tool"):
        server: Any = Server("test-server")
        tools = [types.Tool(name=name, inputSchema=schema) for name in ("add", "slow", "fail")]

        async def list_tools() -> Any:
            return tools

        server.list_tools()(list_tools)
        server.call_tool()(run)
        return server

    async def on_list_tools(_context: Any, _params: Any) -> Any:
        return types.ListToolsResult(
            tools=[types.Tool(name=name, input_schema=schema) for name in ("add", "slow", "fail")]
        )

    async def on_call_tool(_context: Any, params: Any) -> Any:
        try:
            return types.CallToolResult(content=await run(params.name, params.arguments or {}))
        except Exception as error:
            return types.CallToolResult(content=[types.TextContent(type="text", text=str(error))], is_error=True)

    return Server("test-server", on_list_tools=on_list_tools, on_call_tool=on_call_tool)


def serve_low_level(server: Any, transport: str, port: int) -> None:
    import anyio

    async def over_stdio() -> None:
        from mcp.server.stdio import stdio_server

        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    async def over_http() -> None:
        import uvicorn
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
        from starlette.applications import Starlette
        from starlette.routing import Mount

        manager = StreamableHTTPSessionManager(server)

        async def endpoint(scope: Any, receive: Any, send: Any) -> None:
            await manager.handle_request(scope, receive, send)

        app = Starlette(routes=[Mount("/", app=endpoint)], lifespan=lambda _: manager.run())
        await uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning")).serve()

    anyio.run(over_stdio if transport == "stdio" else over_http)


def main(kind: str, transport: str, port: str, instrument: str) -> None:
    server = low_level() if kind == "lowlevel" else high_level(kind)
    if instrument == "yes" and kind == "fastmcp-middleware":
        from mcp_metrics_client.fastmcp import MetricsMiddleware

        server.add_middleware(MetricsMiddleware())
    elif instrument == "yes":
        from mcp_metrics_client import instrument_mcp_server

        instrument_mcp_server(server)
    if kind == "lowlevel":
        serve_low_level(server, transport, int(port))
    elif transport == "stdio":
        server.run("stdio") if kind == "sdk" else server.run("stdio", show_banner=False)
    else:
        import uvicorn

        app = server.streamable_http_app() if hasattr(server, "streamable_http_app") else server.http_app()
        uvicorn.run(app, port=int(port), log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
