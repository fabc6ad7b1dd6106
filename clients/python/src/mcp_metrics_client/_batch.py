"""A batch: what one request carries, with bytes and an idempotency key that stay the same at every retry."""

from __future__ import annotations

import gzip
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from ._settings import Settings

_GZIP_FROM_BYTES = 1024


@dataclass(frozen=True)
class Batch:
    """An immutable request in waiting."""

    items: Sequence[bytes]
    body: bytes
    headers: dict[str, str]
    made_at: float = field(default_factory=time.monotonic)

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory, nearly."""
        return len(self.body) + sum(map(len, self.items))


def make_batch(settings: Settings, items: Sequence[bytes]) -> Batch:
    """Puts encoded metrics into the envelope of `POST /metrics`."""
    resource = {"service": settings.service, "version": settings.version, "instance_id": settings.instance_id}
    head = json.dumps({key: value for key, value in resource.items() if value is not None})
    body = head[:-1].encode("ascii") + b',"metrics":[' + b",".join(items) + b"]}"
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
    if len(body) >= _GZIP_FROM_BYTES:
        body = gzip.compress(body, compresslevel=5, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Batch(tuple(items), body, headers)


def halves(settings: Settings, batch: Batch) -> tuple[Batch, Batch]:
    """Splits a batch that was too large; the parts are new requests with keys of their own."""
    middle = len(batch.items) // 2
    return make_batch(settings, batch.items[:middle]), make_batch(settings, batch.items[middle:])
