"""A scenario of one's own, from the outside."""

from collections.abc import Sequence
from pathlib import Path

import openai
import pytest

from agl_adapters.testing import load_scenario, simulated_model
from agl_core.errors import ConfigurationError

MODULE = """
from agl_adapters.testing import Breach, Critic, Editor, Reply, Rule, any_of, obeyed


class Triage:
    name = "triage"
    critic, editor = Critic(misses=0, vague=0), Editor(0, 0, 0, 0)
    rules = (Rule("urgency", "Sort by urgency first.", any_of(r"urgen"), 0.0, 1.0),)

    def reply(self, call, rng):
        return Reply("sorted" if obeyed(self.rules, call.prompt, rng) else "unsorted")

    def breaches(self, text):
        return [Breach("urgency")] if "Answer: unsorted" in text else None
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_scenario.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    return "own_scenario:Triage"


def ask(client: openai.OpenAI, *texts: str, system: str = "") -> str | None:
    messages = [{"role": "system", "content": system}] * bool(system)
    messages += [{"role": "user", "content": text} for text in texts]
    return (
        client.chat.completions.create(model="gpt-4o", messages=messages)  # type: ignore[arg-type]
        .choices[0]
        .message.content
    )


def test_a_scenario_of_ones_own_needs_rules_a_reply_and_breaches(own: str) -> None:
    with simulated_model(own), openai.OpenAI() as client:
        assert ask(client, "Mail", system="You triage.") == "unsorted"
        assert ask(client, "Mail", system="You triage, urgent mail first.") == "sorted"
        critique = ask(client, "What is wrong?\nAnswer: unsorted")
        assert critique == "- The prompt should say: Sort by urgency first."
        rewrite = ask(client, f"Apply it.\n<prompt>\nYou triage.\n</prompt>\n{critique}")
        assert rewrite == "You triage.\nSort by urgency first."


@pytest.mark.parametrize("name", ["echo", "room_booking"])
def test_built_in_scenarios_are_complete(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert isinstance(scenario.rules, Sequence)
    assert scenario.breaches("Nothing here.") is None


@pytest.mark.parametrize("name", ["nope", "no_such_module:Thing", "os:no_such", "os:getcwd", ""])
def test_a_name_without_a_scenario_is_an_error(name: str) -> None:
    with pytest.raises(ConfigurationError, match="scenario"):
        load_scenario(name)
