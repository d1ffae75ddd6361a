"""Executors: where rollouts run. The local one uses the event loop and threads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from agl_core.concurrency.loop_watch import LoopWatch
from agl_core.concurrency.runner_threads import Job, RunnerThreads
from agl_core.concurrency.turns import Turns
from agl_core.execution.agents import Agent
from agl_core.execution.attempts import GRACE, Attempt, RolloutRequest, RunningAttempt

if TYPE_CHECKING:
    from agl_core.tracing.tracing import Tracing

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
    takes its place, and the attempt is reported as timed out with the stack it hangs in. It ends at
    its next model call, if it comes to make one while there are hooks that see it: `close` waits
    for that, a moment. An async agent that blocks the event loop stops everything; that is said in
    the log.
    """

    def open(self, agent: Agent, tracing: Tracing, n_runners: int) -> None:
        """Get ready; see `Executor`."""
        self._agent = agent
        self._tracing = tracing
        self._turns = Turns(n_runners)
        self._threads = RunnerThreads()
        self._left_behind: set[asyncio.Future[Attempt]] = set()
        self._watch = LoopWatch() if agent.is_async else None

    async def run(self, request: RolloutRequest) -> Attempt:
        """Run one attempt; see `Executor`."""
        async with self._turns.entered(request.priority):
            attempt = RunningAttempt(self._agent, request, self._tracing)
            if self._agent.is_async:
                return await attempt.run_async()
            job = self._threads.start(attempt.run)
            try:
                done, _ = await asyncio.wait({job.future}, timeout=request.timeout)
            except asyncio.CancelledError:
                attempt.abandon()
                self._leave_behind(job)
                raise
            return job.future.result() if done else attempt.abandoned(self._leave_behind(job))

    async def close(self) -> None:
        """Let idle threads end, and those that were left behind as far as they do."""
        self._threads.close()
        if self._left_behind:
            await asyncio.wait(self._left_behind, timeout=GRACE)
        if self._watch is not None:
            self._watch.stop()

    def _leave_behind(self, job: Job[Attempt]) -> str:
        """Give a job up; return where it hangs."""
        self._left_behind.add(job.future)
        job.future.add_done_callback(self._left_behind.discard)
        return job.abandon()
