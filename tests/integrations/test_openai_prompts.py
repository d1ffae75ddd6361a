"""Programs on the plain client as people write them: slots, prompts, spans and the wire."""

import asyncio
import inspect
import json
import runpy
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import openai
import pytest
from openai._base_client import AsyncAPIClient, SyncAPIClient
from openai.resources.chat.completions import AsyncCompletions, Completions
from openai.resources.responses import AsyncResponses, Responses
from pydantic import BaseModel

import agl_adapters as agl
from agl_adapters.injection import model_call
from agl_adapters.testing import SimulatedModel
from agl_core.errors import RolloutError, UnsupportedVersionError
from agl_core.prompts.binding import Binding, bound
from agl_core.prompts.templates import PromptTemplate
from agl_core.spans import genai
from agl_core.spans.model_calls import model_calls
from agl_integrations.openai import OpenAIIntegration

pytest_plugins = ["agl_adapters.testing.fixtures"]

MODEL = "gpt-4o-mini"
HERE = __name__
USER: Any = {"role": "user", "content": "Where?"}


class Answer(BaseModel):
    answer: str


def system(text: str) -> Any:
    return [{"role": "system", "content": text}, USER]


# ---------------------------------------------------------------------------------------- programs


def chat(client: openai.OpenAI) -> None:
    client.chat.completions.create(model=MODEL, messages=system("You chat."))


def chat_streamed(client: openai.OpenAI) -> None:
    list(client.chat.completions.create(model=MODEL, messages=system("You chat."), stream=True))


def chat_managed(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model=MODEL, messages=system("You chat.")) as stream:
        stream.until_done()


def chat_parsed(client: openai.OpenAI) -> None:
    client.chat.completions.parse(model=MODEL, messages=system("You chat."), response_format=Answer)


def chat_raw(client: openai.OpenAI) -> None:
    client.chat.completions.with_raw_response.create(model=MODEL, messages=system("You chat."))


