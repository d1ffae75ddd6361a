"""Troubles: what the world did wrong, and what that says about who else will meet it."""

from __future__ import annotations

import email.utils
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agl_core.faults.failures import (
    CLIENTS,
    TRANSIENT_NAMES,
    causes,
    is_transient,
    raised_by,
    status_of,
)
from agl_core.spans.genai import APART, of_the_agent, output_messages
from agl_core.spans.model_calls import model_calls
from agl_core.spans.span import Span
from agl_core.text import cut, printable

__all__ = ["Trouble", "retry_after", "trouble", "trouble_in"]

# What a service answers to everybody, whatever was asked.
_OVERALL_STATUS = frozenset({429, 502, 503, 504, 522, 524, 529})
_NOBODY_THERE = frozenset({"ConnectError", "ConnectTimeout"})
_TEXT = 500
# What a framework stumbles over if an answer is garbled, or has no choice.
_GARBLED_NAMES = frozenset({"IndexError", "JSONDecodeError"})


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure of the world: what a service did instead of answering."""

    text: str
    """The error in a line."""
    service: str = ""
    """Host and port of the service; empty if they are unknown."""
    retry_after: float | None = None
    """Seconds that the service asked to wait."""
    overall: bool = False
    """Whether it is in trouble whatever it is asked: it limits rates, is down or not there. Else it
    may be this one request that it fails on."""
    final: bool = False
    """Whether it will not do until somebody pays: the quota is used up."""
    slow: bool = False
    """Whether it was waited for until the time was up."""


def trouble(error: BaseException) -> Trouble | None:
    """Return what the world did wrong, or None if the error is no failure of the world."""
    if not is_transient(error):
        return None
    links = list(causes(error))
    said = str(error)[: 10 * _TEXT]
    return Trouble(
        text=cut(printable(" ".join(f"{type(error).__name__}: {said}".split())), _TEXT),
        service=next(filter(None, map(_service, links)), ""),
        retry_after=retry_after(error),
        overall=any(_is_overall(link) for link in links),
        final=any(_is_quota(link) for link in links),
    )


def trouble_in(spans: Sequence[Span], error: BaseException | None = None) -> Trouble | None:
    """Return what the world did wrong by the spans of a rollout: how its last model call ended.

    Frameworks lose the error of their client, and stumble over an answer without a choice, or take
    it for an answer.

    Args:
        spans: The rollout's.
        error: What the rollout failed with; None if it did not fail.
    """
    # Two last calls: a judge that was answered does not make up for an agent that was not.
    for part in (of_the_agent(spans), [span for span in spans if span.attributes.get(APART)]):
        calls = model_calls(part)
        if calls and (found := _trouble_of(max(calls, key=lambda span: span.end_ns), error)):
            return found
    return None


def _trouble_of(last: Span, error: BaseException | None) -> Trouble | None:
    attributes = last.attributes
    if last.status == "error":
        kind = str(attributes.get("error.type") or "").rpartition(".")[2]
        if error is None or kind not in TRANSIENT_NAMES | _GARBLED_NAMES:
            return None
        return Trouble(f"a model call ended with {kind}")
    if output_messages(last):
        return None
    if attributes.get("gen_ai.is_streaming") and not attributes.get("gen_ai.response.id"):
        return None  # the agent may not have read any of it
    # Known to be empty; or nothing is known of it, and the agent stumbled as over an empty one.
    empty = "gen_ai.output.messages" in attributes
    stumbled = (
        any(type(link).__name__ in _GARBLED_NAMES for link in causes(error)) if error else False
    )
    if empty or (stumbled and "gen_ai.response.finish_reasons" not in attributes):
        return Trouble("a model call was answered without a choice")
    return None


def retry_after(error: BaseException) -> float | None:
    """Return how many seconds the service asked to wait, if it did."""
    for link in causes(error):
        headers: Any = getattr(getattr(link, "response", None), "headers", None)
        try:
            seconds = _seconds(headers.get("retry-after-ms"), headers.get("retry-after"))
        except (AttributeError, TypeError, ValueError):
            continue  # no response, no such header, or nonsense
        if seconds is not None:
            return max(0.0, seconds)
    return None


def _seconds(milliseconds: str | None, wait: str | None) -> float | None:
    """Return the seconds in one of the headers; the second one may be a date."""
    if milliseconds is not None:
        return float(milliseconds) / 1000
    if wait is None:
        return None
    try:
        return float(wait)
    except ValueError:
        return email.utils.parsedate_to_datetime(wait).timestamp() - time.time()


def _service(error: BaseException) -> str:
    """Return the host and port that an error of a client is about, if it says."""
    for owner in (error, getattr(error, "response", None)):
        try:
            netloc: Any = owner.request.url.netloc  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
            return netloc.decode()
        except (AttributeError, RuntimeError, UnicodeError):
            continue  # httpx raises RuntimeError where the request is not known
    return ""


def _is_overall(error: BaseException) -> bool:
    status = status_of(error)
    if status is not None:
        return status in _OVERALL_STATUS
    named = type(error).__name__ in _NOBODY_THERE and raised_by(error, CLIENTS)
    return named or isinstance(error, ConnectionRefusedError | socket.gaierror)


def _is_quota(error: BaseException) -> bool:
    said = getattr(error, "code", None) == "insufficient_quota"
    return status_of(error) == 429 and (said or "insufficient_quota" in str(error))
