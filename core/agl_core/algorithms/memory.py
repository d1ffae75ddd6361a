"""The critique memory of a search: what was learned is kept, what failed is not tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agl_core.edits import Critique, joined

__all__ = ["CritiqueMemory"]

_KEPT_CHARS = 6_000
_FAILED = 5
_FAILED_CHARS = 600


@dataclass(slots=True)
class CritiqueMemory:
    """Critiques that led to better prompts, and those that did not, in order."""

    learned: list[Critique] = field(default_factory=list[Critique])
    """Critiques whose rewrite was kept."""
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
            "These edits were tried and lowered the reward. Do not propose them again as they "
            f"are:\n\n{items}"
        )

    def for_rewrite(self, name: str, critiques: Sequence[Critique]) -> str:
        """Return what the rewriter of a prompt is told: critiques, and the lessons of earlier ones.

        Args:
            name: The prompt.
            critiques: What its rewrite is to take in.
        """
        kept: list[str] = []
        room = _KEPT_CHARS
        for lesson in reversed(self.learned):
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
