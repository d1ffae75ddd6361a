from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

from agl_core.algorithms.pool import Pool, paired_differences, standard_error
from agl_core.candidates import Candidate
from agl_core.prompts.templates import PromptTemplate


def agent(task: int, prompt_template: PromptTemplate) -> float:
    """Be right on the tasks whose last digit the prompt names."""
    return float(str(task % 10) in prompt_template.format())


async def filled(session: Any, *texts: str) -> Pool:
    pool = Pool(session, list(reversed(session.val)), random.Random(0))
    for text in texts:
        candidate = Candidate({"prompt_template": PromptTemplate(text)})
        await session.evaluate(candidate.resources, session.val)
        pool.keep(candidate)
    return pool


def text(candidate: Candidate) -> str:
    return candidate.resources["prompt_template"].raw


async def test_the_best_is_the_newest_of_equals(engine: SimpleNamespace) -> None:
    async with engine.in_session(agent) as session:
        pool = await filled(session, "0", "01", "12", "3")
        assert text(pool.best()) == "12"
        assert text(pool.parent("best")) == "12"
        assert [c.score for c in session.candidates] == [0.25, 0.5, 0.5, 0.25]


async def test_the_newest_parent_is_level_with_the_best(engine: SimpleNamespace) -> None:
    async with engine.in_session(agent, val=range(100, 120)) as session:
        pool = await filled(session, "01", "45678", "0456", "12")
        assert text(pool.best()) == "45678"
        level = [text(c) for c in session.candidates if pool.is_level(c)]
        # With twenty tasks, to be a tenth behind is chance, and three tenths are not.
        assert level == ["45678", "0456"]
        assert text(pool.parent("newest")) == "0456"


def test_few_equal_scores_do_not_show_that_there_is_no_difference() -> None:
    assert standard_error([0.0] * 4) == 0.25
    assert standard_error([1.0, -1.0] * 8) > standard_error([1.0, -1.0] * 32) > 0.1


def test_pairs_without_a_score_are_left_out() -> None:
    assert paired_differences([1.0, None, 0.5], [0.5, 1.0, None]) == [0.5]


async def test_scores_are_in_the_order_of_the_races(engine: SimpleNamespace) -> None:
    async with engine.in_session(agent) as session:
        pool = await filled(session, "01")
        assert pool.scores(pool.best()) == [0.0, 0.0, 1.0, 1.0]
        assert pool.score(Candidate({"prompt_template": PromptTemplate("x")})) == float("-inf")


async def test_pareto_parents_are_best_on_some_task_as_often_as_they_are(
    engine: SimpleNamespace,
) -> None:
    async with engine.in_session(agent, initial={"prompt_template": "?"}) as session:
        pool = await filled(session, "0", "123", "")
        drawn = [text(pool.parent("pareto")) for _ in range(200)]
        assert set(drawn) == {"0", "123"}
        assert 120 <= drawn.count("123") <= 180
