"""The steps of one MCP session, each latency reported once.

Legacy emitters kept these times per user, so that two sessions of one user ran into each other. Here each session has
a `SessionSteps` of its own.
"""

from __future__ import annotations

import time
import uuid
import weakref
from collections.abc import Callable
from dataclasses import dataclass

from ._privacy import hash_user

INITIALIZE = "initialize"
TOOLS_LIST = "tools/list"
TOOLS_CALL = "tools/call"


@dataclass(frozen=True)
class Latency:
    """Time from the arrival of one request to the arrival of another in the same session."""

    flow_step: str
    seconds: float
    from_method: str
    to_method: str


class SessionSteps:
    """What a session has done so far. `session_id` is a secret of the transport, so only its hash is kept."""

    __slots__ = ("__weakref__", "_begun", "_begun_by", "_listed", "_reported", "key")

    def __init__(self, session_id: str | None = None, hash_text: Callable[[str], str] = hash_user) -> None:
        self.key = hash_text(f"mcp-session {session_id or uuid.uuid4().hex}")
        self._begun: float | None = None
        self._begun_by = INITIALIZE
        self._listed: float | None = None
        self._reported: set[str] = set()

    def request(self, method: str) -> list[Latency]:
        """Takes note of a request as it arrives; gives the latencies that it completes, each once per session.

        `initialize` opens a session; under 2026-07-28, which has no handshake, `server/discover` or whatever comes
        first does.
        """
        now = time.perf_counter()
        if self._begun is None or (self._begun_by != INITIALIZE and method == INITIALIZE):
            self._begun, self._begun_by = now, method
            if method == TOOLS_LIST:
                self._listed = now
            return []
        completed: list[Latency] = []
        if method == TOOLS_LIST:
            # A list that is asked for again, or in pages: what follows is selected from the last one.
            self._listed = now
            if self._begun_by != TOOLS_LIST:
                self._complete(completed, "initialize_to_tools_list", self._begun, self._begun_by, TOOLS_LIST, now)
        elif method == TOOLS_CALL and self._begun_by != TOOLS_CALL:
            self._complete(completed, "tools_list_to_tools_call", self._listed, TOOLS_LIST, TOOLS_CALL, now)
            self._complete(completed, "full_protocol_flow", self._begun, self._begun_by, TOOLS_CALL, now)
        return completed

    def _complete(
        self,
        into: list[Latency],
        step: str,
        since: float | None,
        from_method: str,
        to_method: str,
        now: float,
    ) -> None:
        if since is None or step in self._reported:
            return
        self._reported.add(step)
        into.append(Latency(step, now - since, from_method, to_method))


class Sessions:
    """Finds the steps of a session by whatever object of the SDK lives as long as the session does."""

    def __init__(self, hash_text: Callable[[str], str]) -> None:
        self._hash_text = hash_text
        self._by_identity: dict[int, SessionSteps] = {}

    def of(self, anchor: object, session_id: str | None) -> SessionSteps:
        """The session's steps. Its end, the anchor's collection, forgets them."""
        identity = id(anchor)
        steps = self._by_identity.get(identity)
        if steps is None:
            steps = SessionSteps(session_id, self._hash_text)
            self._by_identity[identity] = steps
            weakref.finalize(anchor, self._by_identity.pop, identity, None).atexit = False
        return steps
