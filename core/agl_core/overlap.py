"""The overlap guard: keeps tasks that candidates are judged by out of their prompts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, cast

from agl_core.datasets import Task

__all__ = ["OverlapGuard"]

_WORD = re.compile(r"\w+")
_LONGEST = 8
_SHORTEST = 4
_SHARE = 0.7

_Grams = frozenset[tuple[str, ...]]


class OverlapGuard:
    """Tells whether a text repeats a validation or test task, or gives away its answer.

    A text repeats a task if it holds at least 70% of the 8-grams of words of one of the texts that
    the task consists of; of a text of four to seven words, the whole (the measure for contaminated
    test data of Chowdhery et al., PaLM, 2022, section 8). Shorter texts of a task are labels that
    many tasks may share; an answer gives one away if it holds one that no training task has. So
    paraphrases are not seen.

    Args:
        train: The training tasks.
        judged: The validation and test tasks.
    """

    def __init__(self, train: Iterable[Task], judged: Iterable[Task]) -> None:
        self._train = train
        self._judged = judged

    @cached_property
    def _index(self) -> tuple[list[tuple[int, _Grams]], set[tuple[str, ...]]]:
        """Long texts as n-grams, and labels. Made when it is first asked for: few searches do."""
        known = {_words(text) for task in self._train for text in _texts(task.data)}
        long: list[tuple[int, _Grams]] = []
        labels: set[tuple[str, ...]] = set()
        for words in {_words(text) for task in self._judged for text in _texts(task.data)}:
            if len(words) >= _SHORTEST:
                size = min(_LONGEST, len(words))
                long.append((size, _grams(words, size)))
            elif words and words not in known:
                labels.add(words)
        return long, labels

    def repeats(self, text: str) -> bool:
        """Tell whether a text repeats a validation or test task."""
        words = _words(text)
        found = {size: _grams(words, size) for size in range(_SHORTEST, _LONGEST + 1)}
        return any(
            len(grams & found[size]) >= _SHARE * len(grams) for size, grams in self._index[0]
        )

    def gives_away(self, answer: str) -> bool:
        """Tell whether an answer holds a label that only validation or test tasks have."""
        words = _words(answer)
        found = {gram for size in range(1, _SHORTEST) for gram in _grams(words, size)}
        _, labels = self._index
        return not labels.isdisjoint(found)


def _texts(data: Any) -> Iterator[str]:
    """Yield the texts that a task consists of, without their names."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for value in cast("Mapping[str, Any]", data).values():
            yield from _texts(value)
    elif isinstance(data, list):
        for value in cast("list[Any]", data):
            yield from _texts(value)


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.lower()))


def _grams(words: tuple[str, ...], size: int) -> _Grams:
    return frozenset(words[at : at + size] for at in range(len(words) - size + 1))
