"""A real gateway for the tests, started from this repository."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx

T = TypeVar("T")

REPOSITORY = next((p for p in Path(__file__).resolve().parents if (p / "pipeline.config.ts").exists()), None)
SERIES = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(check: Callable[[], T], seconds: float = 60.0) -> T:
    """Waits until `check` neither raises nor gives something false; else raises what it raised last."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            result = check()
            if result:
                return result
            problem: Exception = AssertionError(f"still {result!r} after {seconds} s")
        except (AssertionError, OSError, httpx.HTTPError, sqlite3.Error) as error:
            problem = error
        if time.monotonic() > deadline:
            raise problem
        time.sleep(0.05)


class Gateway:
    """The process, its addresses, its database and its series."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = secrets.token_urlsafe(32)
        self.port, self.prometheus_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What an emitter needs."""
        return {"METRICS_SERVICE_URL": self.url, "METRICS_API_KEY": self.key}

    def start(self) -> None:
        assert REPOSITORY is not None
        node = REPOSITORY / "node_modules" / ".bin" / "node"
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "SQLITE_DB_PATH": str(self.folder / "metrics.db"),
            "METRICS_SERVICE_PORT": str(self.port),
            "OTEL_PROMETHEUS_PORT": str(self.prometheus_port),
            "METRICS_API_KEY_TEST": self.key,
            "METRICS_RATE_LIMIT": "1000000",
            "FLUSH_INTERVAL_SECONDS": "1",
        }
        with (self.folder / "gateway.log").open("ab") as output:
            self._process = subprocess.Popen(
                [str(node), "--conditions=mcp-metrics-source", "src/cli/main.ts", "start"],
                cwd=REPOSITORY,
                env=own,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        process = self._process

        def ready() -> bool:
            if process.poll() is not None:  # no use to wait any longer
                raise RuntimeError((self.folder / "gateway.log").read_text()[-2000:])
            return httpx.get(f"{self.url}/readyz").status_code == 200

        try:
            eventually(ready, 30)
        except BaseException:
            process.kill()
            raise

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def flush(self) -> None:
        httpx.post(f"{self.url}/flush", headers={"X-API-Key": self.key}, timeout=20).raise_for_status()

    def rows(self, sql: str, *arguments: object) -> list[dict[str, object]]:
        """Asks the database after a flush."""
        self.flush()
        connection = sqlite3.connect(f"file:{self.folder / 'metrics.db'}?mode=ro", uri=True, timeout=10)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(sql, arguments)]
        finally:
            connection.close()

    def series(self, name: str, **labels: str) -> float:
        """Sum of the series of that name with at least those labels."""
        text = httpx.get(f"http://127.0.0.1:{self.prometheus_port}/metrics", timeout=10).raise_for_status().text
        total = 0.0
        for line in text.splitlines():
            match = SERIES.match(line)
            if match is None or match["name"] != name:
                continue
            found = dict(LABEL.findall(match["labels"] or ""))
            if all(found.get(label) == value for label, value in labels.items()):
                total += float(match["value"])
        return total
