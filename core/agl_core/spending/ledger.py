"""The one ledger in which everything that a run spends is written down, and reserved before."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from agl_core.errors import AglError, ConfigurationError
from agl_core.rollouts import ModelUsage
from agl_core.spans.genai import TokenUsage
from agl_core.spending.budgets import Budget, BudgetExhaustedError, StopReason, Usage
from agl_core.spending.metering import Demand, Reserved
from agl_core.spending.prices import PriceList
from agl_core.spending.rollout_meter import RolloutMeter

__all__ = ["Ledger"]

T = TypeVar("T")

_SHORTEST_GUESS = 1_000
"""Output tokens that a model is expected to need at most, while no long answer of it is known."""
_NOTHING = ModelUsage()
_CALL = ModelUsage(model_calls=1)


class Ledger:
    """Counts what is spent, and reserves before spending so that no cap is overshot.

    A rollout's model calls and tokens are unknown before it ran; while it is in flight, the largest
    seen so far stand in for them, so that no more are started than there is room for. So where a
    cap depends on them, the first one runs alone. What does not fit beside what is in flight waits
    until that is settled, since it may take less; only what does not fit at all is refused. A
    rollout that takes more than was expected is refused the model call that there is no room for:
    each asks first, by the rollout's `RolloutMeter`.

    Used on one event loop; meters from any thread.

    Args:
        budget: The caps.
        prices: What model calls cost.
    """

    def __init__(self, budget: Budget, prices: PriceList | None = None) -> None:
        self._budget = budget
        self.prices = PriceList() if prices is None else prices
        self._start = time.monotonic()
        self._rollouts = 0
        self._spent = _NOTHING
        self._held = _NOTHING
        """What may have been charged for calls of which nothing is known."""
        self._by_rollouts = _NOTHING
        self._meters: set[RolloutMeter] = set()
        self._calls = _NOTHING
        """What is reserved for calls of the algorithm."""
        self._largest: ModelUsage | None = None
        self._longest: dict[str, int] = {}
        self._set_aside = 0
        self._refusal: AglError | None = None
        self._refused = asyncio.Event()
        self._settled = asyncio.Event()
        self._lock = threading.Lock()

    @property
    def budget(self) -> Budget:
        """The caps."""
        return self._budget

    @property
    def usage(self) -> Usage:
        """What has been spent so far."""
        spent = self._spent
        return Usage(
            self._rollouts,
            spent.model_calls,
            spent.input_tokens,
            spent.output_tokens,
            spent.dollars,
            self._seconds,
            self.prices.unpriced,
        )

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the budget's are used up, 0.0 at least; None if they are not limited."""
        cap = self._budget.seconds
        return None if cap is None else max(0.0, cap - self._seconds)

    def carry_over(self, usage: Usage, by_rollouts: ModelUsage) -> None:
        """Count what an earlier start of the run has spent. Called once, before anything else.

        Args:
            usage: All of it.
            by_rollouts: The part that rollouts took, by which the test split's is foretold.
        """
        spent = ModelUsage(
            usage.model_calls, usage.input_tokens, usage.output_tokens, usage.dollars
        )
        self._spent += spent
        self._by_rollouts += by_rollouts
        self._rollouts += usage.rollouts
        self._start -= usage.seconds
        self.prices.carry_over(usage.unpriced)

    def set_aside(self, rollouts: int) -> None:
        """Keep rollouts back for the test split, with the model calls and tokens they may take.

        Raises:
            ConfigurationError: If the cap on rollouts leaves nothing for the search. (Whether those
                on calls and tokens do is known, and raised, after the first rollout.)
        """
        cap = self._budget.rollouts
        if cap is not None and rollouts >= cap:
            raise _nothing_left("rollouts", cap, rollouts)
        self._set_aside = rollouts

    def release_set_aside(self) -> None:
        """Let what was set aside be spent; a target that was reached no longer stops anything."""
        self._set_aside = 0
        if isinstance(self._refusal, BudgetExhaustedError) and self._refusal.reason == "target":
            self._refusal = None
            self._refused.clear()
        self._wake()

    def stop(self, reason: StopReason, message: str = "") -> None:
        """Refuse every further reservation; what is in flight goes on."""
        if self._refusal is None or isinstance(self._refusal, BudgetExhaustedError):
            self.refuse(BudgetExhaustedError(reason, message))

    def refuse(self, error: AglError) -> None:
        """Refuse every further reservation with this error: the run cannot go on."""
        self._refusal = error
        self._refused.set()
        self._wake()

    def raise_if_refused(self) -> None:
        """Raise what further reservations are refused with, if they are."""
        if self._refusal is not None:
            raise self._refusal.with_traceback(None)  # or it grows with each that it is raised to

    async def unless_refused(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Wait for something, but not any longer when further reservations are refused.

        Raises:
            AglError: What they are refused with.
        """
        job = asyncio.create_task(waiting)
        refusal = asyncio.create_task(self._refused.wait())
        try:
            await asyncio.wait({job, refusal}, return_when=asyncio.FIRST_COMPLETED)
            self.raise_if_refused()
            return job.result()
        finally:
            job.cancel()
            refusal.cancel()

    @asynccontextmanager
    async def rollout(self) -> AsyncGenerator[RolloutMeter]:
        """Reserve a rollout for the block; yield the meter that its model calls ask.

        Raises:
            BudgetExhaustedError: If a cap leaves no room for it.
            AglError: If further work was refused.
        """
        while not self._has_room(self._largest or _NOTHING, rollout=True):
            await self._settled.wait()
        meter = RolloutMeter(self, self._largest or _NOTHING)
        with self._lock:
            self._meters.add(meter)
        try:
            yield meter
        finally:
            with self._lock:
                self._held += meter.close()
                self._meters.discard(meter)
            self._wake()

    @asynccontextmanager
    async def call(self, demand: Demand | None = None) -> AsyncGenerator[None]:
        """Reserve one model call of the optimizer for the block.

        Raises:
            BudgetExhaustedError: If a cap leaves no room for it.
            AglError: If further work was refused.
        """
        bound = _CALL if demand is None else self.bound(demand)
        while not self._has_room(bound, rollout=False):
            await self._settled.wait()
        with self._lock:
            self._calls += bound
        try:
            yield
        finally:
            with self._lock:
                self._calls += bound * -1
            self._wake()

    def spend_rollout(
        self, usage: ModelUsage, meter: RolloutMeter | None = None, *, untold: bool = False
    ) -> None:
        """Write down a finished rollout.

        Args:
            usage: What it took.
            meter: Its meter.
            untold: Whether there are calls of which nobody told the tokens.
        """
        with self._lock:
            self._rollouts += 1
            self._by_rollouts += usage
            self._spent += usage
            self._largest = usage.at_least(self._largest or _NOTHING)
            if meter is not None:
                self._held += meter.settle(untold)

    def spend_call(self, usage: ModelUsage, model: str = "") -> None:
        """Write down a finished model call of the optimizer."""
        with self._lock:
            self._spent += usage
            self._learn(model, usage.output_tokens)

    def bound(self, demand: Demand) -> ModelUsage:
        """Return what a model call takes at most."""
        output = demand.output_tokens
        if output is None:
            output = max(_SHORTEST_GUESS, 2 * self._longest.get(demand.model, 0))
        tokens = TokenUsage(demand.input_tokens, output * demand.answers)
        dollars = 0.0
        if self._budget.dollars is not None:
            dollars = self.prices.estimate(demand.model, tokens)
        return ModelUsage(1, tokens.input_tokens, tokens.output_tokens, dollars)

    def begin_call(self, meter: RolloutMeter, demand: Demand) -> Reserved | None:
        """Reserve a model call of a rollout; see `CallMeter.begin`."""
        bound, room = self.bound(demand), True
        with self._lock:
            if not meter.open:
                raise BudgetExhaustedError(
                    "interrupted", "the rollout that this model call belongs to is over"
                )
            spent = self._certain + bound
            for reason, cap, taken, waiting, aside in self._accounts(spent, self._pending):
                if taken + aside + (0 if demand.waits else waiting) > cap:
                    meter.refused = meter.refused or reason
                    meter.refusals += 1
                    raise BudgetExhaustedError(reason)
                room = room and taken + waiting + aside <= cap
            if room:
                meter.pending += bound
        return Reserved(demand.model, bound) if room else None

    def end_call(
        self, meter: RolloutMeter, reserved: Reserved, tokens: TokenUsage | None, failed: bool
    ) -> None:
        """Take note of the end of a model call of a rollout; see `CallMeter.end`."""
        took = _CALL
        if tokens is not None:
            dollars = 0.0
            if self._budget.dollars is not None:
                dollars = self.prices.estimate(reserved.model, tokens)
            took = ModelUsage(1, tokens.input_tokens, tokens.output_tokens, dollars)
        with self._lock:
            if not meter.open:
                return  # what was reserved has become what is held
            meter.pending += reserved.most * -1
            if tokens is None and not failed:
                meter.assumed += reserved.most
            else:
                meter.used += took
                self._learn(reserved.model, took.output_tokens)

    def _learn(self, model: str, output_tokens: int) -> None:
        """Take note of the length of an answer."""
        self._longest[model] = max(output_tokens, self._longest.get(model, 0))

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def _certain(self) -> ModelUsage:
        """What is spent, that of rollouts in flight and what may be included."""
        in_flight = (usage for meter in self._meters for usage in (meter.used, meter.assumed))
        return ModelUsage.total((self._spent, self._held, *in_flight))

    @property
    def _pending(self) -> ModelUsage:
        """What is reserved for calls that are being made."""
        return ModelUsage.total((self._calls, *(meter.pending for meter in self._meters)))

    def _wake(self) -> None:
        """Let those who wait for room look again."""
        self._settled.set()
        self._settled = asyncio.Event()

    def _has_room(self, bound: ModelUsage, *, rollout: bool) -> bool:
        """Tell whether there is room beside what is in flight.

        Raises:
            BudgetExhaustedError: If there would be none even if what is in flight took nothing.
        """
        self.raise_if_refused()
        with self._lock:
            known = not rollout or self._largest is not None
            room = known or not (self._meters and self._is_measured)
            certain = waiting = _NOTHING
            if self._is_measured:  # else nobody asks, and many are in flight
                certain = self._certain
                claims = (meter.claim for meter in self._meters)
                claimed = ModelUsage.total((self._spent, self._held, self._calls, *claims))
                waiting = claimed + certain * -1
            for reason, cap, taken, reserved, aside in self._accounts(
                certain + bound, waiting, rollout
            ):
                if aside >= cap and self._rollouts == 1:
                    raise _nothing_left(reason, cap, aside)
                if taken + aside > cap:
                    raise BudgetExhaustedError(reason)
                room = room and taken + reserved + aside <= cap
        return room

    @property
    def _is_measured(self) -> bool:
        """Whether a cap depends on what model calls take."""
        caps = (self._budget.model_calls, self._budget.tokens, self._budget.dollars)
        return any(cap is not None for cap in caps)

    @property
    def is_metered(self) -> bool:
        """Whether model calls have to ask before they are made."""
        return self._is_measured or self._budget.seconds is not None

    def _accounts(
        self, taken: ModelUsage, waiting: ModelUsage, rollout: bool | None = None
    ) -> Iterator[tuple[StopReason, float, float, float, float]]:
        """Yield each cap with what is taken, what may come to be, what is set aside.

        What the test split will take is taken from the mean of the rollouts so far.
        """
        caps = self._budget
        aside = self._by_rollouts * (self._set_aside / max(1, self._rollouts))
        if caps.rollouts is not None and rollout is not None:
            rollouts = self._rollouts + rollout
            in_flight = sum(meter.open for meter in self._meters)
            yield "rollouts", caps.rollouts, rollouts, in_flight, self._set_aside
        if caps.model_calls is not None:
            calls = taken.model_calls, waiting.model_calls, aside.model_calls
            yield "model_calls", caps.model_calls, *calls
        if caps.tokens is not None:
            yield "tokens", caps.tokens, taken.tokens, waiting.tokens, aside.tokens
        if caps.dollars is not None:
            yield "dollars", caps.dollars, taken.dollars, waiting.dollars, aside.dollars
        if caps.seconds is not None:
            yield "seconds", caps.seconds, self._seconds, 0.0, 0.0


def _nothing_left(name: str, cap: float, aside: float) -> ConfigurationError:
    return ConfigurationError(
        f"a budget of {cap:g} {name} leaves none for the search: the test split takes {aside:g}; "
        "raise the budget, or give fewer test tasks"
    )
