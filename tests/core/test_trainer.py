from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from agl_adapters.testing import Fault, SimulatedModel
from agl_core.algorithms import APO, Baseline, algorithm
from agl_core.callbacks import Callback
from agl_core.errors import (
    AglError,
    ConfigurationError,
    DatasetError,
    ModelError,
    PlaceholderError,
    RewardError,
    RolloutError,
    RunInUseError,
    StoreError,
)
from agl_core.execution.agents import FunctionAgent
from agl_core.execution.executors import LocalExecutor
from agl_core.prompts.templates import PromptTemplate
from agl_core.result import TrainResult
from agl_core.spending.budgets import Budget, BudgetExhaustedError
from agl_core.spending.ledger import Ledger
from agl_core.spending.prices import Price
from agl_core.storage.sqlite import MemoryStore, SQLiteStore
from agl_core.trainer import Trainer

TRAIN, VAL, TEST = list(range(29)), list(range(100, 129)), list(range(200, 229))
SMALL: dict[str, Any] = {
    "val_batch_size": 10,
    "gradient_batch_size": 4,
    "beam_width": 2,
    "branch_factor": 2,
    "beam_rounds": 2,
}
SEED = {"prompt_template": "You book."}
TOLD = "interrupted: the run ends when what is in flight is done; Ctrl-C again ends it at once\n"


def score(task: Any, text: str) -> float:
    """Succeed the more often, the more often the prompt was rewritten."""
    return float(random.Random(f"{task}{text}").random() < 0.3 + 0.2 * text.count("Say"))


pytestmark = pytest.mark.usefixtures("few_resamples")


@FunctionAgent
def booking(task: Any, prompt_template: PromptTemplate) -> float:
    return score(task, prompt_template.format())


@algorithm
async def louder(session: Any) -> None:
    """Try the seed, and the same in capitals."""
    for text in (session.initial["prompt_template"].raw, "YOU BOOK."):
        await session.evaluate({"prompt_template": text}, session.val)
        session.report({"prompt_template": text})


@FunctionAgent
def hearing(task: Any, prompt_template: PromptTemplate) -> float:
    return float(prompt_template.format().isupper())


class TestPrices:
    def test_are_what_the_calls_of_the_algorithm_cost(self, engine: SimpleNamespace) -> None:
        client = engine.ScriptedModel()  # 100 tokens sent and 10 received a call
        trainer = Trainer(
            APO("m", **SMALL),
            initial_resources=SEED,
            client=client,
            prices={"m": Price(0, 1_000_000)},
            budget=Budget(dollars=1_025.0),  # 1,000 tokens are reserved for each
        )
        result = trainer.fit(booking, TRAIN, VAL)
        assert result.stop_reason == "dollars"
        assert result.usage.dollars == 10.0 * len(client.requests)
        assert len(client.requests) == 3
        assert "$30.00" in result.report()

    def test_are_required_of_the_models_that_are_known(self, engine: SimpleNamespace) -> None:
        client = engine.ScriptedModel()
        ran: list[Any] = []

        @FunctionAgent
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            ran.append(task)
            return 0.0

        trainer = Trainer(
            APO("m"), initial_resources=SEED, client=client, budget=Budget(dollars=1.0)
        )
        with pytest.raises(ConfigurationError, match="a budget in dollars needs a price of m"):
            trainer.fit(agent, TRAIN, VAL)
        assert (ran, client.requests, client.checked) == ([], [], [])


class TestPatience:
    """What each algorithm calls a round."""

    @pytest.mark.parametrize("search", [APO, APO.published])
    @pytest.mark.parametrize("patience", [1, 2])
    def test_ends_a_search_that_finds_nothing(
        self, engine: SimpleNamespace, search: Any, patience: int
    ) -> None:
        @FunctionAgent
        def deaf(task: Any, prompt_template: PromptTemplate) -> float:
            return float(prompt_template.format() != "" and task % 2)

        watcher = engine.Watcher()
        trainer = Trainer(
            search("m", **SMALL | {"beam_rounds": 9}),
            initial_resources=SEED,
            client=engine.ScriptedModel(),
            callbacks=[watcher],
            budget=Budget(patience=patience),
        )
        result = trainer.fit(deaf, TRAIN, VAL, test_dataset=TEST)
        assert result.stop_reason == "patience"
        assert max(record.candidate.round for record in result.history) == patience
        assert len(result.history) > 1


