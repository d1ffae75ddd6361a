"""Make the pictures of docs/images from a real run on the simulated model: `make screens`.

The terminal's are drawn by rich as SVG and by Chromium as PNG; the pages' are Chromium's of the
report and of `agl ui`, the latter while a run goes on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from typing import Any

from playwright.sync_api import Browser, expect, sync_playwright
from rich.console import Console
from rich.text import Text

import agl_adapters as agl
from agl_adapters.cli.output import show_result
from agl_adapters.progress import Progress
from agl_adapters.testing import simulated_model
from agl_core.rollouts import Rollout

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
WIDTH = 96
"""Of the terminal, in characters."""
SEEN = 120
"""After how many rollouts the run's pictures are taken."""
ERRORS = (
    "agl eval my_app:graph --tasks val.jsonl",
    "agl eval my_app:graf --tasks val.jsonl --reward my_app:score",
    "agl eval my_app:graph --tasks missing.jsonl --reward my_app:score",
    "agl eval my_app:graph --tasks val.jsonl --input my_app:to_input --reward my_app:wrong",
    "OPENAI_BASE_URL=http://127.0.0.1:9/v1 agl eval my_app:graph --tasks val.jsonl "
    "--input my_app:to_input --reward my_app:score",
    "agl runs show second",
    "agl optimise",
)
"""One of each kind: of usage, of a reference, of data, of one's own code, of the service."""


class Watched(Progress):
    """Progress as a terminal shows it, still: its moving lines are printed once, at the moment."""

    def __init__(self) -> None:
        console = Console(
            record=True, width=WIDTH, file=StringIO(), force_terminal=True, highlight=False
        )
        super().__init__(console, "simulated")
        self.svg = ""
        self.reached, self.go_on = Event(), Event()

    def on_open(self) -> None:
        """Start the clock, and nothing that moves."""
        self._standing.start = time.monotonic()

    def on_rollout(self, rollout: Rollout, cached: bool) -> None:
        """Take the picture, and wait until that of the page is taken."""
        super().on_rollout(rollout, cached)
        if self._standing.rollouts == SEEN:
            self.console.print(self._view())
            self.svg = self.console.export_svg(title="agl optimize", clear=False)
            self.reached.set()
            self.go_on.wait(60)


def make_trainer(store: Path, watched: Watched) -> agl.Trainer:
    """Make the trainer of the run that is shown."""
    return agl.Trainer(
        agl.APO(model="gpt-4o-mini"),
        store=store,
        run="first, simulated",
        callbacks=[watched],
        budget=agl.Budget(rollouts=400, dollars=0.10),
        prices={"gpt-4o-mini": agl.Price(0.15, 0.60)},
    )


def run(store: Path, watched: Watched) -> agl.TrainResult:
    """Optimize the example's LangGraph program."""
    sys.path.insert(0, str(ROOT / "examples"))
    import langgraph_room_booking as program  # pyright: ignore[reportMissingImports]
    import rooms  # pyright: ignore[reportMissingImports]

    def make_input(task: Any) -> Any:
        return {"messages": [("user", task["input"])]}

    def reward(task: Any, output: Any) -> float:
        return rooms.grade_booking(output["messages"][-1].content, task["expected_room"])

    agent = agl.wrap(
        program.build_graph(),
        input=make_input,
        reward=reward,
        name="room_booking",
    )
    data = {split: rooms.load_tasks(split) for split in ("train", "val", "test")}
    trainer = make_trainer(store, watched)
    return trainer.fit(agent, data["train"], data["val"], test_dataset=data["test"])


