"""The report of a run: one HTML file, made of what the store holds."""

from __future__ import annotations

from agl_adapters.report.writing import write_report

__all__ = ["write_report"]
