"""Values made up to fit a JSON schema: tool arguments and structured output."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

__all__ = ["fill"]

MAX_DEPTH = 12


def fill(schema: Mapping[str, Any], text: str, fields: Mapping[str, Any] | None = None) -> Any:
    """A value that fits a JSON schema, the same for the same arguments.

    Every string is `text`, every integer 3, every number 1.5, every boolean true, every array has
    one item; enumerations give their first value and unions their first variant that is not null. A
    property whose name is a key of `fields` takes that value. `minimum` and `maximum` are
    respected, patterns and lengths are not. A recursive schema ends in nulls at depth 12.

    Args:
        schema: The schema, with its `$defs` if it refers to any.
        text: The text of the strings.
        fields: Values by property name, wherever in the value that property is.

    Returns:
        The value, JSON-able.
    """
    definitions = {**schema.get("definitions", {}), **schema.get("$defs", {})}
    return _Filler(text, fields or {}, definitions).value(schema, MAX_DEPTH)


class _Filler:
    def __init__(
        self, text: str, fields: Mapping[str, Any], definitions: Mapping[str, Any]
    ) -> None:
        self.text = text
        self.fields = fields
        self.definitions = definitions

    def value(self, schema: Mapping[str, Any], depth: int) -> Any:
        if depth == 0:
            return None
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[-1]
            return self.value(self.definitions.get(name, {}), depth - 1)
        for union in ("anyOf", "oneOf", "allOf"):
            if union in schema:
                variants = [v for v in schema[union] if v.get("type") != "null"]
                return self.value(variants[0], depth - 1) if variants else None
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        return self.of_type(schema, depth)

    def of_type(self, schema: Mapping[str, Any], depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((k for k in kind if k != "null"), None)
        if kind == "object" or "properties" in schema:
            return {
                name: self.fields[name] if name in self.fields else self.value(inner, depth - 1)
                for name, inner in schema.get("properties", {}).items()
            }
        if kind == "array":
            return [self.value(schema.get("items", {}), depth - 1)]
        if kind in ("integer", "number"):
            value = max(3 if kind == "integer" else 1.5, schema.get("minimum", -inf))
            return min(value, schema.get("maximum", inf))
        if kind == "boolean":
            return True
        return None if kind == "null" else self.text
