"""Failures are data, and of two kinds: the agent's own, and the world's."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Set
from itertools import islice
from types import TracebackType

from agl_core.errors import JudgeError
from agl_core.privacy.redaction import Redaction
from agl_core.text import SEARCHED, cut_middle, printable

__all__ = [
    "CLIENTS",
    "TRANSIENT_NAMES",
    "causes",
    "formatted",
    "is_refusal",
    "is_transient",
    "message",
    "raised_by",
    "status_of",
    "traceback_text",
]

_FRAMES = -40
_LINKS = 20
_TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_REFUSED_STATUS = frozenset({401, 403})
TRANSIENT_NAMES = frozenset(
    {
        "APIConnectionError",
        "APITimeoutError",
        "ConnectError",
        "ConnectTimeout",
        "InternalServerError",
        "PoolTimeout",
        "RateLimitError",
        "ReadError",
        "ReadTimeout",
        "RemoteProtocolError",
        "ServiceUnavailableError",
        "WriteError",
        "WriteTimeout",
    }
)
"""Exceptions of clients that are the world's failure: by name, so that neither openai nor an HTTP
client has to be imported to recognize them."""
# Libraries whose exceptions are about a model service.
_MODEL_CLIENTS = frozenset({"openai", "anthropic", "groq"})
# Libraries that carry requests.
_HTTP_CLIENTS = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "requests"})
CLIENTS = _MODEL_CLIENTS | _HTTP_CLIENTS
"""Packages of clients."""
# Packages whose frames above the agent's are of no interest to it.
_MACHINERY = frozenset({"agl_core", "agl_adapters"})


def is_transient(error: BaseException) -> bool:
    """Tell whether the world failed: a rate limit, a server error, a broken connection.

    The chain of causes is searched, since frameworks wrap the errors of their clients.
    """
    for link in causes(error):
        if isinstance(link, JudgeError):
            return True
        status = status_of(link)
        if status is not None:
            return status in _TRANSIENT_STATUS
        if type(link).__name__ in TRANSIENT_NAMES and raised_by(link, CLIENTS):
            return True
        if isinstance(link, ConnectionError) or _is_garbled_answer(link) or _is_stale(link):
            return True
    return False


def is_refusal(error: BaseException) -> bool:
    """Tell whether a model service rejected the credentials: no retry and no other task can help.

    A web page that refuses an agent's tool is not meant.
    """
    return any(
        status_of(link) in _REFUSED_STATUS and raised_by(link, _MODEL_CLIENTS)
        for link in causes(error)
    )


def traceback_text(
    error: BaseException,
    redaction: Redaction | None = None,
    *,
    content: bool = True,
    limit: int = 8_000,
) -> str:
    """Return the traceback as text that is safe to print, redacted, and cut in the middle.

    The machinery's own frames are left out.

    Args:
        error: The error.
        redaction: What is taken out; credentials alone by default.
        content: Whether messages may be in it: what an agent raises quotes what was said.
        limit: In characters.
    """
    own = error.__traceback__
    while own is not None and _owner(own) in _MACHINERY:
        own = own.tb_next
    if content:
        text = formatted(error, own)
    else:
        frames = "".join(traceback.format_tb(own, limit=_FRAMES))
        text = f"Traceback (most recent call last):\n{frames}{type(error).__qualname__}"
    # Before it is cut to what is kept: half a key would not be known for one.
    written = (redaction or Redaction()).shown(cut_middle(text, SEARCHED))
    return printable(cut_middle(written, limit))


def formatted(error: BaseException, trace: TracebackType | None) -> str:
    """Return the traceback as Python formats it, with long messages cut in the middle.

    Python copies a message, and splits it into lines, as often as it takes: of one of 50 MB that
    holds up all other threads for a second.
    """
    links = list(islice(_chain(error), _LINKS))
    if not any(len(message(link)) > SEARCHED for link in links):
        whole = traceback.TracebackException(type(error), error, trace, limit=_FRAMES)
        return "".join(whole.format())
    parts: list[str] = []
    for link in reversed(links):
        frames = traceback.format_tb(trace if link is error else link.__traceback__, limit=_FRAMES)
        said = cut_middle(message(link), SEARCHED)
        head = "Traceback (most recent call last):\n" if frames else ""
        parts.append(f"{head}{''.join(frames)}{type(link).__qualname__}: {said}\n")
    return "\n".join(parts)


def message(error: BaseException) -> str:
    """Return the text of an error; nothing of one that cannot tell it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is shown all the same
        return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that its traceback tells of."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        link = queue.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        queue.append(link.__cause__)
        if not link.__suppress_context__:
            queue.append(link.__context__)
        if isinstance(link, BaseExceptionGroup):
            queue.extend(link.exceptions)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it says that it comes from."""
    seen: set[int] = set()
    queue: list[BaseException] = [error]
    while queue:
        link = queue.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        if isinstance(link, BaseExceptionGroup):
            queue.extend(link.exceptions)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        # An exception raised while another was being handled is about that other one only if it
        # says so: a plain context is as often the agent's own mistake in an except block.
        if link.__cause__ is not None:
            queue.append(link.__cause__)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error is about."""
    for owner in (error, getattr(error, "response", None)):
        status = getattr(owner, "status_code", None)
        if isinstance(status, int):
            return status
    return None


def raised_by(error: BaseException, packages: Set[str]) -> bool:
    """Tell whether an error is of a class of one of these packages."""
    return any(_package(kind.__module__) in packages for kind in type(error).__mro__)


def _is_garbled_answer(error: BaseException) -> bool:
    """Tell whether the body of an HTTP answer was no JSON: the clients let that error through."""
    return isinstance(error, json.JSONDecodeError) and _passed(error, CLIENTS)


def _is_stale(error: BaseException) -> bool:
    """Tell whether a client took a connection from its pool that another event loop opened.

    It drops that connection, and the next attempt takes another one.
    """
    return (
        isinstance(error, RuntimeError)
        and _passed(error, _HTTP_CLIENTS)
        and "event loop" in str(error).lower()
    )


def _passed(error: BaseException, packages: Set[str]) -> bool:
    """Tell whether an error came through the code of one of these packages."""
    link = error.__traceback__
    while link is not None and _owner(link) not in packages:
        link = link.tb_next
    return link is not None


def _owner(link: TracebackType) -> str:
    return _package(link.tb_frame.f_globals.get("__name__"))


def _package(module: object) -> str:
    return str(module).partition(".")[0]
