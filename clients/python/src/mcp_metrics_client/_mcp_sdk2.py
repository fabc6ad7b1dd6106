"""The official SDK's 2.x line: an entry in `Server.middleware`, outermost, so that it sees what goes over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ._mcp_records import (
    CANCELLED,
    TOOL_ERROR,
    Call,
    McpRecorder,
    message_size,
    text_or_none,
)
from ._mcp_session import Sessions, SessionSteps

CallNext = Callable[[Any], Awaitable[Any]]
FindTool = Callable[[str], Awaitable[bool]]

HANDSHAKE_VERSIONS = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"})
INVALID_PARAMS = "-32602"
INTERNAL_ERROR = "-32603"
UNMAPPED = "0"
CLIENT_INFO = "io.modelcontextprotocol/clientInfo"


def _client_info(params: Mapping[str, Any], session: Any) -> tuple[str | None, str | None]:
    """From the request itself (`initialize`, or `_meta` since 2026-07-28), else from the session's handshake."""
    meta = params.get("_meta")
    info = params.get("clientInfo") or (meta.get(CLIENT_INFO) if isinstance(meta, Mapping) else None)
    if isinstance(info, Mapping):
        return text_or_none(info.get("name")), text_or_none(info.get("version"))
    known = getattr(getattr(session, "client_params", None), "client_info", None)
    return text_or_none(getattr(known, "name", None)), text_or_none(getattr(known, "version", None))


def wire_code(error: BaseException, protocol_version: str | None) -> str:
    """The JSON-RPC code that the SDK answers an exception with: in handshake protocols 0, which JSON-RPC has not."""
    code = getattr(getattr(error, "error", None), "code", None)
    if isinstance(code, int):
        return str(code)
    if type(error).__name__ == "ValidationError":
        return INVALID_PARAMS
    return UNMAPPED if protocol_version is None or protocol_version in HANDSHAKE_VERSIONS else INTERNAL_ERROR


def is_error_result(result: Any) -> bool:
    """A tool's own word that it failed, in a model of the SDK or on the wire."""
    flag = result.get("isError") if isinstance(result, Mapping) else getattr(result, "is_error", None)
    return flag is True


class MetricsServerMiddleware:
    """Put it first: `server.middleware.insert(0, MetricsServerMiddleware(recorder))`."""

    def __init__(self, recorder: McpRecorder, find_tool: FindTool | None = None) -> None:
        self._recorder = recorder
        self._sessions = Sessions(self._recorder.client.hash_user)
        self._find_tool = find_tool

    def _session(self, ctx: Any) -> SessionSteps | None:
        """None where nothing joins the requests of a client: stateless HTTP, which the 2026-07-28 protocol is."""
        connection = getattr(ctx.session, "_connection", None)
        if connection is None or not getattr(connection, "has_standalone_channel", False):
            return None
        outbound = connection.outbound
        # One wrapper of the wire per connection, while `Connection` itself is made anew for each modern request.
        return self._sessions.of(outbound, connection.session_id)

    def _call(self, ctx: Any) -> Call:
        params = ctx.params if isinstance(ctx.params, Mapping) else {}
        name, version = _client_info(params, ctx.session)
        protocol = text_or_none(params.get("protocolVersion")) if ctx.method == "initialize" else None
        return Call(
            method=ctx.method,
            params=params,
            request_id=ctx.request_id,
            client_name=name,
            client_version=version,
            protocol_version=protocol or ctx.protocol_version,
            session=self._session(ctx),
            size=message_size(ctx.request_id, method=ctx.method, params=ctx.params),
        )

    async def __call__(self, ctx: Any, call_next: CallNext) -> Any:
        """Notifications pass; a request is recorded, its result or exception goes on as it is."""
        if ctx.request_id is None or not self._recorder.client.enabled:
            return await call_next(ctx)
        call = self._call(ctx)
        self._recorder.latencies(call)
        try:
            result = await call_next(ctx)
        except asyncio.CancelledError:
            self._recorder.answered(call, CANCELLED, None)
            raise
        except Exception as error:
            await self._learn(call)
            size = message_size(call.request_id, error=getattr(error, "error", None))
            self._recorder.answered(call, wire_code(error, call.protocol_version), size)
            raise
        except BaseException:  # trio's cancellation, or the end of the process
            self._recorder.answered(call, CANCELLED, None)
            raise
        await self._succeeded(call, result)
        return result

    async def _succeeded(self, call: Call, result: Any) -> None:
        failed = call.tool is not None and is_error_result(result)
        if failed:
            await self._learn(call)
        elif isinstance(result, Mapping):
            self._recorder.listed(call, result.get("tools"))
        self._recorder.answered(call, TOOL_ERROR if failed else None, message_size(call.request_id, result=result))

    async def _learn(self, call: Call) -> None:
        """A call failed: asks the server, once per name, whether it has such a tool."""
        tool = call.tool
        if tool is None or self._find_tool is None or tool in self._recorder.tools:
            return
        try:
            if await self._find_tool(tool):
                self._recorder.tools.learn([tool])
        except Exception:
            return
