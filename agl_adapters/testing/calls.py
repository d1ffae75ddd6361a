"""What the simulated model is asked and what it replies, whichever wire format carried it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

__all__ = ["Call", "Message", "Reply", "Tool", "ToolCall", "draws"]

SYSTEM_ROLES = ("system", "developer")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, made by the model.

    Attributes:
        name: The tool's name.
        arguments: The arguments as JSON text, as on the wire.
    """

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, its content joined to plain text.

    Attributes:
        role: `system`, `developer`, `user`, `assistant` or `tool`.
        text: The text parts, joined by newlines; other parts are left out.
        tool_calls: What the assistant called in this message.
    """

    role: str
    text: str
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """A function tool that the caller offers.

    Attributes:
        name: The function's name.
        description: What the caller says it does.
        parameters: The JSON schema of its arguments.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Call:
    """One request to the model.

    Attributes:
        api: Which endpoint received it.
        model: The model that was asked for; it changes nothing but the draws.
        messages: The conversation. The `instructions` of a Responses call come first, as `system`.
        tools: The function tools offered.
        tool_choice: `auto`, `none`, `required`, or the name of the tool that must be called.
        schema: The JSON schema that the reply must follow, None for free text.
        stream: Whether server-sent events were asked for.
        include_usage: Whether a chat stream ends with a usage chunk.
    """

    api: Literal["chat", "responses"]
    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    schema: Mapping[str, Any] | None = None
    stream: bool = False
    include_usage: bool = False

    @cached_property
    def systems(self) -> list[str]:
        """The texts of the system and developer messages."""
        return [message.text for message in self.messages if message.role in SYSTEM_ROLES]

    @property
    def system(self) -> str:
        """The system texts as one, separated by a line of three dashes."""
        return "\n---\n".join(self.systems)

    @cached_property
    def users(self) -> list[str]:
        """The texts of the user messages."""
        return [message.text for message in self.messages if message.role == "user"]

    @property
    def prompt(self) -> str:
        """The text that instructs the model: the system text, else the first user text."""
        return self.system if self.systems else "".join(self.users[:1])

    @cached_property
    def called(self) -> set[str]:
        """The names of the tools called in the conversation."""
        return {call.name for message in self.messages for call in message.tool_calls}

    @property
    def offered(self) -> tuple[Tool, ...]:
        """The tools that may be called in this turn."""
        return () if self.tool_choice == "none" else self.tools

    @property
    def wants_structure(self) -> bool:
        """Whether free text is no answer: a schema is given, or a tool must be called."""
        return self.schema is not None or self.tool_choice not in ("auto", "none")

    def digest(self) -> bytes:
        """A hash of what the request says: model, roles, texts, tools, tool calls; no ids."""
        content = hashlib.blake2b(digest_size=16)
        fields = [self.model, *(tool.name for tool in self.tools)]
        for message in self.messages:
            fields += [message.role, message.text]
            for call in message.tool_calls:
                fields += [call.name, call.arguments]
        for text in fields:
            data = text.encode("utf-8", "surrogatepass")
            content.update(len(data).to_bytes(8, "big") + data)
        return content.digest()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a scenario answers: text or tool calls, or an error status.

    Attributes:
        text: The reply's text.
        tool_calls: The tools to call instead.
        fields: Values by property name, for a caller who wants a JSON schema followed; all else
            that the schema asks for is made up, with `text` as every string.
        status: An HTTP status; other than 200 it makes the reply an error with `text` as its
            message.
        delay: Seconds to wait before the reply is sent, besides the server's own latency.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    status: int = 200
    delay: float = 0.0


def draws(*parts: bytes | str | int) -> random.Random:
    """A random generator that depends on nothing but the parts.

    It is seeded through a cryptographic hash, so it is the same in every process (`hash()` is not).
    """
    material = "\0".join(part.hex() if isinstance(part, bytes) else str(part) for part in parts)
    return random.Random(hashlib.blake2b(material.encode()).digest())