def chat_unread(client: openai.OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(
        model=MODEL, messages=system("You chat.")
    ) as response:
        list(response.iter_lines())


def chat_beta(client: openai.OpenAI) -> None:
    client.beta.chat.completions.create(model=MODEL, messages=system("You chat."))


def chat_parts(client: openai.OpenAI) -> None:
    content = [{"type": "text", "text": "You chat."}]
    messages: Any = [{"role": "developer", "content": content}, USER]
    client.chat.completions.create(model=MODEL, messages=messages)


def chat_once_readable(client: openai.OpenAI) -> None:
    client.chat.completions.create(model=MODEL, messages=iter(system("You chat.")))


def respond(client: openai.OpenAI) -> None:
    client.responses.create(model=MODEL, instructions="You chat.", input="Where?")


def respond_to_items(client: openai.OpenAI) -> None:
    client.responses.create(model=MODEL, input=system("You chat."))


def respond_streamed(client: openai.OpenAI) -> None:
    list(client.responses.create(model=MODEL, instructions="You chat.", input="A.", stream=True))


def respond_managed(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, instructions="You chat.", input="A.") as stream:
        stream.until_done()


def respond_parsed(client: openai.OpenAI) -> None:
    client.responses.parse(model=MODEL, input=system("You chat."), text_format=Answer)


def respond_raw(client: openai.OpenAI) -> None:
    client.responses.with_raw_response.create(model=MODEL, instructions="You chat.", input="A.")


SYNC = [
    *(chat, chat_streamed, chat_managed, chat_parsed, chat_raw, chat_unread, chat_beta),
    *(chat_parts, chat_once_readable),
    *(respond, respond_to_items, respond_streamed, respond_managed, respond_parsed, respond_raw),
]


async def achat(client: openai.AsyncOpenAI) -> None:
    await client.chat.completions.create(model=MODEL, messages=system("You chat."))


async def achat_as_task(client: openai.AsyncOpenAI) -> None:
    call = client.chat.completions.create(model=MODEL, messages=system("You chat."))
    await asyncio.create_task(call)


async def achat_streamed(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=MODEL, messages=system("You chat."), stream=True
    )
    [piece async for piece in stream]


async def achat_managed(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model=MODEL, messages=system("You chat.")) as stream:
        await stream.until_done()


async def achat_parsed(client: openai.AsyncOpenAI) -> None:
    await client.chat.completions.parse(
        model=MODEL, messages=system("You chat."), response_format=Answer
    )


async def achat_raw(client: openai.AsyncOpenAI) -> None:
    await client.chat.completions.with_raw_response.create(
        model=MODEL, messages=system("You chat.")
    )


async def achat_unread(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.with_streaming_response.create(
        model=MODEL, messages=system("You chat.")
    ) as response:
        [line async for line in response.iter_lines()]


async def arespond(client: openai.AsyncOpenAI) -> None:
    await client.responses.create(model=MODEL, instructions="You chat.", input="Where?")


async def arespond_managed(client: openai.AsyncOpenAI) -> None:
    async with client.responses.stream(model=MODEL, instructions="You chat.", input="A.") as stream:
        await stream.until_done()


async def arespond_parsed(client: openai.AsyncOpenAI) -> None:
    await client.responses.parse(model=MODEL, input=system("You chat."), text_format=Answer)


ASYNC = [
    *(achat, achat_as_task, achat_streamed, achat_managed, achat_parsed, achat_raw, achat_unread),
    *(arespond, arespond_managed, arespond_parsed),
]


# ---------------------------------------------------------------------------------------- fixtures


@pytest.fixture(autouse=True)
def model(simulated_model: SimulatedModel) -> SimulatedModel:
    return simulated_model


@pytest.fixture
def client(model: SimulatedModel) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(model: SimulatedModel) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(max_retries=0) as client:
        yield client


@pytest.fixture
def hooks(rollouts: Any) -> Iterator[None]:
    with OpenAIIntegration().hooks(rollouts.tracing):
        yield


def slot(function: Any, role: str = "system") -> str:
    return f"openai:{HERE}.{function.__name__}#{role}"


def check_eight(rollouts: Any, model: SimulatedModel, name: str) -> None:
    """Each rollout sent its own prompt, in one call, and says so in its one span."""
    numbers = range(8)
    prompts = [f"NEW {name} {number}." for number in numbers]
    assert sorted(request.system for request in model.log()) == prompts
    recordings = {r.span.name: r for r in rollouts.recordings[-8:]}
    for number in numbers:
        root, call = recordings[f"rollout {number}"].spans
        assert call.parent_id == root.span_id
        assert model_calls([root, call]) == [call]
        assert genai.slot(call) == name
        assert genai.input_messages(call)[0]["content"] == prompts[number]


# ------------------------------------------------------------------------------------------- tests


@pytest.mark.parametrize("program", SYNC, ids=lambda program: program.__name__)
def test_eight_rollouts_in_threads_have_each_its_prompt(
    program: Callable[[openai.OpenAI], None],
    client: openai.OpenAI,
    model: SimulatedModel,
    rollouts: Any,
    hooks: None,
) -> None:
    own = rollouts.discover(lambda _: program(client))
    assert own == {slot(program): "You chat."}
    model.reset()
    rollouts.eight(lambda _: program(client), own)
    check_eight(rollouts, model, slot(program))


@pytest.mark.parametrize("program", ASYNC, ids=lambda program: program.__name__)
async def test_eight_rollouts_on_a_loop_have_each_its_prompt(
    program: Callable[[openai.AsyncOpenAI], Awaitable[None]],
    async_client: openai.AsyncOpenAI,
    model: SimulatedModel,
    rollouts: Any,
    hooks: None,
) -> None:
    own = await rollouts.discover_async(lambda _: program(async_client))
    assert own == {slot(program): "You chat."}
    model.reset()
    await rollouts.eight_async(lambda _: program(async_client), own)
    check_eight(rollouts, model, slot(program))


async def test_azure_s_clients_are_covered(
    model: SimulatedModel, rollouts: Any, hooks: None
) -> None:
    settings: Any = {
        "azure_endpoint": model.base_url.removesuffix("/v1"),
        "api_version": "1",
        "api_key": "none",
        "base_url": None,
    }
    sent: list[Any] = []

    class Seen(Exception):
        pass

    def seen(request: Any) -> Any:
        sent.append((str(request.url), json.loads(request.content)["messages"][0]["content"]))
        raise Seen

    async def aseen(request: Any) -> Any:
        seen(request)

    binding = Binding({slot(chat): PromptTemplate("A."), slot(achat): PromptTemplate("B.")})
    with openai.AzureOpenAI(max_retries=0, **settings) as client:
        client._client.event_hooks = {"request": [seen]}
        with pytest.raises(Seen):
            rollouts.run(lambda _: chat(client), binding)
    async with openai.AsyncAzureOpenAI(max_retries=0, **settings) as async_client:
        async_client._client.event_hooks = {"request": [aseen]}
        with pytest.raises(Seen):
            await rollouts.run_async(lambda _: achat(async_client), binding)
    assert [text for _, text in sent] == ["A.", "B."]
    assert all(f"/deployments/{MODEL}/chat/completions" in url for url, _ in sent)


def test_several_system_texts_are_slots_of_their_own_and_the_programs_objects_stay(
    client: openai.OpenAI, model: SimulatedModel, rollouts: Any, hooks: None
) -> None:
    parts = [{"type": "text", "text": "Third."}, {"type": "text", "text": ""}]
    messages: Any = [
        {"role": "system", "content": "First."},
        USER,
        {"role": "developer", "content": "Second."},
        {"role": "system", "content": parts},
    ]
    before = json.dumps(messages)

    def ask(_: int) -> None:
        client.chat.completions.create(model=MODEL, messages=messages)

    def respond(_: int) -> None:
        client.responses.create(model=MODEL, instructions="Zeroth.", input=messages[:3])

    base = f"openai:{HERE}.{test_several_system_texts_are_slots_of_their_own_and_the_programs_objects_stay.__name__}"  # noqa: E501
    own = rollouts.discover(ask)
    assert own == {
        f"{base}.ask#system": "First.",
        f"{base}.ask#system.2": "Second.",
        f"{base}.ask#system.3": "Third.",
    }
    assert rollouts.discover(respond) == {
        f"{base}.respond#system": "Zeroth.",
        f"{base}.respond#system.2": "First.",
        f"{base}.respond#system.3": "Second.",
    }
    model.reset()
    rollouts.run(ask, Binding({f"{base}.ask#system.2": PromptTemplate("New.")}))
    (request,) = model.log()
    assert request.systems[:2] == ["First.", "New."]
    assert json.dumps(messages) == before


def test_call_sites_in_one_function_are_told_apart(
    client: openai.OpenAI, rollouts: Any, hooks: None
) -> None:
    completions = client.chat.completions
    ask = partial(completions.create, model=MODEL)

    def program(number: int) -> None:
        if number:
            completions.create(model=MODEL, messages=system("One."))
        completions.create(model=MODEL, messages=system("Two."))
        [completions.create(model=MODEL, messages=system("Three.")) for _ in range(2)]
        with (
            completions.stream(model=MODEL, messages=system("Four.")) as one,
            client.responses.stream(model=MODEL, instructions="Five.", input="A.") as two,
        ):
            one.until_done()
            two.until_done()
        ask(messages=system("Six."))

    name = test_call_sites_in_one_function_are_told_apart.__name__
    base = f"openai:{HERE}.{name}.program"
    later = {
        f"{base}.2#system": "Two.",
        f"{base}.3#system": "Three.",
        f"{base}.4#system": "Four.",
        f"{base}.5#system": "Five.",
        f"{base}.ask#system": "Six.",
    }
    assert rollouts.discover(program) == later
    binding = Binding({})
    rollouts.run(program, binding, 1)
    assert {s: use.original for s, use in binding.slots.items()} == {
        f"{base}#system": "One.",
        **later,
    }
    assert [use.calls for use in binding.slots.values()] == [1, 1, 2, 1, 1, 1]


def check_spans(rollouts: Any, own: dict[str, str], calls: int) -> None:
    """Each call of the last rollout is one span, with its slot and, unless it is a stream, all."""
    root, *spans = rollouts.recordings[-1].spans
    assert len(model_calls([root, *spans])) == len(spans) == calls
    assert {genai.slot(call) for call in spans} == own.keys()
    for call in spans:
        assert genai.input_messages(call)[0]["content"] == "You chat."
        if not call.attributes.get("gen_ai.request.stream"):
            assert genai.output_messages(call)[0]["content"] == "ECHO[You chat.]"
            assert min(genai.usage(call)[:2]) > 0


async def test_methods_that_the_program_had_before_the_hooks_are_covered(
    client: openai.OpenAI,
    async_client: openai.AsyncOpenAI,
    model: SimulatedModel,
    rollouts: Any,
) -> None:
    ask = client.chat.completions.create
    aask = partial(async_client.responses.create, model=MODEL)
    chat_raw(client)
    await achat_raw(async_client)
    model.reset()

    def program(_: int) -> None:
        ask(model=MODEL, messages=system("You chat."))
        list(ask(model=MODEL, messages=system("You chat."), stream=True))
        chat_raw(client)

    async def async_program(_: int) -> None:
        await aask(instructions="You chat.", input="A.")
        await achat_raw(async_client)

    # Twice: the first hooks leave behind methods of theirs in what the client keeps.
    for _ in range(2):
        with OpenAIIntegration().hooks(rollouts.tracing):
            check_spans(rollouts, rollouts.discover(program), 3)
            check_spans(rollouts, await rollouts.discover_async(async_program), 2)
            model.reset()
            rollouts.eight(program, rollouts.discover(program))
            assert len({request.system for request in model.log()}) > 8
        chat_raw(client)


def test_a_call_that_a_framework_covers_is_left_alone(
    client: openai.OpenAI, model: SimulatedModel, rollouts: Any, hooks: None
) -> None:
    def program(_: int) -> None:
        with model_call():
            chat(client)

    binding = Binding({slot(chat): PromptTemplate("New.")})
    rollouts.run(program, binding)
    assert not binding.slots
    assert [request.system for request in model.log()] == ["You chat."]


async def test_outside_of_rollouts_the_wire_and_the_classes_are_as_they_were(
    client: openai.OpenAI, async_client: openai.AsyncOpenAI, model: SimulatedModel, rollouts: Any
) -> None:
    async def everything() -> list[str]:
        model.reset()
        for program in SYNC:
            program(client)
        for async_program in ASYNC:
            await async_program(async_client)
        return [request.raw for request in model.log()]

    owners = (
        *(Completions, AsyncCompletions, Responses, AsyncResponses),
        *(SyncAPIClient, AsyncAPIClient),
    )
    found = [dict(vars(owner)) for owner in owners]
    before = await everything()
    with OpenAIIntegration().hooks(rollouts.tracing):
        assert await everything() == before
        with bound(Binding({})):
            assert await everything() == before
        assert inspect.iscoroutinefunction(AsyncCompletions.parse)
    assert [dict(vars(owner)) for owner in owners] == found
    with bound(Binding({slot(chat): PromptTemplate("New.")})):
        assert await everything() == before


PROGRAM = """
import openai

def answer():
    openai.OpenAI().chat.completions.create(
        model="m", messages=[{"role": "system", "content": "You chat."}]
    )

if __name__ == "__main__":
    answer()
"""


def test_a_program_has_the_same_slots_run_and_imported(
    rollouts: Any, hooks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "my_app.py"
    program.write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path)
    for run in (
        lambda _: import_module("my_app").answer(),
        lambda _: runpy.run_path(str(program), run_name="__main__"),
        lambda _: runpy.run_module("my_app", run_name="__main__", alter_sys=True),
    ):
        assert rollouts.discover(run) == {"openai:my_app.answer#system": "You chat."}
        sys.modules.pop("my_app", None)


def test_a_rollout_function_sends_the_prompt_that_it_is_handed(
    client: openai.OpenAI, model: SimulatedModel
) -> None:
    @agl.rollout
    def agent(task: Any, prompt_template: Any) -> float:
        client.chat.completions.create(model=MODEL, messages=system(prompt_template.format()))
        return 1.0

    @agl.rollout
    def deaf(task: Any, prompt_template: Any) -> float:
        chat(client)
        return 1.0

    def fit(target: Any) -> Any:
        trainer = agl.Trainer(
            algorithm=agl.Baseline(), initial_resources={"prompt_template": "You plan."}
        )
        return trainer.fit(target, [{"id": 1}], [{"id": 2}])

    fit(agent)
    assert {request.system for request in model.log()} == {"You plan."}
    with pytest.raises(RolloutError, match="no rollout read a prompt"):
        fit(deaf)


def test_a_client_that_is_not_as_expected_is_refused_by_its_version(
    rollouts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(SyncAPIClient, "request")
    with (
        pytest.raises(UnsupportedVersionError, match=r"openai \d.*SyncAPIClient\.request.*>=3\.0"),
        OpenAIIntegration().hooks(rollouts.tracing),
    ):
        pass


def test_the_prompt_of_a_judge_is_no_slot(simulated_model: SimulatedModel) -> None:
    client = openai.OpenAI()

    def ask(system: str, user: str) -> str:
        messages: Any = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        return (
            client.chat.completions.create(model="m", messages=messages).choices[0].message.content
            or ""
        )

    def program(question: str) -> str:
        return ask("You answer.", question)

    def judge(task: Any, output: str) -> None:
        agl.emit_reward(float("You judge." in ask("You judge.", output)))

    found: dict[str, str] = {}

    @agl.algorithm
    async def look(session: agl.Session) -> None:
        found.update({slot: prompt.raw for slot, prompt in session.initial.items()})
        assert (await session.evaluate(session.initial, session.val)).score == 1.0

    agl.Trainer(look).fit(agl.wrap(program, reward=judge), ["Hi."])
    assert list(found.values()) == ["You answer."]
