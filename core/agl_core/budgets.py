"""Budgets and the one ledger in which everything that is spent is written down."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from agl_core.errors import AglError, ConfigurationError
from agl_core.prices import PriceList
from agl_core.rollouts import ModelUsage

__all__ = ["Budget", "BudgetExhaustedError", "Ledger", "StopReason", "Usage"]

T = TypeVar("T")

StopReason = Literal[
    "completed",
    "rollouts",
    "model_calls",
    "tokens",
    "dollars",
    "seconds",
    "target",
    "patience",
    "interrupted",
    "unavailable",
    "failed",
]
"""Why a run ended: the algorithm finished, a cap of the budget, its target or patience, Ctrl-C, a
service that is down, or an error (whose `AglError.result` this is then in)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Hard caps on a run; None is no cap. Running out ends the run with the best so far.

    Raises:
        ConfigurationError: If a cap is not positive.
    """

    rollouts: int | None = None
    """Rollouts, discovery and the test split included."""
    model_calls: int | None = None
    """Model calls of agent and optimizer together."""
    tokens: int | None = None
    """Input and output tokens of agent and optimizer together."""
    dollars: float | None = None
    """Money, by the trainer's prices or else by those of the `genai-prices` package."""
    seconds: float | None = None
    """Wall time of the run."""
    target: float | None = None
    """A validation score; the run ends when a candidate reaches it."""

    patience: int | None = None
    """Rounds of the search in a row that may end without a better validation score than all before,
    the seed's included; the run ends with the last of them."""

    def __post_init__(self) -> None:
        for name in ("rollouts", "model_calls", "tokens", "patience"):
            if isinstance(getattr(self, name), float):
                raise ConfigurationError(
                    f"Budget({name}={getattr(self, name)!r}): a cap is a whole number"
                )
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigurationError(f"Budget({field.name}={value!r}): a cap is a number")
            if field.name != "target" and not value > 0:
                raise ConfigurationError(f"Budget({field.name}={value!r}): a cap is positive")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run has spent."""

    rollouts: int = 0
    """Rollouts that were run (not those read from the journal)."""
    model_calls: int = 0
    """Model calls of agent and optimizer together."""
    input_tokens: int = 0
    """Tokens sent."""
    output_tokens: int = 0
    """Tokens received."""
    dollars: float = 0.0
    """Money, by the trainer's prices or else by those of the `genai-prices` package."""
    seconds: float = 0.0
    """Wall time."""
    unpriced: tuple[str, ...] = ()
    """The models that were called and have no price: what they cost is not in `dollars`. The
    simulated model is one, and says so."""

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    @property
    def cost(self) -> str:
        """The money in words, such as ``$0.12``; nothing if no model was called."""
        if not self.unpriced:
            return f"${self.dollars:.{2 if self.dollars >= 1 else 4}f}" if self.dollars else ""
        names = ", ".join(self.unpriced)
        return (
            f"${self.dollars:.4f} and no price for {names}"
            if self.dollars
            else f"no price for {names}"
        )


class BudgetExhaustedError(AglError):
    """A cap of the budget is reached. Ends the algorithm; the run ends well.

    Attributes:
        reason: Which cap, or what else ended it.
    """

    def __init__(self, reason: StopReason, message: str = "") -> None:
        super().__init__(message or _STOPS.get(reason, f"the budget's {reason} are used up"))
        self.reason: StopReason = reason


_STOPS = {
    "target": "the target score is reached",
    "patience": "no round found anything better for as long as the budget's patience is",
    "interrupted": "the run was interrupted",
}


_Kind = Literal["rollout", "call"]


