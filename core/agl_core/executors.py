"""Executors: where rollouts run. The local one uses the event loop and threads."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import itertools
import queue
import sys
import threading
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from agl_core.agents import Agent
from agl_core.errors import ConfigurationError
from agl_core.execution import Attempt, RolloutRequest, RunningAttempt

if TYPE_CHECKING:
    from agl_core.tracing import Tracing

__all__ = ["Executor", "LocalExecutor"]


class Executor(Protocol):
    """Runs attempts at rollouts, a limited number at once. Nothing else knows where they run."""

    def open(self, agent: Agent, tracing: Tracing, n_runners: int) -> None:
        """Get ready to run this agent. Called once, on the event loop, before any `run`."""
        ...

    async def run(self, request: RolloutRequest) -> Attempt:
        """Run one attempt as soon as a runner is free; lower `priority` first, then in order."""
        ...

    async def close(self) -> None:
        """Free what `open` took. Attempts still running are given up."""
        ...


class LocalExecutor:
    """Runs async agents on the event loop, and sync agents in daemon threads.

    A sync agent that outlives its time limit cannot be stopped; its thread is left behind, another
    takes its place, and the attempt is reported as timed out with the stack it hangs in.
    """

    def open(self, agent: Agent, tracing: Tracing, n_runners: int) -> None:
        """Get ready; see `Executor`."""
        self._agent = agent
        self._tracing = tracing
        self._gate = _Gate(n_runners)
        self._threads = _Threads()

    async def run(self, request: RolloutRequest) -> Attempt:
        """Run one attempt; see `Executor`."""
        async with self._gate.entered(request.priority):
            attempt = RunningAttempt(self._agent, request, self._tracing)
            if self._agent.is_async:
                return await attempt.run_async()
            job = self._threads.start(attempt.run)
            done, _ = await asyncio.wait({job.future}, timeout=request.timeout)
            return job.future.result() if done else attempt.abandoned(job.abandon())

    async def close(self) -> None:
        """Let idle threads end."""
        self._threads.close()


class _Gate:
    """Lets a limited number in at once; who waits is let in by priority, then by arrival."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ConfigurationError(f"n_runners is {capacity}; at least 1 is needed")
        self._free = capacity
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def entered(self, priority: int) -> AsyncGenerator[None]:
        if self._free and not self._waiting:
            self._free -= 1
        else:
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (priority, next(self._order), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave()
                raise
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class _Job:
    """A function on its way through a thread; `future` completes on the event loop."""

    def __init__(self, function: Callable[[], Attempt]) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Attempt] = self.loop.create_future()
        self.abandoned = False
        self._context = contextvars.copy_context()
        self._function = function
        self._thread: int | None = None
        self._result: Attempt | None = None
        self._error: BaseException | None = None

    def work(self) -> None:
        """Run in the worker's thread."""
        self._thread = threading.get_ident()
        if self.abandoned:
            return
        try:
            self._result = self._context.run(self._function)
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
        frame = sys._current_frames().get(self._thread or -1)  # pyright: ignore[reportPrivateUsage]
        return (
            "".join(traceback.format_stack(frame)[-12:]) if frame is not None else "(not started)"
        )

    def _finish(self) -> None:
        if self.abandoned or self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        elif self._result is not None:
            self.future.set_result(self._result)


class _Threads:
    """Daemon worker threads, as many as there are jobs at once, reused while they are free.

    Not a `ThreadPoolExecutor`: its threads are joined at exit, so one hanging agent would keep the
    program from ending, and would cost a worker for good.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._idle = 0
        self._count = 0
        self._closed = False
        self._lock = threading.Lock()

    def start(self, function: Callable[[], Attempt]) -> _Job:
        job = _Job(function)
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
