"""What the instrumentor has for the client's beta APIs comes when somebody uses it, and then works.

In a process of its own: what has been imported stays so.
"""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, warnings
warnings.simplefilter("ignore")
import openai
from agl_adapters.testing import simulated_model
from agl_core.tracing.tracing import Tracing
from agl_integrations.openai import OpenAIIntegration

WRAPPERS = "opentelemetry.instrumentation.openai.v1.assistant_wrappers"
messages = [{"role": "user", "content": "Hi."}]

with simulated_model("echo"):
    client, tracing = openai.OpenAI(max_retries=0), Tracing()
    with OpenAIIntegration().hooks(tracing):
        with tracing.rollout("rollout") as recording:
            client.chat.completions.create(model="m", messages=messages)
        print(len(recording.spans), "spans")
    print(sorted({WRAPPERS, "openai.types.beta"} & sys.modules.keys()))

    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    print(type(client.beta.assistants.create).__name__, WRAPPERS in sys.modules)
    try:
        client.beta.assistants.create(model="m")
    except openai.NotFoundError:
        print("not found")
    from opentelemetry.instrumentation.openai.v1.assistant_wrappers import assistants, runs

    print(WRAPPERS in sys.modules, assistants, runs)
"""

PRINTED = """\
2 spans
[]
BoundFunctionWrapper False
not found
True {} {}
"""


def test_they_are_imported_when_they_are_used() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == (PRINTED, 0), done.stderr
