from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.candidates import Candidate
from agl_core.datasets import load_dataset
from agl_core.errors import ConfigurationError, ModelError, RolloutError
from agl_core.models.chat import RefusedError
from agl_core.prompts.templates import PromptTemplate
from agl_core.spending.budgets import Budget, BudgetExhaustedError
from agl_core.storage.sqlite import MemoryStore


def length(task: Any, prompt_template: PromptTemplate) -> float:
    """Score a prompt by its length."""
    return float(len(prompt_template.format(task=task)))


class TestEvaluate:
    async def test_gives_one_rollout_per_task_in_their_order(self, engine: SimpleNamespace) -> None:
        async def agent(task: Any, prompt_template: PromptTemplate) -> float:
            await asyncio.sleep(0.003 if task % 2 else 0)
            return float(f"{task}.{len(str(prompt_template))}")

        async with engine.in_session(agent) as session:
            evaluation = await session.evaluate({"prompt_template": "Hello."}, session.val[1:])
            assert evaluation.scores == (101.6, 102.6, 103.6)
            reverse = await session.evaluate(session.initial, reversed(session.train))
            assert reverse.scores == (3.3, 2.3, 1.3, 0.3)
            assert (await session.evaluate(session.initial, [])).score is None

    async def test_pays_once_for_what_is_asked_for_twice(self, engine: SimpleNamespace) -> None:
        watcher = engine.Watcher()
        async with engine.in_session(length, callback=watcher) as session:
            first = await session.evaluate(session.initial, session.val)
            assert list(await session.evaluate({}, session.val)) == list(first)
            assert session.usage.rollouts == 4
            for repeat in (1, "1", "round-2"):
                await session.evaluate(session.initial, session.val, repeat=repeat)
            assert session.usage.rollouts == 12

    async def test_takes_what_is_missing_from_the_seed(self, engine: SimpleNamespace) -> None:
        def agent(task: Any, a: PromptTemplate, b: PromptTemplate) -> float:
            return float(len(a.template) * 100 + len(b.template))

        async with engine.in_session(agent, initial={"a": "x", "b": "yy"}) as session:
            evaluation = await session.evaluate({"b": "yyyy"}, session.val)
            assert evaluation.score == 104.0

    async def test_text_takes_engine_and_names_of_the_seed(self, engine: SimpleNamespace) -> None:
        seed = PromptTemplate("{a} {b}", variables=["a"])

        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            return float(prompt_template.format(a=1) == "{b} 1")

        async with engine.in_session(agent, initial={"prompt_template": seed}) as session:
            evaluation = await session.evaluate({"prompt_template": "{b} {a}"}, session.val)
            assert evaluation.score == 1.0

    @pytest.mark.parametrize(
        ("resources", "reason"),
        [
            ({"system": "x"}, "no prompt is called system; there are: prompt_template"),
            ({"prompt_template": "no placeholder"}, r"prompt prompt_template: .*loses \{task\}"),
            ({"prompt_template": "{task} {x}"}, r"invents \{x\}"),
            ({"prompt_template": PromptTemplate("{x}")}, r"loses \{task\}"),
        ],
    )
    async def test_refuses_what_cannot_be_a_candidate(
        self, engine: SimpleNamespace, resources: Any, reason: str
    ) -> None:
        initial = {"prompt_template": "Hi {task}."}
        async with engine.in_session(length, initial=initial) as session:
            with pytest.raises(ConfigurationError, match=reason):
                await session.evaluate(resources, session.val)
            with pytest.raises(ConfigurationError, match=reason):
                session.report(resources)
            assert session.usage.rollouts == 0

    async def test_takes_raw_tasks_and_knows_its_own_again(self, engine: SimpleNamespace) -> None:
        async with engine.in_session(length, initial={"prompt_template": "{task}"}) as session:
            evaluation = await session.evaluate(session.initial, [7, 101, 0, 12345])
            assert [rollout.split for rollout in evaluation] == ["adhoc", "val", "train", "adhoc"]
            assert evaluation.scores == (1.0, 3.0, 1.0, 5.0)
            await session.evaluate(session.initial, session.val)
            assert session.usage.rollouts == 4 + 3
            with pytest.raises(ConfigurationError, match="JSON-able"):
                await session.evaluate(session.initial, [{1, 2}])

    async def test_runs_lower_priorities_first(self, engine: SimpleNamespace) -> None:
        order: list[Any] = []
        go = asyncio.Event()

        async def agent(task: Any, prompt_template: PromptTemplate) -> float:
            prompt_template.format()
            order.append(task)
            await go.wait()
            return 1.0

        async with engine.in_session(agent, n_runners=1) as session:
            go.set()
            await session.evaluate({}, [0])  # the first one, which goes alone
            go.clear()
            jobs = [
                asyncio.create_task(session.evaluate({}, [task], priority=priority))
                for task, priority in ((10, 5), (20, 2), (30, 0), (40, 2))
            ]
            for _ in range(50):
                await asyncio.sleep(0)
            go.set()
            await asyncio.gather(*jobs)
        assert order == [0, 10, 30, 20, 40]


