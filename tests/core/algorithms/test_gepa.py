from __future__ import annotations

import asyncio
import inspect
import json
import math
import random
import signal
import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from zlib import crc32

import openai
import pytest

from agl_adapters.agents import rollout
from agl_adapters.testing import Fault, SimulatedModel
from agl_core.algorithms import GEPA, Algorithm
from agl_core.algorithms.gepa_adapter import PairedAcceptance
from agl_core.callbacks import Callback
from agl_core.edits import PromptEdit
from agl_core.errors import ConfigurationError, MissingDependencyError, ModelError
from agl_core.execution.agents import Agent, FunctionAgent
from agl_core.faults.backoff import Backoff
from agl_core.models.chat import RefusedError
from agl_core.prompts.templates import PromptTemplate
from agl_core.result import TrainResult
from agl_core.rewards.reward import Reward
from agl_core.spending.budgets import Budget, BudgetExhaustedError
from agl_core.storage.sqlite import MemoryStore
from agl_core.trainer import Trainer

SEED = {"decider": "You are a booking assistant."}


@pytest.fixture
def rooms(served_model: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example's tasks, with the simulated model set to their domain."""
    served_model.configure(scenario="room_booking")
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "examples")
    return import_module("rooms")


def booking(rooms: Any, busy: list[int] | None = None) -> Agent:
    """An async agent that is given the rooms and calls the model over HTTP."""
    counter = busy if busy is not None else [0, 0]
    client = openai.AsyncOpenAI(max_retries=0)

    async def agent(task: Any, decider: PromptTemplate) -> Reward:
        listing = rooms.list_rooms(task["needs"]["day"], task["needs"]["building"])
        counter[0] += 1
        counter[1] = max(counter)
        try:
            reply = await client.chat.completions.create(
                model="m",
                messages=[
                    {"role": "system", "content": decider.format()},
                    {"role": "user", "content": f"{task['input']}\n\n{listing}"},
                ],
            )
        finally:
            counter[0] -= 1
        score = rooms.grade_booking(reply.choices[0].message.content or "", task["expected_room"])
        return Reward(score, feedback="" if score else "another room suits better")

    return rollout(agent)


def fit(rooms: Any, algorithm: GEPA | None = None, **options: Any) -> TrainResult:
    """Run a search on the example's tasks."""
    agent = options.pop("agent", None) or booking(rooms)
    resume = options.pop("resume", False)
    trainer = Trainer(algorithm or GEPA("m"), initial_resources=SEED, **options)
    return trainer.fit(agent, rooms.load_tasks("train"), rooms.load_tasks("val"), resume=resume)


def texts(result: TrainResult) -> list[tuple[str, str | None, float | None]]:
    return [
        (r.candidate.resources["decider"].raw, r.candidate.parent, r.validation)
        for r in result.history
    ]


class TestParameters:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("reflection_minibatch_size", 0),
            ("max_merge_invocations", True),
            ("merge_val_overlap_floor", -1),
            ("max_metric_calls", 0),
            ("max_iterations_without_improvement", 2.5),
            ("proposals", 0),
            ("max_prompt_chars", "9"),
            ("candidate_selection_strategy", "best"),
            ("module_selector", "some"),
            ("acceptance_criterion", "any"),
            ("temperature", -0.1),
        ],
    )
    def test_out_of_range_are_refused_by_name(self, name: str, value: Any) -> None:
        with pytest.raises(ConfigurationError, match=f"{name} is {value!r}"):
            GEPA("m", **{name: value})

    @pytest.mark.parametrize("place", ["<curr_param>", "<side_info>"])
    def test_a_template_needs_both_places(self, place: str) -> None:
        template = "<curr_param> <side_info>"
        assert GEPA("m", reflection_prompt_template=template)
        with pytest.raises(ConfigurationError, match=place):
            GEPA("m", reflection_prompt_template=template.replace(place, ""))

    def test_have_the_names_and_defaults_of_the_package(self) -> None:
        from gepa.api import optimize

        theirs = inspect.signature(optimize).parameters
        ours = inspect.signature(GEPA).parameters
        own = {"cache_evaluation", "reflection_minibatch_size"}  # which is 3 there if it is None
        shared = ours.keys() & theirs.keys() - own
        assert len(shared) == 11
        assert {n: ours[n].default for n in shared} == {n: theirs[n].default for n in shared}

    def test_are_all_in_the_settings(self) -> None:
        settings = GEPA("m").settings()
        assert json.loads(json.dumps(settings)) == settings
        assert settings.keys() == inspect.signature(GEPA).parameters.keys() - {"model"}
        assert GEPA("m", proposals=2).settings() != settings

    def test_name_the_model(self) -> None:
        assert GEPA("m").models == GEPA(reflection_lm="m").models == ("m",)
        assert isinstance(GEPA(), Algorithm)

    def test_a_missing_package_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "gepa", None)
        with pytest.raises(MissingDependencyError, match=r"pip install 'agl-adapters\[gepa\]'"):
            GEPA("m")


