"""The line of the user's code that makes a call."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agl_adapters.places import place_of, user_place

HERE = Path(__file__)


def test_it_is_the_line_that_calls() -> None:
    places = [
        user_place(),
        (lambda: user_place())(),
    ]
    lines = [place.rpartition(":")[2] for place in places]
    assert [place.rpartition(":")[0] for place in places] == [shown()] * 2
    assert int(lines[1]) - int(lines[0]) == 1


def library() -> Callable[[], str]:
    """Return a function of a library that asks."""
    namespace: dict[str, Any] = {"user_place": user_place, "__name__": "library"}
    exec(compile("def look(): return user_place()", json.__file__, "exec"), namespace)
    return namespace["look"]


def test_libraries_are_not_the_users_code() -> None:
    before, place = user_place(), library()()
    assert place == before


def test_where_a_thread_began_nobody_called() -> None:
    found: list[str] = []
    look = library()
    thread = threading.Thread(target=lambda: found.append("") or found.append(look()))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(look).result() == ""
    thread.start()
    thread.join()
    assert found[1].startswith(f"{shown()}:")


async def test_of_a_coroutine_it_is_the_line_within_its_task() -> None:
    async def look() -> str:
        return user_place()

    assert (await asyncio.create_task(look())).startswith(f"{shown()}:")


def test_a_function_is_where_it_is_defined() -> None:
    assert place_of(shown).startswith(f"{shown()}:")
    assert place_of(print) == ""


def shown() -> str:
    here = Path.cwd()
    return str(HERE.relative_to(here)) if HERE.is_relative_to(here) else str(HERE)
