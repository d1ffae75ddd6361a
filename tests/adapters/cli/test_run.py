"""`agl run`, as a user meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import agl_adapters as agl
from agl_adapters.cli.commands import app

AGL = Path(sys.executable).parent / "agl"
SLOT = "openai:app.answer#system"
PROGRAM = "import sys; print(sys.argv, flush=True); sys.exit(int(sys.argv[1]))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(PROGRAM)
    agl.save_prompts({SLOT: "New."}, tmp_path / "prompts.json", replaces={SLOT: "Own."})
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [AGL, "run", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


UNUSED = f"agl: the program never used {SLOT} of prompts.json; it used no other slot\n"


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (
            ["app.py", "3", "-h", "--on-drift", "x", "--"],
            ["app.py", "3", "-h", "--on-drift", "x", "--"],
        ),
        (["--", "-m", "app", "3", "-v"], ["app.py", "3", "-v"]),
        (["-uc", PROGRAM, "3"], ["-c", "3"]),
    ],
)
def test_what_stands_behind_its_own_options_is_pythons(
    folder: Path, arguments: list[str], seen: list[str]
) -> None:
    result = run(folder, "--prompts", "prompts.json", *arguments)
    assert (result.returncode, result.stderr) == (3, UNUSED)
    assert result.stdout.replace(f"{folder}/", "") == f"{seen}\n"


def file(**changes: Any) -> str:
    record = {"template": ["New."], "engine": "literal", "variables": []}
    data = {"schema": "agl-adapters/prompts", "version": 2, "prompts": {SLOT: record}}
    return json.dumps({**data, **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (file()[:-20], "prompts.json is damaged, or no prompt file: "),
        (file(version=3), "prompts.json has version 3; this release reads up to 2: pip install -"),
        (file(prompts={}), "there are no prompts to use"),
        (
            file(prompts={"prompt_template": {**json.loads(file())["prompts"][SLOT]}}),
            "'prompt_template' is no slot of a program",
        ),
        (
            file(
                prompts={
                    SLOT: {
                        "template": "Today is {date}.",
                        "engine": "f-string",
                        "variables": ["date"],
                        "replaces": {"template": "x", "engine": "literal", "variables": []},
                    }
                }
            ),
            f"the prompt of {SLOT} asks for {{date}}, which the program does not fill in there",
        ),
        (None, "cannot read the prompts prompts.json: Is a directory; give the file in it"),
    ],
)
def test_prompts_that_cannot_be_used_are_one_line_and_nothing_is_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(os, "execve", lambda *arguments: pytest.fail("it is run"))
    (folder / "prompts.json").unlink()
    if text is None:
        (folder / "prompts.json").mkdir()
    else:
        (folder / "prompts.json").write_text(text)
    result = CliRunner().invoke(app, ["run", "--prompts", "prompts.json", "app.py"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"agl: {message}")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompts", "prompts.json"], "Missing argument"),
        (["app.py"], "Missing option '--prompts'"),
        (["--prompts", "prompts.json", "--on-drift", "no", "app.py"], "'no' is not one of"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["run", *arguments], prog_name="agl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
