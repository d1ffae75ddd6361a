"""What has no access control is reached from this machine alone."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from agl_adapters import loopback
from agl_adapters.testing import launch
from agl_adapters.ui import serving
from agl_core.errors import ConfigurationError


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "example.com", "127.0.0.1.example.com"])
def test_nothing_else_is_served(host: str) -> None:
    with pytest.raises(ConfigurationError, match="only loopback is served"):
        loopback.serve_on_loopback(None, host, 0, print)


@pytest.mark.parametrize("host", [serving.HOST, launch.HOST])
def test_the_pages_and_the_simulated_model_listen_there(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: list[Any] = []
    listen = socket.socket.listen

    def noted(listener: socket.socket, backlog: int) -> None:
        bound.append(listener.getsockname()[0])
        listen(listener, backlog)

    def stop(port: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(socket.socket, "listen", noted)
    with pytest.raises(KeyboardInterrupt):
        loopback.serve_on_loopback(None, host, 0, stop)
    assert bound == ["127.0.0.1"]
