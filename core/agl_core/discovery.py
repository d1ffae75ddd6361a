"""Discovery: a program's own prompts, found by running it."""

from __future__ import annotations

from collections.abc import Sequence

from agl_core.agents import Agent
from agl_core.budgets import BudgetExhaustedError
from agl_core.callbacks import Callback
from agl_core.datasets import Dataset
from agl_core.errors import ConfigurationError, RolloutError
from agl_core.inference import infer_template
from agl_core.prompts import PromptTemplate, Resources
from agl_core.rollouts import Rollout
from agl_core.runners import RolloutRunner
from agl_core.seed_checks import raise_if_all_fail

__all__ = ["SAMPLES", "discover_prompts"]

SAMPLES = 3
"""How many tasks a program is run on to find its prompts."""
MORE_SAMPLES = 8
"""How many, if a prompt's text changes from task to task and its template is to be recovered."""


async def discover_prompts(
    agent: Agent, runner: RolloutRunner, val: Dataset, given: Resources, callback: Callback
) -> Resources:
    """Return the seed's resources: what was given, and what the program sends by itself.

    A program with prompts of its own is run on the first validation tasks. These are rollouts of
    the seed, journaled as such, and not repeated when the seed is validated. A prompt whose text
    was the same each time is part of the seed as it is; of one that changes from task to task the
    template is recovered, or it is left alone.

    Raises:
        ConfigurationError: If there is no prompt at all, a given one names no slot, or the budget
            is used up before the prompts are known.
        BudgetExhaustedError: If the run is interrupted.
        RolloutError: If the program fails each time, or sends no prompt.
    """
    if not agent.discovers:
        if not given:
            raise ConfigurationError(
                "there is no prompt to optimize: pass Trainer(initial_resources="
                "{'prompt_template': '...'})"
            )
        runner.know_seed(given, {})
        return given
    rollouts = await _first_rollouts(agent, runner, val, given)
    found = slot_prompts(rollouts)
    if any(len(variants) > 1 for variants in found.values()):
        rollouts = await runner.run_all(given, val[:MORE_SAMPLES])
        found = slot_prompts(rollouts)
    if not found:
        raise_if_all_fail(rollouts)
        raise RolloutError(
            f"no system prompt was seen in {len(rollouts)} rollouts of {agent.name}: either it "
            "sends none, or it calls models in a way that no integration hooks into. A function "
            "that takes its prompt as an argument can be optimized with @agl.rollout"
        )
    unknown = given.keys() - found.keys()
    if unknown:
        raise ConfigurationError(
            f"initial_resources names {', '.join(sorted(unknown))}, "
            f"which the program never used; it used: {', '.join(found)}"
        )
    own: dict[str, PromptTemplate] = {}
    for slot, variants in found.items():
        template = variants[0] if len(variants) == 1 else _recovered(variants)
        if template is not None:
            own[slot] = template
        else:
            callback.on_warning(
                f"{slot} is left alone: its text changes from task to task ({len(variants)} texts "
                f"in {len(rollouts)} rollouts), and no template can be recovered from that"
            )
    seed = {**own, **given}
    if not seed:
        raise RolloutError(
            f"every prompt of {agent.name} changes from task to task: {', '.join(found)}"
        )
    runner.know_seed(seed, own)
    return seed


async def _first_rollouts(
    agent: Agent, runner: RolloutRunner, val: Dataset, given: Resources
) -> list[Rollout]:
    try:
        rollouts = await runner.run_all(given, val[:SAMPLES])
    except BudgetExhaustedError as stop:
        if stop.reason == "interrupted":
            raise
        raise ConfigurationError(
            f"{stop} before the prompts of {agent.name} were known: it is run on up to "
            f"{SAMPLES} tasks to find them; raise the budget"
        ) from stop
    if all(rollout.status == "unavailable" for rollout in rollouts):
        raise_if_all_fail(rollouts)  # a service that is down, or a wrong address
    return rollouts


def slot_prompts(rollouts: Sequence[Rollout]) -> dict[str, list[PromptTemplate]]:
    """Return the distinct prompts that the program had in each slot, in order of appearance.

    A prompt is the template, if the program is known to render one there, else the text itself.
    """
    prompts: dict[str, list[PromptTemplate]] = {}
    for rollout in rollouts:
        for slot, use in rollout.slots.items():
            variants = prompts.setdefault(slot, [])
            prompt = use.template or PromptTemplate(use.original, engine="literal")
            if prompt not in variants:
                variants.append(prompt)
    return prompts


def _recovered(variants: Sequence[PromptTemplate]) -> PromptTemplate | None:
    """Return the template of texts that differ; several known templates are several prompts."""
    if any(variant.variables for variant in variants):
        return None
    return infer_template([variant.raw for variant in variants])
