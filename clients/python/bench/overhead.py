"""What a request pays for the middleware, with the gateway up, slow, refusing and absent: `python bench/overhead.py`.

Calls an ASGI application in this process, alternately with and without the middleware, and compares the percentiles.
Exits 1 where the difference at p99 exceeds 0.5 ms.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcp_metrics_client import AuthMetricsMiddleware, Limits, MetricsClient

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

LIMIT_MS = 0.5
ROUNDS = 6_000
PACE_S = 0.0005
SERVER = """
import sys, time, threading
from standin import Standin
server = Standin()
mode = sys.argv[1]
if mode == "refusing":
    server.forever = (503, {"Retry-After": "1"}, {"detail": "full"})
if mode == "slow":
    answer = server.answer
    def slow(request):
        time.sleep(1)
        answer(request)
    server.answer = slow
print(server.url, flush=True)
sys.stdin.read()
"""
HEADERS = [(b"x-username", b"alice"), (b"x-auth-method", b"jwt"), (b"x-original-url", b"https://host/currenttime/mcp")]
SCOPE = {"type": "http", "method": "GET", "path": "/validate", "headers": HEADERS}


async def application(_scope: Any, _receive: Any, send: Any) -> None:
    await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b""}


async def send(_message: Any) -> None:
    return None


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


async def measure(wrapped: Any) -> tuple[list[float], list[float]]:
    plain: list[float] = []
    watched: list[float] = []
    for _ in range(ROUNDS):
        for app, times in ((application, plain), (wrapped, watched)):
            began = time.perf_counter()
            await app(dict(SCOPE), receive, send)
            times.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(PACE_S)
    return plain, watched


def scenario(name: str, make: Callable[[str], MetricsClient]) -> bool:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[1] / "tests",
    )
    assert process.stdout is not None
    client = make(process.stdout.readline().strip() if name != "absent" else "http://127.0.0.1:9")
    gc.collect()
    plain, watched = asyncio.run(measure(AuthMetricsMiddleware(application, client=client)))
    client.close(0.2)
    process.kill()
    gained = {share: percentile(watched, share) - percentile(plain, share) for share in (0.5, 0.99)}
    print(
        f"{name:9} plain p50 {percentile(plain, 0.5) * 1000:6.1f} µs  p99 {percentile(plain, 0.99) * 1000:6.1f} µs   "
        f"gains p50 {gained[0.5] * 1000:6.1f} µs  p99 {gained[0.99] * 1000:6.1f} µs   {client.stats()}"
    )
    return gained[0.99] < LIMIT_MS


def main() -> int:
    logging.disable(logging.CRITICAL)

    def make(url: str) -> MetricsClient:
        return MetricsClient(url=url, api_key="k", service="bench", limits=Limits(max_queue_metrics=2_000))

    within = [scenario(name, make) for name in ("up", "slow", "refusing", "absent")]
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
