"""Middleware for FastMCP (the `fastmcp` package): `server.add_middleware(MetricsMiddleware())`."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from fastmcp.server.middleware import Middleware

from ._mcp_records import CANCELLED, TOOL_ERROR, Call, McpRecorder, message_size, text_or_none
from ._mcp_sdk2 import CLIENT_INFO, is_error_result, wire_code
from ._mcp_session import Sessions, SessionSteps
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


class MetricsMiddleware(Middleware):  # type: ignore[misc]  # fastmcp may be absent where types are checked
    """Records every request as `tool_execution`, and the session's latencies. Add it first, so that it is outermost."""

    def __init__(
        self,
        client: MetricsClient | None = None,
        *,
        service_name: str | None = None,
        server_name: str | None = None,
        server_path: str | None = None,
    ) -> None:
        self._recorder = McpRecorder(client or shared_client(service_name), server_name, server_path)
        self._sessions = Sessions(self._recorder.client.hash_user)

    def _session(self, context: Any) -> tuple[Any, SessionSteps | None]:
        fastmcp_context = context.fastmcp_context
        try:
            session = fastmcp_context.session
        except (AttributeError, RuntimeError):
            return None, None
        connection = getattr(session, "_connection", None)
        if connection is None:  # the SDK's 1.x line: the session object lives as long as the session
            return session, self._sessions.of(session, None)
        if not getattr(connection, "has_standalone_channel", False):
            return session, None
        return session, self._sessions.of(connection.outbound, connection.session_id)

    def _call(self, context: Any) -> Call:
        params = _plain(context.message)
        session, steps = self._session(context)
        known = getattr(session, "client_params", None)
        meta = params.get("_meta")
        info = params.get("clientInfo") or (meta.get(CLIENT_INFO) if isinstance(meta, Mapping) else None)
        if not isinstance(info, Mapping):
            model = getattr(known, "client_info", None) or getattr(known, "clientInfo", None)
            info = {"name": getattr(model, "name", None), "version": getattr(model, "version", None)}
        protocol = (
            text_or_none(params.get("protocolVersion"))
            or text_or_none(getattr(session, "protocol_version", None))
            or text_or_none(getattr(known, "protocolVersion", None))
        )
        request_id = getattr(getattr(context.fastmcp_context, "request_context", None), "request_id", None)
        call = Call(
            method=context.method or "",
            params=params,
            request_id=request_id,
            client_name=text_or_none(info.get("name")),
            client_version=text_or_none(info.get("version")),
            protocol_version=protocol,
            session=steps,
            size=message_size(request_id, method=context.method, params=params),
        )
        return call

    async def on_request(self, context: Any, call_next: Any) -> Any:
        """Records the request; its result or exception goes on as it is."""
        if _inside.get() or not self._recorder.client.enabled:
            return await call_next(context)
        call = self._call(context)
        if self._recorder.server_name is None:
            self._recorder.server_name = text_or_none(
                getattr(getattr(context.fastmcp_context, "fastmcp", None), "name", None)
            )
        self._recorder.latencies(call)
        token = _inside.set(True)
        try:
            result = await call_next(context)
        except Exception as error:
            await self._failed(context, call, error)
            raise
        except BaseException:
            self._recorder.answered(call, CANCELLED, None)
            raise
        finally:
            _inside.reset(token)
        if call.tool is not None and is_error_result(result):
            await self._learn(context, call)
            self._recorder.answered(call, TOOL_ERROR, message_size(call.request_id, result=result))
        else:
            self._recorder.listed(call, result)
            self._recorder.answered(call, None, message_size(call.request_id, result=result))
        return result

    async def _failed(self, context: Any, call: Call, error: Exception) -> None:
        await self._learn(context, call)
        # FastMCP answers a tool's exception with an error result, and other methods' with JSON-RPC errors.
        failed_tool = call.tool is not None and not hasattr(error, "error")
        self._recorder.answered(call, TOOL_ERROR if failed_tool else wire_code(error, call.protocol_version), None)

    async def _learn(self, context: Any, call: Call) -> None:
        """A call failed: asks the server whether it has such a tool."""
        if call.tool is None or call.tool in self._recorder.tools:
            return
        try:
            if await context.fastmcp_context.fastmcp.get_tool(call.tool) is not None:
                self._recorder.tools.learn([call.tool])
        except Exception:
            return
