"""What the gateway's answer means for a batch: the one table of status codes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Literal

LONGEST_WAIT = 3600.0
"""A `Retry-After` beyond this is not believed: the queue would only overflow meanwhile."""

Verdict = Literal["delivered", "retry", "misconfigured", "too_large", "refused"]


@dataclass(frozen=True)
class Answer:
    """The verdict on one attempt, with what a person needs to know about it."""

    verdict: Verdict
    detail: str = ""
    rejected: int = 0
    """Of a delivered batch: metrics that the gateway turned away one by one."""
    retry_after: float | None = None
    """Seconds that the gateway asked to wait."""


def retry_after_seconds(text: str | None, now: datetime | None = None) -> float | None:
    """Reads `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date."""
    if not text:
        return None
    try:
        seconds = float(text)
        return min(max(0.0, seconds), LONGEST_WAIT) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=timezone.utc)
    return min(max(0.0, (at - (now or datetime.now(timezone.utc))).total_seconds()), LONGEST_WAIT)


def _document(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _first(document: Mapping[str, object]) -> str:
    errors = document.get("errors")
    if isinstance(errors, list) and errors:
        return str(errors[0])
    return str(document.get("detail") or "")


def classify(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Only 200 is success. 408, 409, 425, 429 and 5xx come again; 401, 403 and the like wait for a person."""
    document = _document(body)
    if status == 200:
        rejected = document.get("rejected")
        return Answer("delivered", _first(document), rejected if isinstance(rejected, int) and rejected > 0 else 0)
    detail = f"{status} {_first(document)}".strip()
    if status in (408, 409, 425, 429) or status >= 500:
        return Answer("retry", detail, retry_after=retry_after_seconds(headers.get("retry-after")))
    if status == 413:
        return Answer("too_large", detail)
    if status in (400, 415, 422):
        return Answer("refused", detail)
    return Answer("misconfigured", detail)
