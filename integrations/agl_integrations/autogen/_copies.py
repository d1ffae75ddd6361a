"""Fresh copies of agents and teams, which hold the state of a conversation.

AutoGen's own way, a round trip through `dump_component`, loses API keys and what function tools
close over. So the objects that hold state are copied, and all others are shared with the original:
model clients, tools, memories. Which is which is known of what AutoGen 0.7.5 is made of. An object
of another kind, such as one that somebody keeps in an agent of their own, or a code executor with
its working directory, is neither copied nor shared: then there is no copy.
"""

from __future__ import annotations

import copy
import functools
import logging
import re
from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from autogen_agentchat.agents import BaseChatAgent, SocietyOfMindAgent
from autogen_agentchat.base import ChatAgent, Team, TerminationCondition
from autogen_agentchat.messages import StructuredMessageFactory
from autogen_agentchat.teams import BaseGroupChat
from autogen_agentchat.tools._task_runner_tool import TaskRunnerTool
from autogen_core import CancellationToken
from autogen_core.memory import Memory
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import (
    BaseTool,
    BaseToolWithState,
    FunctionTool,
    StaticWorkbench,
    Workbench,
)
from pydantic import BaseModel

__all__ = ["NotCopyableError", "fresh_copy", "parts", "reset"]

_STATEFUL = (ChatAgent, Team, ChatCompletionContext, TerminationCondition)
_HOLDERS = (StaticWorkbench, TaskRunnerTool)
"""What may hold something stateful: an agent or team as a tool."""

_COPIED = (BaseChatAgent, BaseGroupChat, ChatCompletionContext, TerminationCondition, *_HOLDERS)

_VALUES = (
    *(bool, int, float, complex, str, bytes, type(None), type(Ellipsis), Enum, PurePath),
    *(re.Pattern, type, ModuleType, FunctionType, BuiltinFunctionType, logging.Logger),
)
_SHARED = (ChatCompletionClient, BaseTool, Memory, StructuredMessageFactory, Workbench)


class NotCopyableError(Exception):
    """No fresh copy can be made. The message says of what, and what it holds."""


def parts(runner: Any) -> Iterator[Any]:
    """Yield what holds state in an agent or team: itself, its agents, contexts, conditions."""
    seen: set[int] = set()
    waiting = [runner]
    while waiting:
        value = waiting.pop()
        if isinstance(value, _VALUES) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, _STATEFUL):
            yield value
        if isinstance(value, (*_STATEFUL, *_HOLDERS)):
            waiting += vars(value).values()
        elif isinstance(value, list | tuple | set | frozenset | deque):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()


async def fresh_copy(runner: Any) -> Any:
    """Return an agent or team as this one was when it was built, sharing no state with it.

    Raises:
        NotCopyableError: If it holds something of which it is not known whether it can be shared.
    """
    fresh = _Copier().copied(runner)
    await _restore(parts(fresh))
    return fresh


async def reset(runner: Any) -> None:
    """Bring an agent or team, which must not be running, to the state that it was built in."""
    for part in parts(runner):
        if isinstance(part, Team):
            await part.reset()
    await _restore(parts(runner))


async def _restore(holders: Iterable[Any]) -> None:
    """Forget the conversation that agents had."""
    contexts: list[ChatCompletionContext] = []
    for holder in holders:
        # A society of mind resets its team, which is a part of it and comes by itself.
        if isinstance(holder, ChatAgent) and not isinstance(holder, SocietyOfMindAgent):
            await holder.on_reset(CancellationToken())
        elif isinstance(holder, TerminationCondition):
            await holder.reset()
        elif isinstance(holder, ChatCompletionContext):
            contexts.append(holder)
    for context in contexts:
        # Clearing a context, as agents do, also drops the messages that it was made with.
        context._messages = list(context._initial_messages or ())  # pyright: ignore[reportPrivateUsage]


