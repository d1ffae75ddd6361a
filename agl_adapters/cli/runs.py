"""`agl runs`: what a store holds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from agl_adapters.cli.options import JsonOption
from agl_adapters.cli.output import print_json
from agl_adapters.cli.stores import STORE, RunName, StoreOption, chosen_run, opened
from agl_adapters.terminal import changes_view, standard_console
from agl_adapters.wording import is_evaluation
from agl_core.prompts.templates import PromptTemplate, Resources
from agl_core.storage.runs import known_run
from agl_core.storage.store import RunRecord
from agl_core.text import cut, printable

__all__ = ["runs"]

runs = typer.Typer(help="List, show, compare and delete runs.", no_args_is_help=True)

GivenRun = Annotated[str, typer.Argument(metavar="RUN", help="The run's name.")]


@runs.command("list")
def list_runs(store: StoreOption = STORE, as_json: JsonOption = False) -> None:
    """List the runs of a store, oldest first.

    Example: [bold]agl runs list --store runs.db[/bold]
    """
    kept = opened(store)
    records = kept.runs()
    if as_json:
        print_json([_summary(record) for record in records])
        return
    table = Table(box=SIMPLE_HEAD)
    for name in ("run", "agent", "algorithm"):
        table.add_column(name, overflow="fold")
    for name in ("seed", "best", "rollouts"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for record in records:
        facts = _summary(record)
        table.add_row(
            *(Text(printable(facts[name])) for name in ("run", "agent", "algorithm")),
            _number(facts["seed_score"]),
            _number(facts["best_score"]),
            str(facts["rollouts"] or ""),
            "evaluated"
            if facts["verdict"] and is_evaluation(record.settings)
            else facts["verdict"] or "unfinished",
        )
    standard_console().print(table if records else f"{store} holds no run")


@runs.command()
def show(run: RunName = None, store: StoreOption = STORE, as_json: JsonOption = False) -> None:
    """Show a run: what it compared, what it found, what it changed.

    Example: [bold]agl runs show 20260105-101500-ab12[/bold]
    """
    kept = opened(store)
    record = known_run(kept, chosen_run(kept, run))
    candidates = kept.candidates(record.name)
    statuses = Counter(rollout["status"] for _, rollout in kept.rollouts(record.name))
    if as_json:
        result = record.result and {n: v for n, v in record.result.items() if n != "kept"}
        facts = {"settings": dict(record.settings), "result": result}
        print_json(
            {**_summary(record), **facts, "candidates": candidates, "statuses": dict(statuses)}
        )
        return
    console = standard_console()
    console.print(_facts_table([record]))
    shown = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in statuses.items())
    console.print(Text(f"Rollouts in the store: {shown or 'none'}", style="dim"))
    console.print(_candidates_table(candidates))
    if record.result is not None:
        console.print(changes_view(_prompts(record, "seed"), _prompts(record, "best")))


@runs.command()
def compare(
    run: GivenRun,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The run to compare it with.")],
    store: StoreOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs: settings, scores, verdicts, what was spent, and their best prompts.

    Example: [bold]agl runs compare first second[/bold]
    """
    kept = opened(store)
    records = [known_run(kept, name) for name in (run, other)]
    if as_json:
        print_json([_summary(record) for record in records])
        return
    console = standard_console()
    console.print(_facts_table(records))
    if records[0].settings.get("val") != records[1].settings.get("val"):
        console.print(
            Text("Their validation tasks differ: their scores are not comparable.", style="yellow")
        )
    if all(record.result is not None for record in records):
        console.print(Text("From the first's best prompts to the second's:"))
        console.print(changes_view(*(_prompts(record, "best") for record in records)))


@runs.command()
def delete(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="The runs' names.")],
    store: StoreOption = STORE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete runs with all their rollouts.

    Example: [bold]agl runs delete first second --yes[/bold]
    """
    kept = opened(store)
    for name in names:
        known_run(kept, name)
    if not yes:
        typer.confirm(f"Delete {', '.join(map(printable, names))} from {store}?", abort=True)
    for name in names:
        kept.delete_run(name)
        typer.echo(f"deleted {printable(name)}")


def _summary(record: RunRecord) -> dict[str, Any]:
    result: Mapping[str, Any] = record.result or {}
    test: Mapping[str, Any] = result.get("test") or {}
    comparison: Mapping[str, Any] = result.get("comparison") or {}
    usage: Mapping[str, Any] = result.get("usage") or {}
    return {
        "run": record.name,
        "started": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created)),
        "agent": record.settings.get("agent", ""),
        "algorithm": record.settings.get("algorithm", {}).get("name", ""),
        "seed_score": result.get("seed_score"),
        "best_score": result.get("best_score"),
        "test_seed": test.get("seed_score"),
        "test_best": test.get("best_score"),
        "gain": comparison.get("gain"),
        "interval": comparison.get("interval"),
        "verdict": result.get("verdict"),
        "stop_reason": result.get("stop_reason"),
        "rollouts": usage.get("rollouts"),
        "model_calls": usage.get("model_calls"),
        "tokens": sum(usage.get(kind, 0) for kind in ("input_tokens", "output_tokens")),
        "dollars": usage.get("dollars"),
        "seconds": usage.get("seconds"),
    }


def _facts_table(records: list[RunRecord]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_header=False)
    table.add_column(style="dim")
    for _ in records:
        table.add_column(overflow="fold")
    summaries = [_summary(record) for record in records]
    for name in summaries[0]:
        values = [_shown(summary[name]) for summary in summaries]
        if any(values):
            table.add_row(name.replace("_", " "), *(Text(printable(value)) for value in values))
    return table


def _candidates_table(candidates: list[Mapping[str, Any]]) -> Any:
    if not candidates:
        return Text("no candidates")
    table = Table(box=SIMPLE_HEAD, expand=True)
    for name in ("candidate", "from", "round", "validation"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", ratio=1)
    for candidate in candidates:
        why = f"rejected: {candidate['rejected']}" if candidate["rejected"] else candidate["edit"]
        table.add_row(
            candidate["id"][:6],
            (candidate["parent"] or "")[:6],
            str(candidate["round"]),
            _number(candidate.get("validation")),
            Text(printable(cut(" ".join(why.split()), 200))),
        )
    return table


def _prompts(record: RunRecord, which: str) -> Resources:
    result = record.result or {}
    return {name: PromptTemplate.from_json(data) for name, data in result[which].items()}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _shown(value: Any) -> str:
    if value is None or value == 0:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return " to ".join(f"{item:+.3f}" for item in value)
    return str(value)
