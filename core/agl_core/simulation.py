"""What tells that a model is the simulated one: its key, and the ids that it gives.

What is shown of a run has to say so. The ids are evidence that any span or journaled call carries;
the key tells before anything was called.
"""

from __future__ import annotations

import os
import re

__all__ = ["SIMULATED", "is_simulated_environment", "is_simulated_id"]

SIMULATED = "simulated"
"""The API key of the simulated model, and the word in its ids, after their kind."""

_ID = re.compile(rf"[a-z]+[-_]{SIMULATED}[-_]")


def is_simulated_environment() -> bool:
    """Tell whether model clients that are made now, by the environment, ask the simulated model."""
    return os.environ.get("OPENAI_API_KEY") == SIMULATED


def is_simulated_id(value: object) -> bool:
    """Tell whether an id of an answer or of a tool call comes from the simulated model."""
    return isinstance(value, str) and _ID.match(value) is not None