class TestSearchOverHTTP:
    def test_finds_better_prompts_and_reports_them_with_their_parents(self, rooms: Any) -> None:
        result = fit(rooms, budget=Budget(rollouts=200))
        assert result.best_score is not None
        assert result.seed_score is not None
        assert result.best_score > result.seed_score + 0.1
        ids = {record.candidate.id for record in result.history}
        seed, *children = [record.candidate for record in result.history]
        assert (seed.parent, seed.round) == (None, 0)
        assert len(children) > 2
        assert all(child.parent in ids for child in children)
        assert all(child.round > 0 for child in children)
        assert any(child.parent != seed.id for child in children)

    def test_is_the_same_for_the_same_seed(self, rooms: Any, served_model: SimulatedModel) -> None:
        def run(seed: int, n_runners: int) -> list[Any]:
            served_model.reset()
            return texts(fit(rooms, seed=seed, n_runners=n_runners, budget=Budget(rollouts=100)))

        assert run(1, 8) == run(1, 8)
        assert run(1, 8) != run(2, 8)

    @pytest.mark.parametrize("cap", [30, 61, 100])
    def test_keeps_a_budget_to_the_rollout(self, rooms: Any, cap: int) -> None:
        result = fit(rooms, budget=Budget(rollouts=cap))
        assert (result.stop_reason, result.usage.rollouts) == ("rollouts", cap)

    @pytest.mark.parametrize("cap", [30, 70])
    def test_keeps_its_own_cap(self, rooms: Any, cap: int) -> None:
        result = fit(rooms, GEPA("m", max_metric_calls=cap))
        assert result.stop_reason == "completed"
        assert cap - 29 < result.usage.rollouts <= cap

    def test_resumes_without_paying_twice(
        self, rooms: Any, served_model: SimulatedModel, tmp_path: Path
    ) -> None:
        def run(cap: int, path: Path, resume: bool = False) -> TrainResult:
            budget = Budget(rollouts=cap)
            return fit(rooms, budget=budget, store=path, run="r", resume=resume)

        whole = run(130, tmp_path / "whole.db")
        calls = len(served_model.log())
        served_model.reset()
        run(70, tmp_path / "parts.db")
        rest = run(130, tmp_path / "parts.db", resume=True)
        assert rest.usage.rollouts == 130  # of the whole run
        assert texts(rest) == texts(whole)
        # One more is no repetition: the check of the model's name that each run begins with.
        assert len(served_model.log()) in (calls, calls + 1)

    def test_never_takes_a_rollout_of_one_split_for_the_other(self, rooms: Any) -> None:
        store = MemoryStore()
        tasks = rooms.load_tasks("train")[:6]
        trainer = Trainer(GEPA("m"), initial_resources=SEED, store=store, run="r")
        trainer.fit(booking(rooms), tasks, tasks)
        keys = [key for key, _ in store.rollouts("r")]
        assert len({key.task for key in keys if key.split == "val"}) == 6
        assert len({key.task for key in keys if key.split == "train"}) == 6

    def test_runs_async_agents_on_all_runners(self, rooms: Any) -> None:
        busy = [0, 0]
        fit(rooms, agent=booking(rooms, busy), n_runners=5, budget=Budget(rollouts=60))
        assert busy == [0, 5]

    def test_goes_on_through_faults_of_the_service(
        self, rooms: Any, served_model: SimulatedModel
    ) -> None:
        served_model.configure(faults=[Fault("503", rate=0.2), Fault("429", rate=0.1)])
        quick = Backoff(attempts=2, initial=0.001, longest=0.01)
        result = fit(rooms, budget=Budget(rollouts=150), backoff=quick)
        assert result.stop_reason == "rollouts"
        assert result.best_score is not None
        assert not math.isnan(result.best_score)

    def test_shows_the_reflection_the_feedback(
        self, rooms: Any, served_model: SimulatedModel
    ) -> None:
        fit(rooms, budget=Budget(rollouts=60))
        reflections = [r.users[0] for r in served_model.log() if not r.systems and r.users]
        asked = [text for text in reflections if "write a new instruction" in text]
        assert asked
        assert all("another room suits better" in text for text in asked)
        assert all(SEED["decider"] in text for text in asked[:1])


