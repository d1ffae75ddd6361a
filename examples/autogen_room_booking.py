"""An AutoGen program that books meeting rooms: one agent gathers the rooms, one decides.

    python examples/autogen_room_booking.py "A room on 2026-03-03, 10:00-11:00, for 5 people."

It needs OPENAI_API_KEY, and takes OPENAI_BASE_URL and OPENAI_MODEL from the environment.
"""

import asyncio
import os
import sys

import rooms
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient

PLANNER_PROMPT = "You gather what is needed to book a meeting room."
DECIDER_PROMPT = "You are a booking assistant."

# AutoGen warns if the service answers with another name than the full one.
MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini-2024-07-18")


def build_team() -> RoundRobinGroupChat:
    """Planner, decider; each speaks once. What the planner's tool finds is what it says."""
    client = OpenAIChatCompletionClient(model=MODEL)
    planner = AssistantAgent(
        "planner", client, tools=[rooms.list_rooms], system_message=PLANNER_PROMPT
    )
    decider = AssistantAgent("decider", client, system_message=DECIDER_PROMPT)
    return RoundRobinGroupChat([planner, decider], max_turns=2)


async def book_room(request: str) -> str:
    """Run a fresh team on one request, for a team keeps what was said; return the last word."""
    result = await build_team().run(task=request)
    return result.messages[-1].to_text()


def main() -> None:
    """Answer one request, from the command line or the first of the test split."""
    request = " ".join(sys.argv[1:]) or rooms.load_tasks("test")[0]["input"]
    print(request)
    print(asyncio.run(book_room(request)))


if __name__ == "__main__":
    main()
