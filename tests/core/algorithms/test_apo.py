from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.algorithms import APO, Algorithm
from agl_core.errors import ConfigurationError, ModelError
from agl_core.models.chat import RefusedError
from agl_core.prompts.templates import PromptTemplate
from agl_core.spending.budgets import Budget, BudgetExhaustedError

SPLITS = {"train": range(29), "val": range(100, 129), "initial": {"prompt_template": "You book."}}
SMALL: dict[str, Any] = {
    "val_batch_size": 10,
    "gradient_batch_size": 4,
    "beam_width": 2,
    "branch_factor": 2,
    "beam_rounds": 2,
}
SEARCHES: list[Callable[..., APO]] = [APO, APO.published]


def better_each_time(task: Any, prompt_template: PromptTemplate) -> float:
    """Succeed the more often, the more often the prompt was rewritten."""
    text = prompt_template.format()
    return float(random.Random(f"{task}{text}").random() < 0.3 + 0.2 * text.count("Say"))


class TestParameters:
    @pytest.mark.parametrize("apo", SEARCHES)
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("gradient_batch_size", 0),
            ("val_batch_size", -1),
            ("beam_width", 1.5),
            ("branch_factor", True),
            ("beam_rounds", "2"),
            ("max_prompt_chars", 0),
            ("diversity_temperature", -0.1),
            ("diversity_temperature", 2.1),
        ],
    )
    def test_out_of_range_are_refused_by_name(
        self, apo: Callable[..., APO], name: str, value: Any
    ) -> None:
        with pytest.raises(ConfigurationError, match=f"{name} is {value!r}"):
            apo("m", **{name: value})

    def test_have_the_published_names_and_defaults(self) -> None:
        settings = APO().settings()
        assert {name: settings[name] for name in SMALL} == {
            "val_batch_size": 16,
            "gradient_batch_size": 4,
            "beam_width": 4,
            "branch_factor": 4,
            "beam_rounds": 3,
        }
        assert settings["diversity_temperature"] == 1.0
        assert APO().models == ("gpt-5-mini", "gpt-4.1-mini")

    def test_name_the_models_together_or_one_by_one(self) -> None:
        assert APO("m").models == APO(model="m").models == ("m", "m")
        assert APO("m", gradient_model="g").models == ("g", "m")
        assert APO("m", apply_edit_model="e").models == ("m", "e")
        assert APO.published("m", gradient_model="g").models == ("g", "m")

    @pytest.mark.parametrize("apo", SEARCHES)
    def test_are_all_in_the_settings(self, apo: Callable[..., APO]) -> None:
        plain = json.dumps(apo("m").settings())
        numbers = dict.fromkeys([*SMALL, "max_prompt_chars"], 7)
        for name, value in {**numbers, "gradient_model": "g", "apply_edit_model": "e"}.items():
            assert json.dumps(apo("m", **{name: value}).settings()) != plain

    def test_tell_the_two_searches_apart(self) -> None:
        assert APO("m").settings() != APO.published("m").settings()

    @pytest.mark.parametrize("parameters", [{"demonstrations": 3}, {"parents": "pareto"}])
    def test_what_the_published_search_lacks_is_refused(self, parameters: Any) -> None:
        with pytest.raises(ConfigurationError, match=f"has no {next(iter(parameters))}"):
            APO.published("m", **parameters)
        assert isinstance(APO("m"), Algorithm)


