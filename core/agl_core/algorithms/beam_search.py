"""The published search of APO: a beam search in which every branch pays for its own rollouts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agl_core.algorithms.concurrency import run_all
from agl_core.algorithms.editor import Editor
from agl_core.candidates import Candidate
from agl_core.datasets import Dataset, Task
from agl_core.errors import ModelError
from agl_core.models.chat import RefusedError
from agl_core.rollouts import Evaluation
from agl_core.session import Session
from agl_core.statistics.comparisons import paired_means
from agl_core.workloads import RunSize, Workload

__all__ = ["BeamSearch"]

# Waiting rollouts of a lower number go first: a branch's own rollouts hold up two model calls and
# then more rollouts, those of the beam hold up nothing before the end of the round.
_BRANCH, _CHILD, _BEAM, _VALIDATION = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class BeamSearch:
    """The order of steps that Agent Lightning published.

    Each round takes the prompts of the beam (repeated, if they are fewer than `beam_width`) and
    runs `branch_factor` branches from each, all at once: run the prompt on `gradient_batch_size`
    training tasks, have the runs critiqued, rewrite the prompt by the critique. Beam and children
    are then compared on the same `val_batch_size` validation tasks, the best `beam_width` stay, and
    the very best is evaluated on all of the validation set. Every one of these rollouts is fresh.
    """

    editor: Editor
    gradient_batch_size: int
    """Training tasks per branch."""
    val_batch_size: int
    """Validation tasks on which a round compares its candidates."""
    beam_width: int
    """Candidates kept from round to round."""
    branch_factor: int
    """Branches per kept candidate and round."""
    beam_rounds: int
    """Rounds."""
    run_initial_validation: bool
    """Whether the seed is evaluated on all of the validation set."""

    def workload(self, size: RunSize) -> Workload:
        """Return what a run takes: nothing of it depends on what is found."""
        branches = self.beam_width * self.branch_factor
        rollouts = self.run_initial_validation * size.val * size.repeats
        beam = 1
        for _ in range(self.beam_rounds):
            rollouts += branches * min(self.gradient_batch_size, size.train)
            compared = (beam + branches) * min(self.val_batch_size, size.val)
            rollouts += (compared + size.val) * size.repeats
            beam = min(self.beam_width, beam + branches)
        calls = self.beam_rounds * branches
        return Workload(rollouts, rollouts, 2 * calls, calls * (1 + size.prompts))

    async def run(self, session: Session) -> None:
        """Search; see `Algorithm`."""
        validations: list[asyncio.Task[None]] = []
        search = asyncio.create_task(self._search(session, validations))
        try:
            await asyncio.wait({search})
            # Even where the budget ended the search: what is in flight is paid for.
            await run_all([search, *validations])
        except asyncio.CancelledError:
            for job in (search, *validations):
                job.cancel()
            raise

    async def _search(self, session: Session, validations: list[asyncio.Task[None]]) -> None:
        seed = session.report(Candidate(session.initial))
        batches = _batches(session.val, self.val_batch_size, session.rng)
        if self.run_initial_validation:
            validations.append(asyncio.create_task(self._validate(session, seed)))
        beam = [seed]
        for number in range(1, self.beam_rounds + 1):
            beam = await self._round(session, number, beam, next(batches))
            validations.append(asyncio.create_task(self._validate(session, beam[0])))
            if session.budget.patience is not None:
                await run_all(validations)  # what the round found has to be known
            session.end_round()

    async def _validate(self, session: Session, candidate: Candidate) -> None:
        await session.evaluate(candidate.resources, session.val, priority=_VALIDATION)
        session.report(candidate)

    async def _round(
        self, session: Session, number: int, beam: Sequence[Candidate], batch: Sequence[Task]
    ) -> list[Candidate]:
        """Make children of the beam, compare all on one batch, return the best, best first.

        Children are reported and compared in the order of their branches, whichever call was
        answered first, so that a run can be repeated.
        """
        parents = [beam[i % len(beam)] for i in range(self.beam_width)]
        branches = [
            _Branch(number, i, j, parent, random.Random(session.rng.getrandbits(64)))
            for i, parent in enumerate(parents)
            for j in range(self.branch_factor)
        ]
        children: list[Candidate | None] = [None] * len(branches)
        evaluations: dict[str, Evaluation] = {}

        async def score(candidate: Candidate, priority: int) -> None:
            evaluations[candidate.id] = await session.evaluate(
                candidate.resources, batch, repeat=f"round-{number}", priority=priority
            )

        async def grow(place: int) -> None:
            children[place] = child = await self._child(session, branches[place])
            if child is not None and not child.rejected:
                await score(child, _CHILD)

        try:
            await run_all(
                [
                    *(score(candidate, _BEAM) for candidate in beam),
                    *(grow(place) for place in range(len(branches))),
                ]
            )
        finally:
            scores = paired_means({name: run.scores for name, run in evaluations.items()})
            grown = self._reported(session, beam, children, scores)
        rivals = [replace(candidate, score=scores[candidate.id]) for candidate in beam] + grown
        rivals.sort(key=lambda c: float("-inf") if c.score is None else c.score, reverse=True)
        kept = rivals[: self.beam_width]
        shown = ", ".join("none" if c.score is None else f"{c.score:.3f}" for c in kept)
        session.say(f"round {number} of {self.beam_rounds}: kept {len(kept)}, scoring {shown}")
        return kept

    @staticmethod
    def _reported(
        session: Session,
        beam: Sequence[Candidate],
        children: Sequence[Candidate | None],
        scores: Mapping[str, float | None],
    ) -> list[Candidate]:
        """Enter the children into the history; return those that are prompts of their own."""
        known = {candidate.id for candidate in beam}
        grown: list[Candidate] = []
        for child in children:
            if child is None:
                continue
            if child.rejected:
                session.report(child)
            elif child.id in known:
                session.say(f"{child.metadata['branch']}: the same prompt as another one; dropped")
            else:
                known.add(child.id)
                grown.append(session.report(replace(child, score=scores.get(child.id))))
        return grown

    async def _child(self, session: Session, branch: _Branch) -> Candidate | None:
        """Make a child of a candidate; None if a model call failed."""
        parent = branch.parent
        size = min(len(session.train), self.gradient_batch_size)
        tasks = branch.rng.sample(list(session.train), size)
        evaluation = await session.evaluate(
            parent.resources, tasks, repeat=branch.label, repeats=1, priority=_BRANCH
        )
        try:
            critique = await self.editor.critique(
                session, parent.resources, evaluation, branch.label
            )
            return await self.editor.rewrite(
                session, parent, [critique], branch.label, branch.round
            )
        except RefusedError:
            raise
        except ModelError as error:
            session.say(f"{branch.label}: {error}")
            return None


@dataclass(frozen=True, slots=True)
class _Branch:
    """One attempt at a child, with randomness of its own: no branch's draws depend on another's."""

    round: int
    index: int
    number: int
    parent: Candidate
    rng: random.Random

    @property
    def label(self) -> str:
        return f"round {self.round}, parent {self.index + 1}, branch {self.number + 1}"


def _batches(val: Dataset, size: int, rng: random.Random) -> Iterator[Sequence[Task]]:
    """Yield batches of the validation set without end, going through it in shuffled passes."""
    while True:
        tasks = list(val)
        rng.shuffle(tasks)
        for start in range(0, max(1, len(tasks) - size + 1), size):
            yield tasks[start : start + size]
