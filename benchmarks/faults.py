"""A table of faults: things are really made to go wrong, and every rollout is accounted for.

The world's failures are those of the simulated server over HTTP, or of no server at all; the
agent's are real ones, in the executor that they are for. Every task has a score of its own, so that
a wrong one shows.

    nice -n 19 .venv/bin/python benchmarks/faults.py --out docs/benchmarks/faults
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import fault_agents
from fault_agents import ASYNC, BAD, PROGRAMS, SYNC, score_of

import agl_adapters as agl
from agl_adapters.testing import Fault, SimulatedModel, simulated_model
from agl_core.errors import AglError
from agl_core.faults.backoff import Backoff

RUNNERS = 16
ROLLOUTS = 160
RATE = 0.2
TIMEOUT = 2.0


def quick(outage: float = 120.0) -> Backoff:
    """Return a backoff that is as the default one, but shorter."""
    return Backoff(initial=0.02, longest=0.5, outage=outage)


@dataclass
class Row:
    """What became of the rollouts of one run."""

    fault: str
    where: str
    rollouts: int
    hit: int = 0
    """Requests that were answered by a fault, or tasks on which the agent fails."""
    again: int = 0
    """Attempts after the first."""
    succeeded: int = 0
    unavailable: int = 0
    failed: int = 0
    """Scored as the agent's failure."""
    wrong: int = 0
    """Scored otherwise than they had to be."""
    missing: int = 0
    """Rollouts of which nothing is in the store."""
    seconds: float = 0.0
    ended: str = "completed"
    """The reason for which the run ended, or the error."""
    errors: list[str] = field(default_factory=list[str])
    """Kinds of errors in the store."""


class Watch(agl.Callback):
    """Does something when so many rollouts have ended."""

    def __init__(self, number: int = 0, act: Callable[[], object] | None = None) -> None:
        self.warnings: list[str] = []
        self._left = number
        self._act = act

    def on_rollout(self, rollout: Any, cached: bool) -> None:
        """Count it."""
        self._left -= 1
        if self._left == 0 and self._act is not None:
            self._act()

    def on_warning(self, message: str) -> None:
        """Keep it."""
        self.warnings.append(message)


def tasks_of(count: int, **extra: Any) -> list[dict[str, Any]]:
    """Return tasks that differ in a number."""
    return [{"n": number, **extra} for number in range(count)]


def evaluated(
    row: Row,
    agent: Any,
    tasks: list[dict[str, Any]],
    expected: Callable[[Any], float | None] = score_of,
    **options: Any,
) -> agl.TrainResult | None:
    """Run the baseline on the tasks, and enter into the row what became of them.

    Args:
        row: The row.
        agent: The agent.
        tasks: The tasks.
        expected: The score that a task has to have.
        options: The trainer's.
    """
    options = {"n_runners": RUNNERS, "callbacks": [Watch()], "backoff": quick(), **options}
    trainer = agl.Trainer(agl.Baseline(), **options)
    start, result = time.perf_counter(), None
    try:
        result = trainer.fit(agent, tasks[:1], tasks)
        row.ended, name = result.stop_reason, result.run
    except AglError as error:
        row.ended = f"{type(error).__name__}: {str(error)[:150]}"
        name = next(record.name for record in trainer.store.runs())
    row.seconds = round(time.perf_counter() - start, 2)
    records = [record for _, record in trainer.store.rollouts(name)]
    counts = Counter(record["status"] for record in records)
    row.again = sum(record["attempts"] - 1 for record in records)
    row.succeeded = counts["succeeded"]
    row.failed = counts["failed"] + counts["timed_out"]
    row.unavailable = counts["unavailable"]
    row.missing = len(tasks) - len(records)
    by_key = {task["n"]: expected(task) for task in tasks}
    row.wrong = sum(
        record["score"] is not None and record["score"] != by_key[number_of(record)]
        for record in records
    )
    row.errors = sorted({kind_of(record["error"]) for record in records if record["error"]})
    trainer.store.close()
    return result


def number_of(record: Any) -> int:
    """Return the number of a rollout's task."""
    return int(record["task_name"].removeprefix("val[").removesuffix("]"))


def kind_of(error: str) -> str:
    """Return what was raised, of a traceback."""
    return error.strip().splitlines()[-1][:100]


# ------------------------------------------------------------------------ the world's failures


