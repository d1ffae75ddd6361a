"""The process executor: the same results as the local one, and rollouts that harm no other."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

import agl_adapters as agl
from agl_adapters.testing import SimulatedModel, simulated_model
from agl_core.datasets import load_dataset
from agl_core.execution.attempts import Attempt, RolloutRequest
from agl_core.execution.executors import Executor, LocalExecutor
from agl_core.privacy.redaction import Redaction
from agl_core.prompts.templates import PromptTemplate
from agl_core.rollouts import ModelUsage
from agl_core.spans.genai import TokenUsage
from agl_core.spans.span import Span
from agl_core.spending.budgets import BudgetExhaustedError
from agl_core.spending.metering import AbsentMeter, Demand, Reserved
from agl_core.tracing.tracing import Tracing

HI = PromptTemplate("Hi {case}.")
PLAN = PromptTemplate("Plan {x}.", "literal")


@pytest.fixture(scope="module", autouse=True)
def module_path() -> Iterator[None]:
    """Let worker processes find the modules with the agents."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        yield


@pytest.fixture(scope="module")
def agents() -> Any:
    return import_module("process_agents")


@pytest.fixture(scope="module")
def crash() -> Any:
    return import_module("crash_agents")


@pytest.fixture(scope="module")
def model() -> Iterator[SimulatedModel]:
    with simulated_model("echo") as model:
        yield model


@asynccontextmanager
async def opened(
    agent: Any,
    executor: Executor | None = None,
    n_runners: int = 1,
    provider: TracerProvider | None = None,
    **options: Any,
) -> AsyncGenerator[Executor]:
    executor, tracing = executor or agl.ProcessExecutor(), Tracing(provider, **options)
    with agent.instrumented(tracing):
        executor.open(agent, tracing, n_runners)
        try:
            yield executor
        finally:
            await executor.close()
            tracing.shutdown()


def request(timeout: float | None = 60.0, **task: Any) -> RolloutRequest:
    (only,) = load_dataset([task], "val")
    resources = {"prompt_template": HI, "prompt": PLAN, "my:planner#system": PLAN}
    return RolloutRequest(f"r-{task}", only, resources, {}, 1, timeout)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_running(pid: int) -> bool:
    """Whether a child of ours runs; one that has died is there until it is waited for."""
    return any(child.pid == pid for child in multiprocessing.active_children())


