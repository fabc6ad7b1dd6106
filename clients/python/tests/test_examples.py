"""The examples of docs/instrument-a-service.md, each run as it stands there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx
import mcp
import pytest

from gateway import Gateway, eventually, free_port
from mcp_drive import SDK_2, session
from standin import Standin

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def environment(standin: Standin) -> dict[str, str]:
    own = {"METRICS_SERVICE_URL": standin.url, "METRICS_API_KEY": "k", "FASTMCP_CHECK_FOR_UPDATES": "off"}
    return {**os.environ, **own}


def dimensions(standin: Standin) -> list[dict[str, Any]]:
    return [metric["dimensions"] for metric in standin.metrics]


def test_client(standin: Standin) -> None:
    subprocess.run([sys.executable, str(EXAMPLES / "client.py")], env=environment(standin), check=True, timeout=30)
    tool, health, lookups = dimensions(standin)
    assert (tool["tool_name"], len(tool["user_hash"])) == ("get_forecast", 12)
    assert health["healthy"] is True
    assert lookups == {"metric_name": "forecast_cache_lookups", "hit": True}


@pytest.mark.parametrize("example", ["sdk_server.py", "fastmcp_server.py"])
@pytest.mark.skipif(not SDK_2, reason="the example is for the SDK's 2.x line")
def test_mcp_servers(standin: Standin, example: str) -> None:
    async def drive() -> Any:
        target = [sys.executable, str(EXAMPLES / example)]
        async with session("stdio", target, environment(standin), "reader") as opened:
            await opened.initialize()
            return await opened.call_tool("add", {"a": 1, "b": 2})

    result = anyio.run(drive)
    assert isinstance(result, mcp.types.CallToolResult)
    standin.wait(lambda: any(one.get("tool_name") == "add" for one in dimensions(standin)))
    (call,) = [one for one in dimensions(standin) if one.get("tool_name") == "add"]
    assert (call["success"], call["server_name"], call["client_name"]) == (True, "calculator", "reader")


def test_fastapi(standin: Standin) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    service = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "fastapi_service.py")], env={**environment(standin), "PORT": str(port)}
    )
    try:
        eventually(lambda: httpx.get(url).status_code == 404)
        assert httpx.get(f"{url}/validate", headers={"Authorization": "Bearer let-me-in"}).status_code == 200
        assert httpx.get(f"{url}/validate").status_code == 401
        assert httpx.get(f"{url}/api/servers/x").status_code == 200
        assert httpx.get(f"{url}/api/search?query=what+time").status_code == 200
    finally:
        service.terminate()
        service.wait(10)
    welcome, refused, read, search = dimensions(standin)
    assert (welcome["success"], welcome["method"], len(welcome["user_hash"])) == (True, "jwt", 12)
    assert refused["success"] is False
    assert (read["operation"], read["resource_type"]) == ("read", "servers")
    assert (search["query"], search["results_count"]) == ("what time", 2)


def test_httpx_alone_waits_for_a_gateway_that_starts_later(gateway: Gateway) -> None:
    gateway.kill()
    own = {**os.environ, **gateway.environment, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([sys.executable, str(EXAMPLES / "httpx_only.py")], env=own, stdout=subprocess.PIPE) as job:
        assert job.stdout is not None
        assert b"no answer" in job.stdout.readline()
        gateway.start()
        rest = job.stdout.read()
        assert job.wait(30) == 0
    assert rest.endswith(b"1 accepted\n")
    assert len(gateway.rows("SELECT id FROM metrics")) == 1
