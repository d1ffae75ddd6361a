"""What runs in a worker process: one agent, one attempt at a time, told over a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import signal
import threading
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any, Literal, cast

from agl_adapters.processes.agent_sources import AgentSource
from agl_core import errors
from agl_core.concurrency.event_loops import run_to_end
from agl_core.errors import AglError
from agl_core.execution.agents import Agent
from agl_core.execution.attempts import Attempt, RolloutRequest
from agl_core.execution.executors import LocalExecutor
from agl_core.privacy.redaction import Redaction
from agl_core.spans.genai import TokenUsage
from agl_core.spans.span import Span
from agl_core.spending.budgets import BudgetExhaustedError, StopReason
from agl_core.spending.metering import Demand, Reserved
from agl_core.tracing.tracing import Tracing

__all__ = ["HOLD_UP", "Message", "Refusal", "WorkerSetup", "serve"]

HOLD_UP = 2.0
"""Seconds past its time limit after which an attempt that holds up the whole process ends it."""

Message = tuple[Literal["failed", "ready", "started", "ended", "begin", "end", "done"], Any]
"""What a worker tells: why it cannot start; that it can, as `Ready`; of each span, twice; of each
model call, before which it waits for an answer, and after; the `Attempt`."""


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker is told when it starts."""

    source: AgentSource
    capture_content: bool
    redaction: Redaction


@dataclass(frozen=True, slots=True)
class Ready:
    """What a worker says of itself when it has the agent."""

    agent: str
    """The agent's name."""
    exports: bool
    """Whether its spans go to a tracer provider that the program has set up in the worker."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a worker is answered when there is no room for a model call."""

    reason: StopReason
    message: str


def serve(setup: WorkerSetup, pipe: Connection, lifeline: Connection, stacks: Connection) -> None:
    """Run attempts until the other side has no more, or is gone.

    Args:
        setup: What to run.
        pipe: Brings requests, takes messages.
        lifeline: Nothing ever comes through it; that it breaks says that the parent is gone.
        stacks: Takes the stacks of an attempt that holds up the process.
    """
    # Ctrl-C in a terminal reaches every process; what is to be done about it, the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # So does the SIGTERM of a scheduler. A handler is no matter of the programs that an agent
    # starts, as what is ignored would be: those are still ended by it.
    signal.signal(signal.SIGTERM, _leave_to_the_parent)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    _end_with_parent(lifeline)
    parent = _Parent(pipe)
    try:
        agent = setup.source.load()
        tracing = Tracing(
            capture_content=setup.capture_content, listener=parent, redaction=setup.redaction
        )
        with agent.instrumented(tracing):
            parent.tell("ready", Ready(agent.name, _own_provider() is not None))
            _run_all(agent, tracing, parent, stacks)
        tracing.shutdown()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the parent is told
        parent.tell("failed", _reason(error))
    provider = _own_provider()
    if provider is not None:
        with contextlib.suppress(Exception):
            provider.force_flush(2_000)


class _Parent:
    """The other side of the pipe. Spans are told as they come: of a crash, nothing else is left."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._running = False

    def tell(self, kind: str, content: Any) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._pipe.send((kind, content))

    def started(self, span: Span) -> None:
        self.tell("started", span)

    def ended(self, span: Span) -> None:
        self.tell("ended", span)

    def begin(self, demand: Demand) -> Reserved | None:
        """Ask for a model call; see `CallMeter`. The answer comes by the same pipe."""
        with self._asking:
            if not self._running:
                raise BudgetExhaustedError("interrupted", "the rollout of this model call is over")
            self.tell("begin", demand)
            answer: Reserved | Refusal | None = self._pipe.recv()
        if isinstance(answer, Refusal):
            raise BudgetExhaustedError(answer.reason, answer.message)
        return answer

    def end(self, reserved: Reserved, tokens: TokenUsage | None, failed: bool) -> None:
        """Give back what was reserved; see `CallMeter`."""
        self.tell("end", (reserved, tokens, failed))

    @contextmanager
    def answering(self) -> Generator[None]:
        """Ask for model calls in the block only; after it, the pipe brings requests."""
        self._running = True
        try:
            yield
        finally:
            with self._asking:
                self._running = False

    def next_request(self) -> RolloutRequest | None:
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            return None


def _run_all(agent: Agent, tracing: Tracing, parent: _Parent, stacks: Connection) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = LocalExecutor()

    async def run(request: RolloutRequest) -> Attempt:
        return await executor.run(request)

    async def open_executor() -> None:
        executor.open(agent, tracing, 1)

    run_to_end(loop, loop.create_task(open_executor()))
    while (request := parent.next_request()) is not None:
        if request.meter is not None:
            request = replace(request, meter=parent)
        with _not_held_up(request.timeout, stacks), parent.answering():
            attempt = run_to_end(loop, loop.create_task(run(request)))
        if attempt.fatal is not None:
            attempt.fatal = _known(attempt.fatal)
        parent.tell("done", attempt)


@contextmanager
def _not_held_up(timeout: float | None, stacks: Connection) -> Generator[None]:
    """End the process, and say where it hangs, if the block takes too long.

    By a timer that needs no interpreter: the agent may be in C code that never lets go of it, or
    block the event loop, so that the executor cannot enforce the limit.
    """
    if timeout is None or os.name != "posix":
        yield
        return
    faulthandler.dump_traceback_later(timeout + HOLD_UP, exit=True, file=stacks.fileno())
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _end_with_parent(lifeline: Connection) -> None:
    def watch_lifeline() -> None:
        with contextlib.suppress(OSError):
            wait([lifeline])
        os._exit(1)

    threading.Thread(target=watch_lifeline, name="agl-lifeline", daemon=True).start()
    # Also where the agent is in C code that never lets that thread run: by default the signal ends
    # the process. (It is not sent while a thread is blocked in reading, so that one only waits.)
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import fcntl

        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)


def _known(error: AglError) -> AglError:
    """Return the error as one of ours: the parent need not have the program's own kinds."""
    kind = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    return kind(str(error))


def _own_provider() -> Any:
    from agl_core.tracing.collector import user_provider

    return user_provider()


def _reason(error: BaseException) -> str:
    if isinstance(error, AglError):
        return str(error)
    return "".join(traceback.format_exception(cast("Exception", error)))


def _leave_to_the_parent(number: int, frame: object) -> None:
    """Do nothing."""
