"""Proposals: critiques and children, asked for and admitted if they are worth a rollout."""

from __future__ import annotations

from collections.abc import Sequence

from agl_core.algorithms.editor import Editor
from agl_core.algorithms.memory import CritiqueMemory
from agl_core.candidates import Candidate
from agl_core.edits import Critique
from agl_core.errors import ModelError
from agl_core.models.chat import RefusedError
from agl_core.prompts.templates import Resources
from agl_core.rollouts import Rollout
from agl_core.session import Session

__all__ = ["Proposals"]


class Proposals:
    """Asks the editor for critiques and children of one search, and remembers what there was.

    A model call that fails costs what it was to bring, and no more.

    Args:
        session: The run.
        editor: Makes the model calls.
        memory: What was learned, and what failed.
    """

    def __init__(self, session: Session, editor: Editor, memory: CritiqueMemory) -> None:
        self._session = session
        self._editor = editor
        self._memory = memory
        self._seen: set[tuple[tuple[str, str], ...]] = set()

    async def critique(
        self, key: str, parent: Candidate, rollouts: Sequence[Rollout]
    ) -> Critique | None:
        """Return a critique, or None if the call failed."""
        try:
            return await self._editor.critique(
                self._session, parent.resources, rollouts, key, self._memory
            )
        except RefusedError:
            raise
        except ModelError as error:
            self._session.say(f"{key}: {error}")
            return None

    async def child(
        self, key: str, parent: Candidate, critiques: Sequence[Critique], round_number: int
    ) -> Candidate | None:
        """Return a child, or None if a call failed."""
        try:
            return await self._editor.rewrite(
                self._session, parent, critiques, key, round_number, self._memory
            )
        except RefusedError:
            raise
        except ModelError as error:
            self._session.say(f"{key}: {error}")
            return None

    def admit(self, candidate: Candidate | None) -> Candidate | None:
        """Report a candidate; return it if it is worth a rollout.

        One that was rejected is not, nor one that differs from an earlier one in white space alone.
        """
        if candidate is None:
            return None
        if candidate.rejected:
            self._session.report(candidate)
            return None
        words = _words(candidate.resources)
        if words in self._seen:
            label = candidate.metadata.get("branch", f"round {candidate.round}")
            self._session.say(f"{label}: the same prompt as an earlier one; dropped")
            return None
        self._seen.add(words)
        admitted = self._session.report(candidate)
        self._memory.admitted[admitted.id] = admitted
        return admitted


def _words(resources: Resources) -> tuple[tuple[str, str], ...]:
    """Return the prompts without their white space."""
    return tuple((name, " ".join(prompt.raw.split())) for name, prompt in sorted(resources.items()))
