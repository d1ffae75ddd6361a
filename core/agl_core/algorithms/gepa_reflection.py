"""The reflection of a GEPA search: a model reads rollouts and writes a new text of a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agl_core.algorithms.apo_prompts import rewrite_rules
from agl_core.algorithms.concurrency import run_all
from agl_core.algorithms.gepa_candidates import GEPACandidates, Texts, resources_of, texts_of
from agl_core.candidates import Candidate
from agl_core.concurrency.bridge import Bridge
from agl_core.edits import Critique, PromptEdit, joined
from agl_core.errors import ModelError
from agl_core.models.chat import RefusedError
from agl_core.prompts.rewrites import InvalidRewriteError, check_rewrite
from agl_core.prompts.templates import PromptTemplate, Resources, fingerprint
from agl_core.session import Session

__all__ = ["GEPAReflection", "Records"]

Records = Mapping[str, Sequence[Mapping[str, Any]]]
"""What there is to reflect on, by the prompt's name."""

Job = tuple[Texts, Records, list[str]]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of asking for a new text of one prompt."""

    name: str
    prompt: PromptTemplate
    """The rewrite; the prompt as it was if that cannot be used."""
    beside: str
    """What the model said besides."""
    refused: str = ""
    """Why the rewrite cannot be used."""


class GEPAReflection:
    """Reflects by `session.ask`, with the request of the `gepa` package and our checks.

    What cannot be used costs no rollout: it is left out of what the package is given.

    Args:
        session: The run.
        bridge: To the session's event loop.
        candidates: Where children are entered.
        settings: The parameters of `GEPA`.
    """

    def __init__(
        self,
        session: Session,
        bridge: Bridge,
        candidates: GEPACandidates,
        settings: Mapping[str, Any],
    ) -> None:
        self._session = session
        self._bridge = bridge
        self._candidates = candidates
        self._settings = settings
        self._count = 0

    def reflect(
        self, candidate: Texts, reflective_dataset: Records, components_to_update: list[str]
    ) -> Any:
        """Ask for new texts of some prompts of one candidate. Called by the package."""
        return self.reflect_many([(candidate, reflective_dataset, components_to_update)])[0]

    def reflect_many(self, jobs: list[Job]) -> list[Any]:
        """Ask for new texts for several candidates, all at once. Called by the package."""
        from gepa.proposer.reflective_mutation.reflection_lm import ReflectionProposal

        self._count += 1
        number = self._count
        answers = self._bridge.call(lambda: self._reflect_all(jobs, number))
        return [(ReflectionProposal(new_texts=texts), self) for texts in answers]

    async def _reflect_all(self, jobs: Sequence[Job], number: int) -> list[Texts]:
        keys = [f"reflection {number}.{place}" for place in range(1, len(jobs) + 1)]
        children = await run_all(
            self._reflect(job, key) for job, key in zip(jobs, keys, strict=True)
        )
        # In their order, whichever was answered first: a run can be repeated.
        return [self._admitted(child, key) for child, key in zip(children, keys, strict=True)]

    async def _reflect(self, job: Job, key: str) -> Candidate | None:
        """Return a child; None if a call failed."""
        texts, records, names = job
        parent = resources_of(texts, self._session.initial)
        asked = [name for name in names if records[name]]
        try:
            answers = await run_all(
                self._rewrite(parent, str(name), records[name], key) for name in asked
            )
        except RefusedError:
            raise
        except ModelError as error:
            self._session.say(f"{key}: {error}")
            return None
        runs = next((records[name] for name in asked), ())
        return self._child(parent, answers, runs, key)

    def _admitted(self, child: Candidate | None, key: str) -> Texts:
        """Enter a child; return its new texts by name, none if it is not worth a rollout."""
        if child is None:
            return {}
        if child.rejected:
            self._session.report(child)
            return {}
        if self._candidates.is_validated(child):
            self._session.say(f"{key}: the same prompts as those of an earlier candidate; dropped")
            return {}
        self._candidates.add(child)
        return texts_of({name: child.resources[name] for name in child.changed})

    def _child(
        self,
        parent: Resources,
        answers: Sequence[_Answer],
        runs: Sequence[Mapping[str, Any]],
        key: str,
    ) -> Candidate:
        """Return the child with the record of what it came of."""
        refused = {answer.name: answer.refused for answer in answers if answer.refused}
        rewritten = {answer.name: answer.prompt for answer in answers if not answer.refused}
        critiques = (_critique(answers, runs, key),) if answers else ()
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        return Candidate(
            resources={**parent, **rewritten},
            parent=fingerprint(parent),
            edit=joined(critiques),
            round=self._candidates.iteration,
            rejected="" if rewritten else reasons or "no rollout to reflect on",
            metadata={"branch": key},
            critiques=critiques,
            edits={
                answer.name: PromptEdit(tuple(c.key for c in critiques), answer.refused)
                for answer in answers
            },
        )

    async def _rewrite(
        self, parent: Resources, name: str, records: Sequence[Mapping[str, Any]], key: str
    ) -> _Answer:
        """Ask for the rewrite of one prompt, and check it."""
        from gepa.strategies.instruction_proposal import InstructionProposalSignature

        prompt, settings = parent[name], self._settings
        request = InstructionProposalSignature.prompt_renderer(
            {
                "current_instruction_doc": prompt.raw,
                "dataset_with_feedback": records,
                "prompt_template": settings["reflection_prompt_template"],
            }
        )
        which = f"The instructions are those of {name}, one of several prompts of the agent."
        constraint = self._session.constraints.get(name)
        notes = [which] * (len(parent) > 1) + rewrite_rules(prompt, constraint)
        answer = await self._session.ask(
            settings["reflection_lm"],
            "\n\n".join([str(request), *notes]),
            temperature=settings["temperature"],
            key=f"{key} {name}",
        )
        text = InstructionProposalSignature.output_extractor(answer.strip())["new_instruction"]
        beside = _beside(answer)
        try:
            checked = check_rewrite(prompt, text, settings["max_prompt_chars"], constraint)
        except InvalidRewriteError as error:
            return _Answer(name, prompt, beside, str(error))
        return _Answer(name, checked, beside)


def _critique(answers: Sequence[_Answer], runs: Sequence[Mapping[str, Any]], key: str) -> Critique:
    """Return what stands for a critique: GEPA has none written, it shows runs and takes a prompt.

    So it is what was said of the runs that the model was shown, and what it said itself beside the
    new text. Which prompt was rewritten was the turn's choice: no finding, where there are several.
    """
    parts = ["No critique was written: the new text comes straight from these runs of the parent."]
    parts += [f"Run {number}: {run['Feedback']}" for number, run in enumerate(runs, start=1)]
    parts += [
        f"Said beside the new text of {answer.name}: {answer.beside}"
        for answer in answers
        if answer.beside
    ]
    return Critique(key, "\n\n".join(parts))


def _beside(answer: str) -> str:
    """Return what an answer says around the block of the new text; empty if it has no block."""
    before, _, rest = answer.partition("```")
    _, fence, after = rest.rpartition("```")
    return "\n".join(filter(None, (before.strip(), after.strip()))) if fence else ""
