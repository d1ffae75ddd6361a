"""`agl eval`: a program as it is, or with prompts of a file, scored on tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

import agl_adapters as agl
from agl_adapters.cli.assembly import make_agent, make_budget, make_prices, seed_prompts
from agl_adapters.cli.failures import INTERRUPTED
from agl_adapters.cli.options import (
    AgentOptions,
    BudgetOptions,
    JsonOption,
    PrivacyOptions,
    RunOptions,
)
from agl_adapters.cli.output import print_json, progress_console
from agl_adapters.cli.stopping import stoppable
from agl_adapters.progress import Progress
from agl_adapters.terminal import spent_text, standard_console
from agl_core.datasets import load_dataset
from agl_core.plans import Plan
from agl_core.text import printable

__all__ = ["evaluate"]

SHOWN = 5
"""How many of the worst tasks are shown."""


class _Progress(Progress):
    """Progress of a run that optimizes nothing."""

    def on_start(self, plan: Plan) -> None:
        """Say what is about to run."""
        agent = printable(plan.agent)
        self.console.print(Text(f"{agent} on {plan.val} tasks with {plan.n_runners} runners"))


def evaluate(
    program: AgentOptions,
    running: RunOptions,
    budget: BudgetOptions,
    privacy: PrivacyOptions,
    tasks: Annotated[Path, typer.Option(help="The tasks, one JSON value a line.")],
    store: Annotated[
        Path | None, typer.Option(help="Keep the rollouts in this file; nowhere by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the program on tasks and score it; nothing is optimized.

    Example: [bold]agl eval my_app:graph --tasks test.jsonl --reward my_app:score[/bold]
    """
    agent = make_agent(program)
    dataset = load_dataset(tasks, "val")
    kept = agl.MemoryStore() if store is None else agl.SQLiteStore(store)
    trainer = agl.Trainer(
        agl.Baseline(),
        n_runners=running.runners,
        timeout=running.timeout,
        seed=running.seed,
        repeats=running.repeats,
        initial_resources=seed_prompts(program),
        budget=make_budget(budget),
        prices=make_prices(budget),
        store=kept,
        redact=privacy.redact,
        capture_content=privacy.content,
        callbacks=[_Progress(progress_console(as_json))],
    )
    with stoppable():
        result = trainer.fit(agent, dataset, dataset)
    by_key = {task.key: task for task in dataset}
    rollouts = [
        agl.Rollout.from_json(record, by_key[key.task].data)
        for key, record in kept.rollouts(result.run)
        if key.task in by_key
    ]
    rollouts.sort(key=lambda rollout: by_key[rollout.task_key].index)
    if as_json:
        print_json(_summary(result, rollouts))
    else:
        _show(standard_console(), result, rollouts)
    kept.close()
    if result.stop_reason == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _summary(result: agl.TrainResult, rollouts: Sequence[agl.Rollout]) -> dict[str, Any]:
    return {
        "run": result.run,
        "score": result.seed_score,
        "interval": _interval(rollouts),
        "stop_reason": result.stop_reason,
        "usage": result.to_json()["usage"],
        "tasks": [
            {
                "task": rollout.task_name,
                "status": rollout.status,
                "score": rollout.score,
                "feedback": rollout.feedback,
                "metrics": {} if rollout.reward is None else dict(rollout.reward.metrics),
                "error": rollout.error,
            }
            for rollout in rollouts
        ],
    }


def _interval(rollouts: Sequence[agl.Rollout]) -> tuple[float, float] | None:
    """Return the 95% interval of the mean score, by the normal approximation."""
    scores = [rollout.score for rollout in rollouts if rollout.score is not None]
    if len(scores) < 2:
        return None
    margin = 1.96 * stdev(scores) / math.sqrt(len(scores))
    return fmean(scores) - margin, fmean(scores) + margin


def _show(console: Console, result: agl.TrainResult, rollouts: Sequence[agl.Rollout]) -> None:
    scores = [rollout.score for rollout in rollouts if rollout.score is not None]
    line = Text("Score: ", style="bold")
    line.append(f"{fmean(scores):.3f}" if scores else "none", style="bold")
    interval = _interval(rollouts)
    if interval is not None:
        line.append(f", 95% interval {interval[0]:.3f} to {interval[1]:.3f}", style="not bold")
    line.append(f", on {len(scores)} tasks", style="not bold")
    parts: list[Any] = [line]
    for status, what in (
        ("failed", "the agent failed"),
        ("timed_out", "no result in time"),
        ("unavailable", "the model service failed: no score"),
    ):
        count = sum(rollout.status == status for rollout in rollouts)
        if count:
            parts.append(Text(f"{what} on {count} tasks", style="yellow"))
    worst = sorted((r for r in rollouts if r.score is not None), key=lambda r: r.score or 0.0)
    if worst:
        parts.append(_worst_table(worst[:SHOWN]))
    parts.append(spent_text(result.usage))
    console.print(Group(*parts))


def _worst_table(rollouts: Sequence[agl.Rollout]) -> Table:
    table = Table(title="Lowest scores", title_justify="left", title_style="", box=SIMPLE_HEAD)
    table.add_column("task", overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("why", overflow="fold")
    for rollout in rollouts:
        why = rollout.feedback or (rollout.error or "").strip().rpartition("\n")[2]
        score = "" if rollout.score is None else f"{rollout.score:.3f}"
        table.add_row(Text(printable(rollout.task_name)), score, Text(printable(why)))
    return table
