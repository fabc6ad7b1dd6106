"""The middleware by itself: what it passes on, what it reports, where it finds things."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from mcp_metrics_client import (
    AuthMetricsMiddleware,
    DiscoveryMetricsMiddleware,
    Limits,
    MetricsClient,
    RegistryMetricsMiddleware,
    discovery_details,
)
from standin import Standin

Headers = list[tuple[bytes, bytes]]


def scope(path: str = "/", method: str = "GET", headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return {"type": "http", "method": method, "path": path, "headers": raw, "query_string": b"", **more}


def answering(status: int, headers: dict[str, str] | None = None) -> Any:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": b"x"})

    return app


def run(app: Any, request: dict[str, Any], incoming: list[Any] | None = None) -> list[Any]:
    sent: list[Any] = []
    waiting = list(incoming or [{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(request, receive, send))
    return sent


def only(standin: Standin, client: MetricsClient) -> dict[str, Any]:
    client.flush()
    (metric,) = standin.metrics
    return metric


@pytest.mark.parametrize(
    ("request_headers", "answer_headers", "method"),
    [
        ({"X-Auth-Method": "claimed"}, {"X-Auth-Method": "jwt"}, "jwt"),
        ({"X-Auth-Method": "claimed"}, {}, "other"),
        ({"X-Auth-Method": "claimed", "Authorization": "Bearer abc"}, {}, "other"),
        ({"X-Auth-Method": "OAuth2"}, {}, "oauth2"),
        ({}, {"X-Auth-Method": "in-house.v2"}, "in-house.v2"),
        ({}, {"X-Auth-Method": "signed in with a key"}, "other"),
        ({}, {"X-Auth-Method": "x" * 33}, "other"),
        ({"Authorization": "Bearer abc"}, {}, "bearer"),
        ({"Authorization": "Made-Up abc"}, {}, "unknown"),
        ({}, {}, "unknown"),
    ],
)
def test_the_method_is_found(
    standin: Standin,
    client: MetricsClient,
    request_headers: dict[str, str],
    answer_headers: dict[str, str],
    method: str,
) -> None:
    app = AuthMetricsMiddleware(answering(200, answer_headers), client=client)
    run(app, scope(headers=request_headers))
    metric = only(standin, client)
    assert metric["dimensions"]["method"] == method
    assert "abc" not in str(metric)


def test_a_server_becomes_a_label_once_a_request_for_it_succeeded(standin: Standin, client: MetricsClient) -> None:
    request = scope(headers={"X-Original-URL": "https://gateway/currenttime/mcp?x=/y"})
    for status in (401, 200, 401):
        run(AuthMetricsMiddleware(answering(status), client=client), request)
    one = AuthMetricsMiddleware(answering(401), client=client)
    one._known.label("currenttime", True)
    run(one, request)
    client.flush()
    servers = [metric["dimensions"]["server"] for metric in standin.metrics]
    assert servers == ["unknown", "currenttime", "unknown", "currenttime"]
    assert {metric["metadata"]["requested_server"] for metric in standin.metrics} == {"currenttime"}


def test_an_exception_passes_and_is_reported(standin: Standin, client: MetricsClient) -> None:
    async def broken(*_: Any) -> None:
        raise LookupError("secret detail")

    with pytest.raises(LookupError):
        run(AuthMetricsMiddleware(broken, client=client), scope())
    metric = only(standin, client)
    assert metric["metadata"]["error_code"] == "LookupError"
    assert metric["dimensions"]["success"] is False
    assert "secret" not in str(metric)


def test_a_client_that_left_is_told_apart(standin: Standin, client: MetricsClient) -> None:
    async def patient(_scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.disconnect"
        await answering(200)(_scope, receive, send)

    run(AuthMetricsMiddleware(patient, client=client), scope(), [{"type": "http.disconnect"}])
    assert only(standin, client)["metadata"]["error_code"] == "aborted"


def test_a_cancelled_request_is_told_apart_and_stays_cancelled(standin: Standin, client: MetricsClient) -> None:
    async def endless(*_: Any) -> None:
        await asyncio.sleep(60)

    async def cancelled() -> None:
        async def nothing(*_: Any) -> Any:
            return {"type": "http.request"}

        task = asyncio.create_task(AuthMetricsMiddleware(endless, client=client)(scope(), nothing, nothing))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert only(standin, client)["metadata"]["error_code"] == "aborted"


def test_what_passes_is_the_same_object(client: MetricsClient) -> None:
    seen: list[Any] = []

    async def app(given: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())
        for message in messages:
            await send(message)

    messages = [{"type": "http.response.start", "status": 200, "headers": []}, {"type": "http.response.body"}]
    incoming = {"type": "http.request", "body": b"x"}
    sent = run(AuthMetricsMiddleware(app, client=client), scope(), [incoming])
    assert seen[0] is incoming
    assert all(one is other for one, other in zip(sent, messages, strict=True))


@pytest.mark.parametrize("request_type", ["websocket", "lifespan"])
def test_other_protocols_pass(standin: Standin, client: MetricsClient, request_type: str) -> None:
    async def app(given: Any, _receive: Any, send: Any) -> None:
        await send({"type": f"{given['type']}.accept"})

    assert run(AuthMetricsMiddleware(app, client=client), {"type": request_type})
    client.flush()
    assert standin.metrics == []


def test_paths_choose_what_is_reported(standin: Standin, client: MetricsClient) -> None:
    chosen = RegistryMetricsMiddleware(answering(200), client=client, paths={"/api/"})
    everything = RegistryMetricsMiddleware(answering(200), client=client)
    for path in ("/api", "/api/v0.1/servers/x", "/apis", "/health", "/"):
        run(chosen, scope(path))
    for path in ("/health", "/tools"):
        run(everything, scope(path, "DELETE"))
    client.flush()
    found = [(one["dimensions"]["operation"], one["dimensions"]["resource_type"]) for one in standin.metrics]
    assert found == [("read", "unknown"), ("read", "servers"), ("delete", "tools")]


def test_a_function_of_the_user_that_fails_harms_nothing(standin: Standin, client: MetricsClient) -> None:
    def broken(_: Any) -> str:
        raise ValueError("mine")

    request = scope(headers={"X-Original-URL": "/time/mcp", "X-Username": "alice"})
    assert run(AuthMetricsMiddleware(answering(200), client=client, find_user=broken), request)
    metric = only(standin, client)
    assert metric["dimensions"] == {"success": True, "method": "unknown", "server": "time"}


def test_a_resource_is_named_by_its_route_where_the_framework_tells_it(standin: Standin, client: MetricsClient) -> None:
    app = RegistryMetricsMiddleware(answering(200), client=client)
    run(app, scope("/api/acme/servers/x", route=SimpleNamespace(path="/api/{tenant}/servers/{name}")))
    assert only(standin, client)["dimensions"]["resource_type"] == "servers"


def test_the_lifespan_ends_with_a_flush_under_any_event_loop(standin: Standin, make_client: Any) -> None:
    client = make_client(limits=Limits(flush_interval=60))

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        client.custom("last")
        await send({"type": "lifespan.shutdown.complete"})

    async def nothing(*_: Any) -> Any:
        return {}

    # No event loop at all is what trio's is to asyncio.
    step = AuthMetricsMiddleware(app, client=client)({"type": "lifespan"}, nothing, nothing)
    with pytest.raises(StopIteration):
        step.send(None)
    assert [metric["dimensions"]["metric_name"] for metric in standin.metrics] == ["last"]


def test_a_search_is_told_by_its_handler_else_by_headers(standin: Standin, client: MetricsClient) -> None:
    async def telling(*given: Any) -> None:
        await asyncio.to_thread(discovery_details, query="told", results_count=0, top_k_services=3)
        await answering(200)(*given)

    request = scope("/search", query_string=b"q=a+clock")
    headers = {"X-Results-Count": "7", "X-Embedding-Time-Ms": "1.5", "X-Search-Time-Ms": "soon"}
    for app in (telling, answering(200, headers), answering(500)):
        run(DiscoveryMetricsMiddleware(app, client=client, paths={"/search"}), request)
    discovery_details(query="outside")
    client.flush()
    told, found, failed = standin.metrics
    expected = {"query": "told", "results_count": 0, "top_k_services": 3, "success": True}
    assert told["dimensions"] == expected
    assert found["dimensions"] == {"query": "a clock", "results_count": 7, "success": True}
    assert found["metadata"] == {"embedding_time_ms": 1.5}
    assert failed["dimensions"]["results_count"] == -1
    assert failed["metadata"] == {"error_code": "500"}
