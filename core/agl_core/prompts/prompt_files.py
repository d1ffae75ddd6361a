"""Prompt files: prompts as JSON, to be reviewed, versioned and shipped.

What a file holds is said in full by `json_schema`, which comes with the package. In short:

    schema    "agl-adapters/prompts"
    version   2
    run       name of the run that found the prompts, or null
    verdict   what the run found out, or null
    scores    by name, such as "best_test"
    versions  of this package and of the frameworks that the slots belong to, when it was written
    prompts   by slot or resource name: template, engine, variables and, where it is known,
              `replaces`: the prompt that the program has there by itself, and its hash

Templates are lists of lines, so that a diff of two files shows the lines that changed. What one
prompts file says twice is in the same place in every other one: equal prompts, equal bytes.

Version 1 had templates as one string, and neither hashes nor versions. It is still read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, cast

from agl_core.errors import ConfigurationError
from agl_core.files import write_atomically
from agl_core.prompts.templates import PromptTemplate, Resources, coerce_resources
from agl_core.text import escape_hidden
from agl_core.versions import installed_versions

__all__ = ["PromptFile", "json_schema", "read_prompt_file", "text_hash", "write_prompt_file"]

SCHEMA = "agl-adapters/prompts"
VERSION = 2


@dataclass(frozen=True, slots=True)
class PromptFile:
    """What a prompt file holds."""

    prompts: Resources
    """Prompt by slot or resource name."""
    replaces: Resources = field(default_factory=dict[str, PromptTemplate])
    """The program's own prompt by slot, where it is known."""
    run: str | None = None
    """The run that found them."""
    verdict: str | None = None
    """What that run found out."""
    scores: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    """Its scores, by name."""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Versions by distribution, as installed when the file was written; see `write_prompt_file`."""


def text_hash(prompt: PromptTemplate) -> str:
    """Return the hash of a prompt's text: SHA-256 over its UTF-8 bytes, in hexadecimal.

    The text is the template's, its placeholders unfilled; lines end in a single newline character.
    Half of a surrogate pair counts as the three bytes that its code point would have.
    """
    return hashlib.sha256(prompt.raw.encode("utf-8", "surrogatepass")).hexdigest()


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the files that `write_prompt_file` writes."""
    folder = resources.files("agl_core") / "schemas"
    return json.loads((folder / f"prompts.v{VERSION}.json").read_text(encoding="utf-8"))


def write_prompt_file(file: PromptFile, path: str | os.PathLike[str]) -> Path:
    """Write a prompt file, replacing an old one in one step.

    ``versions`` are those that are installed now, whatever `file` says.

    Raises:
        ConfigurationError: If it cannot be written.
    """
    frameworks = {name.partition(":")[0] for name in file.prompts if ":" in name}
    payload = {
        "schema": SCHEMA,
        "version": VERSION,
        "run": file.run,
        "verdict": file.verdict,
        "scores": dict(file.scores),
        "versions": installed_versions(frameworks),
        "prompts": {
            name: _record(file.prompts[name], file.replaces.get(name))
            for name in sorted(file.prompts)
        },
    }
    text = json.dumps(payload, indent=2, ensure_ascii=False, allow_nan=False)
    return write_atomically(path, escape_hidden(text, _escaped) + "\n")


def read_prompt_file(path: str | os.PathLike[str]) -> PromptFile:
    """Read a prompt file of this version or an older one.

    Raises:
        ConfigurationError: If it cannot be read, is no prompt file, is of a newer version, or a
            hash in it is not that of its text.
    """
    where = Path(path)
    data = _parsed(where)
    try:
        records = _part(data, "prompts", dict)
        scores = _part(data, "scores", dict, {})
        versions = _part(data, "versions", dict, {})
        if not all(score is None or _is_number(score) for score in scores.values()):
            raise ConfigurationError('its "scores" are no numbers')
        if not all(isinstance(version, str) for version in versions.values()):
            raise ConfigurationError('its "versions" are no texts')
        run, verdict = (_part(data, name, str, None) for name in ("run", "verdict"))
    except ConfigurationError as error:
        raise ConfigurationError(f"{where} is damaged: {error}") from error
    prompts: dict[str, PromptTemplate] = {}
    replaces: dict[str, PromptTemplate] = {}
    for name, record in records.items():
        try:
            prompts |= coerce_resources({name: _template(record)})
            if record.get("replaces") is not None:
                replaces[name] = _replaced(record["replaces"])
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: prompt {name!r}: {error}") from error
    return PromptFile(prompts, replaces, run, verdict, scores, versions)


def _parsed(where: Path) -> dict[str, Any]:
    """Return the JSON object of a prompt file whose version can be read.

    Raises:
        ConfigurationError: If there is none.
    """
    try:
        # A byte order mark, as some editors write it, is no damage.
        data: Any = json.loads(where.read_text(encoding="utf-8-sig"), object_pairs_hook=_object)
    except IsADirectoryError as error:
        raise ConfigurationError(
            f"cannot read the prompts {where}: Is a directory; give the file in it, such as "
            f"{where / 'prompts.json'}"
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the prompts {where}: {error.strerror}; give a file that "
            "TrainResult.save or agl.save_prompts wrote"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{where} is damaged, or no prompt file: {error}; write it again, or restore it"
        ) from error
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
    return data


def _record(prompt: PromptTemplate, own: PromptTemplate | None) -> dict[str, Any]:
    record = _in_lines(prompt)
    if own is not None:
        record["replaces"] = {**_in_lines(own), "sha256": text_hash(own)}
    return record


def _in_lines(prompt: PromptTemplate) -> dict[str, Any]:
    data = prompt.to_json()
    return {**data, "template": data["template"].split("\n")}


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]


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
    variables, template = record["variables"], record["template"]
    if not _is_texts(variables):
        raise ConfigurationError('its "variables" are no list of names')
    if isinstance(template, list):
        if not _is_texts(template):
            raise ConfigurationError('its "template" is no list of lines')
        if any("\n" in line for line in template):
            raise ConfigurationError('a line of its "template" is several: make each an entry')
        template = "\n".join(template)
    return PromptTemplate.from_json({**record, "template": template})


def _replaced(record: Any) -> PromptTemplate:
    own = _template(record)
    if "sha256" in record and record["sha256"] != text_hash(own):
        raise ConfigurationError(
            'what it "replaces" is not the text of its "sha256": restore the text, or remove the '
            "hash if you changed the text on purpose"
        )
    return own


def _part(data: Mapping[str, Any], name: str, kind: type[Any], *default: Any) -> Any:
    value = data.get(name)
    if value is None and default:
        return default[0]
    if not isinstance(value, kind):
        noun = "object" if kind is dict else "text"
        raise ConfigurationError(f'"{name}" is no {noun}')
    return value


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, str) for item in cast("list[Any]", value)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object; a key that stands in it twice, as after a bad merge, is an error."""
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands there twice")
    return dict(pairs)
