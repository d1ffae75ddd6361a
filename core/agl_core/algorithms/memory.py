"""The critique memory of a search: what was learned is kept, what failed is not tried again."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CritiqueMemory"]

_KEPT_CHARS = 6_000
_FAILED = 5
_FAILED_CHARS = 600


@dataclass(slots=True)
class CritiqueMemory:
    """Critiques that led to better prompts, and those that did not, in order."""

    learned: list[str] = field(default_factory=list[str])
    """Critiques whose rewrite was kept."""
    failed: list[str] = field(default_factory=list[str])
    """Critiques whose rewrite did worse than its parent."""

    def for_critique(self) -> str:
        """Return what a critic is told about edits that failed; empty if there is nothing."""
        if not self.failed:
            return ""
        items = "\n\n".join(
            f"<failed_edit>\n{text[:_FAILED_CHARS]}\n</failed_edit>"
            for text in self.failed[-_FAILED:]
        )
        return (
            "These edits were tried and lowered the reward. Do not propose them again as they "
            f"are:\n\n{items}"
        )

    def for_rewrite(self, critique: str) -> str:
        """Return a critique with the lessons of earlier ones, so that none is lost on the way."""
        kept: list[str] = []
        room = _KEPT_CHARS
        for text in reversed(self.learned):
            room -= len(text)
            if room < 0:
                break
            kept.append(text)
        if not kept:
            return critique
        lessons = "\n\n".join(reversed(kept))
        return (
            f"{critique}\n\n## Earlier critiques\n\nThe prompt has taken these in already. "
            f"If something of them is missing, put it back.\n\n{lessons}"
        )
