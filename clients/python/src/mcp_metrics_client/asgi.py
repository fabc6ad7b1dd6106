"""ASGI middleware for FastAPI, Starlette and any other ASGI application: authentication, registry, discovery.

The same records, found in the same places, as the middleware of the TypeScript client.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from ._asgi_find import (
    default_method,
    default_operation,
    default_query,
    default_resource_type,
    default_server,
    default_user,
)
from ._asgi_middleware import QUIET_PATHS, Find, KnownNames, MetricsMiddleware
from ._asgi_request import ASGIApp, Exchange, Receive, Scope, Send
from .client import MetricsClient

_REQUESTED_CHARACTERS = 100
# What a service may call a method.
_WORD = re.compile(r"[A-Za-z0-9_.+-]{1,32}")


class AuthMetricsMiddleware(MetricsMiddleware):
    """Reports each request as `auth_request`: success is an answer below 400.

    `find_method`, `find_server`, `find_user` say where each is found, in place of the defaults above. The user is
    hashed before anything leaves; a server becomes a label once a request for it succeeded. A method is one word of at
    most 32 characters, else `other`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service_name: str | None = None,
        client: MetricsClient | None = None,
        paths: Collection[str] | None = None,
        exclude_paths: Collection[str] = QUIET_PATHS,
        find_method: Find = default_method,
        find_server: Find = default_server,
        find_user: Find = default_user,
        user_salt: str | None = None,
    ) -> None:
        super().__init__(app, service_name=service_name, client=client, paths=paths, exclude_paths=exclude_paths)
        self._find_method = find_method
        self._find_server = find_server
        self._find_user = find_user
        self._user_salt = user_salt
        self._known = KnownNames()
        self._methods = KnownNames()

    def report(self, exchange: Exchange) -> None:
        """Records the request."""
        method = self.ask(self._find_method, exchange)
        requested = self.ask(self._find_server, exchange)
        self.client.auth_request(
            success=exchange.success,
            method=self._methods.label(method if not method or _WORD.fullmatch(method) else "other", True),
            server=self._known.label(requested, exchange.success),
            user_hash=self.client.hash_user(self.ask(self._find_user, exchange), salt=self._user_salt) or None,
            duration_ms=exchange.duration_ms,
            error_code=exchange.failure,
            metadata={"requested_server": requested[:_REQUESTED_CHARACTERS] if requested else None},
        )


class RegistryMetricsMiddleware(MetricsMiddleware):
    """Reports each request as `registry_operation`, by default with operation and resource type as defined above.

    A resource type becomes a label once a request for it succeeded. `find_resource_id`: kept in SQLite, never a label.
    """

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
        find_resource_id: Find = lambda _: None,
        find_user: Find = default_user,
        user_salt: str | None = None,
    ) -> None:
        super().__init__(app, service_name=service_name, client=client, paths=paths, exclude_paths=exclude_paths)
        self._find_operation = find_operation
        self._find_resource_type = find_resource_type
        self._find_resource_id = find_resource_id
        self._find_user = find_user
        self._user_salt = user_salt
        self._known = KnownNames()

    def report(self, exchange: Exchange) -> None:
        """Records the request."""
        self.client.registry_operation(
            operation=self.ask(self._find_operation, exchange) or "other",
            resource_type=self._known.label(self.ask(self._find_resource_type, exchange), exchange.success),
            success=exchange.success,
            resource_id=self.ask(self._find_resource_id, exchange),
            user_hash=self.client.hash_user(self.ask(self._find_user, exchange), salt=self._user_salt) or None,
            duration_ms=exchange.duration_ms,
            error_code=exchange.failure,
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


class DiscoveryMetricsMiddleware(MetricsMiddleware):
    """Reports each request to `paths`, such as `{"/search"}`, as `tool_discovery`.

    What the handler does not tell by `discovery_details` is found in the query string, and in the answer's headers
    `X-Results-Count`, `X-Embedding-Time-Ms` and `X-Search-Time-Ms`.
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
        """Records the search; -1 results means that nobody said how many."""
        results = exchange.response_number("X-Results-Count")
        found: dict[str, Any] = {
            "query": self.ask(self._find_query, exchange),
            "results_count": -1 if results is None else int(results),
            "embedding_time_ms": exchange.response_number("X-Embedding-Time-Ms"),
            "faiss_search_time_ms": exchange.response_number("X-Search-Time-Ms"),
        }
        self.client.tool_discovery(
            **{**found, **(_details.get() or {})},
            duration_ms=exchange.duration_ms,
            dimensions={"success": exchange.success},
            metadata={"error_code": exchange.failure},
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
