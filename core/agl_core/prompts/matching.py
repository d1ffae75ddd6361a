"""Lifting run-time values out of a rendered prompt: the inverse of `PromptTemplate.format`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from agl_core.prompts.templates import PromptTemplate

__all__ = ["lift"]


def lift(template: PromptTemplate, text: str) -> Mapping[str, str] | None:
    """Return the values with which `template` renders to exactly `text`, or None.

    The whole text must match. A variable that occurs twice must have the same value at both
    places. Where several assignments fit, each variable takes the shortest text that allows a
    match, from left to right; rendering them gives the same text in any case. Jinja templates
    cannot be inverted and match their own text alone.
    """
    if template.engine == "jinja":
        return {} if template.raw == text else None
    if len(template.segments) == 1:
        return {} if template.segments[0][0] == text else None
    match = _pattern(template).fullmatch(text)
    return None if match is None else match.groupdict()


@lru_cache(maxsize=512)
def _pattern(template: PromptTemplate) -> re.Pattern[str]:
    """Compile a template into an expression with a group per variable."""
    groups = [""]  # each but the first begins with a variable
    seen: set[str] = set()
    undecided = 0
    for text, name in template.segments:
        groups[-1] += re.escape(text)
        if name is None:
            continue
        if name in seen:
            groups[-1] += f"(?P={name})"
            undecided = len(groups) - 1
        else:
            seen.add(name)
            groups.append(f"(?P<{name}>.*?)")
    # Where no repetition follows, a variable may as well end at the first place where the text
    # after it is found: that leaves the rest the most room. Atomic groups commit to it; otherwise a
    # text that does not match would take time exponential in the number of variables.
    committed = [f"(?>{group})" for group in groups[undecided:-1]]
    return re.compile("".join([*groups[:undecided], *committed, *groups[-1:]]), re.DOTALL)
