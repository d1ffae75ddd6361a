from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest

from agl_core.datasets import load_dataset
from agl_core.errors import ModelError, PlaceholderError, RewardError
from agl_core.execution.agents import FunctionAgent, Outcome, RolloutContext, emit_reward
from agl_core.execution.attempts import Attempt, RolloutRequest, RunningAttempt
from agl_core.privacy.redaction import Redaction
from agl_core.prompts.binding import current_binding
from agl_core.prompts.templates import PromptTemplate
from agl_core.rewards.reward import Reward
from agl_core.tracing.tracing import Tracing

HI = PromptTemplate("Hi {name}.")


@pytest.fixture
def tracing() -> Iterator[Tracing]:
    tracing = Tracing()
    yield tracing
    tracing.shutdown()


@pytest.fixture
def attempt(tracing: Tracing) -> Callable[..., Attempt]:
    """Run a function once as an agent, sync or async, on a task."""

    def run(
        function: Callable[..., Any], task: Any = None, timeout: float | None = 10.0
    ) -> Attempt:
        agent = FunctionAgent(function)
        running = RunningAttempt(agent, request(task, timeout), tracing)
        return asyncio.run(running.run_async()) if agent.is_async else running.run()

    return run


def request(task: Any = None, timeout: float | None = 10.0) -> RolloutRequest:
    tasks = load_dataset([{"name": "Ada"} if task is None else task], "val")
    return RolloutRequest("r1", tasks[0], {"prompt_template": HI}, {}, 1, timeout)


def status_error(status: int, kind: Any = openai.APIStatusError) -> BaseException:
    response = httpx2.Response(
        status, request=httpx2.Request("POST", "http://localhost"), headers={"retry-after": "2"}
    )
    return kind("no", response=response, body=None)


def either(function: Callable[[], Any]) -> list[Any]:
    """Return a sync and an async agent that do the same."""

    def sync_agent(task: Any) -> Any:
        return function()

    async def async_agent(task: Any) -> Any:
        await asyncio.sleep(0)
        return function()

    return [sync_agent, async_agent]


class TestSuccess:
    def test_the_reward_and_what_was_read_are_kept(self, attempt: Callable[..., Attempt]) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> Reward:
            assert prompt_template.format(**task) == "Hi Ada."
            return Reward(0.5, "half")

        done = attempt(agent)
        assert (done.status, done.reward, done.error) == ("succeeded", 0.5, None)
        assert done.reward is not None
        assert done.reward.feedback == "half"
        assert done.reads == {"prompt_template"}
        assert done.seconds >= 0
        assert abs(done.started - time.time()) < 60

    def test_a_root_span_tells_of_it(self, attempt: Callable[..., Attempt]) -> None:
        (root,) = attempt(lambda task: 0.5).spans
        assert root.name == "invoke_agent <lambda>"
        assert root.parent_id is None
        assert root.attributes["agl.rollout.id"] == "r1"
        assert root.attributes["agl.rollout.status"] == "succeeded"
        assert root.attributes["agl.reward"] == 0.5
        assert root.status != "error"

    def test_the_last_emitted_reward_counts_unless_one_is_returned(
        self, attempt: Callable[..., Attempt]
    ) -> None:
        def emitting(returned: Any) -> Callable[[], Any]:
            def agent() -> Any:
                emit_reward(0.1)
                emit_reward(0.2)
                return returned

            return agent

        for agent in either(emitting(None)):
            assert attempt(agent).reward == 0.2
        for agent in either(emitting(0.9)):
            assert attempt(agent).reward == 0.9

    def test_an_agent_cannot_change_the_task_of_others(
        self, attempt: Callable[..., Attempt]
    ) -> None:
        task = {"name": "Ada", "rooms": ["a"]}

        def agent(task: Any) -> float:
            task["rooms"].append("b")
            del task["name"]
            return 1.0

        attempt(agent, task)
        assert task == {"name": "Ada", "rooms": ["a"]}

    def test_nothing_is_bound_afterwards(self, attempt: Callable[..., Attempt]) -> None:
        for agent in either(lambda: 1.0) + either(lambda: 1 / 0):
            attempt(agent)
            assert current_binding() is None

    def test_a_sync_agent_may_run_an_event_loop_of_its_own(
        self, attempt: Callable[..., Attempt]
    ) -> None:
        async def inside() -> str:
            binding = current_binding()
            assert binding is not None
            return binding.resources["prompt_template"].format(name="Bob")

        def agent(task: Any) -> float:
            return float(asyncio.run(inside()) == "Hi Bob.")

        assert attempt(agent).reward == 1.0


