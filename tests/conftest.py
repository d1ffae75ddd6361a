"""What tests of all packages share: text that tries something, and Ctrl-C that is heard."""

import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

# A shell's background jobs ignore it, and so would the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

HOSTILE = {
    "clear screen": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://x\x1b\\click\x1b]8;;\x1b\\",
    "eight-bit control": "\x9b31m",
    "bell, backspace, carriage return": "\x07\x08\rhidden",
    "vertical tab, form feed, delete": "\x0b\x0c\x7f",
    "right to left": "\u202eevil\u202c \u2066x\u2069",
    "invisible": "\u200b\ufeff\u00ad",
    "tag characters": "\U000e0041\U000e0042",
    "half a pair": "\ud83d",
}


@pytest.fixture(params=HOSTILE.values(), ids=[*HOSTILE])
def hostile_text(request: pytest.FixtureRequest) -> str:
    """Text that a terminal would obey."""
    return str(request.param)


@pytest.fixture(autouse=True, scope="module")
def _no_shared_connections() -> Iterator[None]:
    """Let go of the Agents SDK's connections: they are of the event loops of these tests."""
    yield
    provider: Any = sys.modules.get("agents.models.openai_provider")
    if provider is not None:
        provider._http_client = None
