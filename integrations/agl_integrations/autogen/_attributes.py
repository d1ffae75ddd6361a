"""What AutoGen asks its model clients, and they answer, as attributes of the conventions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResultMessage,
    SystemMessage,
)
from autogen_core.tools import Tool

from agl_core.spans import genai

__all__ = ["model_request", "model_response"]

_PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure.ai.inference",
    "ollama": "ollama",
    "openai": "openai",
}


def model_request(
    client: Any, messages: Sequence[Any], arguments: Mapping[str, Any], capture_content: bool
) -> dict[str, Any]:
    """Return the attributes of a model call.

    Args:
        client: The model client.
        messages: What is sent.
        arguments: The keyword arguments of the call.
        capture_content: Whether messages and tools are among the attributes.
    """
    given = {**_create_arguments(client), **(arguments.get("extra_create_args") or {})}
    attributes = genai.request_attributes(
        str(given.get("model") or client.model_info.get("family", "")),
        provider=_provider(client),
        tools=[_tool(tool) for tool in arguments.get("tools") or ()] if capture_content else (),
        temperature=given.get("temperature"),
        top_p=given.get("top_p"),
        max_tokens=given.get("max_tokens"),
        seed=given.get("seed"),
    )
    if capture_content:
        sent = [part for message in messages for part in _chat_messages(message)]
        attributes |= genai.message_attributes(sent, "input")
    return attributes


def model_response(result: CreateResult, capture_content: bool) -> dict[str, Any]:
    """Return the attributes of what a model answered."""
    usage = genai.TokenUsage(result.usage.prompt_tokens, result.usage.completion_tokens)
    # A stream that was not asked says zero; an answer from a cache, what it cost the first time.
    counted = any(usage) and not result.cached
    attributes = genai.response_attributes(
        finish_reasons=[result.finish_reason], usage=usage if counted else None
    )
    if capture_content:
        answer = _assistant(result.content)
        attributes |= genai.message_attributes([answer], "output")
    return attributes


def _create_arguments(client: Any) -> Mapping[str, Any]:
    """Return what a client was told to send with each request, the model's name for one.

    No interface of AutoGen's has the name. The clients of autogen-ext keep it in this attribute;
    one that stands before another, as a cache does, has the other as ``client``.
    """
    arguments = getattr(client, "_create_args", None)
    if arguments is None and hasattr(client, "client"):
        arguments = getattr(client.client, "_create_args", None)
    return arguments if isinstance(arguments, Mapping) else {}


def _provider(client: Any) -> str | None:
    package, _, rest = type(client).__module__.partition(".models.")
    return _PROVIDERS.get(rest.partition(".")[0]) if package == "autogen_ext" else None


def _tool(tool: Tool | Mapping[str, Any]) -> dict[str, Any]:
    # AutoGen makes the schema of a `Tool` anew each time that it is asked for it.
    if isinstance(tool, Tool):
        return {"type": "function", "name": tool.name, "description": tool.description}
    return {"type": "function", **tool}


def _chat_messages(message: Any) -> Iterator[dict[str, Any]]:
    if isinstance(message, SystemMessage):
        yield {"role": "system", "content": message.content}
    elif isinstance(message, FunctionExecutionResultMessage):
        for result in message.content:
            yield {
                "role": "tool",
                "content": result.content,
                "tool_call_id": result.call_id,
                "name": result.name,
            }
    elif isinstance(message, AssistantMessage):
        yield _assistant(message.content, message.source)
    else:
        content = message.content
        if not isinstance(content, str):
            content = [
                {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"}
                for part in content
            ]
        yield {"role": "user", "content": content, "name": message.source}


def _assistant(content: str | Sequence[FunctionCall], name: str | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "", "name": name}
    if isinstance(content, str):
        message["content"] = content
    else:
        message["tool_calls"] = [
            {"id": call.id, "name": call.name, "arguments": call.arguments} for call in content
        ]
    return message
