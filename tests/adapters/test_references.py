"""References to objects of a user's program."""

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from agl_adapters.references import load_reference
from agl_core.errors import ConfigurationError


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A folder with a program, as the current one; what is imported from it is forgotten."""
    (tmp_path / "its_app.py").write_text(
        "import json\nclass Box:\n    inside = 5\ngraph = Box()\n_hidden = 1\n"
    )
    (tmp_path / "its_broken.py").write_text("raise ValueError('no key')\n")
    (tmp_path / "its_exit.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "its_needy.py").write_text("import its_missing_thing\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("its_")]:
        del sys.modules[name]


def test_a_module_of_the_current_folder() -> None:
    assert load_reference("its_app:Box.inside") == 5


def test_a_file_and_what_lies_beside_it(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program / "its_user.py").write_text("from its_app import graph\n")
    monkeypatch.chdir(program.parent)
    assert load_reference(f"{program}/its_user.py:graph").inside == 5


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("its_app", "the agent is 'its_app'; name it as module:attribute, such as my_app:graph"),
        ("its_app:", "name it as module:attribute"),
        (":graph", "name it as module:attribute"),
        ("its_nothing:graph", "there is no module its_nothing for 'its_nothing:graph'"),
        ("its_nothing.py:graph", "there is no file its_nothing.py"),
        ("its_app:grpah", "its_app has no 'grpah'; it has: Box, graph"),
        ("its_broken:x", "importing its_broken failed: ValueError: no key"),
        ("its_exit:x", "importing its_exit failed: SystemExit: 3"),
        ("its_needy:x", "importing its_needy needs its_missing_thing, which is not installed"),
    ],
)
def test_what_cannot_be_found_is_told(reference: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match="the agent") as raised:
        load_reference(reference, "the agent")
    assert message in str(raised.value)
