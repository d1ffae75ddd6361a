from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

from agl_core.algorithms.evidence import shuffled
from agl_core.algorithms.pool import Pool
from agl_core.algorithms.racing import Race, upper_bound
from agl_core.candidates import Candidate
from agl_core.prompts.templates import PromptTemplate

OPTIONS: dict[str, Any] = {
    "train": range(4),
    "val": range(100, 120),
    "initial": {"prompt_template": "0.5"},
}


def by_text(task: int, prompt_template: PromptTemplate) -> float:
    """Be right on as many of twenty tasks as the prompt says."""
    return float(task % 20 < 20 * float(prompt_template.format().split()[0]))


async def raced(session: Any, race: Race, *texts: str) -> list[bool]:
    """Race prompts one after another; return which held their own."""
    rng = random.Random(0)
    pool = Pool(session, shuffled(session.val, rng), rng)
    seed = Candidate(session.initial)
    await session.evaluate(seed.resources, pool.order)
    pool.keep(seed)
    outcomes: list[bool] = []
    for number, text in enumerate(texts, start=1):
        child = Candidate({"prompt_template": PromptTemplate(text)}, round=number)
        outcomes.append(await race.run(session, pool, child))
    session.best = pool.best().resources["prompt_template"].raw
    return outcomes


class TestRace:
    async def test_tells_better_equal_and_worse(self, engine: SimpleNamespace) -> None:
        async with engine.in_session(by_text, **OPTIONS) as session:
            assert await raced(session, Race(5), "0.9", "0.9 again", "0.1") == [True, True, False]
            assert session.best == "0.9 again"  # the newest of equals

    async def test_a_loser_costs_blocks_and_one_block_is_all(self, engine: SimpleNamespace) -> None:
        costs: list[int] = []
        for size in (5, 20):
            async with engine.in_session(by_text, **OPTIONS) as session:
                await raced(session, Race(size), "0.0")
                costs.append(session.usage.rollouts - 20)
                loser = {"prompt_template": PromptTemplate("0.0")}
                assert session.validation_score(loser) == (0.0 if size == 20 else None)
        assert costs[0] in (5, 10, 15)
        assert costs[1] == 20

    async def test_a_winner_is_confirmed_before_another_is_dropped_for_it(
        self, engine: SimpleNamespace
    ) -> None:
        for confirmations, best in ((1, "0.8"), (0, "0.4 lucky")):
            seen: Counter[Any] = Counter()

            def agent(
                task: int, prompt_template: PromptTemplate, *, seen: Counter[Any] = seen
            ) -> float:
                text = prompt_template.format()
                seen[task, text] += 1
                if "lucky" in text and seen[task, text] == 1:
                    return 1.0
                return by_text(task, prompt_template)

            async with engine.in_session(agent, **OPTIONS) as session:
                race = Race(5, confirmations)
                assert (await raced(session, race, "0.4 lucky", "0.8"))[0]
                assert session.best == best

    async def test_the_seed_is_not_confirmed(self, engine: SimpleNamespace) -> None:
        async with engine.in_session(by_text, **OPTIONS) as session:
            await raced(session, Race(5), "0.0")
            assert session.validation_runs(session.initial) == 1

    async def test_a_short_last_block_joins_the_one_before(self, engine: SimpleNamespace) -> None:
        watcher = engine.Watcher()
        options = {**OPTIONS, "val": range(100, 112)}
        async with engine.in_session(by_text, callback=watcher, **options) as session:
            await raced(session, Race(10), "0.0")
        assert "dropped after 12 of 12" in watcher.messages[0]


class TestUpperBound:
    def test_is_above_the_mean_and_closes_in_on_it(self) -> None:
        few, many = [-0.5, 0.5, -0.25], [-0.5, 0.5, -0.25] * 30
        assert upper_bound(few) > upper_bound(many) > sum(few) / 3

    def test_few_equal_scores_do_not_show_that_there_is_no_difference(self) -> None:
        assert upper_bound([0.0, 0.0]) > 0.5

    def test_a_plain_loser_is_seen(self) -> None:
        assert upper_bound([-1.0] * 8 + [0.0, 0.0]) < 0
