"""`agl init`: a commented starting point for the program that it finds."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from agl_core.errors import ConfigurationError
from agl_core.files import trouble
from agl_core.text import printable

__all__ = ["FoundProgram", "find_programs", "init"]

_FRAMEWORKS = {
    "langgraph": "langgraph",
    "langchain": "langgraph",
    "langchain_core": "langgraph",
    "agents": "openai-agents",
    "autogen_agentchat": "autogen",
    "openai": "openai",
}
"""The framework by what is imported; the first that is imported counts, plain openai last."""

_MAKERS = {
    "langgraph": {"compile", "create_agent", "create_react_agent"},
    "openai-agents": {"Agent"},
    "autogen": {
        "AssistantAgent",
        "MagenticOneGroupChat",
        "RoundRobinGroupChat",
        "SelectorGroupChat",
        "Swarm",
        "GraphFlow",
    },
    "openai": set[str](),
}
"""The calls that make what can be wrapped."""

_RUNNERS = {
    "langgraph": {"invoke", "ainvoke", "stream", "astream"},
    "openai-agents": {"run", "run_sync", "run_streamed"},
    "autogen": {"run", "run_stream"},
    "openai": {"create", "parse"},
}
"""The calls that run models."""

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_SKIPPED = {"venv", "node_modules", "build", "dist", "tests", "site-packages", "__pycache__"}
_MOST_FILES = 2000

_INPUTS = {
    "langgraph": '{"messages": [("user", task["input"])]}',
    "openai-agents": 'task["input"]',
    "autogen": 'task["input"]',
    "openai": 'task["input"]',
}
_ANSWERS = {
    "langgraph": 'output["messages"][-1].content',
    "openai-agents": "str(output.final_output)",
    "autogen": "output.messages[-1].to_text()",
    "openai": "str(output)",
}


@dataclass(frozen=True, slots=True)
class FoundProgram:
    """Something in a folder that can be wrapped."""

    framework: str
    """Its framework."""
    reference: str
    """Where it is, as MODULE:NAME."""
    is_entry: bool = False
    """Whether it is a function that runs models, and not what such a function runs."""


def init(
    folder: Annotated[
        Path, typer.Argument(help="The folder of the program.", file_okay=False)
    ] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write a commented agl.toml and agl_setup.py for the program in a folder.

    Example: [bold]agl init my_project[/bold]
    """
    files = {folder / "agl.toml": "", folder / "agl_setup.py": ""}
    there = [str(path) for path in files if path.exists()]
    if there and not force:
        raise ConfigurationError(f"{' and '.join(there)}: there already; --force replaces them")
    programs = find_programs(folder)
    chosen = programs[0] if programs else None
    framework = chosen.framework if chosen else "openai"
    files[folder / "agl.toml"] = _settings(chosen, programs[1:])
    files[folder / "agl_setup.py"] = _setup("openai" if chosen and chosen.is_entry else framework)
    for path, text in files.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {trouble(error)}") from error
        typer.echo(f"wrote {printable(str(path))}")
    if chosen is None:
        typer.echo("no program was found: name it in agl.toml, as agent = ")
    else:
        typer.echo(f"the program: {printable(chosen.reference)} ({framework})")
    typer.echo(
        "Next: look through both files, put tasks into train.jsonl, val.jsonl and test.jsonl, then:"
        "\n  agl discover\n  agl eval\n  agl optimize"
    )


def find_programs(folder: Path) -> list[FoundProgram]:
    """Return what can be wrapped in the Python files of a folder, the likeliest first.

    The files are read, not run. The whole program comes before its parts: a graph, a team, a
    function of one argument that runs models and that no other function calls.
    """
    found: list[tuple[int, FoundProgram]] = []
    for path in _python_files(folder):
        try:
            module = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, SyntaxError, RecursionError):
            continue
        imported = _imported(module)
        frameworks = [name for package, name in _FRAMEWORKS.items() if package in imported]
        if frameworks:
            name = ".".join(path.relative_to(folder).with_suffix("").parts)
            found += _programs(module, name.removesuffix(".__init__"), frameworks[0])
    return [program for _, program in sorted(found, key=lambda item: item[0])]


