"""Serving something on this machine's loopback interface, in this process, until told to stop."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from threading import Thread
from typing import Any, Literal

import uvicorn

from agl_core.errors import ConfigurationError

__all__ = ["serve_on_loopback"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
BACKLOG = 2048


def serve_on_loopback(
    application: Any,
    host: str,
    port: int,
    ready: Callable[[int], object],
    *,
    protocol: type[asyncio.Protocol] | Literal["auto"] = "auto",
    until_stdin_ends: bool = False,
) -> None:
    """Serve until interrupted.

    Args:
        application: What to serve, as ASGI has it.
        host: A loopback address; the server has no access control.
        port: The port, 0 for any that is free.
        ready: Called with the port as soon as connections are accepted.
        protocol: What speaks HTTP, if not uvicorn's own.
        until_stdin_ends: Stop when standard input ends, as it does when the parent process dies.

    Raises:
        ConfigurationError: The host is not loopback, or the port is taken.
    """
    if host not in LOOPBACK:
        raise ConfigurationError(
            f"only loopback is served, not {host!r}: use {' or '.join(LOOPBACK)}"
        )
    listener = _listen(host, port)
    config = uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    with listener:
        ready(listener.getsockname()[1])
        asyncio.run(_serve(uvicorn.Server(config), listener, until_stdin_ends))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: for such sockets only does asyncio turn Nagle's algorithm off, and
    # with it every reply waits some 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"port {port} of {host} cannot be used: {error.strerror}; name another, or 0 for any"
        ) from error
    listener.listen(BACKLOG)
    return listener


async def _serve(server: uvicorn.Server, listener: socket.socket, until_stdin_ends: bool) -> None:
    if until_stdin_ends:
        # A thread, since not every event loop can watch a pipe; the server polls the flag.
        Thread(target=_stop_at_end_of_stdin, args=(server,), daemon=True).start()
    await server.serve(sockets=[listener])


def _stop_at_end_of_stdin(server: uvicorn.Server) -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    server.should_exit = True
