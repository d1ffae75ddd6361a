"""The hooks of toyagents: prompts put in, and spans of agents, model calls and tools."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from opentelemetry.instrumentation.utils import suppress_instrumentation
from toyagents import Agent

from agl_adapters.injection import active, inject, model_call, slot_name
from agl_core.spans import genai
from agl_core.tracing.tracing import Tracing, in_slot


@contextmanager
def hooked(tracing: Tracing) -> Generator[None]:
    """Put the hooks in the place of three methods of `Agent` for the block."""
    hooks = _Hooks(tracing)
    with ExitStack() as stack:
        for name in ("run", "ask", "call"):
            stack.enter_context(_replaced(name, getattr(hooks, name)))
        yield


class _Hooks:
    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def run(self, found: Callable[..., Any], agent: Agent, text: str) -> str:
        if not self._tracing.active():  # outside of rollouts there are no spans
            return found(agent, text)
        attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent.name}
        with self._span(f"invoke_agent {agent.name}", attributes):
            return found(agent, text)

    def ask(self, found: Callable[..., Any], agent: Agent, messages: list[Any]) -> Any:
        if not active():  # no prompts are bound here
            return found(agent, messages)
        slot = slot_name("toyagents", agent.name, "instructions")
        system, *others = messages
        sent = [{**system, "content": inject(slot, system["content"])}, *others]
        # What the client does is this same call: it gets no other prompt and no second span.
        with in_slot(slot), self._span(f"chat {agent.model}") as span, model_call():
            with suppress_instrumentation():
                span.set_attributes(genai.request_attributes(agent.model, provider="openai"))
                self._keep(span, lambda: genai.message_attributes(sent, "input"))
                answer = found(agent, sent)
            usage = genai.TokenUsage(answer.usage.prompt_tokens, answer.usage.completion_tokens)
            span.set_attributes(genai.response_attributes(response_id=answer.id, usage=usage))
            said = [answer.choices[0].message.to_dict()]
            self._keep(span, lambda: genai.message_attributes(said, "output"))
        return answer

    def call(self, found: Callable[..., Any], agent: Agent, call: Any) -> dict[str, str]:
        if not self._tracing.active():
            return found(agent, call)
        name, arguments = call.function.name, call.function.arguments
        with self._span(f"execute_tool {name}") as span:
            span.set_attributes(genai.tool_attributes(name, call_id=call.id))
            self._keep(span, lambda: genai.tool_attributes(name, arguments=arguments))
            message = found(agent, call)
            self._keep(span, lambda: genai.tool_attributes(name, result=message["content"]))
        return message

    def _span(self, name: str, attributes: Any = None) -> Any:
        """Make a span the current one; an exception that passes through gives it its status."""
        return self._tracing.tracer.start_as_current_span(name, attributes=attributes)

    def _keep(self, span: Any, content: Callable[[], dict[str, Any]]) -> None:
        """Set attributes that hold texts, if texts are wanted."""
        if self._tracing.capture_content:
            span.set_attributes(content())


@contextmanager
def _replaced(name: str, hook: Callable[..., Any]) -> Generator[None]:
    found = vars(Agent)[name]

    def replacement(agent: Agent, argument: Any) -> Any:
        return hook(found, agent, argument)

    setattr(Agent, name, replacement)
    try:
        yield
    finally:
        if vars(Agent)[name] is replacement:  # else somebody has wrapped it since
            setattr(Agent, name, found)
