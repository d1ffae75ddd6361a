from __future__ import annotations

import inspect
import re
import traceback
from typing import Any

import pytest

from agl_core import errors
from agl_core.errors import AglError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind is not Any]


def test_all_are_of_one_tree_and_public() -> None:
    assert all(issubclass(kind, AglError) for kind in KINDS)
    assert sorted(kind.__name__ for kind in KINDS) == sorted(errors.__all__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_tree_is_drawn_as_it_is(kind: type[AglError]) -> None:
    assert errors.__doc__ is not None
    lines = errors.__doc__.splitlines()
    (place,) = [i for i, line in enumerate(lines) if re.search(rf"\b{kind.__name__}\b", line)]
    depth = lines[place].index(kind.__name__)
    above = [line for line in lines[:place] if re.search(r"\w*Error\b", line)]
    parents = [
        match[0]
        for line in reversed(above)
        if (match := re.search(r"\w*Error\b", line)) and match.start() < depth
    ]
    assert (parents[0] if parents else "Exception") == kind.__bases__[0].__name__


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_all_are_safe_to_print(kind: type[AglError]) -> None:
    """They quote tasks and what models answered, and Python prints them when nobody catches."""
    error = kind("bad answer: \x1b[2J\x9b31m\u202e, line\n\ttwo")
    assert str(error) == "bad answer: \ufffd[2J\ufffd31m\ufffd, line\n\ttwo"
    assert "\x1b" not in "".join(traceback.format_exception(error))
