"""`agl demo`, as it is run by somebody who tries the package: real processes, nothing replaced."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.cli.demo import examples_folder
from agl_adapters.testing import simulated_model

AGL = Path(sys.executable).parent / "agl"
PLANNER, DECIDER = "langgraph:planner#system", "langgraph:decider#system"


def start(out: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")}
    return subprocess.Popen(
        [AGL, "demo", "--out", str(out), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, "COLUMNS": "80", **variables},
        start_new_session=True,
    )


@dataclass(frozen=True)
class Run:
    """A demo that has ended."""

    code: int
    output: str
    errors: str
    out: Path


def finish(process: subprocess.Popen[str], out: Path) -> Run:
    try:
        output, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    return Run(process.returncode, output, errors, out)


def rows(out: Path, query: str) -> list[Any]:
    database = sqlite3.connect(f"file:{out / 'runs.db'}?mode=ro", uri=True)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The demo with its output for people."""
    out = tmp_path_factory.mktemp("demo") / "new folder"
    return finish(start(out, "--latency", "0"), out)


@pytest.fixture(scope="module")
def again(shown: Run) -> tuple[Run, set[str]]:
    """The demo in the same folder, for programs, live, on what it takes for the real service.

    With the names of the models that it has asked for.
    """
    with simulated_model(set_environment=False) as service:
        arguments = ("--live", "--json", "--model", "gpt-x", "--seed", "1")
        run = finish(start(shown.out, *arguments, **service.environment()), shown.out)
        return run, {request.model for request in service.log()}


def test_it_goes_well(shown: Run) -> None:
    assert (shown.code, shown.errors) == (0, "")


def test_it_shows_the_way_from_the_programs_prompts_to_the_verdict(shown: Run) -> None:
    parts = [
        "agl demo on a SIMULATED model: no key, no network",
        "Program: langgraph_room_booking.py (LangGraph), unchanged",
        "APO on room_booking with 8 runners",
        "29 training, 29 validation and 29 test tasks; 2 prompts to optimize:",
        f"╭─ {PLANNER} ─",
        "│ You gather what is needed to book a meeting room.",
        f"╭─ {DECIDER} ─",
        "│ You are a booking assistant.",
        " s  round 1",
        "Result (simulated)",
        "Score per round (simulated)",
        "   seed ",
        "      1 ",
        "Verdict: ",
        "(simulated)",
        "Spent: ",
        f"Prompts: {shown.out}/prompts.json",
        f"Journal: {shown.out}/runs.db (run demo-simulated-",
        "The untouched program, with these prompts",
        "\nRoom: ",
        "(the right room is ",
    ]
    position = 0
    for part in parts:
        position = shown.output.find(part, position)
        assert position >= 0, part


def test_it_shows_what_the_file_holds(shown: Run) -> None:
    """Which way the search goes is up to chance: draws depend on which runner is first."""
    data = json.loads((shown.out / "prompts.json").read_text())
    assert f"\nVerdict: {data['verdict'].replace('_', ' ')} (simulated)\n" in shown.output
    shown_result = shown.output.partition("Result (simulated)")[2]
    for name, prompt in data["prompts"].items():
        changed = prompt["template"] != prompt["replaces"]["template"]
        assert (f"╭─ {name} ─" in shown_result) is changed
    compared = data["scores"]["best_test"] is not None
    assert ("test tasks that the search never saw" in shown_result) is compared


def test_no_line_but_a_path_or_an_event_is_longer_than_the_terminal(shown: Run) -> None:
    long = [line for line in shown.output.splitlines() if len(line) > 80]
    assert [line for line in long if not line.startswith((" ", "Prompts:", "Journal:"))] == []


def test_the_prompts_are_a_file_that_says_that_it_is_simulated(shown: Run) -> None:
    data = json.loads((shown.out / "prompts.json").read_text())
    assert sorted(agl.load_prompts(shown.out / "prompts.json")) == [DECIDER, PLANNER]
    assert data["run"].startswith("demo-simulated-")
    assert data["prompts"][DECIDER]["replaces"]["template"] == ["You are a booking assistant."]


def test_the_journal_holds_the_run(shown: Run) -> None:
    ((count,),) = rows(shown.out, "SELECT count(*) FROM rollouts WHERE run LIKE 'demo-sim%'")
    assert count > 100


