"""What hooks need of a package, checked against packages that are not as needed."""

import sys
from types import ModuleType

import pytest

from agl_adapters.requirements import Requirement, check_all
from agl_core.errors import MissingDependencyError, UnsupportedVersionError


def toy(*names: str, exact: str | None = None) -> Requirement:
    return Requirement("toy", ">=1,<2", names, "agl-adapters[toy]", exact)


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A distribution `toy` 1.5, with one function that uses one name."""
    module = ModuleType("toy")
    exec("def play():\n    return _ball()\n", module.__dict__)
    monkeypatch.setitem(sys.modules, "toy", module)
    monkeypatch.setattr("agl_adapters.requirements.version", lambda _: "1.5")
    return module


def test_a_package_as_needed_is_fine() -> None:
    toy("toy:play", "toy:play/_ball", exact="1.5").check()


@pytest.mark.parametrize("name", ["toy:rest", "toy:play.again", "toy.gone:play", "toy:play/_bat"])
def test_a_name_that_is_gone_is_told_with_the_versions(name: str) -> None:
    with pytest.raises(UnsupportedVersionError) as caught:
        check_all([toy("toy:play"), toy(name)])
    assert str(caught.value) == (
        f"toy 1.5 is not supported: it has no {name.replace(':', '.')}; "
        "run: pip install 'toy>=1,<2'"
    )


def test_a_function_that_somebody_replaced_is_not_looked_into(package: ModuleType) -> None:
    def play() -> None: ...

    package.__dict__["play"] = play
    toy("toy:play/_ball").check()


def test_another_version_than_the_exact_one_is_refused() -> None:
    with pytest.raises(UnsupportedVersionError, match=r"toy 1\.5 is not supported: the hooks"):
        toy("toy:play", exact="1.4").check()


def test_a_package_that_is_missing_is_told_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    with pytest.raises(MissingDependencyError, match=r"toy is not .*'agl-adapters\[toy\]'"):
        toy().check()
