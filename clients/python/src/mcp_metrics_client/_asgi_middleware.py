"""What the ASGI middlewares have in common: which requests they watch, and that nothing of it disturbs a request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from ._asgi_request import ASGIApp, Exchange, Message, Receive, Scope, Send, observe
from .client import MetricsClient, shared_client

Find = Callable[[Exchange], "str | None"]

log = logging.getLogger("mcp_metrics_client")

QUIET_PATHS = frozenset({"/health", "/healthz", "/livez", "/readyz", "/metrics", "/favicon.ico"})
_NAMES_AT_MOST = 200


class KnownNames:
    """Names that callers choose become labels once a request for them succeeded; until then they are `unknown`."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def label(self, name: str | None, success: bool) -> str:
        """The name, or `unknown`."""
        if not name:
            return "unknown"
        if success and len(self._names) < _NAMES_AT_MOST:
            self._names.add(name)
        return name if name in self._names else "unknown"


class MetricsMiddleware:
    """Watches requests and hands each to `report`.

    paths: report requests to these and below them; default, all but `exclude_paths`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service_name: str | None = None,
        client: MetricsClient | None = None,
        paths: Collection[str] | None = None,
        exclude_paths: Collection[str] = QUIET_PATHS,
    ) -> None:
        self.app = app
        self.client = client or shared_client(service_name)
        self._paths = None if paths is None else tuple(path.rstrip("/") for path in paths)
        self._exclude = frozenset(exclude_paths)

    def watches(self, scope: Scope) -> bool:
        """Whether this is a request to report."""
        if scope["type"] != "http" or not self.client.enabled:
            return False
        path = scope.get("path", "")
        if self._paths is None:
            return path not in self._exclude
        return any(path == wanted or path.startswith(f"{wanted}/") for wanted in self._paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything through; reports HTTP requests."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, self._flushing(send))
        elif self.watches(scope):
            await observe(self.app, scope, receive, send, self._report_safely)
        else:
            await self.app(scope, receive, send)

    def _flushing(self, send: Send) -> Send:
        """Sends what is left before the server hears that the application is done: some servers then just die."""

        async def send_after_flush(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                try:
                    await self.client.aflush(self.client.settings.limits.close_timeout)
                except Exception:  # another event loop than asyncio's
                    self.client.flush(self.client.settings.limits.close_timeout)
            await send(message)

        return send_after_flush

    def ask(self, find: Find, exchange: Exchange) -> str | None:
        """What a function of the user's finds. One that fails costs its own value, never the metric."""
        try:
            found = find(exchange)
        except Exception:
            log.debug("MCP metrics: a function that was passed failed", exc_info=True)
            return None
        return found if isinstance(found, str) else None

    def _report_safely(self, exchange: Exchange) -> None:
        try:
            self.report(exchange)
        except Exception:
            # A header of a shape that nobody expected, say: never the caller's trouble.
            log.debug("MCP metrics: a request could not be reported", exc_info=True)

    def report(self, exchange: Exchange) -> None:
        """Records the request."""
        raise NotImplementedError
