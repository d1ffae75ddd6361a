"""What the templates show of each candidate: where it came from, why, and what became of it."""

from __future__ import annotations

import json
from typing import Any

from agl_adapters.report.diffs import PromptDiff, prompt_diffs
from agl_adapters.report.facts import CandidateFacts, RunFacts
from agl_core.text import cut, printable

__all__ = ["candidate_card", "title"]

_EDIT_CHARS = 6_000


def title(candidate: CandidateFacts) -> str:
    """Return what a candidate is called in a sentence."""
    return "the seed" if candidate.is_seed else f"candidate {candidate.number}"


def candidate_card(facts: RunFacts, c: CandidateFacts) -> dict[str, Any]:
    """Return the context of a candidate's card. All texts are safe to show."""
    parent = None if c.parent is None else facts.candidates[c.parent]
    return {
        "number": c.number,
        "title": title(c).removeprefix("the ").capitalize(),
        "best": c is facts.best,
        "rejected": _text(c.candidate.rejected),
        "critiques": _critiques(c),
        "refused": [
            (printable(name), _text(edit.refused))
            for name, edit in c.candidate.edits.items()
            if edit.refused and not c.candidate.rejected
        ],
        "figures": _figures(facts, c),
        "origin": _origin(c, parent),
        "parent_name": "" if parent is None else title(parent),
        "diffs": _diffs(c, parent),
        "metadata": _metadata(c),
        "has_rollouts": any(number == c.number for number, _ in facts.cells),
    }


def _critiques(c: CandidateFacts) -> list[tuple[str, str]]:
    """Return the critiques, each under what it is called and what it is about."""
    if c.candidate.edit and not c.candidate.critiques:
        return [("The critique that it answers", _text(c.candidate.edit))]
    return [
        (
            f"Critique ({printable(critique.key)})"
            + (f", about {printable(', '.join(critique.prompts))}" if critique.prompts else ""),
            _text(critique.text),
        )
        for critique in c.candidate.critiques
    ]


def _diffs(c: CandidateFacts, parent: CandidateFacts | None) -> list[PromptDiff]:
    if parent is None or c.candidate.rejected:
        return []
    diffs = prompt_diffs(parent.candidate.resources, c.candidate.resources)
    return [diff for diff in diffs if diff.rows]


def _figures(facts: RunFacts, c: CandidateFacts) -> str:
    parts: list[str] = []
    if c.validation is not None:
        parts.append(f"validation {c.validation:.3f}")
    elif c.score is not None:
        parts.append(f"{c.score:.3f} on part of validation")
    test = facts.means.get((c.number, "test"))
    if test is not None:
        parts.append(f"test {test:.3f}")
    return ", ".join(parts)


def _origin(c: CandidateFacts, parent: CandidateFacts | None) -> str:
    if not c.known:
        return f"Run, but not reported by the algorithm: its prompts are not known ({c.short_id})."
    if c.is_seed:
        return f"The prompts that the run started from ({c.short_id})."
    made = "" if parent is None else f" from {title(parent)}"
    return f"Made in round {c.candidate.round}{made} ({c.short_id})."


def _metadata(c: CandidateFacts) -> str:
    known = {k: v for k, v in c.candidate.metadata.items() if v not in (None, "", [], {})}
    return _text(json.dumps(known, indent=1, ensure_ascii=False)) if known else ""


def _text(text: str) -> str:
    return cut(printable(text), _EDIT_CHARS)
