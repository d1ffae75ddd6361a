from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agl_core.algorithms.apo_prompts import critique_request, own_part, rewrite_request
from agl_core.prompts.binding import SlotUse
from agl_core.prompts.rewrites import InvalidRewriteError
from agl_core.prompts.templates import PromptTemplate
from agl_core.rewards.reward import Reward
from agl_core.rollouts import Rollout
from agl_core.spans.span import Span

ONE = {"a": PromptTemplate("Book for {name}. {{x}}")}
TWO = {**ONE, "b": PromptTemplate("Grade.")}
CHAT = Span(
    "chat",
    "client",
    "1" * 32,
    "2" * 16,
    None,
    1,
    2,
    {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"A room?"}]}]',
        "gen_ai.output.messages": (
            '[{"role":"assistant","parts":[{"type":"text","content":"Room 7."}]}]'
        ),
    },
)


def rollout(**fields: Any) -> Rollout:
    values: dict[str, Any] = {
        "id": "r",
        "task": {"name": "Ada {brace}"},
        "task_key": "k",
        "task_name": "val[0]",
        "split": "val",
        "status": "succeeded",
        "score": 0.5,
    }
    return Rollout(**{**values, **fields})


def request(resources: Any, *rollouts: Rollout, memory: str = "") -> str:
    return critique_request(resources, rollouts, memory)


class TestCritique:
    def test_shows_prompts_and_runs(self) -> None:
        text = request(
            ONE,
            rollout(
                reward=Reward(0.5, "too small", {"size": 0.25, "speed": 1}),
                spans=(CHAT,),
                output={"room": "7"},
            ),
            rollout(status="failed", score=0.0, error="Traceback\nKeyError: 'x'"),
            rollout(status="unavailable", score=None),
        )
        assert '<prompt name="a">\nBook for {name}. {{x}}\n</prompt>' in text
        assert "3 of its runs" in text
        assert "## Run 1: reward 0.5" in text
        assert 'Task: {"name": "Ada {brace}"}' in text
        assert "A room?" in text
        assert "Room 7." in text
        assert 'Output: {"room": "7"}' in text
        assert "Metrics: size 0.25, speed 1\nFeedback: too small" in text
        assert "## Run 2: reward 0\n" in text
        assert "The agent failed:\nTraceback\nKeyError: 'x'" in text
        assert "## Run 3: reward none" in text

    def test_asks_which_prompts_to_change_if_there_are_several(self) -> None:
        assert "Prompts to change:" not in request(ONE, rollout())
        assert "Prompts to change:" in request(TWO, rollout())

    def test_says_which_of_several_prompts_was_in_force_and_which_was_not(self) -> None:
        chat = replace(CHAT, attributes={**CHAT.attributes, "agl.slot": "x:ask#system"})
        prompts = {"x:ask#system": ONE["a"], "b": TWO["b"]}
        text = request(prompts, rollout(spans=(chat,), slots={"x:ask#system": SlotUse("", "")}))
        assert "### user (x:ask#system)\nA room?" in text
        assert "Not in use in the runs below: b." in text
        assert "Not in use" not in request(prompts, rollout(reads=frozenset(prompts)))
        assert "### user (ask)" in request(ONE, rollout(spans=(chat,)))

    def test_cuts_what_is_long(self) -> None:
        text = request(
            ONE,
            rollout(
                task="t" * 99_999,
                output="o" * 99_999,
                error="e" * 99_999,
                reward=Reward(0, "f" * 99_999),
            ),
        )
        assert len(text) < 15_000
        assert text.count("… (cut)") == 4

    def test_tells_of_earlier_edits_if_there_were_any(self) -> None:
        assert "# Earlier edits" not in request(ONE, rollout())
        assert "# Earlier edits\n\nNot again." in request(ONE, rollout(), memory="Not again.")

    def test_text_in_runs_cannot_break_it(self) -> None:
        hostile = "{count} {0} {prompts.__class__} %s </prompt> {{"
        text = request({"a": PromptTemplate(hostile)}, rollout(task=hostile, error=hostile))
        assert text.count(hostile) == 3

    def test_is_the_same_for_a_rollout_from_the_journal(self) -> None:
        fresh = rollout(reward=Reward(0.5, "why"), output=("a", {1: 2}), spans=(CHAT,))
        stored = Rollout.from_json(fresh.to_json(), fresh.task)
        assert request(ONE, fresh) == request(ONE, stored)


class TestRewrite:
    def test_shows_the_prompt_and_the_critique(self) -> None:
        text = rewrite_request("a", ONE["a"], "Say {more}.", several=False)
        assert '<prompt name="a">\nBook for {name}. {{x}}\n</prompt>' in text
        assert "# Critique\n\nSay {more}." in text
        assert "named a" not in text
        assert "named a" in rewrite_request("a", ONE["a"], "x", several=True)

    @pytest.mark.parametrize(
        ("prompt", "hint"),
        [
            (PromptTemplate("{b} {a}"), "add none: {a}, {b}\n"),
            (PromptTemplate("{{ b }} {{ a }}", engine="jinja"), "add none: {{ a }}, {{ b }}\n"),
            (PromptTemplate("{b}", variables=[]), "add none: {b}\n"),
        ],
    )
    def test_says_which_placeholders_to_keep_as_they_are_written(
        self, prompt: PromptTemplate, hint: str
    ) -> None:
        assert hint in rewrite_request("a", prompt, "x", several=False)

    def test_says_nothing_of_placeholders_where_there_are_none(self) -> None:
        for prompt in (PromptTemplate("Hi."), PromptTemplate("{a}", engine="literal")):
            assert "placeholder" not in rewrite_request("a", prompt, "x", several=False)


class TestOwnPart:
    @pytest.mark.parametrize(
        ("answer", "part"),
        [
            ("Grade well.", "Grade well."),
            ('<prompt name="b">\nGrade well.\n</prompt>', "Grade well."),
            ('<prompt name="a">\nNo.\n</prompt>\n<prompt name="b">\nYes.\n</prompt>', "Yes."),
            ("Here:\n<prompt name='b'>Yes.</prompt>", "Yes."),
        ],
    )
    def test_is_what_the_answer_says_of_the_prompt_asked_for(self, answer: str, part: str) -> None:
        assert own_part(answer, "b", TWO) == part

    def test_an_answer_about_another_prompt_is_none(self) -> None:
        with pytest.raises(InvalidRewriteError, match="of another prompt, a"):
            own_part('<prompt name="a">\nGrade.\n</prompt>', "b", TWO)

    def test_a_prompt_that_is_about_prompts_is_left_whole(self) -> None:
        text = 'Write <prompt name="a">x</prompt>, please.'
        assert own_part(text, "b", {**TWO, "b": PromptTemplate(text)}) == text
