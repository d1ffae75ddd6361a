"""The default search of APO: large steps first, raced against the incumbent."""

from __future__ import annotations

import random
import re
from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.algorithms import APO
from agl_core.errors import ModelError
from agl_core.models.chat import RefusedError
from agl_core.prompts.templates import PromptTemplate

SPLITS: dict[str, Any] = {
    "train": range(12),
    "val": range(100, 120),
    "initial": {"prompt_template": "You book."},
}
RULES = re.compile(r"Rule \d\.")


def apo(**parameters: Any) -> APO:
    defaults: dict[str, Any] = {
        "gradient_batch_size": 2,
        "val_batch_size": 5,
        "beam_width": 2,
        "branch_factor": 1,
        "beam_rounds": 2,
    }
    return APO("m", **{**defaults, **parameters})


def by_rules(good: str) -> Any:
    """Return an agent that is right on the more tasks, the more good rules its prompt has."""

    def agent(task: Any, prompt_template: PromptTemplate) -> float:
        rules = set(RULES.findall(prompt_template.format()))
        right = sum(f"Rule {n}." in rules for n in good)
        wrong = len(rules) - right
        return float(task % 10 < 3 + 3 * right - 3 * wrong)

    return agent


def critics(*rules: str) -> Any:
    """Answer critiques in turn by these rules, and rewrites by adding all rules of the critique."""
    waiting = list(rules)

    def answer(request: str) -> str:
        if not request.startswith("Rewrite a prompt"):
            return f"The prompt lacks: {waiting.pop(0) if waiting else 'Rule 9.'}"
        prompt = re.findall(r"<prompt name=\"[^\"]*\">\n(.*?)\n</prompt>", request, re.DOTALL)[0]
        added = [r for r in dict.fromkeys(RULES.findall(request)) if r not in prompt]
        return " ".join([prompt, *added])

    return answer


def validated(session: Any) -> dict[str, float]:
    return {
        c.resources["prompt_template"].raw: session.validation_score(c.resources)
        for c in session.candidates
        if session.validation(c.resources) is not None
    }


async def test_the_critiques_of_a_round_are_one_step(engine: SimpleNamespace) -> None:
    client = engine.ScriptedModel(critics("Rule 1.", "Rule 2."))
    async with engine.in_session(by_rules("12"), client=client, **SPLITS) as session:
        await apo(beam_rounds=1).run(session)
        assert validated(session) == {"You book.": 0.3, "You book. Rule 1. Rule 2.": 0.9}
        # The seed and the child on all of val; the seed on a batch of 2 x 2 x 1 training tasks.
        assert session.usage.rollouts == 20 + 20 + 4
        assert len(client.requests) == 3


async def test_a_step_that_is_worse_is_dropped_and_the_next_critic_told(
    engine: SimpleNamespace,
) -> None:
    rules = ["Rule 1. Rule 7.", "Rule 8.", "Rule 1.", "Rule 2."]
    client, watcher = engine.ScriptedModel(critics(*rules)), engine.Watcher()
    async with engine.in_session(
        by_rules("12"), client=client, callback=watcher, **SPLITS
    ) as session:
        await apo().run(session)
        assert validated(session) == {"You book.": 0.3, "You book. Rule 1. Rule 2.": 0.9}
    assert any("dropped after" in message for message in watcher.messages)
    critiques = [r for r in client.requests if not r.startswith("Rewrite a prompt")]
    assert "Earlier edits" not in critiques[0]
    told = critiques[-1].partition("Earlier edits")[2]
    assert "Rule 7." in told
    assert "Rule 8." in told


async def test_a_step_that_is_no_better_is_built_upon(engine: SimpleNamespace) -> None:
    def agent(task: Any, prompt_template: PromptTemplate) -> float:
        """Gain by both rules together; the first one alone costs a task of the twenty."""
        rules = set(RULES.findall(prompt_template.format()))
        return float(
            task % 10 < 9 if len(rules) == 2 else task % 20 in (range(3, 8) if rules else range(6))
        )

    for parents, found in (("newest", 0.9), ("best", 0.3)):
        client = engine.ScriptedModel(critics("Rule 1.", "Rule 1.", "Rule 2.", "Rule 2."))
        async with engine.in_session(agent, client=client, **SPLITS) as session:
            await apo(parents=parents).run(session)
            assert max(validated(session).values()) == found


async def test_a_loser_costs_blocks_not_the_whole_set(engine: SimpleNamespace) -> None:
    client, watcher = engine.ScriptedModel(critics("Rule 7.")), engine.Watcher()
    async with engine.in_session(
        by_rules("1"), client=client, callback=watcher, **{**SPLITS, "train": [4]}
    ) as session:
        await apo(beam_rounds=1).run(session)
        loser = session.candidates[1]
        assert len(watcher.run) < 20 + 1 + 20
        assert loser.score == 0.0
        assert session.validation(loser.resources) is None


