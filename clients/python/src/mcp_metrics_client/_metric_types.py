"""The seven metric types, a typed method for each: which parameter becomes which dimension or metadata field."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime

from ._encode import truncate

_MAX_QUERY_CHARACTERS = 200

Fields = Mapping[str, object]
NOTHING: Fields = {}


def _code(error_code: str | int | None) -> str | None:
    return None if error_code is None else str(error_code)


class MetricTypes(ABC):
    """The comfortable ways to `record`."""

    @abstractmethod
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
        """Any metric of the gateway's seven types; the methods below are for one each."""

    def auth_request(
        self,
        *,
        success: bool,
        method: str = "unknown",
        server: str | None = None,
        user_hash: str | None = None,
        duration_ms: float | None = None,
        error_code: str | int | None = None,
        dimensions: Fields = NOTHING,
        metadata: Fields = NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """A request was authenticated, or was not. `method`: jwt, oauth, …; `user_hash`: see `hash_user`."""
        own = {"success": bool(success), "method": method, "server": server, "user_hash": user_hash}
        self.record(
            "auth_request",
            duration_ms=duration_ms,
            dimensions={**own, **dimensions},
            metadata={"error_code": _code(error_code), **metadata},
            timestamp=timestamp,
        )

    def tool_execution(
        self,
        *,
        tool_name: str,
        success: bool,
        method: str = "tools/call",
        server_name: str | None = None,
        server_path: str | None = None,
        client_name: str | None = None,
        client_version: str | None = None,
        user_hash: str | None = None,
        duration_ms: float | None = None,
        error_code: str | int | None = None,
        input_size_bytes: int | None = None,
        output_size_bytes: int | None = None,
        dimensions: Fields = NOTHING,
        metadata: Fields = NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """An MCP request was answered. `tool_name` is the method where it is not `tools/call`."""
        own = {
            "tool_name": tool_name,
            "server_name": server_name,
            "server_path": server_path,
            "success": bool(success),
            "method": method,
            "client_name": client_name,
            "client_version": client_version,
            "user_hash": user_hash,
        }
        more = {
            "error_code": _code(error_code),
            "input_size_bytes": input_size_bytes,
            "output_size_bytes": output_size_bytes,
        }
        self.record(
            "tool_execution",
            duration_ms=duration_ms,
            dimensions={**own, **dimensions},
            metadata={**more, **metadata},
            timestamp=timestamp,
        )

    def tool_discovery(
        self,
        *,
        query: str | None = None,
        results_count: int | None = None,
        top_k_services: int | None = None,
        top_n_tools: int | None = None,
        embedding_time_ms: float | None = None,
        faiss_search_time_ms: float | None = None,
        duration_ms: float | None = None,
        dimensions: Fields = NOTHING,
        metadata: Fields = NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """Somebody searched for tools. The query is free text: cut, never a label, and gone with the raw retention."""
        own = {
            "query": truncate(query, _MAX_QUERY_CHARACTERS) if query else None,
            "results_count": results_count,
            "top_k_services": top_k_services,
            "top_n_tools": top_n_tools,
        }
        more = {"embedding_time_ms": embedding_time_ms, "faiss_search_time_ms": faiss_search_time_ms}
        self.record(
            "tool_discovery",
            duration_ms=duration_ms,
            dimensions={**own, **dimensions},
            metadata={**more, **metadata},
            timestamp=timestamp,
        )

    def protocol_latency(
        self,
        *,
        seconds: float,
        flow_step: str,
        server_name: str | None = None,
        session_key: str | None = None,
        user_hash: str | None = None,
        dimensions: Fields = NOTHING,
        metadata: Fields = NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """Time between two steps of one session, such as `initialize_to_tools_list`; `session_key` is a hash."""
        own = {
            "flow_step": flow_step,
            "server_name": server_name,
            "session_key": session_key,
            "user_hash": user_hash,
        }
        self.record(
            "protocol_latency",
            seconds,
            dimensions={**own, **dimensions},
            metadata=metadata,
            timestamp=timestamp,
        )

    def registry_operation(
        self,
        *,
        operation: str,
        resource_type: str,
        success: bool,
        resource_id: str | None = None,
        user_hash: str | None = None,
        duration_ms: float | None = None,
        error_code: str | int | None = None,
        dimensions: Fields = NOTHING,
        metadata: Fields = NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """Something in a registry was created, read, updated, deleted, listed or searched."""
        own = {
            "operation": operation,
            "resource_type": resource_type,
            "success": bool(success),
            "resource_id": resource_id,
            "user_hash": user_hash,
        }
        self.record(
            "registry_operation",
            duration_ms=duration_ms,
            dimensions={**own, **dimensions},
            metadata={"error_code": _code(error_code), **metadata},
            timestamp=timestamp,
        )

    def health_check(
        self,
        *,
        endpoint: str,
        status_code: int,
        healthy: bool,
        duration_ms: float | None = None,
        dimensions: Fields = NOTHING,
        metadata: Fields = NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """A server was asked whether it is well."""
        own = {"endpoint": endpoint, "status_code": status_code, "healthy": bool(healthy)}
        self.record(
            "health_check",
            duration_ms=duration_ms,
            dimensions={**own, **dimensions},
            metadata=metadata,
            timestamp=timestamp,
        )

    def custom(
        self,
        metric_name: str,
        value: float = 1.0,
        *,
        duration_ms: float | None = None,
        dimensions: Fields = NOTHING,
        metadata: Fields = NOTHING,
        timestamp: datetime | None = None,
    ) -> None:
        """Anything else that can be counted, under a name of your own."""
        self.record(
            "custom",
            value,
            duration_ms=duration_ms,
            dimensions={"metric_name": metric_name, **dimensions},
            metadata=metadata,
            timestamp=timestamp,
        )
