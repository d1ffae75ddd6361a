"""Recovering a template from rendered samples: what stays is text, what changes is a value."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agl_core.prompts.matching import lift
from agl_core.prompts.templates import PromptTemplate

__all__ = ["MIN_SAMPLES", "free_prefix", "infer_template"]

MIN_SAMPLES = 3
"""Fewer distinct samples do not tell text from value."""

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_JOINTS = ("-", "/", ".", ":")
_MIN_ANCHOR = 3
"""Words and signs that a text between two values must have to be taken for text: less than that is
as likely a word that the values happen to share. Values around it are then taken as one."""
_MIN_SHARE = 0.2
"""The least share of the shortest sample that must be text."""


@dataclass(slots=True)
class _Text:
    """A stretch of text that all samples share."""

    tokens: list[str]

    @property
    def weight(self) -> int:
        return sum(not token.isspace() for token in self.tokens)


def infer_template(samples: Sequence[str]) -> PromptTemplate | None:
    """Return a template that renders to every sample, or None if none can be trusted.

    The samples are aligned token by token. A stretch that differs between any two of them becomes
    a variable; two that are equal in all samples are the same variable. Variables are named
    ``value_1``, ``value_2`` and so on.

    Args:
        samples: Rendered texts of one prompt. Equal ones count once; at least `MIN_SAMPLES`
            different ones are needed.

    Returns:
        A literal template with variables, whose text is filled nowhere else; None if the samples
        are too few or share too little text.
    """
    distinct = list(dict.fromkeys(samples))
    if len(distinct) < MIN_SAMPLES:
        return None
    stretches = _aligned([_TOKEN.findall(sample) for sample in distinct])
    _give_up_numbers(stretches)
    stretches = _merge_short(stretches)
    shared = sum(len("".join(text.tokens)) for text in stretches if text is not None)
    if shared < _MIN_SHARE * min(map(len, distinct)) or not shared:
        return None
    return _named(stretches, distinct)


def free_prefix(text: str) -> str:
    """Return how names of variables can begin so that none stands in a text already."""
    prefix = "value"
    while f"{{{prefix}_" in text:
        prefix += "_"
    return prefix


def _aligned(samples: Sequence[list[str]]) -> list[_Text | None]:
    """Return the stretches of text common to all samples, None standing for what differs."""
    common = samples[0]
    for tokens in samples[1:]:
        blocks = difflib.SequenceMatcher(None, common, tokens, autojunk=False).get_matching_blocks()
        common = [token for block in blocks for token in common[block.a : block.a + block.size]]
    gaps: set[int] = set()
    for tokens in samples:
        matcher = difflib.SequenceMatcher(None, common, tokens, autojunk=False)
        position = start = 0
        for block in matcher.get_matching_blocks():
            if block.b > position or block.a > start:
                gaps.add(block.a)
            start, position = block.a + block.size, block.b + block.size
    stretches: list[_Text | None] = []
    for index, token in enumerate(common):
        if index in gaps:
            stretches.append(None)
        if stretches and isinstance(stretches[-1], _Text):
            stretches[-1].tokens.append(token)
        else:
            stretches.append(_Text([token]))
    if len(common) in gaps:
        stretches.append(None)
    return stretches


def _give_up_numbers(stretches: Sequence[_Text | None]) -> None:
    """Give up numbers that are joined to a value: the year that all dates share is part of them."""
    for before, after in itertools.pairwise(stretches):
        if after is None and before is not None:
            while _is_number(before.tokens[-2:-1], before.tokens[-1:]):
                del before.tokens[-2:]
        elif before is None and after is not None:
            while _is_number(after.tokens[1:2], after.tokens[:1]):
                del after.tokens[:2]


def _is_number(number: list[str], joint: list[str]) -> bool:
    return "".join(number).isdigit() and "".join(joint) in _JOINTS


def _merge_short(stretches: Sequence[_Text | None]) -> list[_Text | None]:
    """Give up texts between two values that are too short to be trusted."""
    merged: list[_Text | None] = []
    for index, stretch in enumerate(stretches):
        inner = 0 < index < len(stretches) - 1
        kept = stretch
        if stretch is not None and inner and stretch.weight < _MIN_ANCHOR:
            kept = None
        if kept is None and merged and merged[-1] is None:
            continue
        merged.append(kept)
    return merged


def _named(stretches: Sequence[_Text | None], samples: Sequence[str]) -> PromptTemplate | None:
    """Name the variables; the same name for those whose values are equal in all samples."""
    prefix = free_prefix("".join("" if s is None else "".join(s.tokens) for s in stretches))
    names = [f"{prefix}_{n}" for n in range(1, 1 + sum(s is None for s in stretches))]
    template = _template(stretches, names)
    lifted = [lift(template, sample) for sample in samples]
    first: dict[tuple[str, ...], str] = {}
    same: list[str] = []
    for name in names:
        values = tuple("" if found is None else found[name] for found in lifted)
        same.append(first.setdefault(values, name))
    template = _template(stretches, same)
    if any(lift(template, sample) is None for sample in samples):
        return None
    return template


def _template(stretches: Sequence[_Text | None], names: Sequence[str]) -> PromptTemplate:
    remaining = iter(names)
    text = "".join(f"{{{next(remaining)}}}" if s is None else "".join(s.tokens) for s in stretches)
    return PromptTemplate(text, "literal", frozenset(names))