def hits(model: SimulatedModel) -> int:
    """Return how many requests were answered by a fault."""
    return sum(model.hits().values())


WORLD: dict[str, list[Fault]] = {
    "none": [],
    "429": [Fault("429", rate=RATE)],
    "429, Retry-After 0.2 s": [Fault("429-retry-after", rate=RATE / 4, seconds=0.2)],
    "500": [Fault("500", rate=RATE)],
    "503": [Fault("503", rate=RATE)],
    "connection reset before a byte": [Fault("reset", rate=RATE)],
    "connection reset in mid-stream": [Fault("reset-midway", rate=RATE)],
    "truncated body": [Fault("truncated", rate=RATE)],
    "invalid JSON": [Fault("invalid-json", rate=RATE)],
    "empty choice": [Fault("empty", rate=RATE)],
    "slow drip, within the time limit": [Fault("slow", rate=RATE, seconds=0.3)],
}


def world(program: str, model: SimulatedModel) -> list[Row]:
    """Each fault of the server, now and then, for a program."""
    rows: list[Row] = []
    for name, faults in WORLD.items():
        model.configure(faults=faults, latency=0.01)
        model.reset()
        row = Row(name, program, ROLLOUTS)
        evaluated(row, PROGRAMS[program].agent(), tasks_of(ROLLOUTS))
        row.hit = hits(model)
        rows.append(row)
        print(table([row]).splitlines()[-1], file=sys.stderr, flush=True)
    return rows


