"""The environment variables that tell a process what to put in place."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from agl_adapters.production.drift import OnDrift

__all__ = ["IS_MAIN", "VARIABLE", "Launch"]

VARIABLE = "AGL_RUN"
"""The environment variable that tells a process, and those that it starts, what to put in place."""
IS_MAIN = "AGL_RUN_IS_MAIN"
"""Set for the process of the program itself, which removes it."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What to put in place in a process."""

    prompts: str
    """The absolute path of the prompt file."""
    on_drift: OnDrift
    """As for `use_prompts`."""
    record: str
    """The file in which child processes note the slots that they use; not there until one does."""

    def to_variable(self) -> str:
        """Return the value of the environment variable."""
        return json.dumps(asdict(self))

    @classmethod
    def from_variable(cls, value: str) -> Launch:
        """Read the value of the environment variable."""
        return cls(**json.loads(value))
