from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import agl_adapters as agl

GATHERING = (
    "Call list_rooms with the day of the request. "
    "Call list_rooms with the building that the request names."
)
DECIDING = (
    "Only pick a room whose capacity is at least the number of people. "
    "Only pick a room with no booking that overlaps the requested time."
)


@pytest.fixture
def improved_by_rules() -> Callable[..., bool]:
    """Whether a room-booking program scores higher with prompts that state rules of the house."""

    def improved(program: Any, planner: str, decider: str) -> bool:
        better = {planner: GATHERING, decider: DECIDING}

        @agl.algorithm
        async def propose(session: agl.Session) -> None:
            for resources in (session.initial, better):
                evaluation = await session.evaluate(resources, session.val)
                session.report(resources, score=evaluation.score)

        rooms = program.rooms
        agent = agl.wrap(
            program.book_room,
            input=lambda task: task["input"],
            reward=lambda task, answer: rooms.grade_booking(answer, task["expected_room"]),
        )
        trainer = agl.Trainer(algorithm=propose, n_runners=8)
        result = trainer.fit(agent, rooms.load_tasks("train"), rooms.load_tasks("val"))
        best = {name: prompt.raw for name, prompt in result.best.items()}
        return best == better and (result.best_score or 0.0) > (result.seed_score or 0.0)

    return improved
