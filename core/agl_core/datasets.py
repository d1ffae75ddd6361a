"""Datasets: sequences of tasks, checked before anything is spent."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, overload

from agl_core.errors import DatasetError
from agl_core.files import trouble
from agl_core.text import cut, printable

__all__ = ["Dataset", "DatasetSource", "Split", "Task", "load_dataset"]

Split = Literal["train", "val", "test"]
DatasetSource = str | os.PathLike[str] | Iterable[Any]
"""A JSONL file's path, or tasks."""

_NAME_CHARS = 200
_DEPTH = 100
"""Tasks are copied for each rollout, which takes Python's own stack."""


@dataclass(frozen=True, slots=True)
class Task:
    """One JSON-able input with whatever its reward needs, and its place in a dataset."""

    key: str
    """Stable identity: a hash of the content (and of the repetition, for equal tasks)."""
    split: str
    """The dataset that it belongs to: train, val, test."""
    index: int
    """Its position in the dataset, from 0."""
    data: Any
    """The task as the user gave it. Agents and rewards are handed this."""

    @property
    def name(self) -> str:
        """What the task is called in messages: its own id if it has one, else split and index."""
        data: Any = self.data
        if isinstance(data, Mapping) and isinstance(data.get("id"), str | int):  # pyright: ignore[reportUnknownMemberType]
            return printable(cut(str(data["id"]), _NAME_CHARS))
        return f"{self.split}[{self.index}]"


class Dataset(Sequence[Task]):
    """The tasks of one split, in one fixed order. Immutable."""

    def __init__(self, split: str, tasks: Sequence[Task]) -> None:
        self.split = split
        self._tasks = tuple(tasks)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> Dataset: ...
    def __getitem__(self, index: int | slice) -> Task | Dataset:
        """Return a task, or a dataset of a slice of them."""
        if isinstance(index, slice):
            return Dataset(self.split, self._tasks[index])
        return self._tasks[index]

    def __len__(self) -> int:
        """Return the number of tasks."""
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        """Iterate over the tasks in order."""
        return iter(self._tasks)

    def __repr__(self) -> str:
        return f"Dataset({self.split!r}, {len(self)} tasks)"

    def fingerprint(self) -> str:
        """Return a hash of the tasks and their order."""
        digest = hashlib.sha256("\n".join(task.key for task in self._tasks).encode())
        return digest.hexdigest()[:16]


def load_dataset(source: DatasetSource | Dataset, split: str) -> Dataset:
    """Read and check a dataset.

    Args:
        source: Tasks (any iterable with an end), or the path of a JSONL file, one JSON value a
            line; empty lines are passed over.
        split: What the dataset is for: train, val, test.

    Raises:
        DatasetError: If it is empty or unreadable, a line does not parse, or a task is not
            JSON-able. The message names the file and line, or the index.
    """
    if isinstance(source, Dataset):
        tasks = [replace(task, split=split, index=index) for index, task in enumerate(source)]
        return Dataset(split, tasks)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        items, where = _read_jsonl(path), str(path)
    elif isinstance(source, Mapping | bytes) or not isinstance(source, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DatasetError(
            f"the {split} dataset is {type(source).__name__}; "
            "give a list of tasks or the path of a JSONL file"
        )
    else:
        items, where = list(source), f"the {split} dataset"
    if not items:
        raise DatasetError(f"{where} holds no task; at least one is needed")
    seen: Counter[str] = Counter()
    tasks: list[Task] = []
    for index, data in enumerate(items):
        content = _content_hash(data, f"{where}, task {index}")
        occurrence = seen[content]
        seen[content] += 1
        key = content if not occurrence else f"{content}.{occurrence}"
        tasks.append(Task(key, split, index, data))
    return Dataset(split, tasks)


def _read_jsonl(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"cannot read the dataset {path}: {trouble(error)}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"cannot read the dataset {path}: {error}; save it as UTF-8") from error
    items: list[Any] = []
    # Not str.splitlines: JSON text may hold line separators other than the newline.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            items.append(json.loads(line))
        # ValueError: no JSON, or an integer of thousands of digits.
        except (ValueError, RecursionError) as error:
            raise DatasetError(
                f"{path}, line {number}: not valid JSON: {error}; {_form(text)}"
            ) from error
    return items


def _form(text: str) -> str:
    """Say what form a dataset has, to somebody who gave another."""
    try:
        is_array = isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        is_array = False
    if is_array:
        return "the file is one JSON array: write each of its items on a line of its own"
    return 'each line is one JSON value, such as {"question": "...", "answer": "..."}'


def _content_hash(data: Any, where: str) -> str:
    try:
        content = json.dumps(data, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: a task must be JSON-able: {error}") from error
    if _is_deeper(data, _DEPTH):
        raise DatasetError(f"{where}: it is nested more than {_DEPTH} levels deep")
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _is_deeper(data: Any, levels: int) -> bool:
    layer: list[Any] = [data]
    for _ in range(levels):
        layer = [
            item
            for value in layer
            if isinstance(value, Mapping | list | tuple)
            for item in (value.values() if isinstance(value, Mapping) else value)  # pyright: ignore[reportUnknownMemberType]
        ]
        if not layer:
            return False
    return True
