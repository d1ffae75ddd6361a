"""Whether the prompts of a file fit a program: what was seen when it was run tells."""

from __future__ import annotations

from collections.abc import Sequence

from agl_core.prompts.binding import SlotUse
from agl_core.prompts.matching import lift
from agl_core.prompts.prompt_files import PromptFile
from agl_core.prompts.templates import PromptTemplate
from agl_core.rollouts import Rollout

__all__ = ["misfits"]


def misfits(file: PromptFile, rollouts: Sequence[Rollout]) -> dict[str, str]:
    """Return what is wrong with the prompts of a file for a program, by slot; nothing if all fit.

    Args:
        file: The prompts.
        rollouts: Runs of the program with its own prompts.
    """
    used = sorted({slot for rollout in rollouts for slot in rollout.slots})
    found: dict[str, str] = {}
    for slot, prompt in sorted(file.prompts.items()):
        uses = [rollout.slots[slot] for rollout in rollouts if slot in rollout.slots]
        problem = (
            _misfit(prompt, file.replaces.get(slot), uses)
            if uses
            else f"the program never used it in {len(rollouts)} rollouts; it used "
            f"{', '.join(used) or 'no slot'}"
        )
        if problem is not None:
            found[slot] = problem
    return found


def _misfit(
    prompt: PromptTemplate, own: PromptTemplate | None, uses: Sequence[SlotUse]
) -> str | None:
    if own is not None:
        drifted = [use for use in uses if use.template != own and lift(own, use.original) is None]
        if drifted:
            return (
                f"the program's text is not the one that is replaced in {len(drifted)} of "
                f"{len(uses)} rollouts, but {drifted[0].original!r:.80}"
            )
    filled = own.variables if own is not None else _filled(uses)
    if unfilled := sorted(prompt.variables - filled):
        names = ", ".join(f"{{{name}}}" for name in unfilled)
        return f"it asks for {names}, which the program does not fill in there"
    return None


def _filled(uses: Sequence[SlotUse]) -> frozenset[str]:
    templates = [use.template.variables for use in uses if use.template is not None]
    return frozenset().union(*templates)
