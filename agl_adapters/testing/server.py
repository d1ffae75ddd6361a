"""The HTTP server of the simulated model: its endpoints, the log of what it received, its control.

It is one asyncio process without threads, so its state needs no locks. The model endpoints are
those of the OpenAI API; `GET /log`, `GET /usage`, `POST /reset` and `POST /configure` are ours.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from agl_adapters.loopback import serve_on_loopback
from agl_adapters.testing.calls import Call, Reply, draws
from agl_adapters.testing.chat import ChatCompletions
from agl_adapters.testing.connections import Connections
from agl_adapters.testing.delivery import deliver, deliver_fault, error_response, json_response
from agl_adapters.testing.faults import Fault, FaultKind, Faults
from agl_adapters.testing.judge import judge_reply
from agl_adapters.testing.optimizer import optimizer_reply
from agl_adapters.testing.responses import Responses
from agl_adapters.testing.scenario import Scenario, load_scenario
from agl_adapters.testing.teams import coordination
from agl_adapters.testing.wire import Wire, finish
from agl_core.errors import ConfigurationError

__all__ = ["LOG_LIMIT", "SimulatedService"]

LOG_LIMIT = 20_000
"""The log holds so many requests, the latest: a benchmark sends more than should stay in memory."""

SECRET_HEADERS = frozenset({"authorization", "cookie", "api-key", "x-api-key"})
MODELS = ("gpt-4o", "gpt-4o-mini", "simulated")


class SimulatedService:
    """A scenario behind the OpenAI API.

    The reply to a request depends on the seed, on what the request says (no ids, no headers) and on
    how often the same was answered before. So the order in which different requests arrive changes
    nothing, and a request that met a fault gets, when it is sent again, the reply that it would
    have got at first.

    Args:
        scenario: The name of what the model is like, as for `load_scenario`.
        seed: Changes all draws.
        latency: Seconds that every reply takes.
        faults: What goes wrong.
    """

    def __init__(
        self, scenario: str, seed: int = 0, latency: float = 0.0, faults: Sequence[Fault] = ()
    ) -> None:
        self.connections = Connections()
        self._started_with = scenario
        self._scenario = load_scenario(scenario)
        self._seed = seed
        self._latency = latency
        self._faults = Faults(faults, seed)
        self._log: deque[dict[str, Any]] = deque(maxlen=LOG_LIMIT)
        self._received = 0
        self._answering = 0
        self._tried: Counter[bytes] = Counter()
        self._answered: Counter[bytes] = Counter()
        self._usage: Counter[str] = Counter()
        self._hits: Counter[str] = Counter()

    def application(self) -> Starlette:
        """The ASGI application."""
        chat, responses = ChatCompletions(), Responses()

        async def complete(request: Request) -> Response:
            return await self._answer(request, chat)

        async def respond(request: Request) -> Response:
            return await self._answer(request, responses)

        return Starlette(
            routes=[
                Route(chat.path, complete, methods=["POST"]),
                Route(responses.path, respond, methods=["POST"]),
                Route("/v1/models", _list_models),
                Route("/v1/models/{id:path}", _get_model),
                Route("/log", self._get_log),
                Route("/usage", self._get_usage),
                Route("/faults", self._get_faults),
                Route("/reset", self._post_reset, methods=["POST"]),
                Route("/configure", self._post_configure, methods=["POST"]),
            ]
        )

    def serve(
        self,
        host: str,
        port: int,
        ready: Callable[[int], object],
        *,
        until_stdin_ends: bool = False,
    ) -> None:
        """Serve until interrupted; see `serve_on_loopback`."""
        serve_on_loopback(
            self.application(),
            host,
            port,
            ready,
            protocol=self.connections.protocol(),
            until_stdin_ends=until_stdin_ends,
        )

    async def _answer(self, request: Request, wire: Wire) -> Response:
        try:
            raw = await request.body()
        except ClientDisconnect:
            return error_response(400, "the client has gone")
        try:
            call = wire.parse(json.loads(raw))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return error_response(400, f"the request cannot be read: {error!r}")
        self._record(call, raw, request)
        digest = call.digest()
        texts = [message.text for message in call.messages]
        fault = self._faults.hit(digest, self._tried[digest], texts, self._answering)
        self._tried[digest] += 1
        if fault is not None:
            self._hits[fault.kind] += 1
        if fault is not None and fault.kind != FaultKind.SLOW:
            await asyncio.sleep(self._latency)
            return deliver_fault(fault, call, wire, request, self.connections)
        occurrence = self._answered[digest]
        self._answered[digest] += 1
        rng = draws(self._seed, digest, occurrence)
        identity = rng.randbytes(12).hex()
        reply = self._reply(call, rng)
        if delay := self._latency + reply.delay:
            self._answering += 1
            await asyncio.sleep(delay)
            self._answering -= 1
        if reply.status != 200:
            return error_response(reply.status, reply.text)
        finished = finish(call, reply, identity, int(time.time()))
        self._usage.update(
            model_calls=1,
            input_tokens=finished.input_tokens,
            output_tokens=finished.output_tokens,
        )
        return deliver(call, finished, wire, fault)

    def _reply(self, call: Call, rng: random.Random) -> Reply:
        scenario: Scenario = self._scenario
        return (
            coordination(call)
            or judge_reply(call, scenario, rng)
            or optimizer_reply(call, scenario, rng)
            or scenario.reply(call, rng)
        )

    def _record(self, call: Call, raw: bytes, request: Request) -> None:
        """Keep what was received, without the headers that carry secrets."""
        self._received += 1
        headers = request.headers.items()
        self._log.append(
            {
                "n": self._received,
                "api": call.api,
                "model": call.model,
                "systems": call.systems,
                "users": call.users,
                "roles": [message.role for message in call.messages],
                "tools": [tool.name for tool in call.tools],
                "stream": call.stream,
                "headers": {name: text for name, text in headers if name not in SECRET_HEADERS},
                "raw": raw.decode("utf-8", "replace"),
                "at": time.time(),
            }
        )

    async def _get_log(self, _: Request) -> Response:
        return json_response(list(self._log))

    async def _get_usage(self, _: Request) -> Response:
        return json_response(dict(self._usage))

    async def _get_faults(self, _: Request) -> Response:
        return json_response(dict(self._hits))

    async def _post_reset(self, _: Request) -> Response:
        """Forget all requests, so that the same ones get the same replies again."""
        self._log.clear()
        self._received = 0
        self._tried.clear()
        self._answered.clear()
        self._usage.clear()
        self._hits.clear()
        self._faults = Faults(self._faults.faults, self._seed)
        return json_response({})

    async def _post_configure(self, request: Request) -> Response:
        """Change `scenario`, `seed`, `latency` or `faults`; what is absent stays.

        A request imports nothing: the scenarios are the built-in ones and that of the start.
        """
        try:
            self._configure(**await request.json())
        except (ConfigurationError, TypeError, ValueError) as error:
            return error_response(400, str(error))
        return json_response({})

    def _configure(
        self,
        *,
        scenario: str | None = None,
        seed: int | None = None,
        latency: float | None = None,
        faults: Iterable[dict[str, Any]] | None = None,
    ) -> None:
        if scenario is not None:
            if ":" in scenario and scenario != self._started_with:
                raise ConfigurationError(
                    f"The server was not started with {scenario!r}: a scenario of your own is "
                    "named when the server is started."
                )
            self._scenario = load_scenario(scenario)
        chosen = self._faults.faults if faults is None else [Fault(**fault) for fault in faults]
        self._seed = self._seed if seed is None else seed
        self._latency = self._latency if latency is None else latency
        self._faults = Faults(chosen, self._seed)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "simulated"}


async def _list_models(_: Request) -> Response:
    return json_response({"object": "list", "data": [_model(name) for name in MODELS]})


async def _get_model(request: Request) -> Response:
    """Every model exists."""
    return json_response(_model(request.path_params["id"]))
