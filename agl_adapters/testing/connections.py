"""The server's open connections, so that a fault can cut one: ASGI has no word for it."""

from __future__ import annotations

import asyncio
import socket
import struct

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["Connections"]

RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 seconds: close() sends RST


class Connections:
    """Knows the transport behind each request, by the client's address."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol(self) -> type[H11Protocol]:
        """A protocol class for uvicorn that registers its connections here."""
        transports = self._transports

        class Registered(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                if self.client is not None:
                    transports[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                if self.client is not None:
                    transports.pop(self.client, None)

        return Registered

    def reset(self, request: Request) -> None:
        """Reset the connection of a request: the client sees ECONNRESET."""
        transport = self._of(request)
        if transport is not None:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            transport.abort()

    def close(self, request: Request) -> None:
        """Send what was written, then close: the client sees the body end too early."""
        transport = self._of(request)
        if transport is not None:
            transport.close()

    def _of(self, request: Request) -> asyncio.Transport | None:
        client = request.client
        return None if client is None else self._transports.get((client.host, client.port))
