"""Watching an event loop: one that is blocked by an agent stops every rollout on it."""

from __future__ import annotations

import asyncio
import logging
import threading

from agl_core.concurrency.runner_threads import stack_of

__all__ = ["LoopWatch"]

_log = logging.getLogger(__name__)

_PATIENCE = 20.0
"""Seconds without a sign of life before it is said."""
_PAUSE = 2.0
"""Seconds between looks."""


class LoopWatch:
    """Says in the log where the running event loop hangs, while it does. Made on that loop.

    An async agent that blocks (``time.sleep``, ``requests``, a loop that never ends) cannot be
    stopped from outside, and as long as it does nothing else on the loop runs, time limits neither.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._sign = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="agl-loop-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch."""
        self._stopped.set()
        self._sign.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_PAUSE):
            self._sign.clear()
            try:
                self._loop.call_soon_threadsafe(self._sign.set)
            except RuntimeError:
                return  # the loop is closed
            if not self._sign.wait(_PATIENCE) and not self._stopped.is_set():
                _log.warning(
                    "an async agent has blocked the event loop for %g seconds, and every other "
                    "rollout waits for it; no time limit can end that. Let it await what takes "
                    "time, make it a plain function, which is run in a thread, or use "
                    "Trainer(executor=agl.ProcessExecutor(...)). It is here:\n%s",
                    _PATIENCE,
                    stack_of(self._watched),
                )
                self._sign.wait()