async def test_what_was_learned_goes_into_later_rewrites(engine: SimpleNamespace) -> None:
    client = engine.ScriptedModel(critics("Rule 1.", "Rule 1.", "Rule 2.", "Rule 2."))
    async with engine.in_session(by_rules("12"), client=client, **SPLITS) as session:
        await apo().run(session)
    rewrites = [r for r in client.requests if r.startswith("Rewrite a prompt")]
    assert "Earlier critiques" not in rewrites[0]
    assert "Earlier critiques" in rewrites[-1]
    assert "Rule 1." in rewrites[-1].partition("Earlier critiques")[2]


async def test_an_edit_that_failed_is_told_to_the_next_critic(engine: SimpleNamespace) -> None:
    client = engine.ScriptedModel(critics("Rule 7.", "Rule 7.", "Rule 1.", "Rule 1."))
    async with engine.in_session(by_rules("1"), client=client, **SPLITS) as session:
        await apo().run(session)
        assert max(validated(session).values()) == 0.6
    critiques = [r for r in client.requests if not r.startswith("Rewrite a prompt")]
    assert "Earlier edits" not in critiques[0]
    assert "Rule 7." in critiques[-1].partition("Earlier edits")[2]


async def test_a_lucky_candidate_is_run_again_before_it_beats_another(
    engine: SimpleNamespace,
) -> None:
    """Rule 1 looks good the first time on each task, and is worth nothing ever after."""
    seen: set[Any] = set()

    def agent(task: Any, prompt_template: PromptTemplate) -> float:
        text = prompt_template.format()
        if "Rule 2." in text:
            return float(task % 10 < 6)
        if "Rule 1." in text and task not in seen:
            seen.add(task)
            return float(task % 10 < 9)
        return float(task % 10 < 3)

    client = engine.ScriptedModel(critics("Rule 1.", "Rule 1.", "Rule 2.", "Rule 2."))
    async with engine.in_session(agent, client=client, **SPLITS) as session:
        await apo().run(session)
        scores = validated(session)
    assert scores["You book. Rule 1."] == pytest.approx((0.9 + 0.3) / 2)
    assert scores["You book. Rule 1. Rule 2."] == pytest.approx(0.6)


async def test_ends_when_nothing_is_left_to_gain(engine: SimpleNamespace) -> None:
    client = engine.ScriptedModel(critics("Rule 1.", "Rule 2."))

    def agent(task: Any, prompt_template: PromptTemplate) -> float:
        return float("Rule 1." in prompt_template.format() or task % 2)

    async with engine.in_session(agent, client=client, **SPLITS) as session:
        await apo(beam_rounds=9).run(session)
        assert max(validated(session).values()) == 1.0
    assert len(client.requests) <= 3


def by_length(task: Any, prompt_template: PromptTemplate) -> float:
    """Score a prompt by its length, with some luck by task and text."""
    text = prompt_template.format()
    return min(1.0, len(text) / 200) * random.Random(f"{task}{text}").random()


async def test_is_the_same_whatever_the_latency(engine: SimpleNamespace) -> None:
    histories: list[Any] = []
    for delay in (lambda request: 0.0, lambda request: random.Random(request).random() / 50):
        client = engine.ScriptedModel(engine.improve, delay)
        async with engine.in_session(by_length, client=client, **SPLITS) as session:
            await apo(branch_factor=2).run(session)
            histories.append([(c.id, c.parent, c.round, c.edit) for c in session.candidates])
    assert histories[0] == histories[1]


async def test_a_call_that_fails_costs_a_critique_and_a_refusal_the_run(
    engine: SimpleNamespace,
) -> None:
    answers = critics("Rule 1.")

    def failing(request: str) -> str:
        if "Rewrite" not in request[:10] and "reward 0" in request and not done:
            done.append(True)
            raise ModelError("no")
        return answers(request)

    done: list[bool] = []
    async with engine.in_session(
        by_rules("1"), client=engine.ScriptedModel(failing), **SPLITS
    ) as session:
        await apo(beam_rounds=1).run(session)
        assert max(validated(session).values()) == 0.6

    def refusing(request: str) -> str:
        raise RefusedError("401")

    async with engine.in_session(
        by_rules("1"), client=engine.ScriptedModel(refusing), **SPLITS
    ) as session:
        with pytest.raises(RefusedError):
            await apo().run(session)


async def test_pareto_parents_come_from_those_that_are_best_somewhere(
    engine: SimpleNamespace,
) -> None:
    client = engine.ScriptedModel(critics(*["Rule 1.", "Rule 2."] * 9))
    async with engine.in_session(by_rules("12"), client=client, **SPLITS) as session:
        await apo(parents="pareto", beam_rounds=3).run(session)
        assert max(validated(session).values()) == 0.9
