"""What the SDK's spans say, as names and attributes of the GenAI conventions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.models.openai_chatcompletions import OpenAIChatCompletionsModel
from agents.models.openai_responses import OpenAIResponsesModel
from agents.tracing import SpanError
from agents.tracing.span_data import (
    AgentSpanData,
    FunctionSpanData,
    GenerationSpanData,
    GuardrailSpanData,
    HandoffSpanData,
    ResponseSpanData,
    SpanData,
)

from agl_core.spans import genai
from agl_core.spans.messages import to_json

__all__ = [
    "attributes_at_end",
    "attributes_at_start",
    "error_text",
    "span_name",
]

_PREFIX = "openai_agents"


def span_name(data: SpanData, model: str | None = None) -> str:
    """Return the name of a span.

    Args:
        data: The SDK's data.
        model: The name of the model, if the span is a model call.
    """
    name = getattr(data, "name", "")
    match data:
        case AgentSpanData():
            return f"invoke_agent {name}"
        case GenerationSpanData() | ResponseSpanData():
            return f"chat {model or ''}".rstrip()
        case FunctionSpanData():
            return f"execute_tool {name}"
        case HandoffSpanData():
            return f"handoff {data.from_agent} -> {data.to_agent or '?'}"
        case _:
            return f"{data.type} {name}".rstrip()


def attributes_at_start(data: SpanData, model: Any) -> dict[str, Any]:
    """Return what is known when a span starts.

    Args:
        data: The SDK's data.
        model: The SDK's model object, if the span is a model call.
    """
    match data:
        case AgentSpanData():
            return {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": data.name}
        case FunctionSpanData():
            return genai.tool_attributes(data.name)
        case GenerationSpanData():
            return genai.request_attributes(
                data.model or _model_name(model), provider=_provider(model), **_parameters(data)
            )
        case ResponseSpanData():
            return genai.request_attributes(_model_name(model), provider=_provider(model))
        case _:
            return {}


def attributes_at_end(
    data: SpanData, instructions: str | None, capture_content: bool
) -> dict[str, Any]:
    """Return what is known when a span ends.

    Args:
        data: The SDK's data.
        instructions: The system prompt that was handed to the model, if the span is a model call.
        capture_content: Whether to include texts, arguments and results.
    """
    match data:
        case FunctionSpanData() if capture_content:
            return genai.tool_attributes(data.name, arguments=data.input, result=data.output)
        case GenerationSpanData():
            return _generation(data, capture_content)
        case ResponseSpanData():
            return _response(data) | (_content(data, instructions) if capture_content else {})
        case HandoffSpanData():
            ends = {"from_agent": data.from_agent, "to_agent": data.to_agent}
            return {f"{_PREFIX}.handoff.{end}": name for end, name in ends.items() if name}
        case GuardrailSpanData():
            return {f"{_PREFIX}.guardrail.triggered": data.triggered}
        case _:
            return {}


def error_text(error: SpanError) -> str:
    """Return what went wrong, with the exception's text if the SDK gives it."""
    detail = (error.get("data") or {}).get("error")
    return f"{error['message']}: {detail}" if detail else error["message"]


def _model_name(model: Any) -> str | None:
    name = getattr(model, "model", None)
    return name if isinstance(name, str) else None


def _provider(model: Any) -> str | None:
    is_openai = isinstance(model, OpenAIResponsesModel | OpenAIChatCompletionsModel)
    return "openai" if is_openai else None


def _parameters(data: GenerationSpanData) -> dict[str, Any]:
    config = data.model_config or {}
    return {name: config.get(name) for name in ("temperature", "top_p", "max_tokens")}


def _generation(data: GenerationSpanData, capture_content: bool) -> dict[str, Any]:
    attributes = genai.response_attributes(usage=_usage(data.usage))
    if capture_content and data.input is not None:
        attributes |= genai.message_attributes(data.input, "input")
    if capture_content and data.output is not None:
        # Of a stream, the SDK gives the message as a response of the Responses API.
        answers = [item.get("output", [item]) for item in data.output]
        attributes |= genai.message_attributes([m for answer in answers for m in answer], "output")
    return attributes


def _response(data: ResponseSpanData) -> dict[str, Any]:
    response = data.response
    return genai.response_attributes(
        model=None if response is None else response.model,
        response_id=None if response is None else response.id,
        usage=_usage(data.usage),
    )


def _content(data: ResponseSpanData, instructions: str | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    response = data.response
    if response is not None:
        output = [item.model_dump(exclude_none=True) for item in response.output]
        attributes |= genai.message_attributes(data.input, "input")
        attributes |= genai.message_attributes(output, "output")
        if response.tools:
            tools = [tool.model_dump(exclude_none=True) for tool in response.tools]
            attributes["gen_ai.tool.definitions"] = to_json(tools)
        if isinstance(response.instructions, str):
            instructions = response.instructions  # the user's filter may have changed them
    if instructions:
        part = {"type": "text", "content": instructions}
        attributes["gen_ai.system_instructions"] = to_json([part])
    return attributes


def _usage(usage: Mapping[str, Any] | None) -> genai.TokenUsage | None:
    if not usage or not usage.get("total_tokens"):
        return None  # the service did not say
    details = usage.get("input_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    return genai.TokenUsage(
        usage.get("input_tokens") or 0, usage.get("output_tokens") or 0, cached or 0
    )
