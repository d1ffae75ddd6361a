"""Rollouts: the record of one run of the agent on one task with one candidate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, Literal, overload

from agl_core.damage import undamaged
from agl_core.excerpts import excerpt
from agl_core.prompts.binding import SlotUse
from agl_core.prompts.sightings import Sighting, Sightings
from agl_core.prompts.templates import PromptTemplate
from agl_core.rewards.reward import Reward
from agl_core.spans.span import Span
from agl_core.text import SEARCHED, cut

__all__ = ["Evaluation", "ModelUsage", "Rollout", "RolloutStatus", "mean_score"]

_MARGIN = 10_000
"""So much of the end of a start that was looked through is never kept: what must not be written may
have been cut in two there."""
_MORE = f"more than {SEARCHED}"

RolloutStatus = Literal["succeeded", "failed", "timed_out", "unavailable"]
"""``failed`` and ``timed_out`` are the agent's own failures and score the failure reward.
``unavailable`` is the world's (rate limits, server errors, connections) after retries; it has no
score and stays out of averages and comparisons."""


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """Model calls, tokens and what they cost."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float = 0.0

    def __add__(self, other: ModelUsage) -> ModelUsage:
        """Add up."""
        return ModelUsage(
            self.model_calls + other.model_calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.dollars + other.dollars,
        )

    @classmethod
    def total(cls, usages: Iterable[ModelUsage]) -> ModelUsage:
        """Add up many at once: to make one of these takes longer than to add."""
        calls = given = written = 0
        dollars = 0.0
        for usage in usages:
            calls += usage.model_calls
            given += usage.input_tokens
            written += usage.output_tokens
            dollars += usage.dollars
        return cls(calls, given, written, dollars)

    def __mul__(self, times: float) -> ModelUsage:
        """Return so many times the same, calls and tokens rounded."""
        return ModelUsage(
            round(self.model_calls * times),
            round(self.input_tokens * times),
            round(self.output_tokens * times),
            self.dollars * times,
        )

    def at_least(self, other: ModelUsage) -> ModelUsage:
        """Return the larger of each."""
        return ModelUsage(
            max(self.model_calls, other.model_calls),
            max(self.input_tokens, other.input_tokens),
            max(self.output_tokens, other.output_tokens),
            max(self.dollars, other.dollars),
        )

    @property
    def tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def to_json(self) -> list[float]:
        """Return the fields as a list."""
        return [self.model_calls, self.input_tokens, self.output_tokens, self.dollars]


