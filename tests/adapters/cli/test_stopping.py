"""What ends `agl optimize` early, for real: Ctrl-C, a full disk, a folder that is read-only."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import agl_adapters as agl

AGL = Path(sys.executable).parent / "agl"

PROGRAM = """
import pathlib, time
import agl_adapters as agl

@agl.rollout
def agent(task, prompt):
    '''Task 5 and later ones wait for a file, in the second candidate.'''
    text = prompt.format()
    if task["n"] >= 5 and "better" in text:
        pathlib.Path(f"{task['n']}.waits").touch()
        while not pathlib.Path("go on").exists():
            time.sleep(0.01)
    good = 0.5 + 0.25 * ("better" in text)
    return agl.Reward(good, feedback=f"{task['n']} " + "word " * task["size"])

@agl.algorithm
async def search(session):
    session.report(session.initial)
    await session.evaluate(session.initial, session.val)
    for word in ("fine", "better"):
        prompts = {"prompt": f"Be {word}."}
        session.report(prompts)
        await session.evaluate(prompts, session.val)
"""

WITHOUT_PRIVILEGE = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # root may then write to what is read-only no more
os.execv(sys.argv[1], sys.argv[1:])
"""
SMALL_DISK = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1_600_000, 1_600_000))
os.execv(sys.argv[1], sys.argv[1:])
"""


class Folder:
    """A folder with a program and tasks, and the command in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "program.py").write_text(PROGRAM)
        agl.save_prompts({"prompt": agl.PromptTemplate("Be.")}, path / "seed.json")

    def start(
        self, *arguments: str, size: int = 0, tasks: int = 12, under: str = ""
    ) -> subprocess.Popen[str]:
        lines = [f'{{"n": {n}, "size": {size}}}\n' for n in range(tasks)]
        (self.path / "tasks.jsonl").write_text("".join(lines))
        command = [
            *([sys.executable, "-c", under] if under else []),
            *(str(AGL), "optimize", "program:agent", "--algorithm", "program:search"),
            *("--prompts", "seed.json", "--train", "tasks.jsonl", "--val", "tasks.jsonl"),
            *("--runners", "3", *arguments),
        ]
        return subprocess.Popen(
            command,
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "COLUMNS": "100"},
        )

    def wait_for(self, process: subprocess.Popen[str], happened: Callable[[], bool]) -> None:
        while not happened():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)

    def waiting(self) -> int:
        return len(list(self.path.glob("*.waits")))

    def rollouts(self) -> int:
        store = agl.SQLiteStore(self.path / "runs.db")
        (run,) = store.runs()
        with store.hold(run.name):  # nobody does any more
            count = len(list(store.rollouts(run.name)))
        store.close()
        return count


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def interrupt(process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> str:
    """Press Ctrl-C; return what is said until it is known that it has come."""
    assert process.stdout is not None
    process.send_signal(number)
    said = ""
    while "interrupted: the run ends when what is in flight is done" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_finishes_what_is_in_flight_and_saves(
    folder: Folder, number: signal.Signals
) -> None:
    process = folder.start()
    folder.wait_for(process, lambda: folder.waiting() == 3)
    interrupt(process, number)
    (folder.path / "go on").touch()
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")
    assert "The run was interrupted: this is the best so far." in output
    assert folder.rollouts() == 12 + 12 + 5 + 3
    assert folder.waiting() == 3
    assert agl.load_prompts(folder.path / "prompts.json")
    assert is_gone(process.pid)
    assert list(folder.path.glob("*.lock")) == []


def test_a_second_one_ends_it_at_once(folder: Folder) -> None:
    process = folder.start()
    folder.wait_for(process, lambda: folder.waiting() == 3)
    interrupt(process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "agl: interrupted\n")
    assert folder.rollouts() == 12 + 12 + 5
    assert is_gone(process.pid)
    assert list(folder.path.glob("*.lock")) == []


def test_a_full_disk_is_one_error_and_the_best_so_far_is_printed(folder: Folder) -> None:
    (folder.path / "go on").touch()
    process = folder.start(size=400, tasks=40, under=SMALL_DISK)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    first, best, report = errors.split("\n", 2)
    assert first.startswith("agl: cannot write to the store runs.db: ")
    assert best == "agl: the best so far:"
    assert report.startswith("run ")
    assert "validation: seed " in report
    assert "Traceback" not in report


def test_a_folder_that_is_read_only_is_one_error_before_anything_is_run(folder: Folder) -> None:
    closed = folder.path / "closed"
    closed.mkdir(mode=0o500)
    for option, message in (
        ("--store=closed/runs.db", "agl: cannot open the store closed/runs.db: "),
        ("--out=closed/best.json", "agl: the best prompts cannot be written to closed/best.json"),
    ):
        process = folder.start(option, under=WITHOUT_PRIVILEGE)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, output) == (1, "")
        assert errors.startswith(message)
        assert len(errors.splitlines()) == 1
        assert folder.waiting() == 0


def test_one_that_goes_away_meanwhile_costs_the_file_and_not_the_result(folder: Folder) -> None:
    (folder.path / "out").mkdir()
    process = folder.start("--out", "out/best.json")
    folder.wait_for(process, lambda: folder.waiting() == 3)
    shutil.rmtree(folder.path / "out")
    (folder.path / "out").touch()
    (folder.path / "go on").touch()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "agl: cannot write out/best.json: " in errors
    assert "agl: the best so far:" in errors
    assert "Be better." in errors
