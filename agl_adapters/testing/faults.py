"""Faults of a model service, on request: what goes wrong, how often, and for which calls."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agl_adapters.testing.calls import draws
from agl_core.errors import ConfigurationError

__all__ = ["Fault", "FaultKind", "Faults", "faults_from_json", "faults_to_json"]


class FaultKind(StrEnum):
    """What can go wrong."""

    RATE_LIMIT = "429"
    """HTTP 429 without a hint when to come back."""
    RATE_LIMIT_RETRY_AFTER = "429-retry-after"
    """HTTP 429 with a Retry-After header of `seconds`."""
    QUOTA = "429-quota"
    """HTTP 429 as for an account whose quota is used up: no wait helps."""
    BUSY = "429-busy"
    """HTTP 429 for each call that comes while `calls` others are being answered."""
    SERVER_ERROR = "500"
    """HTTP 500."""
    UNAVAILABLE = "503"
    """HTTP 503."""
    UNAUTHORIZED = "401"
    """HTTP 401, as for a wrong key."""
    RESET = "reset"
    """The connection is reset before a byte is sent."""
    RESET_MIDWAY = "reset-midway"
    """Half of the body is sent, then the connection is reset."""
    TRUNCATED = "truncated"
    """Half of the body is sent, then the connection closes."""
    INVALID_JSON = "invalid-json"
    """HTTP 200 with a body that does not parse."""
    EMPTY = "empty"
    """HTTP 200 with no choices, or no output."""
    SLOW = "slow"
    """The right reply, in small pieces over `seconds`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault and the calls that it hits.

    `Fault("429", rate=0.05)` hits one call in twenty, drawn from the server's seed; `Fault("500",
    calls=3)` the next three; `Fault("reset", marker="POISON")` every call whose text contains the
    word.

    Attributes:
        kind: What goes wrong.
        rate: The probability that a call is hit, among those which it may hit.
        calls: It hits at most so many calls and then no more. None: no limit. Of `429-busy`: so
            many calls are answered at once.
        marker: It may hit only calls with this text in a message. None: any call.
        seconds: The length of a slow reply, or the wait that Retry-After asks for.

    Raises:
        ConfigurationError: The kind is unknown, or the rate is no probability.
    """

    kind: str
    rate: float = 1.0
    calls: int | None = None
    marker: str | None = None
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in set(FaultKind):
            kinds = ", ".join(FaultKind)
            raise ConfigurationError(f"There is no fault {self.kind!r}. Kinds: {kinds}.")
        if not 0.0 <= self.rate <= 1.0:
            raise ConfigurationError(f"A fault's rate is from 0.0 to 1.0, not {self.rate}.")


class Faults:
    """Decides which calls are hit. Not thread-safe: it belongs to the server's event loop.

    A call is hit by the first of the faults that applies. The draws depend on the seed, the call's
    content and how often that content was tried, so a retry is drawn afresh and a run repeats
    exactly.
    """

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self.faults = tuple(faults)
        self.seed = seed
        self.left = [fault.calls for fault in self.faults]

    def hit(
        self, digest: bytes, attempt: int, texts: Sequence[str], answering: int = 0
    ) -> Fault | None:
        """The fault that hits this call, if any.

        Args:
            digest: The call's content hash.
            attempt: How often the same content was tried before.
            texts: The call's texts, in which markers are looked for.
            answering: How many calls are being answered.
        """
        if not self.faults:
            return None
        rng = draws("faults", self.seed, digest, attempt)
        for place, fault in enumerate(self.faults):
            drawn = rng.random()
            if fault.kind == FaultKind.BUSY:
                if answering >= (fault.calls or 0):
                    return fault
                continue
            left = self.left[place]
            if drawn >= fault.rate or left == 0:
                continue
            if fault.marker is not None and not any(fault.marker in text for text in texts):
                continue
            if left is not None:
                self.left[place] = left - 1
            return fault
        return None


def faults_to_json(faults: Iterable[Fault]) -> str:
    """The faults as a JSON array of objects."""
    return json.dumps([dataclasses.asdict(fault) for fault in faults])


def faults_from_json(text: str) -> tuple[Fault, ...]:
    """The faults in a JSON array of objects with the fields of `Fault`.

    Raises:
        ConfigurationError: The text is something else.
    """
    try:
        return tuple(Fault(**fields) for fields in json.loads(text))
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f'Faults are a JSON array such as [{{"kind": "429", "rate": 0.1}}]: {error}'
        ) from error
