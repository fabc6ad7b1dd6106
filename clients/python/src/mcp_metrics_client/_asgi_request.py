"""Watches one HTTP request pass through an ASGI application, without touching what passes.

Only the messages' types and the answer's head are looked at: bodies, streams and web sockets go through as they are,
an exception is raised again, and nothing is awaited that the application would not have awaited itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from ._stopwatch import Stopwatch

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

ABORTED = "aborted"


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    for key, value in headers:
        if key.lower() == name:
            return value.decode("latin-1")
    return None


class Exchange:
    """A request and what is known of its answer; what the functions that users pass get to see."""

    __slots__ = ("duration_ms", "error_code", "response_headers", "scope", "status", "stopwatch")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.stopwatch = Stopwatch()
        self.status: int | None = None
        """None where there was no answer: the client went away, or the application failed before one."""
        self.response_headers: Iterable[tuple[bytes, bytes]] = ()
        self.duration_ms = 0.0
        """Until the answer began. A stream that stays open for hours is not a slow request."""
        self.error_code: str | None = None

    @property
    def success(self) -> bool:
        """The answer was below 400."""
        return self.status is not None and self.status < 400 and self.error_code is None

    @property
    def failure(self) -> str | None:
        """`error_code` of the metric: the status, the exception's name, `aborted`; None for success."""
        return None if self.success else self.error_code or str(self.status)

    @property
    def method(self) -> str:
        """GET, POST, …"""
        return str(self.scope.get("method", ""))

    @property
    def path(self) -> str:
        """As the application sees it, decoded."""
        return str(self.scope.get("path", ""))

    def request_header(self, name: str) -> str | None:
        """First value, or None."""
        return _header(self.scope.get("headers", ()), name.lower().encode("latin-1"))

    def response_header(self, name: str) -> str | None:
        """First value, or None."""
        return _header(self.response_headers, name.lower().encode("latin-1"))

    def header(self, name: str) -> str | None:
        """From the answer, which the application wrote, before the request, which anyone may have written."""
        return self.response_header(name) or self.request_header(name)

    def response_number(self, name: str) -> float | None:
        """A header of the answer as a number, or None."""
        try:
            return float(self.response_header(name) or "")
        except ValueError:
            return None


def path_segments(url: str | None) -> list[str]:
    """`/currenttime/mcp` and `https://host/currenttime/mcp?x` → `currenttime`, `mcp`; each cut to a label's length."""
    if not url:
        return []
    try:
        path = urlsplit(url).path
    except ValueError:
        return []
    return [segment[:96] for segment in path.split("/") if segment]


async def observe(app: ASGIApp, scope: Scope, receive: Receive, send: Send, report: Callable[[Exchange], None]) -> None:
    """Runs the application and calls `report` once: as the answer begins, or when there will be none.

    That the client has gone is seen where the application itself asks for it, or where the server cancels it.
    What happens to a stream afterwards, such as a client that closes it, is not the request's failure.
    """
    exchange = Exchange(scope)
    disconnected = False

    async def watching_receive() -> Message:
        nonlocal disconnected
        message = await receive()
        if message["type"] == "http.disconnect":
            disconnected = True
        return message

    async def watching_send(message: Message) -> None:
        if message["type"] != "http.response.start" or exchange.status is not None:
            await send(message)
            return
        exchange.duration_ms = exchange.stopwatch.milliseconds
        exchange.status = message["status"]
        exchange.response_headers = message.get("headers", ())
        if disconnected:
            exchange.error_code = ABORTED
        try:
            await send(message)
        finally:
            report(exchange)

    try:
        await app(scope, watching_receive, watching_send)
    except BaseException as error:
        # Cancellation is how servers tell an application that the client has gone.
        exchange.error_code = type(error).__name__ if isinstance(error, Exception) else ABORTED
        raise
    finally:
        if exchange.status is None:
            exchange.duration_ms = exchange.stopwatch.milliseconds
            if disconnected:
                exchange.error_code = ABORTED
            elif exchange.error_code is None:
                exchange.error_code = "no_response"
            report(exchange)
