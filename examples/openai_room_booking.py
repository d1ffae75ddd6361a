"""A program on the plain openai client that books meeting rooms: one call gathers, one decides.

    python examples/openai_room_booking.py "A room on 2026-03-03, 10:00-11:00, for 5 people."

It needs OPENAI_API_KEY, and takes OPENAI_BASE_URL and OPENAI_MODEL from the environment.
"""

import json
import os
import sys

import rooms
from openai import OpenAI
from openai.types.chat import ChatCompletionFunctionToolParam

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")

LIST_ROOMS: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "list_rooms",
        "description": "List the meeting rooms of a building.",
        "parameters": {
            "type": "object",
            "properties": {
                "day": {
                    "type": "string",
                    "description": "A day such as 2026-03-02, to see what is booked on it.",
                },
                "building": {
                    "type": "string",
                    "description": "Main, North or South; Main if it is left out.",
                },
            },
        },
    },
}

client = OpenAI()


def plan(messages: list) -> list:
    """Let the model look up rooms; return its message and the tool's results."""
    completion = client.chat.completions.create(
        model=MODEL,
        messages=[
            {
                "role": "system",
                "content": "You gather what is needed to book a meeting room.",
            },
            *messages,
        ],
        tools=[LIST_ROOMS],
    )
    message = completion.choices[0].message
    results = [
        {
            "role": "tool",
            "tool_call_id": call.id,
            "content": rooms.list_rooms(**json.loads(call.function.arguments)),
        }
        for call in message.tool_calls or []
        if call.type == "function"
    ]
    return [message.model_dump(exclude_none=True), *results]


def decide(messages: list) -> str:
    """Let the model choose a room from what was gathered."""
    completion = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "system", "content": "You are a booking assistant."}, *messages],
    )
    return completion.choices[0].message.content or ""


def book_room(request: str) -> str:
    """Gather, decide; return the decider's answer."""
    messages = [{"role": "user", "content": request}]
    return decide(messages + plan(messages))


def main() -> None:
    """Answer one request, from the command line or the first of the test split."""
    request = " ".join(sys.argv[1:]) or rooms.load_tasks("test")[0]["input"]
    print(request)
    print(book_room(request))


if __name__ == "__main__":
    main()