def slow_beyond_the_limit(program: str, model: SimulatedModel) -> Row:
    """Answers that drip for longer than a rollout may take, to one task in eight."""
    model.configure(faults=[Fault("slow", marker="DRIP", seconds=60.0)], latency=0.01)
    model.reset()
    tasks = [{"n": n, "say": "DRIP" if n % BAD == BAD - 1 else ""} for n in range(ROLLOUTS // 2)]
    row = Row("slow drip, beyond the time limit", program, len(tasks), hit=len(tasks) // BAD)
    evaluated(row, PROGRAMS[program].agent(), tasks, timeout=TIMEOUT)
    return row


def outages(model: SimulatedModel) -> list[Row]:
    """A service that is away for a while, for good, from the start; a quota that is used up."""
    program, rows = PROGRAMS["openai"], list[Row]()

    def case(name: str, at: int, faults: Sequence[Fault], outage: float = 120.0) -> None:
        model.configure(faults=[], latency=0.01)
        model.reset()
        row = Row(name, "openai", ROLLOUTS)
        watch = Watch(at, lambda: model.configure(faults=faults))
        if not at:
            model.configure(faults=faults)
        options: dict[str, Any] = {"callbacks": [watch], "backoff": quick(outage)}
        evaluated(row, program.agent(), tasks_of(ROLLOUTS), **options)
        row.hit = hits(model)
        rows.append(row)
        print(table([row]).splitlines()[-1], file=sys.stderr, flush=True)

    case("503 for the next 40 requests", 40, [Fault("503", calls=40)])
    case("429 for the next 40 requests", 40, [Fault("429", calls=40)])
    case("503 from the 40th rollout on", 40, [Fault("503")], outage=3.0)
    case("500 from the 40th rollout on", 40, [Fault("500")], outage=3.0)
    case("quota used up at the 40th rollout", 40, [Fault("429-quota")])
    case("quota used up at the start", 0, [Fault("429-quota")])
    case("key refused at the start (401)", 0, [Fault("401")])
    return rows


class Server:
    """A simulated server that can be killed, and started again at the same port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._command = [sys.executable, "-m", "agl_adapters.testing", "--scenario", "echo"]
        self._command += ["--port", str(port), "--latency", "0.01"]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        while not self._listens():
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def kill(self, away: float | None = None) -> None:
        """Kill it: what it was answering is reset, what comes next is refused.

        Args:
            away: After so many seconds it is started again; None for never.
        """
        self._process.kill()
        self._process.wait()
        if away is not None:
            threading.Timer(away, self.start).start()


def dead_endpoints(port: int) -> list[Row]:
    """Nobody there: from the start, for two seconds, for good."""
    rows: list[Row] = []
    row = Row("connection refused from the start", "openai", ROLLOUTS)
    os.environ.update(SimulatedModel(port).environment())
    evaluated(row, PROGRAMS["openai"].agent(), tasks_of(ROLLOUTS))
    rows.append(row)
    for name, away, outage in (
        ("server killed, back after 2 seconds", 2.0, 8.0),
        ("server killed for good", None, 3.0),
    ):
        server = Server(port)
        row = Row(name, "openai", ROLLOUTS)
        options: dict[str, Any] = {
            "callbacks": [Watch(40, partial(server.kill, away))],
            "backoff": quick(outage),
        }
        evaluated(row, PROGRAMS["openai"].agent(), tasks_of(ROLLOUTS), **options)
        server.kill()
        rows.append(row)
    return rows


# ------------------------------------------------------------------------ the agent's failures

ONLY_PROCESSES = {
    "os._exit",
    "segmentation fault",
    "killed (SIGKILL)",
    "out of memory",
    "holds the interpreter",
    "blocks the event loop",
}


SHARED = {"exception", "sync hang", "async hang", "infinite tool loop", "50 MB output"}
"""Of the others, those that are tried in processes too: a worker runs them as a thread does."""


def score_of_bad(task: Any) -> float:
    """Return the score that a task of a bad agent has."""
    return 0.0 if task["n"] % BAD == BAD - 1 else score_of(task)


def agents() -> list[Row]:
    """What an agent does to itself, in threads, on the event loop and in processes."""
    rows: list[Row] = []
    for where, cases, agent in (
        ("threads", SYNC, fault_agents.sync_agent),
        ("event loop", ASYNC, fault_agents.async_agent),
        ("processes", SYNC, fault_agents.sync_agent),
        ("processes, async", ASYNC, fault_agents.async_agent),
    ):
        processes = where.startswith("processes")
        for name in cases:
            if processes and name not in ONLY_PROCESSES | SHARED:
                continue
            if name in ONLY_PROCESSES and not processes:
                continue
            tasks = tasks_of((3 if processes else 8) * BAD, case=name)
            row = Row(name, where, len(tasks), hit=len(tasks) // BAD)
            evaluated(
                row,
                agent,
                tasks,
                # An answer of 50 MB is long, and not wrong.
                score_of if name == "50 MB output" else score_of_bad,
                n_runners=3 if processes else 4,
                timeout=TIMEOUT,
                executor=agl.ProcessExecutor() if processes else None,
            )
            rows.append(row)
            print(table([row]).splitlines()[-1], file=sys.stderr, flush=True)
    return rows


# ------------------------------------------------------------------------------- the stampede


@dataclass
class Storm:
    """What the server saw of 64 callers while it turned away."""

    callers: str
    rollouts: int
    requests: int
    turned_away: int
    lost: int
    per_second: list[int]
    """Requests in each second of the storm."""
    seconds: float
    """Until the last answer, from the start of the storm."""


STORM = 6.0
WIDTH = 64


def storm_of_ours(model: SimulatedModel) -> Storm:
    """64 runners, with the default backoff; for six seconds every request is answered 429."""
    agent, tasks = PROGRAMS["openai"].agent(), tasks_of(600)
    began: list[float] = []

    def storm() -> None:
        began.append(time.time())
        model.configure(faults=[Fault("429")])
        threading.Timer(STORM, lambda: model.configure(faults=[])).start()

    model.configure(faults=[], latency=0.05)
    model.reset()
    row = Row("storm", "openai", len(tasks))
    evaluated(row, agent, tasks, n_runners=WIDTH, callbacks=[Watch(200, storm)], backoff=Backoff())
    return stormed(model, "64 runners", len(tasks), began[0], len(tasks) - row.succeeded)


def storm_of_clients(model: SimulatedModel, retries: int) -> Storm:
    """64 threads with the openai client's own retries, each for itself."""
    import openai

    model.configure(faults=[], latency=0.05)
    model.reset()
    client = openai.OpenAI(max_retries=retries)
    left, lost, lock = list(range(600)), list[int](), threading.Lock()
    began: list[float] = []

    def work() -> None:
        while True:
            with lock:
                if not left:
                    return
                number = left.pop()
                if len(left) == 400:
                    began.append(time.time())
                    model.configure(faults=[Fault("429")])
                    threading.Timer(STORM, lambda: model.configure(faults=[])).start()
            try:
                client.chat.completions.create(
                    model=fault_agents.MODEL,
                    messages=[{"role": "user", "content": f"Task {number}."}],
                )
            except openai.OpenAIError:
                lost.append(number)

    threads = [threading.Thread(target=work) for _ in range(WIDTH)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    time.sleep(max(0.0, began[0] + STORM + 0.2 - time.time()))
    name = f"64 threads, the client's own {retries} retries"
    return stormed(model, name, 600, began[0], len(lost))


def stormed(model: SimulatedModel, callers: str, rollouts: int, began: float, lost: int) -> Storm:
    """Read what happened out of the server's log."""
    log = model.log()
    seconds = Counter(int(seen.at - began) for seen in log if 0 <= seen.at - began < STORM)
    return Storm(
        callers,
        rollouts,
        len(log),
        hits(model),
        lost,
        [seconds[second] for second in range(int(STORM))],
        round(log[-1].at - began, 1),
    )


def busy(model: SimulatedModel) -> list[Row]:
    """A service that answers eight at once and turns away the others, under 64 runners."""
    model.configure(faults=[Fault("429-busy", calls=8)], latency=0.05)
    model.reset()
    row = Row("429 beyond eight at once, 64 runners", "openai", 600)
    evaluated(row, PROGRAMS["openai"].agent(), tasks_of(600), n_runners=WIDTH, backoff=quick())
    row.hit = hits(model)
    return [row]


# ----------------------------------------------------------------------------------- reporting

HEAD = ("rollouts", "hit", "tried again", "succeeded", "unavailable", "failed", "wrong", "not run")


def table(rows: list[Row]) -> str:
    """Return rows as a Markdown table."""
    lines = [
        f"| fault | where | {' | '.join(HEAD)} | ended | s |",
        f"|---|---|{'---:|' * len(HEAD)}---|---:|",
    ]
    for r in rows:
        numbers = (r.rollouts, r.hit, r.again, r.succeeded, r.unavailable, r.failed, r.wrong)
        cells = " | ".join(map(str, (*numbers, r.missing)))
        ended = r.ended.replace("|", "/")
        lines.append(f"| {r.fault} | {r.where} | {cells} | {ended} | {r.seconds:.1f} |")
    return "\n".join(lines)


def storm_table(storms: list[Storm]) -> str:
    """Return the storms as a Markdown table."""
    seconds = " | ".join(f"s {n + 1}" for n in range(int(STORM)))
    lines = [
        f"| callers | rollouts | requests | turned away | lost | {seconds} | last request, s |",
        f"|---|{'---:|' * (5 + int(STORM))}",
    ]
    for s in storms:
        each = " | ".join(map(str, s.per_second))
        cells = f"{s.rollouts} | {s.requests} | {s.turned_away} | {s.lost} | {each} | {s.seconds}"
        lines.append(f"| {s.callers} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Run what was chosen, print tables, and write them where told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("world", "frameworks", "outages", "agents", "storm")
    parser.add_argument("--only", choices=parts, action="append")
    parser.add_argument("--out", type=Path, help="path without .md and .json")
    arguments = parser.parse_args()
    chosen = arguments.only or parts
    logging.disable(logging.CRITICAL)
    found: dict[str, list[Any]] = {}
    with tempfile.TemporaryDirectory(), simulated_model("echo") as model:
        if "world" in chosen:
            found["world"] = [*world("openai", model), slow_beyond_the_limit("openai", model)]
        if "frameworks" in chosen:
            found["frameworks"] = [row for name in list(PROGRAMS)[1:] for row in world(name, model)]
        if "outages" in chosen:
            found["outages"] = outages(model) + busy(model)
        if "storm" in chosen:
            found["storm"] = [storm_of_ours(model)]
            found["storm"] += [storm_of_clients(model, retries) for retries in (2, 10)]
        if "agents" in chosen:
            model.configure(faults=[], latency=0.01)
            found["agents"] = agents()
    if "outages" in chosen:
        found["outages"] += dead_endpoints(18_765)
    text = "\n\n".join(
        f"## {title}\n\n{storm_table(rows) if title == 'storm' else table(rows)}"
        for title, rows in found.items()
    )
    print(text)
    if arguments.out:
        arguments.out.with_suffix(".json").write_text(
            json.dumps({name: [asdict(row) for row in rows] for name, rows in found.items()})
        )
        arguments.out.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
