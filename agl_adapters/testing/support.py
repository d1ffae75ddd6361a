"""The `support` scenario: a clerk with tools, who decides after each result what to call next.

What is right depends on the ticket, on the order and on the rules of the house. The model reads
both where they stand in the conversation; what it does is a tool call with arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from agl_adapters.testing.calls import Reply, ToolCall
from agl_adapters.testing.choosing import FIELD, Fields, amount
from agl_adapters.testing.room_text import unescaped
from agl_adapters.testing.rules import Rule, all_of, any_of
from agl_adapters.testing.stages import Seen, Stage

__all__ = ["HOUSE", "Case", "Support", "support"]

ABOUT = "what to do about a ticket"
HANDS_OVER = (
    r"escalat|hand(?:s|ed)? (?:it |them |the ticket )?over|\bteam\b"
    r"|pass\w* (?:it )?(?:on )?to|forward|refer"
)
HOUSE = (
    Rule(
        "legal",
        "Escalate to the team legal, and do nothing else, if the customer mentions a lawyer.",
        all_of(r"lawyer|\bcourt|\bsue\b|legal action|attorney|threat", HANDS_OVER),
        obeyed_unstated=0.4,
        about=ABOUT,
    ),
    Rule(
        "lost",
        "Escalate to the team shipping if a parcel has not arrived.",
        all_of(
            r"not arriv|never arriv|\blost\b|missing|not deliver|undeliver|never came", HANDS_OVER
        ),
        obeyed_unstated=0.45,
        about=ABOUT,
    ),
    Rule(
        "replace",
        "If the item is damaged, check the stock and send a replacement if there is one.",
        all_of(r"damag|broken|defect|crack|fault", r"stock|replac|exchange"),
        obeyed_unstated=0.4,
        about=ABOUT,
    ),
    Rule(
        "late",
        "Refund nothing to a customer who changed their mind later than 30 days after delivery.",
        all_of(r"\b30\b|thirty", r"\bdays?\b|month"),
        obeyed_unstated=0.4,
        about=ABOUT,
    ),
    Rule(
        "paid",
        "The amount of a refund is what the order says was paid, not what the customer names.",
        all_of(
            r"amount|how much|refund|\bsum\b",
            r"\bpaid\b|\bpayment\b|price",
            r"order|record|customer|claim|actual|system|look",
        ),
        obeyed_unstated=0.5,
        about=ABOUT,
    ),
    Rule(
        "limit",
        "A refund of more than 100 euros is not for you: escalate it to the team payments.",
        all_of(r"\b100\b|hundred", HANDS_OVER),
        obeyed_unstated=0.3,
        about=ABOUT,
    ),
    Rule(
        "once",
        "Refund nothing if the order was refunded already.",
        any_of(
            r"already (?:been )?(?:refund|paid back)",
            r"refunded? (?:already|before|earlier|twice|again|only once|once)",
            r"second refund|double refund|(?:twice|again)[^.]{0,20} refund",
        ),
        obeyed_unstated=0.6,
        about=ABOUT,
    ),
)
"""What the house expects of its clerks."""

LIMIT = 100  # euros
DAYS = 30
NAMED_SUM = re.compile(r"(\d+) euros")
LAWYER = re.compile(r"lawyer|court")
LOST = re.compile(r"not arrived|never arrived|never came")
DAMAGED = re.compile(r"broken|crack|damaged|does not work")
TICKET = r"\bTicket (?P<ticket>K\d+) about order (?P<about>O\d+): (?P<says>[^\n\r\\\"<>{}`|]+)"
ORDER = r"\bOrder (?P<order>O\d+)(?P<has>(?: \| [a-z ]+: [\w ,-]*\w)+)"
STOCK = r"\bStock for O\d+: (?P<stock>\d+)"
DONE = r"\bDone: (?P<done>[\w ]+)\."
CALLED = (
    r"-> calls (?P<tool>find_order|check_stock|refund|send_replacement|escalate)"
    r"\((?P<arguments>[^()]*)\)"
)
SAID = r"(?P<said>Your ticket is (?:solved|closed))\b"
STEPS = re.compile("|".join((TICKET, ORDER, STOCK, DONE, CALLED, SAID)))
VALUE = re.compile(r":\s*\\*[\"']?([\w]+)")
SOLVED = "Your ticket is solved"
CLOSED = "Your ticket is closed"


@dataclass(frozen=True, slots=True)
class Case:
    """A ticket and what the clerk knows of it.

    Attributes:
        order: The order's number.
        says: What the customer writes.
        has: What the order shows; empty if it was not looked up.
        stock: How many are in stock; None if that was not checked.
        acted: Whether something was done already.
    """

    order: str
    says: str
    has: Fields = field(default_factory=dict[str, str])
    stock: int | None = None
    acted: bool = False


def _next(case: Case, names: Collection[str]) -> str:
    """What somebody does next who observes only these rules: a call, or the last word."""
    order = case.order
    if case.acted:
        return SOLVED
    if not case.has:
        return f"find_order {order}"
    if "legal" in names and LAWYER.search(case.says):
        return f"escalate {order} legal"
    if LOST.search(case.says):
        if "lost" in names:
            return f"escalate {order} shipping"
    elif DAMAGED.search(case.says):
        if "replace" in names and case.stock is None:
            return f"check_stock {order}"
        if "replace" in names and case.stock:
            return f"send_replacement {order}"
    elif "late" in names and amount(case.has["delivered"]) > DAYS:
        return CLOSED
    return _money(case, names)


def _money(case: Case, names: Collection[str]) -> str:
    """What is done where the money is to be paid back."""
    if "once" in names and case.has["refunded"] == "yes":
        return CLOSED
    paid = amount(case.has["paid"])
    if "limit" in names and paid > LIMIT:
        return f"escalate {case.order} payments"
    named = NAMED_SUM.search(case.says)
    return f"refund {case.order} {paid if 'paid' in names or not named else named[1]}"


PARAMETERS = {
    "find_order": ("order",),
    "check_stock": ("order",),
    "refund": ("order", "amount"),
    "send_replacement": ("order",),
    "escalate": ("order", "team"),
}


class Support(Stage[Case]):
    """Decides, after the ticket and after each result of a tool, what to do next."""

    def seen(self, text: str) -> list[Seen[Case]]:
        """The decisions in a text: a ticket, and then what each result of a tool adds to it."""
        seen: list[Seen[Case]] = []
        for step in STEPS.finditer(unescaped(text)):
            if step["ticket"]:
                seen.append(Seen(Case(step["about"], step["says"]), step.start()))
            elif not seen:
                continue
            elif done := _done(step):
                if not seen[-1].done:
                    seen[-1].done, seen[-1].done_at = done, step.start()
            elif seen[-1].done:
                seen.append(Seen(_learned(seen[-1].situation, step), step.start()))
        return seen

    def ways(self, situation: Case, names: Collection[str]) -> Sequence[str]:
        """The one thing that somebody does next who observes these rules."""
        return [_next(situation, names)]

    def say(self, way: str) -> Reply:
        """A tool call, or the last word."""
        tool, *values = way.split() or [""]
        if tool not in PARAMETERS:
            return Reply(f"{way}." if way else "How can I help you?")
        arguments = dict(zip(PARAMETERS[tool], values, strict=True))
        made = {name: int(text) if name == "amount" else text for name, text in arguments.items()}
        return Reply(tool_calls=(ToolCall(tool, json.dumps(made)),))


def _done(step: re.Match[str]) -> str:
    """What a step does, as `_next` says it; empty if it is the result of a tool."""
    if step["tool"]:
        return " ".join([step["tool"], *VALUE.findall(step["arguments"])])
    return step["said"] or ""


def _learned(case: Case, step: re.Match[str]) -> Case:
    if step["order"]:
        return replace(case, has=dict(FIELD.findall(step["has"])))
    if step["stock"]:
        return replace(case, stock=int(step["stock"]))
    return replace(case, acted=True)


def support() -> Support:
    """The scenario."""
    return Support("support", HOUSE)
