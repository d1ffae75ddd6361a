"""Prompt files: prompts as JSON, to be reviewed, versioned and shipped.

A file holds, in this order:

    schema    "agl-adapters/prompts"
    version   1
    run       name of the run that found them, or null
    verdict, scores
              what the run found out, if one did
    prompts   by slot or resource name: template, engine, variables and, where it is known,
              `replaces`: the prompt that the program has there by itself
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agl_core.errors import ConfigurationError
from agl_core.prompts import PromptTemplate, Resources, coerce_resources
from agl_core.result import write_atomically

__all__ = ["PromptFile", "load_prompts", "read_prompt_file", "save_prompts"]

SCHEMA = "agl-adapters/prompts"
VERSION = 1


@dataclass(frozen=True, slots=True)
class PromptFile:
    """What a prompt file holds."""

    prompts: Resources
    """Prompt by slot or resource name."""
    replaces: Resources = field(default_factory=dict[str, PromptTemplate])
    """The program's own prompt by slot, where it is known."""


def save_prompts(
    resources: Mapping[str, str | PromptTemplate], path: str | os.PathLike[str]
) -> Path:
    """Write prompts to a file, replacing it in one step.

    Raises:
        ConfigurationError: If they are no resources, or the file cannot be written.
    """
    prompts = coerce_resources(resources)
    payload = {
        "schema": SCHEMA,
        "version": VERSION,
        "run": None,
        "prompts": {name: prompts[name].to_json() for name in sorted(prompts)},
    }
    return write_atomically(path, json.dumps(payload, indent=2, ensure_ascii=False) + "\n")


def load_prompts(path: str | os.PathLike[str]) -> dict[str, PromptTemplate]:
    """Read the prompts of a file.

    Raises:
        ConfigurationError: If it cannot be read, is no prompt file, or of a newer version.
    """
    return dict(read_prompt_file(path).prompts)


def read_prompt_file(path: str | os.PathLike[str]) -> PromptFile:
    """Read a prompt file, with the prompts that it replaces.

    Raises:
        ConfigurationError: If it cannot be read, is no prompt file, or of a newer version.
    """
    where = Path(path)
    try:
        # A byte order mark, as some editors write it, is no damage.
        text = where.read_text(encoding="utf-8-sig")
        data: Any = json.loads(text, object_pairs_hook=_object)
    except OSError as error:
        raise ConfigurationError(f"cannot read the prompts {where}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where} is damaged, or no prompt file: {error}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ConfigurationError(f'{where} is no prompt file: it lacks "schema": "{SCHEMA}"')
    version: Any = data.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ConfigurationError(f"{where} is damaged: its version is {version!r}")
    if version > VERSION:
        raise ConfigurationError(
            f"{where} has version {version}; this release reads up to {VERSION}: "
            "pip install --upgrade agl-adapters"
        )
    records = data.get("prompts")
    if not isinstance(records, dict):
        raise ConfigurationError(f'{where} is damaged: "prompts" is no object')
    prompts: dict[str, PromptTemplate] = {}
    replaces: dict[str, PromptTemplate] = {}
    for name, record in records.items():
        try:
            prompts |= coerce_resources({name: _template(record)})
            if record.get("replaces") is not None:
                replaces[name] = _template(record["replaces"])
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: prompt {name!r}: {error}") from error
    return PromptFile(prompts, replaces)


def _template(record: Any) -> PromptTemplate:
    """Read one prompt.

    Raises:
        ConfigurationError: If something in it is missing or of a wrong type.
    """
    if not isinstance(record, dict):
        raise ConfigurationError(f"it is {type(record).__name__}, no object")
    missing = [key for key in ("template", "engine", "variables") if key not in record]
    if missing:
        raise ConfigurationError(f"it lacks {', '.join(missing)}")
    variables = record["variables"]
    if not isinstance(variables, list) or not all(isinstance(name, str) for name in variables):
        raise ConfigurationError('its "variables" are no list of names')
    return PromptTemplate.from_json(record)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object; a key that stands in it twice, as after a bad merge, is an error."""
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands there twice")
    return dict(pairs)
