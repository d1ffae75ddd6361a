"""The settings file: values for options, from ``agl.toml`` or ``[tool.agl]`` in pyproject.toml.

A key is the name of an option, with hyphens or underscores. At the top it holds for every command
that has the option; in a table of the command's name for that command alone::

    agent = "my_app:graph"
    runners = 8

    [optimize]
    budget-rollouts = 200
    set = { beam_rounds = 3 }

What is given on the command line takes precedence.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agl_core.errors import ConfigurationError
from agl_core.files import trouble

__all__ = ["Settings", "defaults", "read_settings"]

FILE = "agl.toml"
Settings = Mapping[str, Any]


def read_settings(folder: Path) -> tuple[Settings, str]:
    """Return the settings of a folder, and what to call their place; none, if there are none.

    Raises:
        ConfigurationError: If a file cannot be read or is no TOML.
    """
    own = folder / FILE
    if own.exists():
        return _read(own), FILE
    project = folder / "pyproject.toml"
    if project.exists():
        tool = _read(project).get("tool", {})
        return tool.get("agl", {}), "[tool.agl] in pyproject.toml"
    return {}, ""


def defaults(settings: Settings, place: str, group: Any) -> dict[str, Any]:
    """Return the settings as the default values of a group's commands, command by command.

    Args:
        settings: Settings as they were read.
        place: Where from, for messages.
        group: The group of commands, `agl` itself; it is walked through.

    Raises:
        ConfigurationError: If a key is no option of any command, or a table none of its command.
    """
    return _defaults(settings, {}, place, group)


def _defaults(settings: Settings, inherited: Settings, place: str, group: Any) -> dict[str, Any]:
    tables = {
        key: value
        for key, value in settings.items()
        if key in group.commands and isinstance(value, Mapping)
    }
    own = {_key(name): value for name, value in settings.items() if name not in tables}
    _refuse_unknown(own, set(_all_keys(group)), place)
    common = {**inherited, **own}
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        table, where = tables.get(name, {}), f"{place}, [{name}]"
        if hasattr(command, "commands"):
            found[name] = _defaults(table, common, where, command)
            continue
        parameters = _parameters(command)
        given = {_key(name): value for name, value in table.items()}
        _refuse_unknown(given, set(parameters), where)
        values = {key: value for key, value in common.items() if key in parameters} | given
        found[name] = {parameters[key]: _spelled(value) for key, value in values.items()}
    return found


def _parameters(command: Any) -> dict[str, str]:
    """Return the name of the parameter for each key: the long names of an option, or its own."""
    found: dict[str, str] = {}
    for parameter in command.params:
        names = [flag[2:] for flag in parameter.opts if flag.startswith("--")]
        found |= {_key(name): parameter.name for name in names or [parameter.name]}
    return found


def _all_keys(group: Any) -> Iterator[str]:
    for command in group.commands.values():
        yield from _all_keys(command) if hasattr(command, "commands") else _parameters(command)


def _spelled(value: Any) -> Any:
    """Spell a table the way its option is given on the command line: NAME=VALUE, repeated."""
    if isinstance(value, Mapping):
        return [f"{key}={_text(item)}" for key, item in value.items()]
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _key(name: str) -> str:
    return name.replace("_", "-")


def _refuse_unknown(values: Settings, keys: set[str], place: str) -> None:
    for key in values:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigurationError(f"{place}: there is no option {key}{hint}")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {trouble(error)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} is no TOML: {error}; a line is KEY = VALUE, and texts are quoted"
        ) from error
