"""The tasks of the coding example, its unit tests in a process of their own, the score."""

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

DATA = Path(__file__).parent / "data" / "functions"
CHILD = Path(__file__).parent / "functions_child.py"
SECONDS = 10


def failures(code: str, tests: list[dict]) -> list[str]:
    """Run unit tests on a function; return what each that fails has to say.

    The function runs in a fresh Python process without any of this one's environment, in an empty
    folder, with little time and memory. That holds up accidents. It is no wall against code that
    means harm or fakes its results: for that, use a container.
    """
    job = json.dumps({"code": code, "tests": tests})
    with TemporaryDirectory() as folder, Path(folder, "out").open("w+", encoding="utf-8") as out:
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [sys.executable, "-I", "-S", CHILD],
                input=job,
                stdout=out,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env={},
                text=True,
                timeout=SECONDS,
                check=False,
            )
        out.seek(0)
        said = out.read().splitlines()
    told = [f"{test['about']}: was not reached" for test in tests]
    told[: len(said)] = [json.loads(line) for line in said[: len(tests)]]
    return [line for line in told if line]


async def score(task: dict, code: str) -> float:
    """The share of the hidden tests that the function passes."""
    failed = await asyncio.to_thread(failures, code, task["tests"])
    return 1 - len(failed) / len(task["tests"])


def load_tasks(split: str) -> list[dict]:
    """The tasks of a split: `train`, `val` or `test`."""
    lines = (DATA / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
