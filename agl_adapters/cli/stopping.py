"""How a command that runs a search is stopped from outside."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["stoppable"]


@contextmanager
def stoppable() -> Generator[None]:
    """Take SIGTERM for Ctrl-C in the block: schedulers and containers send it before they kill.

    Nothing is changed if somebody else handles it, or outside the main thread.
    """
    taken = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if taken:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if taken:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
