"""HTTP connections of async clients, apart for each event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property, wraps
from ssl import SSLContext
from typing import Any

import httpx2
from agents.models import openai_provider
from openai import DefaultAsyncHttpx2Client
from openai._base_client import AsyncHttpxClientWrapper

from agl_core.tracing.tracing import Tracing
from agl_integrations.openai_agents._patches import replaced

__all__ = ["LoopConnections"]


class LoopConnections:
    """Gives each event loop connections of its own to send its requests through, in rollouts.

    A connection belongs to the event loop that it was opened on. The SDK has one HTTP client for
    all loops, and so does a program with one `AsyncOpenAI`: where rollouts run in threads
    (`Runner.run_sync`, `asyncio.run`), and where a program has run on another loop before, a
    request would be sent over a connection of another loop and fail. The requests themselves, and
    the clients, stay as they are.

    An HTTP client that the user has configured (`AsyncOpenAI(http_client=...)`) is left alone.

    The connections are kept for later rollouts on the same loop, and let go when it is closed or
    its thread has ended.
    """

    def __init__(self) -> None:
        self._clients: dict[asyncio.AbstractEventLoop, tuple[httpx2.AsyncClient, threading.Thread]]
        self._clients = {}
        self._lock = threading.Lock()

    def installed(self, tracing: Tracing) -> AbstractContextManager[None]:
        """Return a context manager that redirects the requests of rollouts."""

        def redirecting(send: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(send)
            async def redirected(
                client: httpx2.AsyncClient, request: httpx2.Request, **kwargs: Any
            ) -> httpx2.Response:
                if tracing.active() and _is_standard(client):
                    client = self._of_this_loop()
                return await send(client, request, **kwargs)

            return redirected

        return replaced(httpx2.AsyncClient, "send", redirecting)

    @cached_property
    def _ssl_context(self) -> SSLContext:
        # Loading the certificates takes most of the time that making a client takes.
        return httpx2.create_ssl_context()

    def _of_this_loop(self) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        found = self._clients.get(loop)
        if found is not None:
            return found[0]
        client = DefaultAsyncHttpx2Client(verify=self._ssl_context)
        with self._lock:
            for other, (_, thread) in list(self._clients.items()):
                if other.is_closed() or not (other.is_running() or thread.is_alive()):
                    del self._clients[other]
            self._clients[loop] = client, threading.current_thread()
        return client


def _is_standard(client: httpx2.AsyncClient) -> bool:
    """Tell whether a client is the SDK's own, or one that `AsyncOpenAI` made for itself."""
    return not client.is_closed and (
        client is openai_provider._http_client  # pyright: ignore[reportPrivateUsage]
        or type(client) is AsyncHttpxClientWrapper
    )
