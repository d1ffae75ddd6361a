"""Jinja for prompts: sandboxed, and bounded in what a template can take of time and memory.

The sandbox of Jinja keeps a template from reaching into Python. It does not keep it from running
for hours or filling memory: a loop within a loop, ``"x" * 10**10``, text that doubles itself.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, Template, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agl_core.errors import ConfigurationError

__all__ = ["PromptEnvironment", "TemplateLimitError", "code_of"]

_STEPS = 100_000
_CHARS = 1_000_000
_WIDTH = 10_000
_BITS = 10_000


class TemplateLimitError(ConfigurationError):
    """A template takes more steps, or makes more text, than a prompt can need."""


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """Compiles and renders templates. One that goes on for ever is ended with an error.

    A rendering may take 100,000 steps (turns of loops and calls of macros), and no text in it may
    have more than a million characters.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, keep_trailing_newline=True)
        self.filters.update({name: _bounded(f) for name, f in self.filters.items()})
        self._here = threading.local()

    def compiled(self, text: str) -> Template:
        """Return a template that counts its steps.

        Raises:
            jinja2.TemplateSyntaxError: If it does not parse.
        """
        tree = self.parse(text)
        for node in tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock)):
            node.body.insert(0, nodes.ExprStmt(_call("count_step", []), lineno=node.lineno))
        _replace_concatenations(tree)
        return self.from_string(tree)

    def rendered(self, template: Template, values: Mapping[str, Any]) -> str:
        """Render a template.

        Raises:
            TemplateLimitError: If it takes too much.
            jinja2.UndefinedError: If it asks for what it was not given.
        """
        self._here.steps = 0
        parts: list[str] = []
        length = 0
        for part in template.generate(values):
            parts.append(part)
            length += len(part)
            _check_size(length)
        return "".join(parts)

    def count_step(self) -> str:
        """Count a step of the rendering in this thread."""
        self._here.steps += 1
        if self._here.steps > _STEPS:
            raise TemplateLimitError(f"the prompt's template takes more than {_STEPS:,} steps")
        return ""

    def concatenate(self, *parts: Any) -> str:
        """Join texts, as ``~`` does."""
        return _joined(map(str, parts))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute, if the result is of a reasonable size; see the sandbox."""
        if operator == "+" and not isinstance(left, int | float):
            _check_size(_length(left) + _length(right))
        elif operator == "*":
            _check_size(_length(left) * abs(right) if isinstance(right, int) else 0)
            _check_size(_length(right) * abs(left) if isinstance(left, int) else 0)
            _check_bits(_bits(left) + _bits(right))
        elif operator == "**":
            _check_bits(_bits(left) * abs(right) if isinstance(right, int) else 0)
        elif operator == "%" and isinstance(left, str):
            _check_format(left, right if isinstance(right, tuple) else (right,))
        return super().call_binop(context, operator, left, right)

    def call(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, context: Context, function: Any, /, *args: Any, **kwargs: Any
    ) -> Any:
        """Call a function, if its result is of a reasonable size; see the sandbox."""
        owner = getattr(function, "__self__", None)
        if isinstance(owner, str):
            _check_widths(args, kwargs)
            name = function.__name__
            if name == "replace":
                _check_replacement(owner, *args[:2])
            elif name == "join":
                return _joined(args[0], owner)
        elif function is self.globals["lipsum"] or getattr(function, "__name__", "") == "format":
            _check_widths(args, kwargs)
        return _checked(super().call(context, function, *args, **kwargs))

    def wrap_str_format(self, value: Any) -> Any:
        """Refuse a format that asks for a great width; see the sandbox."""
        owner = getattr(value, "__self__", None)
        if isinstance(owner, str) and getattr(value, "__name__", "") in ("format", "format_map"):
            _check_format(owner, ())
        return super().wrap_str_format(value)


def code_of(text: str) -> Counter[str]:
    """Return the code in a template that parses, each piece with how often it stands there."""
    pieces: Counter[str] = Counter()
    piece: list[str] = []
    for _, kind, value in PromptEnvironment().lex(text):
        if kind in ("variable_begin", "block_begin"):
            piece = ["{{" if kind == "variable_begin" else "{%"]
        elif kind in ("variable_end", "block_end"):
            pieces[" ".join(piece)] += 1
            piece = []
        elif piece and kind != "whitespace":
            piece.append(value)
    return pieces


def _call(name: str, arguments: list[nodes.Expr]) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), arguments, [], None, None)


def _replace_concatenations(node: nodes.Node) -> None:
    for name, value in list(node.iter_fields()):
        if isinstance(value, list):
            setattr(node, name, [_without_concatenation(item) for item in value])
        else:
            setattr(node, name, _without_concatenation(value))


def _without_concatenation(value: Any) -> Any:
    if isinstance(value, nodes.Node):
        _replace_concatenations(value)
        if isinstance(value, nodes.Concat):
            return _call("concatenate", value.nodes).set_lineno(value.lineno)
    return value


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that refuses great widths and results."""
    given = 2 if hasattr(function, "jinja_pass_arg") else 1
    name = getattr(function, "__name__", "")

    @wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        value, options = args[given - 1], args[given:]
        _check_widths(options, kwargs)
        if name == "do_replace":
            _check_replacement(str(value), *(*options, *kwargs.values())[:2])
        elif name == "do_format":
            _check_format(str(value), options)
        elif name == "do_join":
            value = list(value)
            separator = options[0] if options else kwargs.get("d", "")
            _check_size(sum(_length(item) + _length(separator) for item in value))
            args = (*args[: given - 1], value, *options)
        return _checked(function(*args, **kwargs))

    return bounded


def _joined(parts: Iterable[Any], separator: str = "") -> str:
    kept: list[str] = []
    length = 0
    for part in parts:
        length += len(part) + len(separator)
        _check_size(length)
        kept.append(part)
    return separator.join(kept)


def _checked(value: Any) -> Any:
    _check_size(_length(value))
    return value


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes | list | tuple) else 0


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 0


def _check_size(length: int) -> None:
    if length > _CHARS:
        raise TemplateLimitError(f"the prompt's template makes more than {_CHARS:,} characters")


def _check_bits(bits: int) -> None:
    if bits > _BITS:
        raise TemplateLimitError("the prompt's template computes with enormous numbers")


def _check_widths(args: Iterable[Any], kwargs: Mapping[str, Any]) -> None:
    for value in (*args, *kwargs.values()):
        if isinstance(value, int) and abs(value) > _WIDTH:
            raise TemplateLimitError(f"the prompt's template asks for a width of {value}")


def _check_format(text: str, values: Iterable[Any]) -> None:
    if re.search(r"\d{5}", text):
        raise TemplateLimitError("the prompt's template formats to an enormous width")
    if "*" in text:
        _check_widths(values, {})


def _check_replacement(text: str, old: Any = "", new: Any = "") -> None:
    _check_size(len(text) + text.count(str(old)) * len(str(new)))
