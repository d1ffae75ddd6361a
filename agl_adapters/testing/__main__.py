"""`python -m agl_adapters.testing`: serve the simulated model in the foreground."""

from __future__ import annotations

import argparse
import sys

from agl_adapters.testing.faults import faults_from_json
from agl_adapters.testing.launch import serve
from agl_adapters.testing.server import SimulatedService
from agl_core.errors import ConfigurationError


def main() -> None:
    """Read the arguments and serve; what cannot work ends with one line on standard error."""
    parser = argparse.ArgumentParser(
        "python -m agl_adapters.testing", description="Serve the simulated OpenAI-compatible model."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free")
    parser.add_argument("--scenario", default="room_booking", help="or echo, or module:attribute")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that a reply takes")
    parser.add_argument("--faults", default="[]", help='as \'[{"kind": "429", "rate": 0.1}]\'')
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    try:
        faults = faults_from_json(chosen.faults)
        if chosen.child:  # on any free port, told to the parent, until the parent closes the pipe
            service = SimulatedService(chosen.scenario, chosen.seed, chosen.latency, faults)
            service.serve(chosen.host, 0, _say, until_stdin_ends=True)
        else:
            serve(
                chosen.host,
                chosen.port,
                chosen.scenario,
                chosen.seed,
                chosen.latency,
                faults,
                lambda url: _say(
                    f"simulated model: OPENAI_BASE_URL={url} OPENAI_API_KEY=simulated"
                ),
            )
    except ConfigurationError as error:
        sys.exit(str(error))


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
