"""Making agents: `@agl.rollout` of functions, and `agl.wrap` of programs, run by the engine."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.injection import inject

SLOT = "my:program#system"
TASKS = [{"question": "a"}, {"question": "b"}]


def program(question: str) -> str:
    """A program with a prompt of its own."""
    return f"{inject(SLOT, 'Answer.')} {question}"


async def async_program(question: str) -> str:
    await asyncio.sleep(0)
    return program(question)


class Program:
    def __call__(self, question: str) -> str:
        return program(question)


class AsyncProgram:
    async def __call__(self, question: str) -> str:
        return await async_program(question)

    async def method(self, question: str) -> str:
        return await async_program(question)


def prefixed(prefix: str, question: str) -> str:
    return prefix + program(question)


async def async_prefixed(prefix: str, question: str) -> str:
    return prefix + await async_program(question)


def question_of(task: dict[str, str]) -> str:
    return task["question"]


def reward(task: dict[str, str], output: str) -> float:
    return float(output.endswith(task["question"]))


async def async_reward(task: dict[str, str], output: str) -> agl.Reward:
    await asyncio.sleep(0)
    return agl.Reward(reward(task, output), feedback="awaited")


def run(agent: Any, **options: Any) -> agl.Evaluation:
    """Run an agent on the tasks by a trainer's dry pass."""
    return agl.Trainer(agl.Baseline(), **options).dev(agent, TASKS)


# wrap: kinds of programs


@pytest.mark.parametrize(
    ("target", "is_async", "name", "prefix"),
    [
        (program, False, "program", ""),
        (async_program, True, "async_program", ""),
        (lambda question: program(question), False, "<lambda>", ""),
        (functools.partial(prefixed, "> "), False, "prefixed", "> "),
        (functools.partial(async_prefixed, "> "), True, "async_prefixed", "> "),
        (functools.partial(functools.partial(async_prefixed), "> "), True, "async_prefixed", "> "),
        (Program(), False, "Program", ""),
        (AsyncProgram(), True, "AsyncProgram", ""),
        (functools.partial(AsyncProgram()), True, "AsyncProgram", ""),
        (AsyncProgram().method, True, "method", ""),
    ],
)
def test_any_function_of_one_argument_can_be_wrapped(
    target: Callable[[str], Any], is_async: bool, name: str, prefix: str
) -> None:
    agent = agl.wrap(target, input=question_of, reward=reward)
    assert (agent.name, agent.is_async) == (name, is_async)
    evaluation = run(agent)
    assert evaluation.scores == (1.0, 1.0)
    assert [rollout.output for rollout in evaluation] == [
        f"{prefix}Answer. a",
        f"{prefix}Answer. b",
    ]
    assert evaluation[0].slots[SLOT].original == "Answer."


def test_a_wrapped_program_is_sent_the_prompt_that_the_trainer_starts_from() -> None:
    agent = agl.wrap(program, input=question_of, reward=reward)
    evaluation = run(agent, initial_resources={SLOT: "New."})
    assert [rollout.output for rollout in evaluation] == ["New. a", "New. b"]
    assert program("c") == "Answer. c"


def test_without_input_the_program_is_given_the_task_itself() -> None:
    agent = agl.wrap(lambda task: program(task["question"]), reward=reward)
    assert run(agent).scores == (1.0, 1.0)


def test_the_name_can_be_given() -> None:
    agent = agl.wrap(program, reward=reward, name="booking")
    assert agent.name == "booking"


def test_an_object_of_a_framework_is_run_by_its_integration() -> None:
    from langchain_core.runnables import RunnableLambda

    chain = RunnableLambda(program)
    agent = agl.wrap(chain, input=question_of, reward=reward, name="chain")
    assert run(agent).scores == (1.0, 1.0)


# wrap: what scores


def test_an_async_program_may_be_scored_and_fed_by_async_functions() -> None:
    async def async_question_of(task: dict[str, str]) -> str:
        await asyncio.sleep(0)
        return task["question"]

    agent = agl.wrap(async_program, input=async_question_of, reward=async_reward)
    evaluation = run(agent)
    assert evaluation.scores == (1.0, 1.0)
    assert evaluation[0].feedback == "awaited"


@pytest.mark.parametrize("role", ["input", "reward"])
def test_a_sync_program_cannot_be_scored_or_fed_by_async_functions(role: str) -> None:
    async def function(*arguments: Any) -> Any: ...

    functions: dict[str, Any] = {"reward": reward, role: function}
    with pytest.raises(agl.ConfigurationError, match=f"the {role} function is async and program"):
        agl.wrap(program, **functions)


