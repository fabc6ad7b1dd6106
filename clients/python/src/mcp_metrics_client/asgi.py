"""ASGI middleware for FastAPI, Starlette and any other ASGI application: authentication, registry, discovery."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs

from ._asgi_request import (
    ASGIApp,
    Exchange,
    Message,
    Receive,
    Scope,
    Send,
    first_segment,
    observe,
)
from .client import MetricsClient, shared_client

log = logging.getLogger("mcp_metrics_client")

Find = Callable[[Exchange], str | None]
QUIET_PATHS = frozenset({"/health", "/healthz", "/livez", "/readyz", "/metrics", "/favicon.ico"})

_OPERATIONS = {"GET": "read", "HEAD": "read", "POST": "create", "PUT": "update", "PATCH": "update"}
_UNNAMED_SEGMENTS = frozenset({"api", "v0", "v0.1", "v1", "v2", "v3"})


class _Middleware:
    """What the three have in common.

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
            return
        if not self.watches(scope):
            await self.app(scope, receive, send)
            return
        await observe(self.app, scope, receive, send, self._report_safely)

    def _flushing(self, send: Send) -> Send:
        """Sends what is left before the server hears that the application is done: some servers then just die."""

        async def send_after_flush(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await self.client.aflush(self.client.settings.limits.close_timeout)
            await send(message)

        return send_after_flush

    def _report_safely(self, exchange: Exchange) -> None:
        try:
            self.report(exchange)
        except Exception:
            # A function that the user passed, or a header of a shape that nobody expected: never the caller's trouble.
            log.debug("MCP metrics: a request could not be reported", exc_info=True)

    def report(self, exchange: Exchange) -> None:
        """Records the request."""
        raise NotImplementedError


def _error_code(exchange: Exchange) -> str | None:
    if exchange.error_code is not None:
        return exchange.error_code
    return None if exchange.success else str(exchange.status)


class AuthMetricsMiddleware(_Middleware):
    """Reports each request as `auth_request`: success is an answer below 400.

    By default the method is found in `X-Auth-Method`, the user in `X-Username`, the server in `X-Original-URL` (its
    first segment), each in the answer before the request; `find_method`, `find_user` and `find_server` find them
    elsewhere. The user is hashed before anything leaves.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service_name: str | None = None,
        client: MetricsClient | None = None,
        paths: Collection[str] | None = None,
        exclude_paths: Collection[str] = QUIET_PATHS,
        find_method: Find = lambda exchange: exchange.header("X-Auth-Method"),
        find_user: Find = lambda exchange: exchange.header("X-Username"),
        find_server: Find = lambda exchange: first_segment(exchange.header("X-Original-URL")),
        user_salt: str | None = None,
    ) -> None:
        super().__init__(app, service_name=service_name, client=client, paths=paths, exclude_paths=exclude_paths)
        self._find_method = find_method
        self._find_user = find_user
        self._find_server = find_server
        self._user_salt = user_salt

    def report(self, exchange: Exchange) -> None:
        """Records the request."""
        self.client.auth_request(
            success=exchange.success,
            method=self._find_method(exchange) or "unknown",
            server=self._find_server(exchange),
            user_hash=self.client.hash_user(self._find_user(exchange), salt=self._user_salt) or None,
            duration_ms=exchange.duration_ms,
            error_code=_error_code(exchange),
        )


def default_operation(exchange: Exchange) -> str:
    """`list` and `read` for GET, `create`, `update`, `delete`; a path that ends in `search` is a search."""
    segments = exchange.path.strip("/").split("/")
    if segments[-1] == "search":
        return "search"
    if exchange.method in ("GET", "HEAD") and len([s for s in segments if s not in _UNNAMED_SEGMENTS]) == 1:
        return "list"
    return "delete" if exchange.method == "DELETE" else _OPERATIONS.get(exchange.method, "other")


def default_resource_type(exchange: Exchange) -> str:
    """The first segment that names something: `servers` of `/api/v1/servers/x`. What was not found has no type."""
    if exchange.status is None or exchange.status == 404:
        return "unknown"
    for segment in exchange.path.strip("/").split("/"):
        if segment and segment not in _UNNAMED_SEGMENTS:
            return segment[:96]
    return "unknown"


class RegistryMetricsMiddleware(_Middleware):
    """Reports each request as `registry_operation`, by default with operation and resource type out of the path."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        service_name: str | None = None,
        client: MetricsClient | None = None,
        paths: Collection[str] | None = None,
        exclude_paths: Collection[str] = QUIET_PATHS,
        find_operation: Find = default_operation,
        find_resource_type: Find = default_resource_type,
        find_user: Find = lambda exchange: exchange.header("X-Username"),
        user_salt: str | None = None,
    ) -> None:
        super().__init__(app, service_name=service_name, client=client, paths=paths, exclude_paths=exclude_paths)
        self._find_operation = find_operation
        self._find_resource_type = find_resource_type
        self._find_user = find_user
        self._user_salt = user_salt

    def report(self, exchange: Exchange) -> None:
        """Records the request."""
        self.client.registry_operation(
            operation=self._find_operation(exchange) or "other",
            resource_type=self._find_resource_type(exchange) or "unknown",
            success=exchange.success,
            user_hash=self.client.hash_user(self._find_user(exchange), salt=self._user_salt) or None,
            duration_ms=exchange.duration_ms,
            error_code=_error_code(exchange),
        )


