"""The command line as a user meets it: a real process, its output and its exit code."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import openai
import pytest
from typer.testing import CliRunner

import agl_adapters as agl
from agl_adapters.cli import commands
from agl_adapters.testing.scenario import BUILT_IN
from agl_core.spending.budgets import BudgetExhaustedError

AGL = Path(sys.executable).parent / "agl"


def environment(**variables: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_") and k != "NO_COLOR"}
    return {**kept, "COLUMNS": "80", **variables}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [AGL, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(**variables),
    )


# help, version, wrong usage


def test_help_names_the_commands_and_the_exit_codes() -> None:
    result = run("--help")
    assert (result.returncode, result.stderr) == (0, "")
    for word in ("demo", "simulate", "--version", "--verbose", "Exit codes: 0 done, 1 an error"):
        assert word in result.stdout


@pytest.mark.parametrize("command", ["demo", "simulate"])
def test_every_command_has_an_example(command: str) -> None:
    result = CliRunner().invoke(commands.app, [command, "-h"], prog_name="agl")
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"Example: agl {command} --" in result.stdout


def test_the_help_of_simulate_names_every_scenario() -> None:
    shown = CliRunner().invoke(commands.app, ["simulate", "-h"], prog_name="agl").stdout
    assert [name for name in BUILT_IN if name not in shown] == []


def test_the_version_is_told() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"agl-adapters {agl.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--latency", "-1"], "Invalid value for '--latency'"),
        (["demo", "--seed", "x"], "Invalid value for '--seed'"),
        (["simulate", "--port", "70000"], "Invalid value for '--port'"),
        (["optimise"], "No such command 'optimise'"),
        (["--quiet"], "No such option: --quiet"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(commands.app, arguments, prog_name="agl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_wrong_usage_shows_no_traceback() -> None:
    result = run("demo", "extra")
    assert (result.returncode, result.stdout) == (2, "")
    assert "Got unexpected extra argument(s) (extra)" in result.stderr
    assert "Traceback" not in result.stderr


# errors


def test_an_error_is_one_line() -> None:
    result = run("demo", "--live")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "agl: --live uses the real service: set OPENAI_API_KEY\n"


@pytest.mark.parametrize(
    "arguments",
    [["-v", "demo", "--live"], ["demo", "--live", "-v"], ["demo", "--verbose", "--live"]],
)
def test_where_an_error_came_from_is_shown_if_asked_for(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == 1
    assert result.stderr.startswith("agl: Traceback (most recent call last):\n")
    assert result.stderr.endswith("--live uses the real service: set OPENAI_API_KEY\n")


def invoke(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, *arguments: str
) -> tuple[int, str]:
    """Run `agl demo` in this process with a demo that fails; return exit code and error output."""

    def fail(**options: Any) -> None:
        raise error

    monkeypatch.setattr(commands, "run_demo", fail)
    result = CliRunner().invoke(commands.app, [*arguments, "demo"], prog_name="agl")
    return result.exit_code, result.stderr


def test_an_unexpected_error_is_one_line_with_the_way_to_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, output = invoke(monkeypatch, ZeroDivisionError("division by zero"))
    assert code == 1
    assert output == ("agl: ZeroDivisionError: division by zero (-v shows where)\n")
    code, output = invoke(monkeypatch, ZeroDivisionError("division by zero"), "--verbose")
    assert code == 1
    assert "test_commands.py" in output


def test_an_interruption_has_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke(monkeypatch, KeyboardInterrupt()) == (130, "agl: interrupted\n")
    assert invoke(monkeypatch, BudgetExhaustedError("interrupted")) == (
        130,
        "agl: the run was interrupted\n",
    )
    assert invoke(monkeypatch, BudgetExhaustedError("rollouts")) == (
        1,
        "agl: the budget's rollouts are used up\n",
    )


def test_text_in_an_error_does_nothing_in_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = "task \x1b[2J\x07[red]x[/nothing] :warning:"
    for arguments in ([], ["--verbose"]):
        _, output = invoke(monkeypatch, agl.RolloutError(hostile), *arguments)
        assert "task \N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}[red]x[/noth" in output
        assert "\x1b[2J" not in output


def test_a_terminal_that_cannot_show_all_characters_is_no_error() -> None:
    result = run("--help", PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert "demo" in result.stdout
    program = "import sys; from agl_adapters.cli import main; sys.argv = ['agl', 'demo', '--ä']"
    program += "; main()"
    command = [sys.executable, "-c", program]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=environment(PYTHONIOENCODING="ascii"),
    )
    assert result.returncode == 2
    assert "No such option: --?" in result.stderr


# simulate


@contextmanager
def simulating(*arguments: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Run `agl simulate`; yields the process and the base URL that it names."""
    with subprocess.Popen(
        [AGL, "simulate", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            first, second = process.stdout.readline(), process.stdout.readline()
            assert first.startswith("simulated model (")
            url = re.fullmatch(r"export OPENAI_BASE_URL=(\S+) OPENAI_API_KEY=simulated\n", second)
            assert url is not None
            yield process, url[1]
        finally:
            process.kill()


def test_the_simulated_model_is_served_until_ctrl_c() -> None:
    with simulating("--scenario", "echo") as (process, url):
        client = openai.OpenAI(base_url=url, api_key="simulated")
        answer = client.chat.completions.create(
            model="any", messages=[{"role": "system", "content": "Hi."}]
        )
        assert answer.choices[0].message.content == "ECHO[Hi.]"
        client.close()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
        assert (process.returncode, output, errors) == (0, "stopped\n", "")
        with pytest.raises(OSError, match="refused"):
            urlopen(url, timeout=1)


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = run("simulate", "--port", str(port))
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(rf"agl: port {port} of 127\.0\.0\.1 cannot be used: .*\n", result.stderr)


def test_a_scenario_that_is_not_there_is_one_line() -> None:
    result = run("simulate", "--scenario", "no_such_scenario")
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1
    assert "no_such_scenario" in result.stderr
