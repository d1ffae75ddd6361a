"""Code identity: what tells one function from another, also in the process that resumes a run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, cast

from agl_core.identity.collector import Collector

__all__ = ["code_identity", "code_parts", "parts_of"]


def code_parts(things: Mapping[str, object]) -> dict[str, str]:
    """Return what functions and objects are made of, a digest of each part by its name.

    A part is a function, class or variable of the user's own modules that they depend on, called
    ``my_app.PROMPT``; what a closure or an object holds, ``my_app.llm.temperature``; a variable of
    the environment that they read. Of a variable count the statements that set it, without comments
    and layout, and its value, if it is data that comes out the same each time, or an object with
    settings. What the code changes when it runs is left out, as are clocks, chance, ids, addresses
    in memory, ports of this machine and credentials. What other packages do is not seen.

    Args:
        things: Functions and objects by what they are called where they have no name of their own.
    """
    collector = Collector()
    for label, thing in things.items():
        collector.add(label, thing)
    return collector.parts


def code_identity(function: Callable[..., Any]) -> str:
    """Return one digest of what `code_parts` tells of a function."""
    parts = code_parts({"function": function})
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()[:16]


def parts_of(thing: object) -> dict[str, str]:
    """Return what an agent or a target is made of, a digest of each part by its name.

    That is what its method ``parts()`` returns; nothing, if it has none.
    """
    parts: Any = getattr(thing, "parts", None)
    return dict(cast("Mapping[str, str]", parts())) if callable(parts) else {}
