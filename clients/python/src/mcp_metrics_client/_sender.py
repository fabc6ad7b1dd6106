"""The daemon thread behind a client: takes batches off the queue and delivers them, never in the caller's way.

A thread, not a task: it serves threads and any event loop alike, and goes on while the loop is blocked. It starts with
the first metric, so a server that forks its workers after import has one in each of them.
"""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

from ._answer import Answer
from ._batch import Batch, halves
from ._exit import at_child_exit
from ._notices import Notices
from ._queue import MetricQueue, Stats
from ._settings import Settings
from ._transport import SENDER_THREAD

_FORK_WAITS = 0.5
"""Seconds that a fork waits at most for a request under way."""

_BATCH_AGE = 12 * 3600.0
"""Seconds. The gateway remembers a key for 24 hours; a batch that may have arrived is not sent after half of that."""


class Transport(Protocol):
    """What the sender needs of `HttpTransport`."""

    def send(self, batch: Batch) -> Answer:
        """One attempt."""
        ...

    def close(self) -> None:
        """Frees the connection."""
        ...


class Sender:
    """Takes encoded metrics from any thread and delivers them in batches."""

    def __init__(self, settings: Settings, open_transport: Callable[[], Transport]) -> None:
        self._settings = settings
        self._open_transport = open_transport
        self._notices = Notices(settings)
        self._reset()
        _senders.add(self)

    def _reset(self) -> None:
        self._queue = MetricQueue(self._settings, self._notices)
        self._thread: threading.Thread | None = None
        self._at_the_network = threading.Lock()

    def hold(self, seconds: float) -> bool:
        """Before a fork: waits for the thread to be out of the network's and OpenSSL's code, whose locks it may hold.

        A child would wait for those for ever. A gateway that hangs is not waited for: then the risk is the lesser evil.
        """
        return self._at_the_network.acquire(timeout=seconds)

    def release(self) -> None:
        """After the fork, in the parent."""
        self._at_the_network.release()

    def reset_after_fork(self) -> None:
        """In a forked child: what the parent recorded is the parent's to send; the thread and its lock are not here."""
        self._reset()

    def offer(self, item: bytes) -> None:
        """Queues one metric. Never waits for the network."""
        with self._queue.changed:
            self._queue.add(item)
            if self._thread is None and self._queue.deadline is None:
                self._start()

    def invalid(self, problem: str) -> None:
        """Counts a metric that could not be recorded."""
        with self._queue.changed:
            self._queue.stats.invalid += 1
        self._notices.invalid(problem)

    def stats(self) -> Stats:
        """The books as they stand."""
        return self._queue.books()

    def flush(self, timeout: float) -> bool:
        """Sends what was recorded before this call. True once all of it is settled, False at the time-out."""
        return self._queue.flush(timeout)

    def close(self, timeout: float) -> bool:
        """Flushes, with a last try at once for what is waiting for its retry; then nothing more is taken."""
        queue = self._queue
        with queue.changed:
            dropped_before = queue.stats.dropped
            if queue.deadline is None:
                queue.deadline = time.monotonic() + timeout
            deadline = queue.deadline
            if self._thread is None and not queue.empty:
                self._start()
            queue.changed.notify_all()
            thread = self._thread
        if thread is None and not queue.empty:
            self._run()  # an interpreter that is ending starts no threads
        elif thread is not None and thread is not threading.current_thread():
            # A request under way may outlast the deadline; the daemon thread must not hold up the exit.
            thread.join(max(0.0, deadline - time.monotonic()) + 0.1)
        queue.abandon()
        return queue.books().dropped == dropped_before

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=SENDER_THREAD, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is ending, or the process may have no more threads
            self._thread = None
        else:
            at_child_exit(self, self._settings.limits.close_timeout)

    def _run(self) -> None:
        queue = self._queue
        try:
            with self._at_the_network:
                transport = self._open_transport()
            try:
                while (batch := queue.next_batch()) is not None:
                    self._deliver(transport, batch)
            finally:
                transport.close()
        except Exception as error:
            self._notices.broken(error)
        finally:
            with queue.changed:
                self._thread = None
                queue.changed.notify_all()

    def _deliver(self, transport: Transport, batch: Batch) -> None:
        """Tries until the batch is settled or half a day old, or until the deadline of `close`."""
        queue = self._queue
        backoff = self._settings.limits.retry_base
        attempt = 0
        while True:
            if time.monotonic() - batch.made_at > _BATCH_AGE:
                self._notices.expired(len(batch.items))
                queue.expire(batch)
                return
            with self._at_the_network:
                answer = transport.send(batch)
            attempt += 1
            with queue.changed:
                queue.stats.requests += 1
                queue.stats.retries += attempt > 1
            if answer.verdict == "delivered":
                self._notices.delivered(answer)
                queue.settle(batch, rejected=answer.rejected)
                return
            if answer.verdict == "too_large" and len(batch.items) > 1:
                queue.split(batch, halves(self._settings, batch))
                return
            if answer.verdict in ("refused", "too_large"):
                self._notices.refused(answer, len(batch.items))
                queue.settle(batch, rejected=len(batch.items))
                return
            self._notices.trouble(answer)
            if not self._pause(answer, backoff):
                queue.abandon()
                return
            backoff = min(backoff * 2, self._settings.limits.retry_max)

    def _pause(self, answer: Answer, backoff: float) -> bool:
        """Waits before the next attempt. False when `close` leaves no time for one."""
        queue, limits = self._queue, self._settings.limits
        wait = random.uniform(backoff / 2, backoff)  # noqa: S311 - jitter, not a secret
        if answer.verdict == "misconfigured":
            wait = limits.misconfigured_pause
        elif answer.retry_after is not None:
            # Spread what all clients were told alike, and never come early, nor at once where it says 0.
            wait = max(answer.retry_after, backoff / 2) + random.uniform(0, min(1.0, backoff))  # noqa: S311
        with queue.changed:
            if queue.deadline is None:
                queue.changed.wait_for(lambda: queue.deadline is not None, wait)
                return True
            remaining = queue.deadline - time.monotonic()
        if answer.verdict == "misconfigured" or remaining <= wait:
            return False
        time.sleep(wait)
        return True


_senders: weakref.WeakSet[Sender] = weakref.WeakSet()
_held: list[Sender] = []


def _before_fork() -> None:
    deadline = time.monotonic() + _FORK_WAITS
    _held[:] = [sender for sender in list(_senders) if sender.hold(max(0.0, deadline - time.monotonic()))]


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().release()


def _after_fork_in_child() -> None:
    _held.clear()
    for sender in list(_senders):
        sender.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
