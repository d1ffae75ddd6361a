"""The settings file."""

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from agl_adapters.cli.settings import defaults, read_settings
from agl_core.errors import ConfigurationError


def _group() -> Any:
    app, runs = typer.Typer(), typer.Typer()

    @app.command()
    def optimize(
        agent: str,
        budget_rollouts: int = 1,
        parameters: Annotated[list[str], typer.Option("--set")] = [],  # noqa: B006
    ) -> None: ...

    @app.command("eval")
    def evaluate(agent: str, tasks: str = "") -> None: ...

    @runs.command("list")
    def list_runs(store: str = "") -> None: ...

    app.add_typer(runs, name="runs")
    return typer.main.get_command(app)


def _defaults(settings: dict[str, Any]) -> dict[str, Any]:
    return defaults(settings, "agl.toml", _group())


def test_a_key_holds_for_every_command_that_has_the_option() -> None:
    found = _defaults({"agent": "a:b", "budget-rollouts": 5, "store": "s.db"})
    assert found == {
        "optimize": {"agent": "a:b", "budget_rollouts": 5},
        "eval": {"agent": "a:b"},
        "runs": {"list": {"store": "s.db"}},
    }


def test_a_table_holds_for_its_command_and_takes_precedence() -> None:
    settings = {"agent": "a:b", "eval": {"agent": "c:d"}, "runs": {"list": {"store": "s.db"}}}
    found = _defaults(settings)
    assert found["eval"] == {"agent": "c:d"}
    assert found["optimize"] == {"agent": "a:b"}
    assert found["runs"] == {"list": {"store": "s.db"}}


def test_underscores_and_the_name_on_the_command_line_are_understood() -> None:
    found = _defaults({"budget_rollouts": 5, "optimize": {"set": {"rounds": 3, "kind": "x"}}})
    assert found["optimize"] == {"budget_rollouts": 5, "parameters": ["rounds=3", "kind=x"]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget-rolouts": 5}, "agl.toml: there is no option budget-rolouts; did you mean budget"),
        ({"eval": {"set": 1}}, r"agl.toml, \[eval\]: there is no option set"),
        ({"nothing-like-it": 1}, "there is no option nothing-like-it$"),
        ({"parameters": 1}, "there is no option parameters"),
        ({"runs": {"list": {"x": 1}}}, r"\[runs\], \[list\]: there is no option x"),
    ],
)
def test_an_unknown_key_is_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        _defaults(settings)


def test_the_own_file_comes_before_the_project_s(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == ({}, "")
    (tmp_path / "pyproject.toml").write_text("[tool.agl]\nrunners = 2\n")
    assert read_settings(tmp_path) == ({"runners": 2}, "[tool.agl] in pyproject.toml")
    (tmp_path / "agl.toml").write_text("runners = 3\n")
    assert read_settings(tmp_path) == ({"runners": 3}, "agl.toml")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "agl.toml").write_text("runners = \n")
    with pytest.raises(ConfigurationError, match="is no TOML: Invalid value"):
        read_settings(tmp_path)
    (tmp_path / "agl.toml").unlink()
    (tmp_path / "agl.toml").mkdir()
    with pytest.raises(ConfigurationError, match=r"cannot read .*agl\.toml: Is a directory"):
        read_settings(tmp_path)
