"""The matrix: how many programs of each integration have each property, as a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Literal

import pytest

from agl_adapters.testing.conformance.suite import IntegrationConformance, properties

__all__ = ["Matrix"]

Outcome = Literal["passed", "failed", "skipped"]


class Matrix:
    """A pytest plugin that counts the suite's outcomes and prints them when the tests have run."""

    def __init__(self) -> None:
        self._cells: dict[str, tuple[str, str]] = {}
        self._outcomes: defaultdict[tuple[str, str], Counter[Outcome]] = defaultdict(Counter)
        self._seconds: Counter[str] = Counter()
        self._reasons: dict[tuple[str, str], None] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Remember which integration and property each test belongs to."""
        for item in items:
            cls = getattr(item, "cls", None)
            if isinstance(cls, type) and issubclass(cls, IntegrationConformance):
                name = item.name.partition("[")[0].removeprefix("test_")
                self._cells[item.nodeid] = (cls.integration.name, name)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test: once, by the worst that happened to it."""
        cell = self._cells.get(report.nodeid)
        if cell is None:
            return
        self._seconds[cell[0]] += report.duration  # type: ignore[assignment]
        if report.when == "call" or report.outcome != "passed":
            self._outcomes[cell][report.outcome] += 1
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            self._reasons[f"{cell[0]}: {cell[1]}", reason] = None

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the table, and why what does not apply does not."""
        frameworks = list(dict.fromkeys(framework for framework, _ in self._cells.values()))
        names = [
            name for name in properties() if any((f, name) in self._outcomes for f in frameworks)
        ]
        first = max(map(len, names), default=0)
        widths = {framework: max(len(framework), 12) for framework in frameworks}
        write = terminalreporter.write_line
        terminalreporter.section("conformance: programs that pass (of those to which it applies)")
        write(" " * first + "".join(f"  {f:>{widths[f]}}" for f in frameworks))
        for name in names:
            cells = (f"  {_cell(self._outcomes[f, name]):>{widths[f]}}" for f in frameworks)
            write(f"{name.replace('_', ' '):{first}}" + "".join(cells))
        seconds = (f"  {f'{self._seconds[f]:.1f} s':>{widths[f]}}" for f in frameworks)
        write(f"{'run time':{first}}" + "".join(seconds))
        if self._reasons:
            terminalreporter.section("not applicable", sep="-")
            for cell, reason in self._reasons:
                write(f"{cell.replace('_', ' ')}: {reason}")


def _cell(outcomes: Counter[Outcome]) -> str:
    """Return ``passed/applicable``, marked if some failed, and how many it does not apply to."""
    applicable = outcomes["passed"] + outcomes["failed"]
    if not applicable:
        return "n/a" if outcomes["skipped"] else ""
    mark = f"{outcomes['failed']} FAIL " if outcomes["failed"] else ""
    return f"{mark}{outcomes['passed']}/{applicable}"
