"""`agl report` and `agl ui`, as real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from agl_core.text import printable

AGL = Path(sys.executable).parent / "agl"


def agl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [AGL, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_report_is_written_and_named(hostile_run: Any, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "report.html"
    done = agl("report", hostile_run.name, "--store", hostile_run.path, "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    size = out.stat().st_size / 1e6
    assert done.stdout == f"{out}, {size:.1f} MB, of run {printable(hostile_run.name)}\n"
    assert out.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("report", "r"), "there is no store runs.db; name it with --store"),
        (("ui",), "there is no store runs.db; name it with --store"),
    ],
)
def test_a_store_that_is_not_there_is_one_line(
    arguments: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = agl(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"agl: {says}\n"
    assert list(tmp_path.iterdir()) == []


def test_the_pages_are_there_until_ctrl_c(hostile_run: Any) -> None:
    command = [AGL, "ui", "--store", hostile_run.path, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:")
        assert httpx.get(line.split()[0], trust_env=False).status_code == 200
        # Also with a page that follows a run.
        with httpx.stream("GET", f"{line.split()[0]}events", trust_env=False) as events:
            assert next(events.iter_lines()) == ": hello"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""
        assert process.stdout.read() == "stopped\n"
