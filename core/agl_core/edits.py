"""Edits: which critiques a candidate came of, and what was done to each of its prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Critique", "PromptEdit", "joined"]


@dataclass(frozen=True, slots=True)
class Critique:
    """A critique of a candidate's prompts."""

    key: str
    """Which one of the run's it is, such as ``round 1, critique 2``."""
    text: str
    """What it says."""
    prompts: tuple[str, ...] | None = None
    """The prompts that it finds at fault, most important first; empty if it says that none is.
    None if it does not say."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that `from_json` reads."""
        prompts = None if self.prompts is None else list(self.prompts)
        return {"key": self.key, "text": self.text, "prompts": prompts}

    def concerns(self, name: str) -> bool:
        """Tell whether it is about a prompt: it names it, or does not say which it is about."""
        return self.prompts is None or name in self.prompts

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Critique:
        """Rebuild a critique from `to_json`."""
        prompts = data["prompts"]
        return cls(data["key"], data["text"], None if prompts is None else tuple(prompts))


@dataclass(frozen=True, slots=True)
class PromptEdit:
    """What was done to one prompt to make a candidate of its parent."""

    critiques: tuple[str, ...] = ()
    """Keys of the critiques that the rewrite was to take in."""
    refused: str = ""
    """Why the rewrite could not be used and the prompt stayed as it was; empty if it changed."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that `from_json` reads."""
        return {"critiques": list(self.critiques), "refused": self.refused}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PromptEdit:
        """Rebuild an edit from `to_json`."""
        return cls(tuple(data["critiques"]), data["refused"])


def joined(critiques: Sequence[Critique]) -> str:
    """Return several critiques as one text."""
    if len(critiques) == 1:
        return critiques[0].text
    return "\n\n".join(f"## Critique {n}\n\n{c.text}" for n, c in enumerate(critiques, start=1))
