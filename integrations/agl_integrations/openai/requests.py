"""The system texts of a request, and a copy of it with others in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["PutIn", "with_system_texts"]

PutIn = Callable[[int, str], str]
"""Given the number of a system text in its request, from 1 on, and the text: what to send."""

_SYSTEM = ("system", "developer")


def with_system_texts(request: Mapping[str, Any], put_in: PutIn) -> dict[str, Any]:
    """Return a request with its system texts passed through a function.

    These are the ``instructions`` of the Responses API, and each text of the ``messages`` or
    ``input`` items whose role is ``system`` or ``developer``. Empty ones are left out.

    What is changed is a copy; what is not is the caller's own object.

    Args:
        request: The arguments of the client's method, or the body that it makes of them.
        put_in: Called with the texts, in this order.
    """
    texts = _Texts(put_in)
    changed = dict(request)
    instructions = request.get("instructions")
    if isinstance(instructions, str):
        changed["instructions"] = texts.sent(instructions)
    for name in ("messages", "input"):
        items = request.get(name)
        if isinstance(items, Iterable) and not isinstance(items, str | bytes | Mapping):
            changed[name] = texts.each(items, texts.message)
    return changed


class _Texts:
    def __init__(self, put_in: PutIn) -> None:
        self._put_in = put_in
        self._count = 0

    def sent(self, text: str) -> str:
        if not text:
            return text
        self._count += 1
        return self._put_in(self._count, text)

    def each(self, items: Iterable[Any], change: Callable[[Any], Any]) -> Any:
        """Return the items changed; the given object if nothing is and it can be read again."""
        found = items if isinstance(items, list | tuple) else list(items)
        changed = [change(item) for item in found]
        if all(new is old for new, old in zip(changed, found, strict=True)):
            return found
        return changed

    def message(self, item: Any) -> Any:
        if not isinstance(item, Mapping) or item.get("role") not in _SYSTEM:
            return item
        content = item.get("content")
        if isinstance(content, str):
            sent = self.sent(content)
        elif isinstance(content, list | tuple):
            sent = self.each(content, self._part)
        else:
            return item
        return item if sent is content else {**item, "content": sent}

    def _part(self, part: Any) -> Any:
        if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
            return part
        sent = self.sent(part["text"])
        return part if sent is part["text"] else {**part, "text": sent}