class Ledger:
    """Counts what is spent, and reserves before spending so that no cap is overshot.

    A rollout's model calls and tokens are unknown before it ran; while it is in flight, the largest
    seen so far stand in for them. So where a cap depends on them, the first of a kind runs alone.
    What does not fit beside what is in flight waits until that is settled, since it may take less
    than was reserved; only what does not fit at all is refused. Used on one event loop.
    """

    def __init__(self, budget: Budget, prices: PriceList | None = None) -> None:
        self._budget = budget
        self.prices = PriceList() if prices is None else prices
        self._start = time.monotonic()
        self._rollouts = 0
        self._spent = ModelUsage()
        self._by_rollouts = ModelUsage()
        self._in_flight: Counter[_Kind] = Counter()
        self._reserved = ModelUsage()
        self._set_aside = 0
        self._refusal: AglError | None = None
        self._refused = asyncio.Event()
        self._largest: dict[_Kind, ModelUsage] = {}
        self._settled = asyncio.Event()

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
            time.monotonic() - self._start,
            self.prices.unpriced,
        )

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
            raise self._refusal

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
    async def rollout(self) -> AsyncGenerator[None]:
        """Reserve a rollout for the block.

        Raises:
            BudgetExhaustedError: If a cap leaves no room for it.
            AglError: If further work was refused.
        """
        async with self._reservation("rollout"):
            yield

    @asynccontextmanager
    async def call(self) -> AsyncGenerator[None]:
        """Reserve one model call of the optimizer for the block.

        Raises:
            BudgetExhaustedError: If a cap leaves no room for it.
            AglError: If further work was refused.
        """
        async with self._reservation("call"):
            yield

    def spend_rollout(self, usage: ModelUsage) -> None:
        """Write down a finished rollout."""
        self._rollouts += 1
        self._by_rollouts += usage
        self._spend("rollout", usage)

    def spend_call(self, usage: ModelUsage) -> None:
        """Write down a finished model call of the optimizer."""
        self._spend("call", usage)

    def _spend(self, kind: _Kind, usage: ModelUsage) -> None:
        self._spent += usage
        self._largest[kind] = self._estimate(kind).at_least(usage)

    def _estimate(self, kind: _Kind) -> ModelUsage:
        return self._largest.get(kind, ModelUsage(model_calls=1 if kind == "call" else 0))

    @asynccontextmanager
    async def _reservation(self, kind: _Kind) -> AsyncGenerator[None]:
        while not self._has_room(kind):
            await self._settled.wait()
        estimate = self._estimate(kind)
        self._in_flight[kind] += 1
        self._reserved += estimate
        try:
            yield
        finally:
            self._in_flight[kind] -= 1
            self._reserved += estimate * -1
            self._wake()

    def _wake(self) -> None:
        """Let those who wait for room look again."""
        self._settled.set()
        self._settled = asyncio.Event()

    def _has_room(self, kind: _Kind) -> bool:
        """Tell whether there is room beside what is in flight.

        Raises:
            BudgetExhaustedError: If there would be none even if what is in flight took nothing.
        """
        self.raise_if_refused()
        room = kind in self._largest or not (self._in_flight[kind] and self._is_measured())
        for reason, cap, spent, reserved, aside in self._accounts(kind):
            if aside >= cap and self._rollouts == 1:
                raise _nothing_left(reason, cap, aside)
            if spent + aside > cap:
                raise BudgetExhaustedError(reason)
            room = room and spent + reserved + aside <= cap
        return room

    def _is_measured(self) -> bool:
        """Tell whether a cap depends on what model calls take."""
        caps = (self._budget.model_calls, self._budget.tokens, self._budget.dollars)
        return any(cap is not None for cap in caps)

    def _accounts(self, kind: _Kind) -> Iterator[tuple[StopReason, float, float, float, float]]:
        """Yield each cap with what one more would bring it to, what is reserved, what is set aside.

        What the test split will take is taken from the mean of the rollouts so far.
        """
        spent, reserved, caps = self._spent + self._estimate(kind), self._reserved, self._budget
        aside = self._by_rollouts * (self._set_aside / max(1, self._rollouts))
        rollouts, in_flight = self._rollouts + (kind == "rollout"), self._in_flight["rollout"]
        if caps.rollouts is not None:
            yield "rollouts", caps.rollouts, rollouts, in_flight, self._set_aside
        if caps.model_calls is not None:
            calls = spent.model_calls, reserved.model_calls, aside.model_calls
            yield "model_calls", caps.model_calls, *calls
        if caps.tokens is not None:
            yield "tokens", caps.tokens, spent.tokens, reserved.tokens, aside.tokens
        if caps.dollars is not None:
            yield "dollars", caps.dollars, spent.dollars, reserved.dollars, aside.dollars
        if caps.seconds is not None:
            yield "seconds", caps.seconds, time.monotonic() - self._start, 0.0, 0.0


def _nothing_left(name: str, cap: float, aside: float) -> ConfigurationError:
    return ConfigurationError(
        f"a budget of {cap:g} {name} leaves none for the search: the test split takes {aside:g}; "
        "raise the budget, or give fewer test tasks"
    )