@pytest.mark.parametrize("role", ["input", "reward"])
def test_a_sync_program_whose_functions_turn_out_to_be_async_ends_the_run(role: str) -> None:
    async def later() -> float:
        return 1.0

    functions: dict[str, Any] = {"reward": reward, role: lambda *arguments: later()}
    agent = agl.wrap(program, **functions)
    with pytest.raises(
        agl.ConfigurationError, match=f"the {role} function returned an awaitable and the program"
    ):
        run(agent)


def test_a_function_that_turns_out_to_be_async_ends_the_run_with_the_remedy() -> None:
    agent = agl.wrap(lambda question: async_program(question), reward=reward)
    with pytest.raises(agl.ConfigurationError, match="define it with `async def`"):
        run(agent)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reward": 1.0}, "reward is float, not a function"),
        ({"reward": None}, "reward is NoneType, not a function"),
        ({"reward": reward, "input": {"messages": []}}, "input is dict, not a function"),
        (
            {"reward": lambda output: 1.0},
            r"called as reward\(task, output\), and the given function has another signature: "
            r"\(output\)",
        ),
        ({"reward": reward, "input": lambda: "x"}, r"called as input\(task\)"),
        ({"reward": lambda a, b, c: 1.0}, r"another signature: \(a, b, c\)"),
    ],
)
def test_a_wrong_input_or_reward_is_told_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(agl.ConfigurationError, match=message):
        agl.wrap(program, **options)


def test_functions_with_defaults_and_without_a_signature_are_taken() -> None:
    def lenient(task: Any, output: Any, strictness: float = 1.0) -> float:
        return strictness

    agl.wrap(program, input=str, reward=lenient)
    agl.wrap(program, reward=max)


# wrap: what cannot be wrapped


def test_an_object_of_no_supported_kind_is_told_what_would_be() -> None:
    with pytest.raises(agl.UnknownAgentError, match=r"a builtins\.dict: no integration"):
        agl.wrap({"graph": 1}, reward=reward)


def test_a_class_is_no_program() -> None:
    with pytest.raises(agl.UnknownAgentError, match=r"the class .*Program \(give an instance\)"):
        agl.wrap(Program, reward=reward)


def test_what_is_an_agent_already_is_not_wrapped_again() -> None:
    wrapped = agl.wrap(program, reward=reward, name="booking")
    with pytest.raises(agl.ConfigurationError, match="booking is an agent already: pass it to Tr"):
        agl.wrap(wrapped, reward=reward)

    @agl.rollout
    def agent(task: Any, prompt_template: Any) -> float:
        return 1.0

    with pytest.raises(agl.ConfigurationError, match="agent is an agent already"):
        agl.wrap(agent, reward=reward)


def test_a_client_is_no_agent() -> None:
    import openai

    with pytest.raises(agl.UnknownAgentError, match=r"a openai\.OpenAI"):
        agl.wrap(openai.OpenAI(api_key="none"), reward=reward)


# rollout


def test_a_rollout_function_is_given_what_it_asks_for_by_name() -> None:
    seen: list[Any] = []

    @agl.rollout
    def agent(task: Any, tone: agl.PromptTemplate, resources: Any, rollout: Any) -> float:
        seen.append((task, tone.format(), sorted(resources), rollout.task))
        return 0.5

    evaluation = run(agent, initial_resources={"tone": "Kind.", "style": "Short."}, n_runners=1)
    assert evaluation.scores == (0.5, 0.5)
    assert seen == [(task, "Kind.", ["style", "tone"], task) for task in TASKS]


@pytest.mark.parametrize("called", [False, True])
def test_the_only_prompt_is_the_prompt_template_whatever_its_name(called: bool) -> None:
    def agent(task: Any, prompt_template: agl.PromptTemplate) -> float:
        return float(prompt_template.format(**task) == f"Answer {task['question']}.")

    decorated = agl.rollout()(agent) if called else agl.rollout(agent)
    assert run(decorated, initial_resources={"mine": "Answer {question}."}).scores == (1.0, 1.0)


def test_a_rollout_function_may_be_async_a_partial_or_a_callable_object() -> None:
    async def agent(task: Any, prompt_template: Any, score: float = 0.0) -> float:
        await asyncio.sleep(0)
        prompt_template.format()
        return score

    class Agent:
        def __init__(self) -> None:
            self.name = self.is_async = "not the agent's"

        async def __call__(self, task: Any, prompt_template: Any) -> float:
            return await agent(task, prompt_template, 0.25)

    prompts = {"prompt_template": "Answer."}
    partial = agl.rollout(functools.partial(agent, score=0.75))
    assert (partial.name, partial.is_async) == ("agent", True)
    assert run(partial, initial_resources=prompts).scores == (0.75, 0.75)
    instance = agl.rollout(Agent())
    assert (instance.name, instance.is_async) == ("Agent", True)
    assert run(instance, initial_resources=prompts).scores == (0.25, 0.25)


