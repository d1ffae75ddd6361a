"""A program of somebody else's, as the documentation imports it."""

import json
from pathlib import Path
from typing import Any

from langgraph_room_booking import graph  # pyright: ignore[reportMissingImports]

import agl_adapters as agl

__all__ = ["agent", "graph", "score", "test", "to_input", "train", "val"]


def to_input(task: Any) -> Any:
    return {"messages": [("user", task["question"])]}


def score(task: Any, output: Any) -> float:
    return float(task["answer"] in output["messages"][-1].content)


def _tasks(split: str) -> list[Any]:
    return [json.loads(line) for line in Path(f"{split}.jsonl").read_text().splitlines()]


agent = agl.wrap(graph, input=to_input, reward=score)
train, val, test = (_tasks(split) for split in ("train", "val", "test"))
