"""Text from prompts, tasks and models is data: made safe to show, and cut to a length."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["cut", "printable"]

_ASCII_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
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


def cut(text: str, limit: int) -> str:
    """Return the text if it is no longer than `limit` characters; else its start, and its length.

    So it is plain to see that it was cut.
    """
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters in all)"