def test_a_rollout_function_is_still_the_function() -> None:
    @agl.rollout
    def agent(task: Any, prompt_template: Any) -> float:
        """Do it."""
        return 1.0 if task == prompt_template else 0.0

    assert agent(3, 3) == 1.0
    assert agent(task=3, prompt_template=4) == 0.0
    assert (vars(agent)["__name__"], agent.__doc__) == ("agent", "Do it.")


def test_a_reward_may_be_emitted_from_within() -> None:
    def helper() -> None:
        agl.emit_reward(0.25, feedback="too small")

    @agl.rollout
    def agent(task: Any, prompt_template: Any) -> None:
        prompt_template.format()
        helper()

    (first, _) = run(agent, initial_resources={"prompt_template": "x"})
    assert (first.score, first.feedback) == (0.25, "too small")


def test_what_is_no_function_is_no_rollout() -> None:
    wrong: Any
    for wrong in (3, {"task": 1}, agl.PromptTemplate("x")):
        with pytest.raises(agl.ConfigurationError, match="is no function"):
            agl.rollout(wrong)


def test_a_rollout_is_not_decorated_twice() -> None:
    @agl.rollout
    def agent(task: Any, prompt_template: Any) -> float:
        return 1.0

    with pytest.raises(agl.ConfigurationError, match="agent is an agent already"):
        agl.rollout(agent)


def test_a_parameter_by_position_only_is_refused() -> None:
    def agent(task: Any, /, prompt_template: Any) -> float:
        return 1.0

    with pytest.raises(agl.ConfigurationError, match="takes 'task' by position only"):
        agl.rollout(agent)


class TestBlame:
    """Whose failure it is, is said: the score and the retries are the same."""

    @pytest.mark.parametrize("is_async", [False, True])
    @pytest.mark.parametrize("role", ["input", "reward"])
    def test_an_error_of_a_function_of_ours_is_not_called_the_agents(
        self, role: str, is_async: bool
    ) -> None:
        def grade(*arguments: Any) -> Any:
            if "b" in str(arguments):
                raise KeyError("answer")
            return "a" if role == "input" else 1.0

        options: dict[str, Any] = {"reward": reward, "input": question_of, role: grade}
        agent = agl.wrap(async_program if is_async else program, **options)
        fine, failed = agl.Trainer().dev(agent, TASKS)
        assert fine.error is None
        assert failed.status == "failed"
        assert failed.score == 0.0
        assert failed.error is not None
        lines = failed.error.rstrip().splitlines()
        assert lines[-2:] == [
            "KeyError: 'answer'",
            f"Raised by the {role} function (grade), not by the agent.",
        ]

    def test_an_error_of_the_agent_is_its_own(self) -> None:
        def fail(question: str) -> str:
            program(question)
            if question == "b":
                raise KeyError("answer")
            return question

        _, failed = agl.Trainer().dev(agl.wrap(fail, input=question_of, reward=reward), TASKS)
        assert failed.error is not None
        assert failed.error.rstrip().endswith("KeyError: 'answer'")

    def test_an_error_that_is_raised_again_and_again_says_it_once(self) -> None:
        error = KeyError("answer")

        def grade(task: Any, output: Any) -> float:
            if task["question"] == "a":
                return 1.0
            raise error

        tasks = [{"question": text} for text in "abcdef"]
        rollouts = agl.Trainer().dev(agl.wrap(program, input=question_of, reward=grade), tasks, 6)
        assert [rollout.status for rollout in rollouts] == ["succeeded", *["failed"] * 5]
        assert all((rollout.error or "").count("Raised by") == 1 for rollout in rollouts[1:])


async def test_a_reward_function_for_both_kinds_of_agents_is_awaited_where_it_can_be() -> None:
    class Either:
        def __call__(self, task: Any, output: Any) -> agl.Reward:
            return agl.Reward(0.25)

        async def acall(self, task: Any, output: Any) -> agl.Reward:
            return agl.Reward(0.75)

    for target, score in ((program, 0.25), (async_program, 0.75)):
        agent = agl.wrap(target, input=question_of, reward=Either())
        trainer = agl.Trainer(agl.Baseline())
        assert (await trainer.afit(agent, TASKS)).seed_score == score
