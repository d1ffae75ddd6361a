"""Slots: names for the places in a program where a prompt is used, and what to send there."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

from agl_adapters.places import user_place
from agl_core.prompts.binding import current_binding
from agl_core.prompts.provenance import Rendered
from agl_core.prompts.slots import Role, is_user_message
from agl_core.prompts.templates import PromptTemplate

__all__ = [
    "active",
    "call_site",
    "inject",
    "is_prompt",
    "model_call",
    "module_name",
    "numbered",
    "slot_name",
    "takes_user_messages",
]

_in_model_call: ContextVar[bool] = ContextVar("agl_in_model_call", default=False)


def active() -> bool:
    """Tell whether a hook is to put a prompt into the call that it sees.

    It is if prompts are bound in this context, and no hook of a layer above has done so for the
    same call; see `model_call`.
    """
    return current_binding() is not None and not _in_model_call.get()


@contextmanager
def model_call() -> Generator[None]:
    """Mark the block as a model call that has its prompt and its span.

    In it, hooks are not `active`: that of the client leaves alone what its framework's hook did.
    """
    token = _in_model_call.set(True)
    try:
        yield
    finally:
        _in_model_call.reset(token)


def slot_name(framework: str, path: str, role: str = "system") -> str:
    """Return ``{framework}:{path}#{role}``, the stable name of a place where a prompt is used."""
    return f"{framework}:{path}#{role}"


def numbered(role: str, number: int) -> str:
    """Return the role part of a slot's name: of several messages of a role, which one, from 1."""
    return role if number == 1 else f"{role}.{number}"


def takes_user_messages() -> bool:
    """Tell whether a hook is to pass user messages through slots as well.

    They are named ``...#user``, ``...#user.2``, as they stand in the call. Where this is false they
    are none of a hook's business.
    """
    binding = current_binding()
    return binding is not None and binding.takes_user_messages


def is_prompt(slot: str) -> bool:
    """Tell whether what is sent in a slot is a prompt: of user messages, few are."""
    binding = current_binding()
    return not is_user_message(slot) or (binding is not None and binding.knows(slot))


def inject(
    slot: str,
    original: str,
    template: PromptTemplate | None = None,
    values: Mapping[str, Any] | None = None,
    *,
    role: Role = "system",
    place: str = "",
) -> str:
    """Return the text to send where the program would send `original`, and record the use.

    Outside a bound context, or where the candidate has no prompt for the slot, it is the original.

    Args:
        slot: The slot.
        original: The program's text.
        template: What the program rendered it from, if the hook knows: it is then the prompt that
            is optimized, and its placeholders are kept.
        values: The values that the program rendered the template with.
        role: The role of the message; a slot that is named for user messages tells by itself.
        place: The code of the user's that makes the text, ``file:line``, if the hook knows. By
            default the code that makes the call, if that can be seen from here.
    """
    binding = current_binding()
    if binding is None:
        return original
    if binding.sightings is not None and not place:
        place = user_place()
    rendered = None if template is None else Rendered(template, values or {})
    return binding.inject(slot, original, rendered, role, place)


def call_site(skip: Iterable[str], depth: int = 1) -> str:
    """Name the code that makes the current call: ``module.qualified_name`` of the nearest frame.

    Args:
        skip: Import names of packages whose frames are machinery, not the user's code.
        depth: How many frames above this function to start from.
    """
    prefixes = (*skip, "agl_core", "agl_adapters", "agl_integrations")
    frame = sys._getframe(depth)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        module = module_name(frame)
        if module.partition(".")[0] not in prefixes:
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "unknown"


def module_name(frame: FrameType) -> str:
    """Return the name of a frame's module as it is when the module is imported.

    So a program has the same slots where it is run, and its module called ``__main__``.
    """
    variables = frame.f_globals
    name = str(variables.get("__name__", ""))
    if name != "__main__":
        return name
    spec = variables.get("__spec__")  # of `python -m module`
    if spec is not None:
        return str(spec.name)
    file = variables.get("__file__")  # of `python file.py`
    return name if file is None else Path(file).stem
