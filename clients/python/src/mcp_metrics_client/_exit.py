"""Flushes at exit: of the process, of a `multiprocessing` child, whose end passes `atexit` by, and at SIGTERM."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
import weakref
from types import FrameType
from typing import Protocol


class Closable(Protocol):
    """Something with a last chance to send."""

    def close(self, timeout: float) -> bool:
        """Flushes within the time."""
        ...


_at_sigterm: dict[weakref.ref[Closable], float] = {}


def _close(reference: weakref.ref[Closable], timeout: float) -> None:
    sender = reference()
    if sender is not None:
        sender.close(timeout)


def at_process_exit(sender: Closable, timeout: float) -> None:
    """Call once per sender; forked children inherit it."""
    atexit.register(_close, weakref.ref(sender), timeout)


def at_child_exit(sender: Closable, timeout: float) -> None:
    """Call in each process that starts sending; does nothing outside `multiprocessing` children."""
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return
    from multiprocessing.util import Finalize

    Finalize(None, _close, args=(weakref.ref(sender), timeout), exitpriority=10)


def _die_after_closing(number: int, _frame: FrameType | None) -> None:
    deadline = time.monotonic() + max(_at_sigterm.values(), default=0.0)
    for reference in list(_at_sigterm):
        _close(reference, max(0.0, deadline - time.monotonic()))
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def at_sigterm(sender: Closable, timeout: float) -> None:
    """Before a SIGTERM that nobody handles ends the process: such an end passes `atexit` by.

    uvicorn, too, ends so: it shuts down, puts back the handler that it found, and raises the signal again. A handler of
    the program's own is left alone, and the process dies of the signal as it would have, if a little later.
    """
    if threading.current_thread() is not threading.main_thread() or os.getpid() == 1:
        return
    try:
        handler = signal.getsignal(signal.SIGTERM)
        if handler is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _die_after_closing)
        elif handler is not _die_after_closing:
            return
    except ValueError:  # a sub-interpreter has no signals
        return
    _at_sigterm[weakref.ref(sender, lambda gone: _at_sigterm.pop(gone, None) and None)] = timeout
