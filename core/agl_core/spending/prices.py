"""Prices: what the tokens of a model cost.

The user's own prices come first. Others are those of the `genai-prices` package, which comes with
its list and asks no network for it. The simulated model costs nothing, and no price is guessed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agl_core.errors import ConfigurationError
from agl_core.simulation import is_simulated_environment, is_simulated_id
from agl_core.spans.genai import TokenUsage, request_model, response_id, response_model, usage
from agl_core.spans.model_calls import model_calls
from agl_core.spans.span import Span

__all__ = ["Price", "PriceList", "checked_prices"]

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's tokens cost, in dollars per million.

    Raises:
        ConfigurationError: If one is no number, or negative.
    """

    input: float
    """Tokens sent."""
    output: float
    """Tokens received."""
    cached_input: float | None = None
    """Tokens sent that the service had in its cache; as `input`, if not given."""

    def __post_init__(self) -> None:
        cached = 0.0 if self.cached_input is None else self.cached_input
        for value in (self.input, self.output, cached):
            number: Any = value
            wrong = isinstance(number, bool) or not isinstance(number, int | float)
            if wrong or not math.isfinite(number) or number < 0:
                raise ConfigurationError(f"{self!r}: a price is a number of dollars, at least 0")

    def cost(self, tokens: TokenUsage) -> float:
        """Return what so many tokens cost, in dollars."""
        cached = min(tokens.cached_input_tokens, tokens.input_tokens)
        rate = self.input if self.cached_input is None else self.cached_input
        fresh = (tokens.input_tokens - cached) * self.input
        return (fresh + cached * rate + tokens.output_tokens * self.output) / _MILLION


_Cost = Callable[[TokenUsage], float]


class PriceList:
    """What the model calls of one run cost. May be used from any thread.

    Args:
        given: The user's prices by model.
        say: Told once of each model that has no price.
    """

    def __init__(
        self,
        given: Mapping[str, Price] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._given = dict(given or {})
        self._say = say
        self._found: dict[str, _Cost | None] = {}
        self._unpriced: dict[str, None] = {}
        self._lock = threading.Lock()

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models that were called and have no price; the simulated one says so."""
        return tuple(self._unpriced)

    def carry_over(self, unpriced: Iterable[str]) -> None:
        """Take over the models without a price that an earlier start of the run has called."""
        with self._lock:
            self._unpriced.update(dict.fromkeys(unpriced))

    def require(self, models: Iterable[str]) -> None:
        """Make sure that models have a price, for a budget in dollars.

        Raises:
            ConfigurationError: If one has none.
        """
        for model in models:
            if self._cost((model,), is_simulated_environment()) is None:
                simulated = is_simulated_environment()
                why = "the simulated model has none" if simulated else "none is known"
                raise ConfigurationError(
                    f"a budget in dollars needs a price of {model}, and {why}: {_remedy(model)}"
                )

    def estimate(self, model: str, tokens: TokenUsage) -> float:
        """Return what a call would cost; 0.0 if the model has no price."""
        cost = self._cost((model,), is_simulated_environment())
        return 0.0 if cost is None else cost(tokens)

    def of_call(self, model: str, tokens: TokenUsage, id: str | None = None) -> float:
        """Return what a call cost; 0.0 if the model has no price, which is said once.

        Args:
            model: The model that was asked for.
            tokens: What it took.
            id: The service's id of the answer, which tells the simulated model.
        """
        return self._of((model,), tokens, id)

    def of_spans(self, spans: Iterable[Span]) -> float:
        """Return what the model calls of a rollout cost."""
        total = 0.0
        for span in model_calls(spans):
            names = tuple(filter(None, (request_model(span), response_model(span))))
            total += self._of(names, usage(span), response_id(span))
        return total

    def _of(self, names: tuple[str, ...], tokens: TokenUsage, id: str | None) -> float:
        simulated = is_simulated_id(id) if id else is_simulated_environment()
        cost = self._cost(names, simulated)
        if cost is not None:
            return cost(tokens)
        name = names[0] if names else "an unnamed model"
        label = f"{name} (simulated)" if simulated else name
        with self._lock:
            is_new = label not in self._unpriced
            self._unpriced[label] = None
        if is_new and not simulated:
            self._say(
                f"no price is known of {name}, so its calls count no dollars; {_remedy(name)}"
            )
        return 0.0

    def _cost(self, names: tuple[str, ...], simulated: bool) -> _Cost | None:
        for name in names:
            if name in self._given:
                return self._given[name].cost
        if simulated:
            return None
        for name in names:
            if name not in self._found:
                self._found[name] = _listed(name)
            if (cost := self._found[name]) is not None:
                return cost
        return None


def checked_prices(prices: Mapping[str, Price] | None) -> Mapping[str, Price]:
    """Return the prices by model.

    Raises:
        ConfigurationError: If they are something else.
    """
    if prices is None:
        return {}
    if not isinstance(prices, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"prices is {type(prices).__name__}; give agl.Price(...) by the name of the model"
        )
    for model, price in prices.items():
        if not isinstance(price, Price):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"the price of {model} is {type(price).__name__}; give agl.Price(...)"
            )
    return dict(prices)


def _listed(model: str) -> _Cost | None:
    """Return what a model's tokens cost by the list of the package; None if it has no such model.

    Importing it, with its list, takes 0.4 s: it is left until a price is asked for.
    """
    import genai_prices

    def cost(tokens: TokenUsage) -> float:
        cached = min(tokens.cached_input_tokens, tokens.input_tokens)
        used: Any = genai_prices.Usage(
            input_tokens=tokens.input_tokens,
            output_tokens=tokens.output_tokens,
            cache_read_tokens=cached,
        )
        return float(genai_prices.calc_price(used, model).total_price)

    try:
        cost(TokenUsage(1, 1))
    except (LookupError, ValueError):
        return None
    return cost


def _remedy(model: str) -> str:
    return f"give it one: Trainer(prices={{{model!r}: agl.Price(input=..., output=...)}})"
