"""What waits to be sent, and where everything went: bounded, in order, the books right at any moment.

One lock guards all of it, and is never held over anything slow.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ._batch import Batch, make_batch
from ._notices import Notices
from ._settings import Settings


@dataclass
class Stats:
    """Where the metrics went: `recorded = delivered + rejected + dropped + queued`."""

    recorded: int = 0
    delivered: int = 0
    rejected: int = 0
    """Turned away by the gateway, which said why; see the log."""
    dropped: int = 0
    """The oldest, when the queue was full, what grew too old to be sent again, and what the flush at exit left."""
    queued: int = 0
    """Waiting, or on their way."""
    invalid: int = 0
    """Never recorded, since no gateway would take them."""
    requests: int = 0
    retries: int = 0


class MetricQueue:
    """Encoded metrics, then the batches that are made of them."""

    def __init__(self, settings: Settings, notices: Notices) -> None:
        self._settings = settings
        self._notices = notices
        # Reentrant: a signal handler or a finaliser may record while this very thread is inside `add`.
        self.changed = threading.Condition(threading.RLock())
        self.stats = Stats()
        self.deadline: float | None = None
        """When `close` gives up; from its call on nothing more is taken."""
        self._queue: deque[bytes] = deque()
        self._queue_bytes = 0
        self._oldest_at = 0.0
        self._unsent: deque[Batch] = deque()
        self._settled = 0
        self._being_made = 0
        self._gathering = False
        self._flush_to = 0

    @property
    def empty(self) -> bool:
        """Nothing waits, nothing is on its way."""
        return self._settled >= self.stats.recorded

    def add(self, item: bytes) -> None:
        """Queues one metric; at the limit the oldest goes. Takes microseconds."""
        limits = self._settings.limits
        with self.changed:
            self.stats.recorded += 1
            if self.deadline is not None:
                self._drop(1)
                return
            self._queue.append(item)
            self._queue_bytes += len(item)
            while len(self._queue) > limits.max_queue_metrics or self._queue_bytes > limits.max_queue_bytes:
                self._queue_bytes -= len(self._queue.popleft())
                self._drop(1)
                self._notices.dropping()
            if len(self._queue) == 1:
                self._oldest_at = time.monotonic()
            # Only a thread that waits for company for its batch: one that waits for a retry would wake for nothing.
            if self._gathering and (len(self._queue) == 1 or self._batch_is_full()):
                self._gathering = False
                self.changed.notify_all()

    def books(self) -> Stats:
        """As they stand."""
        with self.changed:
            return replace(self.stats, queued=self.stats.recorded - self._settled)

    def flush(self, timeout: float) -> bool:
        """Has everything before this call sent at once, and waits. False at the time-out."""
        with self.changed:
            target = self.stats.recorded
            self._flush_to = max(self._flush_to, target)
            self.changed.notify_all()
            return self.changed.wait_for(lambda: self._settled >= target, timeout)

    def next_batch(self) -> Batch | None:
        """Waits for a batch that is due. None: closed, and nothing is left."""
        with self.changed:
            if self._unsent:
                return self._unsent[0]
            if not self._wait_until_due():
                return None
            items = self._take()
        batch = make_batch(self._settings, items)  # compresses, so it must not hold the lock
        with self.changed:
            if not self._being_made:
                return None  # `close` ran out of time meanwhile
            self._being_made = 0
            self._unsent.append(batch)
        return batch

    def settle(self, batch: Batch, rejected: int) -> None:
        """The gateway has decided on all of it."""
        with self.changed:
            if not self._unsent or self._unsent[0] is not batch:
                return  # `close` ran out of time and has counted it as dropped
            self._unsent.popleft()
            metrics = len(batch.items)
            rejected = min(rejected, metrics)
            self.stats.delivered += metrics - rejected
            self.stats.rejected += rejected
            self._settled += metrics
            self.changed.notify_all()

    def expire(self, batch: Batch) -> None:
        """It is too old to be sent again, since the gateway may have it and no longer know that."""
        with self.changed:
            if self._unsent and self._unsent[0] is batch:
                self._unsent.popleft()
                self._drop(len(batch.items))
                self.changed.notify_all()

    def split(self, batch: Batch, parts: Sequence[Batch]) -> None:
        """It goes in parts."""
        with self.changed:
            if self._unsent and self._unsent[0] is batch:
                self._unsent.popleft()
                self._unsent.extendleft(reversed(parts))

    def abandon(self) -> None:
        """At the deadline of `close`: what is left counts as dropped, a request still under way included."""
        with self.changed:
            left = sum(len(batch.items) for batch in self._unsent) + len(self._queue) + self._being_made
            self._unsent.clear()
            self._queue.clear()
            self._queue_bytes = self._being_made = 0
            self._drop(left)
            if left:
                self._notices.abandoned(left)
            self.changed.notify_all()

    def _drop(self, metrics: int) -> None:
        self.stats.dropped += metrics
        if self._settled < self._flush_to:
            self.changed.notify_all()
        self._settled += metrics

    def _batch_is_full(self) -> bool:
        """Also where the queue can hold no batch of the usual size."""
        limits = self._settings.limits
        return (
            len(self._queue) >= min(limits.max_batch_metrics, limits.max_queue_metrics)
            or self._queue_bytes >= limits.max_batch_bytes
        )

    def _due_in(self) -> float:
        """Seconds until the queue's head must go; 0 when it must go now."""
        if self._batch_is_full() or self._flush_to > self._settled or self.deadline is not None:
            return 0.0
        return max(0.0, self._oldest_at + self._settings.limits.flush_interval - time.monotonic())

    def _wait_until_due(self) -> bool:
        while True:
            wait = self._due_in() if self._queue else None
            if wait == 0.0:
                self._gathering = False
                return True
            if wait is None and self.deadline is not None:
                return False
            self._gathering = True
            self.changed.wait(wait)

    def _take(self) -> list[bytes]:
        limits = self._settings.limits
        items: list[bytes] = []
        size = 0
        while self._queue and len(items) < limits.max_batch_metrics and size < limits.max_batch_bytes:
            items.append(self._queue.popleft())
            size += len(items[-1])
        self._queue_bytes -= size
        self._oldest_at = time.monotonic()
        self._being_made = len(items)
        return items
