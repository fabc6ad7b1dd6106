"""The official SDK's 2.x line: an entry in `Server.middleware`, outermost, so that it sees what goes over the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ._mcp_outbound import Outbound, outbound_of
from ._mcp_records import (
    CANCELLED,
    CONNECTION_CLOSED,
    TOOL_ERROR,
    Call,
    McpRecorder,
    cancellation_code,
    client_info,
    log,
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
_METHOD_HEADER = "mcp-method"


def wire_code(error: BaseException, protocol_version: str | None) -> str:
    """The JSON-RPC code that the SDK answers an exception with: in handshake protocols 0, which JSON-RPC has not."""
    code = getattr(getattr(error, "error", None), "code", None)
    if isinstance(code, int):
        return str(code)
    if type(error).__name__ == "ValidationError":
        return INVALID_PARAMS
    return UNMAPPED if protocol_version is None or protocol_version in HANDSHAKE_VERSIONS else INTERNAL_ERROR


def _wire_error(error: Exception) -> object:
    """What the SDK answers with, for its size."""
    if type(error).__name__ == "ValidationError":
        return {"code": int(INVALID_PARAMS), "message": "Invalid request parameters", "data": ""}
    return getattr(error, "error", None) or {"code": 0, "message": str(error)}


def is_error_result(result: Any) -> bool:
    """A tool's own word that it failed, in a model of the SDK or on the wire."""
    flag = result.get("isError") if isinstance(result, Mapping) else getattr(result, "is_error", None)
    return flag is True


def _asked_by_the_sdk(ctx: Any) -> bool:
    """Over HTTP since 2026-07-28 the SDK lists the tools for itself before a call; the request's header tells."""
    headers = getattr(getattr(ctx, "request", None), "headers", None)
    asked = headers.get(_METHOD_HEADER) if headers is not None else None
    return asked is not None and asked != ctx.method and ctx.protocol_version not in HANDSHAKE_VERSIONS


class MetricsServerMiddleware:
    """Put it first: `server.middleware.insert(0, MetricsServerMiddleware(recorder))`."""

    def __init__(self, recorder: McpRecorder, find_tool: FindTool | None = None) -> None:
        self._recorder = recorder
        self._sessions = Sessions(self._recorder.client.hash_user)
        self._find_tool = find_tool

    async def __call__(self, ctx: Any, call_next: CallNext) -> Any:
        """Requests and notifications are recorded; their results and exceptions go on as they are."""
        call, outbound = self._arrived(ctx)
        if call is None:
            return await call_next(ctx)
        try:
            result = await call_next(ctx)
        except Exception as error:
            await self._failed(call, error)
            raise
        except BaseException:  # cancelled, whichever event loop it is
            self._recorder.answered(call, await _why_cancelled(ctx, outbound))
            raise
        finally:
            if outbound is not None:
                outbound.ended(call)
        await self._succeeded(call, result)
        return result

    def _arrived(self, ctx: Any) -> tuple[Call | None, Outbound | None]:
        """The request, where this is one to record. Never raises: what was not foreseen passes unrecorded."""
        try:
            if not self._recorder.client.enabled or _asked_by_the_sdk(ctx):
                return None, None
            outbound = outbound_of(ctx.session, self._recorder)
            if ctx.request_id is None:
                self._notified(ctx, outbound)
                return None, None
            call = self._call(ctx)
            self._recorder.latencies(call)
            if outbound is not None:
                outbound.began(call)
            return call, outbound
        except Exception:
            log.debug("MCP metrics: a message could not be recorded", exc_info=True)
            return None, None

    def _notified(self, ctx: Any, outbound: Outbound | None) -> None:
        if ctx.method == "notifications/cancelled" and outbound is not None and isinstance(ctx.params, Mapping):
            outbound.cancelled(ctx.params.get("requestId"), ctx.params.get("reason"))
        self._recorder.notification(ctx.method, by_server=False)

    def _session(self, ctx: Any) -> SessionSteps | None:
        """None where nothing joins the requests of a client: stateless HTTP, which the 2026-07-28 protocol is."""
        connection = getattr(ctx.session, "_connection", None)
        if connection is None or not getattr(connection, "has_standalone_channel", False):
            return None
        # One wrapper of the wire per connection, while `Connection` itself is made anew for each modern request.
        return self._sessions.of(connection.outbound, connection.session_id)

    def _call(self, ctx: Any) -> Call:
        params = ctx.params if isinstance(ctx.params, Mapping) else {}
        info = client_info(ctx.method, params)
        if info is None:
            known = getattr(getattr(ctx.session, "client_params", None), "client_info", None)
            info = {"name": getattr(known, "name", None), "version": getattr(known, "version", None)}
        return Call(
            method=ctx.method,
            params=params,
            request_id=ctx.request_id,
            client_name=text_or_none(info.get("name")),
            client_version=text_or_none(info.get("version")),
            # Of `initialize` it is in the answer.
            protocol_version=ctx.protocol_version if ctx.method != "initialize" else None,
            user_hash=self._recorder.user_hash(getattr(ctx, "request", None)),
            session=self._session(ctx),
            size=message_size(ctx.request_id, method=ctx.method, params=ctx.params),
        )

    async def _succeeded(self, call: Call, result: Any) -> None:
        duration_ms = call.stopwatch.milliseconds
        failed = is_error_result(result)
        if failed:
            await self._learn(call)
        size = message_size(call.request_id, result=result)
        if call.method in ("initialize", "tools/list") and hasattr(result, "model_dump"):
            result = result.model_dump(by_alias=True, exclude_none=True, mode="json")
        self._recorder.answered(call, TOOL_ERROR if failed else None, size, result, duration_ms)

    async def _failed(self, call: Call, error: Exception) -> None:
        duration_ms = call.stopwatch.milliseconds
        await self._learn(call)
        size = message_size(call.request_id, error=_wire_error(error))
        self._recorder.answered(call, self._code(call, error), size, duration_ms=duration_ms)

    def _code(self, call: Call, error: Exception) -> str:
        return wire_code(error, call.protocol_version)

    async def _learn(self, call: Call) -> None:
        """A call failed: asks the server whether it has such a tool."""
        tool = call.tool
        if tool is None or self._find_tool is None or tool in self._recorder.tools:
            return
        try:
            if await self._find_tool(tool):
                self._recorder.tools.add([tool])
        except Exception:
            return


async def _why_cancelled(ctx: Any, outbound: Outbound | None) -> str:
    """Whether the client cancelled the request, and why, or is gone."""
    requested = getattr(getattr(ctx.session, "_request_outbound", None), "cancel_requested", None)
    if requested is not None and not requested.is_set():
        return CONNECTION_CLOSED
    import anyio.lowlevel  # every MCP SDK stands on it

    # The notification with the reason comes through the middleware right after the cancellation.
    with anyio.CancelScope(shield=True):
        await anyio.lowlevel.checkpoint()
    return cancellation_code(outbound.reason_of(ctx.request_id)) if outbound is not None else CANCELLED
