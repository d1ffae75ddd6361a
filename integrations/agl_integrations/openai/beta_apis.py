"""The client's beta APIs (assistants, realtime), which the instrumentor knows and rollouts do not.

To import what it has for them brings 500 modules of the client along: as much time as the client
itself takes. Here that waits until somebody uses it, which nothing of ours does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["import_without_beta_apis", "left_out"]

_V1 = "opentelemetry.instrumentation.openai.v1"
_ASSISTANTS = f"{_V1}.assistant_wrappers"
_BETA = "openai.resources.beta."


def import_without_beta_apis() -> None:
    """Import the instrumentor's part for today's client; what it has for assistants comes later.

    Whoever instruments assistants gets the same wrappers: they are imported at their first call.
    """
    if _V1 in sys.modules or _ASSISTANTS in sys.modules:
        return
    stand_in = sys.modules[_ASSISTANTS] = _StandIn(_ASSISTANTS)
    try:
        import_module(_V1)
    finally:
        if sys.modules.get(_ASSISTANTS) is stand_in:
            del sys.modules[_ASSISTANTS]


@contextmanager
def left_out() -> Generator[None]:
    """Let an instrumentor that instruments in the block leave these APIs as they are."""
    kind: Any = import_module(_V1).OpenAIV1Instrumentor
    wrap = kind._try_wrap

    def wrap_others(self: Any, module: str, *what: Any) -> None:
        if not module.startswith(_BETA):
            wrap(self, module, *what)

    kind._try_wrap = wrap_others
    try:
        yield
    finally:
        kind._try_wrap = wrap


class _StandIn(ModuleType):
    """Stands for the module while another one takes its functions out of it."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def made_with(*settings: Any) -> Callable[..., Any]:
            def wrapper(*call: Any) -> Any:
                return getattr(import_module(_ASSISTANTS), name)(*settings)(*call)

            return wrapper

        return made_with
