"""`agl init`: what it finds in a folder, and what it writes."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agl_adapters.cli.commands import app
from agl_adapters.cli.init import FoundProgram, find_programs

EXAMPLES = Path(__file__).parents[3] / "examples"

PROGRAMS = {
    "langgraph": ("langgraph_room_booking:graph", 'output["messages"][-1].content'),
    "openai_agents": ("openai_agents_room_booking:book_room", "str(output)"),
    "autogen": ("autogen_room_booking:build_team", "output.messages[-1].to_text()"),
    "openai": ("openai_room_booking:book_room", "str(output)"),
}


@pytest.mark.parametrize("framework", PROGRAMS)
def test_it_finds_the_program_and_writes_what_fits_it(framework: str, tmp_path: Path) -> None:
    for name in (f"{framework}_room_booking.py", "rooms.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    result = CliRunner().invoke(app, ["init", str(tmp_path)])
    reference, answer = PROGRAMS[framework]
    assert result.exit_code == 0, result.output
    assert f"the program: {reference}" in result.stdout
    assert f'agent = "{reference}"' in (tmp_path / "agl.toml").read_text()
    setup = (tmp_path / "agl_setup.py").read_text()
    assert answer in setup
    compile(setup, "agl_setup.py", "exec")


def test_what_it_writes_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["init"]).exit_code == 0
    # The settings are read before the command line: a key that is no option would be told.
    for command in ("discover", "eval", "optimize"):
        result = CliRunner().invoke(app, [command, "nothing:here"])
        assert "there is no module nothing" in result.output


def test_it_replaces_nothing_unless_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "agl.toml").write_text("mine")
    result = CliRunner().invoke(app, ["init", str(tmp_path)])
    assert result.exit_code == 1
    assert "agl.toml: there already; --force replaces them" in " ".join(result.output.split())
    assert (tmp_path / "agl.toml").read_text() == "mine"
    assert not (tmp_path / "agl_setup.py").exists()
    assert CliRunner().invoke(app, ["init", str(tmp_path), "--force"]).exit_code == 0
    assert "mine" not in (tmp_path / "agl.toml").read_text()


def test_a_folder_without_a_program_gets_the_files_too(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["init", str(tmp_path)])
    assert "no program was found: name it in agl.toml" in result.stdout
    assert '# agent = "my_app:graph"' in (tmp_path / "agl.toml").read_text()


def test_programs_are_found_without_running_them(tmp_path: Path) -> None:
    package = tmp_path / "shop" / "agents_of_it"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from agents import Agent\nhelper = Agent()\n_hidden = Agent()\nboss: Agent = Agent()\n"
        "raise SystemExit\n"
    )
    (tmp_path / "broken.py").write_text("import openai\ndef (")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "x.py").write_text("from agents import Agent\nx = Agent()\n")
    (tmp_path / "plain.py").write_text(
        "import openai\n"
        "def ask(q, n=1):\n    return openai.OpenAI().chat.completions.create()\n"
        "def both(q):\n    return ask(q)\n"
        "def other(q):\n    return q\n"
        "def main():\n    both('')\n"
    )
    assert find_programs(tmp_path) == [
        FoundProgram("openai", "plain:both", is_entry=True),
        FoundProgram("openai-agents", "shop.agents_of_it:boss"),
        FoundProgram("openai-agents", "shop.agents_of_it:helper"),
    ]
