from __future__ import annotations

import pytest

from agl_core.algorithms.fault_finding import (
    SlotsToRewrite,
    named_prompts,
    prompts_to_rewrite,
)
from agl_core.edits import Critique

SLOTS = ["langgraph:planner#system", "langgraph:graph/decider#system", "langgraph:plan#system"]
PLANNER, DECIDER, PLAN = SLOTS


class TestNamedPrompts:
    @pytest.mark.parametrize(
        ("critique", "names"),
        [
            ("Prompts to change: b, a", ("b", "a")),
            ("Long talk about a.\n\nPrompts to change: b", ("b",)),
            ("**Prompts to change:** `a`", ("a",)),
            ("- prompt to change: b.", ("b",)),
            ("PROMPTS TO CHANGE\n\nof a: none", ("a",)),
            ("Prompts to change:\n\n1. `b`\n2. a\n\nThat is all.", ("b", "a")),
            ("Prompts to change:\n- **b** (the rules)", ("b",)),
            ("Prompts to change: a\nNo, wait.\nPrompts to change: b", ("b",)),
            ("The prompt b is fine; a is not.", ("b", "a")),
            ("All is well with a.\nPrompts to change: none", ()),
            ("Prompts to change: **None**.", ()),
            ("Prompts to change: c\nas I said of b", ("b",)),
            ("Nothing by name.", None),
            ("Prompts to change: plan-b", None),
            ("", None),
        ],
    )
    def test_are_those_that_the_critique_says(
        self, critique: str, names: tuple[str, ...] | None
    ) -> None:
        assert named_prompts(critique, ["a", "b"]) == names

    @pytest.mark.parametrize(
        ("listed", "names"),
        [
            (PLANNER, (PLANNER,)),
            (f"[{DECIDER}], `{PLANNER}`", (DECIDER, PLANNER)),
            ("planner", (PLANNER,)),
            ("Planner, DECIDER", (PLANNER, DECIDER)),
            ("the system prompt of the decider", (DECIDER,)),
            ("langgraph:planner", (PLANNER,)),
            ("LangGraph / Planner (system)", (PLANNER,)),
            ("langgraph\\_planner\\_system", (PLANNER,)),
            ("graph/decider", (DECIDER,)),
            ("plan", (PLAN,)),
            ("planner and plan", (PLANNER, PLAN)),
            ("replanner", None),
            ("router", None),
        ],
    )
    def test_may_be_written_in_another_way(
        self, listed: str, names: tuple[str, ...] | None
    ) -> None:
        assert named_prompts(f"Prompts to change: {listed}", SLOTS) == names

    def test_a_path_with_two_prompts_means_both(self) -> None:
        slots = ["langgraph:planner#system", "langgraph:planner#user"]
        assert named_prompts("Prompts to change: planner", slots) == tuple(slots)
        assert named_prompts("Prompts to change: planner#user", slots[1:]) == (slots[1],)

    def test_a_plain_word_in_the_text_is_no_name(self) -> None:
        slots = ["openai:app.answer#system", "openai:app.plan#system"]
        assert named_prompts("The answer was wrong, as was the plan.", slots) is None
        assert named_prompts("It is openai:app.plan that errs.", slots) == (slots[1],)


class TestPromptsToRewrite:
    BOTH = (
        Critique("1", "x", ("b", "a")),
        Critique("2", "x", ("a",)),
        Critique("3", "x", ("a", "b")),
    )

    @pytest.mark.parametrize(
        ("choice", "turn", "names"),
        [
            ("at_fault", 0, ["a", "b"]),
            ("one", 0, ["a"]),
            ("round_robin", 0, ["a"]),
            ("round_robin", 1, ["b"]),
            ("round_robin", 2, ["a"]),
            ("round_robin", 3, ["a"]),
            ("all", 0, ["a", "b", "c"]),
        ],
    )
    def test_are_chosen_among_those_at_fault(
        self, choice: SlotsToRewrite, turn: int, names: list[str]
    ) -> None:
        assert prompts_to_rewrite(choice, self.BOTH, ["a", "b", "c"], turn) == names

    @pytest.mark.parametrize(
        ("choice", "names"),
        [
            ("at_fault", ["a", "b", "c"]),
            ("one", ["b"]),
            ("round_robin", ["b"]),
            ("all", ["a", "b", "c"]),
        ],
    )
    def test_might_be_any_where_no_critique_says(
        self, choice: SlotsToRewrite, names: list[str]
    ) -> None:
        silent = [Critique("1", "x"), Critique("2", "x", ())]
        assert prompts_to_rewrite(choice, silent, ["a", "b", "c"], 1) == names

    def test_are_none_where_all_critiques_say_so(self) -> None:
        content = [Critique("1", "x", ()), Critique("2", "x", ())]
        assert prompts_to_rewrite("at_fault", content, ["a", "b"], 0) == []
        assert prompts_to_rewrite("round_robin", content, ["a", "b"], 0) == []
        assert prompts_to_rewrite("all", content, ["a", "b"], 0) == ["a", "b"]