def wait_for(happened: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def shape(spans: tuple[Span, ...]) -> list[Any]:
    """What spans say, without what differs from run to run."""
    names = {span.span_id: span.name for span in spans}
    assert len({span.trace_id for span in spans}) <= 1
    return [
        (
            span.name,
            span.kind,
            names.get(span.parent_id or ""),
            {k: v for k, v in span.attributes.items() if k not in VOLATILE},
            [(e.name, {k: steady(v) for k, v in e.attributes.items()}) for e in span.events],
            span.status,
            span.status_message,
        )
        for span in spans
    ]


def steady(text: str) -> str:
    """How deep an interpreter can go depends on how deep it was."""
    return re.sub(r"repeated \d+ more", "repeated n more", text)


VOLATILE = {"gen_ai.response.id", "llm.response.id"}


def comparable(attempt: Attempt) -> dict[str, Any]:
    reward = attempt.reward
    return {
        "status": attempt.status,
        "reward": reward,
        "feedback": None if reward is None else (reward.feedback, dict(reward.metrics)),
        "output": attempt.output,
        "error": attempt.error and steady(attempt.error),
        "fatal": None if attempt.fatal is None else str(attempt.fatal),
        "is configuration": isinstance(attempt.fatal, agl.ConfigurationError),
        "trouble": attempt.trouble,
        "slots": attempt.slots,
        "reads": attempt.reads,
        "unmatched": attempt.unmatched,
        "usage": attempt.usage,
        "spans": shape(attempt.spans),
    }


@pytest.mark.parametrize("kind", ["agent", "async_agent"])
async def test_the_results_are_those_of_the_local_executor(
    agents: Any, model: SimulatedModel, kind: str
) -> None:
    agent = getattr(agents, kind)
    requests = [request(0.5 if case == "hang" else 60.0, case=case) for case in agents.CASES]
    results: list[list[Attempt]] = []
    for executor in (LocalExecutor(), agl.ProcessExecutor()):
        async with opened(agent, executor, provider=agents.PROVIDER) as running:
            results.append([await running.run(one) for one in requests])
    for case, local, remote in zip(agents.CASES, *results, strict=True):
        assert comparable(remote) == comparable(local), case
        assert remote.spans[0].name == f"invoke_agent {kind}"
        assert remote.spans[0].parent_id is None
        assert abs(remote.started - local.started) < 60
    done = dict(zip(agents.CASES, results[1], strict=True))
    assert done["ask"].usage.model_calls == 1
    assert done["use_slots"].slots["my:planner#system"].sent == "Plan {x}."
    assert "before" in [span.name for span in done["hang"].spans]
    assert {case: a.status for case, a in done.items() if a.status != "failed"} == {
        "ask": "succeeded",
        "use_slots": "succeeded",
        "answer_at_length": "succeeded",
        "hang": "timed_out",
        "lose_connection": "unavailable",
    }
    assert {case for case, attempt in done.items() if attempt.fatal} == {
        "nothing",
        "lose_placeholder",
        "complain",
    }


async def test_spans_and_outputs_are_redacted_before_they_leave_the_worker(
    agents: Any, model: SimulatedModel
) -> None:
    async with opened(agents.agent, redaction=Redaction("Hi [a-z]+")) as running:
        attempt = await running.run(request(case="ask"))
    assert attempt.status == "succeeded"
    assert "ECHO[[redacted].]" in str(attempt.reward and attempt.reward.feedback)
    assert "[redacted]" in str(attempt.spans)
    assert "Hi ask" not in str((attempt.spans, attempt.reward, attempt.output))
    with pytest.raises(agl.ConfigurationError, match="the function of redact="):
        async with opened(agents.agent, redaction=Redaction(lambda text: text)):
            pass


async def test_a_wrapped_program_has_the_same_results_and_leaves_spans_when_it_dies(
    agents: Any,
) -> None:
    requests = [request(question=text) for text in ("hello", "fail", "grade")]
    async with opened(agents.wrapped, LocalExecutor(), provider=agents.PROVIDER) as running:
        local = [await running.run(one) for one in requests]
    async with opened(agents.wrapped, provider=agents.PROVIDER) as running:
        remote = [await running.run(one) for one in requests]
        died = await running.run(request(question="die"))
    assert list(map(comparable, remote)) == list(map(comparable, local))
    assert [attempt.status for attempt in remote] == ["succeeded", "failed", "failed"]
    assert "Raised by the reward function (grade)" in (remote[2].error or "")
    assert died.status == "failed"
    assert [span.name for span in died.spans] == ["invoke_agent program", "open", "call"]
    assert (died.usage.model_calls, died.usage.input_tokens) == (1, 7)
    assert [span.attributes.get("agl.unfinished") for span in died.spans] == [True, True, None]


async def test_a_crash_costs_its_own_rollout_only(
    crash: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_CHILD", str(tmp_path / "child"))
    cases = ["fine", "os._exit", "segfault", "fine", "killed", "leaves a child", "fine"]
    async with opened(crash.crashing) as executor:
        first, *_ = done = [await executor.run(request(case=case)) for case in cases]
    assert {attempt.status for attempt in done if attempt.reward} == {"succeeded"}
    assert len({attempt.reward for attempt in done if attempt.reward}) == 3  # other processes
    crashed = [attempt for attempt in done if not attempt.reward]
    for attempt, reason in zip(
        crashed,
        (
            "exit code 7",
            "signal SIGSEGV",
            "signal SIGKILL, as the system does when memory runs out",
            "exit code 8",
        ),
        strict=True,
    ):
        assert (attempt.status, attempt.fatal) == ("failed", None)
        assert f"the worker process ended while the agent ran: {reason};" in (attempt.error or "")
        assert [span.name for span in attempt.spans] == ["invoke_agent crashing"]
    for attempt in done:
        assert not attempt.reward or not is_alive(int(attempt.reward))
    assert first.status == "succeeded"
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    ("agent", "case", "place"),
    [("crashing", "holds the lock", "in crashing"), ("blocking", "blocks", "in blocking")],
)
async def test_one_that_holds_up_its_whole_process_is_ended(
    crash: Any, agent: str, case: str, place: str
) -> None:
    async with opened(getattr(crash, agent)) as executor:
        await executor.run(request(case="fine"))
        held = await executor.run(request(0.2, case=case))
        after = await executor.run(request(case="fine"))
    assert held.status == "timed_out"
    assert held.error is not None
    assert "no result within 0.2 seconds; the agent held up the whole worker" in held.error
    assert place in held.error
    assert after.status == "succeeded"


async def test_one_that_hangs_is_ended_with_its_worker(crash: Any, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    async with opened(crash.crashing) as executor:
        hung = await executor.run(request(0.5, case="sleeps", note=str(note)))
        assert hung.status == "timed_out"
        assert "in crashing" in (hung.error or "")
        assert not is_alive(int(note.read_text()))


async def test_a_worker_that_died_while_it_was_idle_is_replaced(crash: Any) -> None:
    async with opened(crash.crashing) as executor:
        pid = int((await executor.run(request(case="fine"))).reward or 0)
        os.kill(pid, 9)
        await asyncio.to_thread(wait_for, lambda: not is_running(pid))
        after = await executor.run(request(case="fine"))
    assert after.status == "succeeded"


async def test_there_are_as_many_workers_as_runners_and_none_afterwards(crash: Any) -> None:
    async with opened(crash.crashing, n_runners=2) as executor:
        done = await asyncio.gather(*(executor.run(request(case="fine", n=n)) for n in range(8)))
    workers = {int(attempt.reward or 0) for attempt in done}
    assert len(workers) == 2
    assert not any(map(is_alive, workers))


async def test_a_rollout_that_is_cancelled_takes_its_worker_along(
    crash: Any, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    async with opened(crash.crashing) as executor:
        job = asyncio.create_task(executor.run(request(case="sleeps", note=str(note))))
        await asyncio.to_thread(wait_for, lambda: note.exists() and bool(note.read_text()))
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        await asyncio.to_thread(wait_for, lambda: not is_alive(int(note.read_text())))
        assert (await executor.run(request(case="fine"))).status == "succeeded"


async def test_agents_may_start_processes_of_their_own(crash: Any) -> None:
    async with opened(crash.spawning) as executor:
        assert (await executor.run(request())).reward == 3.0


def test_a_budget_holds_in_worker_processes(agents: Any, model: SimulatedModel) -> None:
    """Each rollout makes more calls than all before it, and each call is asked for."""
    model.reset()
    trainer = agl.Trainer(
        agl.Baseline(),
        n_runners=2,
        initial_resources={"prompt_template": HI},
        budget=agl.Budget(model_calls=12),
        executor=agl.ProcessExecutor(),
    )
    result = trainer.fit(agents.often, [{"case": n} for n in range(6)])
    assert result.stop_reason == "model_calls"
    assert model.usage().model_calls == result.usage.model_calls == 12


class OneCallElsewhere:
    """A meter with room for a call once it was asked twice, and for none that cannot wait."""

    def __init__(self) -> None:
        self.demands: list[Demand] = []
        self.ended: list[Reserved] = []

    def __reduce__(self) -> Any:
        return AbsentMeter, ()  # as the real one in another process

    def begin(self, demand: Demand) -> Reserved | None:
        self.demands.append(demand)
        if not demand.waits:
            raise BudgetExhaustedError("model_calls")
        return Reserved(demand.model, ModelUsage(1)) if len(self.demands) > 1 else None

    def end(self, reserved: Reserved, tokens: TokenUsage | None, failed: bool) -> None:
        self.ended.append(reserved)


@pytest.mark.parametrize(("name", "waits"), [("agent", True), ("async_agent", False)])
async def test_a_call_that_cannot_wait_says_so_over_the_pipe(
    agents: Any, model: SimulatedModel, name: str, waits: bool
) -> None:
    """A blocking call does not wait on an event loop, which in a worker is that worker's own."""
    meter = OneCallElsewhere()
    model.reset()
    async with opened(getattr(agents, name)) as executor:
        asked = replace(request(case="ask"), meter=meter)
        attempt = await executor.run(asked)
    assert [demand.waits for demand in meter.demands] == ([True, True] if waits else [False])
    assert all(demand.model == "gpt-4o" and demand.input_tokens > 0 for demand in meter.demands)
    assert len(meter.ended) == model.usage().model_calls == int(waits)
    assert (attempt.error is None) == waits
