"""Evidence: the training rollouts that a round's critiques are drawn from."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from agl_core.algorithms.racing import PERFECT
from agl_core.candidates import Candidate
from agl_core.datasets import Dataset, Task
from agl_core.rollouts import Rollout
from agl_core.session import Session

__all__ = ["Evidence", "EvidenceSource", "SharedBatch", "shuffled"]


class Evidence(Protocol):
    """Runs a round's parent on training tasks. It belongs to one search."""

    rollouts: list[Rollout]
    """All training rollouts so far, in order."""

    async def prepare(self, seed: Candidate) -> None:
        """Run the seed for the first round, while it is being validated."""
        ...

    async def gather(self, parent: Candidate) -> list[list[Rollout]]:
        """Return rollouts of the parent that could have earned more: a group for each critique."""
        ...


class EvidenceSource(Protocol):
    """A way to come by evidence. It holds no state of a search."""

    @property
    def critiques(self) -> int:
        """Critiques per round, at most."""
        ...

    def rollouts(self, train: int) -> int:
        """Return how many rollouts a round takes, of so many training tasks."""
        ...

    def open(self, session: Session, rng: random.Random) -> Evidence:
        """Begin a search."""
        ...


@dataclass(frozen=True, slots=True)
class SharedBatch:
    """One batch of training tasks a round, run once for all children of the parent.

    The rollouts that fell short are shared out among the critiques, the worst first.
    """

    size: int
    """Tasks per batch; no task comes again before all have."""
    critiques: int
    """Critiques per round, at most."""

    def rollouts(self, train: int) -> int:
        """Return the size of the batch; see `EvidenceSource`."""
        return min(self.size, train)

    def open(self, session: Session, rng: random.Random) -> Evidence:
        """Begin a search; see `EvidenceSource`."""
        return _Batches(session, rng, self.size, self.critiques)


class _Batches:
    def __init__(self, session: Session, rng: random.Random, size: int, critiques: int) -> None:
        self.rollouts: list[Rollout] = []
        self._session = session
        self._critiques = critiques
        self._batches = _batches(session.train, size, rng)
        self._prepared: Sequence[Task] | None = None

    async def prepare(self, seed: Candidate) -> None:
        """Run the seed on the first batch; see `Evidence`."""
        self._prepared = next(self._batches)
        await self._session.evaluate(seed.resources, self._prepared, repeats=1)

    async def gather(self, parent: Candidate) -> list[list[Rollout]]:
        """Run the parent on the next batch; see `Evidence`."""
        batch = self._prepared or next(self._batches)
        self._prepared = None
        evaluation = await self._session.evaluate(parent.resources, batch, repeats=1)
        self.rollouts += evaluation
        short = [(r.score, r) for r in evaluation if r.score is not None and r.score < PERFECT]
        worst_first = [rollout for _, rollout in sorted(short, key=lambda item: item[0])]
        count = min(self._critiques, len(worst_first))
        return [worst_first[number::count] for number in range(count)]


def shuffled(tasks: Dataset, rng: random.Random) -> list[Task]:
    """Return the tasks in another order."""
    order = list(tasks)
    rng.shuffle(order)
    return order


def _batches(tasks: Dataset, size: int, rng: random.Random) -> Iterator[list[Task]]:
    """Yield batches without end; no task comes again before all have."""
    stream = itertools.chain.from_iterable(shuffled(tasks, rng) for _ in itertools.count())
    while True:
        drawn = itertools.islice(stream, min(size, len(tasks)))
        yield list({task.key: task for task in drawn}.values())
