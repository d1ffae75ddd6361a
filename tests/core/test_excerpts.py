from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agl_core.excerpts import excerpt

DATA = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_what_fits_is_the_thing_itself() -> None:
    value = {"a": ["b", ("c", 1)]}
    taken, whole = excerpt(value, 100)
    assert taken is value
    assert whole


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("x" * 50, "x" * 9),
        (["ab"] * 50, ["ab", "ab", "ab", ""]),
        ({"ab": "cd", "ef": "g" * 50, "h": 1}, {"ab": "cd", "ef": ""}),
        ([[["x" * 50], "never"], "never"], [[["x" * 6]]]),
    ],
)
def test_of_more_it_is_the_start(value: Any, taken: Any) -> None:
    assert excerpt(value, 10) == (taken, False)


@given(DATA, st.integers(1, 200))
def test_it_holds_no_more_text_than_there_is_room_for(value: Any, limit: int) -> None:
    taken, whole = excerpt(value, limit)
    if whole:
        assert taken is value
    else:
        assert sum(c not in '[]{}," :' for c in json.dumps(taken, ensure_ascii=False)) <= 30 * limit
        assert len(json.dumps(taken)) <= len(json.dumps(value))
