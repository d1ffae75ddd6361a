"""The `functions` scenario: writing small Python functions, by the conventions of a house.

The code is real and runs. It is composed of what a specification asks for and of what the rules
that a call obeys make of it, so whether it passes a test depends on them. Failed tests that the
model is told of are repaired, whatever the prompt says: a test says what a prompt did not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from agl_adapters.testing.calls import Reply
from agl_adapters.testing.room_text import unescaped
from agl_adapters.testing.rules import Rule, all_of, any_of, either
from agl_adapters.testing.stages import Seen, Stage

__all__ = ["CONVENTIONS", "Functions", "functions", "write"]

ABOUT = "writing the function"
NOTHING = r"\bempty\b|\bnothing\b|no (?:values|items|entries|elements|input)|zero[- ]length"
GAPS = r"\bNone\b|missing|\bnull|\bgaps?\b"
CONVENTIONS = (
    Rule(
        "nothing",
        "Return None when a list is empty.",
        all_of(NOTHING, r"\bNone\b|\bnull\b"),
        obeyed_unstated=0.1,
        about=ABOUT,
    ),
    Rule(
        "gaps",
        "Skip entries of a list that are missing.",
        all_of(GAPS, r"skip|ignor|filter|drop|leave out|remov|disregard|exclud", but=NOTHING),
        obeyed_unstated=0.15,
        about=ABOUT,
    ),
    Rule(
        "halves",
        "Round half up, not to the even neighbor.",
        all_of(
            r"round|half|halves|\.5\b", r"half[- ]up|halves up|\bupwards?\b|away from zero|\.5 up"
        ),
        obeyed_unstated=0.1,
        about=ABOUT,
    ),
    Rule(
        "ends",
        "A range includes both of its ends.",
        either(
            all_of(r"inclu[ds]|closed|belong", r"range|between|interval|bound|limits?\b|\bends?\b"),
            any_of(r"\binclusive"),
        ),
        obeyed_unstated=0.2,
        about=ABOUT,
    ),
    Rule(
        "case",
        "Compare words in lower case and without surrounding blanks.",
        all_of(
            r"lower[- ]?case|case[- ]?insensitiv|case[- ]?fold|regard\w* (?:of|to|for) case"
            r"|(?:upper|letter|ignor\w+|differ\w* in)[^.]{0,20} case"
        ),
        obeyed_unstated=0.15,
        about=ABOUT,
    ),
    Rule(
        "order",
        "Return lists sorted and without repeats.",
        all_of(
            r"sort|alphabetical|ascending|in order",
            r"repeat|duplicat|unique|distinct|once|\bsets?\b",
        ),
        obeyed_unstated=0.15,
        about=ABOUT,
    ),
)
"""What the house expects of every function, and no specification says again."""

SPECIFICATION = (
    r"Write `(?P<name>[a-z_]+)\((?P<parameters>[a-z_, ]+)\)`: "
    r"of a list of (?P<kind>numbers|words), return (?P<result>[a-z ,]+)\."
)
CODE = r"(?P<code>def [a-z_]+\([a-z_, ]+\):(?:(?!def ).)*?# end\b)"
FAILURES = r"These tests fail:(?P<tests>(?:[\\\s]*- [a-z]+: [^\n\\]+)+)"
STEPS = re.compile(f"{SPECIFICATION}|{FAILURES}|{CODE}", re.DOTALL)
ABOUT_TEST = re.compile(r"- ([a-z]+): ")


@dataclass(slots=True)
class Specification:
    """What is to be written, and what came of it so far.

    Attributes:
        name: The function's name.
        parameters: Its parameters; the first is the list.
        kind: What is in the list, `numbers` or `words`.
        result: What is to be returned, in words.
        known: The names of the rules that the code so far observes, or that a failed test is about.
    """

    name: str
    parameters: Sequence[str]
    kind: str
    result: str
    known: frozenset[str] = frozenset()


def write(specification: Specification, names: Collection[str]) -> str:
    """The function as somebody writes it who observes only these rules."""
    items, *others = specification.parameters
    words = specification.kind == "words"
    clean = ".strip().lower()" if words and "case" in names else ""
    lines = [f"def {specification.name}({', '.join(specification.parameters)}):"]
    gaps = " if item is not None" if "gaps" in names else ""
    lines.append(f"    items = [item{clean} for item in {items}{gaps}]")
    if "nothing" in names:
        lines += ["    if not items:", "        return None"]
    if "between" in specification.result:
        low, high = others
        last = "<=" if "ends" in names else "<"
        lines.append(f"    chosen = [item for item in items if {low} {last} item {last} {high}]")
    elif "start" in specification.result:
        lines.append(
            f"    chosen = [item for item in items if item.startswith({others[0]}{clean})]"
        )
    elif "equal" in specification.result:
        lines.append(f"    chosen = [item for item in items if item == {others[0]}{clean}]")
    else:
        lines.append("    chosen = items")
    return "\n".join([*lines, *_result(specification.result, names), "    # end"])


def _result(result: str, names: Collection[str]) -> list[str]:
    """The lines that make the result of what was chosen."""
    if result.startswith("how many"):
        return ["    return len(chosen)"]
    if result.startswith(("the mean", "the percentage")):
        what = "sum(chosen) / len(chosen)"
        if result.startswith("the percentage"):
            what = "100 * len(chosen) / len(items)"
        if "halves" in names:
            return [f"    return int(({what} + 0.5) // 1)"]
        return [f"    return round({what})"]
    return ["    return sorted(set(chosen))" if "order" in names else "    return chosen"]


class Functions(Stage[Specification]):
    """Writes what is specified, and repairs what a test finds."""

    def seen(self, text: str) -> list[Seen[Specification]]:
        """The specifications in a text; one whose code fails tests comes again, with more known."""
        seen: list[Seen[Specification]] = []
        for step in STEPS.finditer(unescaped(text)):
            if step["name"]:
                parameters = step["parameters"].split(", ")
                asked = Specification(step["name"], parameters, step["kind"], step["result"])
                seen.append(Seen(asked, step.start()))
            elif seen and step["code"] and not seen[-1].done:
                seen[-1].done = step["code"].replace("\\", "")
                seen[-1].done_at = step.start()
            elif seen and step["tests"] and seen[-1].done:
                seen.append(Seen(self._after(seen[-1], step["tests"]), step.start()))
        return seen

    def ways(self, situation: Specification, names: Collection[str]) -> Sequence[str]:
        """The one function that somebody writes who observes these rules and what is known."""
        return [write(situation, {*names, *situation.known})]

    def say(self, way: str) -> Reply:
        """The function in a code block."""
        if not way:
            return Reply("Which function shall I write?")
        return Reply(f"This is the function.\n```python\n{way}\n```")

    def _after(self, last: Seen[Specification], tests: str) -> Specification:
        """What is known once tests have failed: what was right, and what they are about."""
        right = {rule.name for rule in self.rules}.difference(
            self.broken(last.situation, last.done)
        )
        return replace(last.situation, known=frozenset({*right, *ABOUT_TEST.findall(tests)}))


def functions() -> Functions:
    """The scenario."""
    return Functions("functions", CONVENTIONS)