@dataclass(frozen=True, slots=True)
class Rollout:
    """One run of the agent on one task with one candidate. Immutable, as it stands in the store."""

    id: str
    """Unique within the run, and derived from what was run: the journal's key."""
    task: Any
    """The task as the user gave it."""
    task_key: str
    """The task's identity; see `Task.key`."""
    task_name: str
    """What the task is called in messages."""
    split: str
    """The dataset of the task."""
    status: RolloutStatus
    """How it ended."""
    score: float | None
    """The reward, or the failure reward; None if the world failed."""
    reward: Reward | None = None
    """The reward with its feedback, if the agent got one."""
    error: str | None = None
    """The traceback, if it failed."""
    output: Any = None
    """What the program returned, JSON-able or as text, if known."""
    spans: tuple[Span, ...] = ()
    """The spans, root first."""
    slots: Mapping[str, SlotUse] = field(default_factory=dict[str, SlotUse])
    """The slots that the program used."""
    reads: frozenset[str] = frozenset()
    """The resources that the program read or was sent."""
    unmatched: Mapping[str, int] = field(default_factory=dict[str, int])
    """How often a slot's text was not the known original and was left alone."""
    sightings: Sightings | None = None
    """All that the program sent, if it was observed to find its prompts."""
    usage: ModelUsage = field(default_factory=ModelUsage)
    """Model calls and tokens of this rollout, all attempts."""
    started: float = 0.0
    """Seconds since the epoch."""
    seconds: float = 0.0
    """Wall time of the last attempt."""
    attempts: int = 1
    """How often it was tried."""

    @property
    def feedback(self) -> str:
        """The reward's feedback, or nothing."""
        return self.reward.feedback if self.reward is not None else ""

    @property
    def failed(self) -> bool:
        """Whether the agent itself failed."""
        return self.status in ("failed", "timed_out")

    def knowing(self, slots: Iterable[str]) -> Rollout:
        """Return it with what was seen of slots that were not yet known as prompts when it ran."""
        if self.sightings is None:
            return self
        seen = {name: self.sightings.slots.get(name) for name in slots if name not in self.slots}
        uses = {name: _use_seen(sighting) for name, sighting in seen.items() if sighting}
        return replace(self, slots={**self.slots, **uses}) if uses else self

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that `from_json` reads; the task is not in it."""
        return {
            "id": self.id,
            "task_key": self.task_key,
            "task_name": self.task_name,
            "split": self.split,
            "status": self.status,
            "score": self.score,
            "reward": None
            if self.reward is None
            else [float(self.reward), self.reward.feedback, dict(self.reward.metrics)],
            "error": self.error,
            "output": self.output,
            "spans": [span.to_json() for span in self.spans],
            "slots": {name: _slot_json(use) for name, use in self.slots.items()},
            "reads": sorted(self.reads),
            "unmatched": dict(self.unmatched),
            "sightings": None if self.sightings is None else self.sightings.to_json(),
            "usage": self.usage.to_json(),
            "started": self.started,
            "seconds": self.seconds,
            "attempts": self.attempts,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], task: Any) -> Rollout:
        """Rebuild a rollout from `to_json` and its task.

        Raises:
            StoreError: If it is none.
        """
        with undamaged("the record of a rollout"):
            return cls._rebuilt(data, task)

    @classmethod
    def _rebuilt(cls, data: Mapping[str, Any], task: Any) -> Rollout:
        reward, seen = data["reward"], data["sightings"]
        return cls(
            id=data["id"],
            task=task,
            task_key=data["task_key"],
            task_name=data["task_name"],
            split=data["split"],
            status=data["status"],
            score=data["score"],
            reward=None if reward is None else Reward(*reward),
            error=data["error"],
            output=data["output"],
            spans=tuple(Span.from_json(span) for span in data["spans"]),
            slots={name: _slot_use(use) for name, use in data["slots"].items()},
            reads=frozenset(data["reads"]),
            unmatched=data["unmatched"],
            sightings=None if seen is None else Sightings.from_json(seen),
            usage=ModelUsage(*data["usage"]),
            started=data["started"],
            seconds=data["seconds"],
            attempts=data["attempts"],
        )


class Evaluation(Sequence[Rollout]):
    """The rollouts of one candidate on some tasks, in the order of the tasks.

    Args:
        rollouts: The rollouts; those of one task follow one another.
        repeats: How many there are of each task.
    """

    def __init__(self, rollouts: Sequence[Rollout], repeats: int = 1) -> None:
        self._rollouts = tuple(rollouts)
        self._repeats = repeats

    @overload
    def __getitem__(self, index: int) -> Rollout: ...
    @overload
    def __getitem__(self, index: slice) -> Evaluation: ...
    def __getitem__(self, index: int | slice) -> Rollout | Evaluation:
        """Return a rollout, or an evaluation of a slice of them."""
        if isinstance(index, slice):
            return Evaluation(self._rollouts[index])
        return self._rollouts[index]

    def __len__(self) -> int:
        """Return the number of rollouts."""
        return len(self._rollouts)

    def __iter__(self) -> Iterator[Rollout]:
        """Iterate in the order of the tasks."""
        return iter(self._rollouts)

    @property
    def scores(self) -> tuple[float | None, ...]:
        """The score of each task, the mean over its rollouts; None where the world failed."""
        each = [rollout.score for rollout in self._rollouts]
        size = self._repeats
        return tuple(mean_score(each[at : at + size]) for at in range(0, len(each), size))

    @property
    def score(self) -> float | None:
        """The mean over the tasks that have a score; None if none has."""
        return mean_score(self.scores)

    def __repr__(self) -> str:
        score = "none" if self.score is None else f"{self.score:.3f}"
        return f"Evaluation({len(self)} rollouts, score {score})"


def mean_score(scores: Sequence[float | None]) -> float | None:
    """Return the mean of the scores that there are; None if there is none."""
    known = [score for score in scores if score is not None]
    return fmean(known) if known else None


def _slot_json(use: SlotUse) -> list[Any]:
    template = None if use.template is None else use.template.to_json()
    return [use.original, use.sent, use.calls, template, use.role, use.unmatched]


def _use_seen(sighting: Sighting) -> SlotUse:
    text, rendered = list(sighting.texts.items())[-1]
    template = None if rendered is None else rendered.template
    return SlotUse(text, text, sighting.calls, template, sighting.role)


def _slot_use(data: Sequence[Any]) -> SlotUse:
    original, sent, calls, template, role, unmatched = data
    own = None if template is None else PromptTemplate.from_json(template)
    return SlotUse(original, sent, calls, own, role, unmatched)


def json_safe(
    value: Any, limit: int = 20_000, redacted: Callable[[Any], Any] = lambda data: data
) -> Any:
    """Return the value as it comes back from JSON if it is small, else its text, cut to `limit`.

    So what is seen of an output is the same at once, from the store, and from another process.

    Args:
        value: The value.
        limit: In characters.
        redacted: Takes out of it what must not be written, before it is cut to what is kept: half
            a name would not be known for one.
    """
    if isinstance(value, str):
        return _start(str.__str__(value), limit, redacted)
    whole = True
    try:
        value, whole = excerpt(value, SEARCHED)
        data = redacted(json.loads(json.dumps(value)))
        text = json.dumps(data)
        if whole and len(text) <= limit:
            return data
        return _kept(text, limit, None if whole else _MORE)
    except (TypeError, ValueError, RecursionError):
        try:
            text = str(value)
        except Exception as error:  # noqa: BLE001 - a broken __str__ is not the rollout's failure
            text = f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    return _start(text, limit, redacted, whole)


def _start(text: str, limit: int, redacted: Callable[[Any], Any], whole: bool = True) -> str:
    start = text[:SEARCHED]
    length = _MORE if not whole else len(text) if len(text) > len(start) else None
    return _kept(redacted(start), limit, length)


def _kept(written: str, limit: int, length: int | str | None) -> str:
    """Return what is kept of what may be written of a text.

    Args:
        written: The text.
        limit: In characters.
        length: How long it was, or what is known of that, if this is but its start.
    """
    if length is not None:
        limit = min(limit, max(0, len(written) - _MARGIN))
    return cut(written, limit, length)
