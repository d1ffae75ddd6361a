"""The facade: every public name is there, and costs nothing before it is used."""

import ast
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import agl_adapters as agl

ROOT = Path(__file__).parent.parent.parent


def test_every_public_name_resolves_to_what_it_is_called() -> None:
    for name in agl.__all__:
        value = getattr(agl, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__name__.lower() == name.lower()


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    (block,) = [
        node
        for node in ast.parse(inspect.getsource(agl)).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    declared = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {*declared, "__version__"} == set(agl.__all__)
    assert declared == agl._HOME_OF


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'agl_adapters' has no attribute 'optimise'"):
        _ = agl.optimise  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_names_are_listed_before_they_are_loaded() -> None:
    program = "import agl_adapters as agl; print('Trainer' in vars(agl), 'Trainer' in dir(agl))"
    assert run_python(program) == "False True"


def test_using_the_facade_loads_no_framework_no_client_and_no_terminal() -> None:
    program = """
import sys
from agl_adapters import *

@rollout
def agent(task, prompt_template):
    return 1.0

Trainer(initial_resources={"prompt_template": "x"})
wrap(lambda question: question, reward=lambda task, output: 1.0)
heavy = {"agents", "autogen_agentchat", "autogen_core", "gepa", "langchain_core", "langgraph",
         "openai", "opentelemetry.sdk", "rich", "typer", "uvicorn"}
print(sorted(heavy & sys.modules.keys()))
"""
    assert run_python(program) == "[]"


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert agl.__version__ == project["version"]


def run_python(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
