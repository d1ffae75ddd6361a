"""The coding example: its unit tests in a process of their own, its one repair, its prompt."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel
from agl_adapters.testing.functions import CONVENTIONS

pytest_plugins = ["agl_adapters.testing.fixtures"]

EXAMPLES = Path(__file__).parents[2] / "examples"
TESTS = [
    {"about": "plain", "arguments": [2], "expected": 4},
    {"about": "none", "arguments": [None], "expected": 0},
]


@pytest.fixture
def program(simulated_model: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> Any:
    simulated_model.configure(scenario="functions")
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    monkeypatch.syspath_prepend(EXAMPLES)
    return import_module("openai_agents_functions")


def test_a_unit_test_says_what_went_wrong(program: Any) -> None:
    failures = program.functions.failures
    assert failures("def double(n):\n    print(n)\n    return 2 * (n or 0)", TESTS) == []
    assert failures("def double(n):\n    return 2.0 * n", TESTS) == [
        "plain: with 2 it gives 4.0, expected 4",
        "none: with None it raises TypeError(\"unsupported operand type(s) for *: 'float' and "
        "'NoneType'\"), expected 0",
    ]
    assert failures("nonsense = 1", TESTS)[0] == "plain: the code defines no function"
    assert "SyntaxError" in failures("def double(n", TESTS)[0]


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "return bytearray(2**30)",
        "import sys; sys.exit(0)",
        "return 'x' * 10**7",
    ],
)
def test_code_that_runs_away_fails_its_tests_and_nothing_else(
    program: Any, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(program.functions, "SECONDS", 1)
    told = program.functions.failures(f"def double(n):\n    {body}", TESTS)
    assert [text.partition(":")[0] for text in told] == ["plain", "none"]
    assert max(map(len, told)) <= 300


def test_the_code_sees_none_of_this_process_and_has_little_memory(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hidden")
    code = "import os\ndef look(what):\n    return eval(what)"
    tests = [
        {"about": "environment", "arguments": ["'SECRET' in os.environ"], "expected": False},
        {"about": "folder", "arguments": ["os.listdir()"], "expected": ["out"]},
        {"about": "memory", "arguments": ["len(bytearray(2**30))"], "expected": 2**30},
    ]
    (told,) = program.functions.failures(code, tests)
    assert told.startswith("memory: ")
    assert "MemoryError" in told


async def test_what_fails_is_told_once_and_repaired(
    program: Any, simulated_model: SimulatedModel
) -> None:
    task = {
        "specification": "Write `list_tags(tags)`: of a list of words, return a list of them.",
        "examples": [{"about": "nothing", "arguments": [[]], "expected": None}],
    }
    code, log = "", simulated_model.log()
    for seed in range(20):  # an unstated rule is sometimes obeyed all the same
        simulated_model.configure(seed=seed)
        simulated_model.reset()
        code = await program.write(task)
        log = simulated_model.log()
        if len(log) == 2:
            break
    assert [request.roles for request in log] == [
        ["system", "user"],
        ["system", "user", "assistant", "user"],
    ]
    assert log[1].users[-1] == ("These tests fail:\n- nothing: with [] it gives [], expected None")
    assert program.functions.failures(code, task["examples"]) == []


def test_its_prompt_is_found_and_a_better_one_scores_higher(program: Any) -> None:
    agent = agl.wrap(program.write, reward=program.functions.score)
    tasks = program.functions.load_tasks("val")[:8]
    seed = agl.Trainer().dev(agent, tasks, len(tasks))
    slots = {slot: use.original for slot, use in seed[0].slots.items()}
    assert slots == {"openai_agents:coder#instructions": program.CODER_PROMPT}
    rules = "\n".join(rule.sentence for rule in CONVENTIONS)
    better = {slot: f"{text}\n{rules}" for slot, text in slots.items()}
    improved = agl.Trainer(initial_resources=better).dev(agent, tasks, len(tasks))
    assert 0.2 < (seed.score or 0.0) < 0.7
    assert (improved.score or 0.0) > 0.9


def test_it_runs_by_itself_and_knows_nothing_of_this_project(program: Any, tmp_path: Path) -> None:
    script = EXAMPLES / "openai_agents_functions.py"
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "hidden tests passed: " in done.stdout
    for path in (script, EXAMPLES / "functions.py", EXAMPLES / "functions_child.py"):
        assert "agl" not in path.read_text()
