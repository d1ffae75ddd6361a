from __future__ import annotations

import openai
import pytest

from agl_adapters.testing import SimulatedModel, simulated_model
from agl_core.simulation import is_simulated_environment, is_simulated_id


def test_a_program_that_was_pointed_at_the_simulated_model_is_known_by_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    assert not is_simulated_environment()
    with simulated_model("echo"):
        assert is_simulated_environment()
    assert not is_simulated_environment()
    monkeypatch.delenv("OPENAI_API_KEY")
    assert not is_simulated_environment()


def test_ids_of_the_real_service_are_not_the_simulated_models() -> None:
    real = ("chatcmpl-CZjFq0", "resp_68a1f0", "call_simulatedRoom", "simulated", "", None, 7)
    assert [value for value in real if is_simulated_id(value)] == []


def test_every_id_that_the_simulated_model_gives_says_so(
    served_model: SimulatedModel,
) -> None:
    client = openai.OpenAI()
    tool = {"name": "list_rooms", "parameters": {"type": "object", "properties": {}}}
    with client:
        chat = client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "a room"}],
            tools=[{"type": "function", "function": tool}],  # pyright: ignore[reportArgumentType]
            tool_choice="required",
        )
        response = client.responses.create(
            model="m",
            input="a room",
            tools=[{"type": "function", "strict": False, **tool}],  # pyright: ignore[reportArgumentType]
            tool_choice="required",
        )
    ids = [chat.id, response.id]
    ids += [call.id for call in chat.choices[0].message.tool_calls or ()]
    ids += [item.call_id for item in response.output if item.type == "function_call"]
    assert len(ids) == 4
    assert [value for value in ids if not is_simulated_id(value)] == []
