"""Live progress of a run: moving lines in a terminal or notebook, a line per event elsewhere."""

from __future__ import annotations

from agl_adapters.progress.progress import Progress

__all__ = ["Progress"]
