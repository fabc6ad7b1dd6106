"""Requests that are not answered yet, by JSON-RPC id: bounded, and ready for ids that are used twice at a time."""

from __future__ import annotations

from collections import deque

from ._mcp_records import Call

_OPEN_AT_MOST = 10_000
"""A peer that never gets its answers costs no more memory than this."""


class OpenCalls:
    """The oldest of an id is answered first."""

    def __init__(self) -> None:
        self._by_id: dict[object, deque[Call]] = {}
        self._by_token: dict[object, Call] = {}

    def add(self, call: Call) -> None:
        """Takes note of a request; marks it where its id is in use."""
        same = self._by_id.setdefault(call.request_id, deque(maxlen=_OPEN_AT_MOST))
        call.duplicate = bool(same)
        same.append(call)
        if call.progress_token is not None:
            self._by_token[call.progress_token] = call
        if len(self._by_id) > _OPEN_AT_MOST:
            for forgotten in self._by_id.pop(next(iter(self._by_id))):
                self._forget_token(forgotten)

    def take(self, request_id: object) -> Call | None:
        """Ends a request."""
        same = self._by_id.get(request_id)
        if not same:
            return None
        call = same.popleft()
        if not same:
            del self._by_id[request_id]
        self._forget_token(call)
        return call

    def progressed(self, token: object) -> None:
        """Counts a progress notification."""
        call = self._by_token.get(token) if isinstance(token, (str, int)) else None
        if call is not None:
            call.progress += 1

    def take_all(self) -> list[Call]:
        """Ends them all."""
        calls = [call for same in self._by_id.values() for call in same]
        self._by_id.clear()
        self._by_token.clear()
        return calls

    def _forget_token(self, call: Call) -> None:
        if self._by_token.get(call.progress_token) is call:
            del self._by_token[call.progress_token]
