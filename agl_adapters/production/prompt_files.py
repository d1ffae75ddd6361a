"""Prompt files by hand: `agl.save_prompts` and `agl.load_prompts`.

They write and read what `TrainResult.save` writes: see `agl_core.prompts.prompt_files`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from agl_core.errors import ConfigurationError
from agl_core.prompts.prompt_files import PromptFile, read_prompt_file, write_prompt_file
from agl_core.prompts.templates import PromptTemplate, coerce_resources

__all__ = ["load_prompts", "save_prompts"]


def save_prompts(
    resources: Mapping[str, str | PromptTemplate],
    path: str | os.PathLike[str],
    *,
    replaces: Mapping[str, str | PromptTemplate] | None = None,
) -> Path:
    """Write prompts to a file, replacing it in one step.

    Args:
        resources: Prompts by slot, or by resource name.
        path: The file; folders are made as needed.
        replaces: The program's own prompts by slot, where they are known. `use_prompts` then
            notices if the program has others by now.

    Raises:
        ConfigurationError: If they are no resources, something is replaced for which there is no
            prompt, or the file cannot be written.
    """
    prompts, own = coerce_resources(resources), coerce_resources(replaces or {})
    if unknown := sorted(own.keys() - prompts.keys()):
        raise ConfigurationError(
            f"replaces names {unknown[0]!r}, for which there is no prompt to save"
        )
    return write_prompt_file(PromptFile(prompts, own), path)


def load_prompts(path: str | os.PathLike[str]) -> dict[str, PromptTemplate]:
    """Read the prompts of a file.

    Raises:
        ConfigurationError: If it cannot be read, is no prompt file, or of a newer version.
    """
    return dict(read_prompt_file(path).prompts)
