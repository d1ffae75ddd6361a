"""HTTP responses of the simulated model: whole, streamed, or spoiled by a fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from agl_adapters.testing.calls import Call, Reply
from agl_adapters.testing.connections import Connections
from agl_adapters.testing.faults import Fault, FaultKind
from agl_adapters.testing.wire import Answer, Wire, encode, finish

__all__ = ["HEADERS", "deliver", "deliver_fault", "error_response", "json_response"]

HEADERS = {"x-simulated": "1"}
"""On every response: what comes from here must not pass for a real model's."""

SLOW_PIECES = 20
MIDWAY = 0.02  # so that the half is on its way when the connection is reset
SPOILING = frozenset(
    {FaultKind.TRUNCATED, FaultKind.RESET_MIDWAY, FaultKind.INVALID_JSON, FaultKind.EMPTY}
)
ERROR_TYPES = {401: "invalid_request_error", 429: "rate_limit_error"}
ERROR_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
SPOILED = Reply("This reply is spoiled by a simulated fault.")


def json_response(value: object, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(encode(value), status, HEADERS, "application/json")


def error_response(
    status: int, message: str, headers: Mapping[str, str] | None = None, code: str | None = None
) -> Response:
    """An error in the form that the API gives it."""
    kind = ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    code = code or ERROR_CODES.get(status)
    error = {"message": f"simulated: {message}", "type": kind, "param": None, "code": code}
    body = encode({"error": error})
    return Response(body, status, {**HEADERS, **(headers or {})}, "application/json")


def deliver(call: Call, answer: Answer, wire: Wire, slow: Fault | None = None) -> Response:
    """The answer, streamed if that was asked for, dripping if a fault says so."""
    if slow is not None:
        body = b"".join(wire.events(call, answer)) if call.stream else wire.whole(call, answer)
        return _pieces(_drip(body, slow.seconds), call)
    if call.stream:
        return _pieces(_each(wire.events(call, answer)), call)
    return Response(wire.whole(call, answer), 200, HEADERS, "application/json")


def deliver_fault(
    fault: Fault, call: Call, wire: Wire, request: Request, connections: Connections
) -> Response:
    """What the fault sends instead of an answer; it may cut the connection."""
    if fault.kind == FaultKind.RESET:
        connections.reset(request)
        return Response()  # goes nowhere
    if fault.kind in SPOILING:
        return _spoiled(fault, call, wire, request, connections)
    if fault.kind == FaultKind.QUOTA:
        message = "You exceeded your current quota, please check your plan and billing details."
        return error_response(429, message, code="insufficient_quota")
    retry = fault.kind == FaultKind.RATE_LIMIT_RETRY_AFTER
    headers = {"retry-after": f"{fault.seconds:g}"} if retry else {}
    return error_response(int(fault.kind[:3]), "A fault of the service.", headers)


def _spoiled(
    fault: Fault, call: Call, wire: Wire, request: Request, connections: Connections
) -> Response:
    answer = finish(call, SPOILED, "0" * 24, 0)
    whole = wire.whole(call, answer)
    half = whole[: len(whole) // 2]
    if fault.kind in (FaultKind.TRUNCATED, FaultKind.RESET_MIDWAY):

        async def cut() -> AsyncIterator[bytes]:
            yield b"data: " + half if call.stream else half
            if fault.kind == FaultKind.TRUNCATED:
                connections.close(request)
            else:
                await asyncio.sleep(MIDWAY)
                connections.reset(request)

        return _pieces(cut(), call)
    body = wire.empty(call, answer) if fault.kind == FaultKind.EMPTY else half
    if call.stream:
        return _pieces(_each([b"data: " + body + b"\n\n"]), call)
    return Response(body, 200, HEADERS, "application/json")


def _pieces(pieces: AsyncIterator[bytes], call: Call) -> Response:
    kind = "text/event-stream" if call.stream else "application/json"
    return StreamingResponse(pieces, 200, HEADERS, kind)


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _drip(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    size = -(-len(body) // SLOW_PIECES)
    for start in range(0, len(body), size):
        await asyncio.sleep(seconds / SLOW_PIECES)
        yield body[start : start + size]
