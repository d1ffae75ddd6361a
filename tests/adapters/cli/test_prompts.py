"""`agl prompts`, as a user meets it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import agl_adapters as agl
from agl_adapters.cli.commands import app
from agl_adapters.testing import SimulatedModel

pytest_plugins = ["agl_adapters.testing.fixtures"]

PLANNER, DECIDER = "langgraph:planner#system", "langgraph:decider#system"
OWN = {PLANNER: "You plan.\nBe brief.", DECIDER: "You decide."}
NEW = {PLANNER: "You plan.\nBe very brief.", DECIDER: "You decide."}


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["prompts", *map(str, arguments)], prog_name="agl")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return agl.save_prompts(NEW, tmp_path / "prompts.json", replaces=OWN)


# show


def test_prompts_are_shown_in_full_with_where_they_come_from(tmp_path: Path) -> None:
    long = "\n".join(f"line {number}" for number in range(100))
    file = agl.save_prompts({PLANNER: long, DECIDER: "x"}, tmp_path / "prompts.json")
    result = invoke("show", file)
    assert result.exit_code == 0
    assert "line 99" in result.stdout
    assert "versions: agl-adapters " in result.stdout
    chosen = invoke("show", file, "--slot", "*decider*")
    assert DECIDER in chosen.stdout
    assert PLANNER not in chosen.stdout


def test_prompts_are_shown_as_json(file: Path) -> None:
    data = json.loads(invoke("show", file, "--json").stdout)
    assert data["prompts"][PLANNER]["template"] == NEW[PLANNER]
    assert data["prompts"][PLANNER]["replaces"]["template"] == OWN[PLANNER]
    assert len(data["prompts"][PLANNER]["replaces"]["sha256"]) == 64


def test_a_pattern_that_matches_no_slot_is_told(file: Path) -> None:
    result = invoke("show", file, "--slot", "*writer*")
    assert result.exit_code == 1
    assert f"is called *writer*; it has: {DECIDER}, {PLANNER}" in result.stderr


# diff


def test_a_file_is_set_against_what_it_replaces(file: Path) -> None:
    result = invoke("diff", file)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"--- {PLANNER} (the program's own)",
        f"+++ {PLANNER} (prompts.json)",
        "@@ -1,2 +1,2 @@",
        " You plan.",
        "-Be brief.",
        "+Be very brief.",
    ]
    assert list(json.loads(invoke("diff", file, "--json").stdout)["changed"]) == [PLANNER]


def test_two_files_are_set_against_each_other(file: Path, tmp_path: Path) -> None:
    other = agl.save_prompts({PLANNER: NEW[PLANNER], "a:b#c": "More."}, tmp_path / "other.json")
    result = invoke("diff", file, other)
    assert "-You decide." in result.stdout
    assert "+More." in result.stdout
    assert "very brief" not in result.stdout
    assert invoke("diff", file, file).stdout == "no changes\n"


def test_what_a_file_does_not_say_is_told(tmp_path: Path) -> None:
    file = agl.save_prompts({PLANNER: "x"}, tmp_path / "prompts.json")
    assert f"{PLANNER}: the file does not say what it replaces" in invoke("diff", file).stdout


@pytest.mark.parametrize("command", ["show", "diff", "check"])
def test_hostile_text_does_nothing_in_the_terminal(tmp_path: Path, command: str) -> None:
    slot = "my:\x1b[2J#system"
    file = agl.save_prompts({slot: "\x1b[2J\x07"}, tmp_path / "p.json", replaces={slot: "\x1b]0;x"})
    result = invoke(command, file)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout


# check


@pytest.mark.parametrize("command", ["show", "diff", "check"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": "agl-adapters/prompts", "ver', "is damaged, or no prompt file"),
        ('{"schema": "agl-adapters/prompts", "version": 9}', "pip install --upgrade agl-adapters"),
        ("{}", "is no prompt file"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(
    tmp_path: Path, command: str, text: str, message: str
) -> None:
    (tmp_path / "prompts.json").write_text(text)
    result = invoke(command, tmp_path / "prompts.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_file_is_checked_by_itself(file: Path, tmp_path: Path) -> None:
    result = invoke("check", file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "2 prompts: can be used; name the program" in result.stdout
    own = agl.PromptTemplate("Hello {name}.", "literal", ["name"])
    asking = agl.PromptTemplate("Hello {name}, it is {date}.")
    bad = agl.save_prompts({PLANNER: asking}, tmp_path / "bad.json", replaces={PLANNER: own})
    result = invoke("check", bad)
    assert result.exit_code == 1
    assert "asks for {date}, which the program does not fill in there" in result.stderr


PROGRAM = """
import openai

def book(task):
    completion = openai.OpenAI().chat.completions.create(
        model="m",
        messages=[{"role": "system", "content": "You book."}, {"role": "user", "content": task}],
    )
    return completion.choices[0].message.content
