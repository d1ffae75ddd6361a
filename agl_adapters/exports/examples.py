"""Examples: the model calls of a run's rollouts, with what the rollouts earned."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from agl_core.rollouts import Rollout
from agl_core.spans import genai
from agl_core.spans.messages import Message
from agl_core.spans.model_calls import model_calls
from agl_core.storage.store import RolloutKey, Store
from agl_core.tracing.traces import TraceToTriplets

__all__ = ["Example", "KeptRollout", "examples", "kept_rollouts"]


@dataclass(frozen=True, slots=True)
class KeptRollout:
    """A rollout as the store has it."""

    key: RolloutKey
    """What was run."""
    rollout: Rollout
    """How it went."""


@dataclass(frozen=True, slots=True)
class Example:
    """One model call."""

    task: str
    """The key of the rollout's task."""
    slot: str
    """The slot of its prompt; empty if it is none of the program's."""
    prompt: list[Message]
    """What the model was sent."""
    response: Message
    """What it answered."""
    score: float
    """What the whole rollout earned."""
    reward: float | None
    """The score, if this was the rollout's last call; see `TraceToTriplets`."""


def kept_rollouts(store: Store, run: str, splits: Collection[str]) -> Iterator[KeptRollout]:
    """Yield the rollouts of a run on tasks of these splits that have a score, in order of time."""
    tasks = {(task.split, task.key): task.data for task in store.tasks(run)}
    for key, record in store.rollouts(run):
        if key.split in splits and record["score"] is not None:
            task = tasks.get((key.split, key.task))
            yield KeptRollout(key, Rollout.from_json(record, task))


def examples(kept: KeptRollout) -> Iterator[Example]:
    """Yield the model calls of a rollout that got an answer, by start."""
    rollout = kept.rollout
    score = rollout.score or 0.0
    calls = model_calls(genai.of_the_agent(rollout.spans))
    spans = [span for span in calls if genai.output_messages(span)]
    triplets = TraceToTriplets()(rollout.spans, score)
    for span, triplet in zip(spans, triplets, strict=True):
        yield Example(
            task=kept.key.task,
            slot=genai.slot(span) or "",
            prompt=triplet.prompt,
            response=triplet.response,
            score=score,
            reward=triplet.reward,
        )
