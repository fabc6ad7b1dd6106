"""Reports what a Python service or MCP server does to an MCP metrics gateway."""

from ._privacy import hash_user
from ._queue import Stats
from ._settings import Limits
from ._stopwatch import Stopwatch
from .asgi import (
    AuthMetricsMiddleware,
    DiscoveryMetricsMiddleware,
    RegistryMetricsMiddleware,
    add_auth_metrics_middleware,
    add_discovery_metrics_middleware,
    add_registry_metrics_middleware,
    discovery_details,
)
from .client import MetricsClient, shared_client
from .mcp import instrument_mcp_server

__all__ = [
    "AuthMetricsMiddleware",
    "DiscoveryMetricsMiddleware",
    "Limits",
    "MetricsClient",
    "RegistryMetricsMiddleware",
    "Stats",
    "Stopwatch",
    "add_auth_metrics_middleware",
    "add_discovery_metrics_middleware",
    "add_registry_metrics_middleware",
    "discovery_details",
    "hash_user",
    "instrument_mcp_server",
    "shared_client",
]
