"""`MetricsClient`: a typed method for each metric type. Recording takes microseconds, never raises, never waits."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from datetime import datetime

from ._encode import encode_metric
from ._exit import at_process_exit, at_sigterm
from ._metric_types import NOTHING, Fields, MetricTypes
from ._notices import Notices
from ._privacy import default_salt, hash_user
from ._queue import Stats
from ._sender import Sender, Transport
from ._settings import Limits, Settings, resolve
from ._transport import HttpTransport, prepare


class MetricsClient(MetricTypes):
    """Sends what a service does to the metrics gateway.

    Options come from `METRICS_SERVICE_URL`, `METRICS_API_KEY`, `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`
    where they are not given. Without a key the client is off and says so once. Safe to share between threads, event
    loops and forked workers; flushed at exit, and before a SIGTERM that the program does not handle itself.

    `user_hash_salt`: default `METRICS_USER_HASH_SALT`, else the key; the empty text gives unsalted hashes.

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
        user_hash_salt: str | None = None,
        limits: Limits | None = None,
        close_on_sigterm: bool = True,
        transport: Callable[[Settings], Transport] = HttpTransport,
    ) -> None:
        self.settings = settings = resolve(url, api_key, service, version, instance_id, limits)
        self._user_hash_salt = default_salt(settings.api_key) if user_hash_salt is None else user_hash_salt
        self._sender: Sender | None = None
        if settings.disabled is not None:
            Notices(settings).disabled(settings.disabled)
            return
        prepare()
        self._sender = Sender(settings, lambda: transport(settings))
        at_process_exit(self._sender, settings.limits.close_timeout)
        if close_on_sigterm:
            at_sigterm(self._sender, settings.limits.close_timeout)

    @property
    def enabled(self) -> bool:
        """False without an API key or with an address that is none: every method then does nothing."""
        return self._sender is not None

    def record(
        self,
        metric_type: str,
        value: float = 1.0,
        *,
        duration_ms: float | None = None,
        dimensions: Fields = NOTHING,
        metadata: Fields = NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """Any metric of the gateway's seven types; a method for each is the comfortable way."""
        if self._sender is None:
            return
        try:
            item = encode_metric(metric_type, value, duration_ms, dimensions, metadata, timestamp)
        except Exception as error:
            self._sender.invalid(f"{type(error).__name__}: {error}")
            return
        self._sender.offer(item)

    def hash_user(self, user_id: str | None, *, salt: str | None = None) -> str:
        """The function of that name, with this client's own salt where none is given."""
        return hash_user(user_id, salt=self._user_hash_salt if salt is None else salt)

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


def _after_fork_in_child() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
