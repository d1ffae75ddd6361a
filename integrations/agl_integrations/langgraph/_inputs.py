"""What a graph or chain can be run on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from langchain_core.prompts import BasePromptTemplate
from langchain_core.runnables import RunnableSequence
from langgraph.types import Command

from agl_core.errors import ConfigurationError

__all__ = ["InputShape", "input_shape"]


@dataclass(frozen=True)
class InputShape:
    """The mapping that a graph or chain expects, as far as it says."""

    name: str
    """The name of the graph or chain."""
    keys: Mapping[str, str]
    """Names of types by key; empty if it does not say."""
    needs_all: bool = False
    """Whether every key must be given. LangGraph fills in what is missing, a prompt cannot."""
    other: tuple[type, ...] = ()
    """Classes whose instances it takes instead of a mapping."""

    def check(self, input: Any) -> None:
        """Refuse an input that could not be taken, or that would be ignored.

        LangGraph ignores the keys that it does not know, and would run the graph on nothing.

        Raises:
            ConfigurationError: The message says what is expected and what was given.
        """
        if not self.keys or isinstance(input, self.other):
            return
        if isinstance(input, Mapping):
            found = self.keys.keys() & input.keys()
            if found and (len(found) == len(self.keys) or not self.needs_all):
                return
            given = f"a mapping with {_listed(map(repr, input)) or 'no keys'}"
        else:
            if self.needs_all and len(self.keys) == 1:
                return  # the only variable of a prompt may be given by itself
            given = f"{type(input).__name__}: {input!r:.80}"
        expected = _listed(f"{key!r}: {kind}" for key, kind in self.keys.items())
        raise ConfigurationError(
            f"{self.name!r} expects a mapping {{{expected}}} as its input and was given {given}; "
            "make it of the task with wrap(..., input=...)"
        )


def input_shape(runnable: Any) -> InputShape:
    """Read the shape off a runnable."""
    name = runnable.get_name()
    schema = getattr(getattr(runnable, "builder", None), "input_schema", None)
    if isinstance(schema, type):
        return InputShape(name, _hints(schema), other=(Command, *_instances(schema)))
    first = runnable.first if isinstance(runnable, RunnableSequence) else runnable
    if isinstance(first, BasePromptTemplate):
        return InputShape(name, dict.fromkeys(first.input_variables, "any"), needs_all=True)
    return InputShape(name, {})


def _hints(schema: type) -> dict[str, str]:
    try:
        hints = get_type_hints(schema)
    except Exception:  # noqa: BLE001 - hints that only a type checker can read tell us nothing
        return {}
    return {key: getattr(hint, "__name__", str(hint)) for key, hint in hints.items()}


def _instances(schema: type) -> tuple[type, ...]:
    """Return the schema itself if instances of it can be told from mappings: no TypedDict."""
    return () if issubclass(schema, dict) else (schema,)


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items)
