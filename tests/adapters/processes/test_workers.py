"""Workers: how they start, and that they end with their parent, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import agl_adapters as agl

HERE = Path(__file__).parent
TASKS = [{"case": "fine", "n": n} for n in range(4)]
PROMPT = {"prompt": "Be kind."}


@pytest.fixture(scope="module", autouse=True)
def crash() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        yield import_module("crash_agents")


def trainer(executor: agl.ProcessExecutor, **options: Any) -> agl.Trainer:
    options = {"initial_resources": PROMPT, "n_runners": 1, **options}
    return agl.Trainer(agl.Baseline(), executor=executor, **options)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(happened: Callable[[], Any]) -> None:
    for _ in range(6_000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


class Program:
    """A script that runs in a process group of its own, as one does in a terminal."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        path = folder / "program.py"
        path.write_text(textwrap.dedent(text))
        environment = {**os.environ, "PYTHONPATH": str(HERE)}
        self.process = subprocess.Popen(
            [sys.executable, str(path)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def notes(self) -> list[int]:
        """Return the processes that rollouts run in."""
        texts = [path.read_text() for path in self.folder.glob("*.pid")]
        return [int(text) for text in texts if text]

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)

    def end(self) -> str:
        output, _ = self.process.communicate(timeout=60)
        return output


SLOW = """
    import agl_adapters as agl, crash_agents, signal, time
    from crash_agents import {agent} as agent

    class Told(agl.Callback):
        def on_warning(self, message):
            print(message, flush=True)

    if __name__ == "__main__":
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        tasks = [{{"case": "{case}", "note": f"{{n}}.pid", "n": n}} for n in range(6)]
        trainer = agl.Trainer(
            agl.Baseline(), executor=agl.ProcessExecutor(), n_runners=2, callbacks=[Told()],
            initial_resources={{"prompt": "Be kind."}},
        )
        result = trainer.fit(agent, tasks, tasks)
        print("result:", result.stop_reason, result.usage.rollouts, flush=True)
        print(*(record for _, record in trainer.store.rollouts(result.run)))
"""


@pytest.mark.parametrize(
    ("agent", "case"),
    [("crashing", "sleeps"), ("crashing", "holds the lock"), ("blocking", "ignores signals")],
)
def test_they_end_with_a_parent_that_is_killed(tmp_path: Path, agent: str, case: str) -> None:
    program = Program(tmp_path, SLOW.format(agent=agent, case=case))
    wait_for(program.notes)
    (worker,) = program.notes()
    assert is_alive(worker)
    program.kill()
    wait_for(lambda: not is_alive(worker))
    program.end()


def test_they_end_with_a_parent_that_ends_while_they_run(tmp_path: Path) -> None:
    text = SLOW.replace(
        "result = trainer.fit(agent, tasks, tasks)",
        "import threading, pathlib\n"
        "        fit = lambda: trainer.fit(agent, tasks, tasks)\n"
        "        threading.Thread(target=fit, daemon=True).start()\n"
        "        while not list(pathlib.Path().glob('*.pid')): time.sleep(0.01)\n"
        "        raise SystemExit(5)",
    )
    program = Program(tmp_path, text.format(agent="crashing", case="sleeps"))
    program.end()
    assert program.process.returncode == 5
    (worker,) = program.notes()
    assert not is_alive(worker)


def test_ctrl_c_lets_them_finish_and_a_second_one_ends_them(tmp_path: Path) -> None:
    program = Program(tmp_path, SLOW.format(agent="crashing", case="sleeps"))
    wait_for(program.notes)
    (worker,) = program.notes()
    program.interrupt()
    stdout: Any = program.process.stdout
    assert "the run ends when what is in flight is done" in stdout.readline()
    assert is_alive(worker)  # though the signal reached it as well
    program.interrupt()
    assert "KeyboardInterrupt" in program.end()
    assert not is_alive(worker)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_costs_no_rollout_that_is_in_flight_and_no_worker_that_is_starting(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Nor does the signal of a scheduler, to the whole group, where the script takes it for one."""
    naps = (
        "crash_agents.CRASHES['naps'] = lambda: time.sleep(1)\n"
        "    if __name__ != '__main__':\n"
        "        open(f'{{time.time()}}.import', 'w').close()\n"
        "        time.sleep(1)\n"
    )
    program = Program(
        tmp_path,
        SLOW.replace("class Told", f"{naps}\n    class Told").format(agent="crashing", case="naps"),
    )
    wait_for(lambda: len(list(tmp_path.glob("*.import"))) == 2)
    program.interrupt(number)
    output = program.end()
    assert "result: interrupted" in output, output
    assert "SIGTERM" not in output, output


def test_a_script_that_is_not_guarded_is_told_so(tmp_path: Path) -> None:
    text = SLOW.replace('if __name__ == "__main__":', "if True:")
    program = Program(tmp_path, text.format(agent="crashing", case="fine"))
    output = program.end()
    assert program.process.returncode == 1
    assert "ConfigurationError: a worker process ended before it had the agent" in output
    assert "under `if __name__ == '__main__':`" in output
    assert not program.notes()


RUN = """
    import agl_adapters as agl

    {above}

    if __name__ == "__main__":
        {below}
        trainer = agl.Trainer(
            agl.Baseline(), executor=agl.ProcessExecutor(), n_runners=1,
            initial_resources={{"prompt": "Be kind."}},
        )
        result = trainer.fit({given}, [{{"n": 1}}], [{{"n": 1}}])
        print("result:", result.stop_reason, result.best_score, flush=True)
"""
SCORE = "lambda task, prompt: len(prompt.format()) / 16"  # of "Be kind."
LINE = f"agent = agl.rollout({SCORE})"


def test_the_agent_may_stand_in_the_script_that_is_run(tmp_path: Path) -> None:
    output = Program(tmp_path, RUN.format(above=LINE, below="pass", given="agent")).end()
    assert "result: completed 0.5" in output, output


def test_the_agent_may_stand_in_a_module_that_is_run(tmp_path: Path) -> None:
    package = tmp_path / "its_package"
    package.mkdir()
    text = textwrap.dedent(
        RUN.format(above=f"from its_package import half\n    {LINE}", below="", given="agent")
    )
    (package / "__init__.py").write_text("half = 0.5")
    (package / "app.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "its_package.app"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "result: completed 0.5" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("", LINE),
        ("", f"score = {SCORE}\n        agent = agl.rollout(score)"),
        (
            "import re",
            "def score(task, output): return 0.5\n"
            "        held = [agl.wrap(re.escape, input=str, reward=score)]\n"
            "        made = held.pop",
        ),
    ],
)
def test_an_agent_that_stands_where_workers_never_come_is_refused_before_it_costs_anything(
    tmp_path: Path, above: str, below: str
) -> None:
    program = Program(
        tmp_path, RUN.format(above=above, below=below, given="made()" if above else "agent")
    )
    output = program.end()
    assert "is made under `if __name__ == '__main__':` in program.py" in output, output
    assert "ProcessExecutor('program:make_agent')" in output
    assert program.process.returncode == 1


def test_an_agent_that_is_imported_where_workers_never_come_is_taken_from_its_module(
    tmp_path: Path,
) -> None:
    program = Program(
        tmp_path,
        RUN.format(above="", below="from crash_agents import named as agent", given="agent"),
    )
    output = program.end()
    assert "result: completed" in output, output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agent": "crash_agents:fail_to_make"}, r"(?s)cannot get the agent:.*no license"),
        ({"agent": "nowhere:agent"}, r"(?s)cannot get the agent:.* no module nowhere"),
        ({"agent": "crash_agents:named"}, "run another agent than .*: <lambda>, not crashing"),
        ({"start_timeout": 0.001}, r"was not ready after 0\.001 seconds"),
    ],
)
def test_one_that_cannot_start_ends_the_run_before_it_costs_anything(
    crash: Any, options: dict[str, Any], message: str
) -> None:
    running = trainer(agl.ProcessExecutor(**options))
    with pytest.raises(agl.ConfigurationError, match=message):
        running.fit(crash.crashing, TASKS)
    assert running.store.runs() != []
    assert not list(running.store.rollouts(running.store.runs()[0].name))


def test_seconds_to_start_are_positive() -> None:
    with pytest.raises(agl.ConfigurationError, match="start_timeout is 0; give seconds"):
        agl.ProcessExecutor(start_timeout=0)


def test_spans_go_where_the_user_sends_them_from_the_parent_too(crash: Any) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    done = trainer(agl.ProcessExecutor(), tracer_provider=provider).dev(crash.crashing, TASKS, 2)
    roots = exporter.get_finished_spans()
    ours = [rollout.spans[0] for rollout in done]
    assert [(s.name, f"{s.context.span_id:016x}") for s in roots if s.context] == [
        (span.name, span.span_id) for span in ours
    ]
    assert roots[0].attributes is not None
    assert dict(roots[0].attributes) == ours[0].attributes
    assert roots[0].resource is provider.resource
    assert (roots[0].start_time, roots[0].end_time) == (ours[0].start_ns, ours[0].end_ns)


def test_where_the_program_exports_in_the_worker_they_are_not_sent_twice(
    crash: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_EXPORTS", "1")
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    (done,) = trainer(agl.ProcessExecutor(), tracer_provider=provider).dev(crash.named, TASKS, 1)
    assert len(done.spans) == 1
    assert not exporter.get_finished_spans()


def test_a_whole_run_is_the_same_as_with_the_local_executor(crash: Any) -> None:
    results: list[Any] = []
    for executor in (None, agl.ProcessExecutor()):
        running = agl.Trainer(
            agl.Baseline(), executor=executor, n_runners=2, initial_resources=PROMPT
        )
        tasks = [{"case": case, "n": n} for n, case in enumerate(["fine", "unknown"] * 3)]
        result = running.fit(crash.named, tasks, test_dataset=tasks)
        results.append((result.verdict, result.seed_score, result.test, result.usage.rollouts))
    assert results[0] == results[1]
    assert results[0][1] == 1.0
