"""The process executor: rollouts in worker processes, for agents that crash or hold the GIL."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING

from agl_adapters.processes.agent_sources import agent_source
from agl_core.concurrency.runner_threads import RunnerThreads
from agl_core.concurrency.turns import Turns
from agl_core.errors import ConfigurationError
from agl_core.execution.agents import Agent
from agl_core.execution.attempts import Attempt, RolloutRequest

if TYPE_CHECKING:
    from agl_adapters.processes.workers import Worker
    from agl_core.tracing.tracing import Tracing

__all__ = ["ProcessExecutor"]


class ProcessExecutor:
    """Runs each rollout in a worker process, one at a time in each; as many workers as runners.

    The results are those of the local executor. Besides, an agent that ends its process
    (``os._exit``, a crash in C code, too much memory) costs its own rollout only, one that outlives
    its time limit is ended whatever it does, and agents that compute run side by side.

    Workers are fresh interpreters, not forks: a fork of a process with threads may deadlock, and
    would share the connections of the program's clients. So each imports the program, which takes
    its time once a worker, and what starts the run must stand under
    ``if __name__ == "__main__":``. They end with this process, however it ends.

    In a worker the agent does not see the context variables of the caller, nor what was changed in
    its modules after they were imported.

    Args:
        agent: How workers get the agent, if it is not found: a reference, as ``"my_app:agent"``, to
            it or to a function without parameters that makes it, or such a function. By default
            the agent that `Trainer.fit` was given is looked for by identity in the modules that are
            imported; one that no module has under a name is copied, if pickle can.
        start_timeout: Seconds that a worker may take to import the program.
    """

    def __init__(
        self, agent: str | Callable[[], Agent] | None = None, *, start_timeout: float = 120.0
    ) -> None:
        if start_timeout <= 0:
            raise ConfigurationError(f"start_timeout is {start_timeout:g}; give seconds")
        self._given = agent
        self._start_timeout = start_timeout

    def open(self, agent: Agent, tracing: Tracing, n_runners: int) -> None:
        """Get ready; see `agl_core.execution.executors.Executor`. Workers start when needed.

        Raises:
            ConfigurationError: If workers have no way to get the agent, or what redacts.
        """
        from agl_adapters.processes.worker_process import WorkerSetup

        try:
            ForkingPickler.dumps(tracing.redaction)
        except Exception as error:
            raise ConfigurationError(
                "worker processes cannot be given the function of redact=: put it at the top level "
                "of a module, or give patterns"
            ) from error
        self._setup = WorkerSetup(
            agent_source(agent, self._given), tracing.capture_content, tracing.redaction
        )
        self._agent = agent.name
        self._tracing = tracing
        self._turns = Turns(n_runners)
        self._threads = RunnerThreads()
        self._idle: list[Worker] = []
        self._workers: set[Worker] = set()
        # The interpreter waits for child processes when it ends, which may be while they run.
        atexit.register(self._kill)

    async def run(self, request: RolloutRequest) -> Attempt:
        """Run one attempt; see `agl_core.execution.executors.Executor`.

        Raises:
            ConfigurationError: If a worker cannot be started, or cannot get the agent.
        """
        async with self._turns.entered(request.priority):
            worker = self._idle.pop() if self._idle else self._hired()
            try:
                attempt = await self._threads.start(partial(self._run, worker, request)).future
            except BaseException:
                worker.kill()  # `close` waits for its end
                raise
            if worker.usable:
                self._idle.append(worker)
            else:
                self._workers.discard(worker)
            return attempt

    async def close(self) -> None:
        """End the workers: those that are idle by themselves, the others at once."""
        idle = set(self._idle)
        for worker in self._workers - idle:
            worker.kill()
        await asyncio.gather(*(self._threads.start(worker.stop).future for worker in self._workers))
        self._workers.clear()
        self._idle.clear()
        self._threads.close()
        atexit.unregister(self._kill)

    def _hired(self) -> Worker:
        from agl_adapters.processes.workers import Worker

        worker = Worker(self._setup, self._agent, self._start_timeout)
        self._workers.add(worker)
        return worker

    def _run(self, worker: Worker, request: RolloutRequest) -> Attempt:
        attempt, exported = worker.run(request)
        if not exported:
            self._tracing.export(attempt.spans)
        return attempt

    def _kill(self) -> None:
        for worker in list(self._workers):
            worker.kill()
