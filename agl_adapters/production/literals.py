"""Literals in Python source: found by the text that they stand for, and written anew."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from agl_core.prompts.templates import PromptTemplate
from agl_core.text import escape_hidden

__all__ = ["literal_for", "literals", "written"]

_NUMBER_OF_SPACES = 4


def literals(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the outermost expressions that are made of string literals alone, and f-strings."""
    if isinstance(tree, ast.expr) and (isinstance(tree, ast.JoinedStr) or _text(tree) is not None):
        yield tree
        return
    for child in ast.iter_child_nodes(tree):
        yield from literals(child)


def literal_for(found: ast.expr, own: PromptTemplate, new: PromptTemplate) -> ast.expr | None:
    """Return the expression to put in the place of one, if that one stands for a program's prompt.

    An f-string does if its text is that of the template and each placeholder is one expression.
    Expressions that may do more than look something up keep their number and order.

    Args:
        found: What `literals` yielded.
        own: The program's prompt.
        new: The prompt that replaces it.
    """
    text = _text(found)
    if text is not None:
        target = _target(own, new) if text == own.raw else None
        return None if target is None else ast.Constant(target)
    if (
        isinstance(found, ast.JoinedStr)
        and own.variables
        and "jinja" not in (own.engine, new.engine)
    ):
        return _f_string_for(found, own, new)
    return None


def written(node: ast.expr, old: str, indent: str, starts_line: bool) -> str:
    """Return the source of a literal, in the manner of the one that it replaces.

    Args:
        node: A string constant or an f-string.
        old: The source of the one that is replaced.
        indent: The white space that the line begins with in which it stands.
        starts_line: Whether it is the first on its line.
    """
    parts = list(_parts(node))
    prefix = "f" if isinstance(node, ast.JoinedStr) else ""
    quote = _quote(old)
    if len(quote) == 3:
        return prefix + quote + _body(parts, quote) + quote
    pieces = [f"{prefix}{quote}{_body(line, quote)}{quote}" for line in _lines(parts)]
    if len(pieces) == 1:
        return pieces[0]
    if "\n" in old and starts_line:  # pieces in brackets that are there
        return f"\n{indent}".join(pieces)
    inner = indent + " " * _NUMBER_OF_SPACES
    return "(\n" + "".join(f"{inner}{piece}\n" for piece in pieces) + f"{indent})"


def _text(node: ast.AST) -> str | None:
    """Return the text of an expression that is made of string literals alone."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.JoinedStr):
        texts = [_text(value) for value in node.values]
        return None if None in texts else "".join(filter(None, texts))
    return None


def _target(own: PromptTemplate, new: PromptTemplate) -> str | None:
    """Return the text for a literal that stands for a prompt's text; None if that is not sure."""
    if own.engine == "literal" and not own.variables:
        return None if new.variables else new.render({})
    if own.engine != new.engine:
        return None
    # A template whose values were recovered: what fills it is not known. Where there are no other
    # braces, all ways of filling it agree.
    if own.engine == "literal" and any(
        "{" in text or "}" in text for prompt in (own, new) for text, _ in prompt.segments
    ):
        return None
    return new.raw


def _f_string_for(
    found: ast.JoinedStr, own: PromptTemplate, new: PromptTemplate
) -> ast.expr | None:
    texts, values = _segments(found)
    names = [name for _, name in own.segments if name is not None]
    if texts != [text for text, _ in own.segments] or len(names) != len(values):
        return None
    by_name: dict[str, ast.FormattedValue] = {}
    for name, value in zip(names, values, strict=True):
        if ast.dump(by_name.setdefault(name, value)) != ast.dump(value):
            return None
    wanted = [name for _, name in new.segments if name is not None]
    if not by_name.keys() >= set(wanted):
        return None
    if wanted != names and not all(_is_plain(value) for value in values):
        return None
    made: list[ast.expr] = []
    for text, name in new.segments:
        made += [ast.Constant(text)] if text else []
        made += [by_name[name]] if name is not None else []
    return ast.JoinedStr(made)


def _segments(found: ast.JoinedStr) -> tuple[list[str], list[ast.FormattedValue]]:
    texts, values = [""], list[ast.FormattedValue]()
    for value in found.values:
        if isinstance(value, ast.FormattedValue):
            values.append(value)
            texts.append("")
        elif isinstance(value, ast.Constant):
            texts[-1] += str(value.value)
    return texts, values


def _is_plain(value: ast.FormattedValue) -> bool:
    """Tell whether it is a name or an attribute: it may be looked up more often, or not at all."""
    inner = value.value
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    return isinstance(inner, ast.Name)


_Part = tuple[str, bool]  # text, and whether it is source


def _parts(node: ast.expr) -> Iterator[_Part]:
    if isinstance(node, ast.Constant):
        yield str(node.value), False
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            if isinstance(value, ast.Constant):
                text = str(value.value).replace("{", "{{").replace("}", "}}")
                yield text, False
            else:
                yield ast.unparse(ast.JoinedStr([value])).removeprefix("f")[1:-1], True


def _lines(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Divide parts behind each newline of the text."""
    lines: list[list[_Part]] = [[]]
    for text, is_source in parts:
        *ended, rest = [text] if is_source else text.split("\n")
        pieces = [*(f"{line}\n" for line in ended), rest]
        for piece in pieces:
            if not piece:
                continue
            lines[-1].append((piece, is_source))
            if not is_source and piece.endswith("\n"):
                lines.append([])
    return [line for line in lines if line] or [[("", False)]]


def _body(parts: Sequence[_Part], quote: str) -> str:
    body = "".join(text if is_source else _escaped(text, quote) for text, is_source in parts)
    if len(quote) == 3 and body.endswith(quote[0]):
        body = f"{body[:-1]}\\{quote[0]}"
    return body


def _escaped(text: str, quote: str) -> str:
    text = text.replace("\\", "\\\\")
    if len(quote) == 3:
        text = text.replace(quote, f"\\{quote[0]}" * 3)
    else:
        text = text.replace(quote, f"\\{quote}").replace("\n", "\\n")
    return escape_hidden(text, lambda c: c.encode("unicode_escape").decode())


def _quote(source: str) -> str:
    start = source.lstrip("rRbBuUfF(\n\t ")
    for quote in ('"""', "'''", '"', "'"):
        if start.startswith(quote):
            return quote
    return '"'
