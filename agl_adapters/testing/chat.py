"""The wire format of `POST /v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agl_adapters.testing.calls import Call, Message, Tool, ToolCall
from agl_adapters.testing.wire import Answer, encode, plain_text, words
from agl_core.simulation import SIMULATED

__all__ = ["ChatCompletions"]


class ChatCompletions:
    """Reads chat completion requests and writes completions or chunks; one choice a request."""

    path = "/v1/chat/completions"

    def parse(self, body: Mapping[str, Any]) -> Call:
        """Read a chat completion request."""
        if (body.get("n") or 1) != 1:
            raise ValueError("The simulated model gives one choice: leave out `n`.")
        response_format = body.get("response_format") or {}
        kind = response_format.get("type")
        schema = response_format["json_schema"].get("schema") if kind == "json_schema" else None
        choice = body.get("tool_choice") or "auto"
        return Call(
            api="chat",
            model=body["model"],
            messages=tuple(_message(message) for message in body["messages"]),
            tools=tuple(
                _tool(tool["function"]) for tool in body.get("tools") or () if "function" in tool
            ),
            tool_choice=choice if isinstance(choice, str) else choice["function"]["name"],
            schema={} if kind == "json_object" else schema,
            stream=bool(body.get("stream")),
            include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        )

    def whole(self, call: Call, answer: Answer) -> bytes:
        """A chat completion."""
        message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
        if answer.tool_calls:
            message["content"] = None
            message["tool_calls"] = _tool_calls(answer)
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": _finish(answer),
        }
        return encode(self._completion(call, answer, [choice]))

    def empty(self, call: Call, answer: Answer) -> bytes:
        """A chat completion without choices."""
        return encode(self._completion(call, answer, []))

    def events(self, call: Call, answer: Answer) -> Iterator[bytes]:
        """The chunks of a streamed completion, the usage if it was asked for, and the end mark."""
        base = {**_base(call, answer), "object": "chat.completion.chunk"}

        def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            return _event({**base, "choices": [choice]})

        yield chunk({"role": "assistant", "content": "", "refusal": None})
        for index, call_made in enumerate(_tool_calls(answer)):
            function = call_made["function"]
            start = {**call_made, "function": {"name": function["name"], "arguments": ""}}
            yield chunk({"tool_calls": [{"index": index, **start}]})
            for piece in words(function["arguments"]):
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        for piece in words(answer.text):
            yield chunk({"content": piece})
        yield chunk({}, _finish(answer))
        if call.include_usage:
            yield _event({**base, "choices": [], "usage": _usage(answer)})
        yield b"data: [DONE]\n\n"

    def _completion(self, call: Call, answer: Answer, choices: list[Any]) -> dict[str, Any]:
        base = {**_base(call, answer), "object": "chat.completion"}
        return {**base, "choices": choices, "usage": _usage(answer)}


def _message(message: Mapping[str, Any]) -> Message:
    calls = [made["function"] for made in message.get("tool_calls") or () if "function" in made]
    return Message(
        message["role"],
        plain_text(message.get("content")),
        tuple(ToolCall(function["name"], function["arguments"]) for function in calls),
    )


def _tool(function: Mapping[str, Any]) -> Tool:
    return Tool(
        function["name"], function.get("description") or "", function.get("parameters") or {}
    )


def _base(call: Call, answer: Answer) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{SIMULATED}-{answer.id}",
        "created": answer.created,
        "model": call.model,
        "system_fingerprint": SIMULATED,
    }


def _tool_calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{SIMULATED}_{answer.id[:20]}{index:02}",
            "type": "function",
            "function": {"name": made.name, "arguments": made.arguments},
        }
        for index, made in enumerate(answer.tool_calls)
    ]


def _finish(answer: Answer) -> str:
    return "tool_calls" if answer.tool_calls else "stop"


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _event(value: Any) -> bytes:
    return b"data: " + encode(value) + b"\n\n"
