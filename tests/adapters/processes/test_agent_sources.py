from __future__ import annotations

import pickle
import re
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import agl_adapters as agl
from agl_adapters.processes.agent_sources import agent_source
from agl_core.execution.agents import Agent


@pytest.fixture(autouse=True)
def crash() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        yield import_module("crash_agents")


def sent(agent: Any, given: Any = None) -> Agent:
    """Return what another process would get."""
    return pickle.loads(pickle.dumps(agent_source(agent, given))).load()


def test_one_that_a_module_has_under_a_name_is_taken_from_there(crash: Any) -> None:
    assert sent(crash.crashing) is crash.crashing
    assert sent(crash.named) is crash.named


@pytest.mark.parametrize("reference", ["crash_agents:named", "crash_agents:make_agent"])
def test_a_reference_names_it_or_what_makes_it(crash: Any, reference: str) -> None:
    agent = sent(agl.rollout(lambda task: 1.0), reference)
    assert agent.name == "<lambda>"
    assert (agent is crash.named) == reference.endswith("named")


def test_a_function_that_makes_it_is_given_too(crash: Any) -> None:
    assert sent(agl.rollout(lambda task: 1.0), crash.make_agent).name == "<lambda>"


def test_one_without_a_name_is_copied_if_it_can_be() -> None:
    wrapped = agl.wrap(re.escape, input=str, reward=max, name="escape")
    copy = sent(wrapped)
    assert copy is not wrapped
    assert copy.name == "escape"


def test_one_that_is_the_main_modules_is_taken_from_there_only_if_that_can_be_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main = ModuleType("__main__")
    agent = agl.rollout(lambda task: 1.0)
    main.agent = agent  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(agl.ConfigurationError, match="cannot be copied"):
        agent_source(agent, None)  # a notebook
    monkeypatch.setattr(main, "__file__", "my_app.py", raising=False)
    assert sent(agent) is agent


@pytest.mark.parametrize("given", [None, lambda: None])
def test_one_that_cannot_be_sent_is_refused_with_the_way_out(given: Any) -> None:
    lock = threading.Lock()

    def guarded(task: Any) -> float:
        with lock:
            return 1.0

    with pytest.raises(agl.ConfigurationError, match=r"agl\.ProcessExecutor\('my_app:make_agent'"):
        agent_source(agl.rollout(guarded), given)


def test_what_is_given_has_to_be_a_reference_or_a_function() -> None:
    with pytest.raises(agl.ConfigurationError, match="is given dict; it takes a reference such as"):
        agent_source(agl.rollout(lambda task: 1.0), {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("nowhere:agent", "there is no module nowhere"),
        ("crash_agents:nothing", "has no 'nothing'"),
        ("crash_agents:make_another", "gives a str, not an agent"),
        ("crash_agents:HELD", "gives a PyDLL, not an agent"),
    ],
)
def test_a_reference_to_something_else_is_refused(reference: str, reason: str) -> None:
    with pytest.raises(agl.ConfigurationError, match=reason):
        sent(agl.rollout(lambda task: 1.0), reference)