class TestEnds:
    async def test_cancelling_leaves_nothing_behind(self, rooms: Any) -> None:
        started = asyncio.Event()

        async def hang(task: Any, decider: PromptTemplate) -> float:
            if task["id"].startswith("train"):
                started.set()
                await asyncio.Event().wait()
            return 0.5 * bool(decider.format())

        trainer = Trainer(GEPA("m"), initial_resources=SEED)
        job = asyncio.create_task(
            trainer.afit(FunctionAgent(hang), rooms.load_tasks("train"), rooms.load_tasks("val"))
        )
        await asyncio.wait_for(started.wait(), 10)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(job, 10)
        assert "agl-search" not in {thread.name for thread in threading.enumerate()}

    def test_ctrl_c_gives_the_best_so_far(self, rooms: Any) -> None:
        class Press(Callback):
            rollouts = 0

            def on_rollout(self, rollout: Any, cached: bool) -> None:
                self.rollouts += 1
                if self.rollouts == 40:
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        result = fit(rooms, callbacks=[Press()])
        assert result.stop_reason == "interrupted"
        assert 40 <= result.usage.rollouts <= 60

    async def test_a_budget_that_ends_a_reflection_is_not_swallowed(
        self, engine: SimpleNamespace
    ) -> None:
        budget, client = Budget(model_calls=2), engine.ScriptedModel(rewriting)
        async with engine.in_session(halves, client=client, budget=budget) as session:
            with pytest.raises(BudgetExhaustedError, match="model_calls"):
                await GEPA("m").run(session)
        assert len(client.requests) == 2

    async def test_refused_credentials_end_it(self, engine: SimpleNamespace) -> None:
        def refuse(request: str) -> str:
            raise RefusedError("no such key")

        client = engine.ScriptedModel(refuse)
        async with engine.in_session(halves, client=client) as session:
            with pytest.raises(RefusedError):
                await GEPA("m").run(session)
        assert len(client.requests) == 1

    async def test_a_reflection_that_fails_is_told_and_passed_over(
        self, engine: SimpleNamespace
    ) -> None:
        def fail_once(request: str) -> str:
            if len(client.requests) == 1:
                raise ModelError("a bad day")
            return rewriting(request)

        client, watcher = engine.ScriptedModel(fail_once), engine.Watcher()
        async with engine.in_session(halves, client=client, callback=watcher) as session:
            await GEPA("m", max_iterations_without_improvement=4).run(session)
            assert len(session.candidates) > 1
        assert any("a bad day" in message for message in watcher.messages)

    async def test_a_search_that_stalls_ends(self, engine: SimpleNamespace) -> None:
        client, watcher = engine.ScriptedModel(rewriting), engine.Watcher()
        async with engine.in_session(halves, client=client, callback=watcher) as session:
            await GEPA("m", max_iterations_without_improvement=5).run(session)
        assert len(client.requests) == 5
        assert watcher.messages[-1] == "stopped: nothing better in 5 iterations"

    async def test_an_iteration_is_a_round_of_the_budgets_patience(
        self, engine: SimpleNamespace
    ) -> None:
        client, budget = engine.ScriptedModel(rewriting), Budget(patience=3)
        async with engine.in_session(halves, client=client, budget=budget) as session:
            with pytest.raises(BudgetExhaustedError, match="patience"):
                await GEPA("m").run(session)
        assert len(client.requests) == 3

    async def test_a_perfect_seed_asks_nothing(self, engine: SimpleNamespace) -> None:
        async def perfect(task: Any, prompt_template: PromptTemplate) -> float:
            return float(bool(prompt_template.format()))

        client = engine.ScriptedModel(rewriting)
        async with engine.in_session(perfect, client=client) as session:
            await GEPA("m").run(session)
            assert session.usage.rollouts == 8
        assert not client.requests


