"""Installing hooks: once for all blocks that overlap, and nothing left behind."""

import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters import instrumentation
from agl_adapters.instrumentation import instrumented
from agl_core.tracing import Tracing


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    yield
    assert instrumentation._installations == {}


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    tracing = Tracing()
    yield tracing
    tracing.shutdown()


def test_hooks_are_there_in_the_block_only(toys: Any, tracing: Tracing) -> None:
    integration = toys.ToyIntegration()
    original = toys.Toy.send
    with instrumented(tracing, candidates=[integration]):
        assert toys.Toy.send is not original
    assert toys.Toy.send is original


def test_blocks_within_blocks_install_once(toys: Any, tracing: Tracing) -> None:
    integration = toys.ToyIntegration()
    with instrumented(tracing, candidates=[integration]):
        with instrumented(tracing, candidates=[integration]):
            assert integration.installed == 1
        assert integration.removed == 0
    assert (integration.installed, integration.removed) == (1, 1)


def test_the_last_of_several_blocks_removes_whichever_that_is(toys: Any, tracing: Tracing) -> None:
    integration = toys.ToyIntegration()
    first = instrumented(tracing, candidates=[integration])
    second = instrumented(tracing, candidates=[integration])
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert integration.removed == 0
    second.__exit__(None, None, None)
    assert integration.removed == 1


def test_blocks_in_threads_install_once(toys: Any, tracing: Tracing) -> None:
    class SlowIntegration(toys.ToyIntegration):
        @contextmanager
        def hooks(self, tracing: Tracing) -> Generator[None]:
            time.sleep(0.005)
            with super().hooks(tracing):
                yield

    integration = SlowIntegration()
    inside = threading.Barrier(8)

    def enter(number: int) -> None:
        for _ in range(20):
            with instrumented(tracing, candidates=[integration]):
                assert integration.installed == integration.removed + 1
                inside.wait(5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(8)))
    # All eight were in their blocks at once, twenty times.
    assert integration.installed == integration.removed <= 20


def test_an_error_in_the_block_removes_the_hooks_and_goes_on(toys: Any, tracing: Tracing) -> None:
    integration = toys.ToyIntegration()
    with (
        pytest.raises(ZeroDivisionError),
        instrumented(tracing, candidates=[integration]),
    ):
        _ = 1 / 0
    assert integration.removed == 1


@pytest.mark.parametrize(
    "error", [agl.UnsupportedVersionError("toys 9 is too new"), AttributeError("toys._private")]
)
def test_what_cannot_be_installed_is_left_out_with_a_warning(
    toys: Any, tracing: Tracing, error: Exception
) -> None:
    broken, working = toys.ToyIntegration("broken"), toys.ToyIntegration("working")
    broken.fails_with = error
    with (
        pytest.warns(RuntimeWarning, match=f"broken is left out: .*{error}"),
        instrumented(tracing, candidates=[broken, working]),
    ):
        assert working.installed == 1


@pytest.mark.parametrize(
    "error", [agl.UnsupportedVersionError("toys 9 is too new"), AttributeError("toys._private")]
)
def test_what_is_required_and_cannot_be_installed_is_an_error(
    toys: Any, tracing: Tracing, error: Exception
) -> None:
    first, broken = toys.ToyIntegration("first"), toys.ToyIntegration("needed")
    broken.fails_with = error
    with (
        pytest.raises(agl.IntegrationError, match=str(error)),
        instrumented(tracing, {"needed"}, [first, broken]),
    ):
        pytest.fail("the block must not run")
    assert (first.installed, first.removed) == (1, 1)


def test_a_failed_installation_can_be_tried_again(toys: Any, tracing: Tracing) -> None:
    integration = toys.ToyIntegration()
    integration.fails_with = RuntimeError("not yet")
    with pytest.warns(RuntimeWarning), instrumented(tracing, candidates=[integration]):
        pass
    integration.fails_with = None
    with instrumented(tracing, candidates=[integration]):
        assert integration.installed == 1


def test_hooks_that_cannot_be_removed_do_not_lose_the_run(toys: Any, tracing: Tracing) -> None:
    integration = toys.ToyIntegration()
    integration.fails_to_leave_with = RuntimeError("stuck")
    with (
        pytest.warns(RuntimeWarning, match="'toys' could not be removed: RuntimeError: stuck"),
        instrumented(tracing, candidates=[integration]),
    ):
        pass


def test_a_framework_that_is_not_imported_is_left_alone_unless_required(
    toys: Any, tracing: Tracing
) -> None:
    integration = toys.ToyIntegration()
    integration.packages = ("a_framework_that_is_not_imported",)
    with instrumented(tracing, candidates=[integration]):
        assert integration.installed == 0
    with instrumented(tracing, {"toys"}, [integration]):
        assert integration.installed == 1


def test_runs_that_overlap_each_get_their_spans_and_their_content(toys: Any) -> None:
    """The hooks are those of the first; the second must not be left without spans."""
    integration = toys.ToyIntegration()
    first, second = Tracing(), Tracing(capture_content=False)
    with (
        instrumented(first, candidates=[integration]),
        instrumented(second, candidates=[integration]),
    ):
        for tracing in (first, second):
            with tracing.rollout("rollout") as recording:
                toys.Toy().run("?")
                assert first.capture_content is (tracing is first)
            assert [span.name for span in recording.spans] == ["rollout", "chat toy"]
    first.shutdown()
    second.shutdown()
