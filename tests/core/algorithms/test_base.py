from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import pytest

from agl_core.algorithms.base import Algorithm, algorithm
from agl_core.errors import ConfigurationError
from agl_core.prompts.templates import PromptTemplate


@algorithm
async def shouting(session: Any) -> None:
    """Say it louder."""
    louder = {name: prompt.raw.upper() for name, prompt in session.initial.items()}
    evaluation = await session.evaluate(louder, session.val)
    session.report(louder, score=evaluation.score)


def test_a_function_is_an_algorithm() -> None:
    assert isinstance(shouting, Algorithm)
    assert (shouting.name, shouting.__doc__) == ("shouting", "Say it louder.")
    assert (shouting.models, shouting.settings()) == ((), {})


async def test_it_is_given_the_session(engine: SimpleNamespace) -> None:
    def agent(task: Any, prompt_template: PromptTemplate) -> float:
        return float(prompt_template.template == "HI.")

    async with engine.in_session(agent) as session:
        await shouting.run(session)
        (candidate,) = session.candidates
        assert candidate.resources["prompt_template"].raw == "HI."
        assert (candidate.score, session.validation_score(candidate.resources)) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("models", "expected"), [(["a", "b"], ("a", "b")), ("gpt-4o", ("gpt-4o",)), ([], ())]
)
def test_it_may_declare_the_models_that_it_calls(models: Any, expected: Any) -> None:
    @algorithm(models=models)
    async def asking(session: Any) -> None:
        """Ask."""

    assert asking.models == expected


def test_it_has_to_be_async() -> None:
    with pytest.raises(ConfigurationError, match="sync is not async: an algorithm is"):

        @algorithm  # pyright: ignore[reportArgumentType]
        def sync(session: Any) -> None:
            """Too late."""


def test_a_partial_function_will_do() -> None:
    async def search(rounds: int, session: Any) -> None:
        """Search."""

    assert algorithm(functools.partial(search, 3)).name == "partial"
