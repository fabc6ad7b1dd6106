"""A small HTTP server that keeps the gateway's contract, and breaks it where a test says so."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Seen:
    """One request as it arrived."""

    headers: dict[str, str]
    raw: bytes
    status: int
    at: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def body(self) -> dict[str, Any]:
        text = gzip.decompress(self.raw) if self.headers.get("content-encoding") == "gzip" else self.raw
        parsed: dict[str, Any] = json.loads(text)
        return parsed


Script = tuple[int, dict[str, str], dict[str, Any]]


class Standin:
    """Answers 200 and remembers idempotency keys, unless `script` has something else in store."""

    def __init__(self, port: int = 0) -> None:
        self.seen: list[Seen] = []
        self.counted: dict[str, dict[str, Any]] = {}
        self.script: list[Script] = []
        self.forever: Script | None = None
        self.lose_answers = 0
        self.changed = threading.Condition()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                owner.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        raw = request.rfile.read(int(headers["content-length"]))
        with self.changed:
            status, extra, body = (
                self.script.pop(0) if self.script else self.forever or (200, {}, {"status": "success"})
            )
            seen = Seen(headers, raw, status)
            lose = False
            if status == 200:
                body = {"accepted": len(seen.body["metrics"]), "rejected": 0, **body}
                self.counted.setdefault(seen.key, seen.body)
                if self.lose_answers:
                    self.lose_answers -= 1
                    lose = True
            self.seen.append(seen)
            self.changed.notify_all()
        if lose:
            request.close_connection = True
            request.connection.close()
            return
        text = json.dumps(body).encode()
        request.send_response(status)
        for name, value in {**extra, "Content-Type": "application/json", "Content-Length": str(len(text))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(text)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Every metric that counted, once, in the order of arrival."""
        with self.changed:
            return [metric for body in self.counted.values() for metric in body["metrics"]]

    def wait(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, seconds), "the condition was not met in time"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
