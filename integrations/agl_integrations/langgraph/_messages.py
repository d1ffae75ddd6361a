"""Putting prompts into the messages of a call, leaving the program's objects alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from langchain_core.messages import BaseMessage

from agl_core.prompts.slots import Role

__all__ = ["PutIn", "inject_messages", "role_of"]

PutIn = Callable[[Role, int, str], str]
"""Given the role of a text, its number among those of the role in its call, from 1, and the text:
what to send."""

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "human": "user",
    "user": "user",
}


def inject_messages(
    messages: Sequence[BaseMessage], roles: Collection[Role], put_in: PutIn
) -> list[BaseMessage]:
    """Return the messages with each text of some roles replaced by what `put_in` makes of it.

    A message is one text, or as many as its content has text parts. What is replaced is copied; the
    program may share its message objects between calls and threads.

    Args:
        messages: What the program sends.
        roles: The roles.
        put_in: Called with the texts in their order. Blank ones are counted and left alone.
    """
    numbers: Counter[Role] = Counter()

    def replaced(role: Role, text: str) -> str:
        numbers[role] += 1
        return put_in(role, numbers[role], text) if text.strip() else text

    sent: list[BaseMessage] = []
    for message in messages:
        role = role_of(message)
        if role is not None and role in roles:
            content = _replaced(message.content, partial(replaced, role))
            if content is not message.content:
                message = message.model_copy(update={"content": content})
        sent.append(message)
    return sent


def role_of(message: BaseMessage) -> Role | None:
    """Return whether a message instructs the model on the program's behalf, or is a user's."""
    # By its type's name: `isinstance` of a pydantic class costs as much as all the rest here.
    kind = message.type
    return _ROLES.get(getattr(message, "role", "") if kind == "chat" else kind)


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
