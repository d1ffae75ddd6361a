from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.algorithms.editor import Editor
from agl_core.algorithms.memory import CritiqueMemory
from agl_core.algorithms.proposals import Proposals
from agl_core.candidates import Candidate
from agl_core.edits import Critique
from agl_core.errors import ModelError
from agl_core.models.chat import RefusedError
from agl_core.prompts.templates import PromptTemplate


def agent(task: Any, prompt_template: PromptTemplate) -> float:
    return float(len(prompt_template.format()))


def opened(session: Any, memory: CritiqueMemory | None = None) -> Proposals:
    return Proposals(session, Editor("m", "m", 1.0, 1000), memory or CritiqueMemory())


async def test_what_differs_in_white_space_alone_is_dropped(engine: SimpleNamespace) -> None:
    watcher = engine.Watcher()
    async with engine.in_session(agent, callback=watcher) as session:
        proposals = opened(session)
        texts = ["Be kind. Be brief.", "Be kind.\n\nBe brief.\n", "Be brief. Be kind."]
        admitted = [
            proposals.admit(Candidate({"prompt_template": PromptTemplate(text)}, round=2))
            for text in texts
        ]
        assert [candidate is not None for candidate in admitted] == [True, False, True]
        assert len(session.candidates) == 2
    assert watcher.messages == ["round 2: the same prompt as an earlier one; dropped"]


async def test_what_was_rejected_is_reported_and_costs_nothing(engine: SimpleNamespace) -> None:
    async with engine.in_session(agent) as session:
        assert opened(session).admit(Candidate(session.initial, rejected="too long")) is None
        assert opened(session).admit(None) is None
        assert [candidate.rejected for candidate in session.rejected] == ["too long"]
        assert session.usage.rollouts == 0


async def test_a_failed_call_costs_what_it_was_to_bring_and_a_refusal_the_run(
    engine: SimpleNamespace,
) -> None:
    errors: list[Exception] = [ModelError("busy"), ModelError("busy"), RefusedError("401")]

    def failing(request: str) -> str:
        raise errors.pop(0)

    client = engine.ScriptedModel(failing)
    async with engine.in_session(agent, client=client) as session:
        proposals, seed = opened(session), Candidate(session.initial)
        rollouts = await session.evaluate(seed.resources, session.train)
        assert await proposals.critique("one", seed, rollouts) is None
        assert await proposals.child("two", seed, [Critique("c", "Say it.")], 1) is None
        with pytest.raises(RefusedError):
            await proposals.critique("three", seed, rollouts)


async def test_a_child_keeps_its_critique_without_what_was_remembered(
    engine: SimpleNamespace,
) -> None:
    client = engine.ScriptedModel(lambda request: "Be kind.")
    critique = Critique("b", "Be kind")
    async with engine.in_session(agent, client=client) as session:
        learned = (Critique("a", "Say please."),)
        parent = Candidate(session.initial, critiques=learned)
        proposals = opened(session, CritiqueMemory(admitted={parent.id: parent}))
        child = await proposals.child("one", parent, [critique], 3)
    assert child is not None
    assert (child.edit, child.round) == ("Be kind", 3)
    assert "Say please." in client.requests[0]
