"""`agl.discover` on programs of real frameworks, over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph

import agl_adapters as agl
from agl_adapters.slot_views import choices_view, discovery_text
from agl_adapters.testing import SimulatedModel
from agl_core.discovery.survey import Survey
from agl_core.prompts.constraints import Constraint
from agl_core.prompts.slot_policy import SlotChoice, SlotPolicy
from agl_core.prompts.slots import SlotRecord
from agl_core.prompts.templates import PromptTemplate

pytest_plugins = ["agl_adapters.testing.fixtures"]

ROLES = ["planner", "travel agent", "editor of the local news", "nurse", "judge", "poet"]
TASKS = [
    {
        "name": name,
        "day": f"2026-0{number + 1}-1{number}",
        "question": f"{name} asks for the {number + 2} best places to see in the old town.",
    }
    for number, name in enumerate(["Ann", "Bob Miller", "Li Wei", "Zoë", "J. R. Díaz", "Ng"])
]


@pytest.fixture
def client(simulated_model: SimulatedModel) -> openai.OpenAI:
    return openai.OpenAI()


def three_variables(client: openai.OpenAI) -> Any:
    """A program whose prompt is an f-string with three run-time values."""

    def answer(task: dict[str, str]) -> str:
        role = ROLES[TASKS.index(task)]
        prompt = (
            f"You are a careful {role} in the service of {task['name']}.\n"
            f"Today is {task['day']}, and the office is open.\n"
            'Reply as {"answer": "..."} and with nothing else.'
        )
        messages: Any = [
            {"role": "system", "content": prompt},
            {"role": "user", "content": f"Be quick about this one:\n{task['question']}"},
        ]
        done = client.chat.completions.create(model="gpt-4o", messages=messages)
        return done.choices[0].message.content or ""

    return answer


def test_a_prompt_with_three_run_time_variables(client: openai.OpenAI, tmp_path: Path) -> None:
    found = agl.discover(three_variables(client), TASKS)
    system, user = found.slots.values()
    assert system.name.endswith("three_variables.answer#system")
    assert system.prompt is not None
    assert system.prompt.raw == (
        "You are a careful {value_1} in the service of {value_2}.\n"
        "Today is {value_3}, and the office is open.\n"
        'Reply as {"answer": "..."} and with nothing else.'
    )
    assert system.variables == {
        "value_1": tuple(ROLES[:3]),
        "value_2": ("Ann", "Bob Miller", "Li Wei"),
        "value_3": ("2026-01-10", "2026-02-11", "2026-03-12"),
    }
    assert (system.calls, system.default, system.source) == (1.0, True, "inferred")
    assert system.tokens_counted
    assert 20 < system.tokens < 60
    file, _, line = system.place.rpartition(":")
    assert Path(file).name == Path(__file__).name
    assert "create(" in Path(__file__).read_text().splitlines()[int(line) - 1]
    assert (user.role, user.default) == ("user", False)
    assert user.prompt is not None
    assert user.prompt.raw == "Be quick about this one:\n{value_1}"

    text = str(found)
    assert "2 prompts in answer (simulated), found in 6 rollouts" in text
    assert "inferred, 3 variables" in text
    assert "{value_2}: 'Ann', 'Bob Miller', 'Li Wei'" in text
    assert "name it in optimize=" in text
    written = json.loads(found.save(tmp_path / "found.json").read_text())
    assert written["schema"] == "agl-adapters/discovery"
    assert written["simulated"] is True
    assert list(written["slots"]) == list(found.slots)
    assert found.table().row_count == 2


async def test_a_graph_that_nobody_wrapped_and_its_async_twin(
    simulated_model: SimulatedModel,
) -> None:
    model = ChatOpenAI(model="gpt-4o")

    def write(state: MessagesState) -> dict[str, list[AnyMessage]]:
        messages = [SystemMessage("You write."), *state["messages"]]
        return {"messages": [model.invoke(messages)]}

    def check(state: MessagesState) -> dict[str, list[AnyMessage]]:
        messages = [*state["messages"], HumanMessage("Is every word of it true?")]
        return {"messages": [model.invoke(messages)]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("write", write)
    graph.add_node("check", check)
    graph.add_edge(START, "write")
    graph.add_edge("write", "check")
    found = await agl.adiscover(
        graph.compile(), TASKS, input=lambda task: {"messages": [("user", task["question"])]}
    )
    # Not what the task says, in either node, nor what the first node answered.
    assert {name: record.role for name, record in found.slots.items()} == {
        "langgraph:write#system": "system",
        "langgraph:check#user.2": "user",
    }
    assert len(found.survey.rollouts) == 3
    assert Path(found.slots["langgraph:check#user.2"].place.rpartition(":")[0]).name == (
        Path(__file__).name
    )


def test_a_declared_template_names_the_variables(client: openai.OpenAI) -> None:
    program = three_variables(client)
    slot = f"openai:{__name__}.three_variables.answer#system"
    own = (
        "You are a careful {role} in the service of {customer}.\n"
        "Today is {date}, and the office is open.\n"
        'Reply as {"answer": "..."} and with nothing else.'
    )
    found = agl.discover(program, TASKS, templates={slot: own})
    record = found.slots[slot]
    assert (record.source, record.prompt) == ("declared", PromptTemplate(own))
    assert record.variables["customer"] == ("Ann", "Bob Miller", "Li Wei")
    with pytest.raises(agl.ConfigurationError, match=r"matches nothing .* 'You are a careful plan"):
        agl.discover(program, TASKS, templates={slot: "You are {role}. Today is {date}."})


def test_our_own_templates_are_known_without_guessing(client: openai.OpenAI) -> None:
    own = agl.PromptTemplate("{name}, {day}: {tone}")

    def answer(task: dict[str, str]) -> str:
        text = own.format(name=task["name"], day=task["day"], tone="be kind, be brief")
        messages: Any = [{"role": "system", "content": text}]
        done = client.chat.completions.create(model="gpt-4o", messages=messages)
        return done.choices[0].message.content or ""

    (record,) = agl.discover(answer, TASKS).slots.values()
    assert (record.prompt, record.source) == (own, "template")
    assert record.variables["tone"] == ("be kind, be brief",)


def test_what_can_have_no_prompt_of_its_own_is_refused() -> None:
    @agl.rollout
    def agent(task: Any, prompt: agl.PromptTemplate) -> float:
        return 1.0

    with pytest.raises(agl.ConfigurationError, match="agent is handed its prompts"):
        agl.discover(agent, TASKS)


def test_a_program_that_sends_none_says_so() -> None:
    def silent(task: Any) -> str:
        return "nothing"

    with pytest.raises(agl.RolloutError, match="no system prompt was seen in 3 rollouts"):
        agl.discover(silent, TASKS)


HOSTILE = "\x1b[2J\x1b]0;title\x07 [bold]loud[/bold] \u202eevil"


def test_text_of_programs_moves_no_cursor() -> None:
    record = SlotRecord(
        name=f"toy:{HOSTILE}#system",
        role="system",
        prompt=PromptTemplate(f"{HOSTILE} {{value_1}}", "literal", ["value_1"]),
        source="inferred",
        samples=(HOSTILE,),
        variables={"value_1": (HOSTILE,)},
        place=f"{HOSTILE}.py:1",
    )
    lost = SlotRecord("toy:b#system", "system", None, None, samples=(HOSTILE,), reason="is lost")
    survey = Survey(HOSTILE, {record.name: record, lost.name: lost}, [], [HOSTILE], False)
    text = discovery_text(survey)
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "[bold]loud[/bold]" in text  # data, not markup
    assert "is lost. Texts seen:" in text


def test_what_becomes_of_slots_is_told_before_a_run() -> None:
    names = ["a#system", "b#system", "c#system"]
    records = [SlotRecord(n, "system", PromptTemplate("Go."), "text") for n in names]
    policy = SlotPolicy.of(freeze="b*", constraints={"c*": Constraint(max_chars=9)})
    shown = str(getattr(choices_view(policy.choose(records, {})), "renderables", ""))
    assert "not optimized: b#system is frozen" in shown
    assert "constraint: c#system: at most 9 characters" in shown
    assert choices_view([SlotChoice(records[0], "optimized")]) is None
