"""Agent Lightning 0.3.0's own APO, in an environment of its own that uv makes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peers.runs import BEAM, Conditions, Outcome, Point

__all__ = ["RELEASE", "environment", "search"]

RELEASE = "agentlightning[apo]==0.3.0"
AS_OF = "2025-12-31"
"""With dependencies of a later day its tracer raises in every rollout."""

ROOT = Path(__file__).parents[2]
LONGEST = 1_200.0
"""Seconds after which a search is given up: five times what one takes."""


def environment(folder: Path) -> Path:
    """Make the environment, if it is not there; return its Python."""
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        uv = shutil.which(
            "uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        )
        if uv is None:
            raise SystemExit("Agent Lightning's environment is made by uv: pip install uv")
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
        install = [uv, "pip", "install", "-q", "--python", python, "--exclude-newer", AS_OF]
        subprocess.run([*install, RELEASE], check=True)
        (folder / "made").touch()
    return python


def search(conditions: Conditions, python: Path) -> Outcome:
    """Run its search: its default process strategy, the published parameters."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        specification = {
            **asdict(conditions),
            "parameters": BEAM,
            "port": _free_port(),
            "log": str(folder / "rollouts"),
            "result": str(folder / "result.json"),
        }
        (folder / "specification.json").write_text(json.dumps(specification))
        paths = (ROOT / "benchmarks", ROOT, ROOT / "core", ROOT / "examples")
        variables = {
            **os.environ,
            "PEERS_SPECIFICATION": str(folder / "specification.json"),
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
        }
        said = _run(python, folder, variables)
        path = folder / "result.json"
        if not path.exists():
            raise RuntimeError(f"Agent Lightning's search ended without a result: {said}")
        return _outcome(json.loads(path.read_text()))


def _run(python: Path, folder: Path, variables: dict[str, str]) -> str:
    """Run it in a folder, where it leaves a log; return what it said, if it failed.

    Raises:
        subprocess.TimeoutExpired: If it stalls, as it does where one of its rollouts is lost.
    """
    with subprocess.Popen(
        [python, "-m", "peers.agent_lightning_search"],
        cwd=folder,
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            return process.communicate(timeout=LONGEST)[1]
        finally:
            # Its runners are processes of their own, which outlive it where it stalls.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _outcome(result: dict[str, Any]) -> Outcome:
    """Make a curve of the validations: a better one changes what it gives back, as it does it."""
    curve: list[Point] = []
    best = float("-inf")
    for point in result.pop("curve"):
        if point["validation"] > best:
            best = point["validation"]
            curve.append(Point(point["rollouts"], point["seconds"], point["prompt"]))
    notes = {"failed_rollouts": result.pop("failed")}
    return Outcome(**result, curve=curve, notes=notes)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
