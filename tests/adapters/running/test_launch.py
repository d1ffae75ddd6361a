"""What is run with which environment; and what is refused before anything is run."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.running import launch
from agl_adapters.running.launch import run_program
from agl_adapters.running.variables import Launch

STARTUP = str(Path(launch.__file__).parent / "startup")


class Replaced(Exception):
    """Raised where the process would have been replaced."""

    def __init__(self, file: str, command: Sequence[str], environment: dict[str, str]) -> None:
        self.file, self.command, self.environment = file, command, environment


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def replace(file: str, command: Sequence[str], environment: dict[str, str]) -> None:
        raise Replaced(file, command, environment)

    monkeypatch.setattr(os, "execve", replace)
    monkeypatch.chdir(tmp_path)
    return agl.save_prompts({"my:program#system": "New."}, Path("prompts.json"))


def replaced(prompts: Path, *arguments: str) -> Replaced:
    with pytest.raises(Replaced) as caught:
        run_program(prompts, "warn", arguments)
    return caught.value


def test_python_runs_the_program_in_this_process(prompts: Path) -> None:
    what = replaced(prompts, "app.py", "a", "--b")
    assert what.file == sys.executable
    assert what.command == [sys.executable, "app.py", "a", "--b"]


def test_the_environment_names_the_prompts_and_is_otherwise_the_same(
    prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["mine", STARTUP, "", "yours"]))
    environment = replaced(prompts, "app.py").environment
    assert environment.pop("AGL_RUN_IS_MAIN") == "1"
    begun = Launch.from_variable(environment.pop("AGL_RUN"))
    assert (begun.prompts, begun.on_drift) == (str(prompts.resolve()), "warn")
    assert not Path(begun.record).exists()
    assert environment.pop("PYTHONPATH") == os.pathsep.join([STARTUP, "mine", "yours"])
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    assert environment == others


@pytest.mark.parametrize(
    "arguments",
    [
        ["-I", "app.py"],
        ["-E", "app.py"],
        ["-S", "app.py"],
        ["-uBI", "-m", "app"],
        ["-X", "dev", "-W", "error", "-I", "app.py"],
        ["-Xdev", "-Werror", "-E", "app.py"],
        ["--check-hash-based-pycs", "always", "-E", "app.py"],
        ["-uIc", "pass"],
    ],
)
def test_an_option_that_would_keep_the_prompts_out_is_refused(
    prompts: Path, arguments: list[str]
) -> None:
    with pytest.raises(agl.ConfigurationError, match="keeps the prompts out"):
        run_program(prompts, "warn", arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["app.py", "-I"],
        ["-m", "app", "-E"],
        ["-mapp", "-E"],
        ["-c", "pass", "-S"],
        ["-cI", "-S"],
        ["-X", "E", "-W", "I", "app.py"],
        ["-XE", "app.py"],
        ["-", "-S"],
        ["--help", "-I"],
    ],
)
def test_other_options_and_those_of_the_program_are_passed_on(
    prompts: Path, arguments: list[str]
) -> None:
    assert replaced(prompts, *arguments).command[1:] == arguments


def test_without_a_program_there_is_nothing_to_run(prompts: Path) -> None:
    with pytest.raises(agl.ConfigurationError, match=r"which program\? .* -- app\.py"):
        run_program(prompts, "warn", [])


def test_prompts_of_a_framework_that_is_not_installed_are_refused(
    prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agl.save_prompts({"autogen:writer#system": "New."}, prompts)

    def missing(integration: Any) -> bool:
        return False

    def uninstalled(distribution: str) -> str:
        raise PackageNotFoundError(distribution)

    monkeypatch.setattr("agl_adapters.instrumentation.is_installed", missing)
    monkeypatch.setattr("agl_adapters.requirements.version", uninstalled)
    with pytest.raises(agl.MissingDependencyError, match="pip install"):
        run_program(prompts, "warn", ["app.py"])


def test_where_a_process_cannot_be_replaced_it_waits_for_the_program(
    prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Windows:
        """The module `os`, as it is there."""

        name = "nt"

        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

    monkeypatch.setattr(launch, "os", Windows())
    for code in (0, 7):
        with pytest.raises(SystemExit) as caught:
            run_program(prompts, "warn", ["-c", f"raise SystemExit({code})"])
        assert caught.value.code == code
