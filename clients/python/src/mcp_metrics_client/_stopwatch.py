"""Elapsed time, as durations of metrics are measured."""

from __future__ import annotations

import time


class Stopwatch:
    """Elapsed milliseconds by the monotonic clock, from the moment it is made."""

    __slots__ = ("_started",)

    def __init__(self) -> None:
        self._started = time.perf_counter_ns()

    @property
    def milliseconds(self) -> float:
        """Since it was made."""
        return (time.perf_counter_ns() - self._started) / 1e6
