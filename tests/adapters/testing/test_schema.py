from typing import Any

import pytest
from pydantic import BaseModel

from agl_adapters.testing.schema import fill


class Leaf(BaseModel):
    kind: str
    size: float | None


class Tree(BaseModel):
    name: str
    leaves: list[Leaf]
    parent: "Tree | None"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "text"),
        ({"type": ["null", "integer"]}, 3),
        ({"type": "integer", "minimum": 10}, 10),
        ({"type": "number", "maximum": 1}, 1),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"type": "array", "items": {"type": "string"}}, ["text"]),
        ({"type": "null"}, None),
        ({"properties": {"a": {"type": "string"}, "room": {}}}, {"a": "text", "room": "A1"}),
    ],
)
def test_each_kind(schema: dict[str, Any], value: object) -> None:
    assert fill(schema, "text", {"room": "A1"}) == value


def test_references_and_recursion_end() -> None:
    value = fill(Leaf.model_json_schema(), "text")
    assert Leaf.model_validate(value) == Leaf(kind="text", size=1.5)
    tree = fill(Tree.model_json_schema(), "text")
    assert tree["leaves"] == [{"kind": "text", "size": 1.5}]
    depth = 0
    while tree:
        tree, depth = tree["parent"], depth + 1
    assert 1 < depth < 12