class TestIsTheSearchOfThePackage:
    @pytest.mark.parametrize("strategy", ["pareto", "current_best"])
    async def test_the_same_parents_minibatches_and_choices(
        self, engine: SimpleNamespace, strategy: Any
    ) -> None:
        """With the same seed, answers and scores both validate the same candidates in turn."""
        from gepa.api import optimize
        from gepa.core.adapter import EvaluationBatch
        from gepa.utils import NoImprovementStopper

        def score(task: int, text: str) -> float:
            return crc32(f"{text}/{task}".encode()) % 4 / 4

        def reflecting() -> Callable[[str], str]:
            numbers = count()
            return lambda request: f"```\n{current(request)} {next(numbers)}\n```"

        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            return score(task, prompt_template.format())

        def record(rows: Iterable[tuple[int, float]]) -> list[dict[str, str]]:
            return [{"Inputs": str(task), "Feedback": str(reward)} for task, reward in rows]

        class Alone:
            propose_new_texts = None
            validated: ClassVar[list[str]] = []

            def evaluate(
                self, batch: list[int], candidate: dict[str, str], capture_traces: bool = False
            ) -> Any:
                scores = [score(task, candidate["prompt_template"]) for task in batch]
                rows = list(zip(batch, scores, strict=True))
                return EvaluationBatch(outputs=batch, scores=scores, trajectories=rows)

            def make_reflective_dataset(self, candidate: Any, batch: Any, names: Any) -> Any:
                return dict.fromkeys(names, record(batch.trajectories))

            def on_valset_evaluated(self, event: Any) -> None:
                self.validated.append(event["candidate"]["prompt_template"])

            def log(self, message: str) -> None:
                pass

        client, train, val = engine.ScriptedModel(reflecting()), range(10), range(100, 106)
        async with engine.in_session(agent, client=client, train=train, val=val) as session:
            draws = random.Random()
            draws.setstate(session.rng.getstate())
            await GEPA(
                "m",
                candidate_selection_strategy=strategy,
                max_iterations_without_improvement=15,
            ).run(session)
            ours = [c.resources["prompt_template"].raw for c in session.candidates if c.score]
        Alone.validated.clear()
        optimize(
            seed_candidate={"prompt_template": "Hi."},
            trainset=list(train),
            valset=list(val),
            adapter=Alone(),  # pyright: ignore[reportArgumentType]
            reflection_lm=reflecting(),  # pyright: ignore[reportArgumentType]
            candidate_selection_strategy=strategy,
            stop_callbacks=NoImprovementStopper(15),
            callbacks=[Alone()],  # pyright: ignore[reportArgumentType]
            logger=Alone(),
            seed=draws.getrandbits(32),
        )
        assert len(ours) > 2
        assert ours == Alone.validated


def halves(task: Any, prompt_template: PromptTemplate) -> float:
    """Score the same whatever the prompt is."""
    return 0.5 * bool(prompt_template.format())


def rewriting(request: str) -> str:
    """Answer a reflection: the same prompt with one more sentence."""
    return f"```\n{current(request)} Again.\n```"


def current(request: str) -> str:
    return request.split("```")[1].strip()


