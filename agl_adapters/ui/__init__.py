"""The pages of all runs of a store, live, on this machine's loopback interface."""

from __future__ import annotations

from agl_adapters.ui.serving import serve_ui

__all__ = ["serve_ui"]
