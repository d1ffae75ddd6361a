from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

from agl_core.algorithms.evidence import Evidence, SharedBatch
from agl_core.candidates import Candidate
from agl_core.prompts.templates import PromptTemplate


def agent(task: int, prompt_template: PromptTemplate) -> float:
    return task / 10 if prompt_template.format() else 0.0


def opened(session: Any, size: int, critiques: int) -> Evidence:
    return SharedBatch(size, critiques).open(session, random.Random(0))


async def test_what_fell_short_is_shared_out_worst_first(engine: SimpleNamespace) -> None:
    async with engine.in_session(agent, train=range(11)) as session:
        evidence = opened(session, 11, 3)
        groups = await evidence.gather(Candidate(session.initial))
        assert [[r.task for r in group] for group in groups] == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]
        assert len(evidence.rollouts) == 11


async def test_there_are_no_more_groups_than_rollouts(engine: SimpleNamespace) -> None:
    async with engine.in_session(agent, train=[10, 9]) as session:
        (group,) = await opened(session, 2, 8).gather(Candidate(session.initial))
        assert [rollout.task for rollout in group] == [9]
    async with engine.in_session(agent, train=[10]) as session:
        assert await opened(session, 2, 8).gather(Candidate(session.initial)) == []


async def test_no_task_comes_again_before_all_have(engine: SimpleNamespace) -> None:
    async with engine.in_session(agent, train=range(8)) as session:
        evidence = opened(session, 4, 1)
        for _ in range(4):
            await evidence.gather(Candidate(session.initial))
        tasks = [rollout.task for rollout in evidence.rollouts]
        assert sorted(tasks[:8]) == sorted(tasks[8:]) == list(range(8))
        assert session.usage.rollouts == 8


async def test_what_was_prepared_is_not_run_again(engine: SimpleNamespace) -> None:
    async with engine.in_session(agent, train=range(8), repeats=3) as session:
        evidence, seed = opened(session, 4, 1), Candidate(session.initial)
        await evidence.prepare(seed)
        await evidence.gather(seed)
        # Once, whatever the trainer's repeats: the rollouts count, not the score.
        assert session.usage.rollouts == len(evidence.rollouts) == 4
