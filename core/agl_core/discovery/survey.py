"""Discovery: a program's own prompts, found by running it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agl_core.callbacks import Callback
from agl_core.datasets import Dataset
from agl_core.discovery.recovery import (
    Foreign,
    Recovered,
    SeenSlot,
    declared,
    recover,
    sample_values,
    seen_slots,
)
from agl_core.discovery.seed_checks import raise_if_all_fail
from agl_core.discovery.slot_costs import SlotCost, slot_costs
from agl_core.errors import ConfigurationError, RolloutError
from agl_core.execution.agents import Agent
from agl_core.execution.runners import RolloutRunner
from agl_core.privacy.redaction import WITHHELD_PROMPT
from agl_core.prompts.constraints import Constraint
from agl_core.prompts.slot_policy import SlotChoice, SlotPolicy
from agl_core.prompts.slots import SlotRecord, is_user_message
from agl_core.prompts.templates import Resources
from agl_core.rollouts import Rollout
from agl_core.simulation import is_simulated_environment
from agl_core.spending.budgets import BudgetExhaustedError, Usage
from agl_core.text import cut

__all__ = ["SAMPLES", "Seed", "Survey", "find_seed", "survey"]

SAMPLES = 3
"""How many tasks a program is run on to find its prompts."""
MORE_SAMPLES = 8
"""How many, if a prompt's text changes from task to task and its template is to be recovered."""

_SHOWN_SAMPLES = 3
_SHOWN = 300
_USER = "is sent as a user message: name it in optimize= to have it optimized"


@dataclass(frozen=True, slots=True)
class Survey:
    """What running a program a few times has shown of its prompts."""

    agent: str
    """The agent's name."""
    records: Mapping[str, SlotRecord]
    """The slots, by name, in the order of their first use."""
    rollouts: Sequence[Rollout]
    """The rollouts that it was found from."""
    warnings: Sequence[str]
    """What is not as it was declared."""
    simulated: bool
    """Whether the environment names the simulated model."""
    usage: Usage | None = None
    """What they have cost."""
    withheld: bool = False
    """Whether the records of the rollouts do not tell the same: not all may be written."""


@dataclass(frozen=True, slots=True)
class Seed:
    """Where a search starts from."""

    prompts: Resources
    """The prompts to optimize."""
    choices: Sequence[SlotChoice]
    """Every slot, and what becomes of it."""
    found: Mapping[str, SlotRecord] | None = None
    """The program's slots, where they have to be written down: the journal's rollouts do not tell
    them."""

    @property
    def constraints(self) -> Mapping[str, Constraint]:
        """What the rewrites of each prompt must keep to."""
        return {choice.record.name: choice.constraint for choice in self.choices}


async def find_seed(
    agent: Agent,
    runner: RolloutRunner,
    val: Dataset,
    given: Resources,
    policy: SlotPolicy,
    callback: Callback,
    known: Mapping[str, SlotRecord] | None = None,
) -> Seed:
    """Return the seed: of what was given, and what the program sends by itself, what is chosen.

    A program with prompts of its own is run on the first validation tasks. These are rollouts of
    the seed, journaled as such, and not repeated when the seed is validated. The runner is told
    what the seed is.

    Args:
        agent: The program.
        runner: Runs it.
        val: What it is run on.
        given: Prompts to start from.
        policy: Which prompts are optimized.
        callback: Who is told.
        known: The slots, if the run was begun before and they had to be written down.

    Raises:
        ConfigurationError: If there is no prompt at all, a given one names no slot, the policy does
            not fit the slots, or the budget is used up before the prompts are known.
        BudgetExhaustedError: If the run is interrupted.
        RolloutError: If the program fails each time, or sends no prompt.
    """
    if known is not None:
        records = known
    elif agent.discovers:
        found = await survey(agent, runner, val, policy, given=given, digs=policy.asks_for)
        records = found.records
        known = records if found.withheld else None
        for warning in found.warnings:
            callback.on_warning(warning)
    else:
        records = {
            name: SlotRecord(name, "argument", prompt, "given") for name, prompt in given.items()
        }
        if not records:
            raise ConfigurationError(
                "there is no prompt to optimize: pass Trainer(initial_resources="
                "{'prompt_template': '...'})"
            )
        if policy.templates:
            raise ConfigurationError(
                f"templates names {', '.join(policy.templates)}, but {agent.name} is handed its "
                "prompts: give their templates in initial_resources"
            )
    choices = policy.choose(records.values(), given)
    chosen = {choice.record.name for choice in choices if choice.state == "optimized"}
    for choice in choices:
        record = choice.record
        is_silent = record.role == "user" and record.reason == WITHHELD_PROMPT  # not asked for
        is_unknown = record.prompt is None and choice.reason == record.reason
        if choice.state == "off" and is_unknown and not is_silent:
            callback.on_warning(f"{record.name} {record.reason}")
    own = {
        name: record.prompt
        for name, record in records.items()
        if name in chosen and record.prompt is not None and agent.discovers
    }
    start = {**own, **given}
    prompts = {name: start[name] for name in records if name in chosen}
    fixed = {name: prompt for name, prompt in given.items() if name not in chosen}
    runner.know_seed(prompts, own, fixed)
    runner.discretion.redaction.check_prompts(prompts)
    return Seed(prompts, choices, known)


