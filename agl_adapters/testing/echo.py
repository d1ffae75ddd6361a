"""The `echo` scenario: the model says which system text it received."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence

from agl_adapters.testing.calls import Call, Reply, ToolCall
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor
from agl_adapters.testing.rules import Breach, Rule
from agl_adapters.testing.schema import fill

__all__ = ["Echo"]

CALL = re.compile(r"\bCALL:([\w-]+)")
FAIL = re.compile(r"\bFAIL([45]\d\d)\b")
SLEEP = re.compile(r"\bSLEEP:(\d+(?:\.\d+)?)")
MARK = re.compile(r"\b(?!CALL:|SLEEP:)[A-Z]+:\w+")


class Echo:
    """Replies `ECHO[<system text>]`, several system texts separated by a line of three dashes.

    User text directs it:

    - `CALL:<tool>` calls that tool, if it is offered and was not called yet in the conversation.
      Its arguments fit its schema; every string in them is `argument` followed by the marks of the
      user text (words like `RUN:7`), so that what a tool starts can be traced to what started it;
    - `FAIL400`, `FAIL500` (any 4xx or 5xx) makes the call fail with that status;
    - `SLEEP:<seconds>` delays the reply.

    Structured output fits the schema, with the system text as every string.
    """

    name = "echo"
    rules: Sequence[Rule] = ()
    critic = Critic()
    editor = Editor()

    def reply(self, call: Call, rng: random.Random) -> Reply:
        """Echo the system text, or do what the user text directs. Draws nothing."""
        directions = "\n".join(call.users)
        if failure := FAIL.search(directions):
            return Reply("A failure that the request asked for.", status=int(failure[1]))
        delay = sum(float(seconds) for seconds in SLEEP.findall(directions))
        wanted = CALL.findall(directions)
        for tool in call.offered:
            if tool.name in wanted and tool.name not in call.called:
                marks = dict.fromkeys(MARK.findall(directions))
                arguments = fill(tool.parameters, " ".join(["argument", *marks]))
                tool_call = ToolCall(tool.name, json.dumps(arguments))
                return Reply(tool_calls=(tool_call,), delay=delay)
        text = call.system if call.wants_structure else f"ECHO[{call.system}]"
        return Reply(text, delay=delay)

    def breaches(self, text: str) -> list[Breach] | None:
        """None: there are no rules to break."""
        return None
