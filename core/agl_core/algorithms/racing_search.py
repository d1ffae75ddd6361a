"""The default search of APO: large steps first, raced against the incumbent."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from agl_core.algorithms.concurrency import run_all
from agl_core.algorithms.editor import Editor
from agl_core.algorithms.memory import CritiqueMemory
from agl_core.algorithms.racing import paired_differences, upper_bound
from agl_core.candidates import Candidate
from agl_core.datasets import Dataset, Task
from agl_core.errors import ModelError
from agl_core.models import RefusedError
from agl_core.rollouts import Rollout
from agl_core.session import Session

__all__ = ["ParentChoice", "RacingSearch"]

ParentChoice = Literal["best", "pareto"]
"""``best``: the highest validation score, the newest of equals. ``pareto``: drawn from those that
are best on some task, each as often as there are tasks on which it is."""

_PERFECT = 1.0
"""By convention the best reward. A rollout that earned it is nothing to critique."""


@dataclass(frozen=True, slots=True)
class RacingSearch:
    """Each round improves one parent by as few rollouts as it takes.

    The parent is run on a batch of training tasks, once for all its children. The runs that fell
    short are shared out among critiques. The first child takes in all critiques of the round; it is
    raced against the incumbent over the validation tasks, in one fixed order and in blocks, and
    dropped as soon as it is behind. A candidate that was itself chosen for its score is run once
    more before a child is dropped for it. Only if the first child is no better, a child of each
    single critique is raced in the same way, and of those that are better one more child that takes
    in all of their critiques.

    What was run before is not run again: the same prompts on the same task are one rollout.
    """

    editor: Editor
    batch_size: int
    """Training tasks on which a round runs its parent."""
    block_size: int
    """Validation tasks per block of a race."""
    critiques: int
    """Critiques per round, at most."""
    rounds: int
    """Rounds."""
    parents: ParentChoice = "best"

    async def run(self, session: Session) -> None:
        """Search; see `Algorithm`."""
        await _Run(self, session).search()


class _Run:
    """One search: its pool of validated candidates and what it has learned."""

    def __init__(self, search: RacingSearch, session: Session) -> None:
        self._search = search
        self._editor = search.editor
        self._session = session
        self._rng = random.Random(session.rng.getrandbits(64))
        self._order = _shuffled(session.val, self._rng)
        self._batches = _batches(session.train, search.batch_size, self._rng)
        self._pool: list[Candidate] = []
        self._seen: set[str] = set()
        self._confirmations: set[str] = set()
        self._memory = CritiqueMemory()

    async def search(self) -> None:
        session = self._session
        seed = session.report(Candidate(session.initial))
        self._seen.add(seed.id)
        batch = next(self._batches)
        await run_all([self._validate(seed), self._fill(seed, batch)])
        for number in range(1, self._search.rounds + 1):
            if self._score(self._best()) >= _PERFECT:
                session.say("the best candidate is right on every validation task")
                return
            parent = self._parent()
            shortfalls = await self._shortfalls(parent, batch)
            if shortfalls:
                await self._round(number, parent, shortfalls)
            else:
                session.say(f"round {number}: no training task on which the parent falls short")
            batch = next(self._batches)

    async def _round(self, number: int, parent: Candidate, shortfalls: list[Rollout]) -> None:
        """Make children of a parent, large steps first, and keep those that are no worse."""
        critiques = await self._critiques(number, parent, shortfalls)
        if not critiques:
            return
        together = _joined(critiques)
        child = self._admitted(await self._child(number, parent, together, "all critiques"))
        if child is not None and await self._race(child):
            self._memory.learned.append(together)
            return
        if len(critiques) == 1:
            self._memory.failed.append(together)
            return
        labels = [f"critique {n}" for n in range(1, len(critiques) + 1)]
        children = await run_all(
            self._child(number, parent, critique, label)
            for critique, label in zip(critiques, labels, strict=True)
        )
        kept: list[str] = []
        # In their order, whichever was made first: a run can be repeated.
        admitted = [self._admitted(child) for child in children]
        for critique, single in zip(critiques, admitted, strict=True):
            if single is not None and await self._race(single):
                kept.append(critique)
            else:
                self._memory.failed.append(critique)
        if len(kept) > 1:
            merged = self._admitted(
                await self._child(number, parent, _joined(kept), "merged critiques")
            )
            if merged is not None:
                await self._race(merged)
        self._memory.learned.extend(kept)

    async def _shortfalls(self, parent: Candidate, batch: Sequence[Task]) -> list[Rollout]:
        """Return the parent's rollouts on the batch that could have earned more, worst first."""
        evaluation = await self._session.evaluate(parent.resources, batch, repeats=1)
        scored = [(r.score, r) for r in evaluation if r.score is not None and r.score < _PERFECT]
        return [rollout for _, rollout in sorted(scored, key=lambda item: item[0])]

    async def _critiques(
        self, number: int, parent: Candidate, shortfalls: Sequence[Rollout]
    ) -> list[str]:
        count = min(self._search.critiques, len(shortfalls))
        answers = await run_all(
            self._critique(f"round {number}, critique {n + 1}", parent, shortfalls[n::count])
            for n in range(count)
        )
        return list(dict.fromkeys(answer for answer in answers if answer))

    async def _critique(self, key: str, parent: Candidate, rollouts: Sequence[Rollout]) -> str:
        """Return a critique, or nothing if the call failed."""
        try:
            return await self._editor.critique(
                self._session, parent.resources, rollouts, key, self._memory.for_critique()
            )
        except RefusedError:
            raise
        except ModelError as error:
            self._session.say(f"{key}: {error}")
            return ""

    async def _child(
        self, number: int, parent: Candidate, critique: str, label: str
    ) -> Candidate | None:
        """Return a child, or None if a call failed."""
        key = f"round {number}, {label}"
        try:
            child = await self._editor.rewrite(
                self._session, parent, self._memory.for_rewrite(critique), key, number
            )
        except RefusedError:
            raise
        except ModelError as error:
            self._session.say(f"{key}: {error}")
            return None
        return replace(child, edit=critique)

    def _admitted(self, child: Candidate | None) -> Candidate | None:
        """Report a child; return it if it is worth a rollout."""
        if child is None:
            return None
        if child.rejected:
            self._session.report(child)
            return None
        if child.id in self._seen:
            label = child.metadata["branch"]
            self._session.say(f"{label}: the same prompt as an earlier one; dropped")
            return None
        self._seen.add(child.id)
        return self._session.report(child)

    async def _race(self, child: Candidate) -> bool:
        """Run a child against the best candidate, block by block; return whether it is better.

        One that is as good is kept too, and is the newer of equals when a parent is chosen.
        """
        rival = self._best()
        for end in _ends(len(self._order), self._search.block_size):
            evaluation = await self._session.evaluate(child.resources, self._order[:end])
            while (behind := self._behind(evaluation.scores)) > 0:
                if await self._confirmed(self._best()):
                    continue
                self._session.say(
                    f"round {child.round}: candidate {child.id[:6]} dropped after {end} of "
                    f"{len(self._order)} validation tasks, behind by {behind:.2f}"
                )
                if end < len(self._order):
                    self._session.report(replace(child, score=evaluation.score))
                    return False
                break
        self._keep(child)
        return self._score(child) > self._score(rival)

    def _behind(self, scores: Sequence[float | None]) -> float:
        """Return by how much a child is behind the best candidate; 0 if it may yet catch up.

        Args:
            scores: The child's scores on the first tasks.
        """
        standing = self._scores(self._best())
        differences = paired_differences(scores, standing[: len(scores)])
        if not differences:
            return 0.0
        # Even if all that is left went its way, a child that is behind by more stays behind.
        headroom = sum(_PERFECT - (score or 0.0) for score in standing[len(scores) :])
        caught_up = sum(differences) + headroom >= 0 and upper_bound(differences) >= 0
        return 0.0 if caught_up else max(0.0, -fmean(differences))

    async def _confirmed(self, candidate: Candidate) -> bool:
        """Run a candidate once more before it beats another one; return whether that was due.

        The seed was not chosen for its score, and needs none.
        """
        if candidate.round == 0 or candidate.id in self._confirmations:
            return False
        self._confirmations.add(candidate.id)
        await self._session.confirm(candidate.resources)
        return True

    async def _validate(self, candidate: Candidate) -> None:
        await self._session.evaluate(candidate.resources, self._order)
        self._keep(candidate)

    async def _fill(self, candidate: Candidate, batch: Sequence[Task]) -> None:
        await self._session.evaluate(candidate.resources, batch, repeats=1)

    def _keep(self, candidate: Candidate) -> None:
        """Take a validated candidate into the pool."""
        self._pool.append(
            self._session.report(
                replace(candidate, score=self._session.validation_score(candidate.resources))
            )
        )

    def _parent(self) -> Candidate:
        if self._search.parents == "best":
            return self._best()
        scores = [self._scores(candidate) for candidate in self._pool]
        wins = [0] * len(self._pool)
        for column in zip(*scores, strict=True):
            top = max((score for score in column if score is not None), default=None)
            for index, score in enumerate(column):
                wins[index] += score is not None and score == top
        return self._rng.choices(self._pool, weights=[w or 0 for w in wins])[0]

    def _best(self) -> Candidate:
        """Return the candidate of the highest validation score, the newest of equals."""
        return max(reversed(self._pool), key=self._score)

    def _score(self, candidate: Candidate) -> float:
        score = self._session.validation_score(candidate.resources)
        return float("-inf") if score is None else score

    def _scores(self, candidate: Candidate) -> list[float | None]:
        """Return a validated candidate's scores in the order of the races."""
        scores = self._session.validation(candidate.resources) or ()
        return [scores[task.index] for task in self._order]


def _shuffled(tasks: Dataset, rng: random.Random) -> list[Task]:
    order = list(tasks)
    rng.shuffle(order)
    return order


def _batches(tasks: Dataset, size: int, rng: random.Random) -> Iterator[list[Task]]:
    """Yield batches without end; no task comes again before all have."""
    stream = itertools.chain.from_iterable(_shuffled(tasks, rng) for _ in itertools.count())
    while True:
        drawn = itertools.islice(stream, min(size, len(tasks)))
        yield list({task.key: task for task in drawn}.values())


def _ends(total: int, size: int) -> list[int]:
    """Return where the blocks of a race end; less than half a block joins the one before it."""
    ends = list(range(size, total, size))
    if ends and total - ends[-1] < size / 2:
        ends.pop()
    return [*ends, total]


def _joined(critiques: Sequence[str]) -> str:
    if len(critiques) == 1:
        return critiques[0]
    return "\n\n".join(f"## Critique {n}\n\n{text}" for n, text in enumerate(critiques, start=1))
