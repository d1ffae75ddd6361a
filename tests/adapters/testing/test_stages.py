from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence

from agl_adapters.testing import Message, Reply, Rule, Scenario, ToolCall, any_of
from agl_adapters.testing.calls import Call
from agl_adapters.testing.stages import Seen, Stage, conversation

RULES = (
    Rule("double", "Double it.", any_of("double"), obeyed_unstated=0.0, obeyed_stated=1.0),
    Rule("sign", "Turn the sign.", any_of("sign"), obeyed_unstated=0.0, obeyed_stated=1.0),
)


class Calculator(Stage[int]):
    """Repeats a number, with two rules to it."""

    def seen(self, text: str) -> list[Seen[int]]:
        found = re.finditer(r"number (\d+)(?:\W+gives (-?\d+))?", text)
        return [Seen(int(m[1]), m.start(), m[2] or "", m.start(2) if m[2] else -1) for m in found]

    def ways(self, situation: int, names: Collection[str]) -> Sequence[str]:
        number = situation * (2 if "double" in names else 1)
        return [str(-number if "sign" in names else number)]

    def say(self, way: str) -> Reply:
        return Reply(f"gives {way}" if way else "What number?")


def ask(scenario: Scenario, prompt: str, text: str) -> str:
    call = Call("chat", "m", (Message("system", prompt), Message("user", text)))
    return scenario.reply(call, random.Random(0)).text


def test_a_stage_is_a_scenario_that_acts_by_the_rules_that_are_stated() -> None:
    stage = Calculator("calculator", RULES)
    assert isinstance(stage, Scenario)
    assert ask(stage, "Be nice.", "number 3") == "gives 3"
    assert ask(stage, "Double it.", "number 3") == "gives 6"
    assert ask(stage, "Double it. Turn the sign.", "number 3, then number 4") == "gives -8"
    assert ask(stage, "Double it.", "Hello.") == "What number?"


def test_what_was_done_broke_the_fewest_rules_that_explain_it() -> None:
    stage = Calculator("calculator", RULES)
    text = "number 3 gives -6; number 3 gives -3; number 3 gives 3; number 0 gives 0; number 3"
    assert [(b.rule, text[b.position :][:2]) for b in stage.breaches(text) or ()] == [
        ("double", "-3"),
        ("double", "3;"),
        ("sign", "3;"),
    ]
    assert stage.breaches("number 3 gives 7") == []
    assert stage.breaches("number 3") is None


def test_the_text_of_a_conversation_has_the_tools_called() -> None:
    called = Message("assistant", "", (ToolCall("find", '{"a": 1}'),))
    call = Call("chat", "m", (Message("user", "Hello."), called, Message("tool", "Here.")))
    assert conversation(call) == 'Hello.\n\n-> calls find({"a": 1})\nHere.'
