"""What the tests of the facade share: a small framework with its integration, and plugins."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agl_adapters import registry
from agl_adapters.injection import inject, slot_name
from agl_core.tracing import Tracing


class Toy:
    """A program of the framework `toys`: it sends its prompt and the input to its model."""

    name = "toy"

    def __init__(self, prompt: str = "Play.", is_async: bool = False) -> None:
        self.prompt = prompt
        self.is_async = is_async

    def run(self, input: Any) -> Any:
        return self._answer(input) if self.is_async else self.send(self.prompt, input)

    def answer(self, output: Any) -> Any:
        return output

    async def _answer(self, input: Any) -> str:
        return self.send(self.prompt, input)

    def send(self, system: str, user: Any) -> str:
        return f"{system} {user}"


class ToyIntegration:
    """The integration of `toys`. Its hook puts prompts into `Toy.send` and makes a span of it."""

    def __init__(self, name: str = "toys") -> None:
        self.name = name
        self.packages = ("toys",)
        self.installed = self.removed = 0
        self.fails_with: Exception | None = None
        self.fails_to_leave_with: Exception | None = None

    def recognizes(self, target: object) -> bool:
        return isinstance(target, Toy)

    def adapt(self, target: Any) -> Any:
        return target

    @contextmanager
    def hooks(self, tracing: Tracing) -> Generator[None]:
        if self.fails_with is not None:
            raise self.fails_with
        original = Toy.send

        def send(toy: Toy, system: str, user: Any) -> str:
            with tracing.tracer.start_as_current_span("chat toy"):
                return original(toy, inject(slot_name("toys", "toy"), system), user)

        self.installed += 1
        Toy.send = send  # pyright: ignore[reportAttributeAccessIssue]
        yield
        Toy.send = original
        self.removed += 1
        if self.fails_to_leave_with is not None:
            raise self.fails_to_leave_with


class Toys(ModuleType):
    """The framework: a module that has been imported."""

    def __init__(self) -> None:
        super().__init__("toys")
        self.Toy = Toy
        self.ToyIntegration = ToyIntegration


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The framework `toys`, imported. Its class must be left as it was found."""
    module = Toys()
    monkeypatch.setitem(sys.modules, "toys", module)
    send = Toy.send
    yield module
    assert Toy.send is send


Plugin = Callable[[str, str], Path]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """Installs a package that has an integration: its name, and the source of its module.

    The entry point refers to `make` in the module.
    """
    monkeypatch.syspath_prepend(tmp_path)
    modules: list[str] = []

    def install(name: str, source: str) -> Path:
        module = tmp_path / f"{name}_plugin.py"
        module.write_text(source)
        info = tmp_path / f"{name}_plugin-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1.0")
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{name} = {module.stem}:make\n")
        modules.append(module.stem)
        registry.integrations.cache_clear()
        return module

    yield install
    for module in modules:
        sys.modules.pop(module, None)
    registry.integrations.cache_clear()
