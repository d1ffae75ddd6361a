"""A blocking search beside an event loop: it runs in a thread, its calls are coroutines here."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, NoReturn, TypeVar

__all__ = ["Bridge"]

T = TypeVar("T")


class _SearchEnd(BaseException):
    """Unwinds the thread of a search. No `Exception`, which searches catch and go on from."""


class Bridge:
    """Runs one blocking function in a thread of its own and lets it wait for coroutines.

    The first error of a coroutine ends the function, whatever it catches, and is what `run` raises.
    Cancelling `run` cancels the coroutine that the function waits for and ends the function. Made
    on the event loop on which the coroutines are to run.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: Future[Any] | None = None
        self._running: asyncio.Task[Any] | None = None
        self._ended = False
        self._error: BaseException | None = None

    async def run(self, function: Callable[[], T]) -> T | None:
        """Call the function in its thread; return its result, None if it called `end`.

        The thread is a daemon of its own and no worker of a pool: functions that wait for each
        other's coroutines cannot exhaust one, and none keeps the program from ending.

        Raises:
            BaseException: What a coroutine raised; else what the function raised.
        """
        done: asyncio.Future[None] = self._loop.create_future()
        result: list[T] = []

        def work() -> None:
            try:
                result.append(function())
            except _SearchEnd:
                pass
            except BaseException as error:  # noqa: BLE001 - it is for the one who awaits `run`
                self._error = self._error or error
            # A loop that is closed has nobody who waits any more.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(done.set_result, None)

        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(work,), name="agl-search", daemon=True)
        thread.start()
        try:
            await asyncio.wait({done})
        except asyncio.CancelledError:
            self._cancel()
            await asyncio.wait({done, *filter(None, (self._running,))})
            raise
        if self._error is not None:
            raise self._error
        return result[0] if result else None

    def call(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the event loop and wait for it. For the function's thread only."""

        async def noted() -> T:
            self._running = asyncio.current_task()
            return await make()

        with self._lock:
            if self._ended:
                raise _SearchEnd
            waiting = asyncio.run_coroutine_threadsafe(noted(), self._loop)
            self._waiting = waiting
        try:
            return waiting.result()
        except CancelledError:
            if not self._ended:
                self._error = asyncio.CancelledError()
            self.end()
        except BaseException as error:  # noqa: BLE001 - it is for the one who awaits `run`
            self._error = error
            self.end()

    def end(self) -> NoReturn:
        """End the function from within, without an error."""
        self._ended = True
        raise _SearchEnd

    def _cancel(self) -> None:
        with self._lock:
            self._ended = True
            if self._waiting is not None:
                self._waiting.cancel()
