"""Turns one metric into the bytes that the gateway reads, cut to the limits that it enforces.

Encoding at once, in the caller's thread, freezes the values, bounds the queue in bytes and keeps no object alive.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime, timezone

Dimension = str | int | float | bool | None
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

MAX_DIMENSIONS = 20
MAX_DIMENSION_CHARACTERS = 200
MAX_METADATA_FIELDS = 30
MAX_METADATA_CHARACTERS = 1000
MAX_NAME_CHARACTERS = 50
MAX_DURATION_MS = 86_400_000.0
MAX_VALUE = 1e12

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_readable = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode


def _whole(text: str) -> str:
    """Replaces halves of surrogate pairs, which Python can hold and no gateway takes."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def truncate(text: str, characters: int) -> str:
    """Cuts to a number of UTF-16 units, which is how the gateway counts, without splitting a character."""
    text = _whole(text)
    if len(text) * 2 <= characters:
        return text
    text = text[:characters]
    while len(text) + sum(character > "\uffff" for character in text) > characters:
        text = text[:-1]
    return text


def _dimension(value: object) -> str | int | float | bool | None:
    if isinstance(value, str):
        return truncate(value, MAX_DIMENSION_CHARACTERS)
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if value is None else truncate(str(value), MAX_DIMENSION_CHARACTERS)


def _dimensions(given: Mapping[str, object]) -> dict[str, Dimension]:
    kept: dict[str, Dimension] = {}
    for name, raw in given.items():
        value = _dimension(raw)
        if value is None or not _NAME.match(name) or len(name) > MAX_NAME_CHARACTERS:
            continue
        if len(kept) == MAX_DIMENSIONS:
            break
        kept[name] = value
    return kept


def _json_characters(value: object) -> int:
    """Length of the value as JSON text, in UTF-16 units as the gateway counts them."""
    text = _readable(value)
    return len(text) + sum(character > "\uffff" for character in text)


def _metadata_value(value: object) -> object:
    """The value if the gateway takes it, a shorter text for a text that it would not, else None."""
    if isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        value = truncate(value, MAX_METADATA_CHARACTERS - 2)
        while len(value) > 100 and _json_characters(value) > MAX_METADATA_CHARACTERS:
            value = value[: len(value) * 9 // 10]
        return value
    try:
        value = json.loads(_whole(_readable(value)))
        return value if _json_characters(value) <= MAX_METADATA_CHARACTERS else None
    except (TypeError, ValueError, RecursionError):
        return None


def _metadata(given: Mapping[str, object]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for name, raw in given.items():
        value = None if raw is None else _metadata_value(raw)
        if value is None:
            continue
        if len(kept) == MAX_METADATA_FIELDS:
            break
        kept[truncate(name, MAX_NAME_CHARACTERS)] = value
    return kept


def _timestamp(at: datetime | None) -> str:
    # A naive datetime is local time to Python and UTC to the gateway; some zones have offsets that no gateway reads.
    at = datetime.now(timezone.utc) if at is None else at.astimezone(timezone.utc)
    return at.isoformat(timespec="milliseconds")


def encode_metric(
    metric_type: str,
    value: float,
    duration_ms: float | None,
    dimensions: Mapping[str, object],
    metadata: Mapping[str, object],
    timestamp: datetime | None,
) -> bytes:
    """One item of the gateway's `metrics` array. What exceeds its limits is cut or left out.

    Raises ValueError for a value that it would reject: not a number, infinite, negative or beyond 1e12.
    """
    value = float(value)
    if not 0 <= value <= MAX_VALUE:
        raise ValueError(f"{metric_type}: value {value} is not a number from 0 to 1e12")
    item: dict[str, object] = {"type": metric_type, "value": value, "timestamp": _timestamp(timestamp)}
    if duration_ms is not None and duration_ms >= 0:
        item["duration_ms"] = round(min(float(duration_ms), MAX_DURATION_MS), 3)
    item["dimensions"] = _dimensions(dimensions)
    kept = _metadata(metadata)
    if kept:
        item["metadata"] = kept
    return _dumps(item).encode("ascii")
