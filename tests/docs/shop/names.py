"""Names that a page takes for granted: what a reader has of their own."""

import json
from pathlib import Path

import openai


class _Chat:
    def chat(self, system: str, user: str) -> str:
        with openai.OpenAI() as client:
            completion = client.chat.completions.create(
                model="gpt-4o-mini",
                messages=[
                    {"role": "system", "content": system},
                    {"role": "user", "content": user},
                ],
            )
        return completion.choices[0].message.content or ""


def _tasks(split: str) -> list[dict[str, str]]:
    lines = Path(f"{split}.jsonl").read_text().splitlines()
    tasks = [json.loads(line) for line in lines]
    return [{**t, "input": t["question"], "expected_room": t["answer"]} for t in tasks]


def grade_booking(response: str, expected_room: str) -> float:
    return float(expected_room in response)


llm = _Chat()
my_tasks = _tasks("train")
dataset_val = _tasks("val")