_details: ContextVar[dict[str, Any] | None] = ContextVar("mcp_metrics_discovery", default=None)


def discovery_details(
    *,
    query: str | None = None,
    results_count: int | None = None,
    top_k_services: int | None = None,
    top_n_tools: int | None = None,
    embedding_time_ms: float | None = None,
    faiss_search_time_ms: float | None = None,
) -> None:
    """Call in a search handler: what only the search itself knows. Outside a watched request it does nothing."""
    details = _details.get()
    if details is None:
        return
    told = {
        "query": query,
        "results_count": results_count,
        "top_k_services": top_k_services,
        "top_n_tools": top_n_tools,
        "embedding_time_ms": embedding_time_ms,
        "faiss_search_time_ms": faiss_search_time_ms,
    }
    details.update({name: value for name, value in told.items() if value is not None})


def default_query(exchange: Exchange) -> str | None:
    """The query string's `query` or `q`."""
    values = parse_qs(exchange.scope.get("query_string", b"").decode("latin-1"))
    found = values.get("query") or values.get("q")
    return found[0] if found else None


class DiscoveryMetricsMiddleware(_Middleware):
    """Reports each request as `tool_discovery`, with what the handler tells by `discovery_details`.

    `paths`: the searches, such as `{"/search"}`; other requests are not reported. A failed search has no results.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        paths: Collection[str],
        service_name: str | None = None,
        client: MetricsClient | None = None,
        find_query: Find = default_query,
    ) -> None:
        super().__init__(app, service_name=service_name, client=client, paths=paths)
        self._find_query = find_query

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything through; reports searches."""
        token = _details.set({})
        try:
            await super().__call__(scope, receive, send)
        finally:
            _details.reset(token)

    def report(self, exchange: Exchange) -> None:
        """Records the search."""
        details = {"query": self._find_query(exchange), **(_details.get() or {})}
        self.client.tool_discovery(
            **details,
            duration_ms=exchange.duration_ms,
            metadata={"error_code": _error_code(exchange)},
        )


class _TakesMiddleware(Protocol):
    def add_middleware(self, middleware_class: Any, /, **options: Any) -> None: ...


App = TypeVar("App", bound=_TakesMiddleware)


def add_auth_metrics_middleware(app: App, service_name: str | None = None, **options: Any) -> App:
    """One line for FastAPI and Starlette: reports each request's authentication. Options: `AuthMetricsMiddleware`."""
    app.add_middleware(AuthMetricsMiddleware, service_name=service_name, **options)
    return app


def add_registry_metrics_middleware(app: App, service_name: str | None = None, **options: Any) -> App:
    """The same for `RegistryMetricsMiddleware`."""
    app.add_middleware(RegistryMetricsMiddleware, service_name=service_name, **options)
    return app


def add_discovery_metrics_middleware(
    app: App, service_name: str | None = None, *, paths: Collection[str], **options: Any
) -> App:
    """The same for `DiscoveryMetricsMiddleware`; `paths` are the searches."""
    app.add_middleware(DiscoveryMetricsMiddleware, service_name=service_name, paths=paths, **options)
    return app
