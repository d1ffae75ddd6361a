"""Running AutoGen's agents and teams, which hold state: instances, factories, in functions."""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, BaseChatAgent, SocietyOfMindAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool
from autogen_core import CancellationToken
from autogen_core.model_context import BufferedChatCompletionContext
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient

import agl_adapters as agl
from agl_adapters.targets import find_target
from agl_adapters.testing import SimulatedModel
from agl_core.code_identity import parts_of
from agl_core.errors import ConfigurationError, IntegrationError
from agl_integrations.autogen import AutoGenIntegration

pytest_plugins = ["agl_adapters.testing.fixtures"]
# Clients that were let go of close their connections later, on the loop that they were used on.
pytestmark = pytest.mark.asyncio(loop_scope="session")


@cache
def client() -> OpenAIChatCompletionClient:
    """Return the client that programs share: making one takes longer than most programs."""
    info: Any = {
        "vision": False,
        "function_calling": True,
        "json_output": True,
        "structured_output": True,
        "family": "gpt-4o",
    }
    return OpenAIChatCompletionClient(
        model="simulated", model_info=info, parallel_tool_calls=False, max_retries=0
    )


def agent(name: str = "solo", **arguments: Any) -> AssistantAgent:
    return AssistantAgent(name, client(), system_message=f"You are {name}.", **arguments)


def team(*agents: Any, **arguments: Any) -> RoundRobinGroupChat:
    options: Any = {"max_turns": 2} | arguments
    return RoundRobinGroupChat(list(agents) or [agent("writer"), agent("editor")], **options)


