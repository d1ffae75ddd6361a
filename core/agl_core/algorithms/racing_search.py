"""The default search of APO: large steps first, raced against the incumbent."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agl_core.algorithms.concurrency import run_all
from agl_core.algorithms.demonstrations import Demonstrations
from agl_core.algorithms.editor import Editor
from agl_core.algorithms.evidence import EvidenceSource, shuffled
from agl_core.algorithms.memory import CritiqueMemory
from agl_core.algorithms.pool import ParentChoice, Pool
from agl_core.algorithms.proposals import Proposals
from agl_core.algorithms.racing import PERFECT, Race
from agl_core.algorithms.steps import AllCritiques, Round, Step
from agl_core.candidates import Candidate
from agl_core.edits import Critique
from agl_core.session import Session
from agl_core.workloads import RunSize, Workload

__all__ = ["RacingSearch"]


@dataclass(frozen=True, slots=True)
class RacingSearch:
    """Each round improves one parent by as few rollouts as it takes.

    The parent is run on training tasks, once for all its children, and what fell short is shared
    out among critiques. A child takes in all critiques of the round and is raced against the best
    candidate. If it holds its own, the next round builds upon it. If it is worse, critics are told
    what has failed.

    What was run before is not run again: the same prompts on the same task are one rollout.
    """

    editor: Editor
    evidence: EvidenceSource
    """Where critiques come from."""
    race: Race
    """How a child is compared with the best candidate."""
    rounds: int
    """Rounds."""
    parents: ParentChoice = "newest"
    """How a round chooses its parent."""
    steps: Sequence[Step] = (AllCritiques(),)
    """How a round makes children of it. `EachCritique` and `MergedCritiques` after the first would
    take a step that was worse in parts. That costs a validation for each critique, for which rounds
    with fresh critiques bring more."""
    memory: Callable[[], CritiqueMemory] = CritiqueMemory
    """What is kept of earlier critiques."""
    demonstrations: Demonstrations | None = None
    """Examples that are added to the best candidate in the end, and raced like any other edit."""

    def workload(self, size: RunSize) -> Workload:
        """Return what a run takes.

        Expected is that each round's first step is kept; at most every step is taken each time, a
        rewrite is asked for once more, and every child is confirmed.
        """
        validation = size.val * size.repeats
        batch, critiques = self.evidence.rollouts(size.train), self.evidence.critiques
        children = sum(step.most_children(critiques) for step in self.steps)
        runs = self.rounds * children + (self.demonstrations is not None)
        confirmed = runs * (1 + self.race.confirmations) * validation
        return Workload(
            rollouts=validation + self.rounds * (batch + validation),
            most_rollouts=validation + self.rounds * batch + confirmed,
            calls=self.rounds * (critiques + size.prompts),
            most_calls=self.rounds * (critiques + (children + 1) * size.prompts),
        )

    async def run(self, session: Session) -> None:
        """Search; see `Algorithm`."""
        await _Run(self, session).search()


class _Run:
    """One search and its parts."""

    def __init__(self, search: RacingSearch, session: Session) -> None:
        rng = random.Random(session.rng.getrandbits(64))
        self._search = search
        self._session = session
        self._memory = search.memory()
        self._pool = Pool(session, shuffled(session.val, rng), rng)
        self._evidence = search.evidence.open(session, rng)
        self._proposals = Proposals(session, search.editor, self._memory)

    async def search(self) -> None:
        session, pool = self._session, self._pool
        seed = Candidate(session.initial)
        self._proposals.admit(seed)
        await run_all([self._validate(seed), self._evidence.prepare(seed)])
        for number in range(1, self._search.rounds + 1):
            if pool.score(pool.best()) >= PERFECT:
                session.say("the best candidate is right on every validation task")
                return
            await self._round(number, pool.parent(self._search.parents))
            session.end_round()
        if self._search.demonstrations is not None:
            await self._demonstrate(self._search.demonstrations)

    async def _demonstrate(self, demonstrations: Demonstrations) -> None:
        best = self._pool.best()
        if self._pool.score(best) < PERFECT:
            shown = demonstrations.added(self._session, best, self._evidence.rollouts)
            child = self._proposals.admit(shown)
            if child is not None:
                await self._raced(child)

    async def _round(self, number: int, parent: Candidate) -> None:
        """Make children of a parent, and remember what failed."""
        groups = await self._evidence.gather(parent)
        if not groups:
            self._session.say(f"round {number}: no training task on which the parent falls short")
            return
        critiques = await run_all(
            self._proposals.critique(f"round {number}, critique {n}", parent, group)
            for n, group in enumerate(groups, start=1)
        )
        distinct: dict[str, Critique] = {}
        for critique in critiques:
            if critique is not None and critique.text:
                distinct.setdefault(critique.text, critique)
        if not distinct:
            return
        round = Round(number, parent, list(distinct.values()), self._proposals, self._raced)
        for step in self._search.steps:
            if await step.take(round):
                break
        self._memory.failed.extend(round.failed)

    async def _validate(self, seed: Candidate) -> None:
        await self._session.evaluate(seed.resources, self._pool.order)
        self._pool.keep(seed)

    async def _raced(self, child: Candidate) -> bool:
        return await self._search.race.run(self._session, self._pool, child)
