"""The editor: asks for critiques and rewrites, and makes candidates of them."""

from __future__ import annotations

from collections.abc import Sequence

from agl_core.algorithms.apo_prompts import critique_request, named_prompts, rewrite_request
from agl_core.algorithms.concurrency import run_all
from agl_core.candidates import Candidate
from agl_core.prompts import PromptTemplate, Resources
from agl_core.rewrites import InvalidRewriteError, check_rewrite
from agl_core.rollouts import Rollout
from agl_core.session import Session
from agl_core.traces import TraceToMessages

__all__ = ["Editor"]


class Editor:
    """Makes the two model calls of APO. Holds no state of a run.

    Args:
        gradient_model: The model that writes critiques.
        apply_edit_model: The model that writes rewrites.
        temperature: Sampling temperature of both.
        max_prompt_chars: The longest prompt that is accepted, in characters.
    """

    def __init__(
        self, gradient_model: str, apply_edit_model: str, temperature: float, max_prompt_chars: int
    ) -> None:
        self.gradient_model = gradient_model
        self.apply_edit_model = apply_edit_model
        self.temperature = temperature
        self.max_prompt_chars = max_prompt_chars
        self._render = TraceToMessages()

    async def critique(
        self,
        session: Session,
        resources: Resources,
        rollouts: Sequence[Rollout],
        key: str,
        memory: str = "",
    ) -> str:
        """Ask for a critique of the prompts in the light of some rollouts.

        Args:
            session: The run.
            resources: The prompts.
            rollouts: Rollouts of them.
            key: Tells the call apart from others of the run.
            memory: What earlier critiques came to; see `critique_request`.

        Raises:
            ModelError: If the call fails for good.
        """
        return await session.ask(
            self.gradient_model,
            critique_request(resources, rollouts, self._render, memory),
            temperature=self.temperature,
            key=f"{key} critique",
        )

    async def rewrite(
        self, session: Session, parent: Candidate, critique: str, key: str, round_number: int
    ) -> Candidate:
        """Ask for a rewrite of each prompt that a critique finds at fault.

        A critique that names none is taken to be about all of them.

        Returns:
            The child, marked as rejected if no rewrite can be used.

        Raises:
            ModelError: If a call fails for good.
        """
        names = named_prompts(critique, parent.resources) or list(parent.resources)
        answers = await run_all(
            self._rewrite_one(session, parent.resources, name, critique, key) for name in names
        )
        results = list(zip(names, answers, strict=True))
        rewritten = {name: p for name, p in results if isinstance(p, PromptTemplate)}
        reasons = [f"{name}: {reason}" for name, reason in results if isinstance(reason, str)]
        return Candidate(
            resources={**parent.resources, **rewritten},
            parent=parent.id,
            edit=critique,
            round=round_number,
            rejected="" if rewritten else "; ".join(reasons),
            metadata={"prompts": names, "branch": key, "rejected": reasons},
        )

    async def _rewrite_one(
        self, session: Session, resources: Resources, name: str, critique: str, key: str
    ) -> PromptTemplate | str:
        """Return the rewritten prompt, or why the rewrite cannot be used."""
        answer = await session.ask(
            self.apply_edit_model,
            rewrite_request(
                name,
                resources[name],
                critique,
                several=len(resources) > 1,
                constraint=session.constraints.get(name),
            ),
            temperature=self.temperature,
            key=f"{key} rewrite {name}",
        )
        try:
            return check_rewrite(
                resources[name], answer, self.max_prompt_chars, session.constraints.get(name)
            )
        except InvalidRewriteError as error:
            return str(error)
