"""LangChain's prompt templates, seen while they are rendered."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import wrapt
from langchain_core.prompts import PromptTemplate as LangChainTemplate

from agl_core.prompts.binding import current_binding
from agl_core.prompts.matching import lift
from agl_core.prompts.provenance import Rendered
from agl_core.prompts.templates import PromptTemplate

__all__ = ["template_hook"]


@contextmanager
def template_hook() -> Generator[None]:
    """See prompt templates being rendered in bound contexts, for the block."""
    original = LangChainTemplate.__dict__["format"]
    installed = wrapt.FunctionWrapper(original, _format)
    LangChainTemplate.format = installed  # type: ignore[method-assign]
    try:
        yield
    finally:
        # Whoever wrapped ours in the meantime stays: without a binding, ours does nothing.
        if LangChainTemplate.__dict__["format"] is installed:
            LangChainTemplate.format = original  # type: ignore[method-assign]


def _format(
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
            binding.renderings.add(rendered.template, rendered.values, text)
    return text


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


@lru_cache(maxsize=256)
def _own_template(text: str, names: tuple[str, ...]) -> PromptTemplate:
    return PromptTemplate(text, "f-string", names)