class Counting(BaseChatAgent):
    """An agent that somebody wrote, with state that AutoGen knows nothing of."""

    def __init__(self, name: str = "counting", **kept: Any) -> None:
        super().__init__(name, "It counts.")
        self.count = 0
        self.texts: list[str] = []
        self.kept = kept

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> Response:
        self.count += 1
        self.texts += [message.to_text() for message in messages]
        await asyncio.sleep(0.01)
        answer = f"{self.count}: {' '.join(self.texts)}"
        return Response(chat_message=TextMessage(content=answer, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.count = 0
        self.texts = []


@pytest.fixture
def adapt(simulated_model: SimulatedModel) -> Callable[[Any], Any]:
    return AutoGenIntegration().adapt


def last(result: TaskResult) -> str:
    message = result.messages[-1]
    assert isinstance(message, TextMessage)
    return message.content


# ---------------------------------------------------------------------------------------- instances


async def test_each_run_starts_the_conversation_anew(
    adapt: Callable[[Any], Any], simulated_model: SimulatedModel
) -> None:
    context = BufferedChatCompletionContext(9, [UserMessage(content="Before.", source="user")])
    solo = agent(model_context=context)
    target = adapt(solo)
    for _ in range(2):
        await asyncio.gather(*(target.run(f"Task {n}") for n in range(4)))
    assert all(r.users[0] == "Before." and len(r.users) == 2 for r in simulated_model.log())
    assert len(await context.get_messages()) == 1


async def test_an_instance_that_was_used_starts_anew_and_stays_as_it_is(
    adapt: Callable[[Any], Any], simulated_model: SimulatedModel
) -> None:
    both = team(termination_condition=MaxMessageTermination(3) | TextMentionTermination("never"))
    await both.run(task="Used.")
    simulated_model.reset()
    target = adapt(both)
    results = await asyncio.gather(*(target.run(f"Task {n}") for n in range(4)))
    assert [len(result.messages) for result in results] == [3] * 4
    assert not any("Used." in user for request in simulated_model.log() for user in request.users)
    simulated_model.reset()
    await both.run(task="More.")
    assert simulated_model.log()[0].users[0] == "Used."


async def test_what_an_interrupted_run_counted_is_forgotten(adapt: Callable[[Any], Any]) -> None:
    both = team(termination_condition=MaxMessageTermination(3), max_turns=None)
    with pytest.raises(RuntimeError):
        await both.run(task="FAIL400")
    result = await adapt(both).run("Go on.")
    assert [message.source for message in result.messages] == ["user", "writer", "editor"]


async def test_parts_that_are_held_twice_or_within_are_copied(
    adapt: Callable[[Any], Any], simulated_model: SimulatedModel
) -> None:
    helper = agent("helper", description="It helps.")
    front, back = (agent(name, tools=[AgentTool(helper)]) for name in ("front", "back"))
    society = SocietyOfMindAgent("society", team(front, back), client())
    target = adapt(team(society, max_turns=1))
    await asyncio.gather(*(target.run(f"RUN:{n} CALL:helper") for n in range(4)))
    asked = [request for request in simulated_model.log() if request.systems == ["You are helper."]]
    runs = [re.findall(r"RUN:(\d)", " ".join(request.users)) for request in asked]
    # The two agents of one rollout ask the same helper, which remembers; no other rollout's.
    assert sorted(runs) == sorted([[str(n)] * k for n in range(4) for k in (1, 2)])
    assert not await helper.model_context.get_messages()


async def test_tools_keep_what_they_close_over_and_methods_are_the_copys_own(
    adapt: Callable[[Any], Any],
) -> None:
    found: list[str] = []

    def look_up(text: str) -> str:
        """Look it up."""
        found.append(text)
        return text

    class Noting(AssistantAgent):
        def __init__(self) -> None:
            super().__init__("noting", client(), tools=[self.note, look_up])
            self.notes: list[str] = []

        def note(self, text: str) -> str:
            """Note it."""
            self.notes.append(text)
            return f"{len(self.notes)} notes"

    noting = Noting()
    target = adapt(noting)
    for _ in range(2):
        result = await target.run("CALL:note")
        assert result.messages[-1].to_text() == "1 notes"
    await target.run("CALL:look_up")
    assert noting.notes == []
    assert found == ["argument"]


async def test_an_agent_of_ones_own_is_copied_and_reset(adapt: Callable[[Any], Any]) -> None:
    counting = Counting(options={"a": [1]})
    target = adapt(team(counting, max_turns=1))
    results = await asyncio.gather(*(target.run(f"Task {n}") for n in range(4)))
    assert [last(result) for result in results] == [f"1: Task {n}" for n in range(4)]
    assert counting.count == 0


async def test_what_cannot_be_copied_is_run_in_turn(adapt: Callable[[Any], Any]) -> None:
    target = adapt(team(Counting(lock=asyncio.Lock()), max_turns=1))
    with pytest.warns(RuntimeWarning) as warned:
        results = await asyncio.gather(*(target.run(f"Task {n}") for n in range(4)))
    assert [last(result) for result in results] == [f"1: Task {n}" for n in range(4)]
    (warning,) = warned
    assert "Counting 'counting' holds a Lock" in str(warning.message)
    assert "wrap(build_team, ...)" in str(warning.message)


async def test_what_cannot_be_copied_and_does_not_end_is_left(adapt: Callable[[Any], Any]) -> None:
    class Stubborn(Counting):
        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            for _ in range(2):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(1.0)
            raise AssertionError("it has ended")

    target = adapt(team(Stubborn(lock=asyncio.Lock()), max_turns=1))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(target.run("Go on."), 0.1)
    with (
        pytest.warns(RuntimeWarning, match="one task at a time"),
        pytest.raises(IntegrationError, match="still running an earlier task"),
    ):
        await target.run("Go on.")


async def test_a_cancelled_run_cancels_the_model_call(
    adapt: Callable[[Any], Any], simulated_model: SimulatedModel
) -> None:
    async def hang() -> str:
        """Never return."""
        await asyncio.sleep(60)
        return ""

    for program, words in (
        (team(), "SLEEP:30"),
        (agent(), "SLEEP:30"),
        (team(agent("slow", tools=[hang])), "CALL:hang"),
    ):
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(adapt(program).run(words), 0.3)
        assert time.monotonic() - start < 15  # of the 30 that it would take


async def test_a_team_that_is_running_is_refused(adapt: Callable[[Any], Any]) -> None:
    both = team()
    running = asyncio.create_task(both.run(task="SLEEP:0.3"))
    await asyncio.sleep(0.1)
    with pytest.raises(ConfigurationError, match="RoundRobinGroupChat is running"):
        adapt(both)
    await running
    assert adapt(both).name == "RoundRobinGroupChat"


@pytest.mark.parametrize("wrong", [{"question": "?"}, None, 7, [], ["text"], [{"role": "user"}]])
async def test_an_input_of_another_shape_is_refused(
    adapt: Callable[[Any], Any], wrong: Any
) -> None:
    with pytest.raises(ConfigurationError, match="solo takes text, a chat message or a list"):
        await adapt(agent()).run(wrong)


async def test_messages_are_an_input(
    adapt: Callable[[Any], Any], simulated_model: SimulatedModel
) -> None:
    one, two = (TextMessage(content=text, source="user") for text in ("One.", "Two."))
    for program in (agent(), team()):
        for given in (one, [one, two], (one, two)):
            await adapt(program).run(given)
    assert simulated_model.log()[-1].users[:2] == ["One.", "Two."]


# ---------------------------------------------------------------------------- through the trainer


@agl.algorithm
async def eight_candidates(session: agl.Session) -> None:
    """Run eight candidates at once, each on one task."""

    def marked(number: int) -> dict[str, agl.PromptTemplate]:
        return {
            slot: prompt.with_text(f"NEW {number}. {prompt.raw}")
            for slot, prompt in session.initial.items()
        }

    await asyncio.gather(
        *(session.evaluate(marked(n), session.val[n : n + 1]) for n in range(len(session.val)))
    )


async def in_a_function(question: str) -> TaskResult:
    return await team().run(task=question)


PROGRAMS: dict[str, Callable[[], Any]] = {
    "instance": team,
    "factory": lambda: lambda: team(),
    "function": lambda: in_a_function,
    "factory of what cannot be copied": lambda: (
        lambda: team(agent("writer", memory=[]), agent("editor"), Counting(lock=asyncio.Lock()))
    ),
}


@pytest.mark.parametrize("form", PROGRAMS)
async def test_a_trainer_takes_a_team(form: str, simulated_model: SimulatedModel) -> None:
    program = PROGRAMS[form]()
    wrapped = agl.wrap(
        program, input=lambda task: task["question"], reward=lambda task, result: 1.0
    )
    tasks = [{"question": f"Go on. RUN:{n}"} for n in range(8)]
    result = await agl.Trainer(eight_candidates).afit(wrapped, tasks)
    assert set(result.best) == {"autogen:writer#system", "autogen:editor#system"}
    marked: dict[int, set[str]] = {}
    for seen in simulated_model.log():
        if seen.system.startswith("NEW"):
            numbers = set(re.findall(r"NEW (\d)\.|RUN:(\d)", " ".join([seen.system, *seen.users])))
            (number,) = {int(a or b) for a, b in numbers}
            marked.setdefault(number, set()).add(seen.system.partition(". ")[2])
    assert marked == {n: {"You are writer.", "You are editor."} for n in range(8)}


# -------------------------------------------------------------------------------------- factories


async def test_what_a_factory_builds_is_run_itself(simulated_model: SimulatedModel) -> None:
    built: list[Counting] = []

    def build() -> Counting:
        built.append(Counting())
        built[-1].texts.append("Built.")
        return built[-1]

    target, _ = find_target(build)
    results = await asyncio.gather(*(target.run(f"Task {n}") for n in range(4)))
    assert [last(result) for result in results] == [f"1: Built. Task {n}" for n in range(4)]
    assert [counting.count for counting in built] == [0, 1, 1, 1, 1]


async def test_a_factory_that_returns_one_object_shares_nothing(
    simulated_model: SimulatedModel,
) -> None:
    counting = Counting()
    target, _ = find_target(lambda: counting)
    results = await asyncio.gather(*(target.run(f"Task {n}") for n in range(4)))
    assert [last(result) for result in results] == [f"1: Task {n}" for n in range(4)]


async def test_a_factory_that_shares_a_part_is_told(simulated_model: SimulatedModel) -> None:
    writer = agent("writer")
    target, _ = find_target(lambda: team(writer))
    await target.run("Go on.")
    with pytest.raises(ConfigurationError, match="AssistantAgent 'writer' in RoundRobinGroupChat"):
        await target.run("Go on.")

    condition = MaxMessageTermination(2)
    target, _ = find_target(lambda: team(Counting(), termination_condition=condition))
    await target.run("Go on.")
    with pytest.raises(ConfigurationError, match="MaxMessageTermination in RoundRobinGroupChat"):
        await target.run("Go on.")


# ---------------------------------------------------------------------------------- the framework


async def test_only_agents_and_teams_are_recognized(simulated_model: SimulatedModel) -> None:
    integration = AutoGenIntegration()
    assert integration.recognizes(agent())
    assert integration.recognizes(team())
    assert integration.recognizes(Counting())
    for other in (client(), AssistantAgent, team, "text", MaxMessageTermination(1)):
        assert not integration.recognizes(other)


async def test_parts_tell_a_changed_team(simulated_model: SimulatedModel) -> None:
    def parts(*agents: Any) -> dict[str, str]:
        return parts_of(find_target(team(*agents))[0])

    one = parts(agent("writer"), agent("editor"))
    assert parts(agent("writer"), agent("editor")) == one
    assert parts(agent("writer"), agent("critic")).keys() != one.keys()
    kinder = agent("editor")
    kinder._system_messages[0].content = "You are kind."  # pyright: ignore[reportPrivateUsage]
    changed = parts(agent("writer"), kinder)
    assert {name for name in one if one[name] != changed[name]} == {"agent editor"}
