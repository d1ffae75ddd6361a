"""Writing an export: rows of a format into one file, in one step."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterable
from enum import StrEnum

from agl_adapters.exports.examples import KeptRollout, kept_rollouts
from agl_adapters.exports.formats import ROWS, Row
from agl_core.errors import ConfigurationError, MissingDependencyError
from agl_core.files import write_atomically
from agl_core.storage.runs import known_run
from agl_core.storage.store import Store

__all__ = ["Format", "export"]


class Format(StrEnum):
    """What the rows of an export are for."""

    CHAT_SFT = "chat-sft"
    """Supervised fine-tuning, as TRL's `SFTTrainer` takes it."""
    OPENAI_FINETUNE = "openai-finetune"
    """Supervised fine-tuning, as OpenAI's service takes it."""
    PREFERENCE = "preference"
    """Pairs of a better and a worse answer, as TRL's `DPOTrainer` takes them."""
    TRIPLETS = "triplets"
    """Prompt, response and reward of each model call."""
    JSONL = "jsonl"
    """Every rollout, flat."""
    PARQUET = "parquet"
    """The same as Parquet; needs pyarrow."""


_FOR_TRAINING = {Format.CHAT_SFT, Format.OPENAI_FINETUNE, Format.PREFERENCE}


def export(
    store: Store,
    runs: str | Iterable[str],
    path: str | os.PathLike[str],
    *,
    format: Format | str = Format.CHAT_SFT,
    min_reward: float | None = None,
    splits: Collection[str] = ("train", "val"),
) -> int:
    """Write rollouts of runs to a file, replacing it in one step.

    Args:
        store: Where the runs are.
        runs: The name of a run, or names.
        path: The file: JSON Lines, or Parquet.
        format: What the rows are for.
        min_reward: The lowest score that counts. By default 1.0 where answers are to be imitated
            or preferred (``chat-sft``, ``openai-finetune``, ``preference``), else any.
        splits: The rollouts on tasks of these count. Those on test tasks do not, unless ``"test"``
            is named: what is trained on them cannot be tested on them.

    Returns:
        The number of rows.

    Raises:
        ConfigurationError: If there is no such run or format, no rollout counts, or the file cannot
            be written.
        MissingDependencyError: If pyarrow is needed and not installed.
        StoreError: If the store cannot be read.
    """
    if format not in list(Format):
        raise ConfigurationError(f"there is no format {format!r}; there are: {', '.join(Format)}")
    kind = Format(format)
    if min_reward is None:
        min_reward = 1.0 if kind in _FOR_TRAINING else -math.inf
    rollouts: list[KeptRollout] = []
    for run in [runs] if isinstance(runs, str) else runs:
        known_run(store, run)
        rollouts += kept_rollouts(store, run, splits)
    rows = list(ROWS[kind](rollouts, min_reward))
    if not rows:
        raise ConfigurationError(_nothing(rollouts, min_reward, splits))
    write_atomically(path, _parquet(rows) if kind is Format.PARQUET else _lines(rows), private=True)
    return len(rows)


def _nothing(rollouts: list[KeptRollout], min_reward: float, splits: Collection[str]) -> str:
    if not rollouts:
        return f"there is no rollout with a score on tasks of {' or '.join(splits)}"
    best = max(kept.rollout.score or 0.0 for kept in rollouts)
    if best < min_reward:
        return (
            f"no rollout earned {min_reward:g}; the best one earned {best:g}: lower min_reward "
            "(--min-reward)"
        )
    return (
        "no rollout that counts has what the format needs: model calls with answers "
        "(capture_content=False keeps them out), for pairs two of one task with other scores"
    )


def _lines(rows: list[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _parquet(rows: list[Row]) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "parquet needs pyarrow: pip install 'agl-adapters[export]'"
        ) from error
    buffer = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    return buffer.getvalue().to_pybytes()
