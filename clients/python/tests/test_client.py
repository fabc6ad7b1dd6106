"""The client against a server that keeps the gateway's contract: batches, retries, bounds, exit, forks."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from conftest import FAST
from gateway import eventually
from mcp_metrics_client import Limits, MetricsClient
from standin import Standin

Make = Callable[..., MetricsClient]


def custom_names(standin: Standin) -> list[str]:
    return [metric["dimensions"]["metric_name"] for metric in standin.metrics]


def test_many_metrics_travel_in_few_requests(standin: Standin, make_client: Make) -> None:
    client = make_client(limits=Limits(flush_interval=0.2, max_batch_metrics=100), version="1.2.3", instance_id="i-1")
    for index in range(250):
        client.custom(f"m{index}")
    assert client.flush()
    assert custom_names(standin) == [f"m{index}" for index in range(250)]
    assert len(standin.seen) == 3
    body = standin.seen[0].body
    assert (body["service"], body["version"], body["instance_id"]) == ("test-service", "1.2.3", "i-1")
    headers = standin.seen[0].headers
    assert headers["x-api-key"] == "test-key"
    assert headers["content-encoding"] == "gzip"
    assert client.stats().delivered == 250
    assert client.stats().queued == 0


def test_a_queue_smaller_than_a_batch_is_sent_when_it_is_full(standin: Standin, make_client: Make) -> None:
    client = make_client(limits=Limits(flush_interval=3600, max_queue_metrics=3))
    for start in (0, 3):
        for index in range(start, start + 3):
            client.custom(f"m{index}")
        standin.wait(lambda: len(standin.metrics) == start + 3, 5)  # noqa: B023 - asked at once
    assert client.stats().dropped == 0


def test_a_lone_metric_goes_out_by_itself_within_the_interval(standin: Standin, client: MetricsClient) -> None:
    client.custom("lone")
    standin.wait(lambda: len(standin.counted) == 1, 5)
    assert "content-encoding" not in standin.seen[0].headers


def test_each_type_has_its_dimensions(standin: Standin, client: MetricsClient) -> None:
    client.auth_request(success=True, method="jwt", server="time", user_hash="abc", duration_ms=0)
    client.tool_execution(tool_name="add", success=False, error_code=-32602, input_size_bytes=3, client_name="c")
    client.tool_discovery(query="find", results_count=3, embedding_time_ms=1.5)
    client.protocol_latency(seconds=0.25, flow_step="full_protocol_flow", session_key="s")
    client.registry_operation(operation="list", resource_type="servers", success=True)
    client.health_check(endpoint="/health", status_code=200, healthy=True, duration_ms=2)
    client.custom("mine", 2.5, dimensions={"colour": "red"}, metadata={"deep": {"a": [1]}})
    client.flush()
    auth, tool, discovery, latency, registry, health, mine = standin.metrics
    assert auth["dimensions"] == {"success": True, "method": "jwt", "server": "time", "user_hash": "abc"}
    assert auth["duration_ms"] == 0
    assert "metadata" not in auth
    assert tool["dimensions"] == {"tool_name": "add", "success": False, "method": "tools/call", "client_name": "c"}
    assert tool["metadata"] == {"error_code": "-32602", "input_size_bytes": 3}
    assert discovery["metadata"] == {"embedding_time_ms": 1.5}
    assert (latency["value"], latency["dimensions"]["flow_step"]) == (0.25, "full_protocol_flow")
    assert registry["dimensions"] == {"operation": "list", "resource_type": "servers", "success": True}
    assert health["dimensions"] == {"endpoint": "/health", "status_code": 200, "healthy": True}
    assert mine["dimensions"] == {"metric_name": "mine", "colour": "red"}
    assert mine["metadata"] == {"deep": {"a": [1]}}


def test_timestamps_say_their_offset(standin: Standin, client: MetricsClient) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2)))
    client.custom("then", timestamp=at)
    client.custom("now")
    client.flush()
    then, now = (datetime.fromisoformat(metric["timestamp"]) for metric in standin.metrics)
    assert abs(then - at) < timedelta(milliseconds=1)
    assert abs(datetime.now(timezone.utc) - now) < timedelta(seconds=10)


@pytest.mark.parametrize("status", [409, 429, 500, 502, 503])
def test_a_passing_refusal_is_retried_with_the_same_key_and_the_same_bytes(
    standin: Standin, client: MetricsClient, status: int
) -> None:
    standin.script = [(status, {}, {"detail": "later"})] * 2
    client.custom("kept")
    assert client.flush(5)
    assert [seen.status for seen in standin.seen] == [status, status, 200]
    assert len({(seen.key, seen.raw) for seen in standin.seen}) == 1
    assert client.stats().retries == 2


def test_a_lost_answer_counts_once(standin: Standin, client: MetricsClient) -> None:
    standin.lose_answers = 2
    client.custom("once")
    assert client.flush(5)
    assert len(standin.seen) == 3
    assert custom_names(standin) == ["once"]


def test_retry_after_is_honoured(standin: Standin, client: MetricsClient) -> None:
    standin.script = [(429, {"Retry-After": "1"}, {"detail": "slow down"})]
    client.custom("patient")
    assert client.flush(5)
    first, second = standin.seen
    assert 1.0 <= second.at - first.at < 5


def test_a_server_that_is_away_costs_nothing_and_gets_everything_when_it_is_back(
    make_client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    late = Standin()
    late.close()
    client = make_client(url=late.url)
    with caplog.at_level(logging.INFO):
        for index in range(20):
            client.custom(f"m{index}")
        eventually(lambda: client.stats().retries >= 3)
        back = Standin(port=int(late.url.rsplit(":", 1)[1]))
        try:
            assert client.flush(5)
            assert sorted(custom_names(back)) == sorted(f"m{index}" for index in range(20))
        finally:
            back.close()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "sent again" in warnings[0]
    assert any("takes them again" in record.getMessage() for record in caplog.records)


def test_422_is_dropped_with_its_reason_and_holds_up_nothing(
    standin: Standin, client: MetricsClient, caplog: pytest.LogCaptureFixture
) -> None:
    standin.script = [(422, {}, {"detail": "no", "errors": ["service: expected letters"]})]
    client.custom("bad")
    assert client.flush()
    client.custom("good")
    assert client.flush()
    assert custom_names(standin) == ["good"]
    stats = client.stats()
    assert (stats.rejected, stats.delivered, stats.retries) == (1, 1, 0)
    assert "service: expected letters" in caplog.text


@pytest.mark.parametrize("status", [401, 403, 404, 301])
def test_a_misconfiguration_is_said_once_and_keeps_what_was_recorded(
    standin: Standin, client: MetricsClient, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    standin.script = [(status, {}, {"detail": "Unknown key"})] * 3
    client.custom("kept")
    assert client.flush(5)
    assert custom_names(standin) == ["kept"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert str(status) in warnings[0]
    assert "test-key" not in caplog.text


def test_what_may_have_arrived_half_a_day_ago_is_not_sent_again(
    standin: Standin, client: MetricsClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.script = [(503, {}, {})] * 1000
    client.custom("old")
    standin.wait(lambda: len(standin.seen) > 0, 5)
    with monkeypatch.context() as later:
        later.setattr("mcp_metrics_client._sender._BATCH_AGE", -1.0)
        assert client.flush(5)
    standin.script = []
    client.custom("new")
    assert client.flush(5)
    assert custom_names(standin) == ["new"]
    stats = client.stats()
    assert (stats.recorded, stats.delivered, stats.dropped) == (2, 1, 1)
    assert "too old" in caplog.text


def test_a_partial_success_is_counted_as_the_gateway_says(
    standin: Standin, client: MetricsClient, caplog: pytest.LogCaptureFixture
) -> None:
    standin.script = [(200, {}, {"accepted": 1, "rejected": 1, "errors": ["metrics[1].timestamp: too old"]})]
    client.custom("a")
    client.custom("b")
    client.flush()
    stats = client.stats()
    assert (stats.delivered, stats.rejected) == (1, 1)
    assert "too old" in caplog.text


def test_a_batch_that_is_too_large_is_split(standin: Standin, client: MetricsClient) -> None:
    standin.script = [(413, {}, {"detail": "too large"}), (413, {}, {"detail": "still"})]
    for index in range(8):
        client.custom(f"m{index}")
    assert client.flush(5)
    assert custom_names(standin) == [f"m{index}" for index in range(8)]
    assert len({seen.key for seen in standin.seen}) == len(standin.seen)


def test_the_queue_is_bounded_and_drops_the_oldest(standin: Standin, make_client: Make) -> None:
    standin.forever = (503, {}, {"detail": "full"})
    client = make_client(
        limits=Limits(flush_interval=0.01, max_queue_metrics=100, max_batch_metrics=10, retry_base=0.02, retry_max=0.05)
    )
    client.custom("first")
    standin.wait(lambda: len(standin.seen) > 0)
    for index in range(1000):
        client.custom(f"m{index}")
    assert client.stats().dropped == 900
    standin.forever = None
    assert client.flush(5)
    assert custom_names(standin) == ["first", *(f"m{index}" for index in range(900, 1000))]
    stats = client.stats()
    assert stats.recorded == 1001 == stats.delivered + stats.dropped


def test_the_queue_is_bounded_in_bytes(standin: Standin, make_client: Make) -> None:
    standin.forever = (503, {}, {})
    client = make_client(limits=Limits(max_queue_bytes=50_000, flush_interval=60))
    for _ in range(1000):
        client.custom("wide", metadata={"text": "x" * 900})
    assert client.stats().queued * 900 < 50_000


@pytest.mark.parametrize("value", [math.nan, math.inf, -1, 1e13, "many", None])
def test_a_value_that_no_gateway_takes_is_counted_and_never_raised(
    standin: Standin, client: MetricsClient, value: object
) -> None:
    client.custom("odd", value)  # type: ignore[arg-type]
    client.custom("fine")
    client.flush()
    assert custom_names(standin) == ["fine"]
    assert client.stats().invalid == 1


def test_what_exceeds_the_limits_is_cut_to_them(standin: Standin, client: MetricsClient) -> None:
    client.custom(
        "long" * 100,
        duration_ms=1e12,
        dimensions={"a-b": 1, "none": None, "nan": math.nan, "object": object, "emoji": "😀" * 200}
        | {f"d{index}": index for index in range(40)},
        metadata={"text": "\n" * 5000, "deep": {"a": "x" * 2000}, "set": {1}, "none": None, "ok": [1, 2]},
    )
    client.flush()
    (metric,) = standin.metrics
    assert metric["duration_ms"] == 86_400_000
    assert len(metric["dimensions"]) == 20
    assert len(metric["dimensions"]["metric_name"]) == 200
    assert metric["dimensions"]["emoji"] == "😀" * 100
    assert {"a-b", "none", "nan"}.isdisjoint(metric["dimensions"])
    assert set(metric["metadata"]) == {"text", "ok"}
    assert len(metric["metadata"]["text"]) <= 500


def test_without_a_key_it_is_off_and_says_so(standin: Standin, caplog: pytest.LogCaptureFixture) -> None:
    client = MetricsClient(url=standin.url)
    client.custom("nothing")
    assert not client.enabled
    assert client.flush()
    assert client.close()
    assert standin.seen == []
    assert caplog.text.count("METRICS_API_KEY") == 1


def test_everything_comes_from_the_environment(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_SERVICE_URL", standin.url + "/")
    monkeypatch.setenv("METRICS_API_KEY", "k")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my service")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=2.0,service.instance.id=pod-1")
    client = MetricsClient(limits=FAST)
    client.custom("x")
    assert client.flush()
    client.close()
    body = standin.seen[0].body
    assert (body["service"], body["version"], body["instance_id"]) == ("my-service", "2.0", "pod-1")


def test_close_sends_what_is_left_and_later_metrics_count_as_dropped(standin: Standin, make_client: Make) -> None:
    client = make_client(limits=Limits(flush_interval=60))
    client.custom("last")
    assert client.close()
    assert custom_names(standin) == ["last"]
    client.custom("late")
    assert client.stats().dropped == 1
    assert client.close()


def test_close_gives_up_in_time_and_counts_what_it_leaves(
    standin: Standin, make_client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    standin.forever = (503, {}, {})
    client = make_client()
    client.custom("a")
    client.custom("b")
    began = time.monotonic()
    assert not client.close(0.3)
    assert time.monotonic() - began < 5
    stats = client.stats()
    assert (stats.dropped, stats.queued) == (2, 0)
    assert "2 could not be delivered" in caplog.text


def test_threads_and_loops_share_a_client(standin: Standin, client: MetricsClient) -> None:
    def work(name: str) -> None:
        for index in range(200):
            client.custom(f"{name}-{index}")

    async def tasks() -> None:
        async def one(name: str) -> None:
            for index in range(200):
                client.custom(f"{name}-{index}")
                await asyncio.sleep(0)

        await asyncio.gather(*(one(f"task{number}") for number in range(3)))
        assert await client.aflush()

    threads = [threading.Thread(target=work, args=(f"thread{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    asyncio.run(tasks())
    for thread in threads:
        thread.join()
    assert client.flush()
    names = custom_names(standin)
    assert len(names) == len(set(names)) == 1200


def test_httpx_lines_of_the_sender_stay_out_of_the_services_log(
    standin: Standin, client: MetricsClient, caplog: pytest.LogCaptureFixture
) -> None:
    import httpx

    with caplog.at_level(logging.INFO):
        client.custom("quiet")
        client.flush()
        assert "HTTP Request" not in caplog.text
        httpx.post(f"{standin.url}/metrics", content=b'{"metrics":[]}', headers={"Idempotency-Key": "own"})
        assert "HTTP Request" in caplog.text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"url": "http://me:hunter2@127.0.0.1:8890"}, "no plain address"),
        ({"url": "ftp://hunter2/"}, "no plain address"),
        ({"url": "http://[hunter2"}, "no plain address"),
        ({"api_key": "hunter2\nX-Other: 1"}, "does not fit into a header"),
        ({"api_key": "hunter2 ключ"}, "does not fit into a header"),
    ],
)
def test_what_can_never_be_sent_is_said_at_once_without_being_repeated(
    make_client: Make, caplog: pytest.LogCaptureFixture, given: dict[str, str], told: str
) -> None:
    client = make_client(**given)
    client.custom("nowhere")
    assert not client.enabled
    assert client.flush(0.1)
    assert told in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("ending", ["", "/", "/metrics", "/metrics/", "?x=1"])
def test_the_address_may_end_in_any_way(standin: Standin, make_client: Make, ending: str) -> None:
    client = make_client(url=standin.url + ending)
    client.custom("here")
    assert client.flush(5)
    assert custom_names(standin) == ["here"]


def test_times_of_zones_that_no_gateway_reads_are_sent_in_utc(standin: Standin, client: MetricsClient) -> None:
    local_mean_time = timezone(timedelta(minutes=53, seconds=28))
    client.custom("old", timestamp=datetime(2026, 1, 2, 3, 4, 5, tzinfo=local_mean_time))
    client.flush()
    assert standin.metrics[0]["timestamp"] == "2026-01-02T02:10:37.000+00:00"


def test_retry_after_zero_is_no_reason_to_come_back_at_once(standin: Standin, make_client: Make) -> None:
    client = make_client(limits=Limits(flush_interval=0.01, retry_base=0.4))
    standin.script = [(503, {"Retry-After": "0"}, {"detail": "later"})]
    client.custom("patient")
    assert client.flush(5)
    assert standin.seen[1].at - standin.seen[0].at >= 0.2
