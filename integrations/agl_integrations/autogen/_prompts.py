"""The prompt hook: the prompts that AutoGen's own agents and teams keep in private attributes.

A data descriptor on the class stands in front of the attribute of its instances. Writing, which
`__init__` does, changes the instance as ever; reading in a bound context gives what is to be sent.
So agents that were built before are covered, and nothing that rollouts share is changed.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent, SocietyOfMindAgent
from autogen_agentchat.base import ChatAgent
from autogen_agentchat.teams._group_chat import _selector_group_chat as selector
from autogen_agentchat.teams._group_chat._magentic_one import _magentic_one_orchestrator as magentic
from autogen_core import BaseAgent
from autogen_core.models import SystemMessage
from opentelemetry import context as otel_context

from agl_adapters.injection import active, inject, numbered, slot_name, takes_user_messages
from agl_adapters.request_texts import with_texts
from agl_core.prompts.binding import current_binding
from agl_core.prompts.slots import Role
from agl_core.prompts.templates import PromptTemplate
from agl_core.tracing.tracing import in_slot
from agl_integrations.autogen._compat import MAGENTIC_PROMPTS
from agl_integrations.autogen._coverage import Coverage
from agl_integrations.autogen._patches import Patches, Wrapper

__all__ = ["OPENAI_AGENT", "TEAMS", "PromptHook", "prompt_path"]

_SELECTOR = "SelectorGroupChat"
_MAGENTIC = "MagenticOneGroupChat"
TEAMS = frozenset({_SELECTOR, _MAGENTIC})
"""What the slots of the prompts of teams are named after."""

OPENAI_AGENT = "autogen_ext.agents.openai._openai_agent"
"""A module that needs packages which are not always there: it is hooked if it is imported."""


class PromptHook:
    """Puts the bound prompts where agents and teams read theirs."""

    def __init__(self) -> None:
        self._covers_openai_agent = False

    def install(self, patches: Patches) -> None:
        """Install the hook."""
        for agent in (AssistantAgent, CodeExecutorAgent):
            _stand_before(patches, agent, "_system_messages", _system_messages)
        for role in ("instruction", "response_prompt"):
            _stand_before(patches, SocietyOfMindAgent, f"_{role}", _text(role))
        manager = selector.SelectorGroupChatManager
        _stand_before(patches, manager, "_selector_prompt", _selector_prompt)
        for prompt in MAGENTIC_PROMPTS:
            orchestrator = magentic.MagenticOneOrchestrator
            patches.wrap(orchestrator, f"_get_{prompt}", _rendered_by_method(prompt))
        self.install_in_openai_agent(patches)

    def install_in_openai_agent(self, patches: Patches) -> None:
        """Install the part for `OPENAI_AGENT`, once that has been imported."""
        agent = getattr(sys.modules.get(OPENAI_AGENT), "OpenAIAgent", None)
        if agent is not None and not self._covers_openai_agent:
            self._covers_openai_agent = True
            patches.wrap(agent, "_build_api_parameters", _api_parameters)
            patches.wrap(agent, "on_messages_stream", _covered_stream)


def prompt_path(owner: ChatAgent | BaseAgent) -> str:
    """Return what the slots of an agent, or of a team's manager, are named after."""
    if isinstance(owner, selector.SelectorGroupChatManager):
        return _SELECTOR
    if isinstance(owner, magentic.MagenticOneOrchestrator):
        return _MAGENTIC
    # An agent of autogen-core has no name of its own: it is registered under a type.
    return owner.id.type if isinstance(owner, BaseAgent) else owner.name


class _Attribute:
    """A data descriptor before an attribute that instances keep in their own dictionary."""

    def __init__(self, name: str, sent: Callable[[Any, Any], Any]) -> None:
        self._name = name
        self._sent = sent

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self
        try:
            value = vars(owner)[self._name]
        except KeyError:
            raise AttributeError(f"{type(owner).__name__} has no {self._name}") from None
        return self._sent(owner, value) if active() else value

    def __set__(self, owner: Any, value: Any) -> None:
        vars(owner)[self._name] = value

    def __delete__(self, owner: Any) -> None:
        del vars(owner)[self._name]


def _stand_before(
    patches: Patches, owner: type, name: str, sent: Callable[[Any, Any], Any]
) -> None:
    patches.set(owner, name, _Attribute(name, sent))


