"""The prompt hook: puts the bound prompts into the calls of chat models.

It wraps the public entry points of `BaseChatModel`, above LangChain's cache and its callbacks: so
the cache is keyed by, and spans record, what is really sent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import wrapt
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import ChatPromptValue

from agl_adapters.injection import (
    inject,
    is_prompt,
    numbered,
    slot_name,
    takes_user_messages,
)
from agl_core.prompts.binding import current_binding
from agl_core.prompts.matching import lift
from agl_core.prompts.slots import Role
from agl_core.tracing.tracing import Tracing
from agl_integrations.langgraph._coverage import Coverage
from agl_integrations.langgraph._messages import inject_messages, role_of
from agl_integrations.langgraph._runs import (
    UNNAMED_CHAIN,
    RunTree,
    Site,
    checkpoint_path,
    structural_site,
)
from agl_integrations.langgraph._sites import CallSites

__all__ = ["PromptHook"]

_Prepare = Callable[[Any, tuple[Any, ...], dict[str, Any]], "_Call | None"]
_Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


class _InjectedMessages(list[BaseMessage]):
    """Messages that went through injection: an entry point that calls another one passes these."""


class _InjectedInput(ChatPromptValue):
    """The input of a model call whose messages went through injection."""

    def to_messages(self) -> list[BaseMessage]:
        return _InjectedMessages(self.messages)


class PromptHook:
    """Wraps the entry points of chat models for as long as it is installed.

    Args:
        runs: The runs in progress, which tell where a call is made.
        sites: Names the places in user code.
        tracing: Tells whether calls are recorded.
    """

    def __init__(self, runs: RunTree, sites: CallSites, tracing: Tracing) -> None:
        self._runs = runs
        self._sites = sites
        self._tracing = tracing

    @contextmanager
    def installed(self) -> Generator[None]:
        """Wrap the entry points for the block."""
        wrappers = {
            "invoke": _wrapper(self._input, Coverage.call),
            "ainvoke": _wrapper(self._input, Coverage.awaited),
            "stream": _wrapper(self._input, Coverage.iterate),
            "astream": _wrapper(self._input, Coverage.iterate_async),
            "generate": _wrapper(self._batch, Coverage.call),
            "agenerate": _wrapper(self._batch, Coverage.awaited),
            # Version 3 of the event streams is made when it is consumed, by the two below; the
            # others call `stream` and `astream`.
            "stream_events": _wrapper(self._event_input, _call_bare),
            "astream_events": _wrapper(self._event_input, _call_bare),
            "_iter_v2_events": _wrapper(self._events, Coverage.iterate),
            "_aiter_v2_events": _wrapper(self._events, Coverage.iterate_async),
        }
        originals = {name: BaseChatModel.__dict__[name] for name in wrappers}
        installed = {
            name: wrapt.FunctionWrapper(originals[name], wrapper)
            for name, wrapper in wrappers.items()
        }
        for name, wrapper in installed.items():
            setattr(BaseChatModel, name, wrapper)
        try:
            yield
        finally:
            for name, original in originals.items():
                # Whoever wrapped ours in the meantime stays: without a binding, ours does nothing.
                if BaseChatModel.__dict__[name] is installed[name]:
                    setattr(BaseChatModel, name, original)

    def _input(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call | None:
        """Prepare a call whose input is anything that can be made into messages."""
        given = args[0] if args else kwargs.get("input")
        if type(given) is _InjectedInput:
            return None
        messages = _messages(model, given)
        if messages is None:
            return None
        config = args[1] if len(args) > 1 else kwargs.get("config")
        sent, slot = self._injected(messages, config)
        value = _InjectedInput.model_construct(messages=sent)
        if args:
            args = (value, *args[1:])
        else:
            kwargs = {**kwargs, "input": value}
        return _Call(Coverage(self._tracing, slot), args, kwargs)

    def _event_input(
        self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> _Call | None:
        return self._input(model, args, kwargs) if kwargs.get("version") == "v3" else None

    def _events(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call:
        return _Call(Coverage(self._tracing, None), args, kwargs)

    def _batch(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call | None:
        """Prepare a call whose input is a list of lists of messages."""
        given: Sequence[Any] = args[0] if args else kwargs.get("messages", ())
        if all(isinstance(messages, _InjectedMessages) for messages in given):
            return None
        config = {key: kwargs.get(key) for key in ("callbacks", "metadata")}
        slot: str | None = None
        batch: list[_InjectedMessages] = []
        for messages in given:
            sent, slot = self._injected(messages, config)
            batch.append(sent)
        if args:
            args = (batch, *args[1:])
        else:
            kwargs = {**kwargs, "messages": batch}
        return _Call(Coverage(self._tracing, slot), args, kwargs)

    def _injected(
        self, messages: Sequence[BaseMessage], config: Mapping[str, Any] | None
    ) -> tuple[_InjectedMessages, str | None]:
        """Return the messages to send, and the first slot that they use."""
        slots: list[str] = []
        roles: set[Role] = {"system", "user"} if takes_user_messages() else {"system"}
        names = self._names(config) if any(role_of(m) in roles for m in messages) else []

        def put_in(role: Role, number: int, text: str) -> str:
            known_as = [slot_name("langgraph", name, numbered(role, number)) for name in names]
            slot = _choice(known_as, text)
            if is_prompt(slot):
                slots.append(slot)
            return inject(slot, text)

        sent = _InjectedMessages(inject_messages(messages, roles, put_in))
        return sent, slots[0] if slots else None

    def _names(self, config: Mapping[str, Any] | None) -> list[str]:
        """Return the path of a call, by where it is made, and what it may be called for short."""
        run = self._runs.enclosing(config)
        if run is not None:
            code = self._sites.inner_site()
            tags = getattr((config or {}).get("callbacks"), "tags", None)
            site = structural_site(tags) if code is None else Site(code)
            paths = [path for path in self._runs.paths(run, site) if path]
            if paths:
                return paths
        return [checkpoint_path(config) or self._sites.call_site() or UNNAMED_CHAIN]


def _choice(slots: Sequence[str], text: str) -> str:
    """Return the slot that a text belongs to: the first, or a shorter one that has its prompt."""
    binding = current_binding()
    if binding is not None and slots[0] not in binding.resources:
        for slot in slots[1:]:
            own = binding.originals.get(slot)
            if slot in binding.resources and (own is None or lift(own, text) is not None):
                return slot
    return slots[0]


def _messages(model: Any, given: Any) -> Sequence[BaseMessage] | None:
    """Return the messages of an input, or None if the model is to say what is wrong with it."""
    if isinstance(given, list) and all(isinstance(item, BaseMessage) for item in given):
        return given
    try:
        return model._convert_input(given).to_messages()
    except Exception:  # noqa: BLE001 - a model may refuse its input by any of them
        return None


class _Call(NamedTuple):
    """A model call with prompts put in."""

    coverage: Coverage
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def _wrapper(prepare: _Prepare, run: Callable[..., Any]) -> _Wrapper:
    """Return a wrapper that prepares calls in a bound context and passes on all others.

    It is a plain function also where it wraps a coroutine function: so it runs when the program
    makes the call, not when a task gets round to it, and can see who makes it.
    """

    def wrapper(
        wrapped: Callable[..., Any], model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        call = None if current_binding() is None else prepare(model, args, kwargs)
        if call is None:
            return wrapped(*args, **kwargs)
        return run(call.coverage, wrapped, *call.args, **call.kwargs)

    return wrapper


def _call_bare(_: Coverage, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)
