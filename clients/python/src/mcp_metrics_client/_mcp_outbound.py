"""What a server of the SDK's 2.x line sends by itself: requests to its client, progress, other notifications.

Middleware sees none of it, so the object that writes to the wire gets a listener on two of its functions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ._mcp_records import (
    CANCELLED,
    CONNECTION_CLOSED,
    TIMEOUT,
    TOOL_ERROR,
    Call,
    McpRecorder,
    cancellation_code,
    message_size,
)
from ._mcp_session import SessionSteps

_WATCH = "_mcp_metrics_watch"
_CONNECTION_CLOSED = -32000
_REQUEST_TIMEOUT = -32001
_REASONS_AT_MOST = 1_000
_LISTEN = "subscriptions/listen"
_ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


def _wire(session: Any) -> Any:
    """The writer of a connection, behind whatever wraps it; over HTTP without sessions, that of the request."""
    context = session._request_outbound
    for _ in range(5):
        context = getattr(context, "_inner", context)
    return getattr(context, "_dispatcher", context)


def _failure(error: Exception) -> str:
    data = getattr(error, "error", None)
    code, message = getattr(data, "code", None), getattr(data, "message", None)
    if code == _REQUEST_TIMEOUT and cancellation_code(message) == TIMEOUT:
        return TIMEOUT
    if code == _CONNECTION_CLOSED and message == "Connection closed":
        return CONNECTION_CLOSED
    return str(code) if isinstance(code, int) else "send_failed"


class Outbound:
    """Listens to one writer."""

    def __init__(self, wire: Any, recorder: McpRecorder) -> None:
        self._recorder = recorder
        self._by_token: dict[str | int, Call] = {}
        self._listening: dict[object, Call] = {}
        self._reasons: dict[object, object] = {}
        self._asked = 0
        # Of the latest request: who the client is, and which session this is.
        self._last: Call | None = None
        self._send, self._notify = wire.send_raw_request, wire.notify
        wire.send_raw_request, wire.notify = self._sending, self._notifying

    def began(self, call: Call) -> None:
        """A request of the client's; its progress is told until `ended`."""
        self._last = call
        if call.progress_token is not None:
            self._by_token[call.progress_token] = call
        if call.method == _LISTEN:
            self._listening[call.request_id] = call

    def ended(self, call: Call) -> None:
        """It was answered, or never will be."""
        if call.progress_token is not None and self._by_token.get(call.progress_token) is call:
            del self._by_token[call.progress_token]
        if self._listening.get(call.request_id) is call:
            del self._listening[call.request_id]

    def cancelled(self, request_id: object, reason: object) -> None:
        """The client cancels a request of its own."""
        if isinstance(request_id, (str, int)):
            self._reasons[request_id] = reason
            if len(self._reasons) > _REASONS_AT_MOST:
                del self._reasons[next(iter(self._reasons))]

    def reason_of(self, request_id: object) -> object:
        """Why it did, once."""
        return self._reasons.pop(request_id, None)

    async def _notifying(self, method: str, params: Mapping[str, Any] | None, *rest: Any, **options: Any) -> Any:
        if method == "notifications/progress":
            call = self._by_token.get((params or {}).get("progressToken", ""))
            if call is not None:
                call.progress += 1
        elif method == _ACKNOWLEDGED:
            self._acknowledged(params or {})
        self._recorder.notification(method, by_server=True)
        return await self._notify(method, params, *rest, **options)

    def _acknowledged(self, params: Mapping[str, Any]) -> None:
        """The only good answer that a subscription has: its stream ends by being left."""
        meta = params.get("_meta")
        call = self._listening.get(meta.get(_SUBSCRIPTION)) if isinstance(meta, Mapping) else None
        if call is not None:
            self._recorder.answered(call, None, message_size(None, method=_ACKNOWLEDGED, params=params))

    async def _sending(self, method: str, params: Mapping[str, Any] | None, *rest: Any, **options: Any) -> Any:
        call = self._call(method, params or {})
        try:
            result = await self._send(method, params, *rest, **options)
        except asyncio.CancelledError:
            self._recorder.answered(call, CANCELLED)
            raise
        except Exception as error:
            size = message_size(call.request_id, error=getattr(error, "error", None))
            self._recorder.answered(call, _failure(error), size)
            raise
        failed = isinstance(result, Mapping) and result.get("isError") is True
        self._recorder.answered(call, TOOL_ERROR if failed else None, message_size(call.request_id, result=result))
        return result

    def _call(self, method: str, params: Mapping[str, Any]) -> Call:
        last = self._last
        # The SDK numbers its requests below this place; the size needs a number of that length.
        self._asked += 1
        session: SessionSteps | None = last.session if last is not None else None
        return Call(
            method=method,
            params=params,
            request_id=self._asked,
            client_name=last.client_name if last is not None else None,
            client_version=last.client_version if last is not None else None,
            protocol_version=last.protocol_version if last is not None else None,
            session=session,
            size=message_size(self._asked, method=method, params=params or None),
            by_server=True,
        )


def outbound_of(session: Any, recorder: McpRecorder) -> Outbound | None:
    """The listener of the session's writer, made at the first call; None where it takes none."""
    try:
        wire = _wire(session)
        watch = getattr(wire, _WATCH, None)
        if not isinstance(watch, Outbound):
            watch = Outbound(wire, recorder)
            setattr(wire, _WATCH, watch)
        return watch
    except (AttributeError, TypeError):
        return None