class TestRewrites:
    async def test_one_that_loses_a_placeholder_costs_no_rollout(
        self, engine: SimpleNamespace
    ) -> None:
        client = engine.ScriptedModel(lambda request: "```\nBook a room.\n```")
        initial = {"prompt_template": "Book on {day}."}

        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            prompt_template.format(day="Monday")
            return 0.5

        async with engine.in_session(agent, client=client, initial=initial) as session:
            await GEPA("m", max_iterations_without_improvement=3).run(session)
            assert [c.rejected for c in session.rejected] == [
                "prompt_template: the rewrite loses {day}"
            ] * 3
            lost = PromptEdit(("reflection 1.1",), refused="the rewrite loses {day}")
            assert session.rejected[0].edits == {"prompt_template": lost}
            assert len(session.candidates) == 1
            assert session.usage.rollouts == 8
        assert all("add none: {day}" in request for request in client.requests)

    async def test_a_known_prompt_is_not_run_again(self, engine: SimpleNamespace) -> None:
        def other_tasks(task: Any, prompt_template: PromptTemplate) -> float:
            if "Again" in prompt_template.format():
                return 0.9 if task % 2 else 0.5
            return 0.2 if task % 2 else 0.7

        client = engine.ScriptedModel(lambda request: "```\nHi. Again.\n```")
        watcher = engine.Watcher()
        async with engine.in_session(other_tasks, client=client, callback=watcher) as session:
            await GEPA("m", max_iterations_without_improvement=12).run(session)
            assert len(session.candidates) == 2
            assert session.candidates[1].parent == session.candidates[0].id
            assert session.usage.rollouts == 16
        assert {c.rejected for c in session.rejected} == {
            "prompt_template: the rewrite changes nothing"
        }
        assert any("those of an earlier candidate" in message for message in watcher.messages)

    async def test_a_child_keeps_what_it_came_of(self, engine: SimpleNamespace) -> None:
        """The feedback on its parent's runs, and what the model said around the new text."""

        def agent(task: Any, prompt_template: PromptTemplate) -> Reward:
            score = 0.5 + 0.1 * ("Again" in prompt_template.format())
            return Reward(score, feedback=f"too early by {task} hours")

        def talking(request: str) -> str:
            return f"It comes too early.\n{rewriting(request)}\nSay more of time."

        client = engine.ScriptedModel(talking)
        async with engine.in_session(agent, client=client, train=range(3)) as session:
            await GEPA("m", max_iterations_without_improvement=2).run(session)
            child = session.candidates[1]
        (critique,) = child.critiques
        assert child.edits == {"prompt_template": PromptEdit((critique.key,))}
        assert child.edit == critique.text
        assert all(f"too early by {task} hours" in critique.text for task in range(3))
        assert critique.text.startswith("No critique was written")
        assert critique.text.endswith(
            "Said beside the new text of prompt_template: It comes too early.\nSay more of time."
        )

    async def test_a_failed_agent_is_explained(self, engine: SimpleNamespace) -> None:
        def breaks(task: Any, prompt_template: PromptTemplate) -> float:
            if task % 2:
                raise ValueError("the calendar is closed")
            return 0.5 * bool(prompt_template.format())

        client = engine.ScriptedModel(rewriting)
        async with engine.in_session(breaks, client=client) as session:
            await GEPA("m", max_iterations_without_improvement=3).run(session)
        assert all("the calendar is closed" in request for request in client.requests)


TWO = {"a": "First.", "b": "Second."}


def each_its_half(task: Any, a: PromptTemplate, b: PromptTemplate) -> float:
    """Reward a change of the first prompt on even tasks, of the second one on odd ones."""
    own, other = (b, a) if task % 2 else (a, b)
    return 0.2 + 0.6 * ("Again" in own.format()) - 0.1 * ("Again" in other.format())


class TestSeveralPrompts:
    async def test_are_rewritten_in_turn(self, engine: SimpleNamespace) -> None:
        client = engine.ScriptedModel(rewriting)
        async with engine.in_session(each_its_half, client=client, initial=TWO) as session:
            await GEPA("m", max_iterations_without_improvement=8).run(session)
            best = max(session.candidates, key=lambda c: c.score or 0.0)
            assert "Again" in best.resources["a"].raw
            assert "Again" in best.resources["b"].raw
        which = ["are those of a," in request for request in client.requests[:2]]
        assert sorted(which) == [False, True]

    async def test_may_be_rewritten_together(self, engine: SimpleNamespace) -> None:
        client = engine.ScriptedModel(rewriting, delay=lambda request: 0.01)
        async with engine.in_session(each_its_half, client=client, initial=TWO) as session:
            await GEPA("m", module_selector="all", max_iterations_without_improvement=3).run(
                session
            )
            child = session.candidates[1]
            assert {prompt.raw for prompt in child.resources.values()} == {
                "First. Again.",
                "Second. Again.",
            }
            assert child.changed == ("a", "b")
            assert [critique.prompts for critique in child.critiques] == [None]
        assert client.most_at_once == 2

    async def test_of_two_candidates_are_merged(self, engine: SimpleNamespace) -> None:
        def once(request: str) -> str:
            text = current(request)
            return f"```\n{text if 'Again' in text else f'{text} Again.'}\n```"

        client = engine.ScriptedModel(once)
        tasks = {"train": range(8), "val": range(100, 108)}
        async with engine.in_session(each_its_half, client=client, initial=TWO, **tasks) as session:
            await GEPA("m", use_merge=True, max_iterations_without_improvement=8).run(session)
            merged = [c for c in session.candidates if c.edit == "merge"]
            known = {c.id: c for c in session.candidates}
            assert merged
            for candidate in merged:
                assert {candidate.parent, *candidate.metadata["merged_with"]} <= known.keys()
                assert candidate.score == pytest.approx(0.7)
                (taken,) = candidate.changed
                parent = known[candidate.parent or ""]
                assert candidate.resources[taken] != parent.resources[taken]
                assert not candidate.critiques


