"""Discovery: what prompts a program has, shown before anything is optimized."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agl_adapters.agents import wrap
from agl_core.algorithms import Baseline
from agl_core.callbacks import Callback
from agl_core.datasets import DatasetSource
from agl_core.discovery.survey import Survey
from agl_core.execution.agents import Agent
from agl_core.files import write_atomically
from agl_core.privacy.redaction import RedactSource
from agl_core.prompts.slots import SlotRecord
from agl_core.prompts.templates import PromptTemplate
from agl_core.trainer import Trainer

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Discovery", "adiscover", "discover", "unscored_agent"]

SCHEMA = "agl-adapters/discovery"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Discovery:
    """The prompts of a program. As text it is a table with the prompts below it."""

    survey: Survey
    """What was found, and the rollouts that it was found from."""

    @property
    def agent(self) -> str:
        """The program's name."""
        return self.survey.agent

    @property
    def slots(self) -> Mapping[str, SlotRecord]:
        """What is known of each slot, by its name, in the order of their first use."""
        return self.survey.records

    @property
    def warnings(self) -> Sequence[str]:
        """What is not as it was declared."""
        return self.survey.warnings

    def table(self) -> Table:
        """Return the slots as a table of rich's, safe to print."""
        from agl_adapters.slot_views import slots_table

        return slots_table(self.slots.values())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a JSON file that is its user's own, replacing it in one step.

        Raises:
            ConfigurationError: If the file cannot be written.
        """
        return write_atomically(
            path, json.dumps(self.to_json(), indent=2, ensure_ascii=False), private=True
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        usage = self.survey.usage
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "agent": self.agent,
            "simulated": self.survey.simulated,
            "rollouts": len(self.survey.rollouts),
            "failed": sum(rollout.failed for rollout in self.survey.rollouts),
            "usage": None if usage is None else asdict(usage),
            "slots": {name: record.to_json() for name, record in self.slots.items()},
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        from agl_adapters.slot_views import discovery_text

        return discovery_text(self.survey)


def discover(  # noqa: PLR0913 - all but two optional, all by keyword
    agent: Any,
    tasks: DatasetSource,
    *,
    input: Callable[[Any], Any] | None = None,
    templates: Mapping[str, str | PromptTemplate] | None = None,
    n_runners: int = 8,
    timeout: float | None = 600.0,
    callbacks: Sequence[Callback] = (),
    redact: RedactSource = (),
) -> Discovery:
    """Run a program on a few tasks, and tell what prompts it has.

    It is run on the first three tasks, and on the first eight if a text changes from task to task
    whose template is not known otherwise. Nothing is changed, optimized or kept.

    What the program sends as a user's message is found too, if it is a prompt: if it is the same on
    several tasks, or has a template with text of its own. What the program was given, and what
    models and tools said, is none.

    Args:
        agent: What `wrap` made; or the program itself, in any form that `wrap` takes.
        tasks: A list of tasks, or the path of a JSONL file.
        input: Makes the program's input of a task, if the program itself is given.
        templates: The program's own template by slot, where you know it.
        n_runners: How many rollouts run at once.
        timeout: Seconds after which a rollout is given up; None for no limit.
        callbacks: Who watches.
        redact: What is taken out of all that is shown; see `Trainer`.

    Raises:
        UnknownAgentError: If the program is of no kind that `wrap` takes.
        ConfigurationError: If the input cannot work, or a declared template matches nothing that
            the program sends.
        RolloutError: If the program fails on every task, or no prompt of its is seen.
    """
    trainer = _trainer(n_runners, timeout, templates, callbacks, redact)
    return Discovery(trainer.survey(unscored_agent(agent, input), tasks))


async def adiscover(  # noqa: PLR0913 - as `discover`
    agent: Any,
    tasks: DatasetSource,
    *,
    input: Callable[[Any], Any] | None = None,
    templates: Mapping[str, str | PromptTemplate] | None = None,
    n_runners: int = 8,
    timeout: float | None = 600.0,  # noqa: ASYNC109 - of each rollout
    callbacks: Sequence[Callback] = (),
    redact: RedactSource = (),
) -> Discovery:
    """Do as `discover` does, on the running event loop."""
    trainer = _trainer(n_runners, timeout, templates, callbacks, redact)
    return Discovery(await trainer.asurvey(unscored_agent(agent, input), tasks))


def _trainer(
    n_runners: int,
    timeout: float | None,
    templates: Mapping[str, str | PromptTemplate] | None,
    callbacks: Sequence[Callback],
    redact: RedactSource,
) -> Trainer:
    return Trainer(
        Baseline(),
        n_runners=n_runners,
        timeout=timeout,
        templates=templates,
        callbacks=callbacks,
        redact=redact,
    )


def unscored_agent(agent: Any, input: Callable[[Any], Any] | None) -> Agent:
    """Return a program as an agent of which only the prompts are looked at."""
    if isinstance(agent, Agent):
        return agent
    return wrap(agent, input=input, reward=_unscored)


def _unscored(task: Any, output: Any) -> float:
    return 0.0
