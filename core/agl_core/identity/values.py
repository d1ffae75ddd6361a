"""Values: what of data and of objects tells a program from another one."""

from __future__ import annotations

import dataclasses
import enum
import math
import os
import re
import string
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sized
from types import FunctionType
from typing import Any, cast

from agl_core.credentials import VARIABLE
from agl_core.identity.ownership import is_foreign, is_own_module
from agl_core.identity.steadiness import steady_text

__all__ = ["is_prompt_like", "plain", "settings_of"]

_MADE_UP = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"  # a UUID
    r"|\d{4}-\d\d-\d\d[T _]\d\d:?\d\d|\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}",  # a time
    re.IGNORECASE,
)
_RANDOM = re.compile(r"[0-9a-f]{16,}", re.IGNORECASE)
_SECONDS = (1e9, 1e10)
"""A number between these is taken for seconds since the epoch."""
_PASSED_OVER = re.compile(rf"{VARIABLE.pattern}|^_*(?:lc_)?versions?$", re.IGNORECASE)
_MOST = 1_000_000
"""Items of data that are looked at, in about a second; of further ones the length counts."""
_DEEPEST = 50
"""How deep data may be nested; a list may hold itself."""


def is_prompt_like(value: object) -> bool:
    """Tell whether data is a text of several words."""
    return isinstance(value, str) and " " in value.strip()


def plain(value: object, *, trusted: bool = False) -> str | None:
    """Return data as one text; None of what is no plain data, or holds something that is not.

    Args:
        value: Anything.
        trusted: Whether it is known that it was not made up for this process. Otherwise what looks
            like a time or a random name is passed over.
    """
    try:
        return steady_text(_plain(value, trusted, [_MOST], _DEEPEST))
    except _NotPlainError:
        return None


class _NotPlainError(Exception):
    """There is something in it that is no data."""


def _plain(value: object, trusted: bool, left: list[int], depth: int) -> str:
    left[0] -= 1
    if depth < 0:
        raise _NotPlainError
    if left[0] < 0:
        return f"...{len(value)}" if isinstance(value, Sized) else "..."
    match value:
        case None | bool() | bytes():
            return repr(value)
        case str():
            return "" if not trusted and _is_made_up(value) else repr(value)
        case int() | float():
            made_up = not trusted and math.isfinite(value) and _SECONDS[0] <= value < _SECONDS[1]
            return "" if made_up else repr(value)
        case list() | tuple():
            items = cast("list[object] | tuple[object, ...]", value)
            return f"[{','.join(_plain(item, trusted, left, depth - 1) for item in items)}]"
        case set() | frozenset():
            group = cast("set[object] | frozenset[object]", value)
            members = sorted(_plain(item, trusted, left, depth - 1) for item in group)
            return f"{{{','.join(members)}}}"
        case Mapping():
            pairs = cast("Mapping[object, object]", value).items()
            return ",".join(
                f"{_plain(key, trusted, left, depth - 1)}:{_plain(item, trusted, left, depth - 1)}"
                for key, item in pairs
                if not (isinstance(key, str) and _PASSED_OVER.search(key))
            )
        case _:
            data = _as_data(value)
            if data is None:
                raise _NotPlainError
            return _plain(data, trusted, left, depth - 1)


def _as_data(value: object) -> object | None:
    """Return what is as good as data as data: paths, addresses, patterns, templates, choices."""
    if isinstance(value, re.Pattern):
        pattern = cast("re.Pattern[Any]", value)
        return pattern.pattern, pattern.flags
    if type(value) is string.Template:
        return value.template
    if isinstance(value, enum.Enum):
        return type(value).__qualname__, value.name, value.value
    return _address(value)


def _is_made_up(text: str) -> bool:
    """Tell whether a text looks as if it was made up for this process."""
    temporary = os.path.join(tempfile.gettempdir(), "")
    return text.startswith(temporary) or bool(_MADE_UP.search(text) or _RANDOM.fullmatch(text))


def _address(value: Any) -> str | None:
    """Return a path or an internet address as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        return str(cast("Any", value))
    try:
        known = all(isinstance(getattr(value, name, None), str) for name in ("scheme", "host"))
        return str(value) if known else None
    except Exception:  # noqa: BLE001 - of the user's objects each may raise whatever is asked
        return None


def _attribute(value: object, name: str) -> object:
    try:
        return getattr(value, name, None)
    except Exception:  # noqa: BLE001 - a proxy may look for what it lacks in itself, without end
        return None


def settings_of(value: Any, changed: frozenset[str]) -> Iterator[tuple[str, object]]:
    """Yield what an object was made with: its fields and attributes, without what is default.

    Left out are credentials by their names and kinds, and what the standard library's objects hold.

    Args:
        value: The object.
        changed: The attributes that its methods change: they are passed over.
    """
    kind: Any = type(value)
    if _is_standard(kind) or callable(_attribute(value, "get_secret_value")):
        return
    held, hidden, declared = _held(value)
    # What a package declares as a field is a setting, though its methods may complete it.
    if declared and is_foreign(kind):
        changed = frozenset()
    for name, (item, default) in held.items():
        if _PASSED_OVER.search(name) or item is None or item is default:
            continue
        if address := _address(_attribute(item, "base_url")):
            yield f"{name}.base_url", address  # a client's client
        if name in changed:
            continue
        is_data = plain(item) is not None
        if is_data and (not declared or name not in hidden):
            if item not in ((), [], {}, "") and not _same(item, default):
                yield name, item
        elif name not in hidden or isinstance(item, FunctionType | list | dict):
            yield name, item


def _held(value: Any) -> tuple[Mapping[str, tuple[object, object]], frozenset[str], bool]:
    """Return what an object holds, each with its default.

    Also which of it is its own affair, and whether its fields are declared.
    """
    known: Any = getattr(type(value), "__pydantic_fields__", None)
    if isinstance(known, Mapping):
        fields = cast("Mapping[str, Any]", known)
        held = {name: (getattr(value, name, None), field.default) for name, field in fields.items()}
        return held, frozenset(name for name, field in fields.items() if field.exclude), True
    if dataclasses.is_dataclass(value):
        declared = dataclasses.fields(value)
        held = {field.name: (getattr(value, field.name, None), field.default) for field in declared}
        return held, frozenset(), True
    attributes = {**dict(_in_slots(value)), **getattr(value, "__dict__", {})}
    held = {name: (item, None) for name, item in attributes.items()}
    return held, frozenset(name for name in held if name.startswith("_")), False


def _in_slots(value: object) -> Iterator[tuple[str, object]]:
    """Yield the attributes that an object of the user's has no dictionary for."""
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ()) if is_own_module(kind.__module__) else ()
        for name in (slots,) if isinstance(slots, str) else slots:
            item = getattr(value, name, None)
            if not name.startswith("__") and item is not None:
                yield name, item


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and plain(one, trusted=True) == plain(other, trusted=True)


def _is_standard(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in sys.stdlib_module_names
