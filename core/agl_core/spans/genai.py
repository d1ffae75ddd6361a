"""The GenAI semantic conventions of OpenTelemetry: what model and tool calls look like as spans.

Reading understands the latest names (``gen_ai.input.messages``), those before them
(``gen_ai.prompt.0.content``, ``llm.usage.prompt_tokens``) and OpenInference's
(``llm.input_messages.0.message.content``). Writing uses the latest. The names are those of
https://opentelemetry.io/docs/specs/semconv/gen-ai/ and
https://arize-ai.github.io/openinference/spec/semantic_conventions.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from agl_core.spans.messages import Message, parse_messages, to_json, to_parts
from agl_core.spans.span import Span, SpanEvent

__all__ = [
    "APART",
    "SLOT",
    "Message",
    "TokenUsage",
    "agent_name",
    "input_messages",
    "is_model_call",
    "is_structure",
    "is_tool_call",
    "message_attributes",
    "model_calls",
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
    "without_content",
]

SLOT = "agl.slot"
"""The attribute, and the key in a context, that names the slot whose prompt a call was sent."""

APART = "agl.apart"
"""The attribute, and the key in a context, of spans that are none of the agent's: those of whatever
makes its input or scores its output."""

_MODEL_OPERATIONS = frozenset({"chat", "generate_content", "text_completion"})
_INPUT = ("gen_ai.input.messages",)
_OUTPUT = ("gen_ai.output.messages",)
_INPUT_PREFIXES = ("gen_ai.prompt", "llm.input_messages", "llm.prompts")
_OUTPUT_PREFIXES = ("gen_ai.completion", "llm.output_messages", "llm.completions")


_CACHED = "gen_ai.usage.cache_read.input_tokens"
_KIND_OF_ERROR = "exception.type"
_CONTENT = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "llm.prompts",
    "llm.completions",
    "llm.input_messages",
    "llm.output_messages",
    "input.value",
    "output.value",
    "traceloop.entity.input",
    "traceloop.entity.output",
)

_OURS = ("agl.", "gen_ai.", "llm.", "openinference.", "traceloop.")
_STRUCTURE = frozenset(
    {
        "error.type",
        "exception.type",
        "gen_ai.operation.name",
        "gen_ai.output.type",
        "gen_ai.response.finish_reasons",
        "gen_ai.response.id",
        "llm.request.type",
        "llm.response.id",
        "openinference.span.kind",
        "traceloop.span.kind",
    }
)


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
    messages = _messages(span, _INPUT, _INPUT_PREFIXES, "user")
    instructions = span.attributes.get("gen_ai.system_instructions")
    if instructions:
        system = parse_messages(instructions, "system")
        if messages[: len(system)] != system:
            messages = [*system, *messages]
    return messages


def output_messages(span: Span) -> list[Message]:
    """Return what the model answered, one message a choice; empty if content was not captured."""
    return _messages(span, _OUTPUT, _OUTPUT_PREFIXES, "assistant")


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


def is_structure(name: str, value: Any) -> bool:
    """Tell whether an attribute says what kind of span it is, how many or whose; not what was said.

    No text of anybody's stands there, and without it a span cannot be read.
    """
    if isinstance(value, bool | int | float):
        return name.startswith(_OURS)
    return name in _STRUCTURE or name.startswith("agl.")


def without_content(span: Span) -> Span:
    """Return a span without what was said: texts of models and tools, and messages of exceptions.

    Whoever wrote it: an instrumentor of the user's own does not ask whether it may.
    """
    kept = {name: v for name, v in span.attributes.items() if not name.startswith(_CONTENT)}
    events: list[SpanEvent] = []
    for event in span.events:
        kind = event.attributes.get(_KIND_OF_ERROR)
        events.append(replace(event, attributes={} if kind is None else {_KIND_OF_ERROR: kind}))
    return replace(span, attributes=kept, events=tuple(events), status_message="")


def model_calls(spans: Iterable[Span]) -> list[Span]:
    """Return the model calls among the spans by start, one span per call that was made.

    Where a framework and the client that it uses both record a call, the framework's span is kept,
    which knows the node; what it lacks (tokens, content) is filled in from the client's. Two spans
    are of the same call if one is part of the other, unless a tool or an agent ran between, or if
    they overlap in time and have the same response id.
    """
    ordered = sorted(spans, key=lambda span: span.start_ns)
    by_id = {span.span_id: span for span in ordered}
    kept: dict[str, Span] = {}
    call_of: dict[str, str] = {}
    for span in ordered:
        if not is_model_call(span):
            continue
        twin = _enclosing(span, by_id) or _same_response(span, kept.values())
        call = span.span_id if twin is None else call_of.get(twin.span_id, span.span_id)
        call_of[span.span_id] = call
        outer = kept.get(call)
        kept[call] = span if outer is None else _filled(outer, span)
    return list(kept.values())


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


def _messages(
    span: Span, names: tuple[str, ...], prefixes: tuple[str, ...], role: str
) -> list[Message]:
    for name in names:
        value = span.attributes.get(name)
        if value:
            return parse_messages(value, role)
    for prefix in prefixes:
        found = _numbered(span.attributes, prefix)
        if found:
            return parse_messages(found, role)
    return []


def _numbered(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    """Rebuild the list of mappings that was flattened to ``{prefix}.0.role`` and the like."""
    start = f"{prefix}."
    tree: dict[str, Any] = {}
    for key, value in attributes.items():
        if not key.startswith(start):
            continue
        *path, last = key[len(start) :].split(".")
        if not (path and _is_index(path[0])):
            continue
        node = tree
        for part in path:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                break
            node = child
        else:
            node[last] = value
    return _lists(tree) if tree else []


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 10


def _lists(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if tree and all(map(_is_index, tree)):
        return [_lists(tree[key]) for key in sorted(tree, key=int)]
    return {key: _lists(value) for key, value in tree.items()}


def _enclosing(span: Span, by_id: Mapping[str, Span]) -> Span | None:
    """Return the model call that this one is part of."""
    seen = {span.span_id}
    parent = by_id.get(span.parent_id or "")
    while parent is not None and parent.span_id not in seen:
        if is_model_call(parent):
            return parent
        if is_tool_call(parent) or parent.attributes.get("gen_ai.operation.name") == "invoke_agent":
            return None
        seen.add(parent.span_id)
        parent = by_id.get(parent.parent_id or "")
    return None


def _filled(span: Span, other: Span) -> Span:
    return replace(span, attributes={**other.attributes, **span.attributes})


def _same_response(span: Span, earlier: Iterable[Span]) -> Span | None:
    """Return the span of the same response. Ids alone do not tell: some servers repeat them."""
    own = response_id(span)
    if own is None:
        return None
    for other in earlier:
        if response_id(other) == own and span.start_ns < other.end_ns:
            return other
    return None