class TestFit:
    def test_makes_prompts_better(self, engine: SimpleNamespace) -> None:
        client, watcher = engine.ScriptedModel(), engine.Watcher()
        trainer = Trainer(
            APO("m", **SMALL), initial_resources=SEED, client=client, callbacks=[watcher], run="r"
        )
        result = trainer.fit(booking, TRAIN, VAL, test_dataset=TEST)
        assert isinstance(result, TrainResult)
        assert (result.run, result.stop_reason, result.store) == ("r", "completed", ":memory:")
        assert result.verdict == "improved"
        assert "Say" in result.best["prompt_template"].raw
        assert result.best_score is not None
        assert result.seed_score is not None
        assert result.best_score > result.seed_score
        assert result.test is not None
        assert result.test.tasks == 29
        assert result.usage.rollouts == len(watcher.run)
        assert result.usage.model_calls == len(client.requests)
        assert result.history[0].candidate.parent is None

    async def test_may_be_called_where_a_loop_is_running(self) -> None:
        result = Trainer(louder, initial_resources=SEED).fit(hearing, VAL)
        assert result.best["prompt_template"].raw == "YOU BOOK."

    async def test_has_an_async_twin(self) -> None:
        result = await Trainer(louder, initial_resources=SEED).afit(hearing, VAL)
        assert result.best["prompt_template"].raw == "YOU BOOK."

    def test_without_a_validation_set_compares_on_the_training_tasks(
        self, engine: SimpleNamespace
    ) -> None:
        watcher = engine.Watcher()
        trainer = Trainer(louder, initial_resources=SEED, callbacks=[watcher])
        assert trainer.fit(hearing, TRAIN).best_score == 1.0
        assert watcher.messages == [
            "no validation set: candidates are compared on the training tasks"
        ]

    def test_without_a_test_split_says_so(self) -> None:
        result = Trainer(louder, initial_resources=SEED).fit(hearing, TRAIN, VAL)
        assert result.test is None
        assert result.comparison is not None
        assert result.comparison.split == "val"
        assert "nothing was held out" in result.report()

    def test_reads_datasets_from_files(self, tmp_path: Path) -> None:
        path = tmp_path / "tasks.jsonl"
        path.write_text("1\n2\n3\n")
        result = Trainer(louder, initial_resources=SEED).fit(hearing, path, str(path))
        assert result.usage.rollouts == 6

    def test_the_result_is_in_the_store(self, tmp_path: Path) -> None:
        trainer = Trainer(louder, initial_resources=SEED, store=tmp_path / "runs.db", run="r")
        result = trainer.fit(hearing, TRAIN, VAL)
        store = SQLiteStore(tmp_path / "runs.db")
        run = store.run("r")
        assert run is not None
        assert run.result is not None
        summary = {name: value for name, value in run.result.items() if name != "kept"}
        assert summary == json.loads(json.dumps(result.to_json()))
        assert len(list(store.rollouts("r"))) == 58
        assert len(store.candidates("r")) == 2
        store.close()
        trainer.store.close()

    def test_what_is_run_is_in_the_store_before_there_is_a_result(self) -> None:
        store = MemoryStore()
        seen: list[Any] = []

        @algorithm
        async def look(session: Any) -> None:
            run = store.run("r")
            assert run is not None
            seen.append((run.plan, run.result))

        Trainer(look, initial_resources=SEED, store=store, run="r", n_runners=3).fit(
            hearing, TRAIN[:2], VAL[:1], test_dataset=TEST[:1]
        )
        ((plan, result),) = seen
        assert result is None
        assert {name: plan[name] for name in ("agent", "train", "val", "test", "n_runners")} == {
            "agent": "hearing",
            "train": 2,
            "val": 1,
            "test": 1,
            "n_runners": 3,
        }
        assert plan["initial"]["prompt_template"]["template"] == SEED["prompt_template"]
        assert (plan["own"], plan["simulated"]) == ({}, False)
        assert [(task.split, task.data) for task in store.tasks("r")] == [
            ("test", 200),
            ("train", 0),
            ("train", 1),
            ("val", 100),
        ]

    def test_tells_who_watches(self) -> None:
        told: list[str] = []

        class Watcher(Callback):
            def on_start(self, plan: Any) -> None:
                told.append(f"start {plan.algorithm} {plan.agent} {plan.val} {plan.test}")

            def on_end(self, result: Any) -> None:
                told.append(f"end {result.verdict}")

            def on_close(self) -> None:
                told.append("close")

        Trainer(louder, initial_resources=SEED, callbacks=[Watcher()]).fit(hearing, TRAIN, VAL)
        assert told == ["start louder hearing 29 0", "close", "end improved"]

    def test_two_at_once_do_not_mix(self) -> None:
        """One trainer, two agents: each run has runners of its own."""

        def agent(number: int) -> FunctionAgent:
            async def run(task: Any, prompt_template: PromptTemplate) -> float:
                prompt_template.format()
                await asyncio.sleep(0.001)
                return float(number)

            return FunctionAgent(run)

        async def both() -> list[TrainResult]:
            trainer = Trainer(Baseline(), initial_resources=SEED)
            return await asyncio.gather(*(trainer.afit(agent(number), VAL) for number in range(4)))

        assert [result.best_score for result in asyncio.run(both())] == [0.0, 1.0, 2.0, 3.0]

    def test_the_seed_decides_everything_random(self, engine: SimpleNamespace) -> None:
        def run(seed: int) -> Any:
            trainer = Trainer(
                APO("m", **SMALL),
                initial_resources=SEED,
                client=engine.ScriptedModel(),
                seed=seed,
                run="r",
            )
            return comparable(trainer.fit(booking, TRAIN, VAL, test_dataset=TEST))

        assert run(1) == run(1) != run(2)


