"""What these tests share: a small framework with its integration, plugins, a browser."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import openai
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request, async_playwright

import agl_adapters as agl
from agl_adapters import registry
from agl_adapters.injection import inject, slot_name
from agl_adapters.testing import simulated_model
from agl_core.tracing.tracing import Tracing


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


# ------------------------------------------------------------------------------------------- pages

HOSTILE = (
    "</script><script>window.taken=1</script><img src=x onerror=window.taken=1>"
    "<a href=javascript:window.taken=1>link</a> \x1b[31mred\x1b[0m \u202ereversed\u202c "
    '{{ 7*7 }} ${7*7} \u2028 ]]> <!-- \x00 &lt;b&gt; "onfocus=window.taken=1 autofocus x="'
)
"""What a prompt, a task or a model may say to whoever shows it."""


@dataclass(frozen=True)
class HostileRun:
    """A store with a run in which every text is hostile."""

    path: Path
    name: str
    text: str = HOSTILE


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> HostileRun:
    """A real run: the seed, three candidates and a rejected one; a task on which the agent fails.

    The second candidate is right on every task, the seed on none.
    """
    path = tmp_path_factory.mktemp("pages") / "runs.db"
    name = f"run {HOSTILE}".replace("\0", "")  # no command takes one
    tasks = [{"id": f"task-{n} {HOSTILE}", "n": n, "input": HOSTILE} for n in range(8)]
    with simulated_model("echo", set_environment=False) as model:
        client = openai.OpenAI(base_url=model.base_url, api_key="simulated")

        @agl.rollout
        def agent(task: Any, prompt: agl.PromptTemplate) -> agl.Reward:
            text = prompt.format()
            messages: Any = [
                {"role": "system", "content": text},
                {"role": "user", "content": f"CALL:tool {task['input']}"},
            ]
            tool = {"name": "tool", "parameters": {"type": "object", "properties": {}}}
            client.chat.completions.create(
                model="gpt-4o",
                messages=messages,
                tools=[{"type": "function", "function": tool}],  # pyright: ignore[reportArgumentType]
            )
            if task["n"] == 0 and "better" not in text:
                raise ValueError(HOSTILE)
            right = 1.0 if "better" in text else float("worse" in text and task["n"] == 3)
            return agl.Reward(right, feedback=HOSTILE, metrics={HOSTILE: 0.5})

        @agl.algorithm
        async def search(session: agl.Session) -> None:
            seed = session.report(agl.Candidate(session.initial))
            for number, word in enumerate(("seed", "worse", "better", "worse still")):
                text = session.initial["prompt"].raw
                text = text if number == 0 else f"{text}\nBe {word}. {HOSTILE}"
                resources = {"prompt": session.initial["prompt"].with_text(text)}
                candidate = agl.Candidate(
                    resources,
                    parent=None if number == 0 else seed.id,
                    edit=HOSTILE if number else "",
                    round=number,
                    metadata={HOSTILE: HOSTILE} if number else {},
                )
                await session.evaluate(resources, session.val)
                session.report(candidate)
            rejected = agl.Candidate(
                session.initial, parent=seed.id, edit=HOSTILE, round=1, rejected=HOSTILE
            )
            session.report(rejected)

        with client:
            trainer = agl.Trainer(
                search,
                store=path,
                run=name,
                initial_resources={"prompt": agl.PromptTemplate(f"Hello.\n{HOSTILE}", "literal")},
            )
            trainer.fit(agent, tasks, tasks, test_dataset=tasks[::-1])
            trainer.store.close()
    return HostileRun(path, name)


def _chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, once for all tests, which run on its event loop: that of the session."""
    path = _chromium()
    if path is None:
        reason = "there is no Chromium: apt install chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    flags = "--disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync"
    async with async_playwright() as playwright:
        # Its own sandbox needs rights that root in a container lacks.
        chromium = await playwright.chromium.launch(
            executable_path=path, args=flags.split(), chromium_sandbox=False
        )
        yield chromium
        await chromium.close()


@dataclass
class Watched:
    """A page, and what its browser had to say about it."""

    page: Page
    problems: list[str] = field(default_factory=list[str])
    """Messages of the console, errors, and what came of a script in a text."""
    requests: list[str] = field(default_factory=list[str])
    """What was asked of a network."""

    def note(self, request: Request) -> None:
        """Take down a request that is not for a file."""
        if not request.url.startswith(("file:", "data:")):
            self.requests.append(request.url)

    async def settle(self) -> None:
        """Wait until nothing of a text could still be about to run."""
        await self.page.wait_for_timeout(50)
        if await self.page.evaluate("window.taken"):
            self.problems.append("a script of a text was run")


Opener = Callable[..., Any]


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser) -> AsyncIterator[Opener]:
    """Opens an address in a new window; options as for a context. Nothing may go wrong in it."""
    opened: list[Watched] = []

    async def open_(address: str, width: int = 1280, height: int = 900, **options: Any) -> Watched:
        context = await browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce", **options
        )
        watched = Watched(await context.new_page())
        page = watched.page
        page.on("console", lambda message: watched.problems.append(message.text))
        page.on("pageerror", lambda error: watched.problems.append(str(error)))
        page.on("request", watched.note)
        opened.append(watched)
        await page.goto(address)
        return watched

    yield open_
    for watched in opened:
        await watched.settle()
        assert watched.problems == []
        await watched.page.context.close()


@pytest.fixture(scope="session")
def ui(hostile_run: HostileRun) -> Iterator[str]:
    """`agl ui` on the store of the hostile run; its address."""
    command = [
        Path(sys.executable).parent / "agl",
        "ui",
        "--store",
        hostile_run.path,
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[0]
        process.terminate()
