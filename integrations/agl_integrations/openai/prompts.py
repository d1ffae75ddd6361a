"""The prompt hook: puts the bound prompts into the requests of the client.

It wraps the client's methods above its instrumentor, so that spans record what is really sent, and
where the caller is still to be seen, also of a call that becomes a task of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import wrapt
from openai.resources.chat.completions import AsyncCompletions, Completions
from openai.resources.responses import AsyncResponses, Responses

from agl_adapters.call_sites import CallSites
from agl_adapters.injection import (
    active,
    inject,
    is_prompt,
    model_call,
    numbered,
    slot_name,
    takes_user_messages,
)
from agl_adapters.request_texts import with_texts
from agl_core.prompts.slots import Role
from agl_core.tracing.tracing import Tracing, in_slot
from agl_integrations.openai.escapes import EscapedRequests
from agl_integrations.openai.instrumentor import instrumented_by_user

__all__ = ["client_prompts"]

_METHODS = ("create", "parse", "stream")

_OWNERS = ("completions", "responses", "with_raw_response", "with_streaming_response")

_PLUMBING = (
    *("autogen_agentchat", "autogen_core", "autogen_ext"),
    *("langchain", "langchain_core", "langchain_openai", "langgraph"),
    *("backoff", "instructor", "langfuse", "langsmith", "litellm", "tenacity"),
    *("openai", "opentelemetry", "wrapt"),
)

_UNKNOWN = "unknown"
"""Stands for the call site where no user code makes the call."""


@contextmanager
def client_prompts(tracing: Tracing) -> Generator[None]:
    """Put prompts into the calls of chat completions and responses that bound contexts make.

    Each call site has its slots; `agl_integrations.openai` says how they are named. What the
    program passes is not written to. A call that a framework's own hook covers is left alone, and
    one outside of bound contexts goes straight through.

    Args:
        tracing: Makes the spans of requests that bypass the client's wrapped methods.
    """
    hook = _PromptHook()
    escapes = EscapedRequests(tracing, hook.injected, records=not instrumented_by_user())
    wrappers: list[tuple[type, Callable[..., Any]]] = [
        *((owner, hook.call) for owner in (Completions, Responses)),
        *((owner, hook.task) for owner in (AsyncCompletions, AsyncResponses)),
    ]
    with ExitStack() as stack:
        stack.enter_context(escapes.caught())
        for owner, wrapper in wrappers:
            for name in _METHODS:
                chosen = hook.manager if name == "stream" else wrapper
                stack.enter_context(_wrapped(owner, name, chosen))
        stack.callback(hook.shut)
        yield


class _SentList(list[Any]):
    """Messages or input items that have their prompts."""

    slot: str | None = None


class _SentText(str):
    """Instructions that have their prompt."""

    slot: str | None = None


class _PromptHook:
    """Gives calls their prompts, until it is shut.

    A method that somebody keeps outlives its place on the class: the client's own
    ``with_raw_response`` does.
    """

    def __init__(self) -> None:
        self._sites = CallSites(_PLUMBING, _METHODS, _OWNERS)
        self._open = True

    def shut(self) -> None:
        """Let all calls through as they are from now on."""
        self._open = False

    def call(
        self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Make a call."""
        if not (self._open and active()):
            return wrapped(*args, **kwargs)
        request, slot = self.injected(kwargs)
        with _covered(slot):
            return wrapped(*args, **request)

    def task(
        self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return the coroutine of a call; the prompts are put in before it runs."""
        if not (self._open and active()):
            return wrapped(*args, **kwargs)
        request, slot = self.injected(kwargs)
        return _awaited(partial(wrapped, *args, **request), slot)

    def manager(
        self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return the manager of a stream. It makes its call by `create`, now or when entered."""
        if not (self._open and active()):
            return wrapped(*args, **kwargs)
        request, slot = self.injected(kwargs)
        return wrapped(*args, **_marked(request, slot))

    def injected(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
        """Return a request with its prompts, and the first slot that it uses."""
        for value in request.values():
            if isinstance(value, _SentList | _SentText):
                return dict(request), value.slot
        slots: list[str] = []
        path = ""

        def put_in(role: Role, number: int, text: str) -> str:
            nonlocal path
            path = path or self._sites.nearest() or _UNKNOWN
            slot = slot_name("openai", path, numbered(role, number))
            if is_prompt(slot):
                slots.append(slot)
            return inject(slot, text)

        roles: set[Role] = {"system", "user"} if takes_user_messages() else {"system"}
        sent = with_texts(request, roles, put_in)
        return sent, slots[0] if slots else None


def _marked(request: Mapping[str, Any], slot: str | None) -> dict[str, Any]:
    """Return a request that says of itself that it has its prompts."""
    marked = dict(request)
    for name in ("instructions", "messages", "input"):
        value = request.get(name)
        if isinstance(value, str):
            marked[name] = _SentText(value)
        elif isinstance(value, list | tuple):
            marked[name] = _SentList(value)
        else:
            continue
        marked[name].slot = slot
    return marked


@contextmanager
def _covered(slot: str | None) -> Generator[None]:
    """Surround a call that has its prompts: where it is sent, nothing more is put in."""
    with model_call():
        if slot is None:
            yield
            return
        with in_slot(slot):
            yield


async def _awaited(call: Callable[[], Any], slot: str | None) -> Any:
    with _covered(slot):
        return await call()


@contextmanager
def _wrapped(owner: type, name: str, wrapper: Callable[..., Any]) -> Generator[None]:
    found = vars(owner)[name]
    installed = wrapt.FunctionWrapper(found, wrapper)
    setattr(owner, name, installed)
    try:
        yield
    finally:
        # What somebody has wrapped since stays where it is.
        if vars(owner)[name] is installed:
            setattr(owner, name, found)
