"""`agl optimize`: better prompts for a program, from tasks."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import typer
from rich.text import Text

import agl_adapters as agl
from agl_adapters.cli.assembly import (
    make_agent,
    make_algorithm,
    make_budget,
    make_prices,
    make_templates,
    seed_prompts,
)
from agl_adapters.cli.failures import INTERRUPTED
from agl_adapters.cli.options import (
    AgentOptions,
    BudgetOptions,
    JsonOption,
    KeepingOptions,
    PrivacyOptions,
    RunOptions,
    SearchOptions,
    SlotOptions,
    TaskOptions,
)
from agl_adapters.cli.output import print_json, progress_console, show_result
from agl_adapters.cli.stopping import stoppable
from agl_adapters.progress import Progress
from agl_adapters.terminal import standard_console
from agl_core.errors import ConfigurationError
from agl_core.text import printable

__all__ = ["optimize"]


def optimize(  # noqa: PLR0913 - each a group
    program: AgentOptions,
    tasks: TaskOptions,
    search: SearchOptions,
    slots: SlotOptions,
    keeping: KeepingOptions,
    running: RunOptions,
    budget: BudgetOptions,
    privacy: PrivacyOptions,
    as_json: JsonOption = False,
) -> None:
    """Make the program's prompts better from tasks, and say whether they got better.

    Example: [bold]agl optimize my_app:graph --train train.jsonl --val val.jsonl
    --input my_app:to_input --reward my_app:score --budget-rollouts 200[/bold]
    """
    if keeping.run is not None and keeping.resume is not None:
        raise ConfigurationError("--run names a new run, --resume one to go on with: give one")
    if keeping.changed and keeping.resume is None:
        raise ConfigurationError("--changed goes with --resume: name the run to go on with")
    if not _can_be_written(keeping.out):
        raise ConfigurationError(f"the best prompts cannot be written to {keeping.out}")
    agent = make_agent(program)
    algorithm = make_algorithm(search.algorithm, search.settings, {"model": search.model})
    store = agl.SQLiteStore(keeping.store)
    trainer = agl.Trainer(
        algorithm,
        n_runners=running.runners,
        timeout=running.timeout,
        seed=running.seed,
        repeats=running.repeats,
        initial_resources=seed_prompts(program),
        budget=make_budget(budget),
        prices=make_prices(budget),
        store=store,
        run=keeping.resume or keeping.run,
        accept=search.accept.value,
        optimize=slots.optimize or None,
        freeze=slots.freeze,
        redact=privacy.redact,
        capture_content=privacy.content,
        templates=make_templates(slots.template),
        callbacks=[Progress(progress_console(as_json))],
    )
    with closing(store), stoppable():
        result = trainer.fit(
            agent,
            tasks.train,
            tasks.val,
            test_dataset=tasks.test,
            resume=keeping.resume is not None and ("changed" if keeping.changed else True),
        )
    try:
        result.save(keeping.out)
    except ConfigurationError as error:
        error.result = result  # which is then printed: it is all that there is of the prompts
        raise
    if as_json:
        print_json({**result.to_json(), "prompts": str(keeping.out)})
    else:
        show_result(result, standard_console())
        _show_files(keeping.out, result)
    if result.stop_reason == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _can_be_written(out: Path) -> bool:
    return not out.is_dir() and os.access(out.absolute().parent, os.W_OK)


def _show_files(out: Path, result: agl.TrainResult) -> None:
    console = standard_console()
    console.print()
    whose = "the best prompts" if result.improved else "the seed's prompts, for want of better ones"
    for line in (
        f"{out}: {whose}",
        f"{result.store}: the journal (agl report {result.run} --store {result.store})",
    ):
        console.print(Text(printable(line)), soft_wrap=True)
