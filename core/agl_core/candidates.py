"""Candidates: resources under test, with their parent and the edit that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agl_core.edits import Critique, PromptEdit
from agl_core.prompts.templates import PromptTemplate, Resources, fingerprint

__all__ = ["Candidate"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Resources under test. An algorithm makes them and reports them to the session."""

    resources: Resources
    """The prompts."""
    parent: str | None = None
    """Id of the candidate that this one was made from; None for the seed."""
    edit: str = ""
    """Why it differs from its parent: the critique that led to the rewrite."""
    round: int = 0
    """The round of the search that made it; 0 for the seed."""
    score: float | None = None
    """The score that the algorithm goes by, if it has one."""
    rejected: str = ""
    """Why it was dropped before it cost a rollout; empty if it was not."""
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Anything JSON-able that the algorithm wants kept."""
    critiques: tuple[Critique, ...] = ()
    """The critiques that it came of, each with the prompts that it names."""
    edits: Mapping[str, PromptEdit] = field(default_factory=dict[str, PromptEdit])
    """What was done to which prompts, by name. A prompt that is not in it was left alone."""

    @property
    def changed(self) -> tuple[str, ...]:
        """The prompts that were rewritten to make it, where the algorithm keeps a record."""
        return tuple(name for name, edit in self.edits.items() if not edit.refused)

    @property
    def id(self) -> str:
        """The fingerprint of the resources."""
        return fingerprint(self.resources)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that `from_json` reads."""
        return {
            "id": self.id,
            "resources": {name: prompt.to_json() for name, prompt in self.resources.items()},
            "parent": self.parent,
            "edit": self.edit,
            "round": self.round,
            "score": self.score,
            "rejected": self.rejected,
            "metadata": dict(self.metadata),
            "critiques": [critique.to_json() for critique in self.critiques],
            "edits": {name: edit.to_json() for name, edit in self.edits.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Candidate:
        """Rebuild a candidate from `to_json`."""
        return cls(
            {name: PromptTemplate.from_json(p) for name, p in data["resources"].items()},
            data["parent"],
            data["edit"],
            data["round"],
            data["score"],
            data["rejected"],
            data["metadata"],
            tuple(Critique.from_json(critique) for critique in data["critiques"]),
            {name: PromptEdit.from_json(edit) for name, edit in data["edits"].items()},
        )
