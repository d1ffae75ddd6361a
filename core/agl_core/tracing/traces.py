"""What the spans of a rollout say: a conversation for a critique, triplets for training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agl_core.spans import genai
from agl_core.spans.messages import Message
from agl_core.spans.model_calls import model_calls
from agl_core.spans.span import Span
from agl_core.tracing.recording import UNFINISHED

__all__ = ["Step", "TraceToMessages", "TraceToTriplets", "Triplet", "shortened", "steps"]

_Key = tuple[str, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """A model call, a tool that ran, or a failure: what it adds to the conversation so far."""

    slot: str | None
    """The slot whose prompt a model call was sent, if the span says so."""
    messages: list[Message]
    """What was not said before. Each message's ``name`` says which agent or node it belongs to."""
    sent: list[Message] = field(default_factory=list[Message])
    """All that a model call was sent."""


@dataclass(frozen=True, slots=True)
class TraceToMessages:
    """Reads the spans of a rollout as one conversation, in the order in which it happened.

    Each message's ``name`` says which agent or node it belongs to (for a tool's result, which
    tool). What a later call sends again of an earlier one is not repeated. Tools that ran without
    a model having asked for them are shown as calls; failures of models, tools and the agent itself
    are shown in brackets. What is none of the agent's, such as a judge's calls, is left out.
    """

    max_chars: int = 20_000
    """How long all texts may be together, in characters. The longest are shortened first, in their
    middle, with a mark that says how much is missing; texts of up to 200 characters stay whole."""

    def __call__(self, spans: Sequence[Span], reward: float | None = None) -> list[Message]:
        """Return the conversation.

        Args:
            spans: The spans of one rollout.
            reward: Not part of the conversation; taken so that all readers of traces are alike.
        """
        said = [message for step in steps(spans) for message in step.messages]
        return shortened(said, self.max_chars)

    @staticmethod
    def to_text(messages: Iterable[Message]) -> str:
        """Return the messages as blocks of text, each under a line with its role and name."""
        return "\n\n".join(_block(message) for message in messages)


@dataclass(frozen=True, slots=True)
class Triplet:
    """One model call as a training example."""

    prompt: list[Message]
    """What the model was sent."""
    response: Message
    """What it answered; the first choice if there were several."""
    reward: float | None
    """What it was worth, if known."""


@dataclass(frozen=True, slots=True)
class TraceToTriplets:
    """Reads each model call of a rollout as a prompt, a response and a reward.

    The reward of the rollout goes to its last call; those before it have None, as in the triplets
    of Agent Lightning: how to spread it over the calls is for the training to decide. Calls without
    an answer (failed, or content not captured) are left out, and so are those that are
    none of the agent's.
    """

    def __call__(self, spans: Sequence[Span], reward: float | None = None) -> list[Triplet]:
        """Return a triplet per model call, by start.

        Args:
            spans: The spans of one rollout.
            reward: The reward of the rollout.
        """
        pairs = [
            (genai.input_messages(span), output[0])
            for span in model_calls(genai.of_the_agent(spans))
            if (output := genai.output_messages(span))
        ]
        worth = None if reward is None else float(reward)
        return [
            Triplet(prompt, response, worth if number == len(pairs) else None)
            for number, (prompt, response) in enumerate(pairs, start=1)
        ]


class _Transcript:
    """What has been said so far, to say it only once."""

    def __init__(self) -> None:
        self._systems: set[tuple[str, str]] = set()
        self._conversations: list[list[_Key]] = []

    def new(self, node: str, sent: list[Message], answer: list[Message]) -> Iterator[Message]:
        """Yield the messages of a call that earlier calls do not show."""
        system = [message for message in sent if _is_system(message)]
        rest = [message for message in sent if not _is_system(message)]
        for message in system:
            if (node, message["content"]) not in self._systems:
                self._systems.add((node, message["content"]))
                yield _named(message, node)
        keys = [_key(message) for message in rest]
        known = max((_common(keys, earlier) for earlier in self._conversations), default=0)
        for message in rest[known:]:
            yield _named(message, node)
        for message in answer:
            yield _named(message, node)
        self._conversations.append([*keys, *map(_key, answer)])


