from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from agl_core.algorithms.steps import AllCritiques, EachCritique, MergedCritiques, Round
from agl_core.candidates import Candidate
from agl_core.edits import Critique, joined
from agl_core.prompts.templates import PromptTemplate


class Proposing:
    """Makes a child whose prompt is its critique; drops those that say so."""

    async def child(
        self, key: str, parent: Candidate, critiques: Sequence[Critique], number: int
    ) -> Candidate:
        return Candidate({"p": PromptTemplate(joined(critiques))}, metadata={"branch": key})

    def admit(self, candidate: Candidate | None) -> Candidate | None:
        return None if candidate is None or "drop" in candidate.resources["p"].raw else candidate


def make(*critiques: str) -> tuple[Round, list[str]]:
    """Return a round in which prompts without `bad` are better, and where races are noted."""
    raced: list[str] = []

    async def race(candidate: Candidate) -> bool:
        raced.append(candidate.metadata["branch"])
        return "bad" not in candidate.resources["p"].raw

    proposals: Any = Proposing()
    given = [Critique(text, text) for text in critiques]
    return Round(1, Candidate({}), given, proposals, race), raced


def texts(critiques: Sequence[Critique]) -> list[str]:
    return [critique.text for critique in critiques]


async def taken(round: Round) -> None:
    for step in (AllCritiques(), EachCritique(), MergedCritiques()):
        if await step.take(round):
            return


async def test_a_large_step_that_is_better_ends_the_round() -> None:
    round, raced = make("a", "b")
    await taken(round)
    assert raced == ["round 1, all critiques"]
    assert (texts(round.kept), round.failed) == (["a", "b"], [])


async def test_one_that_is_not_is_taken_in_parts_and_the_good_ones_merged() -> None:
    round, raced = make("a", "bad", "c")
    await taken(round)
    assert raced == [
        "round 1, all critiques",
        "round 1, critique 1",
        "round 1, critique 2",
        "round 1, critique 3",
        "round 1, merged critiques",
    ]
    assert (texts(round.kept), texts(round.failed)) == (["a", "c"], ["bad"])


@pytest.mark.parametrize("critiques", [("a", "bad"), ("bad", "drop"), ("bad", "worse bad")])
async def test_of_less_than_two_good_ones_nothing_is_merged(critiques: tuple[str, ...]) -> None:
    round, raced = make(*critiques)
    await taken(round)
    assert "round 1, merged critiques" not in raced
    assert "bad" in texts(round.failed)


async def test_a_single_critique_is_tried_once() -> None:
    round, raced = make("bad")
    await taken(round)
    assert (raced, texts(round.failed)) == (["round 1, all critiques"], ["bad"])


async def test_a_rewrite_that_cannot_be_used_is_asked_for_once_more() -> None:
    class Stumbling(Proposing):
        """Drops the first child."""

        def __init__(self) -> None:
            self.asked = 0

        def admit(self, candidate: Candidate | None) -> Candidate | None:
            self.asked += 1
            return None if self.asked == 1 else super().admit(candidate)

    round, raced = make("a", "b")
    stumbling: Any = Stumbling()
    round.proposals = stumbling
    assert await AllCritiques().take(round)
    assert raced == ["round 1, all critiques, once more"]
    assert texts(round.kept) == ["a", "b"]
    round, raced = make("drop")
    assert not await AllCritiques().take(round)
    assert raced == []


async def test_what_is_not_admitted_is_not_raced_and_has_failed() -> None:
    round, raced = make("drop", "c")
    await taken(round)
    assert raced == ["round 1, critique 2"]
    assert (texts(round.kept), texts(round.failed)) == (["c"], ["drop"])
