"""Rewrites: from what a model answered to a prompt that is worth a rollout, or a reason why not."""

from __future__ import annotations

import re

from agl_core.errors import AglError, ConfigurationError
from agl_core.prompts.constraints import Constraint, ConstraintError
from agl_core.prompts.templates import PromptTemplate
from agl_core.spans.span import clean_text
from agl_core.text import cut

__all__ = [
    "MAX_PROMPT_CHARS",
    "InvalidRewriteError",
    "check_constraint",
    "check_placeholders",
    "check_rewrite",
    "strip_wrapping",
]

MAX_PROMPT_CHARS = 20_000
"""The longest prompt that is accepted, in characters, unless the seed itself is longer."""

_FENCE = re.compile(
    r"[ \t]*(?P<fence>`{3,}|~{3,})[^\n`]*\n(?P<body>.*?)\n?[ \t]*(?P=fence)[ \t]*", re.DOTALL
)
# On lines of its own: a prompt may well speak of a <prompt> in passing.
_TAGGED = re.compile(
    r"^[ \t]*<(?P<tag>(?:new_|revised_|improved_)?prompt)\b[^>\n]*>(?P<body>.*)</(?P=tag)>[ \t]*$",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
# It has to speak of what follows: a prompt may well begin with "Here are the rules:".
_PREFACE = re.compile(
    r"\A\s*(?:(?:sure|certainly|of course|okay|ok|absolutely)\b[^\n]{0,120}"
    r"|(?:here(?:['\u2019]s| is| are)|below is|this is)\b[^\n]{0,80}"
    r"\b(?:prompt|template|version|rewrite|revision)\b[^\n]{0,60}):[ \t]*\n+",
    re.IGNORECASE,
)


class InvalidRewriteError(AglError):
    """A rewrite cannot be used. The message says why."""


def strip_wrapping(answer: str, parent: str = "") -> str:
    """Take the prompt out of what models put around it: tags, code fences, a preface.

    A fence inside a prompt is part of it: a fence is removed only if, apart from a preface, it is
    around everything. What the parent has itself is no wrapping either.
    """
    text, own = answer.strip(), parent.strip()
    for unwrapped in (_untagged, _unprefaced, _unfenced, _unprefaced):
        if unwrapped(own) == own:
            text = unwrapped(text)
    return text


def _untagged(text: str) -> str:
    tagged = _TAGGED.search(text)
    return text if tagged is None else tagged.group("body").strip()


def _unprefaced(text: str) -> str:
    return _PREFACE.sub("", text).strip()


def _unfenced(text: str) -> str:
    fenced = _FENCE.fullmatch(text)
    return text if fenced is None else fenced.group("body").strip()


def check_rewrite(
    parent: PromptTemplate,
    answer: str,
    max_chars: int = MAX_PROMPT_CHARS,
    constraint: Constraint | None = None,
) -> PromptTemplate:
    """Turn a model's answer into the next version of a prompt.

    Args:
        parent: The prompt that was to be rewritten; engine and placeholders are kept from it.
        answer: What the model answered.
        max_chars: The longest prompt to accept; a parent that is longer sets its own length.
        constraint: What the user asks of the prompt; see `Session.constraints`.

    Raises:
        InvalidRewriteError: If the prompt is empty, unchanged (but for white space) or too long, is
            no valid Unicode, loses or invents a placeholder, does not parse, or breaks the
            constraint.
    """
    text = strip_wrapping(answer, parent.raw)
    if not text:
        raise InvalidRewriteError("the rewrite is empty")
    if clean_text(text) != text:
        raise InvalidRewriteError("the rewrite is no valid Unicode text")
    limit = max(max_chars, len(parent.raw))
    if len(text) > limit:
        raise InvalidRewriteError(f"the rewrite has {len(text)} characters; the limit is {limit}")
    if text.split() == parent.raw.split():
        raise InvalidRewriteError("the rewrite changes nothing")
    try:
        prompt = parent.with_text(text)
    except ConfigurationError as error:
        raise InvalidRewriteError(f"the rewrite is no valid template: {error}") from error
    check_placeholders(parent, prompt)
    check_constraint(prompt, constraint)
    return prompt


def check_constraint(prompt: PromptTemplate, constraint: Constraint | None) -> None:
    """Refuse a prompt that breaks what the user asks of it.

    Raises:
        InvalidRewriteError: The message says what it breaks.
    """
    if constraint is None:
        return
    try:
        constraint.check(prompt.raw)
    except ConstraintError as error:
        raise InvalidRewriteError(f"the rewrite {error}") from error


def check_placeholders(parent: PromptTemplate, prompt: PromptTemplate) -> None:
    """Refuse a prompt that does not have exactly its parent's placeholders, or adds code.

    Raises:
        InvalidRewriteError: The message names the placeholders lost or invented, or the code.
    """
    before, after = parent.placeholders(), prompt.placeholders()
    if lost := before - after:
        raise InvalidRewriteError(f"the rewrite loses {_braced(lost)}")
    if invented := after - before:
        raise InvalidRewriteError(f"the rewrite invents {_braced(invented)}")
    if parent.engine == prompt.engine == "jinja":
        _check_code(parent, prompt)


def _check_code(parent: PromptTemplate, prompt: PromptTemplate) -> None:
    """Refuse Jinja code that the parent does not have: a model may write text, not programs.

    An expression may be repeated; a statement may not, since loops multiply.
    """
    from agl_core.prompts.jinja_sandbox import code_of

    before, after = code_of(parent.raw), code_of(prompt.raw)
    for piece, count in after.items():
        allowed = before[piece]
        if not allowed or (piece.startswith("{%") and count > allowed):
            close = "}}" if piece.startswith("{{") else "%}"
            raise InvalidRewriteError(f"the rewrite adds code: {cut(piece, 200)} {close}")


def _braced(names: frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))
