"""What the two wire formats share: the answer to be sent, its size in tokens, text parts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from agl_adapters.testing.calls import Call, Reply, ToolCall
from agl_adapters.testing.schema import fill

__all__ = ["Answer", "Wire", "encode", "finish", "plain_text", "words"]

CHARACTERS_PER_TOKEN = 4
WORD = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished reply, ready for the wire.

    Attributes:
        id: Hexadecimal digits from which all ids of the answer are made.
        created: Unix time in seconds.
        text: The text; empty if tools are called.
        tool_calls: The tools called.
        input_tokens: Estimated, four characters a token.
        output_tokens: Estimated, four characters a token.
    """

    id: str
    created: int
    text: str
    tool_calls: tuple[ToolCall, ...]
    input_tokens: int
    output_tokens: int


class Wire(Protocol):
    """One endpoint's format."""

    path: str
    """Where the endpoint is mounted."""

    def parse(self, body: Mapping[str, Any]) -> Call:
        """Read a request. ValueError, KeyError or TypeError: the format does not allow it."""
        ...

    def whole(self, call: Call, answer: Answer) -> bytes:
        """The body of an answer that is not streamed."""
        ...

    def events(self, call: Call, answer: Answer) -> Iterator[bytes]:
        """The server-sent events of a streamed answer."""
        ...

    def empty(self, call: Call, answer: Answer) -> bytes:
        """The body of an answer with nothing in it: the fault `empty`."""
        ...


def finish(call: Call, reply: Reply, identity: str, created: int) -> Answer:
    """Bring a reply into the form that the call insists on: a schema, or a tool to be called."""
    text, tool_calls = reply.text, reply.tool_calls
    if not tool_calls:
        forced = _forced_tool(call)
        if forced is not None:
            arguments = _structured(reply, call.tools[forced].parameters)
            text, tool_calls = "", (ToolCall(call.tools[forced].name, json.dumps(arguments)),)
        elif call.schema is not None:
            text = json.dumps(_structured(reply, call.schema))
    written = len(text) + sum(len(c.name) + len(c.arguments) for c in tool_calls)
    return Answer(
        identity, created, text, tool_calls, _tokens(_characters_read(call)), _tokens(written)
    )


def _forced_tool(call: Call) -> int | None:
    """The place of the tool that must be called: the one named, or the last that is offered."""
    if call.tool_choice in ("auto", "none") or not call.tools:
        return None
    names = [tool.name for tool in call.tools]
    return names.index(call.tool_choice) if call.tool_choice in names else len(names) - 1


def _structured(reply: Reply, schema: Mapping[str, Any]) -> Any:
    if not schema:  # any JSON object will do
        return dict(reply.fields) or {"text": reply.text}
    return fill(schema, reply.text, reply.fields)


def _characters_read(call: Call) -> int:
    read = sum(len(tool.name) + len(tool.description) for tool in call.tools)
    for message in call.messages:
        read += len(message.text)
        read += sum(len(c.name) + len(c.arguments) for c in message.tool_calls)
    return read


def _tokens(characters: int) -> int:
    return max(1, -(-characters // CHARACTERS_PER_TOKEN))


def plain_text(content: Any) -> str:
    """The text of a message's content, which is None, a string, or a list of parts."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = [
        part if isinstance(part, str) else part.get("text") or part.get("refusal") or ""
        for part in content
    ]
    return "\n".join(parts)


def words(text: str) -> Iterable[str]:
    """The pieces in which a text is streamed; joined they are the text."""
    return WORD.findall(text)


def encode(value: Any) -> bytes:
    """A value as compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()
