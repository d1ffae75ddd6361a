"""Installing hooks: once for all blocks that overlap, and nothing left behind."""

import importlib
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters import instrumentation
from agl_adapters.instrumentation import instrumented
from agl_core.tracing.tracing import Tracing


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


# frameworks that are imported in the block


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """Imports the framework `late`, which is in no module yet."""
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "__init__.py").write_text("")
    (tmp_path / "late" / "graph.py").write_text("from late import core")
    (tmp_path / "late" / "core.py").write_text("import time\ntime.sleep(0.02)")
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda: importlib.import_module("late.graph")
    for name in [name for name in sys.modules if name.partition(".")[0] == "late"]:
        del sys.modules[name]


@pytest.fixture
def integration(toys: Any) -> Any:
    integration = toys.ToyIntegration("late")
    integration.packages = ("late",)
    return integration


@pytest.mark.parametrize("required", [(), ("late",)])
def test_a_framework_is_hooked_into_when_the_program_imports_it(
    integration: Any, late: Callable[[], Any], tracing: Tracing, required: Any
) -> None:
    with (
        instrumented(tracing, required, [integration]),
        instrumented(tracing, required, [integration]),
    ):
        assert integration.installed == 0
        late()
        assert (integration.installed, integration.removed) == (1, 0)
    assert integration.removed == 1


def test_hooks_live_as_long_as_the_last_block(
    integration: Any, late: Callable[[], Any], tracing: Tracing
) -> None:
    first = instrumented(tracing, (), [integration])
    first.__enter__()
    late()
    with instrumented(tracing, (), [integration]):
        first.__exit__(None, None, None)
        assert (integration.installed, integration.removed) == (1, 0)
    assert integration.removed == 1


def test_an_import_in_another_thread_counts_for_the_block(
    integration: Any, late: Callable[[], Any], tracing: Tracing
) -> None:
    with instrumented(tracing, (), [integration]):
        thread = threading.Thread(target=late)
        thread.start()
        thread.join(10)
        assert integration.installed == 1


def test_what_cannot_be_hooked_into_late_is_left_out_with_one_warning(
    integration: Any, late: Callable[[], Any], tracing: Tracing
) -> None:
    integration.fails_with = agl.UnsupportedVersionError("late 9 is too new")
    with instrumented(tracing, (), [integration]):
        with pytest.warns(RuntimeWarning, match="late is left out: late 9 is too new"):
            late()
        del sys.modules["late.core"]
        importlib.import_module("late.core")


def test_what_is_required_fails_the_import(
    integration: Any, late: Callable[[], Any], tracing: Tracing
) -> None:
    integration.fails_with = agl.UnsupportedVersionError("late 9 is too new")
    with instrumented(tracing, {"late"}, [integration]):
        for _ in range(2):
            with pytest.raises(agl.UnsupportedVersionError, match="late 9 is too new"):
                late()


def test_blocks_and_imports_of_many_threads_wait_for_no_one_forever(
    toys: Any, late: Callable[[], Any], tracing: Tracing
) -> None:
    """One thread imports the framework while others begin blocks, whose hooks import it too."""

    class Importing(toys.ToyIntegration):
        @contextmanager
        def hooks(self, tracing: Tracing) -> Generator[None]:
            late()
            with super().hooks(tracing):
                yield

    integration = Importing("late")
    integration.packages = ("late",)
    begin = threading.Barrier(8)

    def work(number: int) -> int:
        begin.wait(10)
        with instrumented(tracing, ("late",) if number % 2 else (), [integration]):
            late()
            begin.wait(10)
            return integration.installed - integration.removed

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8), timeout=20)) == [1] * 8
    assert integration.installed == integration.removed == 1


def test_an_import_does_not_wait_for_hooks_that_wait_for_it(
    toys: Any, late: Callable[[], Any], tracing: Tracing, tmp_path: Path
) -> None:
    """The hooks import a module that another thread is importing. Two blocks want them."""
    (tmp_path / "late" / "extra.py").write_text("import sys\nsys.importing_extra()")
    installing, importing = threading.Event(), threading.Event()

    def importing_extra() -> None:
        importing.set()
        time.sleep(0.05)  # by then the hooks wait for this module

    class Importing(toys.ToyIntegration):
        @contextmanager
        def hooks(self, tracing: Tracing) -> Generator[None]:
            installing.set()
            assert importing.wait(10)
            importlib.import_module("late.extra")
            with super().hooks(tracing):
                yield

    integration = Importing("late")
    integration.packages = ("late",)

    def import_extra() -> None:
        assert installing.wait(10)
        importlib.import_module("late.extra")

    sys.importing_extra = importing_extra  # pyright: ignore[reportAttributeAccessIssue]
    threads = [threading.Thread(target=work, daemon=True) for work in (late, import_extra)]
    first, second = (instrumented(tracing, (), [integration]) for _ in range(2))
    try:
        with first, second:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(5)
            assert not any(thread.is_alive() for thread in threads)
            assert integration.installed == 1
    finally:
        del sys.importing_extra  # pyright: ignore[reportAttributeAccessIssue]
