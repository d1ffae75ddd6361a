"""Where the client sends its requests: under all of its methods, whoever calls them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import wrapt
from openai._base_client import AsyncAPIClient, SyncAPIClient

__all__ = ["wrapped_requests"]


@contextmanager
def wrapped_requests(wrapper: Callable[..., Any]) -> Generator[None]:
    """Have a wrapper, in the form of `wrapt`, around the requests of all clients in the block.

    Where somebody has wrapped them since, theirs is left as it is, with ours under it.
    """
    found = [(kind, vars(kind)["request"]) for kind in (SyncAPIClient, AsyncAPIClient)]
    wrappers = [wrapt.FunctionWrapper(method, wrapper) for _, method in found]
    for (kind, _), ours in zip(found, wrappers, strict=True):
        setattr(kind, "request", ours)  # noqa: B010 - pyright knows it as a method
    try:
        yield
    finally:
        for (kind, method), ours in zip(found, wrappers, strict=True):
            if vars(kind)["request"] is ours:
                setattr(kind, "request", method)  # noqa: B010
