"""Steps: how a round makes children of its parent, large steps first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agl_core.algorithms.concurrency import run_all
from agl_core.algorithms.proposals import Proposals
from agl_core.candidates import Candidate
from agl_core.edits import Critique

__all__ = ["AllCritiques", "EachCritique", "MergedCritiques", "Round", "Step"]


@dataclass(slots=True)
class Round:
    """One round of a search, as its steps see it."""

    number: int
    parent: Candidate
    critiques: Sequence[Critique]
    proposals: Proposals
    race: Callable[[Candidate], Awaitable[bool]]
    """Runs a candidate against the best one; returns whether it holds its own."""
    kept: list[Critique] = field(default_factory=list[Critique])
    """Critiques whose rewrite held its own."""
    failed: list[Critique] = field(default_factory=list[Critique])
    """Critiques whose rewrite did not."""

    async def child(self, critiques: Sequence[Critique], label: str) -> Candidate | None:
        """Return a child of the parent, or None if a call failed."""
        key = f"round {self.number}, {label}"
        return await self.proposals.child(key, self.parent, critiques, self.number)


class Step(Protocol):
    """A way to make children. Steps are taken one after another, until one ends the round."""

    async def take(self, round: Round) -> bool:
        """Make children and race them; return whether the round is over."""
        ...

    def most_children(self, critiques: int) -> int:
        """Return how many children it makes of so many critiques, at most."""
        ...


@dataclass(frozen=True, slots=True)
class AllCritiques:
    """One child that takes in all critiques of the round. The round is over, unless it is worse.

    A rewrite that cannot be used is asked for once more: the critiques cost a batch of rollouts.
    """

    async def take(self, round: Round) -> bool:
        """Take the step; see `Step`."""
        child = await self._child(round, "all critiques")
        if child is None:
            child = await self._child(round, "all critiques, once more")
        if child is None:
            return False
        if await round.race(child):
            round.kept.extend(round.critiques)
            return True
        round.failed.extend(round.critiques)
        return len(round.critiques) == 1

    async def _child(self, round: Round, label: str) -> Candidate | None:
        return round.proposals.admit(await round.child(round.critiques, label))

    def most_children(self, critiques: int) -> int:
        """Return the number of children; see `Step`."""
        return 1


@dataclass(frozen=True, slots=True)
class EachCritique:
    """A child of each single critique."""

    async def take(self, round: Round) -> bool:
        """Take the step; see `Step`."""
        labels = [f"critique {number}" for number in range(1, len(round.critiques) + 1)]
        children = await run_all(
            round.child([critique], label)
            for critique, label in zip(round.critiques, labels, strict=True)
        )
        round.failed.clear()  # a critique's own child tells more of it than one of several does
        # In their order, whichever was made first: a run can be repeated.
        admitted = [round.proposals.admit(child) for child in children]
        for critique, child in zip(round.critiques, admitted, strict=True):
            held = child is not None and await round.race(child)
            (round.kept if held else round.failed).append(critique)
        return False

    def most_children(self, critiques: int) -> int:
        """Return the number of children; see `Step`."""
        return critiques


@dataclass(frozen=True, slots=True)
class MergedCritiques:
    """One child that takes in the critiques whose own children held their own."""

    async def take(self, round: Round) -> bool:
        """Take the step; see `Step`."""
        if len(round.kept) > 1:
            merged = round.proposals.admit(await round.child(round.kept, "merged critiques"))
            if merged is not None:
                await round.race(merged)
        return False

    def most_children(self, critiques: int) -> int:
        """Return the number of children; see `Step`."""
        return int(critiques > 1)