@pytest.mark.parametrize("apo", SEARCHES)
class TestSearch:
    async def test_finds_better_prompts(
        self, engine: SimpleNamespace, apo: Callable[..., APO]
    ) -> None:
        client = engine.ScriptedModel()
        async with engine.in_session(better_each_time, client=client, **SPLITS) as session:
            await apo("m", **SMALL).run(session)
            scores = [session.validation_score(c.resources) for c in session.candidates]
            assert max(s for s in scores if s is not None) > scores[0] + 0.2
            assert session.usage.rollouts <= 229

    async def test_is_the_same_whatever_takes_how_long(
        self, engine: SimpleNamespace, apo: Callable[..., APO]
    ) -> None:
        async def run(salt: int, n_runners: int) -> list[Any]:
            def slow(text: str) -> float:
                return hashlib.sha256(f"{salt}{text}".encode()).digest()[0] / 50_000

            async def agent(task: Any, prompt_template: PromptTemplate) -> float:
                await asyncio.sleep(slow(f"{task}{prompt_template.raw}"))
                return better_each_time(task, prompt_template)

            client = engine.ScriptedModel(delay=slow)
            async with engine.in_session(
                agent, client=client, n_runners=n_runners, **SPLITS
            ) as session:
                await apo("m", **SMALL).run(session)
                return [
                    (c.id, c.parent, c.round, c.score, c.edit, session.validation(c.resources))
                    for c in (*session.candidates, *session.rejected)
                ]

        first = await run(1, n_runners=8)
        assert len(first) > 2
        assert await run(2, n_runners=8) == await run(3, n_runners=3) == first

    async def test_asks_at_the_temperature_it_was_given(
        self, engine: SimpleNamespace, apo: Callable[..., APO]
    ) -> None:
        client = engine.ScriptedModel()
        async with engine.in_session(better_each_time, client=client, **SPLITS) as session:
            await apo("m", diversity_temperature=0.3, **SMALL).run(session)
        assert set(client.temperatures) == {0.3}

    async def test_rejects_bad_rewrites_before_they_cost_a_rollout(
        self, engine: SimpleNamespace, apo: Callable[..., APO]
    ) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            assert prompt_template.format(room=1) == "You book 1."
            return 0.0

        def answer(request: str) -> str:
            return "No placeholder." if request.startswith("Rewrite") else "Be better."

        client = engine.ScriptedModel(answer)
        splits = {**SPLITS, "initial": {"prompt_template": "You book {room}."}}
        async with engine.in_session(agent, client=client, **splits) as session:
            await apo("m", **SMALL).run(session)
            assert len(session.candidates) == 1
            assert session.rejected
            assert all("loses {room}" in c.rejected for c in session.rejected)

    async def test_goes_on_where_calls_fail(
        self, engine: SimpleNamespace, apo: Callable[..., APO]
    ) -> None:
        def answer(request: str) -> str:
            if hashlib.sha256(request.encode()).digest()[0] % 3 == 0:
                raise ModelError("down")
            return engine.improve(request)

        client, watcher = engine.ScriptedModel(answer), engine.Watcher()
        async with engine.in_session(
            better_each_time, client=client, callback=watcher, **SPLITS
        ) as session:
            await apo("m", **{**SMALL, "beam_rounds": 4}).run(session)
            assert any(message.endswith(": down") for message in watcher.messages)
            assert len(session.candidates) > 1

    async def test_ends_where_credentials_are_refused(
        self, engine: SimpleNamespace, apo: Callable[..., APO]
    ) -> None:
        def answer(request: str) -> str:
            raise RefusedError("wrong key")

        client = engine.ScriptedModel(answer)
        async with engine.in_session(better_each_time, client=client, **SPLITS) as session:
            with pytest.raises(RefusedError, match="wrong key"):
                await apo("m", **SMALL).run(session)

    @pytest.mark.parametrize("rollouts", [1, 30, 50, 70])
    async def test_ends_with_the_budget(
        self, engine: SimpleNamespace, apo: Callable[..., APO], rollouts: int
    ) -> None:
        client = engine.ScriptedModel()
        async with engine.in_session(
            better_each_time, client=client, budget=Budget(rollouts=rollouts), **SPLITS
        ) as session:
            with pytest.raises(BudgetExhaustedError):
                await apo("m", **SMALL).run(session)
            assert session.usage.rollouts == rollouts
