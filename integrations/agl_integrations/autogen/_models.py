"""The model hook: each call of a model client is one span, and has its prompt.

AutoGen's own agents send what `_prompts` gave them. What other code sends through a model client,
an agent that somebody wrote for instance, gets its prompt here.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from types import FrameType
from typing import Any, NamedTuple

from autogen_agentchat.base import ChatAgent
from autogen_core import BaseAgent
from autogen_core.models import ChatCompletionClient, CreateResult, SystemMessage, UserMessage
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import SpanKind

from agl_adapters.injection import (
    active,
    inject,
    is_prompt,
    module_name,
    numbered,
    slot_name,
    takes_user_messages,
)
from agl_core.prompts.binding import current_binding
from agl_core.prompts.slots import Role
from agl_core.spans.genai import SLOT
from agl_core.tracing.exceptions import record_exception
from agl_core.tracing.tracing import Tracing
from agl_integrations.autogen._attributes import model_request, model_response
from agl_integrations.autogen._coverage import Coverage
from agl_integrations.autogen._patches import Patches
from agl_integrations.autogen._prompts import TEAMS, prompt_path

__all__ = ["ModelHook"]


class ModelHook:
    """Wraps the model clients there are, and those that are defined while it is installed.

    Args:
        tracing: Makes the spans.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def install(self, patches: Patches) -> None:
        """Install the hook."""

        def subclass(cls: type[ChatCompletionClient], **kwargs: Any) -> None:
            super(ChatCompletionClient, cls).__init_subclass__(**kwargs)
            self._wrap(cls, patches)

        for client in _subclasses(ChatCompletionClient):
            self._wrap(client, patches)
        patches.set(ChatCompletionClient, "__init_subclass__", classmethod(subclass))

    def _wrap(self, client: type, patches: Patches) -> None:
        if "create" in vars(client):
            patches.wrap(client, "create", self._create)
        if "create_stream" in vars(client):
            patches.wrap(client, "create_stream", self._create_stream)

    def _create(
        self,
        wrapped: Callable[..., Awaitable[CreateResult]],
        client: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Awaitable[CreateResult]:
        if not active():
            return wrapped(*args, **kwargs)
        call = self._prepared(client, args, kwargs, sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        return call.coverage.awaited(wrapped, *call.args, **call.kwargs)

    def _create_stream(
        self,
        wrapped: Callable[..., AsyncGenerator[Any]],
        client: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> AsyncGenerator[Any]:
        if not active():
            return wrapped(*args, **kwargs)
        call = self._prepared(client, args, kwargs, sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        return call.coverage.iterate(wrapped, *call.args, **call.kwargs)

    def _prepared(
        self, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any], caller: FrameType
    ) -> _Call:
        """Put the prompt into a call, unless it comes from an agent that has put it there."""
        messages: Sequence[Any] = args[0] if args else kwargs.get("messages", ())
        path, slot = _path(caller), None
        of_autogen = str(caller.f_globals.get("__name__")).startswith("autogen_agentchat.")
        roles = _roles(path, of_autogen)
        if roles:
            messages, slot = _injected(path or _site(caller), messages, roles)
            if args:
                args = (messages, *args[1:])
            else:
                kwargs = {**kwargs, "messages": messages}
        if of_autogen:
            slot = _slot_used(path, messages) or slot
        coverage = Coverage()
        if self._tracing.active():
            coverage = _RecordedCall(self._tracing, client, messages, kwargs, slot)
        return _Call(coverage, args, kwargs)


def _roles(path: str | None, of_autogen: bool) -> set[Role]:
    """Return the roles of the messages that may need a prompt here.

    The system messages of AutoGen's own agents have theirs, and all that its teams send has.
    """
    roles: set[Role] = set() if of_autogen else {"system"}
    if takes_user_messages() and not (of_autogen and path in TEAMS):
        roles.add("user")
    return roles


class _Call(NamedTuple):
    """A model call that has its prompt."""

    coverage: Coverage
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class _RecordedCall(Coverage):
    """A model call with a span. Instrumentors of the client make none for the same call."""

    def __init__(
        self,
        tracing: Tracing,
        client: Any,
        messages: Sequence[Any],
        kwargs: Mapping[str, Any],
        slot: str | None,
    ) -> None:
        self._tracer = tracing.tracer
        self._capture_content = tracing.capture_content
        self._attributes = model_request(client, messages, kwargs, tracing.capture_content)
        if slot is not None:
            self._attributes[SLOT] = slot

    def _begin(self) -> otel_context.Context:
        name = f"chat {self._attributes['gen_ai.request.model']}"
        self._span = self._tracer.start_span(
            name, kind=SpanKind.CLIENT, attributes=self._attributes
        )
        with suppress_instrumentation():
            return trace.set_span_in_context(self._span)

    def _note(self, result: Any) -> None:
        if isinstance(result, CreateResult):
            self._span.set_attributes(model_response(result, self._capture_content))

    def _fail(self, error: BaseException) -> None:
        self._span.set_attribute("error.type", type(error).__qualname__)
        record_exception(self._span, error)

    def _end(self) -> None:
        self._span.end()


def _subclasses(cls: type) -> Iterator[type]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _injected(
    path: str, messages: Sequence[Any], roles: Collection[Role]
) -> tuple[list[Any], str | None]:
    """Return the messages to send, and the first slot that they use."""
    sent: list[Any] = []
    slots: list[str] = []
    numbers: Counter[Role] = Counter()

    def put_in(role: Role, text: str) -> str:
        numbers[role] += 1
        slot = slot_name("autogen", path, numbered(role, numbers[role]))
        if is_prompt(slot):
            slots.append(slot)
        return inject(slot, text)

    for message in messages:
        role: Role = "system" if isinstance(message, SystemMessage) else "user"
        if isinstance(message, SystemMessage | UserMessage) and role in roles:
            content = message.content
            if isinstance(content, str):
                content = put_in(role, content)
            else:
                content = [put_in(role, c) if isinstance(c, str) else c for c in content]
            message = message.model_copy(update={"content": content})
        sent.append(message)
    return sent, slots[0] if slots else None


def _slot_used(path: str | None, messages: Sequence[Any]) -> str | None:
    """Return the slot of an agent whose prompt is among the messages: of several, the latest's."""
    binding = current_binding()
    if binding is None or path is None:
        return None
    start = slot_name("autogen", path, "")
    sent = {use.sent: slot for slot, use in list(binding.slots.items()) if slot.startswith(start)}
    texts = (message.content for message in reversed(messages))
    return next((sent[text] for text in texts if isinstance(text, str) and text in sent), None)


def _path(caller: FrameType) -> str | None:
    """Return what the slots of the innermost agent on the stack are named after."""
    frame: FrameType | None = caller
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith("asyncio."):
            return None  # above is whoever runs the event loop
        code = frame.f_code
        owner = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        if isinstance(owner, ChatAgent | BaseAgent):
            return prompt_path(owner)
        frame = frame.f_back
    return None


def _site(caller: FrameType) -> str:
    """Return the qualified name of a function that is no agent's."""
    return f"{module_name(caller)}.{caller.f_code.co_qualname}"
