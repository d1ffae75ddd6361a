"""The code in README.md and docs/ runs as it stands, against the simulated model.

Python blocks of a page run in order in one namespace, in a folder with a program `my_app` and tasks
in JSON Lines; a block that is introduced by the name of a file becomes that file as well. Of shell
blocks the lines that start with `agl` or `python` run. A block that cannot run here is marked by an
HTML comment above it, ``<!--- skip: next -->``.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

from agl_adapters.cli import commands
from agl_adapters.testing import simulated_model

ROOT = Path(__file__).parents[2]
SHOP = Path(__file__).parent / "shop"
EVERY_OPTION = ROOT / "docs" / "cli.md"  # made by `make docs`
PAGES = sorted({ROOT / "README.md", *(ROOT / "docs").rglob("*.md")} - {EVERY_OPTION})
TASKS = 8  # of each split: enough to run everything, few enough to be fast
BIN = Path(sys.executable).parent


def _run_shell(example: Example) -> str | None:
    """Run the lines that start with `agl` or `python`; return what went wrong."""
    lines = re.sub(r"\\\n\s*", " ", example.parsed).splitlines()
    for line in lines:
        if not re.match(r"(\w+=\S+ )*(agl|python) ", line):
            continue
        done = subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            return f"{line}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
    return None


SYBIL = Sybil(
    [
        PythonCodeBlockParser(),
        CodeBlockParser("sh", _run_shell),
        SkipParser(),
    ],
    path=str(ROOT),
    pattern="*.md",
)


@pytest.fixture(scope="module")
def _service() -> Generator[str]:
    with simulated_model("room_booking") as model:
        yield model.base_url


@pytest.fixture
def _folder(_service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fresh folder with the program and its tasks, as the current one."""
    shutil.copytree(SHOP, tmp_path, dirs_exist_ok=True)
    shutil.copytree(ROOT / "examples", tmp_path, dirs_exist_ok=True)
    for split in ("train", "val", "test"):
        lines = (tmp_path / "data" / "room_booking" / f"{split}.jsonl").read_text().splitlines()
        text = "\n".join(lines[:TASKS])
        text = text.replace('"input":', '"question":').replace('"expected_room":', '"answer":')
        (tmp_path / f"{split}.jsonl").write_text(text)
    monkeypatch.chdir(tmp_path)
    plugin = str(ROOT / "tests" / "integrations" / "plugin")
    monkeypatch.setattr(sys, "path", [str(tmp_path), plugin, *sys.path])
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OPENAI_BASE_URL", _service)
    monkeypatch.setenv("OPENAI_API_KEY", "simulated")
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    before = set(sys.modules)
    yield
    provider: Any = sys.modules.get("agents.models.openai_provider")
    if provider is not None:
        provider._http_client = None  # it keeps connections of an event loop that has ended
    for name in set(sys.modules) - before:
        module_file = getattr(sys.modules[name], "__file__", None) or ""
        if module_file.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs(page: Path) -> None:
    document: Document = SYBIL.parse(page)
    exec((SHOP / "names.py").read_text(), document.namespace)
    for example in document.examples():
        # "..., `glue.py`:" introduces a file.
        introduced = re.search(r"`(\w+\.py)`:\s*\Z", document.text[: example.region.start])
        if introduced:
            Path(introduced[1]).write_text(example.parsed)
        example.evaluate()


def test_pages_name_no_place_that_is_not_there() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if not re.match(r"\w+:", link):
                assert (page.parent / link).exists(), f"{page.relative_to(ROOT)}: {link}"


def test_every_option_is_on_its_page() -> None:
    command: Any = typer.main.get_command(commands.app)
    page = EVERY_OPTION.read_text()
    for name, section in _sections(command, "agl"):
        assert f"`{name}`" in page, f"{name}: run make docs"
        for option in section:
            assert f"`{option}" in page or f", {option}" in page, f"{name} {option}: run make docs"


def _sections(command: Any, name: str) -> Iterator[tuple[str, list[str]]]:
    for child, found in command.commands.items():
        if hasattr(found, "commands"):
            yield from _sections(found, f"{name} {child}")
        else:
            options = [opt for p in found.params for opt in p.opts if opt.startswith("--")]
            yield f"{name} {child}", options
