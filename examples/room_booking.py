"""A room-booking agent on the plain `openai` client, optimized.

python examples/room_booking.py            # on the simulated model: no key, no network
python examples/room_booking.py --live     # on the real service, with OPENAI_API_KEY
"""

import argparse
import contextlib
import json
import os
from typing import Any

import openai
import rooms
from rooms import grade_booking

import agl_adapters as agl
from agl_adapters.testing import simulated_model

TOOL: Any = {
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


class Chat:
    """A chat with the rooms tool, on the plain client."""

    def __init__(self) -> None:
        self.client = openai.OpenAI()
        self.model = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")

    def chat(self, system: str, user: str) -> str:
        """Answer one message; the tool is called while the model asks for it, at most 5 times."""
        messages: list[Any] = [
            {"role": "system", "content": system},
            {"role": "user", "content": user},
        ]
        for _ in range(5):
            reply = (
                self.client.chat.completions.create(
                    model=self.model, messages=messages, tools=[TOOL]
                )
                .choices[0]
                .message
            )
            if not reply.tool_calls:
                return reply.content or ""
            messages.append(reply.model_dump(exclude_none=True))
            for call in reply.tool_calls:
                if call.type != "function":
                    continue
                found = rooms.list_rooms(**json.loads(call.function.arguments))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": found})
        return ""


def main() -> None:
    """Optimize the agent's prompt and show what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--live", action="store_true", help="use the real service, not simulated")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.live and not os.environ.get("OPENAI_API_KEY"):
        parser.error("--live uses the real service: set OPENAI_API_KEY")
    service = contextlib.nullcontext() if arguments.live else simulated_model(seed=arguments.seed)
    with service:
        print("the real service" if arguments.live else "SIMULATED model: no key, no network")
        optimize(arguments.seed)


def optimize(seed: int) -> agl.TrainResult:
    """Run the search and print its result."""
    llm = Chat()
    my_tasks = rooms.load_tasks("train")
    dataset_val = rooms.load_tasks("val")

    @agl.rollout
    def room_booking_agent(task, prompt_template: agl.PromptTemplate):
        response = llm.chat(system=prompt_template.format(**task), user=task["input"])
        return grade_booking(response, task["expected_room"])  # the reward, 0.0 to 1.0

    trainer = agl.Trainer(
        algorithm=agl.APO(
            model="gpt-4o",
            val_batch_size=10,
            gradient_batch_size=4,
            beam_width=2,
            branch_factor=2,
            beam_rounds=2,
        ),
        n_runners=8,
        initial_resources={"prompt_template": "You are a booking assistant."},
        seed=seed,
    )
    result = trainer.fit(
        agent=room_booking_agent,
        train_dataset=my_tasks,
        val_dataset=dataset_val,
        test_dataset=rooms.load_tasks("test"),
    )
    print(result.report())
    return result


if __name__ == "__main__":
    main()
