from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from agl_core.algorithms import Algorithm, Baseline
from agl_core.prompts.templates import PromptTemplate


async def test_evaluates_the_seed_and_proposes_nothing(engine: SimpleNamespace) -> None:
    def agent(task: Any, prompt_template: PromptTemplate) -> float:
        prompt_template.format()
        return float(task % 2)

    assert isinstance(Baseline(), Algorithm)
    assert (Baseline().models, Baseline().settings()) == ((), {})
    async with engine.in_session(agent) as session:
        await Baseline().run(session)
        (candidate,) = session.candidates
        assert candidate.resources == session.initial
        assert candidate.score == session.validation_score(session.initial) == 0.5
        assert session.usage.rollouts == len(session.val)
        assert session.usage.model_calls == 0
