"""Better prompts of the three agents: by `better_prompts.py`, and by the command line."""

import json
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agl_adapters.cli.commands import app
from agl_adapters.testing import SimulatedModel

pytest_plugins = ["agl_adapters.testing.fixtures"]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "examples.md").read_text()
COMMANDS = {
    Path(found[1]).parent.name: shlex.split(found[0])
    for found in re.finditer(
        r"^agl optimize .*? --train (\S+) .*?$", PAGE.replace("\\\n", ""), re.MULTILINE
    )
}
TASKS = 3


def test_the_page_has_a_command_for_each_agent() -> None:
    names = ["handbook", "functions", "support"]
    assert list(COMMANDS) == names
    # Each talks to the simulated model of its own scenario, started just before.
    started = re.findall(r"simulate --scenario (\w+)|data/(\w+)/train", PAGE)
    assert started == [pair for name in names for pair in ((name, ""), ("", name))]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_of_the_page_runs_the_agent_and_the_optimizer(
    name: str, simulated_model: SimulatedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    simulated_model.configure(scenario=name)
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    folder = Path("data", name)
    folder.mkdir(parents=True)
    for split in ("train", "val", "test"):
        lines = (EXAMPLES / folder / f"{split}.jsonl").read_text().splitlines(keepends=True)
        (folder / f"{split}.jsonl").write_text("".join(lines[:TASKS]))
    arguments = [*COMMANDS[name][1:], "--json", "--set", "beam_rounds=1", "--budget-rollouts", "24"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    saved = (tmp_path / "prompts.json").read_text()
    module = COMMANDS[name][2].partition(":")[0]
    result = json.loads(done.stdout)
    assert 0.0 < result["seed_score"] <= result["best_score"]
    assert import_module(module).__file__ == str(EXAMPLES / f"{module}.py")
    assert simulated_model.usage().model_calls > 12
    assert "prompts" in saved


def test_the_program_says_what_is_simulated_and_what_came_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    arguments = ["better_prompts.py", "functions", "--tasks", "6", "--rollouts", "45"]
    monkeypatch.setattr(sys, "argv", arguments)
    import_module("better_prompts").main()
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "SIMULATED model: no key, no network"
    assert "validation: seed 0." in said[2]
    assert any(line.startswith("+") for line in said[4:])


def test_without_a_key_the_real_service_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(sys, "argv", ["better_prompts.py", "support", "--live"])
    with pytest.raises(SystemExit) as stopped:
        import_module("better_prompts").main()
    assert stopped.value.code == 2
    assert "set OPENAI_API_KEY" in capsys.readouterr().err
