"""`agl demo`: an existing program, optimized end to end."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

import agl_adapters as agl
from agl_adapters.agents import WrappedAgent
from agl_adapters.cli.failures import INTERRUPTED
from agl_adapters.cli.output import print_json, progress_console, show_result
from agl_adapters.cli.programs import PROGRAMS, Framework, Program
from agl_adapters.cli.stopping import stoppable
from agl_adapters.progress import Progress
from agl_adapters.testing.launch import simulated_model
from agl_core.errors import ConfigurationError
from agl_core.text import printable

__all__ = ["examples_folder", "run_demo"]


def run_demo(
    *,
    framework: Framework,
    out: Path,
    seed: int,
    latency: float,
    live: bool,
    model: str,
    as_json: bool,
) -> None:
    """Optimize an example program with the published settings and show it all.

    Args:
        framework: Which program: the one that is written with this.
        out: Folder for ``prompts.json`` and the journal.
        seed: Seed of the search and of the simulated model.
        latency: Seconds that a call to the simulated model takes.
        live: Use the real service instead of the simulated model.
        model: The optimizer's model, and with `live` the agent's.
        as_json: Print the result as JSON and nothing else.

    Raises:
        ConfigurationError: If there is no API key for `live`, or no examples.
        StoreError: If the folder cannot be written.
        MissingDependencyError: If an extra is not installed.
        typer.Exit: With the code for it, if the run was interrupted.
    """
    if live and not os.environ.get("OPENAI_API_KEY"):
        raise ConfigurationError("--live uses the real service: set OPENAI_API_KEY")
    store = agl.SQLiteStore(out / "runs.db")  # fails early, if the folder cannot be written
    console = progress_console(as_json)
    service = nullcontext() if live else simulated_model("room_booking", seed=seed, latency=latency)
    what = "the real service" if live else "a SIMULATED model: no key, no network"
    console.print(Rule(f"agl demo on {what}"))
    program = PROGRAMS[framework]
    console.print(f"Program: {program.module}.py ({program.title}), unchanged")
    os.environ.update({"OPENAI_MODEL": model} if live else program.offline)
    with ExitStack() as stack:
        stack.callback(store.close)
        with console.status("getting ready"):
            stack.enter_context(service)
            stack.enter_context(_examples_on_path())
            module, rooms = program.load(), import_module("rooms")
            agent = _agent(program, module, rooms)
        note = "" if live else "simulated"
        tasks = {split: rooms.load_tasks(split) for split in ("train", "val", "test")}
        result = _optimize(agent, tasks, Progress(console, note), store, seed, model)
        if not as_json:
            show_result(result, console, note)
        path = result.save(out / "prompts.json")
        if as_json:
            facts = {"framework": framework, "simulated": not live, "prompts": str(path)}
            summary = {**result.to_json(), **facts}
            print_json(summary)
        else:
            _show_files(path, result, console)
        if result.stop_reason == "interrupted":
            raise typer.Exit(INTERRUPTED)
        if not as_json:
            _run_untouched(program, module, tasks["test"][0], path, console)


def _agent(program: Program, module: ModuleType, rooms: Any) -> WrappedAgent:
    def grade(task: Any, output: Any) -> float:
        return rooms.grade_booking(program.answer(output), task["expected_room"])

    return agl.wrap(
        program.target(module),
        input=lambda task: program.input(task["input"]),
        reward=grade,
        name="room_booking",
    )


def _optimize(
    agent: WrappedAgent,
    tasks: Mapping[str, list[Any]],
    progress: Progress,
    store: agl.Store,
    seed: int,
    model: str,
) -> agl.TrainResult:
    # The name goes wherever the scores go: into the journal and into prompts.json.
    kind = f"demo-{progress.note}" if progress.note else "demo"
    trainer = agl.Trainer(
        agl.APO(
            model,
            val_batch_size=10,
            gradient_batch_size=4,
            beam_width=2,
            branch_factor=2,
            beam_rounds=2,
        ),
        n_runners=8,
        store=store,
        run=f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}",
        seed=seed,
        callbacks=[progress],
    )
    with stoppable():
        return trainer.fit(agent, tasks["train"], tasks["val"], test_dataset=tasks["test"])


def _show_files(path: Path, result: agl.TrainResult, console: Console) -> None:
    console.print()
    for what, where in (("Prompts:", path), ("Journal:", f"{result.store} (run {result.run})")):
        console.print(Text(f"{what} {printable(str(where))}"), soft_wrap=True)


def _run_untouched(
    program: Program, module: ModuleType, task: Any, path: Path, console: Console
) -> None:
    console.print(Rule("The untouched program, with these prompts"))
    with agl.use_prompts(path):
        answer = program.run(module, task["input"])
    console.print(Text(f"> {printable(task['input'])}", style="dim"))
    console.print(Text(printable(answer)))
    console.print(Text(f"(the right room is {task['expected_room']})", style="dim"))


def examples_folder() -> Path:
    """Return where the example programs are: in the installed package, or beside it in a checkout.

    Raises:
        ConfigurationError: If they are in neither.
    """
    package = Path(agl.__file__).parent
    for folder in (package / "_examples", package.parent / "examples"):
        if (folder / "rooms.py").is_file():
            return folder
    raise ConfigurationError("the example programs are not installed: reinstall agl-adapters")


@contextmanager
def _examples_on_path() -> Generator[None]:
    folder = str(examples_folder())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
