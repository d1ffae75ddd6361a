"""From options to objects."""

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.cli.assembly import (
    make_agent,
    make_algorithm,
    make_budget,
    make_prices,
    make_templates,
    seed_prompts,
)
from agl_adapters.cli.options import AgentOptions, BudgetOptions
from agl_core.errors import ConfigurationError

PROGRAM = """
import agl_adapters as agl

def answer(question):
    return question

@agl.rollout
def rated(task, prompt_template):
    return 1.0

def score(task, output):
    return 1.0

@agl.algorithm
async def search(session):
    pass
"""


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    (tmp_path / "its_shop.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("its_shop", None)


def test_a_program_is_wrapped_and_an_agent_taken_as_it_is() -> None:
    wrapped = make_agent(AgentOptions(agent="its_shop:answer", reward="its_shop:score"))
    assert (wrapped.name, wrapped.discovers) == ("answer", True)
    assert make_agent(AgentOptions(agent="its_shop:rated")).discovers is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agent": "its_shop:answer"}, "how is its_shop:answer scored.* --reward my_app:score"),
        ({"agent": "its_shop:rated", "reward": "its_shop:score"}, "leave out --reward"),
        ({"agent": "its_shop:rated", "input": "its_shop:score"}, "leave out --input"),
        ({"agent": "its_shop:answer", "reward": "its_shop:rating"}, "--reward: its_shop has no"),
        ({"agent": "its_shop:answer", "reward": "its_shop:answer"}, "another signature"),
    ],
)
def test_what_does_not_fit_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_agent(AgentOptions(**options))


def test_seed_prompts_come_from_a_file(tmp_path: Path) -> None:
    path = agl.save_prompts({"x": "Be kind."}, tmp_path / "p.json")
    assert seed_prompts(AgentOptions(agent="a:b", prompts=path))["x"].raw == "Be kind."
    assert seed_prompts(AgentOptions(agent="a:b")) == {}


def test_the_budget_is_what_is_given() -> None:
    options = BudgetOptions(budget_rollouts=5, budget_dollars=0.5, target=0.9, patience=2)
    assert make_budget(options) == agl.Budget(rollouts=5, dollars=0.5, target=0.9, patience=2)


def test_prices_are_read_by_model() -> None:
    given = make_prices(BudgetOptions(price=["gpt-4o=2.5/10/1.25", "a=b=1/2"]))
    assert given == {"gpt-4o": agl.Price(2.5, 10, 1.25), "a=b": agl.Price(1, 2)}
    for wrong in ("gpt-4o", "m=1", "m=1/x", "=1/2"):
        with pytest.raises(ConfigurationError, match="write MODEL=IN/OUT"):
            make_prices(BudgetOptions(price=[wrong]))


def test_templates_are_read_by_slot() -> None:
    given = make_templates(["openai:a.b#system=Be {how}, x=y."])
    assert given == {"openai:a.b#system": "Be {how}, x=y."}
    for wrong in ("openai:a.b#system", "Be=kind"):
        with pytest.raises(ConfigurationError, match="write SLOT=TEXT"):
            make_templates([wrong])


def test_an_algorithm_is_made_by_name_with_its_parameters() -> None:
    made = make_algorithm("apo", ["beam-rounds=3"], {"model": "m"})
    assert set(made.models) == {"m"}
    assert made.settings()["beam_rounds"] == 3
    published = make_algorithm("published", ["beam_rounds=2"], {"model": "m"})
    assert published.settings()["beam_rounds"] == 2
    assert make_algorithm("baseline", [], {"model": "m"}).name == "Baseline"
    assert make_algorithm("its_shop:search", [], {"model": "m"}).name == "search"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("apo", ["rounds=3"], "--set rounds: the algorithm apo has no such parameter; it has: m"),
        ("published", ["rounds=3"], "published cannot be made with rounds: .*'rounds'"),
        ("published", ["parents=newest"], "the published search has no parents"),
        ("published", ["demonstrations=3"], "--demonstrations: the algorithm published has no"),
        ("gepa", ["demonstrations=3"], "--demonstrations: the algorithm gepa has no"),
        ("apo", ["rounds"], "--set rounds: write NAME=VALUE"),
        ("apo", ["beam_rounds=many"], "beam_rounds"),
        ("its_shop:search", ["x=1"], "it takes no --set"),
        ("its_shop:__name__", [], "is no algorithm and makes none"),
        ("its_shop:PROGRAM", [], "has no 'PROGRAM'"),
        ("aop", [], "--algorithm is 'aop'; name it as module:attribute"),
    ],
)
def test_an_algorithm_that_cannot_be_made_is_told(
    name: str, settings: list[str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_algorithm(name, settings, {})
