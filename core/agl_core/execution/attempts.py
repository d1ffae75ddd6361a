"""One attempt at a rollout: bind the prompts, open the root span, run the agent, keep what came."""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from agl_core.datasets import Task
from agl_core.errors import AglError, ConfigurationError, ModelError
from agl_core.execution.agents import Agent, Outcome, RolloutContext
from agl_core.faults.failures import is_refusal, traceback_text
from agl_core.faults.troubles import Trouble, trouble, trouble_in
from agl_core.privacy.redaction import Redaction
from agl_core.prompts.binding import SlotUse, bound
from agl_core.prompts.sightings import Sightings
from agl_core.prompts.templates import Resources
from agl_core.rewards.reward import Reward, coerce_reward
from agl_core.rollouts import ModelUsage, RolloutStatus, json_safe
from agl_core.spans.genai import is_model_call, usage
from agl_core.spans.model_calls import model_calls
from agl_core.spans.span import Span
from agl_core.spending.metering import CallMeter

if TYPE_CHECKING:
    from agl_core.tracing.recording import Recording
    from agl_core.tracing.tracing import Tracing

__all__ = ["GRACE", "Attempt", "RolloutRequest", "RunningAttempt", "usage_of"]


@dataclass(frozen=True, slots=True)
class RolloutRequest:
    """What an executor is asked to run. Plain data: it can be sent to another process."""

    id: str
    task: Task
    resources: Resources
    originals: Resources
    attempt: int
    timeout: float | None
    """Seconds until the attempt is given up; None for no limit."""
    priority: int = 0
    """Waiting requests of a lower number run first."""
    observed: bool = False
    """Whether all that the program sends is noted, to find its prompts."""
    meter: CallMeter | None = None
    """Asked before each model call, if the budget limits them. In another process, an `AbsentMeter`
    stands in for it."""


@dataclass(slots=True)
class Attempt:
    """How one attempt ended. Plain data, like the request."""

    status: RolloutStatus = "succeeded"
    reward: Reward | None = None
    output: Any = None
    error: str | None = None
    fatal: AglError | None = None
    """If set, no other rollout can do better (bad configuration, refused credentials): stop."""
    trouble: Trouble | None = None
    """What the world did wrong, where it is that which failed."""
    spans: tuple[Span, ...] = ()
    slots: Mapping[str, SlotUse] = field(default_factory=dict[str, SlotUse])
    reads: frozenset[str] = frozenset()
    unmatched: Mapping[str, int] = field(default_factory=dict[str, int])
    sightings: Sightings | None = None
    usage: ModelUsage = field(default_factory=ModelUsage)
    started: float = 0.0
    seconds: float = 0.0


class AgentTimeoutError(AglError):
    """The agent did not finish within the rollout's time limit.

    Attributes:
        trouble: What kept it, if that was the world.
    """

    def __init__(self, message: str, trouble: Trouble | None) -> None:
        super().__init__(message)
        self.trouble = trouble


class AgentExitError(AglError):
    """The agent tried to end the program, or cancelled itself."""


GRACE = 1.0
"""Seconds that an agent which is given up gets to clean up."""
_FEEDBACK_CHARS = 20_000


