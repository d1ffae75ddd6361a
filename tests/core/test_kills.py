"""A run that is killed and resumed ends as one that was not: a sample of the benchmark's points."""

import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "kill_points.py"


def test_a_run_that_is_killed_loses_nothing_and_pays_for_nothing_twice() -> None:
    command = [sys.executable, str(BENCHMARK), "--points", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "points 5, killed 5, different 0, repeated 0"
