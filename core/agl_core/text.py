"""Text from prompts, tasks and models is data: made safe to show, and cut to a length."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

__all__ = ["SEARCHED", "cut", "cut_middle", "escape_hidden", "printable"]

SEARCHED = 200_000
"""So many characters of a text are looked through at most for what must not be written, several
times what is kept of one. Who searches 50 MB holds the interpreter for seconds, and nobody else's
rollout goes on meanwhile."""

_ASCII_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SEPARATORS = frozenset(" \n\t\r\"'`()[]{}<>,;|")
_LENGTH = re.compile(r"… \(((?:more than )?\d+) characters in all\)$")
_JOINERS = "\u200c\u200d"
"""Format characters that belong to the spelling of some languages, and to composed emoji."""


def printable(text: str) -> str:
    """Return the text with everything replaced that a terminal could take for a command.

    That is control characters apart from newline and tab, what changes the direction of writing,
    and halves of surrogate pairs, which cannot be written at all.
    """
    if text.isascii():
        return _ASCII_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
    return "".join(
        character
        if character in "\n\t"
        or character in _JOINERS
        or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def escape_hidden(text: str, escape: Callable[[str], str]) -> str:
    """Return a text that looks like what it holds, for files that people review.

    Args:
        text: The text.
        escape: Makes what stands for a character that an editor, a terminal or a diff would not
            show as it is: what `printable` replaces, tabs, and line ends other than the newline.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(escape(c) if _is_hidden(c) else c for c in text)


def _is_hidden(character: str) -> bool:
    if character == "\n" or character in _JOINERS or character.isprintable():
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def cut(text: str, limit: int, length: int | str | None = None) -> str:
    """Return the text if it is no longer than `limit` characters; else its start, and its length.

    So it is plain to see that it was cut. The cut is at the end of a word, as far as that is near:
    half of a key or a name would not be known for what it is when texts are redacted later. One
    that was cut before still says how long it was at first.

    Args:
        text: The text.
        limit: How many characters are kept of it.
        length: How long it was, or what is known of that, if it is but the start.
    """
    if length is None:
        if len(text) <= limit:
            return text
        before = _LENGTH.search(text, max(0, len(text) - 50))
        length = before[1] if before else len(text)
    return f"{_whole_words(text[:limit])}… ({length} characters in all)"


def cut_middle(text: str, limit: int) -> str:
    """Return the text if it is no longer than `limit` characters; else its start and its end."""
    if len(text) <= limit:
        return text
    head, tail = _whole_words(text[: limit // 2]), text[-(limit // 2) :]
    tail = _whole_words(tail[::-1])[::-1]
    left_out = len(text) - len(head) - len(tail)
    return f"{head}\n… ({left_out} characters left out)\n{tail}"


def _whole_words(text: str) -> str:
    """Leave out the last word, or as much of it as is near the end: it may be cut in two."""
    near = len(text) - min(2_000, len(text) // 2)
    end = next((i for i in range(len(text), near, -1) if text[i - 1] in _SEPARATORS), near)
    return text[:end]
