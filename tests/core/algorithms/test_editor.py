"""Critiques and rewrites of several prompts: who is at fault, what changes, what is on record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.algorithms import APO
from agl_core.algorithms.editor import Editor
from agl_core.algorithms.memory import CritiqueMemory
from agl_core.candidates import Candidate
from agl_core.edits import Critique, PromptEdit
from agl_core.prompts.templates import PromptTemplate, coerce_resources

SEED = {"plan": "Plan for {who}.", "write": "Write {{well}}.", "check": "Check."}
AT_FAULT = (
    Critique("c1", "Plan ahead.", ("plan",)),
    Critique("c2", "Both are bad.", ("write", "plan")),
)


def agent(task: Any, plan: PromptTemplate, write: PromptTemplate, check: PromptTemplate) -> float:
    return float(len(plan.template + write.template + check.template) > 40)


def rewriting(**answers: str) -> Callable[[str], str]:
    """Answer the request for the rewrite of each prompt."""

    def answer(request: str) -> str:
        name = re.findall(r"<prompt name=\"(\w+)\">", request)[0]
        return answers[name]

    return answer


async def rewritten(
    engine: SimpleNamespace,
    answer: Callable[[str], str],
    critiques: Any = AT_FAULT,
    memory: CritiqueMemory | None = None,
    **options: Any,
) -> tuple[Candidate, list[str]]:
    """Return the child and the requests that made it, in the order of the prompts."""
    client = engine.ScriptedModel(answer)
    async with engine.in_session(agent, initial=SEED, client=client) as session:
        editor = Editor("m", "m", 1.0, 1000, **options)
        parent = Candidate(session.initial)
        child = await editor.rewrite(session, parent, critiques, "step", 1, memory)
    return child, client.requests


async def test_what_is_at_fault_is_rewritten_by_what_is_about_it(engine: SimpleNamespace) -> None:
    child, (plan, write) = await rewritten(
        engine, rewriting(plan="Plan ahead for {who}.", write="Write {{better}}.")
    )
    assert {name: prompt.raw for name, prompt in child.resources.items()} == {
        "plan": "Plan ahead for {who}.",
        "write": "Write {{better}}.",
        "check": "Check.",
    }
    assert "Plan ahead." in plan
    assert "Both are bad." in plan
    assert "Plan ahead." not in write
    assert "Both are bad." in write


async def test_the_record_says_what_came_of_what(engine: SimpleNamespace) -> None:
    child, _ = await rewritten(engine, rewriting(plan="No placeholder.", write="Better."))
    assert child.changed == ("write",)
    assert child.edits == {
        "plan": PromptEdit(("c1", "c2"), "the rewrite loses {who}"),
        "write": PromptEdit(("c2",)),
    }
    assert child.critiques == AT_FAULT
    assert child.edit == "## Critique 1\n\nPlan ahead.\n\n## Critique 2\n\nBoth are bad."
    assert not child.rejected
    assert Candidate.from_json(child.to_json()) == child


async def test_a_child_of_which_no_rewrite_can_be_used_is_rejected(engine: SimpleNamespace) -> None:
    child, _ = await rewritten(engine, rewriting(plan="No placeholder.", write=""))
    assert child.rejected == "plan: the rewrite loses {who}; write: the rewrite is empty"
    assert child.changed == ()


async def test_a_placeholder_of_one_prompt_is_none_of_another(engine: SimpleNamespace) -> None:
    child, _ = await rewritten(
        engine, rewriting(plan="Plan for {who}, then.", write="Write for {who}.")
    )
    assert child.edits["write"].refused == "the rewrite invents {who}"
    assert child.changed == ("plan",)


async def test_an_answer_with_all_prompts_gives_each_its_own(engine: SimpleNamespace) -> None:
    both = (
        '<prompt name="plan">\nPlan more for {who}.\n</prompt>\n'
        '<prompt name="check">\nCheck all.\n</prompt>'
    )
    child, _ = await rewritten(engine, rewriting(plan=both, write=both))
    assert child.resources["plan"].raw == "Plan more for {who}."
    assert child.edits["write"].refused == "the rewrite is of another prompt, plan"
    assert child.resources["check"].raw == "Check."


async def test_critiques_that_blame_no_prompt_cost_no_rewrite(engine: SimpleNamespace) -> None:
    child, requests = await rewritten(
        engine, rewriting(), critiques=[Critique("c1", "The service was down.", ())]
    )
    assert child.rejected == "the critiques find no prompt at fault"
    assert requests == []


async def test_critiques_that_name_none_are_about_all(engine: SimpleNamespace) -> None:
    child, requests = await rewritten(
        engine,
        rewriting(plan="Plan well for {who}.", write="Write.", check="Check it."),
        critiques=[Critique("c1", "All is bad.")],
    )
    assert child.changed == ("plan", "write", "check")
    assert all("All is bad." in request for request in requests)


async def test_a_prompt_without_fault_is_rewritten_by_all_critiques_if_it_must(
    engine: SimpleNamespace,
) -> None:
    child, requests = await rewritten(
        engine, rewriting(plan="Plan well for {who}.", write="Hm.", check="Check it."), slots="all"
    )
    assert child.edits["check"].critiques == ("c1", "c2")
    assert "Plan ahead." in requests[2]
    assert "leave to the other prompts" in requests[2]


async def test_lessons_go_to_the_prompts_that_they_concern(engine: SimpleNamespace) -> None:
    memory, seed = CritiqueMemory(), Candidate(coerce_resources(SEED))
    lesson = Critique("c0", "Be terse.", ("write",))
    memory.admitted[seed.id] = replace(seed, critiques=(lesson,))
    _, (plan, write) = await rewritten(
        engine, rewriting(plan="Plan {who}.", write="Hm."), memory=memory
    )
    assert "Be terse." not in plan
    assert "Be terse." in write


@pytest.mark.parametrize("apo", [APO, APO.published])
@pytest.mark.parametrize(
    ("slots", "changed"),
    [
        ("at_fault", {("write", "plan")}),
        ("one", {("write",)}),
        ("round_robin", {("plan",), ("write",)}),
        ("all", {("plan", "write", "check")}),
    ],
)
async def test_a_search_rewrites_the_prompts_that_it_is_told_to(
    engine: SimpleNamespace, apo: Callable[..., APO], slots: str, changed: set[tuple[str, ...]]
) -> None:
    def answer(request: str) -> str:
        if not request.startswith("Rewrite a prompt"):
            return f"{engine.improve(request)}\n\nPrompts to change: write, plan"
        return engine.improve(request)

    client = engine.ScriptedModel(answer)
    async with engine.in_session(agent_by_length, initial=SEED, client=client) as session:
        await apo("m", slots=slots, beam_width=2, branch_factor=1, beam_rounds=2).run(session)
        children = session.candidates[1:]
        assert {child.changed for child in children} == changed
        for child in children:
            assert all(critique.prompts == ("write", "plan") for critique in child.critiques)
        records = session.test.store.candidates("test")
        stored = {Candidate.from_json(record).id: record for record in records}
        assert stored[children[0].id]["edits"] == {
            name: {"critiques": [c.key for c in children[0].critiques], "refused": ""}
            for name in children[0].changed
        }


def agent_by_length(
    task: Any, plan: PromptTemplate, write: PromptTemplate, check: PromptTemplate
) -> float:
    return min(0.9, len(plan.template + write.template + check.template) / 1000)
