"""Messages: one form for what models are sent and answer, read from the many that exist."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Required, TypedDict

from agl_core.spans.span import clean_text

__all__ = ["Message", "ToolCall", "parse_messages", "to_json", "to_parts"]

# The keys of a message that is a text and nothing else.
_PLAIN = frozenset({"role", "content", "parts", "type", "finish_reason"})

_ROLES = {
    "ai": "assistant",
    "function": "tool",
    "human": "user",
    "message": "assistant",
    "model": "assistant",
}

_CALLS = frozenset({"custom_tool_call", "function_call", "tool_call", "tool_use"})
_RESULTS = frozenset({"tool_call_response", "tool_result"})
_OUTPUTS = frozenset({"custom_tool_call_output", "function_call_output"})
_TEXTS = frozenset({"text", "input_text", "output_text"})
_THOUGHTS = frozenset({"reasoning", "thinking"})
_MEDIA = frozenset(
    {"audio", "blob", "document", "file", "image", "image_url", "uri", "video"}
    | {"input_audio", "input_file", "input_image"}
)
_PARTS = _CALLS | _RESULTS | _TEXTS | _THOUGHTS | _MEDIA | {"refusal"}
_ITEMS = _CALLS | _OUTPUTS | _TEXTS | {"reasoning", "system", "tool", *_ROLES}


class ToolCall(TypedDict):
    """A model's request to call a tool."""

    id: str
    name: str
    arguments: str
    """JSON text."""


class Message(TypedDict, total=False):
    """A chat message in OpenAI's form, with text as its only content."""

    role: Required[str]
    """``system``, ``developer``, ``user``, ``assistant`` or ``tool``."""
    content: Required[str]
    """The text. Other content is named in brackets: ``[image]``."""
    tool_calls: list[ToolCall]
    """What an assistant asks to be called."""
    tool_call_id: str
    """Which call a tool message answers."""
    name: str
    """Who speaks: an agent, or the tool."""


def to_json(value: Any) -> str:
    """Return text as it is and anything else as JSON; what JSON lacks becomes text."""
    if isinstance(value, str):
        return clean_text(value)
    try:
        return clean_text(json.dumps(value, ensure_ascii=False, default=str))
    except (TypeError, ValueError, RecursionError):
        return clean_text(str(value))


def parse_messages(value: Any, role: str) -> list[Message]:
    """Read messages, whoever wrote them. What cannot be understood becomes text.

    Args:
        value: Messages in the form of the GenAI conventions (``parts``), of OpenAI's chat
            completions or Responses, of LangChain's or OpenInference's attributes; a list of them,
            one of them, JSON text of them, or plain text.
        role: The role of what does not say.
    """
    if isinstance(value, str):
        read = _from_json(value)
        found = read if isinstance(read, list) else [read]
        value = found if all(map(_is_message, found)) else value
    items: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
    if items and all(map(_is_text_part, items)):
        items = [{"role": role, "parts": items}]
    messages: list[Message] = []
    for item in items:
        for message in _read(item, role):
            if messages and _continues(messages[-1], message, item):
                messages[-1].setdefault("tool_calls", []).extend(message.get("tool_calls", ()))
            else:
                messages.append(message)
    return messages


def to_parts(message: Message) -> dict[str, Any]:
    """Return a message in the form of the GenAI conventions."""
    data: dict[str, Any] = {"role": message["role"], "parts": list(_parts(message))}
    name = message.get("name")
    if name:
        data["name"] = name
    return data


def _parts(message: Message) -> Iterator[dict[str, Any]]:
    if message["role"] == "tool":
        part: dict[str, Any] = {"type": "tool_call_response", "response": message["content"]}
        call_id = message.get("tool_call_id")
        yield {**part, "id": call_id} if call_id else part
        return
    if message["content"]:
        yield {"type": "text", "content": message["content"]}
    for call in message.get("tool_calls", ()):
        yield {
            "type": "tool_call",
            "id": call["id"],
            "name": call["name"],
            "arguments": _from_json(call["arguments"]),
        }


def _from_json(text: str) -> Any:
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _is_message(item: Any) -> bool:
    """Tell whether a JSON value can be read as a message; what a prompt quotes may be anything."""
    if not isinstance(item, dict):
        return False
    return "role" in item or "message" in item or _kind(item) in _ITEMS


def _is_text_part(item: Any) -> bool:
    return isinstance(item, dict) and "role" not in item and _kind(item) in _TEXTS


def _kind(item: Any) -> str:
    return str(item.get("type", "")) if isinstance(item, dict) else ""


