"""What a user gets by installing: the wheel's contents, and what importing the package costs."""

import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOADED_ON_DEMAND = {
    "agents",
    "autogen_agentchat",
    "autogen_core",
    "autogen_ext",
    "gepa",
    "langchain",
    "langchain_core",
    "langgraph",
    "jinja2",
    "openai",
    "rich",
    "starlette",
    "typer",
    "uvicorn",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built without a network."""
    directory = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (path,) = directory.glob("*.whl")
    return path


def test_importing_the_facade_loads_no_framework() -> None:
    program = "import agl_adapters, sys; print(*sys.modules, sep='\\n')"
    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert LOADED_ON_DEMAND & set(result.stdout.split()) == set()


def test_wheel_holds_the_three_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"agl_adapters", "agl_core", "agl_integrations"}
    assert {f"{package}/py.typed" for package in packages} <= set(names)


def test_wheel_holds_what_the_pages_are_made_of(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if "/report/" in name}
    here = ROOT / "agl_adapters" / "report"
    parts = {f"agl_adapters/report/{p.relative_to(here)}" for p in here.rglob("*.*") if p.is_file()}
    assert {name for name in parts if "__pycache__" not in name} == names


def test_every_declared_integration_is_in_the_wheel(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (listing,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
    built = ConfigParser()
    built.read_string(archive.read(listing).decode())

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert dict(built["console_scripts"]) == declared["scripts"]
    integrations = declared["entry-points"]["agl_adapters.integrations"]
    assert dict(built["agl_adapters.integrations"]) == integrations

    files = set(archive.namelist())
    modules = [reference.split(":")[0].replace(".", "/") for reference in integrations.values()]
    missing = [m for m in modules if not {f"{m}.py", f"{m}/__init__.py"} & files]
    assert missing == []


def test_pins_are_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert [pin for pin in pins if pin.count("==") != 1 or "/" in pin or "@" in pin] == []