class TestRepeats:
    @staticmethod
    def alternating() -> Any:
        """Return an agent that is right on every other run of a task."""
        runs: Counter[Any] = Counter()

        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            runs[task, prompt_template.format()] += 1
            return float(runs[task, prompt_template.format()] % 2)

        return agent

    async def test_a_score_is_the_mean_over_them(self, engine: SimpleNamespace) -> None:
        async with engine.in_session(self.alternating(), repeats=2) as session:
            evaluation = await session.evaluate(session.initial, session.val)
            assert (len(evaluation), evaluation.scores) == (8, (0.5,) * 4)
            assert session.validation(session.initial) == (0.5,) * 4
            held_out = load_dataset(range(6), "test")
            (tested,) = await session.evaluate_held_out([session.initial], held_out)
            assert tested.scores == (0.5,) * 6
            assert session.usage.rollouts == 8 + 12

    async def test_where_the_rollouts_count_there_need_be_none(
        self, engine: SimpleNamespace
    ) -> None:
        async with engine.in_session(self.alternating(), repeats=2) as session:
            once = await session.evaluate(session.initial, session.val, repeats=1)
            assert once.scores == (1.0,) * 4
            assert session.validation(session.initial) is None
            await session.evaluate(session.initial, session.val)
            assert session.validation_score(session.initial) == 0.5
            assert session.usage.rollouts == 8

    async def test_a_confirmation_has_as_many(self, engine: SimpleNamespace) -> None:
        async with engine.in_session(self.alternating(), repeats=3) as session:
            await session.evaluate(session.initial, session.val)
            assert session.validation_score(session.initial) == pytest.approx(2 / 3)
            await session.confirm(session.initial)
            assert session.validation_score(session.initial) == 0.5
            assert session.usage.rollouts == 24


class TestValidation:
    async def test_is_what_all_of_val_came_to(self, engine: SimpleNamespace) -> None:
        async with engine.in_session(length) as session:
            assert session.validation(session.initial) is None
            await session.evaluate(session.initial, session.val[:3])
            await session.evaluate(session.initial, session.train)
            assert session.validation_score(session.initial) is None
            await session.evaluate(session.initial, session.val[3:])
            assert session.validation(session.initial) == (3.0, 3.0, 3.0, 3.0)
            assert session.validation_score(session.initial) == 3.0

    async def test_is_in_the_order_of_val(self, engine: SimpleNamespace) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            return float(task) if prompt_template.format() else 0.0

        async with engine.in_session(agent) as session:
            await session.evaluate({}, [*reversed(session.val), *session.train])
            assert session.validation(session.initial) == (100.0, 101.0, 102.0, 103.0)

    async def test_is_not_touched_by_repeats(self, engine: SimpleNamespace) -> None:
        """Else it would depend on which of several evaluations ends last."""
        runs = iter(range(100))

        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            prompt_template.format()
            return float(next(runs) >= 4)

        async with engine.in_session(agent) as session:
            await session.evaluate(session.initial, session.val)
            again = await session.evaluate(session.initial, session.val, repeat="round-1")
            assert again.score == 1.0
            assert session.validation_score(session.initial) == 0.0

    async def test_leaves_out_what_the_world_failed(self, engine: SimpleNamespace) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            prompt_template.format()
            if task == 101:
                raise ConnectionResetError
            return 1.0

        async with engine.in_session(agent) as session:
            await session.evaluate(session.initial, session.val)
            assert session.validation(session.initial) == (1.0, None, 1.0, 1.0)
            assert session.validation_score(session.initial) == 1.0


