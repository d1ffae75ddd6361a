"""Putting prompts into the system messages of a call, leaving the program's objects alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

__all__ = ["inject_messages", "is_system"]


def inject_messages(
    messages: Sequence[BaseMessage], inject: Callable[[int, str], str]
) -> list[BaseMessage]:
    """Return the messages with each system text replaced by what `inject` makes of it.

    A system message is one text, or as many as its content has text parts. What is replaced is
    copied; the program may share its message objects between calls and threads.

    Args:
        messages: What the program sends.
        inject: Given the number of a system text in the call, from 1, and the text. Blank texts are
            counted and left alone.
    """
    number = 0

    def replace(text: str) -> str:
        nonlocal number
        number += 1
        return inject(number, text) if text.strip() else text

    sent: list[BaseMessage] = []
    for message in messages:
        if is_system(message):
            content = _replaced(message.content, replace)
            if content is not message.content:
                message = message.model_copy(update={"content": content})
        sent.append(message)
    return sent


def is_system(message: BaseMessage) -> bool:
    """Tell whether a message instructs the model on the program's behalf."""
    # By its type's name: `isinstance` of a pydantic class costs as much as all the rest here.
    if message.type == "system":
        return True
    return message.type == "chat" and getattr(message, "role", "") in ("system", "developer")


def _replaced(content: Any, replace: Callable[[str], str]) -> Any:
    """Return the content with its texts replaced: the same object if none changes."""
    if isinstance(content, str):
        text = replace(content)
        return content if text == content else text
    parts = [_replaced_part(part, replace) for part in content]
    same = all(new is old for new, old in zip(parts, content, strict=True))
    return content if same else parts


def _replaced_part(part: Any, replace: Callable[[str], str]) -> Any:
    if isinstance(part, str):
        text = replace(part)
        return part if text == part else text
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        text = replace(part["text"])
        return part if text == part["text"] else {**part, "text": text}
    return part