class TestFailure:
    def test_an_exception_is_the_agents_own(self, attempt: Callable[..., Attempt]) -> None:
        for agent in either(lambda: {}["key"]):
            done = attempt(agent)
            assert (done.status, done.reward, done.fatal) == ("failed", None, None)
            assert done.error is not None
            assert done.error.rstrip().endswith("KeyError: 'key'")
            assert "test_attempts.py" in done.error
            assert "agl_core" not in done.error
            (root,) = done.spans
            assert root.status == "error"
            assert root.attributes["agl.rollout.status"] == "failed"
            assert root.events[0].attributes["exception.type"] == "KeyError"

    @pytest.mark.parametrize(
        "error",
        [
            SystemExit(3),
            RecursionError("deep"),
            MemoryError(),
            asyncio.CancelledError(),
            TimeoutError("its own"),
            BaseExceptionGroup("several", [SystemExit(1)]),
        ],
    )
    def test_whatever_it_raises(
        self, attempt: Callable[..., Attempt], error: BaseException
    ) -> None:
        def fail() -> None:
            raise error

        for agent in either(fail):
            assert attempt(agent).status == "failed"

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit()])
    def test_in_a_thread_of_its_own_even_what_looks_like_an_interruption(
        self, attempt: Callable[..., Attempt], error: BaseException
    ) -> None:
        def fail() -> None:
            raise error

        assert attempt(either(fail)[0]).status == "failed"

    def test_on_an_event_loop_of_ours_an_interruption_is_the_agents_own(
        self, tracing: Tracing
    ) -> None:
        """The loop of `fit` is in a thread, where no Ctrl-C is ever raised."""

        async def fail(task: Any) -> None:
            raise KeyboardInterrupt

        running = RunningAttempt(FunctionAgent(fail), request(), tracing)
        with ThreadPoolExecutor() as pool:
            done = pool.submit(asyncio.run, running.run_async()).result()
        assert done.status == "failed"
        assert done.error is not None
        assert "the agent raised KeyboardInterrupt" in done.error

    def test_on_the_main_threads_event_loop_it_is_the_users(self, tracing: Tracing) -> None:
        async def fail(task: Any) -> None:
            raise KeyboardInterrupt

        running = RunningAttempt(FunctionAgent(fail), request(), tracing)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(running.run_async())

    def test_it_goes_too_deep(self, attempt: Callable[..., Attempt]) -> None:
        def dig(depth: int = 0) -> int:
            return dig(depth + 1) + 1

        for agent in either(dig):
            done = attempt(agent)
            assert done.status == "failed"
            assert done.error is not None
            assert "RecursionError" in done.error
            assert len(done.error) < 9_000

    def test_an_error_that_cannot_be_shown(self, attempt: Callable[..., Attempt]) -> None:
        class Unshowable(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no")

        def fail() -> None:
            raise Unshowable

        for agent in either(fail):
            done = attempt(agent)
            assert done.status == "failed"
            assert done.error is not None
            assert "Unshowable" in done.error

    def test_sys_exit_says_so(self, attempt: Callable[..., Attempt]) -> None:
        for agent in either(lambda: sys.exit("bye")):
            done = attempt(agent)
            assert done.error is not None
            assert "bye" in done.error
            assert "Exit" in done.error

    def test_what_it_did_before_is_kept(self, attempt: Callable[..., Attempt]) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> None:
            binding = current_binding()
            assert binding is not None
            binding.inject("a#system", "own text")
            emit_reward(1.0)
            raise ValueError(prompt_template.format(**task))

        done = attempt(agent)
        assert done.reads == {"prompt_template"}
        assert done.slots["a#system"].original == "own text"
        assert done.reward is None

    @pytest.mark.parametrize(
        ("result", "reason"),
        [
            (None, r"task val\[0\]: there is no reward"),
            (float("nan"), "nan"),
            ("good", "text, 'good'"),
        ],
    )
    def test_a_reward_that_is_none_is_fatal_and_names_the_task(
        self, attempt: Callable[..., Attempt], result: Any, reason: str
    ) -> None:
        for agent in either(lambda: result):
            done = attempt(agent)
            assert done.status == "failed"
            with pytest.raises(RewardError, match=reason):
                raise done.fatal or AssertionError

    def test_a_missing_placeholder_is_fatal_and_names_the_task(
        self, attempt: Callable[..., Attempt]
    ) -> None:
        def agent(task: Any, prompt_template: PromptTemplate) -> str:
            return prompt_template.format(**task)

        done = attempt(agent, {"id": "t7", "x": 1})
        with pytest.raises(PlaceholderError, match=r"task t7: .*\{name\}.*given: id, x"):
            raise done.fatal or AssertionError

    def test_refused_credentials_are_fatal(self, attempt: Callable[..., Attempt]) -> None:
        def fail() -> None:
            raise status_error(401, openai.AuthenticationError)

        for agent in either(fail):
            assert isinstance(attempt(agent).fatal, ModelError)

    @pytest.mark.parametrize("error", [status_error(429), ConnectionResetError()])
    def test_the_worlds_failure_is_told_apart(
        self, attempt: Callable[..., Attempt], error: BaseException
    ) -> None:
        def fail() -> None:
            raise error

        for agent in either(fail):
            done = attempt(agent)
            assert (done.status, done.fatal) == ("unavailable", None)
            assert done.trouble is not None
            assert done.trouble.retry_after == (None if isinstance(error, ConnectionError) else 2.0)


class TestModelCalls:
    """What the spans of a rollout's model calls say about whose failure it is."""

    @pytest.fixture
    def call(self, tracing: Tracing) -> Callable[..., Any]:
        tracer = tracing.provider.get_tracer("test")

        def start(**attributes: Any) -> Any:
            named = {"gen_ai.operation.name": "chat", **attributes}
            return tracer.start_as_current_span("chat m", attributes=named)

        return start

    def test_an_answer_without_a_choice_is_nobodys_success(
        self, attempt: Callable[..., Attempt], call: Callable[..., Any]
    ) -> None:
        def agent() -> float:
            with call(**{"gen_ai.output.messages": "[]"}):
                return 0.0

        for function in either(agent):
            done = attempt(function)
            assert (done.status, done.error) == (
                "unavailable",
                "a model call was answered without a choice",
            )
            assert done.trouble is not None

    def test_nor_the_agents_failure(
        self, attempt: Callable[..., Attempt], call: Callable[..., Any]
    ) -> None:
        def agent() -> float:
            with call(**{"gen_ai.output.messages": "[]"}):
                pass
            return [][0]

        for function in either(agent):
            done = attempt(function)
            assert done.status == "unavailable"
            assert "IndexError" in (done.error or "")

    def test_a_failure_after_an_answer_is_the_agents(
        self, attempt: Callable[..., Attempt], call: Callable[..., Any]
    ) -> None:
        answer = '[{"role": "assistant", "parts": [{"type": "text", "content": "Hi"}]}]'

        def agent() -> float:
            with call(**{"gen_ai.output.messages": answer}):
                pass
            return [][0]

        for function in either(agent):
            assert attempt(function).status == "failed"

    async def test_one_that_takes_all_the_time_is_the_worlds(
        self, tracing: Tracing, call: Callable[..., Any]
    ) -> None:
        async def waiting(task: Any) -> None:
            with call():
                await asyncio.sleep(60)

        async def working(task: Any) -> None:
            with call():
                pass
            await asyncio.sleep(60)

        for agent, status in ((waiting, "unavailable"), (working, "timed_out")):
            running = RunningAttempt(FunctionAgent(agent), request(timeout=0.1), tracing)
            done = await running.run_async()
            assert done.status == status
            assert (done.trouble is not None and done.trouble.slow) == (agent is waiting)
            assert "no result within 0.1 seconds" in (done.error or "")

    def test_in_a_thread_too(self, tracing: Tracing, call: Callable[..., Any]) -> None:
        started, release = threading.Event(), threading.Event()

        def agent(task: Any) -> None:
            with call():
                started.set()
                release.wait(10)

        running = RunningAttempt(FunctionAgent(agent), request(timeout=0.05), tracing)
        thread = threading.Thread(target=running.run)
        thread.start()
        assert started.wait(10)
        time.sleep(0.05)
        done = running.abandoned("somewhere")
        release.set()
        thread.join()
        assert done.status == "unavailable"
        assert done.trouble is not None
        assert "of 0.05 seconds" in done.trouble.text


class TestTimeout:
    def test_an_async_agent_is_cancelled(self, attempt: Callable[..., Attempt]) -> None:
        cleaned = threading.Event()

        async def agent(task: Any) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.set()

        done = attempt(agent, timeout=0.05)
        assert done.status == "timed_out"
        assert done.error is not None
        assert "no result within 0.05 seconds" in done.error
        assert cleaned.is_set()

    def test_one_that_swallows_cancellation_is_left_behind(
        self, attempt: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("agl_core.execution.attempts.GRACE", 0.05)
        release = asyncio.Event()

        async def agent(task: Any) -> float:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    asyncio.get_running_loop().call_later(1, release.set)
            return 1.0

        done = attempt(agent, timeout=0.05)
        assert done.status == "timed_out"
        assert done.seconds < 0.9  # of the 1.05 that it would take to wait for it

    def test_one_that_cancels_itself_has_failed(self, attempt: Callable[..., Attempt]) -> None:
        async def agent(task: Any) -> None:
            own = asyncio.current_task()
            assert own is not None
            own.cancel()
            await asyncio.sleep(1)

        done = attempt(agent)
        assert done.status == "failed"
        assert done.error is not None
        assert "cancelled its own task" in done.error

    def test_without_a_limit_it_takes_its_time(self, attempt: Callable[..., Attempt]) -> None:
        for agent in either(lambda: 1.0):
            assert attempt(agent, timeout=None).reward == 1.0

    async def test_the_callers_cancellation_is_raised_and_passed_on(self, tracing: Tracing) -> None:
        started, cancelled = asyncio.Event(), asyncio.Event()

        async def agent(task: Any) -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

        running = RunningAttempt(FunctionAgent(agent), request(), tracing)
        job = asyncio.create_task(running.run_async())
        await started.wait()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        await asyncio.wait_for(cancelled.wait(), 1)

    def test_one_that_is_given_up_tells_what_it_did(self, tracing: Tracing) -> None:
        hanging, release = threading.Event(), threading.Event()

        def agent(task: Any, prompt_template: PromptTemplate) -> float:
            prompt_template.format(**task)
            with tracing.tracer.start_as_current_span("chat") as span:
                span.set_attribute("gen_ai.operation.name", "chat")
                span.set_attribute("gen_ai.usage.input_tokens", 7)
            hanging.set()
            release.wait()
            return 1.0

        running = RunningAttempt(FunctionAgent(agent), request(timeout=5.0), tracing)
        thread = threading.Thread(target=running.run)
        thread.start()
        hanging.wait()
        given_up = running.abandoned("agent, line 1")
        release.set()
        thread.join()
        assert (given_up.status, given_up.seconds) == ("timed_out", 5.0)
        assert given_up.error is not None
        assert "left behind in:\nagent, line 1" in given_up.error
        assert given_up.reads == {"prompt_template"}
        assert (given_up.usage.model_calls, given_up.usage.input_tokens) == (1, 7)
        root, call = given_up.spans
        assert (root.name, root.parent_id, root.attributes["agl.unfinished"]) == (
            "invoke_agent agent",
            None,
            True,
        )
        assert (call.name, call.parent_id) == ("chat", root.span_id)


class Answering(FunctionAgent):
    """An agent whose output is known, as that of a wrapped program is."""

    def run(self, context: RolloutContext) -> Outcome:
        return Outcome(0.5, self._function(context.task))


@pytest.mark.parametrize("answer", ["word " * 10_000_000, ["word " * 10_000_000] * 3])
def test_of_a_huge_output_the_start_is_kept(tracing: Tracing, answer: Any) -> None:
    done = RunningAttempt(Answering(lambda task: answer), request(), tracing).run()
    assert done.reward == 0.5
    assert "word word" in done.output
    assert "characters in all" in done.output
    assert len(done.output) < 20_100


def test_of_a_huge_feedback_the_start_is_kept(attempt: Callable[..., Attempt]) -> None:
    done = attempt(lambda task: Reward(0.5, "word " * 10_000_000, {"a": 1.0}))
    assert done.reward is not None
    assert (done.reward, done.reward.metrics) == (0.5, {"a": 1.0})
    assert done.reward.feedback.endswith("word … (50000000 characters in all)")
    assert len(done.reward.feedback) < 20_100


def test_of_a_huge_error_both_ends_are_kept(attempt: Callable[..., Attempt]) -> None:
    def fail(task: Any) -> None:
        raise ValueError("word " * 10_000_000 + "END")

    done = attempt(fail)
    assert done.error is not None
    assert done.error.rstrip().endswith("END")
    assert len(done.error) < 9_000
    (root,) = done.spans
    assert len(str(root.to_json())) < 1_000_000


HUGE = "word " * 1_000_000


@pytest.mark.parametrize("kind", ["error", "cause", "output", "data", "feedback"])
def test_of_a_huge_text_not_all_is_searched_for_what_must_not_be_written(kind: str) -> None:
    """It would take seconds, in which nobody else runs."""
    searched: list[int] = []

    def note(text: str) -> str:
        searched.append(len(text))
        return text

    def make(task: Any) -> Any:
        if kind == "error":
            raise ValueError(HUGE)
        if kind == "cause":
            raise ValueError("no") from KeyError(HUGE)
        return {"messages": [{"content": HUGE}, HUGE]} if kind == "data" else HUGE

    class Rewarding(FunctionAgent):
        def run(self, context: RolloutContext) -> Outcome:
            return Outcome(Reward(0.5, HUGE if kind == "feedback" else ""), make(context.task))

    tracing = Tracing(redaction=Redaction(note))
    done = RunningAttempt(Rewarding(make), request(), tracing).run()
    assert (done.status == "failed") is (kind in ("error", "cause"))
    assert 100_000 < max(searched) <= 400_000
    tracing.shutdown()


def test_a_huge_result_is_shown_in_part(attempt: Callable[..., Attempt]) -> None:
    for agent in either(lambda: "x" * 10_000_000):
        done = attempt(agent)
        assert isinstance(done.fatal, RewardError)
        assert done.error is not None
        assert len(done.error) < 10_000
