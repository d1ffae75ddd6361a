"""Provenance: what a program's texts were rendered from, as far as that was seen."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from agl_core.prompts.templates import PromptTemplate

__all__ = ["Rendered", "Renderings"]

_REMEMBERED = 256
"""How many texts are remembered, the latest."""


class Rendered(NamedTuple):
    """What a text was rendered from."""

    template: PromptTemplate
    values: Mapping[str, Any]


class Renderings:
    """The texts that were rendered from templates where one binding is in force. Safe in threads.

    A text that a program makes of one of these, by putting something before it for instance, is
    another text, of which nothing is known.
    """

    def __init__(self) -> None:
        self._texts: dict[str, Rendered] = {}
        self._lock = threading.Lock()

    def add(self, template: PromptTemplate, values: Mapping[str, Any], text: str) -> None:
        """Remember what a text was rendered from. One without variables tells nothing new."""
        if not template.variables:
            return
        used = {name: value for name, value in values.items() if name in template.variables}
        if template.engine != "jinja":
            used = {name: str(value) for name, value in used.items()}
        with self._lock:
            self._texts.pop(text, None)
            self._texts[text] = Rendered(template, used)
            if len(self._texts) > _REMEMBERED:
                del self._texts[next(iter(self._texts))]

    def of(self, text: str) -> Rendered | None:
        """Return what a text was rendered from, if that is known; of several times, the last."""
        return self._texts.get(text)
