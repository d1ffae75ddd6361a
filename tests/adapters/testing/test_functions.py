from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from agl_adapters.testing import Message, load_scenario
from agl_adapters.testing.calls import Call
from agl_adapters.testing.functions import CONVENTIONS, Functions, functions, write

DATA = Path(__file__).parents[3] / "examples" / "data" / "functions"
TASKS = [
    json.loads(line)
    for split in ("train", "val", "test")
    for line in (DATA / f"{split}.jsonl").read_text().splitlines()
]
NAMES = {rule.name for rule in CONVENTIONS}
PARAPHRASES = {
    "nothing": ["If there are no items, give back None", "An empty input yields None."],
    "gaps": ["Ignore None values.", "Entries that are null should be filtered out"],
    "halves": ["Use round-half-up", "On rounding, .5 goes upwards."],
    "ends": ["Bounds are inclusive", "Both limits belong to the interval."],
    "case": [
        "Be case-insensitive and strip blanks.",
        "Ignore the case of letters; lowercase both.",
    ],
    "order": ["Sort lists and drop duplicates", "Lists: unique values in ascending order."],
}


def failed(code: str, tests: list[Any]) -> set[str]:
    """What the tests that a function fails are about."""
    names: dict[str, Any] = {}
    exec(code, names)
    (function,) = (value for name, value in names.items() if name != "__builtins__")
    about: set[str] = set()
    for test in tests:
        try:
            given = function(*json.loads(json.dumps(test["arguments"])))
        except (TypeError, AttributeError, ZeroDivisionError):
            about.add(test["about"])
        else:
            if given != test["expected"] or type(given) is not type(test["expected"]):
                about.add(test["about"])
    return about


def test_each_test_of_the_tasks_is_failed_where_its_rule_is_not_observed_and_only_there() -> None:
    decided: set[str] = set()
    for task in TASKS:
        (seen,) = functions().seen(task["specification"])
        tests = [*task["examples"], *task["tests"]]
        assert failed(write(seen.situation, NAMES), tests) == set()
        for name in NAMES:
            without = failed(write(seen.situation, NAMES - {name}), tests)
            assert without == ({name} & {test["about"] for test in tests})
            decided |= without
    assert decided == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_rule_is_stated_in_whatever_words(name: str) -> None:
    for sentence in PARAPHRASES[name]:
        assert name in {rule.name for rule in CONVENTIONS if rule.states(sentence)}, sentence
    for sentence in ("Write clean code.", "Answer with the function in a code block."):
        assert not [rule.name for rule in CONVENTIONS if rule.states(sentence)]


def test_the_breaches_are_those_of_the_code_in_every_quoting() -> None:
    scenario = functions()
    seen: set[str] = set()
    for task in TASKS[:30]:
        (asked,) = scenario.seen(task["specification"])
        for missing in NAMES:
            code = write(asked.situation, NAMES - {missing})
            told = {"task": task, "run": f"{task['specification']}\n\n```python\n{code}\n```"}
            for text in (f"{told['task']}\n{told['run']}", json.dumps(json.dumps(told))):
                breaches = scenario.breaches(text) or []
                engaged = code != write(asked.situation, NAMES)
                assert [breach.rule for breach in breaches] == [missing] * engaged
                assert all(text[b.position :].startswith("def ") for b in breaches)
            seen.update(breach.rule for breach in scenario.breaches(told["run"]) or ())
    assert seen == NAMES


def test_what_a_failed_test_says_is_repaired_and_what_was_right_stays() -> None:
    scenario = functions()
    task = next(task for task in TASKS if "percentage" in task["specification"])
    (asked,) = scenario.seen(task["specification"])
    first = write(asked.situation, {"nothing"})
    failing = failed(first, task["tests"])
    report = "These tests fail:\n- gaps: with [None] it raises TypeError\n- halves: with [1] 2"
    messages = [
        Message("system", "You code."),
        Message("user", task["specification"]),
        Message("assistant", f"```python\n{first}\n```"),
        Message("user", report),
    ]
    second = scenario.reply(Call("chat", "m", tuple(messages)), random.Random(1)).text
    (code,) = [second[second.index("def ") : second.index("# end")]]
    assert "nothing" not in failing
    assert failed(code, task["tests"]) <= failing - {"gaps", "halves"}


def test_is_built_in_and_knows_what_is_no_run() -> None:
    scenario = load_scenario("functions")
    assert isinstance(scenario, Functions)
    assert scenario.breaches(TASKS[0]["specification"]) is None
    call = Call("chat", "m", (Message("user", "Hello."),))
    assert "Which function" in scenario.reply(call, random.Random(0)).text
