"""The LangSmith hub: what its real client sends and reads over HTTP, against a small server."""

import logging
from typing import Any

import langsmith
import pytest

import agl_adapters as agl
from agl_adapters.trackers.langsmith import LangSmithHub, hub_name, pull_prompts, push_prompts

SLOT = "langgraph:Planner#system"
NAME = "langgraph-planner-system"
TEXT = 'Say {{"a": 1}} to {name}.'


@pytest.fixture(autouse=True)
def _no_settings_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """LangSmith reads the environment once, and keeps it."""
    langsmith.utils.get_env_var.cache_clear()  # pyright: ignore[reportFunctionMemberAccess]


def manifest(messages: list[Any], kind: str = "ChatPromptTemplate") -> dict[str, Any]:
    path = ["langchain_core", "prompts", "chat", kind]
    arguments = {"messages": messages, "input_variables": []}
    return {"lc": 1, "type": "constructor", "id": path, "kwargs": arguments}


def message(kind: str, text: str, notation: str = "f-string") -> dict[str, Any]:
    prompt = manifest([], "PromptTemplate")
    prompt["kwargs"] = {"template": text, "template_format": notation}
    found = manifest([], f"{kind}MessagePromptTemplate")
    found["kwargs"] = {"prompt": prompt}
    return found


def put(hub: Any, name: str, held: Any) -> None:
    hub.commits[name] = [{"commit_hash": "c1", "manifest": held, "examples": []}]


def test_a_prompt_is_pushed_and_pulled_by_slot_and_commit(hub: Any) -> None:
    first = push_prompts({SLOT: agl.PromptTemplate(TEXT)}, message="run one")
    second = push_prompts({SLOT: "Plain {text}."})
    assert list(hub.commits) == [NAME]
    assert [c["commit_hash"] for c in hub.commits[NAME]] == [first[SLOT], second[SLOT]]
    assert hub.commits[NAME][0]["description"] == "run one"
    assert hub.private[NAME]
    assert pull_prompts({SLOT: first[SLOT]})[SLOT].format(name="B") == 'Say {"a": 1} to B.'
    assert pull_prompts([SLOT])[SLOT].format() == "Plain {text}."


def test_a_prompt_that_is_there_as_it_is_makes_no_commit(hub: Any) -> None:
    first = push_prompts({SLOT: TEXT})
    assert push_prompts({SLOT: TEXT}) == first
    assert len(hub.commits[NAME]) == 1


def test_what_is_pushed_is_what_langchain_loads(hub: Any) -> None:
    from langchain_core.prompts import ChatPromptTemplate

    push_prompts({SLOT: agl.PromptTemplate(TEXT)})
    prompt = langsmith.Client(auto_batch_tracing=False).pull_prompt(NAME, skip_cache=True)
    assert isinstance(prompt, ChatPromptTemplate)
    (system,) = prompt.format_messages(name="B")
    assert (system.type, system.content) == ("system", 'Say {"a": 1} to B.')


def test_what_langchain_pushes_is_what_is_pulled(hub: Any) -> None:
    from langchain_core.prompts import ChatPromptTemplate, PromptTemplate

    client = langsmith.Client(auto_batch_tracing=False)
    messages = [("human", "{question}"), ("system", TEXT)]
    client.push_prompt(NAME, object=ChatPromptTemplate.from_messages(messages))
    assert pull_prompts([SLOT])[SLOT].format(name="B") == 'Say {"a": 1} to B.'
    client.push_prompt("plain", object=PromptTemplate.from_template("Hello {name}."))
    assert pull_prompts(["plain"])["plain"].format(name="B") == "Hello B."


def test_nothing_that_the_hub_holds_is_made_into_an_object(hub: Any) -> None:
    put(hub, NAME, manifest([message("Human", "No."), message("System", "{{ 6 * 7 }}", "jinja2")]))
    assert pull_prompts([SLOT])[SLOT].engine == "jinja"
    model = manifest([], "ChatOpenAI")
    for held in (model, manifest([model, "text", None]), manifest([message("Human", "Hi.")]), {}):
        put(hub, NAME, held)
        with pytest.raises(agl.ConfigurationError, match="no system message of text"):
            pull_prompts([SLOT])
    put(hub, NAME, manifest([message("System", "{{#each}}", "mustache")]))
    with pytest.raises(agl.ConfigurationError, match="no system message of text"):
        pull_prompts([SLOT])


@pytest.mark.usefixtures("hub")
def test_what_the_hub_refuses_is_told() -> None:
    with pytest.raises(agl.ConfigurationError, match=f"the hub has no prompt {NAME}:latest"):
        pull_prompts([SLOT])
    with pytest.raises(agl.ConfigurationError, match="the hub did not take"):
        push_prompts({SLOT: "Text."}, api_key="another")
    with pytest.raises(agl.ConfigurationError, match="cannot read"):
        pull_prompts([SLOT], api_key="another")


def test_what_cannot_be_said_on_the_hub_is_refused_before_it_is_asked(hub: Any) -> None:
    with pytest.raises(
        agl.ConfigurationError, match=r"^c:d#system is a Jinja template.* nothing was"
    ):
        push_prompts({SLOT: "Text.", "c:d#system": agl.PromptTemplate("{{ a }}", "jinja")})
    with pytest.raises(agl.ConfigurationError, match="would both be called a-b"):
        push_prompts({"a:b": "Text.", "a#b": "Text."})
    assert hub.asked == []


@agl.rollout
def answer(task: Any, prompt: agl.PromptTemplate) -> float:
    return float("kind" in prompt.format())


@agl.algorithm
async def search(session: agl.Session) -> None:
    for text in ("Be brief.", "Be kind."):
        await session.evaluate({"prompt": text}, session.val)
        session.report(agl.Candidate({"prompt": agl.PromptTemplate(text)}))


def fit(seed: str, **place: str) -> agl.TrainResult:
    hub = LangSmithHub(**place)
    trainer = agl.Trainer(search, initial_resources={"prompt": seed}, callbacks=[hub], run="first")
    return trainer.fit(answer, list(range(8)), test_dataset=list(range(8, 16)))


def test_the_callback_pushes_what_is_improved_and_nothing_else(hub: Any) -> None:
    assert fit("Be kind.").verdict != "improved"
    assert hub.commits == {}
    assert fit("Be brief.").verdict == "improved"
    assert pull_prompts(["prompt"])["prompt"].format() == "Be kind."
    assert hub.commits["prompt"][0]["description"] == "agl-adapters run first"


@pytest.mark.usefixtures("hub")
def test_a_hub_that_refuses_ends_no_run(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "agl_adapters"):
        assert fit("Be brief.", api_key="another").verdict == "improved"
    (told,) = [r.getMessage() for r in caplog.records if r.name == "agl_adapters"]
    assert told.startswith("LangSmithHub keeps nothing more of this run: ConfigurationError: the")


def test_names_on_the_hub_are_what_it_takes() -> None:
    assert hub_name("openai_agents:Über Plan#instructions") == "openai_agents-ber-plan-instructions"
