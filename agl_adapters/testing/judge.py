"""Replies to a judge's calls: a grade by what can be checked in the text, and now and then wrong.

The simulated model understands no rubric. It recognizes a judge's request by its tags. With an
expected answer it looks for that in the output; without one, for rules of the scenario that task
and output show to be broken.
"""

from __future__ import annotations

import json
import random
import re

from agl_adapters.testing.calls import Call, Reply
from agl_adapters.testing.scenario import Scenario

__all__ = ["ERRS", "judge_reply"]

ERRS = 0.05
"""The probability that a grade is the opposite of what was checked."""

TAGGED = re.compile(
    r"<(?P<name>task|expected|output)-(?P<mark>\w+)>\n(?P<text>.*?)\n</(?P=name)-(?P=mark)>",
    re.DOTALL,
)
WANTED = re.compile(r'"(?P<name>[^"\n]+)": 0 to (?P<scale>\d+)')


def judge_reply(call: Call, scenario: Scenario, rng: random.Random) -> Reply | None:
    """The reply to a judge's call, None for any other.

    Args:
        call: The call.
        scenario: Whose rules are looked for where there is no expected answer.
        rng: The draws of this call.
    """
    text = call.users[0] if call.users else ""
    parts = {found["name"]: found["text"] for found in TAGGED.finditer(text)}
    wanted = WANTED.findall(text[text.rfind("# Your grade") :])
    if "output" not in parts or not wanted:
        return None
    good, reason = _checked(parts, scenario)
    if rng.random() < ERRS:
        good = not good
    fields = {name: int(scale) if good else 0 for name, scale in wanted}
    answer = {"reason": f"(simulated) {reason}", **fields}
    return Reply(json.dumps(answer), fields=answer)


def _checked(parts: dict[str, str], scenario: Scenario) -> tuple[bool, str]:
    """Whether the output is good as far as can be seen, and what was seen."""
    output = parts["output"]
    if "expected" in parts:
        wanted = parts["expected"].strip()
        pattern = rf"(?<!\w){re.escape(wanted)}(?!\w)"
        if wanted and re.search(pattern, output, re.IGNORECASE):
            return True, "The output holds the expected answer."
        return False, "The output does not hold the expected answer."
    breaches = scenario.breaches(f"{parts.get('task', '')}\n\n{output}")
    if breaches is None:
        return True, "Nothing in the output can be checked."
    if not breaches:
        return True, "The output breaks no rule that can be seen."
    return False, f"The output breaks: {', '.join(dict.fromkeys(b.rule for b in breaches))}."