class TestAcceptance:
    """Two of twelve tasks more are a gain, and may be chance."""

    @staticmethod
    def fit(**options: Any) -> TrainResult:
        def a_little(task: Any, prompt_template: PromptTemplate) -> float:
            return float(task % 6 < 3 + (prompt_template.format().isupper() and task < 112))

        trainer = Trainer(louder, initial_resources=SEED, **options)
        return trainer.fit(FunctionAgent(a_little), range(100, 124))

    def test_a_gain_is_given_back_by_default(self) -> None:
        result = self.fit()
        assert result.verdict == "inconclusive"
        assert result.best["prompt_template"].raw == "YOU BOOK."

    def test_it_may_have_to_be_an_improvement(self) -> None:
        result = self.fit(accept="improved")
        assert result.verdict == "inconclusive"
        assert result.best == result.seed
        assert result.best_score == result.seed_score

    def test_of_another_kind_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="accept is 'all'"):
            Trainer(louder, accept="all")  # pyright: ignore[reportArgumentType]


class TestWarnings:
    def test_are_logged_where_nobody_watches(self, caplog: pytest.LogCaptureFixture) -> None:
        trainer = Trainer(louder, initial_resources=SEED)
        trainer._interrupt(Ledger(Budget()))
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert "Ctrl-C again ends it at once" in record.getMessage()

    def test_go_to_who_watches_otherwise(
        self, engine: SimpleNamespace, caplog: pytest.LogCaptureFixture
    ) -> None:
        watcher = engine.Watcher()
        Trainer(louder, initial_resources=SEED, callbacks=[watcher])._interrupt(Ledger(Budget()))
        assert len(watcher.messages) == 1
        assert not caplog.records


def test_ctrl_c_before_the_search_began_is_a_ctrl_c() -> None:
    trainer = Trainer(louder, initial_resources=SEED)

    async def stopped() -> None:
        raise BudgetExhaustedError("interrupted")

    with pytest.raises(KeyboardInterrupt):
        trainer._blocking(stopped(), Ledger(Budget()))


