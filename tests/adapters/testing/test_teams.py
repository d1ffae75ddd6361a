"""AutoGen's teams find their way with the simulated model."""

import json

import pytest

from agl_adapters.testing import Call, Message, SimulatedModel
from agl_adapters.testing.teams import INSTRUCTION, coordination

pytest_plugins = ["agl_adapters.testing.fixtures"]


def test_a_selector_gets_a_name() -> None:
    prompt = "Read the following. Then select the next role from ['writer', 'critic'] to play."
    reply = coordination(Call("chat", "gpt-4o", (Message("system", prompt),)))
    assert reply is not None
    assert reply.text == "writer"


def test_other_calls_are_not_for_a_team() -> None:
    assert coordination(Call("chat", "gpt-4o", (Message("user", "Who is next?"),))) is None
    assert coordination(Call("chat", "gpt-4o", ())) is None


@pytest.mark.parametrize("done", [False, True])
def test_a_ledger_is_satisfied_after_one_instruction(done: bool) -> None:
    question = "Who should speak next? (select from: web_surfer, coder)\n is_request_satisfied ..."
    said = [Message("assistant", INSTRUCTION)] if done else []
    reply = coordination(Call("chat", "gpt-4o", (*said, Message("user", question))))
    assert reply is not None
    ledger = json.loads(reply.text)
    assert ledger == reply.fields
    assert ledger["is_request_satisfied"]["answer"] is done
    assert ledger["next_speaker"]["answer"] == "web_surfer"


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_autogen_teams_come_to_an_end(simulated_model: SimulatedModel) -> None:
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.conditions import MaxMessageTermination
    from autogen_agentchat.teams import MagenticOneGroupChat, SelectorGroupChat
    from autogen_core.models import ModelInfo
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    info = ModelInfo(
        vision=False, function_calling=True, json_output=True, family="gpt-4o",
        structured_output=True,
    )  # fmt: skip
    client = OpenAIChatCompletionClient(model="simulated", model_info=info)

    def agent(name: str) -> AssistantAgent:
        return AssistantAgent(name, client, system_message=f"You are {name}.", description=name)

    selector = SelectorGroupChat(
        [agent("writer"), agent("critic")], client, termination_condition=MaxMessageTermination(4)
    )
    result = await selector.run(task="Write.")
    spoken = [(message.source, message.to_text()) for message in result.messages[1:]]
    assert spoken[0] == ("writer", "ECHO[You are writer.]")
    assert {source for source, _ in spoken} == {"writer", "critic"}

    orchestrated = await MagenticOneGroupChat([agent("worker")], client).run(task="Work.")
    assert "ECHO[You are worker.]" in [message.to_text() for message in orchestrated.messages]
    await client.close()
