"""The example that swaps frameworks, as it is run by somebody who reads it."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "swap_frameworks.py"
SLOTS = {
    "langgraph": ["langgraph:planner#system", "langgraph:decider#system"],
    "openai-agents": ["openai_agents:planner#instructions", "openai_agents:decider#instructions"],
    "autogen": ["autogen:planner#system", "autogen:decider#system"],
    "openai": [
        "openai:openai_room_booking.plan#system",
        "openai:openai_room_booking.decide#system",
    ],
}


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_one_trainer_takes_the_program_of_each_framework(tmp_path: Path) -> None:
    result = run("--tasks", "6", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    # Six tasks are few, and each run says so; nothing else is said there.
    said = [line for line in result.stderr.splitlines() if "tasks will show a gain of" not in line]
    assert said == []
    head, *parts = result.stdout.split("\n\n")
    assert head == "SIMULATED model: no key, no network"
    for (name, slots), part in zip(SLOTS.items(), parts, strict=False):
        title, *found = part.split("\n")
        assert title == f"{name}: prompts found in the program"
        assert found == [f"  {slot}" for slot in slots]
    header, *lines = parts[-1].rstrip("\n").split("\n")
    assert header.split() == ["SIMULATED", *SLOTS]
    assert max(map(len, [header, *lines])) <= 80
    figures = {line[:23].strip(): line[23:].split() for line in lines}
    assert figures["prompts found"] == ["2"] * 4
    assert figures["model calls per rollout"] == ["2"] * 4
    # Rollout, planner, its call, tools, the tool, decider, its call: what a framework has of these.
    assert figures["spans per rollout"] == ["8", "6", "6", "3"]
    seed, best = figures["validation, seed"], figures["validation, best"]
    assert min(map(float, seed)) > 0  # the answers are taken from where they are
    assert all(before <= after for before, after in zip(seed, best, strict=True))
    assert len(figures["rollouts"]) == 4
    assert list(tmp_path.iterdir()) == []


def test_without_a_key_the_real_service_is_wrong_usage(tmp_path: Path) -> None:
    result = run("--live", "--framework", "openai", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == (
        "swap_frameworks.py: error: --live uses the real service: set OPENAI_API_KEY"
    )


def test_a_framework_that_is_not_installed_is_a_pip_command(tmp_path: Path) -> None:
    package = tmp_path / "autogen_agentchat"
    package.mkdir()
    (package / "__init__.py").write_text(
        "raise ModuleNotFoundError('no such module', name='autogen_agentchat')"
    )
    result = run("--framework", "autogen", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert result.returncode == 1
    assert result.stderr == (
        "the program needs autogen_agentchat: pip install 'agl-adapters[all]' langchain-openai\n"
    )
