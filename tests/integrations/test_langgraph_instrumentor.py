"""LangChain's model calls beside an instrumentor of the client that LangChain uses.

In a process of its own: the instrumentor cannot be removed.
"""

import subprocess
import sys

INSTRUMENTED = """
import asyncio, warnings
warnings.simplefilter("ignore")
import openai
from agl_adapters.testing import simulated_model
from agl_core.prompts.binding import Binding, bound
from agl_core.tracing.tracing import Tracing
from agl_integrations.langgraph import LangGraphIntegration
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI
from opentelemetry.instrumentation.openai import OpenAIInstrumentor

tracing = Tracing()
OpenAIInstrumentor().instrument(tracer_provider=tracing.provider)
raw_messages = [{"role": "user", "content": "raw"}]


def run(program):
    with tracing.rollout("rollout") as recording, bound(Binding({})):
        result = program()
        if asyncio.iscoroutine(result):
            loop.run_until_complete(result)
    names = {span.span_id: span.name for span in recording.spans}
    print(*(f"{names.get(s.parent_id)}>{s.name}" for s in recording.spans[1:]))


async def astream():
    async for _ in model.astream("Hi."):
        pass


def between():
    for _ in model.stream("Hi."):
        client.chat.completions.create(model="m", messages=raw_messages)
        break


with simulated_model("echo"), LangGraphIntegration().hooks(tracing):
    loop = asyncio.new_event_loop()
    model = ChatOpenAI(model="gpt")
    client, aclient = openai.OpenAI(), openai.AsyncOpenAI()
    responses = ChatOpenAI(model="gpt", use_responses_api=True)
    run(lambda: model.invoke("Hi."))
    run(lambda: list(model.stream("Hi.")))
    run(lambda: model.ainvoke("Hi."))
    run(astream)
    run(lambda: responses.invoke("Hi."))
    run(lambda: list(responses.stream("Hi.")))
    run(lambda: model.stream_events("Hi.", version="v3").output)
    run(between)
    run(lambda: RunnableLambda(
        lambda _: client.chat.completions.create(model="m", messages=raw_messages)
    ).with_config(run_name="raw").invoke(1))
    async def raw(_):
        return await aclient.chat.completions.create(model="m", messages=raw_messages)
    run(lambda: RunnableLambda(raw).ainvoke(1))
    with bound(Binding({})):
        model.invoke("Hi.")
"""


def test_the_client_s_instrumentor_records_what_langchain_does_not() -> None:
    result = subprocess.run(
        [sys.executable, "-c", INSTRUMENTED], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        *["rollout>chat gpt"] * 7,
        "rollout>chat gpt rollout>openai.chat",
        "rollout>chain raw chain raw>openai.chat",
        "rollout>chain raw chain raw>openai.chat",
    ]
