"""One attempt to hand a batch to the gateway over HTTP."""

from __future__ import annotations

import functools
import importlib
import logging
import ssl
import threading

import httpx

from ._answer import Answer, classify
from ._batch import Batch
from ._settings import Settings

log = logging.getLogger("mcp_metrics_client")

SENDER_THREAD = "mcp-metrics-sender"
_MAX_ANSWER_BYTES = 256 * 1024


class _QuietSender(logging.Filter):
    """Keeps httpx's line per request out of the service's log for the sender's own requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO or threading.current_thread().name != SENDER_THREAD


logging.getLogger("httpx").addFilter(_QuietSender())


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def prepare() -> None:
    """Call in the thread that makes a client: loads what httpx would load with its first request only.

    A process that forks while another thread does that leaves its children with half a module, or with a lock of
    OpenSSL's that nobody will ever give back. At the end of a program it would be too late.
    """
    try:
        for module in ("encodings.idna", "httpcore"):
            importlib.import_module(module)
        _tls()
    except Exception:
        log.debug("MCP metrics: httpx could not be prepared", exc_info=True)


class HttpTransport:
    """Keeps one connection to the gateway alive. Used by one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._url = f"{settings.url}/metrics"
        self._client = httpx.Client(
            headers={"X-API-Key": settings.api_key or "", "User-Agent": "mcp-metrics-client-python"},
            verify=_tls(),
            timeout=httpx.Timeout(settings.limits.request_timeout, connect=5.0),
        )

    def send(self, batch: Batch) -> Answer:
        """Never raises for what the network or the gateway does."""
        try:
            with self._client.stream("POST", self._url, content=batch.body, headers=batch.headers) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > _MAX_ANSWER_BYTES:
                        break
                return classify(response.status_code, response.headers, bytes(body))
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            return Answer("misconfigured", str(error))
        except (httpx.HTTPError, OSError) as error:
            return Answer("retry", f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()
