"""Starting the simulated model: in a process of its own for a block of code, or in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from agl_adapters.testing.faults import Fault, faults_to_json
from agl_adapters.testing.scenario import load_scenario
from agl_core.errors import AglError, ConfigurationError, MissingDependencyError
from agl_core.simulation import SIMULATED

if TYPE_CHECKING:
    from agl_core.rollouts import ModelUsage

__all__ = ["SeenRequest", "SimulatedModel", "serve", "simulated_model"]

HOST = "127.0.0.1"
PROXY_VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
)


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A model request as the server received it.

    Attributes:
        n: Its number since the start or the last reset, from 1.
        api: `chat` or `responses`.
        model: The model that was asked for.
        systems: The texts of its system and developer messages; `instructions` of a Responses call
            first.
        users: The texts of its user messages.
        roles: The roles of all messages, in order.
        tools: The names of the tools offered.
        stream: Whether a stream was asked for.
        headers: The headers, names in lower case, without those that carry secrets.
        raw: The body, byte for byte.
        at: When it was received, in seconds since the epoch.
    """

    n: int
    api: str
    model: str
    systems: Sequence[str]
    users: Sequence[str]
    roles: Sequence[str]
    tools: Sequence[str]
    stream: bool
    headers: Mapping[str, str]
    raw: str
    at: float

    @property
    def system(self) -> str:
        """The system texts as one, separated by a line of three dashes."""
        return "\n---\n".join(self.systems)

    @property
    def body(self) -> dict[str, Any]:
        """The body, parsed."""
        return json.loads(self.raw)


class SimulatedModel:
    """A running server of the simulated model. Thread-safe: every call is one HTTP request.

    Attributes:
        base_url: What an OpenAI client takes as its base URL; it ends in `/v1`.
    """

    def __init__(self, port: int) -> None:
        self.base_url = f"http://{HOST}:{port}/v1"
        self._root = f"http://{HOST}:{port}"
        self._opener = build_opener(ProxyHandler({}))

    def log(self) -> list[SeenRequest]:
        """The model requests since the start or the last reset, in order; the latest 20,000."""
        return [SeenRequest(**entry) for entry in self._ask("/log")]

    def usage(self) -> ModelUsage:
        """The calls answered since the start or the last reset, and their tokens as told to them.

        Whoever made them: so systems that count differently, or not at all, can be compared.
        """
        from agl_core.rollouts import ModelUsage

        return ModelUsage(**self._ask("/usage"))

    def hits(self) -> dict[str, int]:
        """How often each kind of fault has hit since the start or the last reset."""
        return self._ask("/faults")

    def reset(self) -> None:
        """Forget all requests: the log is empty, the same requests get the same replies again."""
        self._ask("/reset", {})

    def configure(
        self,
        *,
        scenario: str | None = None,
        seed: int | None = None,
        latency: float | None = None,
        faults: Sequence[Fault] | None = None,
    ) -> None:
        """Change how the model behaves from now on; what is None stays. The log stays.

        Args:
            scenario: One that is built in, or the one that the server was started with.
            seed: Changes all draws.
            latency: Seconds that every reply takes.
            faults: What goes wrong; an empty sequence ends all faults.

        Raises:
            ConfigurationError: The server knows no such scenario.
        """
        values = {
            "scenario": scenario,
            "seed": seed,
            "latency": latency,
            "faults": None if faults is None else [asdict(fault) for fault in faults],
        }
        self._ask("/configure", {name: v for name, v in values.items() if v is not None})

    def environment(self) -> dict[str, str]:
        """The variables that make an OpenAI client talk to this server instead of the real service.

        Where the environment names a proxy, `NO_PROXY` is widened: no proxy reaches this machine's
        loopback.
        """
        variables = {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": SIMULATED}
        if any(os.environ.get(name) for name in PROXY_VARIABLES):
            direct = ",".join(filter(None, (os.environ.get("NO_PROXY"), HOST)))
            variables |= {"NO_PROXY": direct, "no_proxy": direct}
        return variables

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._root + path, data, {"content-type": "application/json"})
        try:
            with self._opener.open(request, timeout=30) as response:
                return json.load(response)
        except HTTPError as error:
            with error:
                raise ConfigurationError(json.load(error)["error"]["message"]) from None


@contextmanager
def simulated_model(
    scenario: str = "room_booking",
    *,
    seed: int = 0,
    latency: float = 0.0,
    faults: Sequence[Fault] | None = None,
    set_environment: bool = True,
) -> Generator[SimulatedModel]:
    """Run the simulated model for a block of code.

    The server is a process of its own, so that it takes no time from this one's interpreter lock,
    on a free port of the loopback interface. It ends with the block, and also if this process dies.

    Args:
        scenario: `room_booking`, `dispatch`, `parcels`, `tickets`, `handbook`, `functions`,
            `support`, `echo`, or `module:attribute` of your own.
        seed: Changes all draws; equal seeds and requests give equal replies.
        latency: Seconds that every reply takes.
        faults: What goes wrong.
        set_environment: Set `OPENAI_BASE_URL` and `OPENAI_API_KEY` for the block, and put back what
            was there. They are the whole process's: no two such blocks may overlap in threads.

    Yields:
        The handle.

    Raises:
        MissingDependencyError: The extra `simulate` is not installed.
        ConfigurationError: There is no such scenario.
        AglError: The server did not start; what it said is in its standard error.
    """
    _require_server()
    load_scenario(scenario)  # a wrong name is an error here, not in the child
    command = [sys.executable, "-m", "agl_adapters.testing", "--child"]
    command += ["--scenario", scenario, "--seed", str(seed), "--latency", str(latency)]
    command += ["--faults", faults_to_json(faults or ())]
    # In a session of its own: Ctrl-C is for the parent, which may want to finish what is in flight.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            model = SimulatedModel(_announced_port(process))
            with _environment(model.environment() if set_environment else {}):
                yield model
        finally:
            process.kill()


def _announced_port(process: subprocess.Popen[str]) -> int:
    line = process.stdout.readline() if process.stdout else ""
    if not line.strip().isdigit():
        raise AglError(
            "The simulated model did not start; its standard error says why. "
            "Start it by hand to see it: python -m agl_adapters.testing"
        )
    return int(line)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Generator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _require_server() -> None:
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"The simulated model's server needs {' and '.join(missing)}: "
            "pip install 'agl-adapters[simulate]'"
        )


def serve(
    host: str = HOST,
    port: int = 8000,
    scenario: str = "room_booking",
    seed: int = 0,
    latency: float = 0.0,
    faults: Sequence[Fault] | None = None,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Serve the simulated model in this process until it is interrupted.

    Args:
        host: A loopback address; the server has no access control.
        port: The port, 0 for any that is free.
        scenario: As for `simulated_model`.
        seed: As for `simulated_model`.
        latency: As for `simulated_model`.
        faults: As for `simulated_model`.
        ready: Called with the base URL as soon as connections are accepted.

    Raises:
        MissingDependencyError: The extra `simulate` is not installed.
        ConfigurationError: The host is not loopback, the port is taken, or there is no such
            scenario.
    """
    _require_server()
    from agl_adapters.testing.server import SimulatedService

    service = SimulatedService(scenario, seed, latency, faults or ())
    service.serve(host, port, lambda bound: ready and ready(f"http://{host}:{bound}/v1"))
