"""What is recorded of an MCP request, whichever SDK served it: one `tool_execution` each, and the session's latencies.

Arguments and results never leave the process: only their sizes in bytes of JSON do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._mcp_session import TOOLS_CALL, TOOLS_LIST, SessionSteps
from .client import MetricsClient, Stopwatch

OTHER = "_other"
"""Stands for names that a caller made up. The gateway counts its own overflow under the same name."""
TOOL_ERROR = "tool_error"
CANCELLED = "cancelled"
TIMEOUT = "timeout"
CONNECTION_CLOSED = "connection_closed"

_KNOWN_TOOLS_AT_MOST = 1_000
_ASKED_NAME_CHARACTERS = 100
_METHODS = frozenset(
    {
        "completion/complete",
        "initialize",
        "logging/setLevel",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/subscribe",
        "resources/templates/list",
        "resources/unsubscribe",
        "server/discover",
        "subscriptions/listen",
        "tasks/cancel",
        "tasks/get",
        "tasks/list",
        "tasks/result",
        "tasks/update",
        "tools/call",
        "tools/list",
    }
)


def json_size(value: object) -> int | None:
    """Bytes of the value as JSON; None where it cannot be told."""
    from pydantic_core import to_json  # a dependency of every MCP SDK

    try:
        return len(to_json(value, by_alias=True, exclude_none=True, fallback=str))
    except Exception:
        return None


def message_size(request_id: object, **members: object) -> int | None:
    """Bytes of a JSON-RPC message with these members."""
    return json_size({"jsonrpc": "2.0", "id": request_id, **members})


def text_or_none(value: object) -> str | None:
    """A text of some length, or None for whatever else a peer may have sent."""
    return value if isinstance(value, str) and value else None


class KnownTools:
    """Names that the server itself has given out or served: only these become label values."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def learn(self, names: Iterable[object]) -> None:
        """Adds names from a `tools/list` result or a call that succeeded."""
        for name in names:
            if isinstance(name, str) and len(self._names) < _KNOWN_TOOLS_AT_MOST:
                self._names.add(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names


@dataclass
class Call:
    """A request on its way through the server."""

    method: str
    params: Mapping[str, Any]
    request_id: object = None
    size: int | None = None
    client_name: str | None = None
    client_version: str | None = None
    protocol_version: str | None = None
    session: SessionSteps | None = None
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def tool(self) -> str | None:
        """The tool's name where a tool is called."""
        return text_or_none(self.params.get("name")) if self.method == TOOLS_CALL else None


class McpRecorder:
    """Writes the records of one server."""

    def __init__(self, client: MetricsClient, server_name: str | None, server_path: str | None) -> None:
        self.client = client
        self.server_name = server_name
        self.server_path = server_path
        self.tools = KnownTools()

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

    def answered(self, call: Call, error_code: str | None, output_size: int | None) -> None:
        """Call as the answer leaves. `error_code`: None for success."""
        duration_ms = call.stopwatch.milliseconds
        tool = call.tool
        if tool is not None and error_code is None:
            self.tools.learn([tool])
        method = call.method
        if method not in _METHODS and (error_code is not None or len(method) > 96):
            method = OTHER
        label = method
        if method == TOOLS_CALL:
            label = tool if tool is not None and tool in self.tools else OTHER
        self.client.tool_execution(
            tool_name=label,
            success=error_code is None,
            method=method,
            server_name=self.server_name,
            server_path=self.server_path,
            client_name=call.client_name,
            client_version=call.client_version,
            duration_ms=duration_ms,
            error_code=error_code,
            input_size_bytes=call.size,
            output_size_bytes=output_size or 0,
            dimensions={"session_key": call.session.key if call.session is not None else None},
            metadata={
                "protocol_version": call.protocol_version,
                # What was asked for, whether the server has it or not: to look at, never a label.
                "actual_tool_name": tool[:_ASKED_NAME_CHARACTERS] if tool is not None else None,
            },
        )

    def listed(self, call: Call, tools: object) -> None:
        """Learns the names of a `tools/list` result, models or mappings."""
        if call.method == TOOLS_LIST and isinstance(tools, (list, tuple)):
            self.tools.learn(
                tool.get("name") if isinstance(tool, Mapping) else getattr(tool, "name", None) for tool in tools
            )
