from __future__ import annotations

import json

import openai
import pytest

from agl_adapters.testing import SimulatedModel, load_scenario
from agl_adapters.testing.calls import Call, Message, draws
from agl_adapters.testing.choosing import Choosing, Domain
from agl_adapters.testing.parcels import PARCELS
from agl_adapters.testing.tickets import TICKETS

pytest_plugins = ["agl_adapters.testing.fixtures"]

DOMAINS = {"parcels": PARCELS, "tickets": TICKETS}


@pytest.fixture(params=DOMAINS)
def domain(request: pytest.FixtureRequest) -> Domain:
    return DOMAINS[request.param]


@pytest.fixture
def scenario(domain: Domain) -> Choosing:
    made = load_scenario(domain.name)
    assert isinstance(made, Choosing)
    return made


def answer(scenario: Choosing, prompt: str, text: str, draw: int = 0) -> str:
    call = Call("chat", "m", (Message("system", prompt), Message("user", text)))
    return scenario.reply(call, draws("test", text, draw)).text


def everything(domain: Domain) -> str:
    return "\n".join(rule.sentence for rule in domain.rules)


def test_each_sentence_states_its_rule_and_no_other(domain: Domain) -> None:
    rules = [*domain.rules, *(decoy.rule for decoy in domain.decoys)]
    for rule in rules:
        assert [other.name for other in rules if other.states(rule.sentence)] == [rule.name]


def test_tasks_have_one_right_answer_which_their_rules_decide(domain: Domain) -> None:
    tasks = domain.tasks("test", 40)
    decided = {name for task in tasks for name in task["rules"]}
    assert decided == {rule.name for rule in domain.rules}
    assert all(task["expected"] in task["input"] for task in tasks)
    assert all(f"{domain.option}: {task['expected']}" not in task["input"] for task in tasks)
    assert domain.tasks("test", 40) == tasks
    assert not {t["input"] for t in tasks} & {t["input"] for t in domain.tasks("other", 40)}


def test_a_prompt_that_states_the_rules_scores_high_and_one_without_them_about_half(
    domain: Domain, scenario: Choosing
) -> None:
    tasks = domain.tasks("test", 150)

    def score(prompt: str) -> float:
        grades = [domain.grade(answer(scenario, prompt, task["input"]), task) for task in tasks]
        return sum(grades) / len(grades)

    assert score(everything(domain)) > 0.93
    assert 0.4 < score("You pick.") < 0.65
    some = "\n".join(rule.sentence for rule in domain.rules[-2:])
    assert score("You pick.") + 0.05 < score(some) < score(everything(domain)) - 0.05


def test_the_last_answer_counts(domain: Domain) -> None:
    word = domain.option
    assert domain.grade(f"{word}: C12\n{word}: C11", {"expected": "C11"}) == 1.0
    assert domain.grade(f"{word}: C11\n{word}: C12", {"expected": "C11"}) == 0.0
    assert domain.grade("C11", {"expected": "C11"}) == 0.0


def test_the_breaches_are_those_of_rules_that_were_not_obeyed(
    domain: Domain, scenario: Choosing
) -> None:
    """In every quoting; whatever is not the right answer breaks a rule, and the right one none."""
    seen: set[str] = set()
    for task in domain.tasks("test", 60):
        for draw in range(12):
            text = answer(scenario, "You pick.", task["input"], draw)
            run = f"{task['input']}\n\n{text}"
            breaches = scenario.breaches(run)
            assert breaches is not None
            named = [breach.rule for breach in breaches]
            quoted = scenario.breaches(json.dumps(json.dumps({"run": run})))
            assert [breach.rule for breach in quoted or ()] == named
            if f"{domain.option}: none" in text:
                continue
            assert bool(named) == (domain.grade(text, task) == 0.0)
            seen.update(named)
    assert seen == {rule.name for rule in domain.rules}


def test_a_structured_answer_breaks_the_same_rules(domain: Domain, scenario: Choosing) -> None:
    seen: set[bool] = set()
    for task in domain.tasks("test", 20):
        text = answer(scenario, "You pick.", task["input"])
        picked = text.rpartition(": ")[2]
        typed = json.dumps({domain.option.lower(): picked})
        spoken, written, quoted = (
            [breach.rule for breach in scenario.breaches(f"{task['input']}\n\n{run}") or ()]
            for run in (text, typed, json.dumps(json.dumps(typed)))
        )
        assert written == quoted == spoken
        seen.add(bool(written))
    assert seen == {False, True}


def test_what_is_no_whole_run_shows_nothing(domain: Domain, scenario: Choosing) -> None:
    (task,) = domain.tasks("test", 1)
    assert scenario.breaches(task["input"]) is None
    assert scenario.breaches(f"{domain.option}: {task['expected']}") is None
    assert "nothing to choose" in answer(scenario, "You pick.", "Hello.")


def test_is_served(domain: Domain, simulated_model: SimulatedModel) -> None:
    simulated_model.configure(scenario=domain.name)
    tasks = domain.tasks("served", 10)
    client = openai.OpenAI()

    def ask(task: dict[str, str]) -> str:
        reply = client.chat.completions.create(
            model="m",
            messages=[
                {"role": "system", "content": everything(domain)},
                {"role": "user", "content": task["input"]},
            ],
        )
        return reply.choices[0].message.content or ""

    assert sum(domain.grade(ask(task), task) for task in tasks) >= 8