def _continues(previous: Message, message: Message, item: Any) -> bool:
    """Tell whether a message only adds tool calls to the one before it.

    The Responses API gives an answer as several items, and instrumentors make a message of each.
    """
    return (
        previous["role"] == message["role"] == "assistant"
        and not message["content"]
        and "tool_calls" in message
        and not (isinstance(item, dict) and "finish_reason" in item)
    )


def _read(item: Any, role: str) -> Iterator[Message]:
    """Read one item, which may be several messages: each tool result is one."""
    if hasattr(item, "model_dump"):
        item = item.model_dump(warnings=False)
    if not isinstance(item, dict) or not (_is_message(item) or "content" in item):
        yield {"role": role, "content": to_json(item)}
        return
    inner = item.get("message")
    item = inner if isinstance(inner, dict) else item
    kind = "" if "role" in item else _kind(item)
    if kind in _OUTPUTS:
        yield _tool_message(item.get("output"), item.get("call_id"), None)
    elif kind in _CALLS:
        yield {"role": "assistant", "content": "", "tool_calls": [_tool_call(item)]}
    elif kind != "reasoning":
        yield from _read_chat(item, role)


def _read_chat(item: Mapping[str, Any], role: str) -> Iterator[Message]:
    role = str(item.get("role") or item.get("type") or role)
    role = _ROLES.get(role, role)
    content = _content(item)
    if isinstance(content, str) and role != "tool" and item.keys() <= _PLAIN:
        yield {"role": role, "content": clean_text(content)}
        return
    texts: list[str] = []
    calls: dict[str, ToolCall] = {}
    answers: list[Message] = []
    parts: list[Any] = [content] if isinstance(content, str) else list(content)
    parts += _listed_calls(item)
    for part in parts:
        kind = _kind(part)
        if kind in _CALLS:
            call = _tool_call(part)
            # LangChain names a call both in the content and in the list of calls.
            calls.setdefault(call["id"] or f"#{len(calls)}", call)
        elif kind in _RESULTS:
            result = next((part[k] for k in ("response", "result", "content") if k in part), None)
            call_id = part.get("id") or part.get("tool_use_id")
            answers.append(_tool_message(result, call_id, item.get("name")))
        else:
            texts.append(_part_text(part))
    text = "\n".join(filter(None, texts))
    yield from answers
    if role == "tool":
        if text or not answers:
            yield _tool_message(text, item.get("tool_call_id"), item.get("name"))
    elif text or calls or not answers:
        message: Message = {"role": role, "content": text}
        if calls:
            message["tool_calls"] = list(calls.values())
        if item.get("name"):
            message["name"] = to_json(item["name"])
        yield message


def _content(item: Mapping[str, Any]) -> str | Sequence[Any]:
    """Return the text of a message, or its parts."""
    content = item.get("parts") or item.get("content") or item.get("contents") or ""
    if isinstance(content, str):
        parts = _from_json(content) if content.startswith("[{") else ()
        return parts if parts and all(_kind(part) in _PARTS for part in parts) else content
    if not isinstance(content, list | tuple):
        return [content]
    if len(content) == 1 and isinstance(content[0], dict) and content[0].get("type") == "text":
        text = content[0].get("content")
        if isinstance(text, str):
            return text
    return [
        part.get("message_content", part) if isinstance(part, dict) else part for part in content
    ]


def _listed_calls(item: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    listed = item.get("tool_calls")
    calls = list(listed) if isinstance(listed, list | tuple) else []
    calls.append(item.get("function_call"))
    return [
        {**call.get("tool_call", call), "type": "tool_call"}
        for call in calls
        if isinstance(call, dict)
    ]


def _part_text(part: Any) -> str:
    if not isinstance(part, dict):
        return "" if part is None else to_json(part)
    kind = _kind(part)
    if kind in _THOUGHTS:
        return ""
    if kind in _MEDIA:
        return f"[{part.get('modality') or kind.removeprefix('input_').removesuffix('_url')}]"
    text = next((part[key] for key in ("text", "refusal", "content") if part.get(key)), None)
    if text is None:
        return "" if kind in _TEXTS else to_json(part)
    return to_json(text)


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    function = call.get("function")
    if not isinstance(function, dict):
        function = call
    arguments = next(
        (function[key] for key in ("arguments", "args", "input") if function.get(key) is not None),
        "",
    )
    return {
        "id": to_json(call.get("call_id") or call.get("id") or ""),
        "name": to_json(function.get("name") or call.get("name") or ""),
        "arguments": to_json(arguments),
    }


def _tool_message(content: Any, call_id: Any, name: Any) -> Message:
    if isinstance(content, list | tuple):
        content = "\n".join(filter(None, map(_part_text, content)))
    message: Message = {"role": "tool", "content": "" if content is None else to_json(content)}
    if call_id:
        message["tool_call_id"] = to_json(call_id)
    if name:
        message["name"] = to_json(name)
    return message
