"""Which versions are installed of this package and of the frameworks that prompts belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata

__all__ = ["installed_versions"]

_DISTRIBUTION = "agl-adapters"
_GROUP = "agl_adapters.integrations"
_REQUIREMENT = re.compile(r"([\w.-]+).*extra\s*==\s*['\"]([\w-]+)['\"]", re.DOTALL)


def installed_versions(frameworks: Iterable[str]) -> dict[str, str]:
    """Return the version of each distribution concerned, this one first, the others by name.

    A framework of ours is the distributions that its extra requires; of a plugin, it is the one
    that provides the plugin. What is not installed is left out. It is read from the metadata of
    installed packages: nothing is imported.

    Args:
        frameworks: Names of integrations: the first parts of slots.
    """
    names = {name for framework in frameworks for name in _distributions(framework)}
    return {
        name: version
        for name in (_DISTRIBUTION, *sorted(names - {_DISTRIBUTION}))
        if (version := _version(name)) is not None
    }


def _distributions(framework: str) -> set[str]:
    if not framework.isidentifier():  # no integration's name
        return set()
    extra = framework.replace("_", "-")
    requirements = map(_REQUIREMENT.match, _requirements())
    ours = {found[1] for found in requirements if found is not None and found[2] == extra}
    plugins = {
        entry.dist.name
        for entry in metadata.entry_points(group=_GROUP, name=framework)
        if entry.dist is not None
    }
    # Without an extra of its own, as the plain client: a distribution of the same name.
    return ours or (plugins - {_DISTRIBUTION}) or {framework}


def _requirements() -> list[str]:
    try:
        return metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from a copy of the source
        return []


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
