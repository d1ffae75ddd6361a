"""Runs in a world that fails, over HTTP: what comes back is not lost, what fails is not scored."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from agl_adapters.agents import rollout as traced_rollout
from agl_adapters.testing import Fault, SimulatedModel
from agl_core.algorithms import Baseline, algorithm
from agl_core.callbacks import Callback
from agl_core.errors import ModelError
from agl_core.faults.backoff import Backoff
from agl_core.prompts.templates import PromptTemplate
from agl_core.result import TrainResult
from agl_core.trainer import Trainer

pytestmark = pytest.mark.usefixtures("few_resamples")

SEED = {"prompt_template": "You book."}
QUICK = Backoff(attempts=5, initial=0.005, longest=0.02, outage=0.3)


@algorithm(models=["m"])
async def asking(session: Any) -> None:
    """Validate the seed, ask for something louder, validate that."""
    session.report(session.initial)
    await session.evaluate(session.initial, session.val)
    for number in range(3):
        text = await session.ask("m", [{"role": "system", "content": f"LOUDER {number}"}])
        session.report({"prompt_template": text})
        await session.evaluate({"prompt_template": text}, session.val)


def calling_agent(client: openai.AsyncOpenAI) -> Any:
    """Return an agent that has its prompt echoed, and is scored by how loud the echo is."""

    @traced_rollout
    async def agent(task: Any, prompt_template: PromptTemplate) -> float:
        answer = await client.chat.completions.create(
            model="m",
            messages=[
                {"role": "system", "content": prompt_template.format()},
                {"role": "user", "content": str(task)},
            ],
        )
        return 0.9 if "LOUDER" in (answer.choices[0].message.content or "") else 0.3

    return agent


class Run:
    """A run that was made, and what became of its rollouts."""

    def __init__(self, trainer: Trainer, result: TrainResult) -> None:
        self.result = result
        records = [record for _, record in trainer.store.rollouts(result.run)]
        self.statuses = Counter(record["status"] for record in records)
        self.scores = {record["score"] for record in records}
        self.attempts = sum(record["attempts"] for record in records)


def run(
    *,
    rollouts: int = 40,
    n_runners: int = 8,
    search: Any = None,
    callbacks: Sequence[Callback] = (),
    backoff: Backoff = QUICK,
    client: openai.AsyncOpenAI | None = None,
) -> Run:
    client = client or openai.AsyncOpenAI(max_retries=0)
    trainer = Trainer(
        search or asking,
        n_runners=n_runners,
        initial_resources=SEED,
        callbacks=callbacks,
        backoff=backoff,
    )
    return Run(trainer, trainer.fit(calling_agent(client), list(range(rollouts))))


class At(Callback):
    """Does something at the end of a rollout, and keeps the warnings."""

    def __init__(self, number: int, act: Any) -> None:
        self.warnings: list[str] = []
        self._left = number
        self._act = act

    def on_rollout(self, rollout: Any, cached: bool) -> None:
        self._left -= 1
        if not self._left:
            self._act()

    def on_warning(self, message: str) -> None:
        self.warnings.append(message)


@pytest.mark.parametrize("kind", ["429", "500", "reset-midway", "invalid-json", "empty", "slow"])
def test_nothing_is_lost_to_a_fault_now_and_then_and_nothing_scored(
    served_model: SimulatedModel, kind: str
) -> None:
    """For rollouts and for the calls of the algorithm alike."""
    served_model.configure(faults=[Fault(kind, rate=0.3, seconds=0.01)])
    done = run(rollouts=16)
    assert done.result.stop_reason == "completed"
    assert done.statuses == {"succeeded": 64}
    assert done.scores == {0.3, 0.9}
    assert done.result.usage.rollouts == 64
    hit = len(served_model.log()) - 67
    assert hit == 0 if kind == "slow" else hit > 10


class TestOverload:
    def test_is_not_answered_with_a_stampede(self, served_model: SimulatedModel) -> None:
        """The service answers four at once; 64 runners that each tried for themselves would be
        turned away some hundred times, and give up on many rollouts."""
        served_model.configure(latency=0.01, faults=[Fault("429-busy", calls=4)])
        done = run(rollouts=150, n_runners=64, search=Baseline())
        assert done.statuses == {"succeeded": 150}
        assert len(served_model.log()) < 2 * 150

    def test_that_the_service_says_the_length_of_is_waited_for_by_all(
        self, served_model: SimulatedModel
    ) -> None:
        """One is told to wait; nobody else calls until then."""

        def limit() -> None:
            served_model.reset()
            served_model.configure(faults=[Fault("429-retry-after", calls=1, seconds=0.5)])

        backoff = Backoff(attempts=5, initial=0.005, longest=1.0)
        watch = At(20, limit)
        done = run(n_runners=4, search=Baseline(), callbacks=[watch], backoff=backoff)
        assert done.statuses == {"succeeded": 40}
        assert done.attempts == 41
        assert done.result.usage.seconds > 0.5


class TestOutage:
    @pytest.mark.parametrize("kind", ["503", "429"])
    def test_that_ends_costs_no_rollout(self, served_model: SimulatedModel, kind: str) -> None:
        """Sixty calls fail, whoever makes them: more than the attempts of those in flight."""
        watch = At(20, lambda: served_model.configure(faults=[Fault(kind, calls=60)]))
        patient = Backoff(attempts=5, initial=0.005, longest=0.02, outage=30.0)
        done = run(callbacks=[watch], backoff=patient)
        assert done.statuses == {"succeeded": 160}
        assert done.scores == {0.3, 0.9}
        where = served_model.base_url.removeprefix("http://").removesuffix("/v1")
        down, back = watch.warnings
        assert down.startswith(f"the service at {where} is down (")
        assert back == f"the service at {where} is back: the run goes on"

    @pytest.mark.parametrize("kind", ["503", "500"])
    def test_that_does_not_end_ends_the_run_with_the_best_so_far(
        self, served_model: SimulatedModel, kind: str
    ) -> None:
        watch = At(100, lambda: served_model.configure(faults=[Fault(kind)]))
        done = run(callbacks=[watch])
        assert done.result.stop_reason == "unavailable"
        assert done.scores == {0.3, 0.9, None}
        assert done.statuses["succeeded"] >= 100
        assert done.statuses["failed"] == 0
        # Only those that were in flight, and not all that were still to come.
        assert done.statuses["unavailable"] <= 24
        assert done.result.best["prompt_template"].raw.startswith("ECHO[LOUDER")
        assert watch.warnings[-1].startswith("the run ends with the best so far: ")

    def test_of_the_algorithms_service_does_too(self, served_model: SimulatedModel) -> None:
        watch = At(60, lambda: served_model.configure(faults=[Fault("503", marker="LOUDER 1")]))
        done = run(callbacks=[watch])
        assert done.result.stop_reason == "unavailable"
        assert done.statuses == {"succeeded": 80}

    def test_from_the_start_is_an_error_at_once(
        self, served_model: SimulatedModel, unused_port: int
    ) -> None:
        nobody = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{unused_port}/v1", max_retries=0)
        watch = At(0, lambda: None)
        with pytest.raises(ModelError, match=f"127.0.0.1:{unused_port} cannot be used: .*Connect"):
            run(client=nobody, callbacks=[watch])
        assert served_model.log() == []


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class TestQuota:
    def test_that_is_used_up_ends_the_run_with_the_best_so_far(
        self, served_model: SimulatedModel
    ) -> None:
        """Whoever is in flight may find out for itself; nobody tries again, nobody comes after."""

        def spend() -> None:
            served_model.reset()
            served_model.configure(faults=[Fault("429-quota")])

        watch = At(100, spend)
        done = run(callbacks=[watch], n_runners=4)
        assert done.result.stop_reason == "unavailable"
        assert done.result.best["prompt_template"].raw.startswith("ECHO[LOUDER")
        assert len(served_model.log()) <= 4
        assert "the quota is used up: RateLimitError" in watch.warnings[-1]

    def test_at_the_start_is_an_error(self, served_model: SimulatedModel) -> None:
        served_model.configure(faults=[Fault("429-quota")])
        with pytest.raises(ModelError, match="the quota is used up"):
            run()
        assert len(served_model.log()) == 1


class TestLateErrors:
    def test_carry_what_was_found(self, served_model: SimulatedModel) -> None:
        """A key that is withdrawn in the middle of a run."""
        watch = At(100, lambda: served_model.configure(faults=[Fault("401")]))
        with pytest.raises(ModelError, match="refused the agent's credentials") as caught:
            run(callbacks=[watch])
        found = caught.value.result
        assert isinstance(found, TrainResult)
        assert (found.stop_reason, found.verdict) == ("failed", "improved")
        assert found.best["prompt_template"].raw.startswith("ECHO[LOUDER")

    def test_that_are_early_carry_nothing(self, served_model: SimulatedModel) -> None:
        served_model.configure(faults=[Fault("401")])
        with pytest.raises(ModelError) as caught:
            run(search=Baseline())
        assert caught.value.result is None or caught.value.result.best_score is None


async def test_a_rollout_that_waits_to_be_tried_again_does_not_hold_up_the_end(
    engine: SimpleNamespace,
) -> None:
    failed = asyncio.Event()

    async def agent(task: Any, prompt_template: PromptTemplate) -> float:
        if task["number"] == 1:
            failed.set()
            raise ConnectionResetError
        return 1.0

    patient = Backoff(initial=60.0, longest=60.0)
    async with engine.running(agent, backoff=patient) as test:
        from agl_core.datasets import load_dataset

        tasks = list(load_dataset([{"number": number} for number in range(2)], "val"))
        prompts = {"prompt_template": PromptTemplate("Hi.")}
        job = asyncio.create_task(test.runner.run_all(prompts, tasks))
        await failed.wait()
        await asyncio.sleep(0)
        test.ledger.stop("interrupted")
        rollouts = await asyncio.wait_for(job, 5)
    assert [rollout.status for rollout in rollouts] == ["succeeded", "unavailable"]
