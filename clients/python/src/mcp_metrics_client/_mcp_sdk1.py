"""The official SDK's 1.x line, which has no middleware: both streams of `Server.run` are watched instead.

What passes is looked at and handed on as the same object. Times run from a request's arrival at the server to the
answer's departure from it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ._mcp_records import (
    CANCELLED,
    CONNECTION_CLOSED,
    TIMEOUT,
    TOOL_ERROR,
    Call,
    McpRecorder,
    json_size,
    text_or_none,
)
from ._mcp_sdk2 import FindTool
from ._mcp_session import SessionSteps

_SESSION_HEADER = "mcp-session-id"
_TIMED_OUT = re.compile("time[sd]?[ -]?out", re.IGNORECASE)


class _Connection:
    """The open requests of one run of the server."""

    def __init__(self, recorder: McpRecorder, find_tool: FindTool | None) -> None:
        self._recorder = recorder
        self._find_tool = find_tool
        self._open: dict[object, Call] = {}
        self._session: SessionSteps | None = None
        self._protocol_version: str | None = None

    def received(self, item: Any) -> None:
        """Never raises: a message of a shape that was not foreseen passes unrecorded."""
        try:
            self._received(getattr(item.message, "root", item.message), getattr(item, "metadata", None))
        except Exception:
            return

    def _received(self, message: Any, metadata: Any) -> None:
        method, request_id = getattr(message, "method", None), getattr(message, "id", None)
        params = getattr(message, "params", None)
        params = params if isinstance(params, Mapping) else {}
        if method == "notifications/cancelled":
            call = self._open.pop(params.get("requestId"), None)
            if call is not None:
                timed_out = _TIMED_OUT.search(str(params.get("reason"))) is not None
                self._recorder.answered(call, TIMEOUT if timed_out else CANCELLED, None)
        if method is None or request_id is None:
            return
        if self._session is None:
            headers = getattr(getattr(metadata, "request_context", None), "headers", {})
            self._session = SessionSteps(headers.get(_SESSION_HEADER), self._recorder.client.hash_user)
        if method == "initialize":
            info = params.get("clientInfo") or {}
            self._session.client_info = (text_or_none(info.get("name")), text_or_none(info.get("version")))
            self._protocol_version = text_or_none(params.get("protocolVersion"))
        name, version = self._session.client_info
        call = Call(
            method=method,
            params=params,
            request_id=request_id,
            client_name=name,
            client_version=version,
            protocol_version=self._protocol_version,
            session=self._session,
            size=json_size(message),
        )
        self._recorder.latencies(call)
        # An id that is used again while it is open is the client's fault; the SDK answers both, the later is kept.
        self._open[request_id] = call

    async def sent(self, item: Any) -> None:
        """Never raises."""
        try:
            await self._sent(getattr(item.message, "root", item.message))
        except Exception:
            return

    async def _sent(self, message: Any) -> None:
        request_id = getattr(message, "id", None)
        if request_id is None or getattr(message, "method", None) is not None:
            return
        call = self._open.pop(request_id, None)
        if call is None:
            return
        error, result = getattr(message, "error", None), getattr(message, "result", None)
        if error is not None:
            await self._learn(call)
            self._recorder.answered(call, str(error.code), json_size(message))
            return
        result = result if isinstance(result, Mapping) else {}
        failed = call.tool is not None and result.get("isError") is True
        if failed:
            await self._learn(call)
        else:
            self._recorder.listed(call, result.get("tools"))
        self._recorder.answered(call, TOOL_ERROR if failed else None, json_size(message))

    async def _learn(self, call: Call) -> None:
        if call.tool is None or self._find_tool is None or call.tool in self._recorder.tools:
            return
        try:
            if await self._find_tool(call.tool):
                self._recorder.tools.learn([call.tool])
        except Exception:
            return

    def closed(self) -> None:
        """What is open now will get no answer."""
        for call in self._open.values():
            self._recorder.answered(call, CONNECTION_CLOSED, None)
        self._open.clear()


class _Watched:
    """A stream that stands in for another one: same behaviour, and every message seen."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> Any:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *exception: Any) -> Any:
        return await self._stream.__aexit__(*exception)


class _WatchedRead(_Watched):
    def __init__(self, stream: Any, connection: _Connection) -> None:
        super().__init__(stream)
        self._connection = connection

    async def receive(self) -> Any:
        item = await self._stream.receive()
        self._connection.received(item)
        return item

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        item = await self._stream.__anext__()
        self._connection.received(item)
        return item


class _WatchedWrite(_Watched):
    def __init__(self, stream: Any, connection: _Connection) -> None:
        super().__init__(stream)
        self._connection = connection

    async def send(self, item: Any) -> None:
        await self._connection.sent(item)
        await self._stream.send(item)


def watch_runs(server: Any, recorder: McpRecorder, find_tool: FindTool | None) -> None:
    """Has every later `server.run` watched, over whatever transport it is."""
    run: Callable[..., Awaitable[Any]] = server.run

    async def watched_run(read_stream: Any, write_stream: Any, *arguments: Any, **options: Any) -> Any:
        if not recorder.client.enabled:
            return await run(read_stream, write_stream, *arguments, **options)
        connection = _Connection(recorder, find_tool)
        try:
            return await run(
                _WatchedRead(read_stream, connection),
                _WatchedWrite(write_stream, connection),
                *arguments,
                **options,
            )
        finally:
            connection.closed()

    server.run = watched_run
