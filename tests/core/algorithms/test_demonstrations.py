from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.algorithms.demonstrations import Demonstrations
from agl_core.algorithms.editor import Editor
from agl_core.algorithms.racing import Race
from agl_core.algorithms.racing_search import RacingSearch
from agl_core.candidates import Candidate
from agl_core.prompts.templates import PromptTemplate
from agl_core.rollouts import Rollout
from agl_core.spans import genai
from agl_core.spans.span import Span

clock = count(1)
OPTIONS: dict[str, Any] = {"train": range(4), "val": range(100, 120)}


def call(user: str, answer: str, slot: str | None = None) -> Span:
    moment = next(clock)
    sent: Any = [{"role": "system", "content": "Hi."}, {"role": "user", "content": user}]
    attributes = {
        **genai.request_attributes("m"),
        **genai.message_attributes(sent, "input"),
        **genai.message_attributes([{"role": "assistant", "content": answer}], "output"),
        **({"agl.slot": slot} if slot else {}),
    }
    return Span("chat", "client", "1" * 32, f"{moment:016x}", None, moment, moment + 1, attributes)


def ran(task: str, score: float, *spans: Span, split: str = "train") -> Rollout:
    return Rollout(
        id=f"{task} {next(clock)}",
        task=task,
        task_key=task,
        task_name=task,
        split=split,
        status="succeeded",
        score=score,
        spans=spans or (call(f"Do {task}.", f"{task} is done."),),
    )


RUNS = [ran("easy", 1.0), ran("hard", 0.0), ran("hard", 1.0), ran("lost", 0.0)]


def by_text(task: int, prompt_template: PromptTemplate) -> float:
    text = prompt_template.format()
    return float(task % 10 < 4 + 4 * ("# Examples" in text) - 8 * ("worse" in text))


async def added(session: Any, rollouts: Any, *, most: int = 2, chars: int = 20_000) -> Any:
    return Demonstrations(most, chars).added(session, Candidate(session.initial), rollouts)


async def test_runs_that_went_well_become_examples_hard_tasks_first(
    engine: SimpleNamespace,
) -> None:
    async with engine.in_session(by_text, **OPTIONS) as session:
        child = await added(session, RUNS)
    assert child.resources["prompt_template"].raw == (
        "Hi.\n\n# Examples\n\nRuns on other tasks that went well. Do as they do.\n\n"
        "<example>\nuser: Do hard.\nassistant: hard is done.\n</example>\n\n"
        "<example>\nuser: Do easy.\nassistant: easy is done.\n</example>"
    )


@pytest.mark.parametrize(
    "rollouts",
    [
        [ran("lost", 0.0), ran("lost", 0.0)],
        [replace(run, split="val") for run in RUNS],
        [replace(run, split="test") for run in RUNS],
        [replace(run, spans=()) for run in RUNS],
        [ran("x", 1.0, call("y" * 9000, "z")), ran("y", 0.0)],
    ],
)
async def test_where_there_is_nothing_to_show_nothing_is_added(
    engine: SimpleNamespace, rollouts: Any
) -> None:
    async with engine.in_session(by_text, **OPTIONS) as session:
        assert await added(session, rollouts, chars=5000) is None


async def test_what_repeats_a_judged_task_or_gives_its_answer_away_is_left_out(
    engine: SimpleNamespace,
) -> None:
    judged = ["Where is the tower that he built there?", "Eiffel"]
    async with engine.in_session(by_text, train=["a", "b"], val=judged) as session:
        runs = [
            ran("a", 1.0, call("Where is the tower that he built there?", "There.")),
            ran("b", 1.0, call("Who?", "Eiffel.")),
            ran("Where is the tower that he built there?", 1.0, call("What?", "That.")),
            ran("c", 1.0, call("Who was Eiffel?", "An engineer.")),
            ran("d", 0.0),
        ]
        child = await added(session, runs, most=9)
    text = child.resources["prompt_template"].raw
    assert text.count("<example>") == 1
    assert "assistant: An engineer." in text


async def test_examples_are_plain_text_whatever_is_in_them(engine: SimpleNamespace) -> None:
    hostile = 'Answer as {"room": {name}} and } {'
    runs = [
        ran("a", 1.0, call(hostile, "{}")),
        ran("b", 1.0, call("{% if x %}", "{{ y }}")),
        ran("c", 0.0),
    ]
    f_string, jinja = PromptTemplate("Hi {name}."), PromptTemplate("Hi {{ name }}.", "jinja")
    for seed, fits in ((f_string, True), (jinja, False)):
        options = {**OPTIONS, "initial": {"prompt_template": seed}}
        async with engine.in_session(by_text, **options) as session:
            child = await added(session, runs)
        shown = child.resources["prompt_template"].format(name="Ada")
        assert shown.startswith("Hi Ada.\n")
        assert f"user: {hostile}\nassistant: {{}}" in shown
        # In Jinja it would be code.
        assert ("user: {% if x %}\nassistant: {{ y }}" in shown) is fits


async def test_each_prompt_is_shown_the_calls_in_its_slot(engine: SimpleNamespace) -> None:
    def agent(task: Any, plan: PromptTemplate, write: PromptTemplate) -> float:
        return float(bool(plan.format() and write.format()))

    spans = (call("Where?", "There.", "plan"), call("There.", "Go there.", "write"))
    runs = [ran("a", 1.0, *spans), ran("b", 0.0)]
    async with engine.in_session(agent, initial={"plan": "P.", "write": "W."}) as session:
        child = await added(session, runs)
    assert "assistant: There." in child.resources["plan"].raw
    assert "Go there." not in child.resources["plan"].raw
    assert "user: There.\nassistant: Go there." in child.resources["write"].raw


@dataclass
class Told:
    """Evidence that was gathered elsewhere, and on which no parent falls short."""

    rollouts_of: list[Rollout]
    critiques: int = 1

    def rollouts(self, train: int) -> int:
        return 0

    def open(self, session: Any, rng: random.Random) -> Any:
        async def nothing(candidate: Any) -> list[Any]:
            return []

        return SimpleNamespace(rollouts=self.rollouts_of, prepare=nothing, gather=nothing)


@pytest.mark.parametrize(("seed", "wins"), [("Hi.", True), ("Hi, worse.", False)])
async def test_they_are_raced_and_win_or_are_dropped(
    engine: SimpleNamespace, seed: str, wins: bool
) -> None:
    watcher = engine.Watcher()

    def agent(task: int, prompt_template: PromptTemplate) -> float:
        text = prompt_template.format()
        return float(task % 10 < (4 if "# Examples" not in text else 0 if "worse" in text else 8))

    options = {**OPTIONS, "initial": {"prompt_template": seed}, "callback": watcher}
    async with engine.in_session(agent, **options) as session:
        await RacingSearch(
            Editor("m", "m", 1.0, 5000),
            Told(RUNS),
            Race(5),
            1,
            demonstrations=Demonstrations(2, 5000),
        ).run(session)
        child = session.candidates[-1]
        assert child.metadata["branch"] == "examples"
        assert (session.validation_score(child.resources) == 0.8) is wins
    assert any("dropped after" in message for message in watcher.messages) is not wins
