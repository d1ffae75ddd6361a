"""Noticing imports: after the outermost one, before the program goes on, and without a trace."""

import importlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from agl_adapters.imports import when_imported

Write = Callable[..., None]


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    before = list(sys.meta_path)
    yield
    assert sys.meta_path == before


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes modules that can be imported: path and source of each."""
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)

    def write(**sources: str) -> None:
        for path, source in sources.items():
            file = tmp_path / f"{path.replace('__', '/')}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(source)
        importlib.invalidate_caches()

    yield write
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.fixture
def lazy(modules: Write) -> None:
    """A framework `lazy`, whose module `graph` imports its module `core`."""
    modules(
        lazy__init="",  # no package's __init__: `lazy` is a namespace
        lazy__core="NAME = 'core'",
        lazy__graph="from lazy import core\nDONE = True",
        program="import lazy.graph\nSEEN = list(calls)",
    )


class Calls(list[bool]):
    """A callback that records whether the module `lazy.graph` was ready when it was called."""

    def __call__(self) -> None:
        self.append(hasattr(sys.modules.get("lazy.graph"), "DONE"))


@pytest.mark.usefixtures("lazy")
def test_it_is_called_once_when_the_outermost_import_has_ended() -> None:
    calls = Calls()
    with when_imported(["lazy"], calls) as under_way:
        assert not under_way
        assert calls == []
        importlib.import_module("lazy.graph")
        assert calls == [True]
        importlib.import_module("lazy.graph")
        assert calls == [True]
    assert calls == [True]


@pytest.mark.usefixtures("lazy")
def test_it_is_called_before_the_program_goes_on(modules: Write) -> None:
    modules(program="import sys\nimport lazy.graph\nSEEN = list(sys.calls)")
    calls = Calls()
    sys.calls = calls  # pyright: ignore[reportAttributeAccessIssue]
    try:
        with when_imported(["lazy"], calls):
            assert importlib.import_module("program").SEEN == [True]
    finally:
        del sys.calls  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.usefixtures("lazy")
def test_other_packages_do_not_matter_and_dotted_names_do(modules: Write) -> None:
    modules(lazybones="", lazy__graphics="")
    names = ["lazybones", "lazy.graphics", "lazy.core"]
    calls = Calls()
    with when_imported(["lazy.graph", "other"], calls):
        for name in names:
            importlib.import_module(name)
        assert calls == []
        importlib.import_module("lazy.graph")
        assert calls == [True]


@pytest.mark.usefixtures("lazy")
def test_one_package_within_another_is_ready_first(modules: Write) -> None:
    modules(outer="import lazy.graph\nREADY = True")
    seen: list[tuple[str, bool]] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: seen.append((name, hasattr(sys.modules["outer"], "READY")))

    with when_imported(["lazy"], note("lazy")), when_imported(["outer"], note("outer")):
        importlib.import_module("outer")
    assert seen == [("lazy", False), ("outer", True)]


@pytest.mark.usefixtures("lazy")
def test_what_it_imports_itself_does_not_call_it_again() -> None:
    calls: list[str] = []

    def callback() -> None:
        calls.append(importlib.import_module("lazy.graph").__name__)

    with when_imported(["lazy"], callback):
        importlib.import_module("lazy.core")
    assert calls == ["lazy.graph"]


@pytest.mark.usefixtures("lazy")
def test_what_it_raises_is_raised_by_the_import() -> None:
    def callback() -> None:
        raise ZeroDivisionError

    with when_imported(["lazy"], callback):
        with pytest.raises(ZeroDivisionError):
            importlib.import_module("lazy.core")
        assert "lazy.core" not in sys.modules
    importlib.import_module("lazy.core")


def test_an_import_that_fails_may_have_got_half_way(modules: Write) -> None:
    modules(half__core="", half__broken="import half.core\nraise ValueError")
    calls: list[bool] = []
    with when_imported(["half"], lambda: calls.append("half.core" in sys.modules)):
        with pytest.raises(ValueError):  # noqa: PT011 - it has no message
            importlib.import_module("half.broken")
        assert calls == [True]


@pytest.mark.usefixtures("lazy")
def test_a_module_has_its_own_loader(modules: Write) -> None:
    modules(lazy__looking="import inspect, sys\nTEXT = inspect.getsource(sys.modules[__name__])")
    with when_imported(["lazy"], Calls()):
        spec = importlib.util.find_spec("lazy.core")
        assert spec is not None
        assert spec.loader is not None
        assert spec.loader.get_source("lazy.core") == "NAME = 'core'"  # pyright: ignore[reportAttributeAccessIssue]
        module = importlib.import_module("lazy.looking")
        assert module.TEXT.startswith("import inspect")
        assert type(module.__loader__) is SourceFileLoader
        assert module.__spec__ is not None
        assert module.__spec__.loader is module.__loader__
        assert inspect.getsource(module) == module.TEXT
        assert importlib.reload(module) is module


@pytest.mark.usefixtures("lazy")
def test_a_module_that_is_not_there_is_missing_as_ever() -> None:
    with when_imported(["lazy"], Calls()):
        with pytest.raises(ModuleNotFoundError, match=r"No module named 'lazy\.none'"):
            importlib.import_module("lazy.none")
        assert importlib.util.find_spec("lazy.none") is None


@pytest.mark.usefixtures("lazy")
def test_blocks_overlap() -> None:
    first, second = Calls(), Calls()
    outer = when_imported(["lazy"], first)
    inner = when_imported(["lazy"], second)
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    importlib.import_module("lazy.graph")
    inner.__exit__(None, None, None)
    assert (first, second) == ([], [True])


def test_a_block_that_begins_during_an_import_is_told_and_called(modules: Write) -> None:
    """The thread that imports calls it; nobody else could know when the package is ready."""
    modules(slow="import sys\nsys.started.set()\nassert sys.go_on.wait(10)\nREADY = True")
    started, go_on = threading.Event(), threading.Event()
    sys.started, sys.go_on = started, go_on  # pyright: ignore[reportAttributeAccessIssue]
    seen: list[bool] = []
    thread = threading.Thread(target=importlib.import_module, args=["slow"])
    try:
        with when_imported(["slow"], lambda: None):
            thread.start()
            assert started.wait(10)
            late = when_imported(
                ["slow"], lambda: seen.append(hasattr(sys.modules["slow"], "READY"))
            )
            with late as under_way:
                assert under_way
                go_on.set()
                thread.join(10)
                assert seen == [True]
    finally:
        del sys.started, sys.go_on  # pyright: ignore[reportAttributeAccessIssue]
