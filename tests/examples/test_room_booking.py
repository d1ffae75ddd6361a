"""The program of the README: a function that is handed its prompt, on the plain client."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel

pytest_plugins = ["agl_adapters.testing.fixtures"]

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT = EXAMPLES / "room_booking.py"


@pytest.fixture
def program(simulated_model: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> Any:
    simulated_model.configure(scenario="room_booking")
    monkeypatch.syspath_prepend(EXAMPLES)
    return import_module("room_booking")


@pytest.fixture
def llm(program: Any) -> Iterator[Any]:
    llm = program.Chat()
    yield llm
    llm.client.close()


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_chat_calls_the_tool_and_answers(llm: Any, simulated_model: SimulatedModel) -> None:
    task = import_module("rooms").load_tasks("val")[0]
    assert "Room:" in llm.chat(system="You are a booking assistant.", user=task["input"])
    first, last = simulated_model.log()
    assert (first.roles, first.tools) == (["system", "user"], ["list_rooms"])
    assert last.roles == ["system", "user", "assistant", "tool"]
    assert last.system == "You are a booking assistant."


def test_each_rollout_sends_the_prompt_that_it_was_handed(
    llm: Any, program: Any, simulated_model: SimulatedModel
) -> None:
    @agl.rollout
    def agent(task: Any, prompt_template: agl.PromptTemplate) -> float:
        response = llm.chat(system=prompt_template.format(**task), user=task["input"])
        return program.grade_booking(response, task["expected_room"])

    tasks = import_module("rooms").load_tasks("val")[:3]
    prompts = {"prompt_template": "Book for {id}. {Keep} {{this}}."}
    trainer = agl.Trainer(agl.Baseline(), initial_resources=prompts)
    with pytest.raises(agl.PlaceholderError, match=r"\{Keep\}"):
        trainer.dev(agent, tasks)
    template = agl.PromptTemplate(prompts["prompt_template"], variables=["id"])
    evaluation = agl.Trainer(agl.Baseline(), initial_resources={"prompt_template": template}).dev(
        agent, tasks
    )
    assert {seen.system for seen in simulated_model.log()} == {
        f"Book for {task['id']}. {{Keep}} {{this}}." for task in tasks
    }
    assert set(evaluation.scores) <= {0.0, 1.0}
    chats = [span.name for span in evaluation[0].spans]
    assert len(chats) == 3
    assert evaluation[0].usage.model_calls == 2


def test_it_runs_by_itself_says_simulated_and_reports(tmp_path: Path) -> None:
    result = run("--seed", "1", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("SIMULATED model: no key, no network\nrun ")
    assert re.search(
        r"^run \S+: (improved|inconclusive|no_gain), stopped: completed$", *text(result)
    )
    assert re.search(r"^validation: seed 0\.\d{3}, best \d\.\d{3}$", *text(result))
    assert re.search(r"^spent: \d+ rollouts, \d+ model calls, ", *text(result))
    assert list(tmp_path.iterdir()) == []


def text(result: subprocess.CompletedProcess[str]) -> tuple[str, int]:
    return result.stdout, re.MULTILINE


def test_without_a_key_the_real_service_is_wrong_usage(tmp_path: Path) -> None:
    result = run("--live", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == (
        "room_booking.py: error: --live uses the real service: set OPENAI_API_KEY"
    )
