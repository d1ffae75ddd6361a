"""The wire format of `POST /v1/responses`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agl_adapters.testing.calls import Call, Message, Tool, ToolCall
from agl_adapters.testing.wire import Answer, encode, plain_text, words
from agl_core.simulation import SIMULATED

__all__ = ["Responses"]


class Responses:
    """Reads Responses requests and writes responses and their events.

    Nothing is stored: `previous_response_id` and `conversation` are refused, since the reply would
    silently lack what came before.
    """

    path = "/v1/responses"

    def parse(self, body: Mapping[str, Any]) -> Call:
        """Read a Responses request."""
        if body.get("previous_response_id") or body.get("conversation"):
            raise ValueError(
                "The simulated model stores no responses: send the whole conversation in `input`."
            )
        items = body.get("input") or []
        if isinstance(items, str):
            items = [{"role": "user", "content": items}]
        messages = [_message(item) for item in items]
        if body.get("instructions"):
            messages.insert(0, Message("system", body["instructions"]))
        wanted = (body.get("text") or {}).get("format") or {}
        kind = wanted.get("type")
        schema = wanted["schema"] if kind == "json_schema" else None
        choice = body.get("tool_choice") or "auto"
        return Call(
            api="responses",
            model=body["model"],
            messages=tuple(messages),
            tools=tuple(
                Tool(tool["name"], tool.get("description") or "", tool.get("parameters") or {})
                for tool in body.get("tools") or ()
                if tool.get("type") == "function"
            ),
            tool_choice=choice if isinstance(choice, str) else choice.get("name", "required"),
            schema={} if kind == "json_object" else schema,
            stream=bool(body.get("stream")),
        )

    def whole(self, call: Call, answer: Answer) -> bytes:
        """A completed response."""
        return encode(_response(call, answer, _output(answer)))

    def empty(self, call: Call, answer: Answer) -> bytes:
        """A completed response without output."""
        return encode(_response(call, answer, []))

    def events(self, call: Call, answer: Answer) -> Iterator[bytes]:
        """The events of a streamed response, from `response.created` to `response.completed`."""
        output = _output(answer)
        started = {**_response(call, answer, []), "status": "in_progress", "usage": None}
        done = _response(call, answer, output)
        steps = [("response.created", {"response": started})]
        steps += [("response.in_progress", {"response": started})]
        for index, item in enumerate(output):
            steps += _item_steps(index, item)
        steps += [("response.completed", {"response": done})]
        for number, (kind, fields) in enumerate(steps):
            data = encode({"type": kind, "sequence_number": number, **fields})
            yield b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


Step = tuple[str, dict[str, Any]]


def _item_steps(index: int, item: dict[str, Any]) -> Iterator[Step]:
    """The events by which one output item is streamed."""
    at = {"output_index": index, "item_id": item["id"]}
    if item["type"] == "function_call":
        started = {**item, "arguments": "", "status": "in_progress"}
        yield "response.output_item.added", {"output_index": index, "item": started}
        prefix, whole = "response.function_call_arguments", item["arguments"]
        for piece in words(whole):
            yield f"{prefix}.delta", {**at, "delta": piece}
        yield f"{prefix}.done", {**at, "arguments": whole, "name": item["name"]}
    else:
        started = {**item, "content": [], "status": "in_progress"}
        yield "response.output_item.added", {"output_index": index, "item": started}
        at["content_index"] = 0
        (part,) = item["content"]
        yield "response.content_part.added", {**at, "part": {**part, "text": ""}}
        for piece in words(part["text"]):
            yield "response.output_text.delta", {**at, "delta": piece, "logprobs": []}
        yield "response.output_text.done", {**at, "text": part["text"], "logprobs": []}
        yield "response.content_part.done", {**at, "part": part}
    yield "response.output_item.done", {"output_index": index, "item": item}


def _message(item: Mapping[str, Any]) -> Message:
    kind = item.get("type", "message")
    if kind == "message":
        return Message(item["role"], plain_text(item.get("content")))
    if kind == "function_call":
        return Message("assistant", "", (ToolCall(item["name"], item["arguments"]),))
    if kind == "function_call_output":
        return Message("tool", plain_text(item["output"]))
    return Message("assistant", "")  # reasoning and hosted tools: nothing that we could read


def _output(answer: Answer) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = [
        {
            "id": f"fc_{answer.id[:20]}{index:02}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{SIMULATED}_{answer.id[:20]}{index:02}",
            "name": made.name,
            "arguments": made.arguments,
        }
        for index, made in enumerate(answer.tool_calls)
    ]
    if calls:
        return calls
    part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
    identity = {"id": f"msg_{answer.id}", "type": "message", "status": "completed"}
    return [{**identity, "role": "assistant", "content": [part]}]


def _response(call: Call, answer: Answer, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"resp_{SIMULATED}_{answer.id}",
        "object": "response",
        "created_at": answer.created,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {SIMULATED: "1"},
        "model": call.model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "text": {"format": {"type": "text"}},
        "usage": {
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "total_tokens": answer.input_tokens + answer.output_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }
