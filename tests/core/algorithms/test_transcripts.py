from __future__ import annotations

from itertools import count
from typing import Any

from agl_core.algorithms.transcripts import transcript, unused_prompts
from agl_core.prompts.binding import SlotUse
from agl_core.prompts.templates import PromptTemplate
from agl_core.rollouts import Rollout
from agl_core.spans import genai
from agl_core.spans.span import Span

PLAN, WRITE = "langgraph:planner#system", "langgraph:writer#system"
PROMPTS = {PLAN: PromptTemplate("You plan."), WRITE: PromptTemplate("You write for {reader}.")}
clock = count(1)


def call(system: str, user: str, answer: str, slot: str | None = None) -> Span:
    moment = next(clock)
    sent: Any = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    attributes = {
        **genai.request_attributes("m"),
        **genai.message_attributes(sent, "input"),
        **genai.message_attributes([{"role": "assistant", "content": answer}], "output"),
        **({"agl.slot": slot} if slot else {}),
    }
    return Span("chat", "client", "1" * 32, f"{moment:016x}", None, moment, moment + 1, attributes)


def test_a_call_is_under_the_name_of_its_slots_prompt() -> None:
    spans = [
        call("You plan.", "Where?", "There.", PLAN),
        call("You write for Ada.", "There.", "Go there.", WRITE),
        call("You check.", "Go there.", "Fine.", "langgraph:checker#system"),
    ]
    assert transcript(spans, PROMPTS) == "\n\n".join(
        (
            f"### system ({PLAN})\n[the prompt, as it stands above]",
            f"### user ({PLAN})\nWhere?",
            f"### assistant ({PLAN})\nThere.",
            f"### system ({WRITE})\nYou write for Ada.",
            f"### user ({WRITE})\nThere.",
            f"### assistant ({WRITE})\nGo there.",
            "### system (checker)\nYou check.",
            "### user (checker)\nGo there.",
            "### assistant (checker)\nFine.",
        )
    )


def test_two_prompts_of_the_same_text_are_told_apart_by_their_slots() -> None:
    same = {PLAN: PromptTemplate("You help."), WRITE: PromptTemplate("You help.")}
    spans = [call("You help.", "a", "b", PLAN), call("You help.", "c", "d", WRITE)]
    text = transcript(spans, same)
    assert f"### assistant ({PLAN})\nb" in text
    assert f"### assistant ({WRITE})\nd" in text


def test_a_function_that_is_handed_its_prompts_is_known_by_its_texts() -> None:
    handed = {"plan": PROMPTS[PLAN], "write": PROMPTS[WRITE], "unused": PromptTemplate("Else.")}
    spans = [
        call("You plan.", "Where?", "There.", "openai:app.ask#system"),
        call("You write for Ada.", "x", "y", "openai:app.ask#system"),
        call("First of all: You plan.", "x", "z", "openai:app.ask#system"),
        call("Neither.", "You wonder.", "w", "openai:app.ask#system"),
    ]
    text = transcript(spans, handed)
    assert "### assistant (plan)\nThere." in text
    assert "### assistant (write)\ny" in text
    assert "### system (plan)\nFirst of all: [the prompt, as it stands above]" in text
    assert "### assistant (app.ask)\nw" in text


def test_a_text_that_might_be_of_either_is_of_neither() -> None:
    same = {"plan": PromptTemplate("You help."), "write": PromptTemplate("You help.")}
    assert "### assistant\nb" in transcript([call("You help.", "a", "b")], same)


def test_only_the_prompt_itself_is_not_told_again() -> None:
    prompts = {PLAN: PromptTemplate("Book"), WRITE: PromptTemplate("Write.")}
    text = transcript([call("Book", "Book a room.", "Book it!", PLAN)], prompts)
    assert f"### user ({PLAN})\nBook a room." in text
    assert f"### assistant ({PLAN})\nBook it!" in text


def test_a_single_prompt_is_shown_where_it_was_sent() -> None:
    text = transcript([call("You plan.", "a", "b", PLAN)], {PLAN: PROMPTS[PLAN]})
    assert text.startswith("### system (planner)\nYou plan.")


def test_is_cut_to_a_length() -> None:
    spans = [call("You plan.", "x" * 9000, "y", PLAN)]
    assert len(transcript(spans, PROMPTS, 1000)) < 1500


def rollout(**fields: Any) -> Rollout:
    return Rollout("r", 1, "k", "val[0]", "val", "succeeded", 0.5, **fields)


def test_prompts_that_no_rollout_used_are_known() -> None:
    used = [rollout(slots={PLAN: SlotUse("", "")}), rollout(reads=frozenset({"a"}))]
    assert unused_prompts(used, {**PROMPTS, "a": PROMPTS[PLAN]}) == [WRITE]
