"""Running an agent or a team on tasks."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from typing import Any
from weakref import WeakValueDictionary

from autogen_agentchat.base import ChatAgent, TaskResult
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_core import CancellationToken

from agl_core.code_identity import code_parts
from agl_core.errors import ConfigurationError, IntegrationError
from agl_integrations.autogen._copies import NotCopyableError, fresh_copy, parts, reset

__all__ = ["TaskTarget"]

_GRACE = 1.0
"""Seconds that a cancelled run gets to end."""

_SETTINGS = (
    *("_model_client", "_tools", "_handoffs", "_max_tool_iterations", "_reflect_on_tool_use"),
    *("_output_content_type", "_selector_prompt", "_selector_func", "_candidate_func"),
    *("_max_selector_attempts", "_allow_repeated_speaker", "_max_turns", "_termination_condition"),
)
"""What agents and teams are made with, under the names that they keep it by."""

_Task = str | BaseChatMessage | list[BaseChatMessage]


class TaskTarget:
    """An agent or a team that is run once a task; the output is AutoGen's `TaskResult`.

    Agents and teams go on with their conversation when they are run again. So each run is one of a
    fresh copy, and the object itself stays as it is. Where no copy can be made, the object is run,
    one run at a time, and reset before each; the user is told so once.

    Args:
        runner: The agent or team.
        used: What earlier runs of single use were made of, by id; this one's parts are added.
    """

    is_async = True

    def __init__(self, runner: Any, used: WeakValueDictionary[int, Any]) -> None:
        if getattr(runner, "_is_running", False):
            raise ConfigurationError(
                f"{runner.name} is running: wrap it when it is done, or give wrap() a function "
                "that builds a new one"
            )
        self.name: str = runner.name
        self._runner = runner
        self._used = used
        self._uncopyable: NotCopyableError | None = None
        self._runs = 0
        self._turn = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, input: Any) -> TaskResult:
        """Run it once; see `agl_adapters.integration.Target.run`."""
        task = self._task(input)
        if self._uncopyable is None:
            try:
                runner = await fresh_copy(self._runner)
            except NotCopyableError as error:
                self._uncopyable = error
            else:
                return await _run(runner, task)
        async with self._turn_here():
            self._warn(self._uncopyable)
            if getattr(self._runner, "_is_running", False):
                raise IntegrationError(
                    f"{self.name} is still running an earlier task, which did not end when it was "
                    "cancelled: give wrap() a function that builds a new one for each rollout"
                )
            await reset(self._runner)
            return await _run(self._runner, task)

    async def run_once(self, input: Any) -> TaskResult:
        """Run the object itself; see `agl_adapters.integration.SingleUseTarget.run_once`."""
        task = self._task(input)
        for part in parts(self._runner):
            if self._used.get(id(part)) is part:
                name = getattr(part, "name", None)
                what = type(part).__name__ + (f" {name!r}" if isinstance(name, str) else "")
                raise ConfigurationError(
                    f"the {what} in {self.name} is that of an earlier rollout, and holds its "
                    "conversation: build all of it in the function that you gave to wrap()"
                )
            self._used[id(part)] = part
        return await _run(self._runner, task)

    def parts(self) -> dict[str, str]:
        """Return each agent with its own prompts and tools, a digest by its name."""
        found: dict[str, object] = {}
        waiting: list[Any] = [self._runner]
        while waiting:
            part = waiting.pop()
            name = f"agent {getattr(part, 'name', type(part).__name__)}"
            if name in found:
                continue
            messages = getattr(part, "_system_messages", None) or ()
            texts = [str(getattr(message, "content", "")) for message in messages]
            held = {key.strip("_"): getattr(part, key, None) for key in _SETTINGS}
            found[name] = [type(part), texts, held]
            waiting += getattr(part, "_participants", ())
        return code_parts(found)

    def answer(self, output: TaskResult) -> Any:
        """Return the text of the last message; see `agl_adapters.integration.Target.answer`."""
        return output.messages[-1].to_text() if output.messages else None

    def _task(self, input: Any) -> _Task:
        if isinstance(input, str | BaseChatMessage):
            return input
        if isinstance(input, list | tuple) and input:
            messages = [message for message in input if isinstance(message, BaseChatMessage)]
            if len(messages) == len(input):
                return messages
        raise ConfigurationError(
            f"{self.name} takes text, a chat message or a list of chat messages, and was given "
            f"{type(input).__name__}: {input!r:.80}; make it of the task with wrap(..., input=...)"
        )

    def _turn_here(self) -> asyncio.Lock:
        """Return the lock, made anew on another event loop: it belongs to one."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._turn = loop, asyncio.Lock()
        return self._turn

    def _warn(self, reason: NotCopyableError) -> None:
        self._runs += 1
        if self._runs == 2:
            warnings.warn(
                f"{self.name} is run on one task at a time: no copy can be made of it ({reason}). "
                "To run several at once, give wrap() a function that builds a new one: "
                "wrap(build_team, ...) in place of wrap(build_team(), ...)",
                RuntimeWarning,
                stacklevel=2,
            )


async def _run(runner: Any, task: _Task) -> TaskResult:
    """Run an agent or team. Cancelling this ends it, if it can be ended, before it is raised."""
    token = CancellationToken()
    work = asyncio.ensure_future(runner.run(task=task, cancellation_token=token))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        token.cancel()
        if isinstance(runner, ChatAgent):
            work.cancel()
        for handler in _handlers(runner):
            handler.cancel()
        await asyncio.wait({work}, timeout=_GRACE)
        raise


def _handlers(runner: Any) -> Iterator[asyncio.Task[Any]]:
    """Yield what handles messages in the runtimes of teams.

    A team that is cancelled waits for them, and not all of what they wait for heeds its token: an
    agent of AutoGen's goes on waiting for a tool that was cancelled.
    """
    for part in parts(runner):
        if isinstance(part, BaseGroupChat) and part._embedded_runtime:  # pyright: ignore[reportPrivateUsage]
            yield from tuple(part._runtime._background_tasks)  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
