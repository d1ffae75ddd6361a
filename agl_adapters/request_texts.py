"""The texts of a request in OpenAI's form that may be prompts, and a copy with others in place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from agl_core.prompts.slots import Role

__all__ = ["PutIn", "with_texts"]

PutIn = Callable[[Role, int, str], str]
"""Given the role of a text, its number among those of the role in its request, from 1, and the
text: what to send."""

_ROLES: Mapping[Any, Role] = {"system": "system", "developer": "system", "user": "user"}
_TEXTS: Mapping[str, Role] = {"instructions": "system", "input": "user"}


def with_texts(
    request: Mapping[str, Any], roles: Collection[Role], put_in: PutIn
) -> dict[str, Any]:
    """Return a request with its texts of some roles passed through a function.

    These are the ``instructions`` of the Responses API, which are the system's; its ``input``, if
    it is text, which is the user's; and each text of the ``messages`` or ``input`` items. The role
    ``developer`` is the system's too. Empty texts are left out.

    What is changed is a copy; what is not is the caller's own object.

    Args:
        request: The arguments of the client's method, or the body that it makes of them.
        roles: The roles.
        put_in: Called with the texts, in this order.
    """
    texts = _Texts(roles, put_in)
    changed = dict(request)
    for name, role in _TEXTS.items():
        text = request.get(name)
        if isinstance(text, str):
            changed[name] = texts.sent(role, text)
    for name in ("messages", "input"):
        items = request.get(name)
        if isinstance(items, Iterable) and not isinstance(items, str | bytes | Mapping):
            changed[name] = _each(items, texts.message)
    return changed


class _Texts:
    def __init__(self, roles: Collection[Role], put_in: PutIn) -> None:
        self._roles = roles
        self._put_in = put_in
        self._counts: Counter[Role] = Counter()

    def sent(self, role: Role, text: str) -> str:
        if not text or role not in self._roles:
            return text
        self._counts[role] += 1
        return self._put_in(role, self._counts[role], text)

    def message(self, item: Any) -> Any:
        role = _ROLES.get(item.get("role")) if isinstance(item, Mapping) else None
        if role is None or role not in self._roles:
            return item
        content = item.get("content")
        if isinstance(content, str):
            sent = self.sent(role, content)
        elif isinstance(content, list | tuple):
            sent = _each(content, partial(self._part, role))
        else:
            return item
        return item if sent is content else {**item, "content": sent}

    def _part(self, role: Role, part: Any) -> Any:
        if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
            return part
        sent = self.sent(role, part["text"])
        return part if sent is part["text"] else {**part, "text": sent}


def _each(items: Iterable[Any], change: Callable[[Any], Any]) -> Any:
    """Return the items changed; the given object if nothing is and it can be read again."""
    found = items if isinstance(items, list | tuple) else list(items)
    changed = [change(item) for item in found]
    if all(new is old for new, old in zip(changed, found, strict=True)):
        return found
    return changed
