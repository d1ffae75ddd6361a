from __future__ import annotations

import functools
import importlib.util
import json
import operator
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agl_core.code_identity import code_identity, parts_of

PROGRAM = """
PROMPT = "You plan trips."
URL = "http://127.0.0.1:1234"
calls = 0


def helper(text):
    return text.upper()


def agent(task):
    global calls
    calls += 1
    return helper(PROMPT + URL), {"a", "b"}


ask = lambda task: helper("Be kind.")
"""


def program(folder: Path, source: str) -> Any:
    path = folder / "its_program.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("its_program", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("You plan trips.", "You plan flights."),
        ("text.upper()", "text.lower()"),
        ("calls += 1", "calls += 2"),
    ],
)
def test_tells_a_changed_program(tmp_path: Path, before: str, after: str) -> None:
    one = code_identity(program(tmp_path, PROGRAM).agent)
    assert code_identity(program(tmp_path, PROGRAM.replace(before, after)).agent) != one


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("calls = 0", "calls = 5"),
        ("1234", "4321"),
        ("    global calls\n", "    # It counts.\n    global calls\n"),
        ("def helper", "def other():\n    pass\n\n\ndef helper"),
    ],
)
def test_passes_over_what_does_not_matter(tmp_path: Path, before: str, after: str) -> None:
    one = code_identity(program(tmp_path, PROGRAM).agent)
    assert code_identity(program(tmp_path, PROGRAM.replace(before, after)).agent) == one


def test_is_the_same_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "its_program.py"
    path.write_text(PROGRAM)
    script = (
        "import its_program; from agl_core.code_identity import code_identity as i; "
        "print(i(its_program.agent), i(its_program.ask))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(told) == 1


class Rated:
    """An object that is called like a function, and holds texts and functions."""

    def __init__(self, rubric: str, functions: Any = ()) -> None:
        self.rubrics = {"score": rubric}
        self.functions = functions

    def __call__(self, task: Any, output: Any) -> float:
        return 1.0


def test_looks_into_what_is_called_like_a_function() -> None:
    def other(text: str) -> Any:
        return lambda task, output: len(text)

    one = code_identity(Rated("Is it kind?", [other("Be brief.")]))
    assert code_identity(Rated("Is it kind?", [other("Be brief.")])) == one
    assert code_identity(Rated("Is it true?", [other("Be brief.")])) != one
    assert code_identity(Rated("Is it kind?", [other("Be long, then.")])) != one
    assert code_identity(functools.partial(Rated, "Is it kind?")) != code_identity(
        functools.partial(Rated, "Is it true?")
    )
    rated = Rated("Is it kind?")
    assert code_identity(rated.__call__) != one


def test_a_function_need_not_be_of_a_module() -> None:
    variables: dict[str, Any] = {"code_identity": code_identity, "__name__": None}
    exec("def other(): return 1\ndef agent(): return other()", variables)
    assert code_identity(variables["agent"]) != code_identity(variables["other"])


def test_parts_are_those_that_an_agent_tells() -> None:
    class Told:
        def parts(self) -> dict[str, str]:
            return {"function": "1"}

    assert parts_of(Told()) == {"function": "1"}
    assert parts_of(object()) == {}


class Planner:
    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self.last = ""

    def run(self, task: str) -> str:
        self.last = self.ask(task)
        return self.last

    def ask(self, task: str) -> str:
        return self.prompt + task


class Message:
    def __init__(self, content: str) -> None:
        self.content = content


def test_tells_prompts_wherever_they_are_held() -> None:
    def closing(held: Any) -> Any:
        return lambda task: held

    for hold in (
        lambda text: Planner(text).run,
        lambda text: closing({"plan": [text]}),
        lambda text: closing(Message(text)),
    ):
        assert code_identity(hold("You are kind.")) == code_identity(hold("You are kind."))
        assert code_identity(hold("You are kind.")) != code_identity(hold("You are rude."))
    assert code_identity(operator.itemgetter("a")) != code_identity(operator.itemgetter("b"))
    assert code_identity(str.strip) != code_identity(str.rstrip)


said_globally = ""


def test_what_it_leaves_behind_is_no_code() -> None:
    said = ""

    def closes(task: str) -> None:
        nonlocal said
        said = f"the answer {task}"

    def writes(task: str) -> None:
        global said_globally
        said_globally = f"the answer {task}"

    for function in (closes, writes, Planner("You are kind.").run):
        one = code_identity(function)
        function("of today")
        assert code_identity(function) == one


def test_the_source_of_what_is_installed_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(function: Any) -> str:
        raise AssertionError("read")

    monkeypatch.setattr("inspect.getsource", read)
    assert code_identity(json.dumps) != code_identity(json.dump)
    with pytest.raises(AssertionError, match="read"):
        code_identity(program)