def terminal_svg(title: str, commands: list[str], folder: Path) -> str:
    """Run commands as they are typed, and draw what they say, without what moves meanwhile."""
    console = Console(
        record=True, width=WIDTH, file=StringIO(), force_terminal=True, highlight=False
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": str(WIDTH)}
    for command in commands:
        console.print(Text(f"$ {command}", style="bold"))
        done = subprocess.run(
            ["bash", "-c", f"{command} 2>&1"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        console.print(Text.from_ansi(done.stdout.rstrip()))
        console.print(Text(f"exit code {done.returncode}\n", style="dim"))
    return console.export_svg(title=title)


def draw(browser: Browser, svg: str, name: str) -> None:
    """Draw a terminal as a picture."""
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.set_content(f'<body style="margin:0">{svg}</body>')
    page.locator("svg").first.screenshot(path=IMAGES / name, omit_background=True)
    page.close()


def photograph(browser: Browser, url: str, name: str, size: tuple[int, int], **look: Any) -> None:
    """Take a picture of a page."""
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height}, **look)
    page.goto(url)
    expect(page.locator("[data-chart=rounds] svg")).to_be_visible()
    page.screenshot(path=IMAGES / name)
    page.close()


def photograph_live(browser: Browser, store: Path) -> None:
    """Take pictures of `agl ui` while a run goes on."""
    with served(store) as url:
        page = browser.new_page(viewport={"width": 1200, "height": 1500})
        page.goto(url)
        page.get_by_role("link", name="first, simulated").click()
        expect(page.locator("#live")).to_have_text("live")
        page.screenshot(path=IMAGES / "ui-live.png")
        page.close()


@contextmanager
def served(store: Path) -> Generator[str]:
    """Serve the pages of a store by `agl ui`."""
    command = [sys.executable, "-c", "from agl_adapters.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "ui", "--store", str(store), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process.stdout.readline().split()[0]
    process.terminate()
    process.wait()


def write_program(folder: Path) -> None:
    """Write the program that the errors are about."""
    shutil.copytree(ROOT / "examples", folder, dirs_exist_ok=True)
    shutil.copy(folder / "data" / "room_booking" / "val.jsonl", folder)
    (folder / "my_app.py").write_text(
        "from langgraph_room_booking import build_graph\n\ngraph = build_graph()\n\n\n"
        "def to_input(task):\n    return {'messages': [('user', task['input'])]}\n\n\n"
        "def score(task, output):\n"
        "    return float(task['expected_room'] in output['messages'][-1].content)\n\n\n"
        "def wrong(task, output):\n    return task['answer']\n"
    )


def main() -> None:
    """Make all pictures."""
    with (
        tempfile.TemporaryDirectory() as name,
        simulated_model("room_booking", latency=0.02) as model,
        sync_playwright() as playwright,
    ):
        os.environ |= {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "simulated"}
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=False
        )
        folder, watched = Path(name), Watched()
        store, results = folder / "runs.db", list[agl.TrainResult]()
        runner = Thread(target=lambda: results.append(run(store, watched)), daemon=True)
        runner.start()
        if not watched.reached.wait(60):
            raise SystemExit("the run has not come as far as its pictures")
        photograph_live(browser, store)
        watched.go_on.set()
        runner.join()
        draw(browser, watched.svg, "progress.png")
        ended = Console(
            record=True, width=WIDTH, file=StringIO(), force_terminal=True, highlight=False
        )
        show_result(results[0], ended, "simulated")
        draw(browser, ended.export_svg(title="agl optimize"), "result.png")
        report = agl.write_report(store, "first, simulated", folder / "report.html").as_uri()
        photograph(browser, report, "report-light.png", (1200, 1560))
        photograph(browser, report, "report-dark.png", (1200, 1500), color_scheme="dark")
        phone = {"device_scale_factor": 2, "is_mobile": True, "has_touch": True}
        photograph(browser, report, "report-phone.png", (390, 844), **phone)
        write_program(folder)
        draw(browser, terminal_svg("errors", list(ERRORS), folder), "errors.png")
        draw(browser, terminal_svg("help", ["agl --help"], folder), "help.png")
        browser.close()


if __name__ == "__main__":
    main()