def _python_files(folder: Path) -> Iterator[Path]:
    seen = 0
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") or part in _SKIPPED for part in parts):
            continue
        if path.name.startswith("test_") or path.name == "agl_setup.py":
            continue
        seen += 1
        if seen > _MOST_FILES:
            return
        yield path


def _imported(module: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def _programs(module: ast.Module, name: str, framework: str) -> Iterator[tuple[int, FoundProgram]]:
    makers = _MAKERS[framework]
    functions = {
        node.name: node
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    builders = {
        function.name
        for function in functions.values()
        if not _required(function) and _builds(function, makers)
    }
    whole = framework in ("langgraph", "autogen")  # one object is all of the program
    for target in _assigned(module, makers | builders):
        yield (0 if whole else 1), FoundProgram(framework, f"{name}:{target}")
    for function in functions.values():
        if function.name.startswith("_") or function.name == "main":
            continue
        reference = f"{name}:{function.name}"
        if function.name in builders:
            yield 1, FoundProgram(framework, reference)
        elif len(_required(function)) == 1 and _is_entry(function, functions, _RUNNERS[framework]):
            yield (2 if whole else 0), FoundProgram(framework, reference, is_entry=True)


def _assigned(module: ast.Module, makers: set[str]) -> list[str]:
    """Return the public names that a module gives to what such a call makes, the last one first.

    Agents are built from one another: the last one is the likeliest to be the whole.
    """
    names: list[str] = []
    for node in module.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and _called(node.value) in makers:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [target.id for target in targets if isinstance(target, ast.Name)]
    return [name for name in reversed(names) if not name.startswith("_")]


def _builds(function: _Function, makers: set[str]) -> bool:
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    return any(_called(value) in makers for value in returned)


def _is_entry(function: _Function, functions: Mapping[str, _Function], runners: set[str]) -> bool:
    """Tell whether a function runs models, by itself or through others, and none calls it."""
    callers = [other for other in functions.values() if function.name in _calls(other)]
    if any(caller.name not in ("main", function.name) for caller in callers):
        return False
    reached, waiting = {function.name}, [function]
    while waiting:
        calls = _calls(waiting.pop())
        if calls & runners:
            return True
        new = calls & functions.keys() - reached
        reached |= new
        waiting += [functions[name] for name in new]
    return False


def _calls(function: _Function) -> set[str]:
    return {_called(node) for node in ast.walk(function) if isinstance(node, ast.Call)}


def _called(value: ast.AST | None) -> str:
    """Return the name of what a call calls, without what it is an attribute of."""
    if not isinstance(value, ast.Call):
        return ""
    called = value.func
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _required(function: _Function) -> list[ast.arg]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    return positional[: len(positional) - len(arguments.defaults)]


def _settings(chosen: FoundProgram | None, others: list[FoundProgram]) -> str:
    agent = f'agent = "{chosen.reference}"' if chosen else '# agent = "my_app:graph"'
    also = "".join(f"# Also found: {other.reference}\n" for other in others[:8])
    return f"""\
# Settings of the `agl` command, by the names of its options: `agl optimize --help`.
# What is given on the command line takes precedence.

# The program: a graph, an agent, a team, a function of one argument, or one that builds them.
{agent}
{also}
# How the program's input is made of a task, and how its output is scored.
input = "agl_setup:to_input"
reward = "agl_setup:score"

# What `agl discover` and `agl eval` run the program on; one JSON task a line.
tasks = "val.jsonl"

# How many runs of the program go on at once, and where runs are kept.
runners = 8
store = "runs.db"

[optimize]
# The test tasks are never seen by the search: the verdict comes from them.
# With fewer than some 30 in val and test, only large gains can be told from chance.
train = "train.jsonl"
val = "val.jsonl"
test = "test.jsonl"

# The model that writes critiques and rewrites, and all that may be spent.
model = "gpt-4o"
budget-rollouts = 300
out = "prompts.json"
"""


def _setup(framework: str) -> str:
    answer = _ANSWERS[framework]
    return f'''\
"""How tasks are given to the program, and how its answers are scored."""


def to_input(task):
    """Make the program's input of a task, one line of the JSONL files."""
    return {_INPUTS[framework]}


def score(task, output):
    """Score what the program returned: 1.0 is right, 0.0 is wrong.

    agl.Reward(0.5, feedback="why") also tells the optimizer why.
    """
    answer = {answer}
    return float(task["expected"].lower() in answer.lower())
'''
