from __future__ import annotations

import json
import random
import re
from statistics import fmean
from typing import Any

from agl_adapters.testing import load_scenario
from agl_adapters.testing.calls import Call, Message
from agl_adapters.testing.chains import Chain
from agl_adapters.testing.dispatch import TEAMS, WORKERS, dispatch, dispatch_tasks, grade

ROUTING = "\n".join(rule.sentence for rule in TEAMS.rules)
SCHEDULING = "\n".join(rule.sentence for rule in WORKERS.rules)
PLAIN = "You pick."


def ask(prompt: str, text: str, rng: random.Random) -> str:
    call = Call("chat", "m", (Message("system", prompt), Message("user", text)))
    return dispatch().reply(call, rng).text


def send(task: Any, router: str, scheduler: str, rng: random.Random) -> tuple[str, str]:
    """Return both answers."""
    routed = ask(router, task["report"], rng)
    (team,) = re.findall(r"Team: (\w+)", routed)
    return routed, ask(scheduler, task["crews"].get(team, ""), rng)


def score(router: str, scheduler: str) -> float:
    rng = random.Random(0)
    tasks = dispatch_tasks("test", 120)
    return fmean(grade(send(task, router, scheduler, rng)[1], task) for task in tasks)


def test_either_prompt_alone_can_only_do_so_much() -> None:
    seed, first, second = score(PLAIN, PLAIN), score(ROUTING, PLAIN), score(PLAIN, SCHEDULING)
    assert seed < 0.4
    assert seed + 0.15 < first < 0.65
    assert seed + 0.15 < second < 0.65
    assert score(ROUTING, SCHEDULING) > 0.93


def test_what_a_prompt_states_of_the_other_choice_does_nothing() -> None:
    assert score(SCHEDULING, ROUTING) == score(PLAIN, PLAIN)


def test_each_sentence_states_its_rule_and_no_other() -> None:
    rules = [*TEAMS.rules, *WORKERS.rules]
    for rule in rules:
        assert [other.name for other in rules if other.states(rule.sentence)] == [rule.name]


def test_tasks_are_decided_by_the_rules_of_both_and_have_one_right_answer() -> None:
    tasks = dispatch_tasks("test", 60)
    assert {name for task in tasks for name in task["rules"]} == {
        rule.name for rule in (*TEAMS.rules, *WORKERS.rules)
    }
    for task in tasks:
        assert task["team"] in task["report"]
        holding = [team for team, crew in task["crews"].items() if f"{task['worker']} " in crew]
        assert holding == [task["team"]]
    assert dispatch_tasks("test", 60) == tasks
    assert dispatch_tasks("other", 1)[0]["report"] != tasks[0]["report"]


def test_a_critic_sees_which_choice_went_wrong_and_where() -> None:
    scenario, rng = dispatch(), random.Random(1)
    seen: set[str] = set()
    for task in dispatch_tasks("test", 60):
        routed, scheduled = send(task, PLAIN, PLAIN, rng)
        (team,) = re.findall(r"Team: (\w+)", routed)
        told = f"{task['report']}\n\n{routed}\n\n{task['crews'].get(team, '')}\n\n"
        breaches = scenario.breaches(told + scheduled)
        assert breaches is not None
        for breach in breaches:
            of_the_first = breach.rule in {rule.name for rule in TEAMS.rules}
            assert (breach.position < len(told)) == of_the_first
            seen.add(breach.rule)
        quoted = scenario.breaches(json.dumps(told + scheduled))
        assert [b.rule for b in quoted or ()] == [b.rule for b in breaches]
        if "none" not in routed + scheduled:
            assert bool(breaches) == (grade(scheduled, task) == 0.0)
    assert len(seen) > 8


def test_is_built_in_and_knows_what_is_no_run() -> None:
    scenario = load_scenario("dispatch")
    assert isinstance(scenario, Chain)
    assert scenario.breaches("Hello.") is None
    assert "nothing to choose" in ask(PLAIN, "Hello.", random.Random(0))
