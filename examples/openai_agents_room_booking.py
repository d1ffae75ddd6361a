"""An Agents SDK program that books meeting rooms: one agent gathers the rooms, one decides.

    python examples/openai_agents_room_booking.py "A room on 2026-03-03, 10:00-11:00, for 5 people."

It needs OPENAI_API_KEY, and takes OPENAI_BASE_URL and OPENAI_MODEL from the environment. The SDK
uploads traces to OpenAI, also where OPENAI_BASE_URL is another service, unless
OPENAI_AGENTS_DISABLE_TRACING is 1.
"""

import asyncio
import os
import sys

import rooms
from agents import Agent, Runner, function_tool

PLANNER_PROMPT = "You gather what is needed to book a meeting room."
DECIDER_PROMPT = "You are a booking assistant."

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")

planner = Agent(
    name="planner",
    instructions=PLANNER_PROMPT,
    model=MODEL,
    tools=[function_tool(rooms.list_rooms)],
    tool_use_behavior="stop_on_first_tool",
)
decider = Agent(name="decider", instructions=DECIDER_PROMPT, model=MODEL)


async def book_room(request: str) -> str:
    """Gather, decide; return the decider's answer."""
    gathered = await Runner.run(planner, request)
    decided = await Runner.run(decider, gathered.to_input_list())
    return decided.final_output


def main() -> None:
    """Answer one request, from the command line or the first of the test split."""
    request = " ".join(sys.argv[1:]) or rooms.load_tasks("test")[0]["input"]
    print(request)
    print(asyncio.run(book_room(request)))


if __name__ == "__main__":
    main()