def steps(spans: Sequence[Span]) -> Iterator[Step]:
    """Yield the steps of a rollout's agent in the order in which they happened.

    Args:
        spans: The spans of one rollout.
    """
    spans = genai.of_the_agent(spans)
    by_id = {span.span_id: span for span in spans}
    calls = {span.span_id: span for span in model_calls(spans)}
    tools = {span.span_id: span for span in spans if genai.is_tool_call(span)}
    returned = {
        key
        for span in calls.values()
        for message in genai.input_messages(span)
        if message["role"] == "tool"
        for key in (message.get("tool_call_id"), message["content"])
        if key
    }
    asked = {
        call["id"]
        for span in calls.values()
        for message in genai.output_messages(span)
        for call in message.get("tool_calls", ())
    }
    transcript = _Transcript()
    told: list[str] = []
    for span in sorted((calls | tools).values(), key=lambda span: span.start_ns):
        node = _node(span, by_id)
        failure = _failure(span)
        if failure:
            told.append(failure)
        if span.span_id in calls:
            sent = genai.input_messages(span)
            new = list(transcript.new(node, sent, genai.output_messages(span)))
            if failure:
                new.append(_named({"role": "assistant", "content": f"[{failure}]"}, node))
            yield Step(genai.slot(span), new, sent)
        elif failure or not {genai.tool_call_id(span), genai.tool_result(span)} & returned:
            yield Step(None, list(_tool(span, node, failure, asked)))
    for span in spans:
        failure = _failure(span)
        if span.parent_id is None and failure and not any(failure in text for text in told):
            message: Message = {"role": "assistant", "content": f"[{failure}]"}
            yield Step(None, [_named(message, _node(span, by_id))])


def _tool(span: Span, node: str, failure: str, asked: set[str]) -> Iterator[Message]:
    call_id = genai.tool_call_id(span) or ""
    name = genai.tool_name(span)
    if call_id not in asked:
        arguments = genai.tool_arguments(span)
        yield _named(
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": call_id, "name": name, "arguments": arguments}],
            },
            node,
        )
    result = f"[{failure}]" if failure else genai.tool_result(span)
    message: Message = {"role": "tool", "content": result, "name": name}
    if call_id:
        message["tool_call_id"] = call_id
    yield message


def _failure(span: Span) -> str:
    """Return what went wrong in a span, as ``failed: message``; empty if nothing did."""
    if span.attributes.get(UNFINISHED):
        return span.status_message
    if span.status != "error":
        return ""
    for event in reversed(span.events):
        if event.name == "exception":
            kind = event.attributes.get("exception.type", "")
            return f"failed: {kind}: {event.attributes.get('exception.message', '')}"
    kind = span.attributes.get("error.type", "")
    return f"failed: {span.status_message or kind or 'no reason given'}"


def _node(span: Span, by_id: Mapping[str, Span]) -> str:
    """Name the node or agent that a span belongs to: its slot's path, or what it is part of."""
    own = genai.slot(span)
    if own:
        return own.partition(":")[2].rpartition("#")[0] or own
    parent = by_id.get(span.parent_id or "")
    seen: set[str] = set()
    while parent is not None and parent.parent_id is not None and parent.span_id not in seen:
        if not genai.is_model_call(parent):
            return genai.agent_name(parent) or parent.name.removeprefix("invoke_agent ")
        seen.add(parent.span_id)
        parent = by_id.get(parent.parent_id)
    return genai.agent_name(span) or ""


def _is_system(message: Message) -> bool:
    return message["role"] in ("system", "developer")


def _named(message: Message, node: str) -> Message:
    named = message.copy()
    if node and named["role"] != "tool":
        named["name"] = node
    return named


def _key(message: Message) -> _Key:
    calls = tuple((call["name"], call["arguments"]) for call in message.get("tool_calls", ()))
    return (message["role"], message["content"].strip(), calls)


def _common(keys: Sequence[_Key], earlier: Sequence[_Key]) -> int:
    count = 0
    for key, other in zip(keys, earlier, strict=False):
        if key != other:
            break
        count += 1
    return count


def shortened(messages: list[Message], max_chars: int) -> list[Message]:
    """Shorten the texts of messages, in place, so that they fit together; return the messages."""
    lengths = [len(message["content"]) for message in messages]
    lengths += [
        len(call["arguments"]) for message in messages for call in message.get("tool_calls", ())
    ]
    limit = _limit(lengths, max_chars)
    for message in messages:
        message["content"] = _shorten(message["content"], limit)
        if "tool_calls" in message:
            message["tool_calls"] = [
                {**call, "arguments": _shorten(call["arguments"], limit)}
                for call in message["tool_calls"]
            ]
    return messages


def _limit(lengths: list[int], total: int) -> int:
    """Return the length to cut texts to so that they fit together, the longest losing first."""
    remaining = total
    for done, length in enumerate(sorted(lengths)):
        share = remaining // (len(lengths) - done)
        if length > share:
            return max(share, 200)
        remaining -= length
    return max([*lengths, 200])


def _shorten(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    missing = len(text) - limit
    head = limit * 2 // 3
    tail = limit - head
    return f"{text[:head]}\n[... {missing} characters left out ...]\n{text[len(text) - tail :]}"


def _block(message: Message) -> str:
    role, name = message["role"], message.get("name")
    title = f"{role} ({name})" if name else role
    lines = [f"### {title}"]
    if message["content"]:
        lines.append(message["content"])
    for call in message.get("tool_calls", ()):
        lines.append(f"-> calls {call['name']}({call['arguments']})")
    return "\n".join(lines)
