"""The rows of each format."""

import json
from collections.abc import Mapping
from itertools import count
from typing import Any

from agl_adapters.exports.examples import KeptRollout
from agl_adapters.exports.formats import chat_rows, preference_rows, rollout_rows, triplet_rows
from agl_core.rewards.reward import Reward
from agl_core.rollouts import Rollout
from agl_core.spans import genai
from agl_core.spans.messages import Message
from agl_core.spans.span import Span
from agl_core.storage.store import RolloutKey

SLOT = "openai:app.answer#system"
_numbers = count(1)


def message(role: str, content: str, **more: Any) -> Message:
    return {"role": role, "content": content, **more}  # type: ignore[typeddict-item]


def span(name: str, parent: str | None, attributes: Mapping[str, Any]) -> Span:
    number = next(_numbers)
    return Span(
        name=name,
        kind="internal",
        trace_id="ab" * 16,
        span_id=f"{number:016x}",
        parent_id=parent,
        start_ns=number,
        end_ns=number + 1,
        attributes=attributes,
    )


def kept(
    score: float, *calls: tuple[list[Message], Message | None], task: str = "t", **more: Any
) -> KeptRollout:
    """A rollout with model calls: what was sent, and the answer if there was one."""
    root = span("invoke_agent", None, {})
    spans = [root]
    for sent, answer in calls:
        attributes = {"agl.slot": SLOT} | genai.request_attributes("m")
        attributes |= genai.message_attributes(sent, "input")
        if answer is not None:
            attributes |= genai.message_attributes([answer], "output")
        spans.append(span("chat m", root.span_id, attributes))
    key = RolloutKey("c", "val", task, str(next(_numbers)))
    rollout = Rollout(str(key), None, task, task, "val", "succeeded", score, spans=tuple(spans))
    return KeptRollout(key, rollout, **more)


def asked(system: str, user: str = "Hello?") -> list[Message]:
    return [message("system", system), message("user", user)]


def called(id: str, arguments: str = "{}") -> Message:
    return message("assistant", "", tool_calls=[{"id": id, "name": "look", "arguments": arguments}])


class TestChatRows:
    def test_a_row_for_each_answered_call_of_a_rollout_that_earned_enough(self) -> None:
        good = kept(
            1.0,
            ([message("developer", "Look."), message("user", "Hi")], called("1")),
            (
                [message("user", "Hi"), called("1"), message("tool", "seen", tool_call_id="1")],
                message("assistant", "Done."),
            ),
            (asked("Lost."), None),
        )
        bad = kept(0.5, (asked("Bad."), message("assistant", "No.")))
        first, second = chat_rows([good, bad], 1.0)
        call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        asking = {"role": "assistant", "content": "", "tool_calls": [call]}
        assert first["messages"] == [
            {"role": "system", "content": "Look."},
            {"role": "user", "content": "Hi"},
            asking,
        ]
        assert second["messages"] == [
            {"role": "user", "content": "Hi"},
            asking,
            {"role": "tool", "content": "seen", "tool_call_id": "1"},
            {"role": "assistant", "content": "Done."},
        ]

    def test_equal_rows_are_given_once(self) -> None:
        twice = [kept(1.0, (asked("A."), message("assistant", "Yes."))) for _ in range(2)]
        assert len(list(chat_rows(twice, 1.0))) == 1


class TestPreferenceRows:
    def test_pairs_are_of_one_task_and_input_whatever_the_system_prompt(self) -> None:
        rollouts = [
            kept(0.0, (asked("Short."), message("assistant", "No."))),
            kept(0.4, (asked("Mid."), message("assistant", "Maybe."))),
            kept(1.0, (asked("Long."), message("assistant", "Yes."))),
            kept(1.0, (asked("Longer."), message("assistant", "Yes."))),
            kept(1.0, (asked("Long."), message("assistant", "Else.")), task="another"),
            kept(0.0, (asked("Long.", "Other?"), message("assistant", "No."))),
        ]
        (row,) = preference_rows(rollouts, 1.0)
        assert row == {
            "prompt": [
                {"role": "system", "content": "Long."},
                {"role": "user", "content": "Hello?"},
            ],
            "chosen": [{"role": "assistant", "content": "Yes."}],
            "rejected": [{"role": "assistant", "content": "No."}],
            "margin": 1.0,
        }
        assert [row["margin"] for row in preference_rows(rollouts, 0.0)] == [1.0, 0.4]

    def test_answers_that_differ_by_an_id_alone_are_no_pair(self) -> None:
        rollouts = [kept(0.0, (asked("A."), called("1"))), kept(1.0, (asked("B."), called("2")))]
        assert list(preference_rows(rollouts, 1.0)) == []
        other = kept(1.0, (asked("B."), called("3", '{"day": 1}')))
        assert len(list(preference_rows([*rollouts, other], 1.0))) == 1


def test_triplets_have_the_reward_with_the_last_call() -> None:
    calls = [(asked("A."), message("assistant", "One.")), (asked("B."), called("1"))]
    rows = list(triplet_rows([kept(0.7, *calls), kept(0.1, *calls)], 0.5))
    assert [(row["reward"], row["score"], row["slot"]) for row in rows] == [
        (None, 0.7, SLOT),
        (0.7, 0.7, SLOT),
    ]
    assert rows[0]["response"] == {"role": "assistant", "content": "One."}


def test_rollouts_are_flat_rows() -> None:
    key = RolloutKey("c", "train", "k", "0")
    reward = Reward(0.5, "too long", {"brevity": 0.1})
    rollout = Rollout(
        "i", {"q": 1}, "k", "n", "train", "failed", 0.5, reward, "Traceback", {"a": 1}
    )
    (row,) = rollout_rows([KeptRollout(key, rollout)], 0.0)
    assert (row["task_key"], row["status"], row["feedback"]) == ("k", "failed", "too long")
    assert json.loads(row["task"]) == {"q": 1}
    assert json.loads(row["metrics"]) == {"brevity": 0.1}
    assert json.loads(row["output"]) == {"a": 1}
    assert all(isinstance(value, str | int | float) for value in row.values())
    assert list(rollout_rows([KeptRollout(key, rollout)], 0.6)) == []
