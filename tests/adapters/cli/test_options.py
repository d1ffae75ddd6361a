"""Groups of options, spread into the options of a command."""

from dataclasses import dataclass, field
from typing import Annotated

import typer
from typer.testing import CliRunner

from agl_adapters.cli.options import SearchOptions, with_groups


@dataclass(frozen=True, kw_only=True)
class Basket:
    where: Annotated[str, typer.Argument()]
    fruit: Annotated[list[str], typer.Option()] = field(default_factory=list[str])
    weight: Annotated[float, typer.Option("--kilos", min=0.0)] = 1.5


def _run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()

    @app.command()
    @with_groups
    def carry(basket: Basket, fast: Annotated[bool, typer.Option("--fast")] = False) -> None:
        """Carry it."""
        typer.echo(f"{basket} {fast}")

    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def test_a_group_is_given_what_its_options_say() -> None:
    code, output = _run("home", "--fruit", "fig", "--fruit", "kiwi", "--kilos", "2", "--fast")
    assert code == 0
    assert "Basket(where='home', fruit=['fig', 'kiwi'], weight=2.0) True" in output


def test_defaults_are_those_of_the_group() -> None:
    assert _run("home")[1].strip() == "Basket(where='home', fruit=[], weight=1.5) False"


def test_options_are_checked_and_told_as_always() -> None:
    assert _run()[0] == 2
    assert _run("home", "--kilos", "-1")[0] == 2
    code, output = _run("--help")
    assert code == 0
    assert "Carry it." in output
    assert "--kilos" in output
    assert "--basket" not in output


def test_demonstrations_are_a_parameter_of_the_algorithm_like_any_other() -> None:
    assert SearchOptions(demonstrations=3, parameters=["beam_width=2"]).settings == [
        "demonstrations=3",
        "beam_width=2",
    ]
    assert SearchOptions().settings == []
