"""The queue and the daemon thread behind a client: bounded, in order, never in the caller's way.

A thread, not a task: it serves threads and any event loop alike, and goes on while the loop is blocked. It starts with
the first metric, so a server that forks its workers after import has one in each of them.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from ._answer import Answer
from ._batch import Batch, halves, make_batch
from ._exit import at_child_exit
from ._notices import Notices
from ._settings import Settings
from ._transport import SENDER_THREAD


class Transport(Protocol):
    """What the sender needs of `HttpTransport`."""

    def send(self, batch: Batch) -> Answer:
        """One attempt."""
        ...

    def close(self) -> None:
        """Frees the connection."""
        ...


@dataclass
class Stats:
    """Where the metrics went: `recorded = delivered + rejected + dropped + queued`."""

    recorded: int = 0
    delivered: int = 0
    rejected: int = 0
    """Turned away by the gateway, which said why; see the log."""
    dropped: int = 0
    """The oldest, when the queue was full, and what the flush at exit left."""
    queued: int = 0
    """Waiting, or on their way."""
    invalid: int = 0
    """Never recorded, since no gateway would take them."""
    requests: int = 0
    retries: int = 0


class Sender:
    """Takes encoded metrics from any thread and delivers them in batches."""

    def __init__(self, settings: Settings, open_transport: Callable[[], Transport]) -> None:
        self._settings = settings
        self._open_transport = open_transport
        self._notices = Notices(settings)
        self._reset()

    def _reset(self) -> None:
        # Reentrant: a signal handler or a finaliser may record while this very thread is inside `offer`.
        self._changed = threading.Condition(threading.RLock())
        self._queue: deque[bytes] = deque()
        self._queue_bytes = 0
        self._oldest_at = 0.0
        self._unsent: deque[Batch] = deque()
        self._stats = Stats()
        self._settled = 0
        self._being_made = 0
        self._gathering = False
        self._flush_to = 0
        self._deadline: float | None = None
        self._thread: threading.Thread | None = None

    def reset_after_fork(self) -> None:
        """In a forked child: what the parent recorded is the parent's to send; the thread and its lock are not here."""
        self._reset()

    def offer(self, item: bytes) -> None:
        """Queues one metric; at the limit the oldest goes. Takes microseconds and never waits for the network."""
        limits = self._settings.limits
        with self._changed:
            if self._deadline is not None:
                self._stats.recorded += 1
                self._drop(1)
                return
            self._queue.append(item)
            self._queue_bytes += len(item)
            self._stats.recorded += 1
            while len(self._queue) > limits.max_queue_metrics or self._queue_bytes > limits.max_queue_bytes:
                self._queue_bytes -= len(self._queue.popleft())
                self._drop(1)
                self._notices.dropping()
            if len(self._queue) == 1:
                self._oldest_at = time.monotonic()
            # Only a thread that waits for company for its batch: one that waits for a retry would wake for nothing.
            if self._gathering and (len(self._queue) == 1 or self._batch_is_full()):
                self._gathering = False
                self._changed.notify_all()
            if self._thread is None:
                self._start()

    def invalid(self, problem: str) -> None:
        """Counts a metric that could not be recorded."""
        with self._changed:
            self._stats.invalid += 1
        self._notices.invalid(problem)

    def stats(self) -> Stats:
        """The books as they stand."""
        with self._changed:
            return replace(self._stats, queued=self._stats.recorded - self._settled)

    def flush(self, timeout: float) -> bool:
        """Sends what was recorded before this call. True once all of it is settled, False at the time-out."""
        with self._changed:
            target = self._stats.recorded
            self._flush_to = max(self._flush_to, target)
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._settled >= target, timeout)

    def close(self, timeout: float) -> bool:
        """Flushes, with a last try at once for what is waiting for its retry; then nothing more is taken."""
        with self._changed:
            dropped_before = self._stats.dropped
            if self._deadline is None:
                self._deadline = time.monotonic() + timeout
            if self._thread is None and self._settled < self._stats.recorded:
                self._start()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            # A request under way may outlast the deadline; the daemon thread must not hold up the exit.
            thread.join(max(0.0, self._deadline - time.monotonic()) + 0.1)
        with self._changed:
            self._abandon()
            return self._stats.dropped == dropped_before

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=SENDER_THREAD, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is ending, or the process may have no more threads
            self._thread = None
        else:
            at_child_exit(self, self._settings.limits.close_timeout)

    def _run(self) -> None:
        transport = self._open_transport()
        try:
            while (batch := self._next()) is not None:
                self._deliver(transport, batch)
        except BaseException as error:
            self._notices.broken(error)
            raise
        finally:
            transport.close()
            with self._changed:
                self._thread = None
                self._changed.notify_all()

    def _drop(self, metrics: int) -> None:
        self._stats.dropped += metrics
        if self._settled < self._flush_to:
            self._changed.notify_all()
        self._settled += metrics

    def _batch_is_full(self) -> bool:
        limits = self._settings.limits
        return len(self._queue) >= limits.max_batch_metrics or self._queue_bytes >= limits.max_batch_bytes

    def _due_in(self) -> float:
        """Seconds until the queue's head must go; 0 when it must go now."""
        if self._batch_is_full() or self._flush_to > self._settled or self._deadline is not None:
            return 0.0
        return max(0.0, self._oldest_at + self._settings.limits.flush_interval - time.monotonic())

    def _next(self) -> Batch | None:
        """Waits for a batch that is due. None: closed, and nothing is left."""
        limits = self._settings.limits
        with self._changed:
            while True:
                if self._unsent:
                    return self._unsent[0]
                if self._queue:
                    wait = self._due_in()
                    if wait == 0.0:
                        break
                    self._gathering = True
                    self._changed.wait(wait)
                elif self._deadline is not None:
                    return None
                else:
                    self._gathering = True
                    self._changed.wait()
            self._gathering = False
            items: list[bytes] = []
            size = 0
            while self._queue and len(items) < limits.max_batch_metrics and size < limits.max_batch_bytes:
                items.append(self._queue.popleft())
                size += len(items[-1])
            self._queue_bytes -= size
            self._oldest_at = time.monotonic()
            self._being_made = len(items)
        batch = make_batch(self._settings, items)  # compresses, so it must not hold the lock
        with self._changed:
            if not self._being_made:
                return None  # `close` ran out of time meanwhile
            self._being_made = 0
            self._unsent.append(batch)
        return batch

    def _deliver(self, transport: Transport, batch: Batch) -> None:
        """Tries until the batch is settled, whatever time that takes, or until the deadline of `close`."""
        pause = self._settings.limits.retry_base
        attempt = 0
        while True:
            answer = transport.send(batch)
            attempt += 1
            with self._changed:
                self._stats.requests += 1
                self._stats.retries += attempt > 1
            if answer.verdict == "delivered":
                self._notices.delivered(answer)
                self._settle(batch, rejected=answer.rejected)
                return
            if answer.verdict == "too_large" and len(batch.items) > 1:
                parts = halves(self._settings, batch)
                with self._changed:
                    if self._unsent and self._unsent[0] is batch:
                        self._unsent.popleft()
                        self._unsent.extendleft(reversed(parts))
                return
            if answer.verdict in ("refused", "too_large"):
                self._notices.refused(answer, len(batch.items))
                self._settle(batch, rejected=len(batch.items))
                return
            self._notices.trouble(answer)
            if not self._pause(answer, pause):
                with self._changed:
                    self._abandon()
                return
            pause = min(pause * 2, self._settings.limits.retry_max)

    def _pause(self, answer: Answer, backoff: float) -> bool:
        """Waits before the next attempt. False when `close` leaves no time for one."""
        limits = self._settings.limits
        wait = random.uniform(backoff / 2, backoff)  # noqa: S311 - jitter, not a secret
        if answer.verdict == "misconfigured":
            wait = limits.misconfigured_pause
        elif answer.retry_after is not None:
            # Spread what all clients were told alike, and never come early.
            wait = answer.retry_after + random.uniform(0, min(1.0, backoff))  # noqa: S311
        with self._changed:
            closing_already = self._deadline is not None
            if not closing_already:
                self._changed.wait_for(lambda: self._deadline is not None, wait)
                return True
            remaining = (self._deadline or 0.0) - time.monotonic()
        if answer.verdict == "misconfigured" or remaining <= wait:
            return False
        time.sleep(wait)
        return True

    def _settle(self, batch: Batch, rejected: int) -> None:
        with self._changed:
            if not self._unsent or self._unsent[0] is not batch:
                return  # `close` ran out of time and has counted it as dropped
            self._unsent.popleft()
            metrics = len(batch.items)
            rejected = min(rejected, metrics)
            self._stats.delivered += metrics - rejected
            self._stats.rejected += rejected
            self._settled += metrics
            self._changed.notify_all()

    def _abandon(self) -> None:
        """At the deadline of `close`: what is left counts as dropped, a request still under way included."""
        left = sum(len(batch.items) for batch in self._unsent) + len(self._queue) + self._being_made
        self._unsent.clear()
        self._queue.clear()
        self._queue_bytes = self._being_made = 0
        self._drop(left)
        if left:
            self._notices.abandoned(left)
        self._changed.notify_all()
