"""The rows of each format. Messages are in the form of OpenAI's chat completions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from agl_adapters.exports.examples import Example, KeptRollout, examples
from agl_core.spans.messages import Message
from agl_core.tracing.traces import TraceToMessages

__all__ = ["ROWS", "Row"]

Row = dict[str, Any]
_CONVERSATION = TraceToMessages(max_chars=10**9)


def chat_rows(rollouts: Iterable[KeptRollout], min_reward: float) -> Iterator[Row]:
    """Yield ``{"messages": [...]}`` for each model call of a rollout that earned enough.

    The form of TRL's `SFTTrainer` and of OpenAI's fine-tuning. Equal rows are given once.
    """
    seen: set[str] = set()
    for kept in rollouts:
        if (kept.rollout.score or 0.0) < min_reward:
            continue
        for example in examples(kept):
            row = {"messages": [*map(_chat, example.prompt), _chat(example.response)]}
            text = json.dumps(row, sort_keys=True)
            if text not in seen:
                seen.add(text)
                yield row


def preference_rows(rollouts: Iterable[KeptRollout], min_reward: float) -> Iterator[Row]:
    """Yield ``{"prompt", "chosen", "rejected"}``: TRL's `DPOTrainer`, conversational.

    A pair is two calls of one slot, in rollouts of the same task, that were sent the same but for
    the system prompt under test, of which one rollout earned more, and enough. The prompt is that
    of the chosen one. Of each answer that was chosen, the pair with the widest margin is given.
    """
    groups: dict[str, list[Example]] = {}
    for kept in rollouts:
        for example in examples(kept):
            sent = [_essence(message) for message in example.prompt if not _is_system(message)]
            identity = json.dumps([example.task, example.slot, sent], sort_keys=True)
            groups.setdefault(identity, []).append(example)
    for group in groups.values():
        worst = min(group, key=lambda example: example.score)
        chosen: set[str] = set()
        for example in sorted(group, key=lambda example: -example.score):
            answer = _essence(example.response)
            if example.score <= worst.score or example.score < min_reward:
                break
            if answer in chosen or answer == _essence(worst.response):
                continue
            chosen.add(answer)
            yield {
                "prompt": [*map(_chat, example.prompt)],
                "chosen": [_chat(example.response)],
                "rejected": [_chat(worst.response)],
                "margin": example.score - worst.score,
            }


def triplet_rows(rollouts: Iterable[KeptRollout], min_reward: float) -> Iterator[Row]:
    """Yield ``{"prompt", "response", "reward"}`` for each model call, whatever it earned.

    The reward of a rollout stands with its last call, those before it have none; ``score`` has it
    for all of them.
    """
    for kept in rollouts:
        if (kept.rollout.score or 0.0) < min_reward:
            continue
        for example in examples(kept):
            yield {
                "prompt": [*map(_chat, example.prompt)],
                "response": _chat(example.response),
                "reward": example.reward,
                "score": example.score,
                "slot": example.slot,
                "task": example.task,
            }


def rollout_rows(rollouts: Iterable[KeptRollout], min_reward: float) -> Iterator[Row]:
    """Yield a flat row for each rollout; what has no fixed form is JSON text."""
    for kept in rollouts:
        rollout = kept.rollout
        if (rollout.score or 0.0) < min_reward:
            continue
        metrics: Mapping[str, float] = {} if rollout.reward is None else rollout.reward.metrics
        yield {
            "candidate": kept.key.candidate,
            "split": kept.key.split,
            "task": json.dumps(rollout.task, ensure_ascii=False),
            "task_key": kept.key.task,
            "task_name": rollout.task_name,
            "repeat": kept.key.repeat,
            "status": rollout.status,
            "score": rollout.score,
            "feedback": rollout.feedback,
            "metrics": json.dumps(dict(metrics), ensure_ascii=False),
            "error": rollout.error or "",
            "output": json.dumps(rollout.output, ensure_ascii=False),
            "messages": json.dumps(_CONVERSATION(rollout.spans), ensure_ascii=False),
            "model_calls": rollout.usage.model_calls,
            "input_tokens": rollout.usage.input_tokens,
            "output_tokens": rollout.usage.output_tokens,
            "started": rollout.started,
            "seconds": rollout.seconds,
        }


def _chat(message: Message) -> Row:
    """Return a message as chat completions take it; what is not part of that is left out."""
    role = "system" if message["role"] == "developer" else message["role"]
    row: Row = {"role": role, "content": message["content"]}
    if calls := message.get("tool_calls"):
        row["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for call in calls
        ]
    if role == "tool":
        row["tool_call_id"] = message.get("tool_call_id", "")
    return row


def _essence(message: Message) -> str:
    """Return what a message says as text: without ids, which differ from run to run."""
    calls = [[call["name"], call["arguments"]] for call in message.get("tool_calls", ())]
    return json.dumps([message["role"], message["content"], calls])


def _is_system(message: Message) -> bool:
    return message["role"] in ("system", "developer")


_Rows = Callable[[Iterable[KeptRollout], float], Iterator[Row]]

ROWS: Mapping[str, _Rows] = {
    "chat-sft": chat_rows,
    "openai-finetune": chat_rows,
    "preference": preference_rows,
    "triplets": triplet_rows,
    "jsonl": rollout_rows,
    "parquet": rollout_rows,
}
"""By format. The lowest score that counts is the second argument."""
