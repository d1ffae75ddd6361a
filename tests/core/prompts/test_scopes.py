import asyncio
import threading

import pytest

from agl_core.prompts.scopes import Scoped


def seen_in_a_new_thread(scoped: Scoped[str]) -> list[str | None]:
    seen: list[str | None] = []
    thread = threading.Thread(target=lambda: seen.extend([scoped.get(), scoped.of_block()]))
    thread.start()
    thread.join()
    return seen


def test_a_value_holds_in_its_block() -> None:
    scoped = Scoped[str]("scoped")
    assert scoped.get() is None
    with scoped.set("outer"):
        with scoped.set("inner"):
            assert scoped.get() == scoped.of_block() == "inner"
        assert scoped.get() == "outer"
    with pytest.raises(ZeroDivisionError), scoped.set("outer"):
        _ = 1 / 0
    assert scoped.get() is None


async def test_a_value_of_a_block_is_seen_in_tasks_and_not_in_new_threads() -> None:
    scoped = Scoped[str]("scoped")

    async def look() -> str | None:
        return scoped.get()

    with scoped.set("mine"):
        assert await asyncio.create_task(look()) == "mine"
        assert seen_in_a_new_thread(scoped) == [None, None]


def test_the_value_of_the_process_holds_where_no_block_is() -> None:
    scoped = Scoped[str]("scoped")
    scoped.everywhere = "everywhere"
    assert seen_in_a_new_thread(scoped) == ["everywhere", None]
    with scoped.set("mine"):
        assert scoped.get() == "mine"
        assert seen_in_a_new_thread(scoped) == ["everywhere", None]
    with scoped.set(None):
        assert scoped.get() is None
    assert scoped.get() == "everywhere"