"""
BOOK = "openai:booking.book#system"


@pytest.fixture
def program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulated_model: SimulatedModel
) -> Path:
    (tmp_path / "booking.py").write_text(PROGRAM)
    (tmp_path / "tasks.jsonl").write_text('"a room"\n"two rooms"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("prompts", "replaces", "problem"),
    [
        ({BOOK: "New."}, {BOOK: "You book."}, None),
        ({BOOK: "New."}, {}, None),
        ({BOOK: "New."}, {BOOK: "You booked."}, "text is not the one that is replaced in 2 of 2"),
        ({"openai:gone#system": "New."}, {}, f"never used it in 2 rollouts; it used {BOOK}"),
        ({BOOK: "It is {date}."}, {}, "it asks for {date}, which the program does not fill in"),
    ],
)
def test_a_file_is_checked_with_a_program(
    program: Path, prompts: Any, replaces: Any, problem: str | None
) -> None:
    agl.save_prompts(prompts, program / "prompts.json", replaces=replaces)
    (program / "agl.toml").write_text('agent = "booking:book"')
    agl_command = Path(sys.executable).parent / "agl"
    result = subprocess.run(
        [agl_command, "prompts", "check", "prompts.json", "--tasks", "tasks.jsonl"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == (0 if problem is None else 1), result.stderr
    assert (problem or "1 prompt: fit booking:book") in result.stdout.replace("\n", "")


def test_the_file_says_what_changes_in_a_text_where_few_tasks_do_not(program: Path) -> None:
    changing = PROGRAM.replace('"You book."', 'f"You book {task}."')
    (program / "changing.py").write_text(changing)
    slot = BOOK.replace("booking", "changing")
    file = program / "prompts.json"
    agl.save_prompts({slot: "Book {value_1} now."}, file, replaces={slot: "You book {value_1}."})
    result = invoke("check", "prompts.json", "changing:book", "--tasks", "tasks.jsonl")
    assert (result.exit_code, result.output) == (0, "prompts.json: 1 prompt: fit changing:book\n")


def test_a_program_needs_tasks(file: Path) -> None:
    result = invoke("check", file, "booking:book")
    assert result.exit_code == 1
    assert "on which tasks is booking:book run? Name them: --tasks val.jsonl" in result.stderr


# apply


def test_prompts_are_applied_to_the_source_as_a_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text('PLANNER = """You plan.\nBe brief."""\n')
    own = {PLANNER: "You plan.\nBe brief.", DECIDER: "You decide."}
    agl.save_prompts({name: f"{text} Now." for name, text in own.items()}, "p.json", replaces=own)
    result = invoke("apply", "--to-source", "p.json", ".")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"{PLANNER}: app.py:1",
        f"{DECIDER}: not placed: no literal in 1 file has its text; "
        "change it where the program takes it from",
    ]
    subprocess.run(["patch", "-p1"], input=result.stdout_bytes, check=True, capture_output=True)
    assert (tmp_path / "app.py").read_text() == 'PLANNER = """You plan.\nBe brief. Now."""\n'
    data = json.loads(invoke("apply", "--to-source", "p.json", "app.py", "--json").stdout)
    assert (data["patch"], data["placed"]) == ("", {})
    assert list(data["unplaced"]) == [DECIDER, PLANNER]


def test_where_to_apply_prompts_has_to_be_said(file: Path) -> None:
    result = invoke("apply", file, ".")
    assert result.exit_code == 1
    assert "agl prompts apply --to-source FILE PATH..." in result.stderr


def test_a_file_is_checked_with_a_rollout_function_and_an_input(program: Path) -> None:
    (program / "own.py").write_text(
        "import agl_adapters as agl\nfrom booking import book\n\n"
        "@agl.rollout\ndef agent(task, prompt_template):\n    return 1.0\n\n"
        "def shout(task):\n    return task.upper() + '!'\n\n"
        "def only_loud(text):\n    assert text.endswith('!')\n    return book(text)\n"
    )
    agl.save_prompts({"prompt_template": "New."}, program / "prompts.json")
    tasks = ("--tasks", "tasks.jsonl")
    assert invoke("check", "prompts.json", "own:agent", *tasks).exit_code == 0
    agl.save_prompts({"tone": "New.", "more": "New."}, program / "prompts.json")
    result = invoke("check", "prompts.json", "own:agent", *tasks)
    assert result.exit_code == 1
    assert "agent() asks for 'prompt_template'" in result.stderr
    agl.save_prompts({BOOK: "New."}, program / "prompts.json")
    result = invoke("check", "prompts.json", "own:only_loud", *tasks, "--input", "own:shout")
    assert (result.exit_code, result.stderr) == (0, "")