class TestTarget:
    async def test_ends_the_run_when_it_is_reached(self, engine: SimpleNamespace) -> None:
        async with engine.in_session(length, budget=Budget(target=5.0)) as session:
            await session.evaluate(session.initial, session.val)
            with pytest.raises(BudgetExhaustedError) as stop:
                await session.evaluate({"prompt_template": "Hello."}, session.val)
            assert stop.value.reason == "target"
            assert [c.resources["prompt_template"].raw for c in session.candidates] == ["Hello."]
            with pytest.raises(BudgetExhaustedError):
                await session.evaluate(session.initial, session.train)

    async def test_counts_on_all_of_val_only(self, engine: SimpleNamespace) -> None:
        async with engine.in_session(length, budget=Budget(target=5.0)) as session:
            await session.evaluate({"prompt_template": "Hello."}, session.val[:3])
            await session.evaluate({"prompt_template": "Hello."}, session.train)


class TestModelCheck:
    async def test_a_model_that_never_answers_ends_the_run(self, engine: SimpleNamespace) -> None:
        def fail_then_answer(request: str) -> str:
            if request != "good":
                raise ModelError(f"no answer to {request}")
            return "fine"

        client = engine.ScriptedModel(fail_then_answer)
        async with engine.in_session(length, client=client) as session:
            session.raise_if_none_answered()
            for request in ("first", "second"):
                with pytest.raises(ModelError):
                    await session.ask("gpt", request)
            with pytest.raises(ModelError, match=r"all 2 model calls .* no answer to first"):
                session.raise_if_none_answered()
            await session.ask("gpt", "good")
            session.raise_if_none_answered()


