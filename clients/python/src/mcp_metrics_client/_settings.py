"""Where a client sends and within which limits: explicit options first, then the environment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT_URL = "http://localhost:8890"


@dataclass(frozen=True)
class Limits:
    """Bounds of one client; each has a default that suits a service of some thousand requests a second."""

    max_queue_metrics: int = 10_000
    """Metrics held while the gateway is slow or away; beyond, the oldest go and are counted."""
    max_queue_bytes: int = 8 * 1024 * 1024
    """The same limit in bytes of JSON."""
    max_batch_metrics: int = 500
    """Metrics in one request; the gateway takes up to 5,000."""
    max_batch_bytes: int = 512 * 1024
    """Bytes of JSON in one request before compression; reverse proxies commonly stop at 1 MiB."""
    flush_interval: float = 1.0
    """Seconds that the first metric of a batch waits for company."""
    request_timeout: float = 10.0
    """Seconds for one request to the gateway."""
    retry_base: float = 0.5
    """Seconds before the first retry; doubled each time, with jitter."""
    retry_max: float = 30.0
    """Longest pause between retries that the gateway did not ask for."""
    misconfigured_pause: float = 60.0
    """Pause after 401, 403, 404 or a redirect, which no quick retry mends."""
    close_timeout: float = 3.0
    """Seconds that the flush at exit may take."""


@dataclass(frozen=True)
class Settings:
    """What a client needs to know; made by `resolve`."""

    url: str
    api_key: str | None
    service: str
    version: str | None
    instance_id: str | None
    limits: Limits
    disabled: str | None = None
    """Why nothing can be sent, and what to do; neither key nor address is repeated in it."""


def _resource_attributes() -> dict[str, str]:
    """`OTEL_RESOURCE_ATTRIBUTES`: `key=value` pairs with commas between (OpenTelemetry resource SDK)."""
    pairs = (pair.partition("=") for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return {key.strip(): value.strip() for key, _, value in pairs if key.strip() and value.strip()}


def _matching(text: str, forbidden: str, length: int) -> str:
    """Makes a name acceptable to the gateway: what it would refuse the whole batch for becomes a hyphen."""
    return re.sub(forbidden, "-", text)[:length]


def _base(url: str) -> str | None:
    """The address without `/metrics`; None for what is no plain http(s) address, such as one with a password in it."""
    try:
        parts = urlsplit(url.strip())
        plain = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return None
    if not plain:
        return None
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/metrics').rstrip('/')}"


def _unusable(api_key: str | None, base: str | None) -> str | None:
    if api_key is None:
        return "no API key. Set METRICS_API_KEY (and METRICS_SERVICE_URL) to send them."
    if not re.fullmatch(r"[!-~]+", api_key):
        return "the API key does not fit into a header: expected letters, digits and punctuation, no spaces."
    if base is None:
        return "METRICS_SERVICE_URL or url is no plain address: expected one such as http://localhost:8890."
    return None


def resolve(
    url: str | None = None,
    api_key: str | None = None,
    service: str | None = None,
    version: str | None = None,
    instance_id: str | None = None,
    limits: Limits | None = None,
) -> Settings:
    """Fills what was not given from `METRICS_SERVICE_URL`, `METRICS_API_KEY` and the `OTEL_*` variables."""
    resource = _resource_attributes()
    base = _base(url or os.environ.get("METRICS_SERVICE_URL") or DEFAULT_URL)
    key = (api_key or os.environ.get("METRICS_API_KEY") or "").strip() or None
    service = service or os.environ.get("OTEL_SERVICE_NAME") or resource.get("service.name") or "unknown_service"
    version = version or resource.get("service.version")
    instance_id = instance_id or resource.get("service.instance.id")
    return Settings(
        url=base or "",
        api_key=key,
        service=_matching(service, r"[^A-Za-z0-9_-]", 100),
        version=version[:50] if version else None,
        instance_id=_matching(instance_id, r"[^A-Za-z0-9_.-]", 100) if instance_id else None,
        limits=limits or Limits(),
        disabled=_unusable(key, base),
    )
