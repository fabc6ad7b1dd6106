"""A real MCP server for the tests: `mcp_server.py KIND TRANSPORT PORT INSTRUMENT`, on whichever SDK is installed.

KIND: sdk (the SDK's high-level server), lowlevel, fastmcp, fastmcp-middleware. TRANSPORT: stdio, http.
INSTRUMENT: yes, no, notifications (counting those as well).
"""

from __future__ import annotations

import asyncio
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


async def wait() -> str:
    """Takes too long."""
    await asyncio.sleep(60)
    return "done"


async def ask_over(session: Any) -> str:
    from mcp import types

    question = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="who?"))
    return str((await session.create_message([question], max_tokens=10)).content.text)


async def change_over(session: Any) -> str:
    await session.send_tool_list_changed()
    return "done"


def high_level(kind: str) -> Any:
    if kind.startswith("fastmcp"):
        from fastmcp import Context, FastMCP

        server: Any = FastMCP("test-server")
    else:
        try:
            from mcp.server.mcpserver import Context
            from mcp.server.mcpserver import MCPServer as SdkServer
        except ImportError:
            from mcp.server.fastmcp import Context
            from mcp.server.fastmcp import FastMCP as SdkServer
        server = SdkServer("test-server", log_level="CRITICAL")

    async def ask(context: Any) -> str:
        return await ask_over(context.session)

    async def progress(context: Any) -> str:
        for step in (1, 2):
            await context.report_progress(step, 2)
        return "done"

    async def change(context: Any) -> str:
        return await change_over(context.session)

    for using_context in (ask, progress, change):
        # The frameworks look for this very class, which has another name in each.
        using_context.__annotations__["context"] = Context
    for tool in (add, slow, fail, wait, ask, progress, change):
        server.tool()(tool)
    return server


NAMES = ("add", "slow", "fail", "wait", "ask", "progress", "change")


async def run_low_level(session: Any, token: Any, name: str, arguments: dict[str, Any]) -> str:
    if name == "add":
        return str(add(**arguments))
    if name == "slow":
        return slow(**arguments)
    if name == "wait":
        return await wait()
    if name == "ask":
        return await ask_over(session)
    if name == "change":
        return await change_over(session)
    if name == "progress":
        for step in (1, 2):
            await session.send_progress_notification(token, step, 2)
        return "done"
    return {"fail": fail}[name]()


def low_level() -> Any:
    from mcp import types
    from mcp.server.lowlevel import Server

    schema = {"type": "object"}

    if hasattr(Server, "call_tool"):
        server: Any = Server("test-server")
        tools = [types.Tool(name=name, inputSchema=schema) for name in NAMES]

        async def list_tools() -> Any:
            return tools

        async def run(name: str, arguments: dict[str, Any]) -> Any:
            context = server.request_context
            token = context.meta.progressToken if context.meta is not None else None
            return [types.TextContent(type="text", text=await run_low_level(context.session, token, name, arguments))]

        server.list_tools()(list_tools)
        server.call_tool()(run)
        return server

    async def on_list_tools(_context: Any, _params: Any) -> Any:
        return types.ListToolsResult(tools=[types.Tool(name=name, input_schema=schema) for name in NAMES])

    async def on_call_tool(context: Any, params: Any) -> Any:
        token = context.meta.get("progress_token") if context.meta else None
        try:
            text = await run_low_level(context.session, token, params.name, params.arguments or {})
            return types.CallToolResult(content=[types.TextContent(type="text", text=text)])
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
    notifications = instrument == "notifications"
    if instrument != "no" and kind == "fastmcp-middleware":
        from mcp_metrics_client.fastmcp import MetricsMiddleware

        server.add_middleware(MetricsMiddleware(notifications=notifications))
    elif instrument != "no":
        from mcp_metrics_client import instrument_mcp_server

        instrument_mcp_server(server, notifications=notifications)
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