def _system_messages(agent: Any, messages: list[Any]) -> list[Any]:
    if vars(agent).get("_model_client") is None:  # a code executor that only executes
        return messages
    if not messages:
        return _bound_messages(slot_name("autogen", prompt_path(agent)))
    sent: list[Any] = []
    for number, message in enumerate(messages, 1):
        if isinstance(message, SystemMessage):
            slot = slot_name("autogen", prompt_path(agent), numbered("system", number))
            text = inject(slot, message.content)
            message = message.model_copy(update={"content": text})
        sent.append(message)
    return sent


def _bound_messages(slot: str) -> list[Any]:
    """Return what is bound for an agent without a system message."""
    binding = current_binding()
    if binding is None or slot not in binding.resources:
        return []
    return [SystemMessage(content=inject(slot, ""))]


def _text(role: str) -> Callable[[Any, str], str]:
    def sent(agent: Any, text: str) -> str:
        return inject(slot_name("autogen", prompt_path(agent), role), text) if text else text

    return sent


def _selector_prompt(manager: Any, text: str) -> str:
    return _SelectorPrompt(text)


class _SelectorPrompt(str):
    """The selector prompt, which the manager renders with `str.format`.

    Rendering is where the prompt goes in, and not before: a candidate may have braces of its own,
    on which `str.format` would fail.
    """

    __slots__ = ()

    def format(self, *args: object, **values: object) -> str:
        original = super().format(*args, **values)
        slot = slot_name("autogen", _SELECTOR, "selector_prompt")
        return _inject_rendered(slot, "system", original, str(self), values)


def _rendered_by_method(prompt: str) -> Wrapper:
    slot = slot_name("autogen", _MAGENTIC, prompt)
    template: str = getattr(magentic, f"ORCHESTRATOR_{prompt.upper()}")

    def wrapper(
        wrapped: Callable[..., str], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> str:
        original = wrapped(*args, **kwargs)
        if not active():
            return original
        values = inspect.signature(wrapped).bind(*args, **kwargs).arguments
        return _inject_rendered(slot, "user", original, template, values)

    return wrapper


def _inject_rendered(
    slot: str, role: Role, original: str, template: str, values: Mapping[str, object]
) -> str:
    """Return the text to send for one that was rendered, as far as is known, from a template."""
    texts = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in values.items()
    }
    own = _template(template)
    # Else it was made in another way: by a subclass, or with more than names between the braces.
    if own.variables <= texts.keys() and own.render(texts) == original:
        return inject(slot, original, own, texts, role=role)
    return inject(slot, original, role=role)


@lru_cache(maxsize=64)
def _template(text: str) -> PromptTemplate:
    return PromptTemplate(text)


def _api_parameters(
    wrapped: Callable[..., dict[str, Any]],
    agent: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> dict[str, Any]:
    """Put the prompt of an `OpenAIAgent` into a request, which AutoGen has made for this call."""
    parameters = wrapped(*args, **kwargs)
    if current_binding() is not None:
        first: dict[str, Any] = parameters["input"][0] if parameters["input"] else {}
        own = {"role": "system", "content": agent._instructions}
        if first == own:
            slot = _instructions_slot(agent)
            parameters["input"][0] = {**own, "content": inject(slot, agent._instructions)}
        if takes_user_messages():
            parameters = with_texts(parameters, {"user"}, partial(_put_in, agent))
    return parameters


def _put_in(agent: Any, role: Role, number: int, text: str) -> str:
    slot = slot_name("autogen", prompt_path(agent), numbered(role, number))
    return inject(slot, text)


def _covered_stream(
    wrapped: Callable[..., AsyncGenerator[Any]],
    agent: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> AsyncGenerator[Any]:
    """Keep the hook of the client off the one call that an `OpenAIAgent` makes."""
    if not active():
        return wrapped(*args, **kwargs)
    return _InstructedCall(_instructions_slot(agent)).iterate(wrapped, *args, **kwargs)


class _InstructedCall(Coverage):
    """The call of an `OpenAIAgent`; an instrumentor of the client makes its span."""

    def __init__(self, slot: str) -> None:
        self._slot = slot

    def _begin(self) -> otel_context.Context:
        with in_slot(self._slot):
            return super()._begin()


def _instructions_slot(agent: Any) -> str:
    return slot_name("autogen", prompt_path(agent), "instructions")