class TestEvaluation:
    @pytest.mark.parametrize(
        ("before", "after", "better", "no_worse"),
        [
            ([0.1, 0.2, 0.4], [0.4, 0.1, 0.2], False, True),
            ([0.0, 0.2, 0.9], [0.2, 0.9, 0.0], False, True),
            ([0.1, math.nan, 0.3], [0.2, 1.0, 0.3], True, True),
            ([0.2, 0.1, 0.3], [0.1, math.nan, 0.3], False, False),
            ([math.nan], [1.0], False, False),
        ],
    )
    def test_a_child_is_better_by_its_scores_not_by_rounding(
        self, before: list[float], after: list[float], better: bool, no_worse: bool
    ) -> None:
        proposal = SimpleNamespace(subsample_scores_before=before, subsample_scores_after=after)
        assert PairedAcceptance(or_equal=False).should_accept(proposal, None) is better
        assert PairedAcceptance(or_equal=True).should_accept(proposal, None) is no_worse

    async def test_several_children_an_iteration_are_made_at_once(
        self, engine: SimpleNamespace
    ) -> None:
        client = engine.ScriptedModel(rewriting, delay=lambda request: 0.01)
        async with engine.in_session(halves, client=client, train=range(12)) as session:
            await GEPA("m", proposals=3, max_iterations_without_improvement=3).run(session)
        assert client.most_at_once == 3

    async def test_they_are_entered_in_their_order_whichever_was_answered_first(
        self, engine: SimpleNamespace
    ) -> None:
        answers, calls = count(1), count()
        client = engine.ScriptedModel(
            lambda request: f"```\nText {next(answers)}\n```",
            delay=lambda request: 0.03 - 0.01 * (next(calls) % 3),
        )
        async with engine.in_session(halves, client=client, train=range(12)) as session:
            await GEPA("m", proposals=3, max_iterations_without_improvement=2).run(session)
            entered = [c.metadata["branch"] for c in session.candidates if c.parent is not None]
        assert entered[:3] == ["reflection 1.1", "reflection 1.2", "reflection 1.3"]

    @pytest.mark.parametrize(("cached", "rollouts"), [(True, 3 + 4), (False, 4 * 3 + 4)])
    async def test_a_parent_is_run_afresh_only_without_cache(
        self, engine: SimpleNamespace, cached: bool, rollouts: int
    ) -> None:
        watcher = engine.Watcher()
        client = engine.ScriptedModel(lambda request: current(request))
        async with engine.in_session(
            halves, client=client, train=range(3), callback=watcher
        ) as session:
            algorithm = GEPA("m", cache_evaluation=cached, max_iterations_without_improvement=4)
            await algorithm.run(session)
            assert session.usage.rollouts == rollouts

    async def test_what_the_world_failed_stays_out_of_the_comparison(
        self, engine: SimpleNamespace
    ) -> None:
        """A child that only looks better because its parent's rollout is missing is not taken."""

        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            if prompt_template.format() == "Hi." and task == 0:
                raise ConnectionError("gone")
            return 0.5

        client = engine.ScriptedModel(rewriting)
        async with engine.in_session(agent, client=client, train=range(3)) as session:
            await GEPA("m", max_iterations_without_improvement=3).run(session)
            seed, *children = session.candidates
            assert seed.score == 0.5
            assert [child.score for child in children] == [None] * len(children)
            assert children

    async def test_validation_without_some_rollouts_keeps_its_mean(
        self, engine: SimpleNamespace
    ) -> None:
        """A child is better although one of its rollouts is missing: the next parent."""

        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            if (text := prompt_template.format()) != "Hi." and task == 100:
                raise ConnectionError("gone")
            return 0.5 + 0.05 * text.count("Again")

        client = engine.ScriptedModel(rewriting)
        async with engine.in_session(agent, client=client) as session:
            algorithm = GEPA(
                "m", candidate_selection_strategy="current_best", max_metric_calls=4 + 6 + 3 + 3
            )
            await algorithm.run(session)
            seed, child, grandchild = session.candidates
            assert (seed.score, child.score) == (pytest.approx(0.5), pytest.approx(0.55))
            assert grandchild.parent == child.id
