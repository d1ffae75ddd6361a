"""The change between two texts, line by line, and within changed lines word by word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Literal, NamedTuple

from agl_core.prompts.templates import PromptTemplate
from agl_core.text import cut, printable

__all__ = ["DiffRow", "PromptDiff", "Word", "prompt_diffs", "text_diff"]

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_ALIKE = 0.5
"""Lines that have less than this share of their words in common are different lines, not one that
was changed."""
_AROUND = 3
"""Unchanged lines that are shown on each side of a change."""
_MAX_CHARS = 40_000


class Word(NamedTuple):
    """A piece of a line."""

    text: str
    changed: bool


@dataclass(frozen=True, slots=True)
class DiffRow:
    """A line before and after; what is missing on a side is None."""

    kind: Literal["same", "changed", "replaced", "added", "removed", "skipped"]
    """``changed``: the two have much in common; ``replaced``: they have not."""
    before: Sequence[Word] | None = None
    after: Sequence[Word] | None = None
    skipped: Sequence[str] = ()
    """Unchanged lines far from any change."""


@dataclass(frozen=True, slots=True)
class PromptDiff:
    """The change of one prompt."""

    name: str
    rows: Sequence[DiffRow]
    """Empty if nothing changed."""
    text: str
    """The prompt as it is now."""

    @property
    def summary(self) -> str:
        """How many lines are new, changed, or gone."""
        counts = Counter(row.kind for row in self.rows)
        counts["changed"] += counts["replaced"]
        kinds = ("added", "changed", "removed")
        told = [f"{counts[kind]} {kind}" for kind in kinds if counts[kind]]
        return f"lines: {', '.join(told)}" if told else "unchanged"


def prompt_diffs(
    before: Mapping[str, PromptTemplate], after: Mapping[str, PromptTemplate]
) -> list[PromptDiff]:
    """Return the change of each prompt, those that changed first. Texts are safe to show."""
    names = [*after, *(name for name in before if name not in after)]
    diffs = [
        PromptDiff(
            printable(name),
            text_diff(_text(before.get(name)), _text(after.get(name))),
            _text(after.get(name)),
        )
        for name in names
    ]
    return sorted(diffs, key=lambda diff: not diff.rows)


def text_diff(before: str, after: str) -> list[DiffRow]:
    """Return the rows of a diff; none if the texts are equal."""
    if before == after:
        return []
    old, new = _lines(before), _lines(after)
    rows: list[DiffRow] = []
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for number, (tag, i1, i2, j1, j2) in enumerate(blocks):
        if tag == "equal":
            edges = (number > 0, number < len(blocks) - 1)
            rows += _unchanged(old[i1:i2], *edges)
        else:
            rows += _replaced(old[i1:i2], new[j1:j2])
    return rows


def _unchanged(lines: Sequence[str], after_change: bool, before_change: bool) -> Iterator[DiffRow]:
    head = _AROUND if after_change else 0
    tail = _AROUND if before_change else 0
    if len(lines) <= head + tail + 1:
        head, tail = len(lines), 0
    yield from map(_same, lines[:head])
    if skipped := lines[head : len(lines) - tail]:
        yield DiffRow("skipped", skipped=skipped)
    yield from map(_same, lines[len(lines) - tail :] if tail else ())


def _replaced(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffRow]:
    """Pair lines that are alike, in order; what is between them is set side by side."""
    i = j = 0
    for place, line in enumerate(old):
        partner = next((k for k in range(j, len(new)) if _similar(line, new[k])), None)
        if partner is not None:
            yield from _beside(old[i:place], new[j:partner])
            yield DiffRow("changed", *_words(line, new[partner]))
            i, j = place + 1, partner + 1
    yield from _beside(old[i:], new[j:])


def _beside(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffRow]:
    for before, after in zip_longest(old, new):
        kind = "added" if before is None else "removed" if after is None else "replaced"
        yield DiffRow(kind, _whole(before), _whole(after))


def _whole(line: str | None) -> list[Word] | None:
    return None if line is None else [Word(line, False)]


def _same(line: str) -> DiffRow:
    return DiffRow("same", _whole(line), _whole(line))


def _similar(one: str, other: str) -> bool:
    if not one.strip() or not other.strip():
        return False
    matcher = SequenceMatcher(None, _WORDS.findall(one), _WORDS.findall(other), autojunk=False)
    return matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE


def _words(old: str, new: str) -> tuple[list[Word], list[Word]]:
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    sides: tuple[list[Word], list[Word]] = ([], [])
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        for side, piece in zip(sides, (before[i1:i2], after[j1:j2]), strict=True):
            if piece:
                side.append(Word("".join(piece), tag != "equal"))
    return sides


def _lines(text: str) -> list[str]:
    return text.split("\n") if text else []


def _text(prompt: PromptTemplate | None) -> str:
    return "" if prompt is None else cut(printable(prompt.raw), _MAX_CHARS)
