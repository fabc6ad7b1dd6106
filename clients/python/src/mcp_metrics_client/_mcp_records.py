"""What is recorded of MCP, whichever SDK served it: a `tool_execution` for each request, and the session's latencies.

Arguments and results never leave the process: only their sizes in bytes of JSON do. The records are those of the
TypeScript instrumentation, to the name.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._mcp_names import Names, method_label
from ._mcp_session import TOOLS_CALL, TOOLS_LIST, SessionSteps
from ._stopwatch import Stopwatch
from .client import MetricsClient

TOOL_ERROR = "tool_error"
CANCELLED = "cancelled"
TIMEOUT = "timeout"
CONNECTION_CLOSED = "connection_closed"
CLIENT_INFO = "io.modelcontextprotocol/clientInfo"
INPUT_REQUIRED = "input_required"
"""`resultType` of an answer that asks for more: good as far as it goes, and not the call's end."""

FindUser = Callable[[Any], "str | None"]

_ASKED_NAME_CHARACTERS = 100
_TIMED_OUT = re.compile("time[sd]?[ -]?out", re.IGNORECASE)

log = logging.getLogger("mcp_metrics_client")


def json_size(value: object) -> int | None:
    """Bytes of the value as JSON; None where it cannot be told."""
    from pydantic_core import to_json  # a dependency of every MCP SDK

    try:
        return len(to_json(value, by_alias=True, exclude_none=True, fallback=str))
    except Exception:
        return None


def message_size(request_id: object, **members: object) -> int | None:
    """Bytes of a JSON-RPC message with these members; those that are None are none."""
    given = {name: member for name, member in members.items() if member is not None}
    return json_size({"jsonrpc": "2.0", "id": request_id, **given})


def _asks_for_more(result: object) -> bool:
    """In a model of the SDK or on the wire."""
    kind = result.get("resultType") if isinstance(result, Mapping) else getattr(result, "result_type", None)
    return kind == INPUT_REQUIRED


def text_or_none(value: object) -> str | None:
    """A text of some length, or None for whatever else a peer may have sent."""
    return value if isinstance(value, str) and value else None


def cancellation_code(reason: object) -> str:
    """`timeout` where that is the reason that a `notifications/cancelled` gives."""
    return TIMEOUT if isinstance(reason, str) and _TIMED_OUT.search(reason) else CANCELLED


def client_info(method: str, params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Who sends the request, where it says so: `initialize`, or `_meta` since 2026-07-28."""
    meta = params.get("_meta")
    info = meta.get(CLIENT_INFO) if isinstance(meta, Mapping) else None
    if info is None and method == "initialize":
        info = params.get("clientInfo")
    return info if isinstance(info, Mapping) else None


@dataclass
class Call:
    """A request on its way."""

    method: str
    params: Mapping[str, Any]
    request_id: object = None
    size: int | None = None
    client_name: str | None = None
    client_version: str | None = None
    protocol_version: str | None = None
    user_hash: str | None = None
    session: SessionSteps | None = None
    by_server: bool = False
    """The server asks its client: sampling, elicitation, roots."""
    duplicate: bool = False
    """Another request with this id was open when this one came."""
    progress: int = 0
    """Progress notifications for it so far."""
    recorded: bool = False
    """A subscription is, once it stands; what it ends with adds nothing."""
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def tool(self) -> str | None:
        """The tool's name where a tool is called."""
        return text_or_none(self.params.get("name")) if self.method == TOOLS_CALL else None

    @property
    def progress_token(self) -> str | int | None:
        """Under which progress is told."""
        meta = self.params.get("_meta")
        token = meta.get("progressToken") if isinstance(meta, Mapping) else None
        return token if isinstance(token, (str, int)) else None


class McpRecorder:
    """Writes the records of one server."""

    def __init__(
        self,
        client: MetricsClient,
        server_name: str | None,
        server_path: str | None,
        find_user: FindUser | None = None,
        count_notifications: bool = False,
    ) -> None:
        self.client = client
        self.server_name = server_name
        self.server_path = server_path
        self.tools = Names()
        self._extensions = Names()
        self._find_user = find_user
        self._count_notifications = count_notifications

    def user_hash(self, request: object) -> str | None:
        """Who asks, by the function that the user gave; `request` is what the transport knows of it."""
        if self._find_user is None:
            return None
        try:
            return self.client.hash_user(self._find_user(request)) or None
        except Exception:
            log.debug("MCP metrics: find_user failed", exc_info=True)
            return None

    def latencies(self, call: Call) -> None:
        """Call as the request arrives."""
        if call.session is None:
            return
        for latency in call.session.request(call.method):
            self.client.protocol_latency(
                seconds=latency.seconds,
                flow_step=latency.flow_step,
                server_name=self.server_name,
                session_key=call.session.key,
                metadata={
                    "latency_seconds": latency.seconds,
                    "from_method": latency.from_method,
                    "to_method": latency.to_method,
                },
            )

    def answered(
        self,
        call: Call,
        error_code: str | None,
        output_size: int | None = None,
        result: object = None,
        duration_ms: float | None = None,
    ) -> None:
        """Call as the answer leaves. `error_code`: None for success; `result`: what was answered, as on the wire."""
        if call.recorded:
            return
        call.recorded = True
        if duration_ms is None:
            duration_ms = call.stopwatch.milliseconds
        success = error_code is None
        if isinstance(result, Mapping) and not call.by_server:
            self._learn(call, result)
        label = method = method_label(call.method, self._extensions, success)
        if call.method == TOOLS_CALL:
            label = self.tools.label(call.tool, success)
        self.client.tool_execution(
            tool_name=label,
            success=success,
            method=method,
            server_name=self.server_name,
            server_path=self.server_path,
            client_name=call.client_name,
            client_version=call.client_version,
            user_hash=call.user_hash,
            duration_ms=duration_ms,
            error_code=error_code,
            input_size_bytes=call.size,
            output_size_bytes=output_size or 0,
            dimensions={"session_key": call.session.key if call.session is not None else None},
            metadata={
                "protocol_version": call.protocol_version,
                # What was asked for, whether the server has it or not: to look at, never a label.
                "actual_tool_name": (call.tool or "")[:_ASKED_NAME_CHARACTERS] if call.method == TOOLS_CALL else None,
                "progress_notifications": call.progress or None,
                "result_type": INPUT_REQUIRED if _asks_for_more(result) else None,
                "duplicate_id": call.duplicate or None,
                "initiator": "server" if call.by_server else None,
            },
        )

    def _learn(self, call: Call, result: Mapping[str, Any]) -> None:
        if call.method == TOOLS_LIST:
            self.tools.learn(result)
        elif call.method == "initialize":
            # What was agreed on, which need not be what was asked for.
            call.protocol_version = text_or_none(result.get("protocolVersion")) or call.protocol_version

    def notification(self, method: str, *, by_server: bool) -> None:
        """A notification passed, either way."""
        if by_server and method == "notifications/tools/list_changed":
            self.tools.forget_list()
        if self._count_notifications:
            label = method_label(method, self._extensions, False)
            direction = "sent" if by_server else "received"
            self.client.custom(
                "mcp_notifications",
                dimensions={"method": label, "direction": direction, "server_name": self.server_name},
            )
