"""Noticing imports: what is to be done once a package has been imported, whoever imports it.

A package is not ready while one of its modules is still being executed: to patch it then would be
to import the rest of it in the middle. So what is to be done is done when the outermost import of
the package's modules in a thread ends, before the statement that made it goes on.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["when_imported"]

_Callback = Callable[[], None]


@contextmanager
def when_imported(packages: Sequence[str], callback: _Callback) -> Generator[bool]:
    """Call a function, in the block, whenever modules of some packages have been imported.

    It is called in the thread that imports, possibly more than once, and holds up that thread's
    import: it must not wait for a thread that may be importing. It may import; that does not call
    it again. What it raises is raised by the import. An import that fails may have got half-way,
    so it is called then too. It may be called a last time while the block ends.

    Args:
        packages: Dotted names; modules within them count.
        callback: What to call.

    Yields:
        Whether some thread was importing already when the block began. It will call the callback.
    """
    key = tuple(packages)
    with _lock:
        watch = _watches.get(key)
        if watch is None:
            watch = _watches[key] = _Watch(key)
        watch.callbacks.append(callback)
        under_way = watch.threads > 0
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
    try:
        yield under_way
    finally:
        with _lock:
            watch.callbacks.remove(callback)
            if not watch.callbacks:
                del _watches[key]
            if not _watches:
                with suppress(ValueError):  # somebody has put the list back as it was
                    sys.meta_path.remove(_finder)


class _Watch:
    """The packages that one or several callbacks wait for."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self.callbacks: list[_Callback] = []
        self.threads = 0
        self._packages = packages
        self._local = threading.local()

    def concerns(self, module: str) -> bool:
        return any(module == name or module.startswith(f"{name}.") for name in self._packages)

    @contextmanager
    def importing(self) -> Generator[None]:
        """Surround the execution of a module."""
        if getattr(self._local, "inside", False):
            yield
            return
        with _lock:
            self.threads += 1
        self._local.inside = True
        try:
            yield
        finally:
            try:
                self._call_back()
            finally:
                self._local.inside = False

    def _call_back(self) -> None:
        """Call all callbacks, those too that are added in the meantime, and stop importing."""
        called: list[_Callback] = []
        try:
            while waiting := self._waiting(called):
                for callback in waiting:
                    called.append(callback)
                    callback()
        except BaseException:
            with _lock:
                self.threads -= 1
            raise

    def _waiting(self, called: list[_Callback]) -> list[_Callback]:
        """Return the callbacks still to be called; if there are none, importing has ended."""
        with _lock:
            waiting = [callback for callback in self.callbacks if callback not in called]
            if not waiting:
                self.threads -= 1
            return waiting


class _Finder(MetaPathFinder):
    """Has modules of watched packages found by the other finders, and loaded with an eye on it."""

    def __init__(self) -> None:
        self._local = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        with _lock:
            watches = [watch for watch in _watches.values() if watch.concerns(fullname)]
        asked: set[str] = self._local.__dict__.setdefault("asked", set())
        if not watches or fullname in asked:  # another finder that asks all finders
            return None
        asked.add(fullname)
        try:
            spec = self._found(fullname, path, target)
        finally:
            asked.discard(fullname)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _WatchedLoader(spec.loader, watches)
        return spec

    def _found(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(fullname, path, target)
                if spec is not None:
                    return spec
        return None


class _WatchedLoader(Loader):
    """Executes a module with its own loader, which it has again before its code runs."""

    def __init__(self, loader: Any, watches: Sequence[_Watch]) -> None:
        self._loader = loader
        self._watches = watches

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        with ExitStack() as stack:
            for watch in self._watches:
                stack.enter_context(watch.importing())
            self._loader.exec_module(module)


_lock = threading.Lock()
# What a patch of the import system needs: it is the process's, and so is this.
_watches: dict[tuple[str, ...], _Watch] = {}
_finder = _Finder()
