"""The GenAI semantic conventions of OpenTelemetry: what model and tool calls look like as spans.

Reading understands the latest names (``gen_ai.input.messages``), those before them
(``gen_ai.prompt.0.content``, ``llm.usage.prompt_tokens``) and OpenInference's
(``llm.input_messages.0.message.content``). Writing uses the latest. The names are those of
https://opentelemetry.io/docs/specs/semconv/gen-ai/ and
https://arize-ai.github.io/openinference/spec/semantic_conventions.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from agl_core.spans.flattened import unflattened
from agl_core.spans.messages import Message, parse_messages, to_json, to_parts
from agl_core.spans.span import Span

__all__ = [
    "APART",
    "SLOT",
    "Message",
    "TokenUsage",
    "agent_name",
    "input_messages",
    "is_model_call",
    "is_tool_call",
    "message_attributes",
    "of_the_agent",
    "output_messages",
    "request_attributes",
    "request_model",
    "response_attributes",
    "response_id",
    "response_model",
    "slot",
    "tool_arguments",
    "tool_attributes",
    "tool_call_id",
    "tool_name",
    "tool_result",
    "usage",
]

SLOT = "agl.slot"
"""The attribute, and the key in a context, that names the slot whose prompt a call was sent."""

APART = "agl.apart"
"""The attribute, and the key in a context, of spans that are none of the agent's: those of whatever
makes its input or scores its output."""

_MODEL_OPERATIONS = frozenset({"chat", "generate_content", "text_completion"})
_INPUT_PREFIXES = ("gen_ai.prompt", "llm.input_messages", "llm.prompts")
_OUTPUT_PREFIXES = ("gen_ai.completion", "llm.output_messages", "llm.completions")
_CACHED = "gen_ai.usage.cache_read.input_tokens"


class TokenUsage(NamedTuple):
    """The tokens of one model call, as the service counted them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    """Those of the input tokens that the service had in its cache."""


# ------------------------------------------------------------------------------------------ readers


def is_model_call(span: Span) -> bool:
    """Tell whether the span is a call of a language model that produces text (no embedding)."""
    attributes = span.attributes
    operation = attributes.get("gen_ai.operation.name")
    if operation is not None:
        return isinstance(operation, str) and operation in _MODEL_OPERATIONS
    kind = attributes.get("openinference.span.kind")
    if kind is not None:
        return kind == "LLM"
    return (
        attributes.get("llm.request.type") in ("chat", "completion")
        or "gen_ai.prompt.0.content" in attributes
        or "gen_ai.input.messages" in attributes
    )


def is_tool_call(span: Span) -> bool:
    """Tell whether the span is the execution of a tool."""
    attributes = span.attributes
    return (
        attributes.get("gen_ai.operation.name") == "execute_tool"
        or attributes.get("openinference.span.kind") == "TOOL"
        or attributes.get("traceloop.span.kind") == "tool"
    )


def request_model(span: Span) -> str | None:
    """Return the name of the model that was asked for."""
    return _text(span, "gen_ai.request.model", "llm.request.model", "llm.model_name")


def response_model(span: Span) -> str | None:
    """Return the name of the model that answered."""
    return _text(span, "gen_ai.response.model", "llm.response.model")


def response_id(span: Span) -> str | None:
    """Return the service's id of the answer."""
    return _text(span, "gen_ai.response.id", "llm.response.id")


def usage(span: Span) -> TokenUsage:
    """Return the tokens of a model call; zero where the span does not say."""
    return TokenUsage(
        _count(
            span,
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.usage.prompt_tokens",
            "llm.token_count.prompt",
        ),
        _count(
            span,
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.usage.completion_tokens",
            "llm.token_count.completion",
        ),
        _count(
            span,
            _CACHED,
            "gen_ai.usage.cache_read_input_tokens",
            "llm.token_count.prompt_details.cache_read",
        ),
    )


def input_messages(span: Span) -> list[Message]:
    """Return what the model was sent, system prompt first; empty if content was not captured."""
    messages = _messages(span, "gen_ai.input.messages", _INPUT_PREFIXES, "user")
    instructions = span.attributes.get("gen_ai.system_instructions")
    if instructions:
        system = parse_messages(instructions, "system")
        if messages[: len(system)] != system:
            messages = [*system, *messages]
    return messages


def output_messages(span: Span) -> list[Message]:
    """Return what the model answered, one message a choice; empty if content was not captured."""
    return _messages(span, "gen_ai.output.messages", _OUTPUT_PREFIXES, "assistant")


def tool_name(span: Span) -> str:
    """Return the name of the tool that the span executes."""
    name = _text(span, "gen_ai.tool.name", "tool.name", "traceloop.entity.name")
    return name or span.name.removeprefix("execute_tool ")


