"""Budgets: what a run may spend at most, and what it has spent."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from agl_core.errors import AglError, ConfigurationError

__all__ = ["Budget", "BudgetExhaustedError", "StopReason", "Usage"]

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
