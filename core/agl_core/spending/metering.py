"""Metering: a rollout's model calls ask before they are made whether the budget has room for them.

What a call will take is not known before, but what it takes at most is: as many input tokens as the
request has bytes, as many output tokens as it allows. Where it sets no limit, twice the longest
answer of the model so far stands in for one.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from agl_core.prompts.binding import current_binding
from agl_core.rollouts import ModelUsage
from agl_core.spans.genai import TokenUsage

__all__ = ["AbsentMeter", "CallMeter", "Demand", "MeteredCall", "Reserved", "metered_call"]

_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_FILE_BYTES = 10_000
"""What an image or another file in a request counts for, which is not charged by its bytes."""
_LOOK = 0.01
"""Seconds until a call that has to wait asks again."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a model call may take at most. Plain data."""

    model: str
    input_tokens: int = 0
    output_tokens: int | None = None
    """In each answer; None if the request sets no limit."""
    answers: int = 1
    waits: bool = True
    """Whether it can wait for calls in flight to end; if not, it is refused in their favor."""

    @classmethod
    def of_request(cls, request: Mapping[str, Any]) -> Demand:
        """Return the demand of a request of chat completions or responses."""
        limits = [value for name in _LIMITS if isinstance(value := request.get(name), int)]
        answers = request.get("n")
        return cls(
            str(request.get("model") or ""),
            _size(request),
            min(limits, default=None),
            answers if isinstance(answers, int) else 1,
        )


@dataclass(frozen=True, slots=True)
class Reserved:
    """What is reserved for a model call. Plain data."""

    model: str
    most: ModelUsage


class CallMeter(Protocol):
    """Where the model calls of one rollout are counted as they are made. Used from any thread."""

    def begin(self, demand: Demand) -> Reserved | None:
        """Reserve a call.

        Returns:
            What was reserved, to be given back to `end`; None if there may be room when calls that
            others are making have ended: ask again.

        Raises:
            BudgetExhaustedError: If there is no room for it any more.
        """
        ...

    def end(self, reserved: Reserved, tokens: TokenUsage | None, failed: bool) -> None:
        """Give back what was reserved.

        Args:
            reserved: What `begin` returned.
            tokens: What the call took; None if that is not known.
            failed: Whether the service refused it, and so charges nothing.
        """
        ...


class AbsentMeter:
    """Counts nothing: what a meter is in another process that has no way to ask it."""

    def begin(self, demand: Demand) -> Reserved | None:
        """Let the call be made."""
        return Reserved(demand.model, ModelUsage())

    def end(self, reserved: Reserved, tokens: TokenUsage | None, failed: bool) -> None:
        """Do nothing."""


class MeteredCall:
    """One model call that is made when there is room for it."""

    def __init__(self, meter: CallMeter, demand: Demand) -> None:
        self._meter = meter
        self._demand = demand
        self._reserved: Reserved | None = None

    def begin(self) -> None:
        """Wait until there is room, blocking the thread.

        In a thread that runs an event loop it does not wait: calls in flight on that loop, whose
        room it would wait for, could never end.

        Raises:
            BudgetExhaustedError: If there is none any more, or none now and it cannot wait.
        """
        demand = replace(self._demand, waits=not _on_loop())
        while (reserved := self._meter.begin(demand)) is None:
            time.sleep(_LOOK)
        self._reserved = reserved

    async def abegin(self) -> None:
        """Do as `begin` does, on an event loop."""
        while (reserved := self._meter.begin(self._demand)) is None:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK)
        self._reserved = reserved

    def end(self, tokens: TokenUsage | None, failed: bool = False) -> None:
        """Say what it took; see `CallMeter.end`."""
        if self._reserved is not None:
            self._meter.end(self._reserved, tokens, failed)
            self._reserved = None


def metered_call(request: Mapping[str, Any]) -> MeteredCall | None:
    """Return the call that a request makes, if it is to be metered here."""
    binding = current_binding()
    meter: CallMeter | None = None if binding is None else binding.meter
    return None if meter is None else MeteredCall(meter, Demand.of_request(request))


def _on_loop() -> bool:
    """Tell whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _size(request: Mapping[str, Any]) -> int:
    """Return the bytes of a request: a token is at least one of them."""
    files = 0

    def default(value: object) -> Any:
        dump = getattr(value, "model_dump", None)
        return dump() if dump is not None else str(value)

    def shortened(value: Any) -> Any:
        nonlocal files
        if isinstance(value, str) and len(value) > _FILE_BYTES and value.startswith("data:"):
            files += 1
            return ""
        if isinstance(value, Mapping):
            items = cast("Mapping[str, Any]", value).items()
            return {key: shortened(item) for key, item in items}
        if isinstance(value, list | tuple):
            return [shortened(item) for item in cast("list[Any]", value)]
        return value

    text = json.dumps(shortened(request), ensure_ascii=False, default=default)
    return len(text.encode("utf-8", "replace")) + files * _FILE_BYTES