class TestClients:
    """Model clients that live longer than a run."""

    def test_of_the_program_work_in_run_after_run(self, served_model: SimulatedModel) -> None:
        client = openai.AsyncOpenAI()

        @FunctionAgent
        async def agent(task: Any, prompt_template: PromptTemplate) -> float:
            answer = await client.chat.completions.create(
                model="m",
                messages=[
                    {"role": "system", "content": prompt_template.format()},
                    {"role": "user", "content": str(task)},
                ],
            )
            return float(answer.choices[0].message.content == "ECHO[YOU BOOK.]")

        trainer = Trainer(louder, initial_resources=SEED)
        for _ in range(3):
            assert trainer.fit(agent, VAL[:8]).best_score == 1.0

    def test_of_the_user_stay_open_for_the_next_run(self, served_model: SimulatedModel) -> None:
        @algorithm(models=["m"])
        async def asking(session: Any) -> None:
            answer = await session.ask("m", "What now?")
            session.report({"prompt_template": answer}, score=1.0)

        client = openai.AsyncOpenAI()
        for _ in range(2):
            result = Trainer(asking, initial_resources=SEED, client=client).fit(hearing, VAL)
            assert result.best["prompt_template"].raw == "ECHO[]"
            assert result.usage.model_calls == 1
        assert not client.is_closed()

    def test_of_another_kind_are_not_closed_either(self, engine: SimpleNamespace) -> None:
        client = engine.ScriptedModel()
        trainer = Trainer(APO("m", **SMALL), initial_resources=SEED, client=client)
        trainer.fit(booking, TRAIN, VAL)
        assert client.checked == ["m", "m"]
        assert not client.closed

    def test_are_not_needed_where_no_model_is_called(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        Trainer(Baseline(), initial_resources=SEED).fit(hearing, VAL)
        with pytest.raises(ConfigurationError, match="no API key"):
            Trainer(APO(), initial_resources=SEED).fit(hearing, VAL)


class TestDev:
    def test_runs_the_seed_on_a_few_tasks_and_keeps_nothing(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        trainer = Trainer(initial_resources=SEED, store=tmp_path / "runs.db")
        evaluation = trainer.dev(hearing, VAL)
        assert [r.task for r in evaluation] == [100, 101, 102]
        assert evaluation.score == 0.0
        assert evaluation[0].reads == {"prompt_template"}
        assert len(trainer.dev(hearing, VAL, tasks=5)) == 5
        store: Any = trainer.store
        assert store.runs() == []
        assert store._read("SELECT count(*) FROM rollouts") == [(0,)]
        store.close()

    def test_says_what_does_not_work(self) -> None:
        with pytest.raises(RolloutError, match=r"(?s)in all of 3 rollouts.*ZeroDivisionError"):
            Trainer(Baseline(), initial_resources=SEED).dev(failing, VAL)


@FunctionAgent
def failing(task: Any, prompt_template: PromptTemplate) -> float:
    return 1 / 0


def graph() -> Any:
    """Return something like a compiled graph: an object with an `invoke` of its own."""
    return SimpleNamespace(name="graph", invoke=lambda state: state)


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ({"n_runners": 0}, "n_runners is 0; it is a whole number, at least 1"),
            ({"n_runners": 2.0}, "n_runners is 2.0"),
            ({"n_runners": True}, "n_runners is True"),
            ({"repeats": 0}, "repeats is 0; it is a whole number, at least 1"),
            ({"timeout": 0}, "timeout is 0"),
            ({"timeout": -1.0}, "timeout is -1.0"),
            ({"timeout": "10"}, "timeout is '10'"),
            ({"failure_reward": float("nan")}, "failure_reward is nan"),
            ({"failure_reward": None}, "failure_reward is None"),
            ({"budget": {"rollouts": 5}}, r"budget is dict; give agl\.Budget"),
            ({"store": 5}, "store is int"),
            ({"algorithm": APO}, r"algorithm is APO; give an instance such as agl\.APO"),
            ({"algorithm": "apo"}, "algorithm is str"),
            ({"algorithm": lambda session: None}, "algorithm is function"),
            ({"initial_resources": "You book."}, "this is str"),
            ({"initial_resources": {"a": 1}}, "'a' is int"),
        ],
    )
    def test_in_arguments_is_refused_at_once(self, arguments: Any, reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            Trainer(**arguments)

    def test_in_the_store_is_refused_at_once(self) -> None:
        with pytest.raises(StoreError, match=r"/dev/null/runs\.db"):
            Trainer(store="/dev/null/runs.db")

    @pytest.mark.parametrize(
        ("agent", "reason"),
        [
            (lambda task: 1.0, r"plain function; decorate it with @agl\.rollout .* or wrap it"),
            (graph(), r"plain SimpleNamespace; wrap it: agl\.wrap"),
            (FunctionAgent, r"plain type; wrap it"),
            ("agent", r"plain str; wrap it"),
            (None, r"plain NoneType; wrap it"),
        ],
    )
    def test_in_the_agent_says_what_would_do(self, agent: Any, reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            Trainer(Baseline(), initial_resources=SEED).fit(agent, VAL)

    @pytest.mark.parametrize(
        ("datasets", "reason"),
        [
            (([],), "the train dataset holds no task"),
            ((TRAIN, []), "the val dataset holds no task"),
            ((TRAIN, VAL, []), "the test dataset holds no task"),
            (("nowhere.jsonl",), "No such file"),
            ((TRAIN, [object()]), "the val dataset, task 0: a task must be JSON-able"),
        ],
    )
    def test_in_datasets_is_refused(self, datasets: Any, reason: str) -> None:
        given: list[Any] = [*datasets, None, None]
        train, val, test = given[:3]
        with pytest.raises(DatasetError, match=reason):
            Trainer(Baseline(), initial_resources=SEED).fit(hearing, train, val, test_dataset=test)

    @pytest.mark.parametrize(
        ("resources", "reason"),
        [
            ({}, "asks for 'prompt_template'"),
            (None, "asks for 'prompt_template'"),
            ({**SEED, "system": "x"}, "never asks for the resource 'system'"),
        ],
    )
    def test_in_resources_is_refused(self, resources: Any, reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            Trainer(Baseline(), initial_resources=resources).fit(hearing, VAL)

    def test_costs_no_rollout_and_takes_no_name(self) -> None:
        calls: list[Any] = []

        @FunctionAgent
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            calls.append(prompt_template.format(**task))
            return 1.0

        store = MemoryStore()
        for resources, tasks in (({"a": "x", "b": "y"}, [{"x": 1}]), (SEED, [{1, 2}])):
            with pytest.raises(ConfigurationError):
                Trainer(Baseline(), initial_resources=resources, store=store, run="r").fit(
                    agent, tasks
                )
            assert calls == []
            assert store.run("r") is None
        # What is found out by the first rollout takes no name either.
        with pytest.raises(PlaceholderError, match=r"task val\[0\]: .*asks for \{room\}.*given: x"):
            Trainer(
                Baseline(), initial_resources={"prompt_template": "{room}"}, store=store, run="r"
            ).fit(agent, [{"x": 1}, {"x": 2}])
        Trainer(Baseline(), initial_resources=SEED, store=store, run="r").fit(agent, [{"x": 1}])

    def test_in_rewards_names_the_task(self) -> None:
        @FunctionAgent
        def agent(task: Any, prompt_template: PromptTemplate) -> Any:
            prompt_template.format()
            return None if task == 105 else 1.0

        with pytest.raises(RewardError, match=r"task val\[5\]: there is no reward: return a"):
            Trainer(Baseline(), initial_resources=SEED).fit(agent, VAL)

    @pytest.mark.parametrize("search", [APO, APO.published])
    def test_of_an_agent_that_always_fails_is_told_at_once(
        self, engine: SimpleNamespace, search: Callable[..., APO]
    ) -> None:
        watcher, client = engine.Watcher(), engine.ScriptedModel()
        trainer = Trainer(
            search("m", **SMALL), initial_resources=SEED, client=client, callbacks=[watcher]
        )
        with pytest.raises(RolloutError, match=r"(?s)failed in all of .*ZeroDivisionError"):
            trainer.fit(failing, TRAIN, VAL)
        # What was in flight when it became plain: not the four children of even the first round.
        assert len(watcher.run) < 29 + 4 * 4 + 10 + 4 * 10
        assert len(client.requests) < 4 + 4

    def test_of_an_agent_that_reads_no_prompt_too(self, engine: SimpleNamespace) -> None:
        watcher, client = engine.Watcher(), engine.ScriptedModel()
        trainer = Trainer(
            APO("m", **SMALL), initial_resources=SEED, client=client, callbacks=[watcher]
        )
        with pytest.raises(RolloutError, match="no rollout read a prompt"):
            trainer.fit(FunctionAgent(lambda task, prompt_template: 0.5), TRAIN, VAL)
        assert len({rollout.id.split("/")[0] for rollout in watcher.run}) == 1  # the seed's alone
        assert client.requests == []

    def test_a_wrong_key_costs_one_call(self, served_model: SimulatedModel) -> None:
        served_model.configure(faults=[Fault("401")])

        @FunctionAgent
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            with openai.OpenAI() as client:
                client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": prompt_template.format()}]
                )
            return 1.0

        with pytest.raises(ModelError, match="refused the agent's credentials"):
            Trainer(Baseline(), initial_resources=SEED).fit(agent, VAL)
        assert len(served_model.log()) == 1

    def test_the_optimizers_wrong_key_is_found_out_before_anything_is_spent(
        self, engine: SimpleNamespace
    ) -> None:
        class Refusing(engine.ScriptedModel):
            async def check(self, models: Any) -> None:
                raise ModelError(f"refused for {models[0]}")

        watcher = engine.Watcher()
        with pytest.raises(ModelError, match="refused for m"):
            Trainer(APO("m"), initial_resources=SEED, client=Refusing(), callbacks=[watcher]).fit(
                booking, VAL
            )
        assert watcher.run == []

    def test_in_an_algorithm_comes_through(self) -> None:
        @algorithm
        async def broken(session: Any) -> None:
            raise KeyError("its own mistake")

        with pytest.raises(KeyError, match="its own mistake"):
            Trainer(broken, initial_resources=SEED).fit(hearing, VAL)

    def test_every_error_on_purpose_is_of_one_kind(self) -> None:
        with pytest.raises(AglError):
            Trainer(n_runners=0)


class TestCleanUp:
    @pytest.mark.parametrize("agent", [hearing, failing])
    def test_everything_that_was_opened_is_closed(self, agent: FunctionAgent) -> None:
        events: list[str] = []

        class Executor(LocalExecutor):
            def open(self, agent: Any, tracing: Any, n_runners: int) -> None:
                events.append("open")
                super().open(agent, tracing, n_runners)

            async def close(self) -> None:
                events.append("close")
                await super().close()

        trainer = Trainer(Baseline(), initial_resources=SEED, executor=Executor())
        if agent is failing:
            with pytest.raises(RolloutError):
                trainer.fit(agent, VAL)
        else:
            trainer.fit(agent, VAL)
        assert events == ["open", "close"]

    async def test_cancelling_ends_the_run_at_once(self) -> None:
        inside, started = [0], asyncio.Event()

        @FunctionAgent
        async def agent(task: Any, prompt_template: PromptTemplate) -> float:
            if task == 100:
                return 1.0
            inside[0] += 1
            started.set()
            try:
                await asyncio.sleep(60)
            finally:
                inside[0] -= 1
            return 1.0

        job = asyncio.create_task(Trainer(Baseline(), initial_resources=SEED).afit(agent, VAL))
        await started.wait()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(job, timeout=5)
        assert inside == [0]


def comparable(result: TrainResult) -> Any:
    """Return what has to be the same when a run is done again, or resumed."""
    data = result.to_json()
    del data["usage"]
    history = [(r.id, r.candidate, r.validation, r.score) for r in result.history]
    return json.dumps(data), [repr(entry) for entry in history]


class TestResume:
    @pytest.mark.parametrize(
        ("search", "rollouts"),
        [(APO, 89), (APO, 119), (APO.published, 99), (APO.published, 159)],
    )
    def test_ends_like_a_run_in_one_go_and_pays_for_nothing_twice(
        self, engine: SimpleNamespace, tmp_path: Path, search: Callable[..., APO], rollouts: int
    ) -> None:
        ran: list[str] = []

        @FunctionAgent
        def agent(task: Any, prompt_template: PromptTemplate, rollout: Any) -> float:
            ran.append(rollout.id)
            return score(task, prompt_template.format())

        def fit(store: Path, budget: Budget | None, resume: bool = False) -> TrainResult:
            trainer = Trainer(
                search("m", **SMALL),
                initial_resources=SEED,
                client=client,
                store=store,
                run="r",
                budget=budget,
            )
            result = trainer.fit(agent, TRAIN, VAL, test_dataset=TEST, resume=resume)
            trainer.store.close()
            return result

        client = engine.ScriptedModel()
        whole = fit(tmp_path / "whole.db", None)
        whole_ran, whole_asked = sorted(ran), sorted(client.requests)
        ran.clear()
        client.requests.clear()

        part = fit(tmp_path / "parts.db", Budget(rollouts=rollouts))
        assert part.stop_reason == "rollouts"
        assert part.usage.rollouts <= rollouts
        rest = fit(tmp_path / "parts.db", None, resume=True)
        assert comparable(rest)[1] == comparable(whole)[1]
        assert comparable(rest)[0].replace("parts.db", "whole.db") == comparable(whole)[0]
        assert rest.usage.rollouts == len(ran)  # of the whole run
        assert rest.usage.unpriced == whole.usage.unpriced == ("m",)
        assert rest.usage.model_calls == len(client.requests)
        assert len(set(ran)) == len(ran)
        assert sorted(client.requests) == whole_asked
        # The first run may have tested a candidate that was not the best in the end.
        assert set(ran) >= set(whole_ran)

        client.checked.clear()
        again = fit(tmp_path / "parts.db", None, resume=True)
        assert again == rest
        assert (len(ran), client.checked) == (rest.usage.rollouts, [])

    @pytest.mark.parametrize("budget", [Budget(rollouts=90), Budget(model_calls=5)])
    @pytest.mark.parametrize("crash_at", [20, 60])
    def test_with_a_budget_ends_where_a_run_in_one_go_does(
        self, engine: SimpleNamespace, tmp_path: Path, budget: Budget, crash_at: int
    ) -> None:
        class Crash(Callback):
            seen = 0

            def on_rollout(self, rollout: Any, cached: bool) -> None:
                self.seen += 1
                if self.seen == crash_at:
                    raise RuntimeError("the power went")

        def fit(store: Path, *callbacks: Callback, resume: bool = False) -> TrainResult:
            trainer = Trainer(
                APO("m", **SMALL),
                n_runners=4,
                initial_resources=SEED,
                client=engine.ScriptedModel(),
                store=store,
                run="r",
                budget=budget,
                callbacks=callbacks,
            )
            try:
                return trainer.fit(booking, TRAIN, VAL, test_dataset=TEST[:5], resume=resume)
            finally:
                trainer.store.close()

        whole = fit(tmp_path / "whole.db")
        with pytest.raises(RuntimeError, match="the power went"):
            fit(tmp_path / "parts.db", Crash())
        rest = fit(tmp_path / "parts.db", resume=True)
        assert comparable(rest) == comparable(whole)
        assert whole.stop_reason in ("rollouts", "model_calls")
        assert (rest.usage.rollouts, rest.usage.model_calls, rest.usage.tokens) == (
            whole.usage.rollouts,
            whole.usage.model_calls,
            whole.usage.tokens,
        )

    def test_counts_the_seconds_of_all_its_starts(self, tmp_path: Path) -> None:
        def fit(seconds: float, resume: bool = False) -> TrainResult:
            trainer = Trainer(
                louder,
                n_runners=1,
                initial_resources=SEED,
                store=tmp_path / "runs.db",
                run="r",
                budget=Budget(seconds=seconds),
            )
            try:
                return trainer.fit(slow, TRAIN, VAL, resume=resume)
            finally:
                trainer.store.close()

        @FunctionAgent
        def slow(task: Any, prompt_template: PromptTemplate) -> float:
            time.sleep(0.02)
            return float(bool(prompt_template.format()))

        first = fit(0.3)
        assert first.stop_reason == "seconds"
        assert fit(0.3, resume=True) == first
        second = fit(0.6, resume=True)
        assert second.stop_reason == "seconds"
        assert second.usage.rollouts > first.usage.rollouts
        # No rollout is shorter than its sleep; each start may have one in flight at the end.
        assert second.usage.rollouts <= 0.6 / 0.02 + 4

    def test_of_a_changed_program_is_refused(self) -> None:
        def agent(text: str) -> Any:
            @FunctionAgent
            def shouting(task: Any, prompt_template: PromptTemplate) -> float:
                return float(prompt_template.format().isupper() and bool(text))

            return shouting

        trainer = Trainer(louder, initial_resources=SEED, run="r")
        trainer.fit(agent("Be brief."), TRAIN, VAL)
        trainer.fit(agent("Be brief."), TRAIN, VAL, resume=True)
        with pytest.raises(
            ConfigurationError, match=r"another program \(function: text\).* its own"
        ):
            trainer.fit(agent("Be long, then."), TRAIN, VAL, resume=True)

    @pytest.mark.parametrize(
        ("changed", "names"),
        [
            ({"seed": 1}, "seed"),
            ({"algorithm": Baseline()}, r"algorithm \(name\)"),
            ({"initial_resources": {"prompt_template": "Else."}}, "initial_resources"),
            ({"failure_reward": -1.0}, "failure_reward"),
            ({"repeats": 2}, "repeats"),
            ({"val": TEST}, "val"),
            ({"train": VAL, "test": TEST}, "train, test"),
            ({"agent": booking}, "agent"),
        ],
    )
    def test_with_something_else_is_refused_by_name(self, changed: Any, names: str) -> None:
        store = MemoryStore()
        changed = dict(changed)
        agent, train = changed.pop("agent", hearing), changed.pop("train", TRAIN)
        val, test = changed.pop("val", VAL), changed.pop("test", None)
        same: dict[str, Any] = {
            "algorithm": louder,
            "initial_resources": SEED,
            "store": store,
            "run": "r",
        }
        Trainer(**same).fit(hearing, TRAIN, VAL)
        other = Trainer(**{**same, **changed})
        with pytest.raises(ConfigurationError, match=f"started with another {names}"):
            other.fit(agent, train, val, test_dataset=test, resume=True)

    def test_has_to_be_asked_for(self) -> None:
        trainer = Trainer(louder, initial_resources=SEED, run="r")
        trainer.fit(hearing, TRAIN, VAL)
        with pytest.raises(ConfigurationError, match="has a run named 'r' already"):
            trainer.fit(hearing, TRAIN, VAL)
        trainer.fit(hearing, TRAIN, VAL, resume=True)
        with pytest.raises(ConfigurationError, match="which run is to be resumed"):
            Trainer(louder, initial_resources=SEED).fit(hearing, TRAIN, VAL, resume=True)


class TestTwoOnOneRun:
    def test_the_second_is_refused_before_it_does_anything(self, tmp_path: Path) -> None:
        refused: list[str] = []

        @FunctionAgent
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            if not refused:
                for resume in (False, True):
                    other = Trainer(
                        louder, initial_resources=SEED, store=tmp_path / "runs.db", run="r"
                    )
                    with pytest.raises(RunInUseError, match=r"'r' .* by this process") as error:
                        other.fit(hearing, TRAIN, VAL, resume=resume)
                    refused.append(str(error.value))
                    other.store.close()
            return float(prompt_template.format().isupper())

        trainer = Trainer(louder, initial_resources=SEED, store=tmp_path / "runs.db", run="r")
        assert trainer.fit(agent, TRAIN, VAL).best_score == 1.0
        assert len(refused) == 2
        trainer.store.close()

    def test_another_run_of_the_store_is_no_matter(self, tmp_path: Path) -> None:
        trainers = [
            Trainer(louder, initial_resources=SEED, store=tmp_path / "runs.db", run=name)
            for name in ("a", "b", "c")
        ]

        async def all_at_once() -> list[TrainResult]:
            return await asyncio.gather(*(t.afit(hearing, TRAIN, VAL) for t in trainers))

        assert [result.best_score for result in asyncio.run(all_at_once())] == [1.0] * 3
        for trainer in trainers:
            trainer.store.close()


class TestPlan:
    def test_tells_what_the_run_takes_and_can_show(self, engine: SimpleNamespace) -> None:
        watcher = engine.Watcher()
        trainer = Trainer(
            APO("m", **SMALL),
            initial_resources=SEED,
            client=engine.ScriptedModel(),
            callbacks=[watcher],
            repeats=2,
        )
        result = trainer.fit(booking, TRAIN, VAL, test_dataset=TEST)
        plan = watcher.plan
        assert (plan.repeats, plan.test_rollouts, plan.judged) == (2, 3 * 2 * 29, 29)
        assert plan.workload.rollouts == 58 + 2 * (16 + 58) + 174
        assert result.usage.rollouts <= plan.workload.most_rollouts
        assert plan.calls_per_rollout is None  # nothing was run to find the prompt
        record = trainer.store.run(result.run)
        assert record is not None
        assert record.plan is not None
        assert record.plan["workload"]["rollouts"] == 380

    def test_is_warned_of_where_it_is_hopeless(self, engine: SimpleNamespace) -> None:
        watcher = engine.Watcher()
        Trainer(louder, initial_resources=SEED, callbacks=[watcher]).fit(
            hearing, TRAIN, VAL, test_dataset=TEST[:5]
        )
        assert watcher.messages[0].startswith("with 5 test tasks no gain can be proved")
        watcher.messages.clear()
        Trainer(Baseline(), initial_resources=SEED, callbacks=[watcher]).fit(
            hearing, TRAIN, VAL[:5]
        )
        assert watcher.messages == []  # there is nothing to prove


class TestBudget:
    @pytest.mark.parametrize("rollouts", [1, 10, 29, 40, 57])
    def test_is_never_overshot_and_ends_with_the_best_so_far(self, rollouts: int) -> None:
        trainer = Trainer(louder, initial_resources=SEED, budget=Budget(rollouts=rollouts))
        result = trainer.fit(hearing, TRAIN, VAL)
        assert (result.stop_reason, result.usage.rollouts) == ("rollouts", rollouts)
        assert result.verdict == "no_gain"
        assert result.best["prompt_template"].raw == "You book."

    def test_counts_the_test_split(self) -> None:
        """So much is kept back as the best two candidates and the seed take there."""
        cut = Trainer(louder, initial_resources=SEED, budget=Budget(rollouts=144))
        assert cut.fit(hearing, TRAIN, VAL, test_dataset=TEST).verdict == "no_gain"
        trainer = Trainer(louder, initial_resources=SEED, budget=Budget(rollouts=145))
        result = trainer.fit(hearing, TRAIN, VAL, test_dataset=TEST)
        assert (result.usage.rollouts, result.verdict) == (116, "improved")
        assert result.test is not None
        with pytest.raises(ConfigurationError, match="leaves none for the search"):
            Trainer(louder, initial_resources=SEED, budget=Budget(rollouts=87)).fit(
                hearing, TRAIN, VAL, test_dataset=TEST
            )

    def test_counts_repeats_and_the_verdict_tasks(self) -> None:
        trainer = Trainer(
            louder, initial_resources=SEED, budget=Budget(rollouts=4 * 58 + 58), repeats=2
        )
        result = trainer.fit(hearing, TRAIN, VAL, test_dataset=TEST)
        assert (result.usage.rollouts, result.verdict) == (4 * 58, "improved")
        assert result.test is not None
        assert result.test.tasks == 29
        with pytest.raises(ConfigurationError, match="the test split takes 174"):
            Trainer(louder, initial_resources=SEED, budget=Budget(rollouts=174), repeats=2).fit(
                hearing, TRAIN, VAL, test_dataset=TEST
            )

    def test_may_be_a_target(self) -> None:
        trainer = Trainer(louder, initial_resources=SEED, budget=Budget(target=0.9))
        result = trainer.fit(hearing, TRAIN, VAL, test_dataset=TEST)
        assert (result.stop_reason, result.best_score) == ("target", 1.0)
        assert result.test is not None  # which is still run

    def test_of_model_calls_counts_agent_and_optimizer(
        self, engine: SimpleNamespace, served_model: SimulatedModel
    ) -> None:
        client = engine.ScriptedModel()
        trainer = Trainer(
            APO("m", **SMALL),
            initial_resources=SEED,
            client=client,
            budget=Budget(model_calls=5),
        )
        result = trainer.fit(booking, TRAIN, VAL)
        assert result.stop_reason == "model_calls"
        assert result.usage.model_calls == len(client.requests) == 5


PROGRAM = """
import sys, time
from agl_core.execution.agents import FunctionAgent
from agl_core.algorithms import algorithm
from agl_core.trainer import Trainer

@FunctionAgent
def agent(task, prompt_template):
    text = prompt_template.format()
    if text == "slow":
        sys.stdout.write("inside\\n")  # in one piece: four threads write
        sys.stdout.flush()
        time.sleep(float(sys.argv[2]))
    return {"seed": 0.2, "better": 0.8, "slow": 1.0}[text]

@algorithm
async def search(session):
    for text in ("seed", "better", "slow"):
        await session.evaluate({"prompt_template": text}, session.val)
        session.report({"prompt_template": text})

trainer = Trainer(search, n_runners=4, store=sys.argv[1], run="r",
                  initial_resources={"prompt_template": "seed"})
result = trainer.fit(agent, list(range(40)), test_dataset=[100, 101, 102, 103, 104, 105])
print(result.stop_reason, result.best["prompt_template"].raw, result.verdict,
      result.usage.rollouts, result.test, flush=True)
"""


class TestCtrlC:
    @staticmethod
    def start(tmp_path: Path, seconds: float) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "runs.db"), str(seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def wait_for(process: subprocess.Popen[str], word: str) -> None:
        assert process.stdout is not None
        while (line := process.stdout.readline()) and line.strip() != word:
            pass
        assert line, "the program ended early"

    @staticmethod
    def rollouts(tmp_path: Path) -> int:
        store = SQLiteStore(tmp_path / "runs.db")
        count = len(list(store.rollouts("r")))
        store.close()
        return count

    def test_once_finishes_what_is_in_flight_and_gives_the_best_so_far(
        self, tmp_path: Path
    ) -> None:
        process = self.start(tmp_path, 0.2)
        self.wait_for(process, "inside")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, TOLD)
        reason, best, verdict, rollouts, test = out.splitlines()[-1].split()
        assert (reason, best, verdict, test) == ("interrupted", "better", "improved", "None")
        assert 80 < int(rollouts) < 120
        assert self.rollouts(tmp_path) == int(rollouts)

    def test_twice_ends_at_once_and_loses_nothing_that_was_finished(self, tmp_path: Path) -> None:
        process = self.start(tmp_path, 60)
        self.wait_for(process, "inside")
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert (
            process.stderr.readline() == TOLD
        )  # so it has come, and is not made one with the next
        assert process.poll() is None
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - start < 10
        assert err.rstrip().endswith("KeyboardInterrupt")
        assert process.returncode in (1, -signal.SIGINT, 128 + signal.SIGINT)
        assert self.rollouts(tmp_path) == 80
