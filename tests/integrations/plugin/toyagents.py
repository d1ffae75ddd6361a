"""A toy framework: agents with tools, run on text. It knows nothing of agl-adapters."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import openai


class Agent:
    """An agent with instructions and tools, which are functions of texts."""

    def __init__(
        self,
        name: str,
        instructions: str,
        tools: Sequence[Callable[..., Any]] = (),
        model: str = "toy",
    ) -> None:
        self.name = name
        self.instructions = instructions
        self.tools = {tool.__name__: tool for tool in tools}
        self.model = model

    def run(self, text: str) -> str:
        """Ask the model, and run the tools that it calls, until it answers."""
        messages: list[Any] = [
            {"role": "system", "content": self.instructions},
            {"role": "user", "content": text},
        ]
        while True:
            message = self.ask(messages).choices[0].message
            if not message.tool_calls:
                return message.content or ""
            messages.append(message.to_dict())
            messages += [self.call(call) for call in message.tool_calls]

    def ask(self, messages: list[Any]) -> Any:
        """Make one model call."""
        tools: Any = [_schema(tool) for tool in self.tools.values()] or openai.omit
        return _client().chat.completions.create(model=self.model, messages=messages, tools=tools)

    def call(self, call: Any) -> dict[str, str]:
        """Run the tool that the model calls; return the message with its result."""
        result = self.tools[call.function.name](**json.loads(call.function.arguments))
        return {"role": "tool", "tool_call_id": call.id, "content": str(result)}


@cache
def _client() -> openai.OpenAI:
    return openai.OpenAI(max_retries=0)


def _schema(tool: Callable[..., Any]) -> dict[str, Any]:
    names = list(inspect.signature(tool).parameters)
    properties = {name: {"type": "string"} for name in names}
    parameters = {"type": "object", "properties": properties, "required": names}
    return {"type": "function", "function": {"name": tool.__name__, "parameters": parameters}}
