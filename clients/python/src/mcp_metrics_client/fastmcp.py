"""Middleware for FastMCP (the `fastmcp` package): `server.add_middleware(MetricsMiddleware())`."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from fastmcp.server.middleware import Middleware

from ._mcp_records import TOOL_ERROR, Call, FindUser, McpRecorder, text_or_none
from ._mcp_sdk2 import MetricsServerMiddleware, wire_code
from .client import MetricsClient, shared_client

# A tool that calls tools of its own server runs the middleware again; only the client's request is an execution.
_inside: ContextVar[bool] = ContextVar("mcp_metrics_inside_request", default=False)


def _plain(message: Any) -> Mapping[str, Any]:
    """The request's params as they were on the wire; FastMCP hands in params, a whole request or a mapping."""
    if hasattr(message, "model_dump"):
        message = message.model_dump(by_alias=True, exclude_none=True, mode="json")
    if not isinstance(message, Mapping):
        return {}
    inner = message.get("params")
    if "method" in message:
        return inner if isinstance(inner, Mapping) else {}
    return message


@dataclass
class _Request:
    """FastMCP's context in the shape of the SDK's."""

    method: str
    params: Mapping[str, Any]
    request_id: object
    session: Any
    protocol_version: str | None
    request: Any


def _request(context: Any) -> Any:
    fastmcp_context = context.fastmcp_context
    request = getattr(fastmcp_context, "request_context", None)
    of_the_sdk = getattr(request, "_srctx", None)
    if getattr(of_the_sdk, "method", None) == context.method:
        return of_the_sdk  # with all that was on the wire
    try:
        session = fastmcp_context.session
    except (AttributeError, RuntimeError):  # before the handshake
        session = None
    known = getattr(session, "client_params", None)
    version = getattr(session, "protocol_version", None) or getattr(known, "protocolVersion", None)
    return _Request(
        method=context.method or "",
        params=_plain(context.message),
        request_id=getattr(request, "request_id", None),
        session=session,
        protocol_version=text_or_none(version),
        request=getattr(request, "request", None),
    )


class _Requests(MetricsServerMiddleware):
    """What FastMCP makes of a tool and its exceptions before the SDK sees them."""

    def ask_for_tools(self, server: Any) -> None:
        """Where to look for a tool that nobody has listed."""

        async def find(name: str) -> bool:
            return await server.get_tool(name) is not None

        self._find_tool = find

    def _code(self, call: Call, error: Exception) -> str:
        # A tool's exception becomes an error result, that of another method a JSON-RPC error.
        if call.tool is not None and not hasattr(error, "error"):
            return TOOL_ERROR
        return wire_code(error, call.protocol_version)

    async def _succeeded(self, call: Call, result: Any) -> None:
        if isinstance(result, (list, tuple)) and call.method == "tools/list":
            result = {"tools": result}
        await super()._succeeded(call, result)


class MetricsMiddleware(Middleware):  # type: ignore[misc]  # fastmcp may be absent where types are checked
    """Records what `instrument_mcp_server` does, with the same options. Add it first, so that it is outermost."""

    def __init__(
        self,
        client: MetricsClient | None = None,
        *,
        service_name: str | None = None,
        server_name: str | None = None,
        server_path: str | None = None,
        find_user: FindUser | None = None,
        notifications: bool = False,
    ) -> None:
        client = client or shared_client(service_name)
        self._recorder = McpRecorder(client, server_name, server_path, find_user, notifications)
        self._requests = _Requests(self._recorder)

    async def on_request(self, context: Any, call_next: Any) -> Any:
        """Records the request; its result or exception goes on as it is."""
        if _inside.get():
            return await call_next(context)
        server = getattr(context.fastmcp_context, "fastmcp", None)
        if self._recorder.server_name is None:
            self._recorder.server_name = text_or_none(getattr(server, "name", None))
        self._requests.ask_for_tools(server)

        async def inside(_: Any) -> Any:
            token = _inside.set(True)
            try:
                return await call_next(context)
            finally:
                _inside.reset(token)

        return await self._requests(_request(context), inside)

    async def on_notification(self, context: Any, call_next: Any) -> Any:
        """Counts it, where notifications are counted, and reads why a request was cancelled."""

        async def onward(_: Any) -> Any:
            return await call_next(context)

        return await self._requests(replace(_request(context), request_id=None), onward)
