"""Recordings: the spans of one rollout, gathered while it runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from agl_core.errors import RedactionError
from agl_core.privacy.redaction import Redaction
from agl_core.spans.allowance import DROPPED, SpanAllowance, searchable
from agl_core.spans.contents import without_content
from agl_core.spans.span import Span

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

__all__ = ["UNFINISHED", "Recording", "SpanListener", "settled"]

_log = logging.getLogger(__name__)

UNFINISHED = "agl.unfinished"
"""The attribute of a span that was still open when its rollout ended."""

# The span id alone does not do: OpenTelemetry's default generator draws ids from the `random`
# module, and a program that seeds it anew gets the same ids again.
_Key = tuple[int, int | None]


class SpanListener(Protocol):
    """Is told of the spans of rollouts as they come, from any thread. Must not raise."""

    def started(self, span: Span) -> None:
        """A span was started."""
        ...

    def ended(self, span: Span) -> None:
        """A span has ended, cut to what is kept of it."""
        ...


class Recording:
    """The spans of one rollout. Spans may start and end in any thread.

    It is filled by the collector and closed by `Tracing.rollout`.

    Args:
        span: The root span.
        source: Returns the provider that makes the spans of this rollout.
        capture_content: Whether they may hold prompts and answers.
        listener: Who is told of them.
        redaction: What is taken out of them, before anybody is given them.
    """

    __slots__ = (
        "_allowance",
        "_closed",
        "_ended",
        "_listener",
        "_open",
        "capture_content",
        "failure",
        "forward",
        "redaction",
        "source",
        "span",
    )

    span: trace.Span
    """The root span, to set attributes on and to record exceptions in."""
    forward: bool
    """Whether the spans also go to the processors of the user's own provider."""
    failure: RedactionError | None
    """Why a span could not be redacted, and is not kept."""

    def __init__(
        self,
        span: trace.Span,
        source: Callable[[], TracerProvider],
        capture_content: bool,
        listener: SpanListener | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        self.span = span
        self.source = source
        self.capture_content = capture_content
        self.redaction = redaction or Redaction()
        self.failure = None
        self.forward = False
        self._open: dict[_Key, ReadableSpan] = {}
        self._ended: dict[_Key, Span | None] = {}
        self._allowance = SpanAllowance()
        self._listener = listener
        self._closed: tuple[Span, ...] | None = None

    @property
    def trace_id(self) -> str:
        """The trace id of the rollout, 32 hexadecimal digits."""
        return f"{self.span.get_span_context().trace_id:032x}"

    @property
    def spans(self) -> tuple[Span, ...]:
        """The spans, the root first, then by start time.

        Until the rollout has ended, those that have ended so far. Afterwards also those that never
        ended, as far as they got, with the attribute `UNFINISHED`.
        """
        return self._so_far() if self._closed is None else self._closed

    @property
    def pending(self) -> list[Span]:
        """The spans that have not ended, each with its start as its end."""
        return [span for span in map(_read, list(self._open.values())) if span is not None]

    def started(self, span: ReadableSpan) -> None:
        """Take note of a span of this rollout."""
        self._open[_key(span)] = span
        if self._listener is not None and not self._allowance.full:
            copy = self.permitted(span)
            if copy is not None:
                self._listener.started(copy)

    def ended(self, span: ReadableSpan) -> Span | None:
        """Keep a span of this rollout; return what may be known of it, not yet cut to be kept.

        The same span may be handed in twice; the second time nothing is returned.
        """
        key = _key(span)
        self._open.pop(key, None)
        if key in self._ended:
            return None
        # Copied at once: an agent that never ends must not pile up what is cut anyway.
        copy = self.permitted(span)
        kept = self._ended[key] = None if copy is None else self._allowance.fit(copy)
        if self._listener is not None and kept is not None:
            self._listener.ended(kept)
        return copy

    def permitted(self, span: ReadableSpan) -> Span | None:
        """Return what anybody may know of a span; None if it cannot be read or redacted."""
        copy = _read(span)
        if copy is None:
            return None
        try:
            known = copy if self.capture_content else without_content(copy)
            return self.redaction.span(searchable(known))
        except RedactionError as error:
            self.failure = self.failure or error
            return None

    def snapshot(self) -> tuple[Span, ...]:
        """Return the spans as if the rollout ended now, if it has not."""
        if self._closed is not None:
            return self._closed
        opened = map(self.permitted, list(self._open.values()))
        return settled(self._so_far(), [span for span in opened if span is not None])

    def close(self) -> None:
        """Settle the spans and let go of everything of OpenTelemetry's."""
        opened = map(self._fitted, list(self._open.values()))
        spans = settled(self._so_far(), [span for span in opened if span is not None])
        if spans and self._allowance.dropped:
            root, *rest = spans
            said = {**root.attributes, DROPPED: self._allowance.dropped}
            spans = (replace(root, attributes=said), *rest)
        self._closed = spans
        self._ended = {}
        self._open = {}

    def _so_far(self) -> tuple[Span, ...]:
        return _sorted([span for span in list(self._ended.values()) if span is not None])

    def _fitted(self, span: ReadableSpan) -> Span | None:
        copy = self.permitted(span)
        return None if copy is None else self._allowance.fit(copy)


def settled(ended: Sequence[Span], unfinished: Sequence[Span]) -> tuple[Span, ...]:
    """Return the spans of a rollout, the root first, then by start time.

    Args:
        ended: Those that have ended.
        unfinished: Those that have not: they are marked, and end when the others have.
    """
    end = max((span.end_ns for span in ended), default=0)
    marked = [
        replace(
            span,
            end_ns=max(end, span.start_ns),
            attributes={**span.attributes, UNFINISHED: True},
            status_message=span.status_message or "not finished when the rollout ended",
        )
        for span in unfinished
    ]
    return _sorted([*ended, *marked])


def _read(span: ReadableSpan) -> Span | None:
    try:
        return Span.from_otel(span)
    except Exception:  # noqa: BLE001 - a span that cannot be read must not fail the rollout
        _log.debug("a span could not be read and is left out")
        return None


def _key(span: ReadableSpan) -> _Key:
    context = span.context
    return (0 if context is None else context.span_id, span.start_time)


def _sorted(spans: list[Span]) -> tuple[Span, ...]:
    # Of spans that start at the same time, the longer one is the parent.
    return tuple(sorted(spans, key=lambda s: (s.parent_id is not None, s.start_ns, -s.end_ns)))