def tool_arguments(span: Span) -> str:
    """Return the arguments of a tool call, usually as JSON text; empty if not captured."""
    return _text(span, "gen_ai.tool.call.arguments", "input.value", "traceloop.entity.input") or ""


def tool_result(span: Span) -> str:
    """Return the result of a tool call as text; empty if not captured."""
    return _text(span, "gen_ai.tool.call.result", "output.value", "traceloop.entity.output") or ""


def tool_call_id(span: Span) -> str | None:
    """Return the id that the model gave the tool call."""
    return _text(span, "gen_ai.tool.call.id", "tool_call.id", "tool.id")


def agent_name(span: Span) -> str | None:
    """Return the name of the agent or node that the span is the run of, or belongs to."""
    return _text(span, "gen_ai.agent.name", "agent.name", "langgraph.node")


def slot(span: Span) -> str | None:
    """Return the slot whose prompt the span's model call was sent."""
    return _text(span, SLOT)


def of_the_agent(spans: Iterable[Span]) -> list[Span]:
    """Return the spans without those that are none of the agent's, such as a judge's."""
    return [span for span in spans if not span.attributes.get(APART)]


# ------------------------------------------------------------------------------------------ writers


def request_attributes(
    model: str | None,
    *,
    provider: str | None = None,
    operation: str = "chat",
    tools: Sequence[Mapping[str, Any]] = (),
    **parameters: Any,
) -> dict[str, Any]:
    """Return the attributes of a model call's request. What is None or empty is left out.

    Args:
        model: The name of the model.
        provider: The provider's name in the conventions, such as ``openai``.
        operation: ``chat``, ``text_completion`` or ``generate_content``.
        tools: The definitions of the tools that the model may call.
        parameters: Sampling parameters by their name in the conventions: temperature, top_p,
            max_tokens, seed, ...
    """
    attributes: dict[str, Any] = {"gen_ai.operation.name": operation}
    if provider:
        attributes["gen_ai.provider.name"] = provider
    if model:
        attributes["gen_ai.request.model"] = model
    for name, value in parameters.items():
        if isinstance(value, str | bool | int | float):
            attributes[f"gen_ai.request.{name}"] = value
    if tools:
        attributes["gen_ai.tool.definitions"] = to_json(tools)
    return attributes


def response_attributes(
    *,
    model: str | None = None,
    response_id: str | None = None,
    finish_reasons: Sequence[str] = (),
    usage: TokenUsage | None = None,
) -> dict[str, Any]:
    """Return the attributes of a model call's response. What is None or empty is left out."""
    attributes: dict[str, Any] = {}
    if model:
        attributes["gen_ai.response.model"] = model
    if response_id:
        attributes["gen_ai.response.id"] = response_id
    if finish_reasons:
        attributes["gen_ai.response.finish_reasons"] = list(finish_reasons)
    if usage is not None:
        attributes["gen_ai.usage.input_tokens"] = usage.input_tokens
        attributes["gen_ai.usage.output_tokens"] = usage.output_tokens
        if usage.cached_input_tokens:
            attributes[_CACHED] = usage.cached_input_tokens
    return attributes


def message_attributes(messages: Any, direction: Literal["input", "output"]) -> dict[str, str]:
    """Return the attribute that holds the messages of a model call.

    Args:
        messages: In any form that `agl_core.spans.messages.parse_messages` reads: `Message`,
            chat messages or Responses items of OpenAI, or just text.
        direction: Whether they were sent to the model or came from it.
    """
    parsed = parse_messages(messages, "user" if direction == "input" else "assistant")
    return {f"gen_ai.{direction}.messages": to_json([to_parts(message) for message in parsed])}


def tool_attributes(
    name: str, *, arguments: Any = None, call_id: str | None = None, result: Any = None
) -> dict[str, Any]:
    """Return the attributes of a tool's execution.

    Arguments and results that are no text are written as JSON; what is None is left out.
    """
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
    }
    if call_id:
        attributes["gen_ai.tool.call.id"] = call_id
    if arguments is not None:
        attributes["gen_ai.tool.call.arguments"] = to_json(arguments)
    if result is not None:
        attributes["gen_ai.tool.call.result"] = to_json(result)
    return attributes


# ----------------------------------------------------------------------------------------- details


def _text(span: Span, *names: str) -> str | None:
    for name in names:
        value = span.attributes.get(name)
        if value is not None and value != "":
            return to_json(value)
    return None


def _count(span: Span, *names: str) -> int:
    for name in names:
        value = span.attributes.get(name)
        if isinstance(value, int | float):
            return int(value)
    return 0


def _messages(span: Span, name: str, prefixes: tuple[str, ...], role: str) -> list[Message]:
    value = span.attributes.get(name)
    if value:
        return parse_messages(value, role)
    for prefix in prefixes:
        found = unflattened(span.attributes, prefix)
        if found:
            return parse_messages(found, role)
    return []
