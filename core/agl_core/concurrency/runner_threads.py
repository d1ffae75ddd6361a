"""Threads that rollouts run in, or are waited for in."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Job", "RunnerThreads", "stack_of"]

T = TypeVar("T")


class Job(Generic[T]):
    """A function on its way through a thread; `future` completes on the event loop.

    That of a job which was abandoned is cancelled when the function has ended.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.abandoned = False
        self._context = contextvars.copy_context()
        self._function = function
        self._thread: int | None = None
        self._result: list[T] = []
        self._error: BaseException | None = None

    def work(self) -> None:
        """Run in the worker's thread."""
        self._thread = threading.get_ident()
        if self.abandoned:
            return  # before it began
        try:
            self._result.append(self._context.run(self._function))
        except BaseException as error:  # noqa: BLE001 - it belongs to the one who waits
            self._error = error

    def announce(self) -> None:
        """Tell the event loop, from the worker's thread, that the work is done."""
        # A loop that is closed has nobody who waits any more.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._finish)

    def abandon(self) -> str:
        """Give the job up; return where it hangs."""
        self.abandoned = True
        return stack_of(self._thread)

    def _finish(self) -> None:
        if self.future.done():
            return
        if self.abandoned:
            self.future.cancel()
        elif self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result[0])


class RunnerThreads:
    """Daemon worker threads, as many as there are jobs at once, reused while they are free.

    Not a `ThreadPoolExecutor`: its threads are joined at exit, so one hanging agent would keep the
    program from ending, and would cost a worker for good.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._idle = 0
        self._count = 0
        self._closed = False
        self._lock = threading.Lock()

    def start(self, function: Callable[[], T]) -> Job[T]:
        """Run a function in a thread that is free, or in a new one, in a copy of this context."""
        job = Job(function)
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                self._count += 1
                name = f"agl-runner-{self._count}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()
        self._jobs.put(job)
        return job

    def close(self) -> None:
        """Let threads end as soon as they are free."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, 0, True
        for _ in range(idle):
            self._jobs.put(None)

    def _serve(self) -> None:
        while True:
            job: Any = self._jobs.get()
            if job is None:
                return
            job.work()
            with self._lock:
                goes_on = not (self._closed or job.abandoned)
                self._idle += goes_on
            # After it counts as idle: the next job may be started before the next line.
            job.announce()
            del job
            if not goes_on:
                return


def stack_of(thread: int | None) -> str:
    """Return what a thread, by its identifier, is doing, as the end of a traceback."""
    frame = sys._current_frames().get(thread or -1)  # pyright: ignore[reportPrivateUsage]
    return "".join(traceback.format_stack(frame)[-12:]) if frame is not None else "(not started)"
