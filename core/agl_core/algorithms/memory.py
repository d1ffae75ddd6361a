"""The critique memory of a search: what a prompt took in is kept, what failed not tried again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agl_core.candidates import Candidate
from agl_core.edits import Critique, joined

__all__ = ["CritiqueMemory"]

_KEPT_CHARS = 6_000
_FAILED = 5
_FAILED_CHARS = 600


@dataclass(slots=True)
class CritiqueMemory:
    """The critiques that led to each candidate, and those that led to none worth keeping."""

    admitted: dict[str, Candidate] = field(default_factory=dict[str, Candidate])
    """The candidates that were worth a rollout, by id."""
    failed: list[Critique] = field(default_factory=list[Critique])
    """Critiques whose rewrite did worse than its parent."""

    def for_critique(self) -> str:
        """Return what a critic is told about edits that failed; empty if there is nothing."""
        if not self.failed:
            return ""
        items = "\n\n".join(
            f"<failed_edit>\n{critique.text[:_FAILED_CHARS]}\n</failed_edit>"
            for critique in self.failed[-_FAILED:]
        )
        return (
            "These edits were tried, some of them together, and lowered the reward. Do not propose "
            f"them again as they are:\n\n{items}"
        )

    def for_rewrite(self, name: str, critiques: Sequence[Critique], parent: str) -> str:
        """Return what the rewriter of a prompt is told: critiques, and the lessons of earlier ones.

        Args:
            name: The prompt.
            critiques: What its rewrite is to take in.
            parent: Id of the candidate that is rewritten: the lessons are those that it and its
                ancestors came of, and not those of other lines.
        """
        kept: list[str] = []
        room = _KEPT_CHARS
        for lesson in self._lessons(parent):
            if lesson.concerns(name):
                room -= len(lesson.text)
                if room < 0:
                    break
                kept.append(lesson.text)
        text = joined(critiques)
        if not kept:
            return text
        lessons = "\n\n".join(reversed(kept))
        return (
            f"{text}\n\n## Earlier critiques\n\nThe prompt has taken these in already. "
            f"If something of them is missing, put it back.\n\n{lessons}"
        )

    def _lessons(self, identity: str) -> Iterator[Critique]:
        """Yield the critiques that a candidate and its ancestors came of, the latest first."""
        candidate = self.admitted.get(identity)
        while candidate is not None:
            yield from reversed(candidate.critiques)
            candidate = self.admitted.get(candidate.parent or "")
