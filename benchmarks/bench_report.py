"""The report of a large run: how long it takes to write, how large it is, how soon it can be used.

The short traces are those of the LangGraph example on the simulated model; the long ones are made
of random words, some thirty thousand characters a rollout, none of them twice. Opening is measured
in Chromium, from the start of loading to what a reader waits for. Medians of several openings.

    .venv/bin/python benchmarks/bench_report.py --rollouts 1000
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from shutil import which
from typing import Any

from playwright.sync_api import Browser, sync_playwright

import agl_adapters as agl
from agl_adapters.cli.demo import examples_folder
from agl_adapters.cli.programs import PROGRAMS, Framework
from agl_adapters.testing import simulated_model
from agl_core.execution.agents import Agent

TASKS = 25

FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

LOADED = """() => {
  const [entry] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return [paint.startTime, entry.loadEventEnd];
}"""
TRACE = """async () => {
  const start = performance.now();
  location.hash = `#rollout=${agl.data.rollouts[0].key}`;
  while (!document.querySelector("#trace .waterfall")) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return performance.now() - start;
}"""


def search(rollouts: int) -> Any:
    """Return an algorithm that runs as many candidates as make so many rollouts."""

    @agl.algorithm
    async def many(session: agl.Session) -> None:
        parent: str | None = None
        for number in range(rollouts // TASKS):
            resources = {
                name: prompt.with_text(f"{prompt.raw}\nThis is version {number} of the prompt.")
                for name, prompt in session.initial.items()
            }
            candidate = agl.Candidate(resources if number else session.initial, parent, "", number)
            await session.evaluate(candidate.resources, session.val[:TASKS])
            session.report(candidate)
            parent = parent or candidate.id

    return many


def long_traces() -> Agent:
    """Return an agent whose spans hold long texts."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    from agl_core.spans.genai import tool_attributes

    trace.set_tracer_provider(TracerProvider())  # as a program of one's own has it

    words = [f"{random.Random(n).getrandbits(32):07x}"[:7] for n in range(20_000)]

    @agl.rollout
    def reader(task: Any, prompt: agl.PromptTemplate) -> float:
        rng = random.Random(f"{task}{prompt.format()}")
        for number in range(15):
            with trace.get_tracer("bench").start_as_current_span(f"read {number}") as span:
                text = " ".join(rng.choices(words, k=250))
                span.set_attributes(tool_attributes("read", arguments={"n": number}, result=text))
        return float(rng.random() < 0.5)

    return reader


def run(store: Path, agent: Agent, tasks: list[Any], rollouts: int, **options: Any) -> None:
    """Make a run of so many rollouts."""
    trainer = agl.Trainer(search(rollouts), store=store, run="r", **options)
    trainer.fit(agent, tasks)
    trainer.store.close()


def make(folder: Path, rollouts: int) -> dict[str, Path]:
    """Return the stores, by what is in them."""
    stores = {"short traces": folder / "short.db", "long traces": folder / "long.db"}
    sys.path.insert(0, str(examples_folder()))
    with simulated_model("room_booking"):
        import rooms  # pyright: ignore[reportMissingImports]

        program = PROGRAMS[Framework.LANGGRAPH]

        def enter(task: Any) -> Any:
            return program.input(task["input"])

        def score(task: Any, output: Any) -> float:
            return float(task["expected_room"] in program.answer(output))

        agent = agl.wrap(program.target(program.load()), input=enter, reward=score)
        run(stores["short traces"], agent, rooms.load_tasks("val"), rollouts)
    tasks = [{"n": n} for n in range(TASKS)]
    seed = {"prompt": "Read."}
    run(stores["long traces"], long_traces(), tasks, rollouts, initial_resources=seed)
    return stores


def opened(browser: Browser, report: Path) -> tuple[float, float, float]:
    """Return milliseconds to the first paint, until it can be used, and to a trace."""
    page = browser.new_page()
    page.goto(report.as_uri(), wait_until="load")
    paint, loaded = page.evaluate(LOADED)
    trace = page.evaluate(TRACE)
    page.close()
    return paint, loaded, trace


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Measure the report of a large run.")
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--openings", type=int, default=5)
    chosen = parser.parse_args()
    names = ("write s", "store MB", "report MB", "first paint ms", "usable ms", "first trace ms")
    print(f"{chosen.rollouts} rollouts".ljust(16) + "".join(f"{name:>16}" for name in names))
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        browser = playwright.chromium.launch(
            executable_path=which("chromium"), args=FLAGS, chromium_sandbox=False
        )
        for kind, store in make(folder, chosen.rollouts).items():
            start = time.perf_counter()
            report = agl.write_report(store, "r", folder / "report.html")
            took = time.perf_counter() - start
            sizes = [path.stat().st_size / 1e6 for path in (store, report)]
            times = [opened(browser, report) for _ in range(chosen.openings)]
            medians = [statistics.median(column) for column in zip(*times, strict=True)]
            cells = [f"{took:.1f}", *(f"{v:.2f}" for v in sizes), *(f"{v:.0f}" for v in medians)]
            print(kind.ljust(16) + "".join(f"{cell:>16}" for cell in cells))
        browser.close()


if __name__ == "__main__":
    main()
