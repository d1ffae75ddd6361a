"""Run unit tests on a function, in a process that `functions.failures` starts.

Standard input has the code and the tests as JSON. Each test is answered by a line of JSON: an empty
text if it passes, else what went wrong.
"""

import json
import os
import resource
import sys
from contextlib import suppress

LIMITS = {
    resource.RLIMIT_CPU: 2,  # seconds
    resource.RLIMIT_AS: 512 * 2**20,  # bytes of memory
    resource.RLIMIT_FSIZE: 2**20,  # bytes in a file, the answer's too
    resource.RLIMIT_NPROC: 0,  # no further processes
    resource.RLIMIT_CORE: 0,
}
CHARACTERS = 300  # of what a test says


def outcome(code: str, test: dict) -> str:
    """Run one test on the last function that the code defines; return what goes wrong."""
    arguments, expected = test["arguments"], test["expected"]
    call = f"with {', '.join(map(repr, arguments))}"
    try:
        names: dict = {}
        exec(code, names)
        function = next(value for value in reversed(names.values()) if callable(value))
        given = function(*arguments)
    except StopIteration:
        return f"{test['about']}: the code defines no function"
    except Exception as error:  # noqa: BLE001 - whatever it raises, the test has failed
        return f"{test['about']}: {call} it raises {error!r}, expected {expected!r}"
    if type(given) is type(expected) and given == expected:
        return ""
    return f"{test['about']}: {call} it gives {given!r}, expected {expected!r}"


def main() -> None:
    """Set the limits, run the tests; what the code itself prints goes nowhere."""
    job = json.load(sys.stdin)
    answers, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115 - open to the end
    for limit, value in LIMITS.items():
        with suppress(ValueError, OSError):  # not every system has every limit
            resource.setrlimit(limit, (value, value))
    for test in job["tests"]:
        print(json.dumps(outcome(job["code"], test)[:CHARACTERS]), file=answers, flush=True)


if __name__ == "__main__":
    main()
