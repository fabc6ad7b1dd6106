"""`MetricsClient`: a typed method for each metric type. Recording takes microseconds, never raises, never waits."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from datetime import datetime

from ._encode import encode_metric, truncate
from ._exit import at_process_exit, at_sigterm
from ._notices import Notices
from ._privacy import SALT_VARIABLE, hash_user
from ._sender import Sender, Stats, Transport
from ._settings import Limits, Settings, resolve
from ._transport import HttpTransport

_MAX_QUERY_CHARACTERS = 200
_senders: weakref.WeakSet[Sender] = weakref.WeakSet()

Fields = Mapping[str, object]
_NOTHING: Fields = {}


class Stopwatch:
    """Elapsed milliseconds by the monotonic clock, from the moment it is made."""

    __slots__ = ("_started",)

    def __init__(self) -> None:
        self._started = time.perf_counter_ns()

    @property
    def milliseconds(self) -> float:
        """Since it was made."""
        return (time.perf_counter_ns() - self._started) / 1e6


class MetricsClient:
    """Sends what a service does to the metrics gateway.

    Options come from `METRICS_SERVICE_URL`, `METRICS_API_KEY`, `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`
    where they are not given. Without a key the client is off and says so once. Safe to share between threads, event
    loops and forked workers; flushed at exit, and before a SIGTERM that the program does not handle itself.

    Every method takes `dimensions` and `metadata` for more than its own parameters, and `timestamp` for something
    that happened earlier; what exceeds the gateway's limits is cut.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        api_key: str | None = None,
        service: str | None = None,
        version: str | None = None,
        instance_id: str | None = None,
        limits: Limits | None = None,
        close_on_sigterm: bool = True,
        transport: Callable[[Settings], Transport] = HttpTransport,
    ) -> None:
        self.settings = settings = resolve(url, api_key, service, version, instance_id, limits)
        self._sender: Sender | None = None
        if settings.api_key is None:
            Notices(settings).disabled()
            return
        self._sender = Sender(settings, lambda: transport(settings))
        _senders.add(self._sender)
        at_process_exit(self._sender, settings.limits.close_timeout)
        if close_on_sigterm:
            at_sigterm(self._sender, settings.limits.close_timeout)

    @property
    def enabled(self) -> bool:
        """False without an API key: every method then does nothing."""
        return self._sender is not None

    def record(
        self,
        metric_type: str,
        value: float = 1.0,
        *,
        duration_ms: float | None = None,
        dimensions: Fields = _NOTHING,
        metadata: Fields = _NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """Any metric of the gateway's seven types; the methods below are the comfortable way."""
        if self._sender is None:
            return
        try:
            item = encode_metric(metric_type, value, duration_ms, dimensions, metadata, timestamp)
        except Exception as error:
            self._sender.invalid(f"{type(error).__name__}: {error}")
            return
        self._sender.offer(item)

    def auth_request(
        self,
        *,
        success: bool,
        method: str = "unknown",
        server: str | None = None,
        user_hash: str | None = None,
        duration_ms: float | None = None,
        error_code: str | int | None = None,
        dimensions: Fields = _NOTHING,
        metadata: Fields = _NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """A request was authenticated, or was not. `method`: jwt, oauth, …; `user_hash`: see `hash_user`."""
        own = {"success": bool(success), "method": method, "server": server, "user_hash": user_hash}
        self.record(
            "auth_request",
            duration_ms=duration_ms,
            dimensions={**own, **dimensions},
            metadata={"error_code": _code(error_code), **metadata},
            timestamp=timestamp,
        )

    def tool_execution(
        self,
        *,
        tool_name: str,
        success: bool,
        method: str = "tools/call",
        server_name: str | None = None,
        server_path: str | None = None,
        client_name: str | None = None,
        client_version: str | None = None,
        user_hash: str | None = None,
        duration_ms: float | None = None,
        error_code: str | int | None = None,
        input_size_bytes: int | None = None,
        output_size_bytes: int | None = None,
        dimensions: Fields = _NOTHING,
        metadata: Fields = _NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """An MCP request was answered. `tool_name` is the method where it is not `tools/call`."""
        own = {
            "tool_name": tool_name,
            "server_name": server_name,
            "server_path": server_path,
            "success": bool(success),
            "method": method,
            "client_name": client_name,
            "client_version": client_version,
            "user_hash": user_hash,
        }
        more = {
            "error_code": _code(error_code),
            "input_size_bytes": input_size_bytes,
            "output_size_bytes": output_size_bytes,
        }
        self.record(
            "tool_execution",
            duration_ms=duration_ms,
            dimensions={**own, **dimensions},
            metadata={**more, **metadata},
            timestamp=timestamp,
        )

    def tool_discovery(
        self,
        *,
        query: str | None = None,
        results_count: int | None = None,
        top_k_services: int | None = None,
        top_n_tools: int | None = None,
        embedding_time_ms: float | None = None,
        faiss_search_time_ms: float | None = None,
        duration_ms: float | None = None,
        dimensions: Fields = _NOTHING,
        metadata: Fields = _NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """Somebody searched for tools. The query is free text: cut, never a label, and gone with the raw retention."""
        own = {
            "query": truncate(query, _MAX_QUERY_CHARACTERS) if query else None,
            "results_count": results_count,
            "top_k_services": top_k_services,
            "top_n_tools": top_n_tools,
        }
        more = {"embedding_time_ms": embedding_time_ms, "faiss_search_time_ms": faiss_search_time_ms}
        self.record(
            "tool_discovery",
            duration_ms=duration_ms,
            dimensions={**own, **dimensions},
            metadata={**more, **metadata},
            timestamp=timestamp,
        )

    def protocol_latency(
        self,
        *,
        seconds: float,
        flow_step: str,
        server_name: str | None = None,
        session_key: str | None = None,
        user_hash: str | None = None,
        dimensions: Fields = _NOTHING,
        metadata: Fields = _NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """Time between two steps of one session, such as `initialize_to_tools_list`; `session_key` is a hash."""
        own = {
            "flow_step": flow_step,
            "server_name": server_name,
            "session_key": session_key,
            "user_hash": user_hash,
        }
        self.record(
            "protocol_latency",
            seconds,
            dimensions={**own, **dimensions},
            metadata=metadata,
            timestamp=timestamp,
        )

    def registry_operation(
        self,
        *,
        operation: str,
        resource_type: str,
        success: bool,
        resource_id: str | None = None,
        user_hash: str | None = None,
        duration_ms: float | None = None,
        error_code: str | int | None = None,
        dimensions: Fields = _NOTHING,
        metadata: Fields = _NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """Something in a registry was created, read, updated, deleted, listed or searched."""
        own = {
            "operation": operation,
            "resource_type": resource_type,
            "success": bool(success),
            "resource_id": resource_id,
            "user_hash": user_hash,
        }
        self.record(
            "registry_operation",
            duration_ms=duration_ms,
            dimensions={**own, **dimensions},
            metadata={"error_code": _code(error_code), **metadata},
            timestamp=timestamp,
        )

    def health_check(
        self,
        *,
        endpoint: str,
        status_code: int,
        healthy: bool,
        duration_ms: float | None = None,
        dimensions: Fields = _NOTHING,
        metadata: Fields = _NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """A server was asked whether it is well."""
        own = {"endpoint": endpoint, "status_code": status_code, "healthy": bool(healthy)}
        self.record(
            "health_check",
            duration_ms=duration_ms,
            dimensions={**own, **dimensions},
            metadata=metadata,
            timestamp=timestamp,
        )

    def custom(
        self,
        metric_name: str,
        value: float = 1.0,
        *,
        duration_ms: float | None = None,
        dimensions: Fields = _NOTHING,
        metadata: Fields = _NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """Anything else that can be counted, under a name of your own."""
        self.record(
            "custom",
            value,
            duration_ms=duration_ms,
            dimensions={"metric_name": metric_name, **dimensions},
            metadata=metadata,
            timestamp=timestamp,
        )

    def hash_user(self, user_id: str | None, *, salt: str | None = None) -> str:
        """The function of that name, with this client's own key where there is no other salt."""
        if salt is None:
            salt = os.environ.get(SALT_VARIABLE, self.settings.api_key or "")
        return hash_user(user_id, salt=salt)

    def stats(self) -> Stats:
        """What was recorded, delivered, rejected, dropped and is waiting."""
        return self._sender.stats() if self._sender is not None else Stats()

    def flush(self, timeout: float = 10.0) -> bool:
        """Sends what was recorded so far and waits for it. False when the time was not enough."""
        return self._sender is None or self._sender.flush(timeout)

    async def aflush(self, timeout: float = 10.0) -> bool:
        """`flush` without blocking the event loop."""
        return await asyncio.to_thread(self.flush, timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Flushes and ends; later metrics count as dropped. Runs by itself at exit. False when something was left."""
        if self._sender is None:
            return True
        return self._sender.close(self.settings.limits.close_timeout if timeout is None else timeout)

    async def aclose(self, timeout: float | None = None) -> bool:
        """`close` without blocking the event loop."""
        return await asyncio.to_thread(self.close, timeout)


_shared: dict[str | None, MetricsClient] = {}
_shared_lock = threading.Lock()


def shared_client(service_name: str | None = None) -> MetricsClient:
    """The process's client for a service, made from the environment at the first call."""
    with _shared_lock:
        if service_name not in _shared:
            _shared[service_name] = MetricsClient(service=service_name)
        return _shared[service_name]


def _code(error_code: str | int | None) -> str | None:
    return None if error_code is None else str(error_code)


def _after_fork_in_child() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    for sender in list(_senders):
        sender.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
