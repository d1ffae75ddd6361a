"""What an integration's hooks need of the packages that they patch, checked before they do."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from agl_core.errors import MissingDependencyError, UnsupportedVersionError

__all__ = ["Requirement", "check_all"]


@dataclass(frozen=True)
class Requirement:
    """The names that hooks use in one distribution, private ones and others, and where they are.

    The names decide, not the number of the version: a newer one that still has them all is used.

    Attributes:
        distribution: Its name on the package index.
        supported: The versions that the hooks were tested with, such as ``>=1.2,<2``.
        names: Each as ``module:attribute.attribute``. After a slash may stand a name that this
            function uses; one that somebody has replaced by another is not asked for it.
        install: What to tell ``pip install`` where it is missing.
        exact: The one version to accept, where names do not tell enough.
    """

    distribution: str
    supported: str
    names: tuple[str, ...]
    install: str
    exact: str | None = None

    def check(self) -> None:
        """Check that the distribution is installed and has every name.

        Raises:
            MissingDependencyError: If it is not installed.
            UnsupportedVersionError: If it is another version than the exact one, or a name is gone.
                The message has the version found, the versions supported, and the name.
        """
        try:
            found = version(self.distribution)
        except PackageNotFoundError:
            raise MissingDependencyError(
                f"{self.distribution} is not installed; run: pip install '{self.install}'"
            ) from None
        if self.exact not in (None, found):
            raise self._unsupported(found, "the hooks stand on private attributes")
        for name in self.names:
            if not _exists(name):
                raise self._unsupported(found, f"it has no {name.replace(':', '.')}")

    def _unsupported(self, found: str, reason: str) -> UnsupportedVersionError:
        return UnsupportedVersionError(
            f"{self.distribution} {found} is not supported: {reason}; "
            f"run: pip install '{self.distribution}{self.supported}'"
        )


def check_all(requirements: Iterable[Requirement]) -> None:
    """Check some requirements, in order.

    Raises:
        MissingDependencyError: If a distribution is not installed.
        UnsupportedVersionError: If one is not as the hooks need it.
    """
    for requirement in requirements:
        requirement.check()


def _exists(path: str) -> bool:
    place, _, used = path.partition("/")
    module, _, names = place.partition(":")
    try:
        value: Any = importlib.import_module(module)
        for name in names.split("."):
            value = getattr(value, name)
    except (ImportError, AttributeError):
        return False
    if not used:
        return True
    function = inspect.unwrap(value)
    replaced = str(function.__module__).partition(".")[0] != module.partition(".")[0]
    return replaced or used in function.__code__.co_names
