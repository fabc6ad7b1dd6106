"""Where the middlewares find what they report, unless their options say otherwise: the same places as in TypeScript."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from ._asgi_request import Exchange, path_segments

# What callers may say of themselves: schemes of `Authorization` and other usual methods.
_USUAL = re.compile(
    "(bearer|basic|digest|negotiate|dpop|apikey|api[-_]key|"
    "jwt|oauth2?|oidc|saml|mtls|session|cookie|token|none)(?: |$)",
    re.IGNORECASE,
)
_OPERATIONS = {
    "GET": "read",
    "HEAD": "read",
    "POST": "create",
    "PUT": "update",
    "PATCH": "update",
    "DELETE": "delete",
}
_NO_RESOURCE = re.compile(r"api|v\d[\d.]*|\*|[:{].*")


def default_method(exchange: Exchange) -> str | None:
    """`X-Auth-Method` of the answer, else of the request if that is a usual one, else the scheme of `Authorization`."""
    own = exchange.response_header("X-Auth-Method")
    if own:
        return own
    told = exchange.request_header("X-Auth-Method")
    usual = _USUAL.match(told or exchange.request_header("Authorization") or "")
    if usual:
        return usual.group(1).lower()
    return "other" if told else None


def default_server(exchange: Exchange) -> str | None:
    """The first segment of the path in `X-Original-URL`."""
    return next(iter(path_segments(exchange.request_header("X-Original-URL"))), None)


def default_user(exchange: Exchange) -> str | None:
    """`X-Username` of the answer, else of the request."""
    return exchange.header("X-Username")


def default_operation(exchange: Exchange) -> str | None:
    """`read`, `create`, `update` or `delete`, by the HTTP method."""
    return _OPERATIONS.get(exchange.method)


def default_resource_type(exchange: Exchange) -> str | None:
    """The first segment that is neither `api` nor a version: `servers` of `/api/v1/servers/x`.

    Of the route's pattern, where the framework tells it, else of the path.
    """
    route = getattr(exchange.scope.get("route"), "path", None)
    for path in (route if isinstance(route, str) else None, exchange.path):
        for part in path_segments(path):
            if not _NO_RESOURCE.fullmatch(part):
                return part
    return None


def default_query(exchange: Exchange) -> str | None:
    """The query string's `query` or `q`."""
    values = parse_qs(exchange.scope.get("query_string", b"").decode("latin-1"))
    found = values.get("query") or values.get("q")
    return found[0] if found else None
