"""Where rendered prompts come from: LangChain's prompt templates, seen while they are rendered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import wrapt
from langchain_core.prompts import PromptTemplate as LangChainTemplate

from agl_core.binding import Binding, current_binding
from agl_core.matching import lift
from agl_core.prompts import PromptTemplate

__all__ = ["Rendered", "TemplateHook"]

_REMEMBERED = 256
"""How many texts are remembered for each binding, the latest."""


class Rendered(NamedTuple):
    """What a text was rendered from."""

    template: PromptTemplate
    values: Mapping[str, str]


class TemplateHook:
    """Sees prompt templates being rendered in bound contexts, for as long as it is installed."""

    def __init__(self) -> None:
        self._rendered: WeakKeyDictionary[Binding, dict[str, Rendered]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    @contextmanager
    def installed(self) -> Generator[None]:
        """Wrap the rendering of templates for the block."""
        original = LangChainTemplate.__dict__["format"]
        installed = wrapt.FunctionWrapper(original, self._format)
        LangChainTemplate.format = installed  # type: ignore[method-assign]
        try:
            yield
        finally:
            # Whoever wrapped ours in the meantime stays: without a binding, ours does nothing.
            if LangChainTemplate.__dict__["format"] is installed:
                LangChainTemplate.format = original  # type: ignore[method-assign]

    def source(self, text: str) -> Rendered | None:
        """Return what a text was rendered from in this context, if that is known."""
        binding = current_binding()
        return None if binding is None else self._rendered.get(binding, {}).get(text)

    def _format(
        self,
        wrapped: Callable[..., str],
        template: LangChainTemplate,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> str:
        text = wrapped(*args, **kwargs)
        binding = current_binding()
        if binding is not None:
            rendered = _rendered(template, kwargs, text)
            if rendered is not None:
                self._remember(binding, text, rendered)
        return text

    def _remember(self, binding: Binding, text: str, rendered: Rendered) -> None:
        with self._lock:
            texts = self._rendered.setdefault(binding, {})
            texts.pop(text, None)
            texts[text] = rendered
            if len(texts) > _REMEMBERED:
                del texts[next(iter(texts))]


def _rendered(template: LangChainTemplate, given: Mapping[str, Any], text: str) -> Rendered | None:
    """Return the template and values that render to the text by our rules too, or None.

    Our templates have no format specifications, so some of LangChain's cannot be expressed.
    """
    names = (*template.input_variables, *template.partial_variables)
    if template.template_format != "f-string" or not names:
        return None
    own = _own_template(template.template, names)
    known = {**template.partial_variables, **given}
    values: Mapping[str, str] | None = {name: str(known.get(name)) for name in own.variables}
    if own.render(values) != text:
        # A variable that LangChain computes has its value in the text only.
        values = lift(own, text)
    return None if values is None else Rendered(own, values)


@lru_cache(maxsize=_REMEMBERED)
def _own_template(text: str, names: tuple[str, ...]) -> PromptTemplate:
    return PromptTemplate(text, "f-string", names)
