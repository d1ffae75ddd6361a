"""Drift: a program whose text is no longer the one that a prompt was made to replace.

In each case the program's own text is sent: a prompt that was made for another text may lack what
the program's author has added since, and there may be no values to fill it with. What differs is
who is told.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Literal, get_args

from agl_core.credentials import without_credentials
from agl_core.errors import ConfigurationError, PlaceholderError, PromptDriftError
from agl_core.prompts.binding import Binding
from agl_core.prompts.provenance import Rendered
from agl_core.prompts.templates import PromptTemplate
from agl_core.text import cut, printable

__all__ = ["InUse", "OnDrift", "PromptsBinding"]

OnDrift = Literal["warn", "error", "ignore"]
"""What happens where a program's own text is not the one that was replaced: a `RuntimeWarning`,
once per slot; a `PromptDriftError`, each time; nothing."""

_SHOWN = 60


def _warn(message: str) -> None:
    warnings.warn(printable(without_credentials(message)), RuntimeWarning, stacklevel=2)


class InUse:
    """How a set of prompts is used: by which slots, and where the program has drifted from them.

    Args:
        on_drift: What to do about drift.
        tell: Told of it in one line, if `on_drift` is ``"warn"``.
        on_first_use: Told of each slot that sends a text for the first time, drifted or not.

    Raises:
        ConfigurationError: If `on_drift` is none of the three.
    """

    def __init__(
        self,
        on_drift: OnDrift = "warn",
        tell: Callable[[str], None] = _warn,
        on_first_use: Callable[[str], None] | None = None,
    ) -> None:
        if on_drift not in get_args(OnDrift):
            raise ConfigurationError(
                f"on_drift is {on_drift!r}; it is one of {', '.join(get_args(OnDrift))}"
            )
        self.slots: set[str] = set()
        self.drifted: set[str] = set()
        self._on_drift = on_drift
        self._tell = tell
        self._on_first_use = on_first_use
        self._lock = threading.Lock()

    def use(self, slot: str) -> None:
        """Note that a slot sends a text."""
        if slot in self.slots:
            return
        with self._lock:
            is_new = slot not in self.slots
            self.slots.add(slot)
        if is_new and self._on_first_use is not None:
            self._on_first_use(slot)

    def drift(self, slot: str, reason: str) -> None:
        """Note that a slot's prompt cannot stand in for the program's text.

        Raises:
            PromptDriftError: If that is wanted.
        """
        with self._lock:
            is_new = slot not in self.drifted
            self.drifted.add(slot)
        if self._on_drift == "error":
            raise PromptDriftError(f"the prompt for {slot} cannot be used: {reason}")
        if self._on_drift == "warn" and is_new:
            self._tell(f"the prompt for {slot} is not used, the program's own is sent: {reason}")


class PromptsBinding(Binding):
    """The prompts of one or several `use_prompts`, in force.

    Args:
        prompts: Prompt by slot.
        replaces: The program's own prompt by slot, where it is known.
        in_use: Of each slot, the use of the prompts that it is one of.
    """

    def __init__(
        self,
        prompts: Mapping[str, PromptTemplate],
        replaces: Mapping[str, PromptTemplate],
        in_use: Mapping[str, InUse],
    ) -> None:
        super().__init__(prompts, replaces)
        self.in_use = in_use

    def _substitute(self, slot: str, original: str, rendered: Rendered | None) -> str | None:
        in_use = self.in_use.get(slot)
        if in_use is None:  # a slot without a prompt here
            return super()._substitute(slot, original, rendered)
        in_use.use(slot)
        try:
            sent = super()._substitute(slot, original, rendered)
        except PlaceholderError as error:
            in_use.drift(slot, f"{error}; write {{{{ and }}}} for braces that are meant as such")
            return None
        if sent is None:
            in_use.drift(slot, _changed(self.originals[slot], original))
        return sent


def _changed(own: PromptTemplate, text: str) -> str:
    """Say how a text differs from the one that was replaced."""
    if own.variables:
        what = f"it does not fit the template that was replaced, {cut(own.raw, _SHOWN)!r}"
        return f"the program now sends {cut(text, _SHOWN)!r}; {what}"
    start = next(
        (i for i, (a, b) in enumerate(zip(own.raw, text, strict=False)) if a != b),
        min(len(own.raw), len(text)),
    )
    start = max(0, start - _SHOWN // 3)
    then, now = (repr(cut(part[start:], _SHOWN)) for part in (own.raw, text))
    return f"the program now has {now} where {then} was replaced"
