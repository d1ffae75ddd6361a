"""A coding agent on the Agents SDK: it writes a function, runs unit tests, and repairs it once.

    python examples/openai_agents_functions.py

It needs OPENAI_API_KEY, and takes OPENAI_BASE_URL and OPENAI_MODEL from the environment. The SDK
uploads traces to OpenAI, also where OPENAI_BASE_URL is another service, unless
OPENAI_AGENTS_DISABLE_TRACING is 1.
"""

import asyncio
import os
import re

import functions
from agents import Agent, Runner

CODER_PROMPT = "You write small Python functions.\nAnswer with the function in a code block."

coder = Agent(
    name="coder", instructions=CODER_PROMPT, model=os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
)


def code_in(answer: str) -> str:
    """The last code block of an answer, else all of it."""
    blocks = re.findall(r"```(?:python)?\n(.*?)```", answer, re.DOTALL)
    return blocks[-1] if blocks else answer


async def write(task: dict) -> str:
    """Return the code of a function to a specification."""
    answer = await Runner.run(coder, task["specification"])
    code = code_in(answer.final_output)
    failed = await asyncio.to_thread(functions.failures, code, task["examples"])
    if not failed:
        return code
    report = "\n".join(["These tests fail:", *(f"- {failure}" for failure in failed)])
    again = await Runner.run(coder, [*answer.to_input_list(), {"role": "user", "content": report}])
    return code_in(again.final_output)


async def main() -> None:
    """Write the first function of the test split, and say how many hidden tests it passes."""
    task = functions.load_tasks("test")[0]
    print(task["specification"])
    code = await write(task)
    print(code)
    print(f"hidden tests passed: {await functions.score(task, code):.0%}")


if __name__ == "__main__":
    asyncio.run(main())
