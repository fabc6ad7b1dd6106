"""The official SDK's 1.x line, which has no middleware: both streams of `Server.run` are watched instead.

What passes is looked at and handed on as the same object. Times run from a request's arrival at the server to the
answer's departure from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ._mcp_open import OpenCalls
from ._mcp_records import (
    CONNECTION_CLOSED,
    TOOL_ERROR,
    Call,
    McpRecorder,
    cancellation_code,
    client_info,
    json_size,
    text_or_none,
)
from ._mcp_sdk2 import FindTool
from ._mcp_session import SessionSteps

_SESSION_HEADER = "mcp-session-id"
_VERSION_HEADER = "mcp-protocol-version"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


class _Connection:
    """The open requests of one run of the server, of the client's and of its own."""

    def __init__(self, recorder: McpRecorder, find_tool: FindTool | None, stateless: bool) -> None:
        self._recorder = recorder
        self._find_tool = find_tool
        # Over HTTP without sessions nothing joins the requests of a client.
        self._stateless = stateless
        self._received_calls = OpenCalls()
        self._sent_calls = OpenCalls()
        self._session: SessionSteps | None = None
        self._client: tuple[str | None, str | None] = (None, None)
        self._protocol_version: str | None = None

    def received(self, item: Any) -> None:
        """Never raises: a message of a shape that was not foreseen passes unrecorded."""
        try:
            message = getattr(item.message, "root", item.message)
            method, request_id = getattr(message, "method", None), getattr(message, "id", None)
            if method is None:
                self._answer(self._sent_calls.take(request_id), message)
            elif request_id is None:
                self._notified(message, method, by_server=False)
            else:
                self._begin(message, method, getattr(item.metadata, "request_context", None))
        except Exception:
            return

    async def sent(self, item: Any) -> None:
        """Never raises."""
        try:
            message = getattr(item.message, "root", item.message)
            method, request_id = getattr(message, "method", None), getattr(message, "id", None)
            if method is None:
                call = self._received_calls.take(request_id)
                if call is not None:
                    duration_ms = call.stopwatch.milliseconds
                    await self._learn(call, message)
                    self._answer(call, message, duration_ms)
            elif request_id is None:
                self._notified(message, method, by_server=True)
            else:
                self._ask(message, method)
        except Exception:
            return

    def _begin(self, message: Any, method: str, request: Any) -> None:
        params = _mapping(message.params)
        headers = getattr(request, "headers", {})
        if self._session is None and not self._stateless:
            self._session = SessionSteps(headers.get(_SESSION_HEADER), self._recorder.client.hash_user)
        info = client_info(method, params)
        if info is not None:
            self._client = (text_or_none(info.get("name")), text_or_none(info.get("version")))
        self._protocol_version = text_or_none(headers.get(_VERSION_HEADER)) or self._protocol_version
        call = Call(
            method=method,
            params=params,
            request_id=message.id,
            client_name=self._client[0],
            client_version=self._client[1],
            protocol_version=self._protocol_version,
            user_hash=self._recorder.user_hash(request),
            session=self._session,
            size=json_size(message),
        )
        self._recorder.latencies(call)
        self._received_calls.add(call)

    def _ask(self, message: Any, method: str) -> None:
        self._sent_calls.add(
            Call(
                method=method,
                params=_mapping(message.params),
                request_id=message.id,
                client_name=self._client[0],
                client_version=self._client[1],
                protocol_version=self._protocol_version,
                session=self._session,
                size=json_size(message),
                by_server=True,
            )
        )

    def _notified(self, message: Any, method: str, *, by_server: bool) -> None:
        own, other = self._received_calls, self._sent_calls
        if by_server:
            own, other = other, own
        params = _mapping(message.params)
        if method == "notifications/cancelled":
            call = own.take(params.get("requestId"))
            if call is not None:
                self._recorder.answered(call, cancellation_code(params.get("reason")))
        elif method == "notifications/progress":
            # Progress comes from the side that works on the request.
            other.progressed(params.get("progressToken"))
        self._recorder.notification(method, by_server=by_server)

    def _answer(self, call: Call | None, message: Any, duration_ms: float | None = None) -> None:
        if call is None:
            return
        error, result = getattr(message, "error", None), _mapping(getattr(message, "result", None))
        if error is not None:
            self._recorder.answered(call, str(error.code), json_size(message), duration_ms=duration_ms)
            return
        code = TOOL_ERROR if result.get("isError") is True else None
        self._recorder.answered(call, code, json_size(message), result, duration_ms)
        if call.method == "initialize":
            self._protocol_version = call.protocol_version

    async def _learn(self, call: Call, message: Any) -> None:
        """A call failed: asks the server whether it has such a tool."""
        failed = getattr(message, "error", None) is not None or _mapping(message.result).get("isError") is True
        if not failed or call.tool is None or self._find_tool is None or call.tool in self._recorder.tools:
            return
        try:
            if await self._find_tool(call.tool):
                self._recorder.tools.add([call.tool])
        except Exception:
            return

    def closed(self) -> None:
        """What is open now will get no answer."""
        for call in [*self._received_calls.take_all(), *self._sent_calls.take_all()]:
            self._recorder.answered(call, CONNECTION_CLOSED)


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
        connection = _Connection(recorder, find_tool, bool(options.get("stateless")))
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
