from __future__ import annotations

from typing import Any

import pytest

from agl_core.algorithms.apo_prompts import critique_request, named_prompts, rewrite_request
from agl_core.prompts import PromptTemplate
from agl_core.rewards import Reward
from agl_core.rollouts import Rollout
from agl_core.spans import Span
from agl_core.traces import TraceToMessages

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
    return critique_request(resources, rollouts, TraceToMessages(), memory)


class TestCritique:
    def test_shows_prompts_and_runs(self) -> None:
        text = request(
            ONE,
            rollout(reward=Reward(0.5, "too small"), spans=(CHAT,), output={"room": "7"}),
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
        assert "Feedback: too small" in text
        assert "## Run 2: reward 0\n" in text
        assert "The agent failed:\nTraceback\nKeyError: 'x'" in text
        assert "## Run 3: reward none" in text

    def test_asks_which_prompts_to_change_if_there_are_several(self) -> None:
        assert "Prompts to change:" not in request(ONE, rollout())
        assert "Prompts to change:" in request(TWO, rollout())

    def test_cuts_what_is_long(self) -> None:
        text = request(
            ONE, rollout(task="t" * 99_999, output="o" * 99_999, error="e" * 99_999, score=None)
        )
        assert len(text) < 12_000
        assert text.count("… (cut)") == 3

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


class TestNamedPrompts:
    @pytest.mark.parametrize(
        ("critique", "names"),
        [
            ("Prompts to change: b, a", ["b", "a"]),
            ("Long talk about a.\n\nPrompts to change: b", ["b"]),
            ("**Prompts to change:** `a`", ["a"]),
            ("- prompt to change: b.", ["b"]),
            ("The prompt b is fine; a is not.", ["b", "a"]),
            ("Nothing by name.", []),
            ("Prompts to change: none", []),
            ("Prompts to change: plan-b", []),
        ],
    )
    def test_are_those_that_the_critique_says(self, critique: str, names: list[str]) -> None:
        assert named_prompts(critique, TWO) == names

    def test_are_not_found_within_longer_names(self) -> None:
        resources = dict.fromkeys(["plan", "planner", "langgraph:plan#system"], ONE["a"])
        assert named_prompts("Prompts to change: planner", resources) == ["planner"]
        assert named_prompts("Prompts to change: plan, planner", resources) == ["plan", "planner"]
