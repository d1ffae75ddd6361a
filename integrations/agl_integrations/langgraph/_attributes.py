"""What LangChain tells its callbacks, as attributes of the GenAI conventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage
from langchain_core.outputs import LLMResult

from agl_core.spans import genai
from agl_core.spans.messages import to_json

__all__ = ["chat_request", "chat_response", "tool_result"]

_ROLES = {"human": "user", "ai": "assistant", "function": "tool"}


def chat_request(
    metadata: Mapping[str, Any],
    params: Mapping[str, Any],
    messages: Sequence[BaseMessage] | None,
) -> dict[str, Any]:
    """Return the attributes of a chat model's request.

    Args:
        metadata: The run's metadata, in which LangChain puts the standard parameters (``ls_...``).
        params: The parameters of the call, by the provider's names.
        messages: What is sent; None to leave it out, and the tools with it.
    """
    tools = params.get("tools")
    attributes = genai.request_attributes(
        metadata.get("ls_model_name") or params.get("model") or params.get("model_name"),
        provider=metadata.get("ls_provider"),
        tools=tools if messages is not None and isinstance(tools, list) else (),
        temperature=metadata.get("ls_temperature"),
        max_tokens=metadata.get("ls_max_tokens"),
        top_p=params.get("top_p"),
        seed=params.get("seed"),
    )
    if messages is not None:
        attributes.update(genai.message_attributes([_message(m) for m in messages], "input"))
    node = metadata.get("langgraph_node")
    if node:
        attributes["langgraph.node"] = node
    return attributes


def chat_response(result: LLMResult, capture_content: bool) -> dict[str, Any]:
    """Return the attributes of a chat model's answer."""
    messages = [
        message
        for generation in (result.generations[0] if result.generations else ())
        if isinstance(message := getattr(generation, "message", None), BaseMessage)
    ]
    details = [message.response_metadata for message in messages]
    first = details[0] if details else {}
    finish = [str(d["finish_reason"]) for d in details if d.get("finish_reason")]
    attributes = genai.response_attributes(
        model=first.get("model_name") or first.get("model"),
        response_id=first.get("id"),
        finish_reasons=finish,
        usage=_usage(messages),
    )
    if capture_content and messages:
        attributes.update(genai.message_attributes([_message(m) for m in messages], "output"))
    return attributes


def tool_result(output: Any) -> str:
    """Return what a tool gave, as text."""
    return to_json(output.content if isinstance(output, BaseMessage) else output)


def _usage(messages: Sequence[BaseMessage]) -> genai.TokenUsage | None:
    for message in messages:
        usage = getattr(message, "usage_metadata", None)
        # An answer from LangChain's cache keeps its token counts, with a cost of nothing.
        if usage and usage.get("total_cost") != 0:
            cached = (usage.get("input_token_details") or {}).get("cache_read") or 0
            return genai.TokenUsage(
                usage.get("input_tokens", 0), usage.get("output_tokens", 0), cached
            )
    return None


def _message(message: BaseMessage) -> dict[str, Any]:
    role = message.role if isinstance(message, ChatMessage) else message.type
    data: dict[str, Any] = {
        "role": _ROLES.get(role, role),
        "content": message.content,
        "name": message.name,
        "tool_call_id": getattr(message, "tool_call_id", None),
    }
    if isinstance(message, AIMessage) and message.tool_calls:
        data["tool_calls"] = message.tool_calls
    return data
