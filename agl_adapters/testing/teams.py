"""Answers to the requests by which AutoGen's teams decide who speaks: a format, not a domain.

The formats are those of `SelectorGroupChat` and of MagenticOne's progress ledger in
autogen-agentchat 0.7.5.
"""

from __future__ import annotations

import json
import re

from agl_adapters.testing.calls import Call, Reply

__all__ = ["coordination"]

NEXT_SPEAKER = re.compile(r"next (?:role|speaker|agent) from \[(.*?)\]", re.IGNORECASE | re.DOTALL)
LEDGER_KEY = "is_request_satisfied"
LEDGER_NAMES = re.compile(r"select from:\s*([\w-]+)")
INSTRUCTION = "Please do your part of the request."


def coordination(call: Call) -> Reply | None:
    """The reply to a request that asks who speaks next, None for any other request.

    A selector gets the first name that it lists. A progress ledger gives the word to the first
    name, and is satisfied as soon as the conversation shows that this was done once.
    """
    if not call.messages:
        return None
    last = call.messages[-1].text
    if LEDGER_KEY in last:
        return _ledger(call, last)
    for message in call.messages:
        if message.role != "assistant" and (found := NEXT_SPEAKER.search(message.text)):
            return Reply(found[1].split(",")[0].strip(" '\""))
    return None


def _ledger(call: Call, last: str) -> Reply:
    name = LEDGER_NAMES.search(last)
    done = any(INSTRUCTION in message.text for message in call.messages)
    answers = {
        LEDGER_KEY: done,
        "is_in_loop": False,
        "is_progress_being_made": True,
        "next_speaker": name[1] if name else "worker",
        "instruction_or_question": INSTRUCTION,
    }
    ledger = {key: {"reason": "simulated", "answer": answer} for key, answer in answers.items()}
    return Reply(json.dumps(ledger), fields=ledger)