async def survey(
    agent: Agent,
    runner: RolloutRunner,
    tasks: Dataset,
    policy: SlotPolicy,
    *,
    given: Resources,
    digs: Callable[[str], bool],
) -> Survey:
    """Run a program on the first few tasks, and say what prompts it has.

    Args:
        agent: The program.
        runner: Runs it.
        tasks: What it is run on: the first `SAMPLES`, and the first `MORE_SAMPLES` if a text
            changes whose template the framework does not tell.
        policy: Has the templates that the user declares.
        given: Prompts that are put in from the start.
        digs: Which user messages are worth the further rollouts.

    Raises:
        ConfigurationError: If a prompt that is given or declared names no slot, a declared template
            matches nothing, or the budget is used up before the prompts are known.
        BudgetExhaustedError: If the run is interrupted.
        RolloutError: If the program fails each time, or sends no prompt.
    """
    discretion = runner.discretion
    rollouts = await _first_rollouts(agent, runner, tasks, given)
    foreign = _foreign(rollouts)
    if any(_is_open(slot, policy, digs, foreign) for slot in seen_slots(rollouts).values()):
        rollouts += await runner.run_all(given, tasks[SAMPLES:MORE_SAMPLES])
    seen = seen_slots(rollouts)
    _check_names("initial_resources", given, seen)
    _check_names("templates", policy.templates, seen)
    foreign = _foreign(rollouts)
    tasks_seen = len({rollout.task_key for rollout in rollouts})
    costs = slot_costs(seen, rollouts)
    records: dict[str, SlotRecord] = {}
    warnings: list[str] = []
    for name, slot in seen.items():
        if name in policy.templates:
            recovered, others = declared(slot, policy.templates[name])
            if others:
                warnings.append(
                    f"the template declared for {name} matches "
                    f"{len(slot.distinct) - len(others)} of {len(slot.distinct)} texts; "
                    f"not, for instance: {cut(discretion.text(others[0]), _SHOWN)!r}"
                )
        else:
            recovered = recover(slot, foreign, tasks_seen, policy.max_unmatched)
        if recovered is not None:
            record = _record(slot, recovered, costs[name], len(rollouts))
            records[name] = discretion.record(record)
    if not records:
        raise_if_all_fail(rollouts)
        raise RolloutError(
            f"no system prompt was seen in {len(rollouts)} rollouts of {agent.name}: either it "
            "sends none, or it calls models in a way that no integration hooks into. A function "
            "that takes its prompt as an argument can be optimized with @agl.rollout"
        )
    kept = [discretion.rollout(r, task) for r, task in zip(rollouts, tasks, strict=False)]
    return Survey(
        agent.name,
        records,
        kept,
        warnings,
        is_simulated_environment(),
        withheld=any(r.sightings is not None and r.sightings.withheld for r in kept),
    )


async def _first_rollouts(
    agent: Agent, runner: RolloutRunner, tasks: Dataset, given: Resources
) -> list[Rollout]:
    try:
        rollouts = await runner.run_all(given, tasks[:SAMPLES])
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


def _is_open(
    slot: SeenSlot,
    policy: SlotPolicy,
    digs: Callable[[str], bool],
    foreign: Sequence[Foreign],
) -> bool:
    """Tell whether more texts of a slot would tell more of its template."""
    if slot.name in policy.templates or len(slot.distinct) == 1:
        return False
    if is_user_message(slot.name) and (
        not digs(slot.name) or any(foreign[seen.rollout].has(seen.text) for seen in slot.texts)
    ):
        return False
    return any(seen.rendered is None for seen in slot.texts)


def _foreign(rollouts: Sequence[Rollout]) -> list[Foreign]:
    return [Foreign(rollout, _sent(rollout)) for rollout in rollouts]


def _sent(rollout: Rollout) -> list[str]:
    """Return what was sent in slots that are not named for user messages."""
    seen = {} if rollout.sightings is None else rollout.sightings.slots
    return [text for name, slot in seen.items() if not is_user_message(name) for text in slot.texts]


def _record(slot: SeenSlot, recovered: Recovered, cost: SlotCost, rollouts: int) -> SlotRecord:
    prompt = recovered.prompt
    reason = recovered.reason or (_USER if slot.role == "user" else "")
    return SlotRecord(
        name=slot.name,
        role=slot.role,
        prompt=prompt,
        source=recovered.source,
        samples=tuple(slot.distinct[:_SHOWN_SAMPLES]),
        variables={} if prompt is None else sample_values(prompt, slot.texts),
        rollouts=slot.rollouts,
        calls=slot.calls / rollouts,
        tokens=cost.tokens,
        tokens_counted=cost.counted,
        place=slot.place,
        default=not reason,
        reason=reason,
    )


def _check_names(role: str, prompts: Resources, seen: Mapping[str, SeenSlot]) -> None:
    unknown = prompts.keys() - seen.keys()
    if unknown and seen:
        used = [name for name in seen if not is_user_message(name)] or list(seen)
        raise ConfigurationError(
            f"{role} names {', '.join(sorted(unknown))}, which the program never used; "
            f"it used: {', '.join(used)}"
        )