class _Copier:
    """Copies what holds state. An object that is held twice is copied once."""

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}
        self._holder: Any = None

    def copied(self, value: Any) -> Any:
        """Return a copy, or the value itself if it can be shared."""
        if isinstance(value, _VALUES):  # first, since telling an agent is slow: it is a protocol
            return value
        if isinstance(value, BaseToolWithState):
            raise self._refused(value)
        if _is_copied(value):
            return self._holder_copied(value)
        if isinstance(value, MethodType):
            return self._method_copied(value)
        if isinstance(value, FunctionTool):
            return self._tool_copied(value)
        if isinstance(value, _SHARED):
            return value
        if isinstance(value, functools.partial):
            arguments = self.copied(value.args), self.copied(value.keywords)
            return functools.partial(self.copied(value.func), *arguments[0], **arguments[1])
        if type(value) is dict:
            return {key: self.copied(item) for key, item in value.items()}
        if type(value) in (list, tuple, set, frozenset, deque):
            return type(value)(map(self.copied, value))
        return self._foreign(value)

    def _method_copied(self, method: MethodType) -> MethodType:
        """Return a copy's method for a method of its own; others are shared, as functions are."""
        owner = method.__self__
        return MethodType(method.__func__, self.copied(owner)) if _is_copied(owner) else method

    def _tool_copied(self, tool: FunctionTool) -> FunctionTool:
        function = tool._func  # pyright: ignore[reportPrivateUsage]
        if not (isinstance(function, MethodType) and _is_copied(function.__self__)):
            return tool
        fresh = copy.copy(tool)
        fresh._func = self._method_copied(function)  # pyright: ignore[reportPrivateUsage]
        return fresh

    def _foreign(self, value: Any) -> Any:
        package = type(value).__module__.partition(".")[0]
        if package == "openai" or (isinstance(value, BaseModel) and package.startswith("autogen_")):
            return value  # a client, or a message or description, which AutoGen never changes
        if isinstance(value, BaseModel):
            return copy.deepcopy(value)
        raise self._refused(value)

    def _holder_copied(self, original: Any) -> Any:
        known = self._copies.get(id(original))
        if known is not None:
            return known
        fresh = self._copies[id(original)] = object.__new__(type(original))
        around, self._holder = self._holder, original
        attributes = vars(original)
        if isinstance(original, BaseGroupChat):
            attributes = self._start_team(fresh, attributes)
        for name, value in attributes.items():
            vars(fresh)[name] = self.copied(value)
        self._holder = around
        return fresh

    def _start_team(self, fresh: BaseGroupChat, attributes: dict[str, Any]) -> dict[str, Any]:
        """Give a team an identity and a runtime of its own; return what is left to copy."""
        BaseGroupChat.__init__(
            fresh,
            name=attributes["_name"],
            description=attributes["_description"],
            participants=self.copied(attributes["_participants"]),
            group_chat_manager_name=attributes["_group_chat_manager_name"],
            group_chat_manager_class=attributes["_base_group_chat_manager_class"],
            termination_condition=self.copied(attributes["_termination_condition"]),
            max_turns=attributes["_max_turns"],
            runtime=None if attributes["_embedded_runtime"] else attributes["_runtime"],
            emit_team_events=attributes["_emit_team_events"],
        )
        # It knows the message types of the original's; types are added when a team is built.
        fresh._message_factory = attributes["_message_factory"]  # pyright: ignore[reportPrivateUsage]
        return {name: value for name, value in attributes.items() if name not in vars(fresh)}

    def _refused(self, value: Any) -> NotCopyableError:
        kind, name = type(self._holder).__name__, getattr(self._holder, "name", None)
        holder = f"{kind} {name!r}" if isinstance(name, str) else kind
        return NotCopyableError(f"{holder} holds a {type(value).__name__}")


def _is_copied(value: Any) -> bool:
    return isinstance(value, _COPIED)
