"""The rollout runner: journal, ledger, retries and the executor behind one call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from statistics import median
from typing import Any

from agl_core.callbacks import Callback
from agl_core.concurrency.canaries import Canary
from agl_core.concurrency.single_flight import SingleFlight
from agl_core.concurrency.turns import Turns
from agl_core.datasets import Task
from agl_core.errors import AglError, ConfigurationError, RedactionError, StoreError
from agl_core.execution.attempts import Attempt, RolloutRequest
from agl_core.execution.executors import Executor
from agl_core.execution.match_guard import MatchGuard
from agl_core.execution.retries import Retries
from agl_core.faults.services import Services
from agl_core.privacy.discretion import Discretion
from agl_core.prompts.slot_policy import MAX_UNMATCHED
from agl_core.prompts.templates import PromptTemplate, Resources, fingerprint
from agl_core.rollouts import ModelUsage, Rollout
from agl_core.spans.genai import usage as tokens_of
from agl_core.spans.model_calls import model_calls
from agl_core.spending.budgets import BudgetExhaustedError, StopReason
from agl_core.spending.ledger import Ledger
from agl_core.spending.rollout_meter import RolloutMeter
from agl_core.storage.store import RolloutKey, Store

__all__ = ["RolloutRunner"]

_LEAST = 0.01
"""Seconds that a rollout gets at least."""
_TYPICAL = 50
"""The median length of the last ones, so many, tells how long a rollout takes."""
_FEW = 4
"""Of fewer nothing is told: the first one may import what the program needs."""


class RolloutRunner:
    """Runs rollouts of one agent. What the journal holds is read, not run.

    Used on one event loop. Before the first rollout of a run has shown that the set-up works, no
    other one is started, and after an error that no other one can escape, none is: wrong
    credentials cost one call, not as many as there are tasks.
    """

    def __init__(  # noqa: PLR0913 - the parts are composed here
        self,
        *,
        executor: Executor,
        store: Store,
        run: str,
        ledger: Ledger,
        callback: Callback,
        n_runners: int,
        timeout: float | None,
        failure_reward: float,
        services: Services,
        max_unmatched: float = MAX_UNMATCHED,
        discretion: Discretion | None = None,
    ) -> None:
        self._executor = executor
        self._store = store
        self._run = run
        self._ledger = ledger
        self._callback = callback
        self._timeout = timeout
        self._failure_reward = failure_reward
        self._retries = Retries(services, services.lane())
        self._turns = Turns(n_runners)
        self.discretion = discretion or Discretion()
        self._running = SingleFlight[RolloutKey, Rollout]()
        self._own: dict[str, PromptTemplate] = {}
        self._fixed: Resources = {}
        self._seed: str | None = None
        self._guard = MatchGuard(max_unmatched)
        # Twice the runners, so that one is never idle while the loop prepares its next rollout.
        self._window = 2 * n_runners
        self._canary = Canary()
        self._lengths: deque[float] = deque(maxlen=_TYPICAL)

    def know_seed(
        self, seed: Resources, own: Mapping[str, PromptTemplate], fixed: Resources | None = None
    ) -> None:
        """Tell the runner what the seed is, and the program's own prompt of each slot.

        A candidate's prompt that equals the program's own is not bound: the program sends it by
        itself. So the seed of a wrapped program and the runs that discovered it are the same.
        Rollouts before that are observed.

        Args:
            seed: The prompts that a search starts from.
            own: What the program has in their place.
            fixed: Prompts that are bound in every rollout, and are not searched for.
        """
        self._own.update(own)
        self._fixed = dict(fixed or {})
        self._seed = fingerprint(self._bound(seed))

    @property
    def own_prompts(self) -> Resources:
        """The program's own prompt of each slot, as far as it is known."""
        return dict(self._own)

    async def run_all(
        self,
        resources: Resources,
        tasks: Sequence[Task],
        *,
        repeat: str = "0",
        repeats: int = 1,
        priority: int = 0,
    ) -> list[Rollout]:
        """Run each task, concurrently; return the rollouts in the order of the tasks.

        Args:
            resources: The prompts.
            tasks: The tasks.
            repeat: Tells apart fresh rollouts of the same resources on the same task.
            repeats: How often each task is run; its rollouts follow one another.
            priority: Waiting rollouts of a lower number run first.

        Raises:
            BudgetExhaustedError: If the budget leaves no room for one; those running are finished
                and written first.
            ConfigurationError: If a rollout of the seed shows that the input cannot work.
            ModelError: If the model service refuses the agent's credentials.
        """
        bound = self._bound(resources)
        window = asyncio.Semaphore(self._window)
        started: list[asyncio.Task[Rollout]] = []
        stopped = False

        async def run_one(task: Task, repeat: str) -> Rollout:
            nonlocal stopped
            try:
                return await self._run_once(bound, task, repeat, priority)
            except BaseException:
                stopped = True
                raise
            finally:
                window.release()

        try:
            for task, number in product(tasks, range(repeats)):
                await window.acquire()
                if stopped:
                    break
                name = f"{repeat}/{number}" if number else repeat
                started.append(asyncio.create_task(run_one(task, name)))
            results = await asyncio.gather(*started, return_exceptions=True)
        except asyncio.CancelledError:
            for job in started:
                job.cancel()
            await asyncio.gather(*started, return_exceptions=True)
            raise
        errors = [result for result in results if isinstance(result, BaseException)]
        # That a budget ended says the least of several reasons.
        for error in sorted(errors, key=lambda error: isinstance(error, BudgetExhaustedError)):
            raise error
        return [result for result in results if isinstance(result, Rollout)]

    def _bound(self, resources: Resources) -> Resources:
        together = {**self._fixed, **resources}
        return {name: p for name, p in together.items() if self._own.get(name) != p}

    async def _run_once(self, bound: Resources, task: Task, repeat: str, priority: int) -> Rollout:
        """Read the rollout from the journal, join one that is running, or run it."""
        key = RolloutKey(fingerprint(bound), task.split, task.key, repeat)
        record = self._store.rollout(self._run, key)
        rollout = None if record is None else self._kept(record, task)
        if rollout is not None:
            self._raise_if_unmatched(rollout)
            self._callback.on_rollout(rollout, True)
            return rollout
        return await self._running.result(key, lambda: self._run_paid(key, bound, task, priority))

    async def _run_paid(
        self, key: RolloutKey, bound: Resources, task: Task, priority: int
    ) -> Rollout:
        request = RolloutRequest(
            id=str(key),
            task=task,
            resources=bound,
            originals=self._own,
            attempt=1,
            timeout=self._timeout,
            priority=priority,
            observed=self._seed is None,
        )
        usage, untold = ModelUsage(), False

        async def run(number: int, meter: RolloutMeter) -> Attempt:
            nonlocal request, usage, untold
            request = replace(
                request,
                attempt=number,
                timeout=self._time_for(number),
                meter=meter if self._ledger.is_metered else None,
            )
            attempt = await self._executor.run(request)
            calls = model_calls(attempt.spans)
            untold = untold or not all(tokens_of(call).input_tokens for call in calls)
            made = max(0, attempt.usage.model_calls - meter.refusals)
            cost = self._ledger.prices.of_spans(calls)
            usage += replace(attempt.usage, model_calls=made, dollars=cost)
            if (stop := self._ended_by(meter, attempt)) is not None:
                _give_up(attempt, stop)
            if attempt.fatal is not None and self._stops(attempt.fatal, bound, task):
                self._ledger.spend_rollout(usage)
                self._ledger.refuse(attempt.fatal)
                raise attempt.fatal
            return attempt

        async with self._canary.sent() as canary, self._ledger.rollout() as meter:
            attempt = await self._retries.result(
                lambda number: run(number, meter),
                lambda attempt: attempt.trouble,
                lambda: self._turns.entered(priority),
            )
            if attempt.status == "unavailable":
                canary.proves_nothing()
            self._ledger.spend_rollout(usage, meter, untold=untold)
            try:
                seen = self._rollout(request, attempt, usage)
                rollout = self.discretion.rollout(seen, task)
            except RedactionError as error:
                self._ledger.refuse(error)
                raise
            try:
                unpriced = {"unpriced": self._ledger.prices.unpriced}
                self._store.add_rollout(self._run, key, rollout.to_json() | unpriced)
            except StoreError as error:
                self._ledger.refuse(error)  # what cannot be kept is not to be paid for
                raise
        self._callback.on_spent(self._ledger.usage)
        self._callback.on_rollout(rollout, False)
        if (stop := self._ended_by(meter, attempt)) is not None:
            raise BudgetExhaustedError(stop)
        self._raise_if_unmatched(rollout)
        # What prompts it has, a program shows by all that it sends.
        return seen if request.observed else rollout

    def _kept(self, record: Mapping[str, Any], task: Task) -> Rollout | None:
        """Return a rollout of the journal, if it will do."""
        rollout = Rollout.from_json(record, self.discretion.content(task.data))
        if self._seed is None and rollout.sightings is not None and rollout.sightings.withheld:
            return None  # no prompts can be found from it
        return rollout.knowing(self._own)

    def _ended_by(self, meter: RolloutMeter, attempt: Attempt) -> StopReason | None:
        """Return the cap of the budget that ended an attempt in the middle of it, if one did."""
        if meter.refused is None and self._ledger.seconds_left == 0.0:
            return "seconds" if attempt.status in ("timed_out", "unavailable") else None
        return meter.refused

    def _time_for(self, attempt: int) -> float | None:
        """Return the seconds that an attempt may take.

        Raises:
            BudgetExhaustedError: If it is the first one and most likely would not end within the
                budget's seconds.
        """
        left = self._ledger.seconds_left
        if left is not None and attempt == 1:
            typical = median(self._lengths) if len(self._lengths) >= _FEW else 0.0
            if left <= typical:
                raise BudgetExhaustedError("seconds")
        return _shorter(self._timeout, left)

    def _raise_if_unmatched(self, rollout: Rollout) -> None:
        error = self._guard.see(rollout, self._own)
        if error is not None:
            self._ledger.refuse(error)
            raise error

    def _stops(self, error: AglError, bound: Resources, task: Task) -> bool:
        """Tell whether an error ends the run.

        What only a rewrite provokes is its own failure, and when the test split is run, everything
        has been spent: there a bad task is a failure like others.
        """
        if not isinstance(error, ConfigurationError) or isinstance(error, RedactionError):
            return True
        return self._seed in (None, fingerprint(bound)) and task.split != "test"

    def _rollout(self, request: RolloutRequest, attempt: Attempt, usage: ModelUsage) -> Rollout:
        task = request.task
        if attempt.status in ("succeeded", "failed"):
            self._lengths.append(attempt.seconds)
        score: float | None
        if attempt.status == "unavailable":
            score = None
        elif attempt.status == "succeeded" and attempt.reward is not None:
            score = float(attempt.reward)
        else:
            score = self._failure_reward
        return Rollout(
            id=request.id,
            task=task.data,
            task_key=task.key,
            task_name=task.name,
            split=task.split,
            status=attempt.status,
            score=score,
            reward=attempt.reward,
            error=attempt.error,
            output=attempt.output,
            spans=attempt.spans,
            slots=attempt.slots,
            reads=attempt.reads,
            unmatched=attempt.unmatched,
            sightings=attempt.sightings,
            usage=usage,
            started=attempt.started,
            seconds=attempt.seconds,
            attempts=request.attempt,
        )


def _give_up(attempt: Attempt, reason: StopReason) -> None:
    """Make an attempt that the budget ended nobody's failure."""
    attempt.status, attempt.trouble, attempt.fatal, attempt.reward = "unavailable", None, None, None
    attempt.error = f"{BudgetExhaustedError(reason)} in the middle of the rollout"


def _shorter(limit: float | None, left: float | None) -> float | None:
    """Return the shorter of a time limit and the time that is left, in seconds."""
    known = [seconds for seconds in (limit, left) if seconds is not None]
    return max(_LEAST, min(known)) if known else None
