from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway import REPOSITORY, Gateway
from mcp_metrics_client import Limits, MetricsClient
from standin import Standin

FAST = Limits(flush_interval=0.02, retry_base=0.02, retry_max=0.1, misconfigured_pause=0.05, close_timeout=2.0)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("METRICS_", "OTEL_")):
            monkeypatch.delenv(name)


@pytest.fixture
def standin() -> Iterator[Standin]:
    server = Standin()
    yield server
    server.close()


@pytest.fixture
def make_client(standin: Standin) -> Iterator[Callable[..., MetricsClient]]:
    made: list[MetricsClient] = []

    def make(**options: object) -> MetricsClient:
        given: dict[str, object] = {
            "url": standin.url,
            "api_key": "test-key",
            "service": "test-service",
            "limits": FAST,
            **options,
        }
        made.append(MetricsClient(**given))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for client in made:
        client.close(0.1)


@pytest.fixture
def client(make_client: Callable[..., MetricsClient]) -> MetricsClient:
    return make_client()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway of its own for each test; skipped, with the reason, where there is nothing to start it with."""
    if REPOSITORY is None or not (REPOSITORY / "node_modules" / ".bin" / "node").exists():
        pytest.skip("no gateway: run this in the repository, after npm ci")
    if not (REPOSITORY / "src" / "cli" / "main.ts").exists():
        pytest.skip("no gateway in this checkout: src/cli/main.ts is missing")
    running = Gateway(tmp_path)
    running.start()
    yield running
    running.kill(signal.SIGTERM)
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def gateway_client(gateway: Gateway) -> Iterator[MetricsClient]:
    made = MetricsClient(url=gateway.url, api_key=gateway.key, service="test-service", limits=FAST)
    yield made
    made.close()
