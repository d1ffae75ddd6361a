"""Two agents on the plain openai client that send somebody to a report: a team, then a worker.

    python examples/openai_dispatch.py

It needs OPENAI_API_KEY, and takes OPENAI_BASE_URL and OPENAI_MODEL from the environment.
"""

import json
import os
import re
from pathlib import Path

from openai import OpenAI

TASK = Path(__file__).parent / "data" / "dispatch" / "task.json"
MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")

client = OpenAI()


def route(report: str) -> str:
    """Return the team that takes a report."""
    completion = client.chat.completions.create(
        model=MODEL,
        messages=[
            {
                "role": "system",
                "content": "You pick the team that takes a report.\n"
                "End with a line `Team: <its name>`.",
            },
            {"role": "user", "content": report},
        ],
    )
    named = re.findall(r"Team:\W*(\w+)", completion.choices[0].message.content or "")
    return named[-1] if named else ""


def schedule(crew: str) -> str:
    """Return who of a crew makes the visit."""
    completion = client.chat.completions.create(
        model=MODEL,
        messages=[
            {
                "role": "system",
                "content": "You pick the worker who makes a visit.\n"
                "End with a line `Worker: <the name>`.",
            },
            {"role": "user", "content": crew},
        ],
    )
    return completion.choices[0].message.content or ""


def send(task: dict) -> str:
    """Pick a team, then a worker of its crew."""
    return schedule(task["crews"].get(route(task["report"]), "There is nobody to send."))


def main() -> None:
    """Send somebody to one report."""
    task = json.loads(TASK.read_text(encoding="utf-8"))
    print(task["report"])
    print(send(task))


if __name__ == "__main__":
    main()