class TestSeedCheck:
    async def test_an_agent_that_always_fails_ends_the_run_with_the_first_traceback(
        self, engine: SimpleNamespace
    ) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            raise ValueError(f"no room for task {task}")

        async with engine.in_session(agent, val=range(20)) as session:
            with pytest.raises(RolloutError) as failed:
                await session.evaluate(session.initial, session.val)
            assert "the agent failed in all of 20 rollouts" in str(failed.value)
            assert "task val[0]" in str(failed.value)
            assert "ValueError: no room for task 0" in str(failed.value)

    async def test_then_nothing_else_is_paid_for(self, engine: SimpleNamespace) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            raise ValueError

        client = engine.ScriptedModel()
        async with engine.in_session(agent, val=range(20), client=client) as session:
            with pytest.raises(RolloutError):
                await session.evaluate(session.initial, session.val)
            spent = session.usage.rollouts
            for job in (
                session.evaluate({"prompt_template": "Other."}, session.val),
                session.ask("m", "improve"),
            ):
                with pytest.raises(RolloutError, match="the agent failed in all of"):
                    await job
            assert session.usage.rollouts == spent
            assert client.requests == []

    async def test_a_few_failures_are_not_enough_to_tell(self, engine: SimpleNamespace) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            prompt_template.format()
            return 1 / (task // 7)

        async with engine.in_session(agent, train=range(7), val=range(20)) as session:
            assert (await session.evaluate(session.initial, session.train)).score == 0.0
            await session.evaluate(session.initial, session.val)

    async def test_eight_are(self, engine: SimpleNamespace) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            raise ValueError

        async with engine.in_session(agent, train=range(8), val=range(20)) as session:
            await session.evaluate(session.initial, session.train[:4])
            with pytest.raises(RolloutError, match="in all of 8 rollouts"):
                await session.evaluate(session.initial, session.train[4:])

    async def test_a_service_that_fails_each_time_is_called_that(
        self, engine: SimpleNamespace
    ) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            raise ConnectionResetError("hung up")

        async with engine.in_session(agent) as session:
            with pytest.raises(RolloutError, match="could not be reached in any of 4 rollouts"):
                await session.evaluate(session.initial, session.val)

    async def test_an_agent_that_reads_no_prompt_ends_the_run(
        self, engine: SimpleNamespace
    ) -> None:
        async with engine.in_session(lambda task, prompt_template: 1.0) as session:
            with pytest.raises(RolloutError, match=r"no rollout read a prompt .*prompt_template"):
                await session.evaluate(session.initial, session.val)

    async def test_one_rollout_that_reads_it_is_enough(self, engine: SimpleNamespace) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            if task == 102:
                prompt_template.format()
            return 1.0

        async with engine.in_session(agent) as session:
            assert (await session.evaluate(session.initial, session.val)).score == 1.0

    async def test_a_candidate_that_always_fails_is_just_a_bad_one(
        self, engine: SimpleNamespace
    ) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            return 1 / (len(prompt_template.template) - 4)

        async with engine.in_session(agent) as session:
            evaluation = await session.evaluate({"prompt_template": "Bad."}, session.val)
            assert evaluation.score == 0.0
            await session.evaluate(session.initial, session.val)


class TestAsk:
    async def test_gives_the_answer_and_counts_it(self, engine: SimpleNamespace) -> None:
        client, watcher = engine.ScriptedModel(str.upper), engine.Watcher()
        async with engine.in_session(length, client=client, callback=watcher) as session:
            assert await session.ask("m", "improve") == "IMPROVE"
            messages = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
            assert await session.ask("m", messages, temperature=0.5) == "B"
            assert client.temperatures == [1.0, 0.5]
            assert watcher.calls == [("m", False), ("m", False)]
            usage = session.usage
            assert (usage.model_calls, usage.input_tokens, usage.output_tokens) == (2, 200, 20)
            assert usage.rollouts == 0

    async def test_is_paid_for_once_by_its_key(self, engine: SimpleNamespace) -> None:
        client = engine.ScriptedModel(lambda request: f"answer {len(client.requests)}")
        async with engine.in_session(length, client=client) as session:
            first = await session.ask("m", "x", key="branch 1")
            assert await session.ask("m", "x", key="branch 1") == first
            others = [
                await session.ask("m", "x", key="branch 2"),
                await session.ask("m", "y", key="branch 1"),
                await session.ask("other", "x", key="branch 1"),
                await session.ask("m", "x", temperature=0.0, key="branch 1"),
            ]
            assert len({first, *others}) == len(client.requests) == 5

    async def test_is_paid_for_once_though_two_want_it_at_once(
        self, engine: SimpleNamespace
    ) -> None:
        client = engine.ScriptedModel(
            lambda request: f"answer {len(client.requests)}", delay=lambda request: 0.01
        )
        async with engine.in_session(length, client=client) as session:
            asked = [session.ask("m", "x", key="k") for _ in range(3)]
            assert await asyncio.gather(*asked) == ["answer 1"] * 3
            assert session.usage.model_calls == len(client.requests) == 1

    async def test_goes_alone_until_one_was_answered_and_not_on_after_a_refusal(
        self, engine: SimpleNamespace
    ) -> None:
        """A key that is refused costs one call, not as many as are wanted at once."""

        def refuse(request: str) -> str:
            raise RefusedError("wrong key")

        client = engine.ScriptedModel(refuse, delay=lambda request: 0.01)
        async with engine.in_session(length, client=client) as session:
            asked = [session.ask("m", f"x{number}") for number in range(10)]
            errors = await asyncio.gather(*asked, return_exceptions=True)
            assert [str(error) for error in errors] == ["wrong key"] * 10
            assert all(isinstance(error, RefusedError) for error in errors)
            assert len(client.requests) == 1

    async def test_goes_at_once_with_others_then(self, engine: SimpleNamespace) -> None:
        client = engine.ScriptedModel(str.upper, delay=lambda request: 0.01)
        async with engine.in_session(length, client=client) as session:
            await asyncio.gather(*(session.ask("m", f"x{number}") for number in range(5)))
            assert client.most_at_once == 4

    async def test_without_a_key_each_call_is_a_new_one_and_found_again_in_order(
        self, engine: SimpleNamespace
    ) -> None:
        store = MemoryStore()
        client = engine.ScriptedModel(lambda request: f"answer {len(client.requests)}")
        for spent in (3, 0):
            async with engine.in_session(length, client=client, store=store) as session:
                answers = [await session.ask("m", "x") for _ in range(3)]
                assert session.usage.model_calls == spent
            assert answers == ["answer 1", "answer 2", "answer 3"]
        assert len(client.requests) == 3

    async def test_is_in_the_journal_before_it_is_used(self, engine: SimpleNamespace) -> None:
        store, client = MemoryStore(), engine.ScriptedModel(lambda request: "answer")
        async with engine.in_session(length, client=client, store=store) as session:
            await session.ask("m", "x", key="k")
            rows: Any = store._read("SELECT record FROM calls WHERE run='test'")
        assert '"text": "answer"' in rows[0][0]
        assert '"usage": [1, 100, 10, 0.0]' in rows[0][0]

    async def test_without_declared_models_is_refused(self, engine: SimpleNamespace) -> None:
        async with engine.in_session(length) as session:
            with pytest.raises(ConfigurationError, match="list it in `models`"):
                await session.ask("m", "x")

    async def test_that_fails_is_not_counted_nor_kept(self, engine: SimpleNamespace) -> None:
        def fail(request: str) -> str:
            if len(client.requests) == 1:
                raise ModelError("down")
            return "up"

        client = engine.ScriptedModel(fail)
        async with engine.in_session(length, client=client) as session:
            with pytest.raises(ModelError, match="down"):
                await session.ask("m", "x", key="k")
            assert session.usage.model_calls == 0
            assert await session.ask("m", "x", key="k") == "up"

    async def test_stays_within_the_budget(self, engine: SimpleNamespace) -> None:
        client = engine.ScriptedModel(lambda request: "a", delay=lambda request: 0.001)
        budget = Budget(model_calls=5)
        async with engine.in_session(length, client=client, budget=budget) as session:
            answers = await asyncio.gather(
                *(session.ask("m", "x") for _ in range(12)), return_exceptions=True
            )
            assert [a for a in answers if isinstance(a, str)] == ["a"] * 5
            assert len(client.requests) == 5


class TestReport:
    async def test_keeps_candidates_in_order_and_rejected_ones_apart(
        self, engine: SimpleNamespace
    ) -> None:
        watcher, store = engine.Watcher(), MemoryStore()
        async with engine.in_session(length, callback=watcher, store=store) as session:
            seed = session.report(Candidate(session.initial))
            one = session.report({"prompt_template": "One."}, score=0.5)
            bad = session.report(Candidate(seed.resources, parent=seed.id, rejected="empty"))
            again = session.report(Candidate(seed.resources, score=0.25))
            assert session.candidates == (again, one)
            assert session.rejected == (bad,)
            assert [candidate for candidate, _ in watcher.candidates] == [seed, one, bad, again]
            records = store.candidates("test")
            assert [record["score"] for record in records] == [0.25, 0.5, None]
            assert [record["rejected"] for record in records] == ["", "", "empty"]

    async def test_tells_the_validation_score_where_there_is_one(
        self, engine: SimpleNamespace
    ) -> None:
        watcher = engine.Watcher()
        async with engine.in_session(length, callback=watcher) as session:
            session.report(session.initial, score=1.0)
            await session.evaluate(session.initial, session.val)
            session.report(session.initial, score=1.0)
            assert [score for _, score in watcher.candidates] == [None, 3.0]

    async def test_fills_in_what_a_candidate_lacks(self, engine: SimpleNamespace) -> None:
        def agent(task: Any, a: PromptTemplate, b: PromptTemplate) -> float:
            return 1.0

        async with engine.in_session(agent, initial={"a": "x", "b": "y"}) as session:
            candidate = session.report(Candidate({"a": PromptTemplate("z")}))
            assert {name: p.raw for name, p in candidate.resources.items()} == {"a": "z", "b": "y"}


class TestRandomness:
    async def test_depends_on_the_seed_alone(self, engine: SimpleNamespace) -> None:
        draws = []
        for seed in (1, 1, 2):
            async with engine.in_session(length, seed=seed) as session:
                draws.append(session.rng.random())
        assert draws[0] == draws[1] != draws[2]


class TestConfirm:
    async def test_makes_the_validation_a_mean_over_fresh_runs(
        self, engine: SimpleNamespace
    ) -> None:
        ran: list[Any] = []

        def agent(task: Any, a: Any) -> float:
            a.format()
            ran.append(task)
            return 1.0 if len(ran) <= 4 else 0.0

        async with engine.in_session(agent, initial={"a": "x"}) as session:
            await session.evaluate(session.initial, session.val)
            assert session.validation(session.initial) == (1.0,) * 4
            assert await session.confirm(session.initial) == 2
            assert session.validation(session.initial) == (0.5,) * 4
            assert session.validation_score(session.initial) == 0.5
            await session.evaluate(session.initial, session.val)  # the first runs, read again
            assert session.validation(session.initial) == (0.5,) * 4
        assert len(ran) == 8

    async def test_a_confirmed_candidate_is_reported_again(self, engine: SimpleNamespace) -> None:
        ran: list[int] = []

        def agent(task: Any, a: Any) -> float:
            a.format()
            ran.append(task)
            return 1.0 if len(ran) <= 4 else 0.0

        watcher = engine.Watcher()
        async with engine.in_session(agent, initial={"a": "x"}, callback=watcher) as session:
            await session.evaluate(session.initial, session.val)
            await session.confirm(session.initial)
            assert watcher.candidates == []  # nothing was reported that could be reported again
            session.report(Candidate(session.initial, score=1.0, round=2))
            await session.confirm(session.initial)
            (candidate,) = session.candidates
        assert len(watcher.candidates) == 2
        assert (candidate.score, candidate.round) == (1 / 3, 2)
