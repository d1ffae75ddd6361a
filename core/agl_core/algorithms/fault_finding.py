"""Which prompts a critique finds at fault, and which of them a step of the search rewrites."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from agl_core.edits import Critique

__all__ = ["SlotsToRewrite", "named_prompts", "prompts_to_rewrite"]

SlotsToRewrite = Literal["at_fault", "one", "round_robin", "all"]
"""``at_fault``: those that the critiques name. ``one``: of these, the one that they name most and
first. ``round_robin``: of these, the one whose turn it is; it goes on with every round. ``all``:
every one."""

# The closing line that was asked for, with the list after it, on the line or below it.
_CLOSING = re.compile(
    r"^\W*prompts? to change\W*?:(?P<list>.*(?:\n+[ \t]*(?:[-*+•]|\d+[.)])[ \t].*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_NONE = re.compile(r"\W*(?:none|no prompts?|nothing)\b", re.IGNORECASE)
_MIN_FORM = 3
"""Characters that a part of a slot's name must have to stand for it."""


def named_prompts(critique: str, names: Sequence[str]) -> tuple[str, ...] | None:
    """Return the prompts that a critique asks to change, most important first.

    They are those of its closing line, written in whatever way: other capitals and punctuation, a
    slot without its framework or role. Without such a line, or if it names none that exists, they
    are those that the critique speaks of.

    Returns:
        The names; empty if the closing line says that none is to change, None if nothing is said.
    """
    closing = [found["list"] for found in _CLOSING.finditer(critique)]
    if closing:
        listed = closing[-1]
        if found := _in_order(listed, {name: _short_forms(name) for name in names}):
            return found
        if _NONE.match(listed):
            return ()
    # Elsewhere a short form may be a plain word: the answer, the plan.
    return _in_order(critique, {name: [name, name.partition("#")[0]] for name in names}) or None


def prompts_to_rewrite(
    choice: SlotsToRewrite, critiques: Sequence[Critique], names: Sequence[str], turn: int
) -> list[str]:
    """Return the prompts that a step rewrites, most important first.

    Args:
        choice: How they are chosen.
        critiques: The critiques that the step takes in.
        names: All prompts.
        turn: Whose turn it is: counts from 0, around and around.

    Returns:
        Names. Where no critique names any, it might be any prompt's fault. Empty if all critiques
        say that it is none's.
    """
    if choice == "all":
        return list(names)
    if critiques and all(critique.prompts == () for critique in critiques):
        return []
    votes: dict[str, float] = {}
    for critique in critiques:
        for place, name in enumerate(critique.prompts or (), start=1):
            votes[name] = votes.get(name, 0.0) + 1 / place
    at_fault = sorted(votes, key=lambda name: -votes[name]) or list(names)
    turns = [*names[turn % len(names) :], *names[: turn % len(names)]]
    if choice == "round_robin" or (choice == "one" and not votes):
        return [name for name in turns if name in at_fault][:1]
    return at_fault[:1] if choice == "one" else at_fault


def _in_order(text: str, forms: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the names that a text holds in one of their forms, by where they come up first."""
    meant: dict[str, list[str]] = {}
    for name, written in forms.items():
        for form in dict.fromkeys(written):
            meant.setdefault(form, []).append(name)
    if not meant:
        return ()
    # Longer forms first, and not within a longer word: there may be a `plan` beside a `planner`.
    longest = sorted(meant, key=len, reverse=True)
    groups = "|".join(f"({_whatever_stands_between(form)})" for form in longest)
    found: dict[str, None] = {}
    for match in re.finditer(rf"(?<![\w-])(?:{groups})(?![\w-])", text, re.IGNORECASE):
        found.update(dict.fromkeys(meant[longest[(match.lastindex or 1) - 1]]))
    return tuple(found)


def _short_forms(name: str) -> list[str]:
    """Return what a list may call a prompt: a slot also by its path, or the last part of that."""
    path = name.partition(":")[2].partition("#")[0]
    forms = [name.partition("#")[0], path, re.split(r"[/.]", path)[-1]]
    return [name, *(form for form in forms if len(form) >= _MIN_FORM)]


def _whatever_stands_between(form: str) -> str:
    """Return an expression for the words of a name, whatever punctuation is between them."""
    words = re.findall(r"[^\W_]+", form)
    return r"[\W_]*".join(map(re.escape, words)) or re.escape(form)
