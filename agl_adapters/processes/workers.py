"""Workers: the processes of the process executor, as the parent sees them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from agl_adapters.processes.worker_process import HOLD_UP, Ready, Refusal, WorkerSetup, serve
from agl_core.errors import ConfigurationError
from agl_core.execution.attempts import Attempt, RolloutRequest, usage_of
from agl_core.spans.span import Span
from agl_core.spending.budgets import BudgetExhaustedError
from agl_core.spending.metering import AbsentMeter, Demand, Reserved
from agl_core.text import cut, printable
from agl_core.tracing.recording import settled

__all__ = ["Worker"]

_LAST_RESORT = 2 * HOLD_UP
_LOOK = 1.0
"""Seconds between looks at a process that may be dead without the pipe telling: a process that the
agent has forked may hold it open."""
_STACK_CHARS = 6_000


class Worker:
    """A process that runs one attempt at a time. It is started by its first attempt.

    `run` and `stop` block. `kill` may be called from any thread at any time.
    """

    def __init__(self, setup: WorkerSetup, agent: str, start_timeout: float) -> None:
        self._setup = setup
        self._agent = agent
        self._start_timeout = start_timeout
        self._process: SpawnProcess | None = None
        self._exports = False
        self._killed = False
        self._busy = threading.Lock()
        self._state = threading.Lock()

    @property
    def usable(self) -> bool:
        """Whether it can run another attempt."""
        return not self._killed

    def run(self, request: RolloutRequest) -> tuple[Attempt, bool]:
        """Run an attempt; also tell whether its spans have been exported.

        A worker that has died, or that an agent may still be running in, is not `usable` any more.

        Raises:
            ConfigurationError: If the process cannot be started, or cannot get the agent.
        """
        with self._busy:
            try:
                if self._process is not None and self._process.exitcode is not None:
                    self._end()  # it died while it was idle, which is nobody's failure
                if self._process is None:
                    self._start()
                attempt = self._attempted(request)
                if attempt.status == "timed_out":
                    self.kill()
                return attempt, self._exports
            except BaseException:
                self.kill()
                raise
            finally:
                if self._killed:
                    self._end()

    def stop(self) -> None:
        """Let the process come to its end; kill it if it does not."""
        with self._busy:
            if self._process is None:
                return
            self._pipe.close()
            self._process.join(_LAST_RESORT)
            self.kill()
            self._end()

    def kill(self) -> None:
        """End the process at once."""
        with self._state:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> None:
        context = SpawnContext()
        self._pipe, theirs = context.Pipe()
        # Of both, this process keeps one end: that it is gone tells, or can be told, much.
        self._lifeline, their_lifeline = context.Pipe()
        self._stacks, their_stacks = context.Pipe(duplex=False)
        process = context.Process(
            target=serve,
            args=(self._setup, theirs, their_lifeline, their_stacks),
            name="agl-worker",
        )
        with _interrupts_blocked():
            process.start()
        for end in (theirs, their_lifeline, their_stacks):
            end.close()
        with self._state:
            self._process = process
            if self._killed:
                process.kill()
        self._exports = self._greeted(process).exports

    def _greeted(self, process: SpawnProcess) -> Ready:
        deadline = time.monotonic() + self._start_timeout
        message = _next(self._pipe, process, deadline)
        if isinstance(message, tuple) and message[0] == "ready":
            ready: Ready = message[1]
            if ready.agent != self._agent:
                raise ConfigurationError(
                    f"worker processes run another agent than the one that was given to fit: "
                    f"{ready.agent}, not {self._agent}; see ProcessExecutor(...)"
                )
            return ready
        if isinstance(message, tuple):
            raise ConfigurationError(f"a worker process cannot get the agent:\n{message[1]}")
        if message == "late":
            raise ConfigurationError(
                f"a worker process was not ready after {self._start_timeout:g} seconds; if the "
                "program takes that long to import: ProcessExecutor(start_timeout=...)"
            )
        process.join(_LAST_RESORT)
        raise ConfigurationError(
            f"a worker process ended before it had the agent ({_end_of(process)}); what it said is "
            "in the standard error. A worker imports the program: what starts the run has to stand "
            "under `if __name__ == '__main__':`"
        )

    def _attempted(self, request: RolloutRequest) -> Attempt:
        process, started, clock = self._process, time.time(), time.monotonic()
        assert process is not None
        self._ask(request)
        limit = request.timeout
        deadline = None if limit is None else clock + limit + _LAST_RESORT
        opened: dict[tuple[str, int], Span] = {}
        ended: list[Span] = []
        while True:
            match _next(self._pipe, process, deadline):
                case ("started", Span() as span):
                    opened[span.span_id, span.start_ns] = span
                case ("ended", Span() as span):
                    opened.pop((span.span_id, span.start_ns), None)
                    ended.append(span)
                case ("begin", Demand() as demand):
                    self._answer(request, demand)
                case ("end", (Reserved() as reserved, tokens, failed)):
                    if request.meter is not None:
                        request.meter.end(reserved, tokens, failed)
                case ("done", Attempt() as attempt):
                    return attempt
                case ("failed", str() as reason):
                    raise ConfigurationError(f"a worker process gave up: {reason}")
                case _:
                    break
        self.kill()
        process.join(_LAST_RESORT)
        spans = settled(ended, list(opened.values()))
        seconds = time.monotonic() - clock
        attempt = Attempt(spans=spans, usage=usage_of(spans), started=started, seconds=seconds)
        if limit is not None and seconds > limit + HOLD_UP / 2:
            attempt.status = "timed_out"
            attempt.error = (
                f"no result within {limit:g} seconds; the agent held up the whole worker process, "
                f"which was ended. It was here:\n{self._stack()}"
            )
        else:
            attempt.status = "failed"
            attempt.error = (
                f"the worker process ended while the agent ran: {_end_of(process)}; nothing is "
                "known of this rollout but the spans that it left"
            )
        return attempt

    def _ask(self, request: RolloutRequest) -> None:
        try:
            self._pipe.send(request)
        except OSError:
            pass  # it has died since its last attempt; the answer will be that it is gone
        except Exception as error:
            raise ConfigurationError(
                f"task {request.task.name} cannot be sent to a worker process: "
                f"{type(error).__name__}: {error}; make it of plain JSON values"
            ) from error

    def _answer(self, request: RolloutRequest, demand: Demand) -> None:
        """Tell the worker whether there is room for a model call."""
        answer: Reserved | Refusal | None
        meter = request.meter or AbsentMeter()
        try:
            answer = meter.begin(demand)
        except BudgetExhaustedError as stop:
            answer = Refusal(stop.reason, str(stop))
        with contextlib.suppress(OSError):  # it has died: the next message will tell
            self._pipe.send(answer)

    def _stack(self) -> str:
        """Return what the process wrote of its threads before it was ended, without our own."""
        text = b""
        with contextlib.suppress(OSError):
            if wait([self._stacks], 0):
                text = os.read(self._stacks.fileno(), 1 << 16)
        blocks = text.decode("utf-8", "replace").split("\n\n")
        theirs = [block for block in blocks if "watch_lifeline" not in block]
        return cut(printable("\n\n".join(theirs)), _STACK_CHARS) or "(unknown)"

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        process.join()
        for end in (self._pipe, self._lifeline, self._stacks):
            end.close()
        with self._state:
            self._process = None
            process.close()


def _next(pipe: Any, process: SpawnProcess, deadline: float | None) -> object:
    """Return the next message; "gone" if the process is, "late" if none comes in time."""
    while True:
        left = _LOOK if deadline is None else min(_LOOK, deadline - time.monotonic())
        ready = wait([pipe, process.sentinel], max(left, 0))
        if pipe in ready:
            try:
                return pipe.recv()
            except (EOFError, OSError):
                return "gone"
        if ready or process.exitcode is not None:
            return "gone"
        if left <= 0:
            return "late"


def _end_of(process: SpawnProcess) -> str:
    code = process.exitcode
    if code is None:
        return "it hangs"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"signal {name}{hint}"


@contextmanager
def _interrupts_blocked() -> Generator[None]:
    """Start processes in the block that no signal ends before they leave it to this one."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