class RunningAttempt:
    """An attempt in progress: run it once, with `run` or `run_async` as the agent is.

    An executor that has to give it up can still tell what came of it.
    """

    def __init__(self, agent: Agent, request: RolloutRequest, tracing: Tracing) -> None:
        self._agent = agent
        self._request = request
        self._tracing = tracing
        self._recording: Recording | None = None
        self._context = RolloutContext(
            resources=request.resources,
            originals=request.originals,
            id=request.id,
            # A copy: an agent that changes its task must not change it for other rollouts.
            task=copy.deepcopy(request.task.data),
            attempt=request.attempt,
            sightings=Sightings() if request.observed else None,
            meter=request.meter,
        )

    def run(self) -> Attempt:
        """Run a sync agent, in this thread. Its failures are in the attempt, never raised."""
        with self._recorded() as attempt:
            self._read_outcome(attempt, cast("Outcome", self._agent.run(self._context)))
        return attempt

    async def run_async(self) -> Attempt:
        """Run an async agent, in a task of its own.

        Its failures are in the attempt. Only the cancellation of the caller is raised; it cancels
        the agent. An agent that outlives its time limit is cancelled and, if it ignores that,
        abandoned.
        """
        with self._recorded() as attempt:
            timeout = self._request.timeout
            task = asyncio.create_task(self._guarded())
            try:
                done, _ = await asyncio.wait({task}, timeout=timeout)
            except asyncio.CancelledError:
                self.abandon()
                raise
            finally:
                if not task.done():
                    task.add_done_callback(_retrieve)
                    task.cancel()
            if not done:
                error = AgentTimeoutError(
                    f"no result within {timeout:g} seconds", self._slow_service()
                )
                await asyncio.wait({task}, timeout=GRACE)
                self.abandon()
                raise error
            if task.cancelled():
                raise AgentExitError("the agent cancelled its own task")
            self._read_outcome(attempt, task.result())
        return attempt

    def abandon(self) -> None:
        """Let the agent end at its next model call: nobody waits for it."""
        self._context.abandoned = True

    def abandoned(self, where: str) -> Attempt:
        """Abandon the agent; return the attempt as timed out, with what is known so far.

        Args:
            where: The stack that it hangs in.
        """
        self.abandon()
        timeout = self._request.timeout or 0.0
        error = f"no result within {timeout:g} seconds; the thread was left behind in:\n{where}"
        attempt = Attempt(error=error, started=time.time() - timeout, seconds=timeout)
        attempt.trouble = self._slow_service()
        attempt.status = "timed_out" if attempt.trouble is None else "unavailable"
        self._read_records(attempt)
        return attempt

    def _slow_service(self) -> Trouble | None:
        """Return the trouble, if one model call has taken most of the time and goes on."""
        timeout = self._request.timeout or 0.0
        for span in () if self._recording is None else self._recording.pending:
            waited = time.time() - span.start_ns / 1e9
            if is_model_call(span) and waited > timeout / 2:
                text = f"a model call was not answered within {waited:.1f} of {timeout:g} seconds"
                return Trouble(text, slow=True)
        return None

    async def _guarded(self) -> Outcome:
        # asyncio lets these through to the event loop, which would end the whole run.
        try:
            return await self._agent.run(self._context)  # pyright: ignore[reportGeneralTypeIssues]
        except SystemExit as error:
            raise AgentExitError(f"the agent called sys.exit({error.code!r})") from error
        except KeyboardInterrupt as error:
            # Ctrl-C is raised in the main thread only; elsewhere it is the agent's own.
            if threading.current_thread() is threading.main_thread():
                raise
            raise AgentExitError("the agent raised KeyboardInterrupt") from error

    @contextmanager
    def _recorded(self) -> Generator[Attempt]:
        """Bind the prompts and record the block as an attempt; what it raises is its failure."""
        agent, request = self._agent, self._request
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": agent.name,
            "agl.rollout.id": request.id,
            "agl.rollout.attempt": request.attempt,
            "agl.task.key": request.task.key,
            "agl.task.split": request.task.split,
        }
        attempt = Attempt(started=time.time())
        start = time.perf_counter()
        try:
            with self._tracing.rollout(f"invoke_agent {agent.name}", attributes) as recording:
                self._recording = recording
                try:
                    with bound(self._context):
                        yield attempt
                except BaseException as error:
                    if not (agent.is_async and isinstance(error, _OF_THE_CALLER)):
                        self._read_error(attempt, error)
                    raise
                finally:
                    attempt.seconds = time.perf_counter() - start
                    recording.span.set_attribute("agl.rollout.status", attempt.status)
                    if attempt.reward is not None:
                        recording.span.set_attribute("agl.reward", float(attempt.reward))
        except BaseException:
            if attempt.error is None:
                raise
        self._read_records(attempt)
        if attempt.status == "succeeded" and (nothing := trouble_in(attempt.spans)) is not None:
            # The agent took it for an answer; what it made of that says nothing of its prompts.
            attempt.status, attempt.trouble, attempt.error = "unavailable", nothing, nothing.text

    def _read_outcome(self, attempt: Attempt, outcome: Outcome) -> None:
        redaction = self._tracing.redaction
        attempt.output = json_safe(outcome.output, redacted=redaction.data)
        reward = outcome.reward
        if reward is None and self._context.rewards:
            reward = self._context.rewards[-1]
        attempt.reward = _bounded(coerce_reward(reward), redaction)

    def _read_error(self, attempt: Attempt, error: BaseException) -> None:
        redaction = self._tracing.redaction
        # Of what an agent raises, the message quotes what was said; of what we do, it does not.
        said = self._tracing.capture_content or isinstance(error, AgentTimeoutError)
        attempt.status = "failed"
        attempt.error = traceback_text(error, redaction, content=said)
        if isinstance(error, AgentTimeoutError):
            attempt.trouble = error.trouble
            attempt.status = "timed_out" if error.trouble is None else "unavailable"
        elif isinstance(error, ConfigurationError):
            text = f"task {self._request.task.name}: {error}"
            attempt.fatal = type(error)(redaction.shown(text))
        elif is_refusal(error):
            attempt.fatal = ModelError(
                f"the model service refused the agent's credentials: {error}"
            )
        else:
            spans = () if self._recording is None else self._recording.spans
            attempt.trouble = trouble(error) or trouble_in(spans, error)
            attempt.status = "failed" if attempt.trouble is None else "unavailable"

    def _read_records(self, attempt: Attempt) -> None:
        attempt.spans = () if self._recording is None else self._recording.snapshot()
        attempt.usage = usage_of(attempt.spans)
        attempt.slots = dict(self._context.slots)
        attempt.reads = frozenset(self._context.reads)
        attempt.unmatched = dict(self._context.unmatched)
        attempt.sightings = self._context.sightings
        if self._recording is not None and self._recording.failure is not None:
            attempt.fatal = self._recording.failure


def _bounded(reward: Reward, redaction: Redaction) -> Reward:
    """Return the reward with its feedback redacted, and cut: it may quote an output."""
    feedback = json_safe(reward.feedback, _FEEDBACK_CHARS, redaction.text)
    return reward if feedback == reward.feedback else Reward(reward, feedback, reward.metrics)


# A sync agent has a thread to itself, where these can only be its own.
_OF_THE_CALLER = (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Look at the exception of a task that nobody waits for, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()


def usage_of(spans: tuple[Span, ...]) -> ModelUsage:
    """Add up the model calls among the spans of one rollout."""
    total = ModelUsage()
    for span in model_calls(spans):
        tokens = usage(span)
        total += ModelUsage(1, tokens.input_tokens, tokens.output_tokens)
    return total
