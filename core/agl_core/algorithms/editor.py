"""The editor: asks for critiques and rewrites, and makes candidates of them."""

from __future__ import annotations

from collections.abc import Sequence

from agl_core.algorithms.apo_prompts import critique_request, own_part, rewrite_request
from agl_core.algorithms.concurrency import run_all
from agl_core.algorithms.fault_finding import SlotsToRewrite, named_prompts, prompts_to_rewrite
from agl_core.algorithms.memory import CritiqueMemory
from agl_core.candidates import Candidate
from agl_core.edits import Critique, PromptEdit, joined
from agl_core.prompts.rewrites import InvalidRewriteError, check_rewrite
from agl_core.prompts.templates import PromptTemplate, Resources
from agl_core.rollouts import Rollout
from agl_core.session import Session

__all__ = ["Editor"]


class Editor:
    """Makes the two model calls of APO. Holds no state of a run.

    Args:
        gradient_model: The model that writes critiques.
        apply_edit_model: The model that writes rewrites.
        temperature: Sampling temperature of both.
        max_prompt_chars: The longest prompt that is accepted, in characters.
        slots: Which prompts a rewrite changes, where there are several.
    """

    def __init__(
        self,
        gradient_model: str,
        apply_edit_model: str,
        temperature: float,
        max_prompt_chars: int,
        slots: SlotsToRewrite = "at_fault",
    ) -> None:
        self.gradient_model = gradient_model
        self.apply_edit_model = apply_edit_model
        self.temperature = temperature
        self.max_prompt_chars = max_prompt_chars
        self.slots: SlotsToRewrite = slots

    async def critique(
        self,
        session: Session,
        resources: Resources,
        rollouts: Sequence[Rollout],
        key: str,
        memory: CritiqueMemory | None = None,
    ) -> Critique:
        """Ask for a critique of the prompts in the light of some rollouts.

        Args:
            session: The run.
            resources: The prompts.
            rollouts: Rollouts of them.
            key: Tells the call apart from others of the run.
            memory: What earlier critiques came to.

        Raises:
            ModelError: If the call fails for good.
        """
        text = await session.ask(
            self.gradient_model,
            critique_request(resources, rollouts, memory.for_critique() if memory else ""),
            temperature=self.temperature,
            key=f"{key} critique",
        )
        only = len(resources) == 1
        return Critique(key, text, tuple(resources) if only else named_prompts(text, [*resources]))

    async def rewrite(
        self,
        session: Session,
        parent: Candidate,
        critiques: Sequence[Critique],
        key: str,
        round_number: int,
        memory: CritiqueMemory | None = None,
    ) -> Candidate:
        """Ask for rewrites of the prompts that critiques find at fault, each by what is about it.

        A critique that names no prompt is taken to be about all of them.

        Args:
            session: The run.
            parent: Whose prompts are rewritten.
            critiques: What the rewrites are to take in.
            key: Tells the calls apart from others of the run.
            round_number: The round of the search, from 1.
            memory: What earlier critiques came to.

        Returns:
            The child, marked as rejected if no rewrite can be used.

        Raises:
            ModelError: If a call fails for good.
        """
        resources, memory = parent.resources, memory or CritiqueMemory()
        names = prompts_to_rewrite(self.slots, critiques, [*resources], round_number - 1)
        about = {name: [c for c in critiques if c.concerns(name)] or critiques for name in names}
        answers = await run_all(
            self._rewrite_one(
                session, resources, name, memory.for_rewrite(name, about[name], parent.id), key
            )
            for name in names
        )
        results = dict(zip(names, answers, strict=True))
        rewritten = {name: p for name, p in results.items() if isinstance(p, PromptTemplate)}
        reasons = {name: reason for name, reason in results.items() if isinstance(reason, str)}
        rejected = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        return Candidate(
            resources={**resources, **rewritten},
            parent=parent.id,
            edit=joined(critiques),
            round=round_number,
            rejected="" if rewritten else rejected or "the critiques find no prompt at fault",
            metadata={"branch": key},
            critiques=tuple(critiques),
            edits={
                name: PromptEdit(tuple(c.key for c in about[name]), reasons.get(name, ""))
                for name in names
            },
        )

    async def _rewrite_one(
        self, session: Session, resources: Resources, name: str, critique: str, key: str
    ) -> PromptTemplate | str:
        """Return the rewritten prompt, or why the rewrite cannot be used."""
        several, constraint = len(resources) > 1, session.constraints.get(name)
        answer = await session.ask(
            self.apply_edit_model,
            rewrite_request(name, resources[name], critique, several, constraint),
            temperature=self.temperature,
            key=f"{key} rewrite {name}",
        )
        try:
            text = own_part(answer, name, resources) if several else answer
            return check_rewrite(resources[name], text, self.max_prompt_chars, constraint)
        except InvalidRewriteError as error:
            return str(error)
