"""A conversation with an MCP server over stdio, message by message, as no SDK's client would let itself be led."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import Any

Message = dict[str, Any]


class Wire:
    """A server process; requests that it sends are answered by the method's name."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], answers: Mapping[str, Message], cwd: str | None
    ) -> None:
        self._process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd
        )
        self._answers = answers
        self._arrived: queue.Queue[Message] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "id" in message and "method" in message:
                self.send({"jsonrpc": "2.0", "id": message["id"], **self._answers[message["method"]]})
            else:
                self._arrived.put(message)

    def send(self, message: Message) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def notify(self, method: str, **params: Any) -> None:
        self.send({"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})})

    def begin(self, request_id: int | str, method: str, **params: Any) -> None:
        self.send({"jsonrpc": "2.0", "id": request_id, "method": method, **({"params": params} if params else {})})

    def until(self, request_id: int | str) -> Message:
        """The answer of that id."""
        while True:
            message = self._arrived.get(timeout=60)  # a busy machine takes its time to load a server
            if message.get("id") == request_id:
                return message

    def ask(self, request_id: int | str, method: str, **params: Any) -> Message:
        self.begin(request_id, method, **params)
        return self.until(request_id)

    def close(self) -> None:
        """The client is gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
