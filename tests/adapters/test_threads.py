"""What a program submits to a thread pool of its own sees the prompts bound, and only there."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from agl_adapters.threads import contexts_in_pools
from agl_core.prompts.binding import Binding, bound, current_binding

VARIABLE: ContextVar[str] = ContextVar("variable", default="default")


def read() -> tuple[Binding | None, str]:
    return current_binding(), VARIABLE.get()


def test_submitted_work_sees_the_binding_and_the_context_of_its_submitter() -> None:
    binding = Binding({})
    with ThreadPoolExecutor(1) as pool, contexts_in_pools():
        token = VARIABLE.set("set")
        with bound(binding):
            assert pool.submit(read).result() == (binding, "set")
            assert list(pool.map(lambda _: read(), range(2))) == [(binding, "set")] * 2
        VARIABLE.reset(token)


async def test_run_in_executor_sees_the_binding() -> None:
    binding = Binding({})
    with ThreadPoolExecutor(1) as pool, contexts_in_pools(), bound(binding):
        found, _ = await asyncio.get_running_loop().run_in_executor(pool, read)
    assert found is binding


def test_concurrent_submitters_share_a_pool_without_mixing() -> None:
    bindings = [Binding({}) for _ in range(8)]

    def submit(binding: Binding) -> list[Binding | None]:
        with bound(binding):
            return list(inner.map(lambda _: current_binding(), range(20)))

    with ThreadPoolExecutor(8) as outer, ThreadPoolExecutor(2) as inner, contexts_in_pools():
        found = list(outer.map(submit, bindings))
    assert found == [[binding] * 20 for binding in bindings]


def test_outside_a_binding_a_pool_is_as_always() -> None:
    with ThreadPoolExecutor(1) as pool, contexts_in_pools():
        token = VARIABLE.set("set")
        assert pool.submit(read).result() == (None, "default")
        VARIABLE.reset(token)


def test_a_failure_and_keyword_arguments_pass_through() -> None:
    def fail(*, fn: str) -> None:
        raise ValueError(fn)

    with (
        ThreadPoolExecutor(1) as pool,
        contexts_in_pools(),
        bound(Binding({})),
        pytest.raises(ValueError, match="boom"),
    ):
        pool.submit(fail, fn="boom").result()


def test_overlapping_blocks_restore_the_class_at_the_end() -> None:
    found = ThreadPoolExecutor.__dict__["submit"]
    first, second = contexts_in_pools(), contexts_in_pools()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert ThreadPoolExecutor.__dict__["submit"] is not found
    second.__exit__(None, None, None)
    assert ThreadPoolExecutor.__dict__["submit"] is found