def test_it_works_in_the_folder_of_an_earlier_run(again: tuple[Run, set[str]]) -> None:
    run, _ = again
    assert (run.code, run.errors) == (0, "")
    names = [name for (name,) in rows(run.out, "SELECT name FROM runs")]
    assert len(set(names)) == 2


def test_live_it_asks_the_service_that_is_set_for_the_model_that_is_named(
    again: tuple[Run, set[str]],
) -> None:
    run, models = again
    assert models == {"gpt-x"}
    result = json.loads(run.output)
    assert result["simulated"] is False
    assert result["run"].startswith("demo-2")


def test_for_programs_it_prints_json_and_nothing_else(again: tuple[Run, set[str]]) -> None:
    run, _ = again
    result = json.loads(run.output)
    assert result["verdict"] in ("improved", "inconclusive", "no_gain")
    assert result["stop_reason"] == "completed"
    assert result["prompts"] == str(run.out / "prompts.json")
    assert 0 < result["seed_score"] < 1
    assert result["usage"]["rollouts"] > 100
    assert sorted(result["best"]) == [DECIDER, PLANNER]


def rollouts(out: Path) -> int:
    try:
        return rows(out, "SELECT count(*) FROM rollouts")[0][0]
    except sqlite3.OperationalError:  # it, or its tables, are being made
        return 0


def test_ctrl_c_ends_it_with_what_is_done(tmp_path: Path) -> None:
    """With so slow a model that it is in the midst of it, however slow this machine is."""
    out = tmp_path / "out"
    process = start(out, "--latency", "0.3")
    while rollouts(out) <= 20:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    run = finish(process, out)
    assert run.code == 130
    assert run.errors == ""
    assert "interrupted: the run ends when what is in flight is done" in run.output
    assert "Score per round (simulated)" in run.output
    assert "The run was interrupted: this is the best so far." in run.output
    assert "The untouched program" not in run.output
    ((name, result),) = rows(out, "SELECT name, result FROM runs")
    assert json.loads(result)["stop_reason"] == "interrupted"
    ((count,),) = rows(out, f"SELECT count(*) FROM rollouts WHERE run = '{name}'")
    assert 20 < count < 200
    assert f"Spent: {count} rollouts" in run.output
    assert agl.load_prompts(out / "prompts.json")


@pytest.mark.parametrize("out", ["/proc/none", "/dev/null/out"])
def test_a_folder_that_cannot_be_written_is_one_line_before_anything_is_spent(out: str) -> None:
    run = finish(start(Path(out), "--json"), Path(out))
    assert (run.code, run.output) == (1, "")
    assert run.errors.startswith(f"agl: cannot open the store {out}/runs.db: ")
    assert len(run.errors.splitlines()) == 1


def test_it_takes_a_program_of_another_framework(tmp_path: Path) -> None:
    run = finish(start(tmp_path, "--latency", "0", "--framework", "openai-agents"), tmp_path)
    # Nothing on standard error: the Agents SDK says there why it uploads no traces.
    assert (run.code, run.errors) == (0, "")
    assert "\nProgram: openai_agents_room_booking.py (OpenAI Agents SDK), unchanged\n" in run.output
    slots = ["openai_agents:decider#instructions", "openai_agents:planner#instructions"]
    assert sorted(agl.load_prompts(tmp_path / "prompts.json")) == slots
    assert f"╭─ {slots[0]} ─" in run.output
    assert "\nRoom: " in run.output.partition("The untouched program, with these prompts")[2]


def test_a_framework_that_is_not_installed_is_a_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "autogen_agentchat"
    package.mkdir()
    (package / "__init__.py").write_text(
        "raise ModuleNotFoundError('no such module', name='autogen_agentchat')"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run = finish(start(tmp_path, "--json", "--framework", "autogen"), tmp_path)
    assert (run.code, run.output) == (1, "")
    assert run.errors == (
        "agl: the demo's program needs autogen_agentchat: "
        "pip install 'agl-adapters[autogen,simulate]'\n"
    )


def test_a_framework_that_there_is_no_program_in_is_wrong_usage(tmp_path: Path) -> None:
    run = finish(start(tmp_path, "--framework", "crewai"), tmp_path)
    assert (run.code, run.output) == (2, "")
    assert "'langgraph'" in run.errors


def test_the_examples_are_where_they_are_looked_for() -> None:
    assert (examples_folder() / "langgraph_room_booking.py").is_file()
