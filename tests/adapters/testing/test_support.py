from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from agl_adapters.testing import Message, ToolCall, load_scenario
from agl_adapters.testing.calls import Call
from agl_adapters.testing.support import HOUSE, Support, support

TICKET = "Ticket K100 about order O1234: "
ORDER = "Order O1234 | item: wool rug | paid: {paid} EUR | delivered: {days} days ago | refunded: "
NAMES = {rule.name for rule in HOUSE}
PARAPHRASES = {
    "legal": ["Whoever threatens to sue is handed over to the team legal."],
    "lost": ["Parcels that never arrived go to the team shipping"],
    "replace": ["Broken goods are exchanged as long as they are in stock."],
    "late": ["After thirty days there is no money for a change of mind."],
    "paid": ["Refund the price in the order record"],
    "limit": ["Forward refunds above 100 euros to the payments team."],
    "once": ["Never pay a second refund."],
}


def next_step(says: str, order: str, stock: str = "", prompt: str = "") -> str:
    """What the clerk does, told this much; by every rule if no prompt is given."""
    messages = [
        Message("system", prompt or " ".join(rule.sentence for rule in HOUSE)),
        Message("user", TICKET + says),
    ]
    results = [("find_order", order), ("check_stock", stock)]
    for tool, result in results:
        if result:
            messages.append(Message("assistant", "", (ToolCall(tool, '{"order": "O1234"}'),)))
            messages.append(Message("tool", result))
    reply = support().reply(Call("chat", "m", tuple(messages)), random.Random(0))
    return " ".join(f"{made.name} {made.arguments}" for made in reply.tool_calls) or reply.text


def order(paid: int = 80, days: int = 10, refunded: str = "no") -> str:
    return ORDER.format(paid=paid, days=days) + refunded


@pytest.mark.parametrize(
    ("says", "shown", "stock", "done"),
    [
        ("I do not like it.", "", "", 'find_order {"order": "O1234"}'),
        ("I do not like it.", order(), "", 'refund {"order": "O1234", "amount": 80}'),
        ("I do not like it: 99 euros!", order(), "", 'refund {"order": "O1234", "amount": 80}'),
        ("I do not like it.", order(days=31), "", "Your ticket is closed."),
        ("I do not like it.", order(refunded="yes"), "", "Your ticket is closed."),
        ("No.", order(paid=101), "", 'escalate {"order": "O1234", "team": "payments"}'),
        ("It never came.", order(), "", 'escalate {"order": "O1234", "team": "shipping"}'),
        ("It is broken.", order(), "", 'check_stock {"order": "O1234"}'),
        ("It is broken.", order(), "Stock for O1234: 2", 'send_replacement {"order": "O1234"}'),
        ("It is broken.", order(), "Stock for O1234: 0", 'refund {"order": "O1234", "amount": 80}'),
        ("It is broken. My lawyer!", order(), "", 'escalate {"order": "O1234", "team": "legal"}'),
    ],
)
def test_by_all_rules_the_clerk_does_what_the_house_expects(
    says: str, shown: str, stock: str, done: str
) -> None:
    assert next_step(says, shown, stock) == done


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_rule_is_stated_in_whatever_words(name: str) -> None:
    for sentence in PARAPHRASES[name]:
        assert [rule.name for rule in HOUSE if rule.states(sentence)] == [name]
    assert not [r.name for r in HOUSE if r.states("Be polite. Solve the ticket with your tools.")]


@pytest.mark.parametrize("quote", [str, json.dumps, lambda text: json.dumps(json.dumps(text))])
def test_a_critic_sees_the_call_that_went_wrong(quote: Callable[[str], str]) -> None:
    told = (
        f"{TICKET}It is broken. I want my 95 euros back.\n"
        f'-> calls find_order({{"order": "O1234"}})\n{order()}\n'
        '-> calls refund({"order": "O1234", "amount": 95})\nDone: refund O1234 95.\n'
        "Your ticket is solved."
    )
    text = quote(told)
    breaches = support().breaches(text) or []
    assert [breach.rule for breach in breaches] == ["replace", "paid"]
    assert all(text[b.position :].startswith("-> calls refund") for b in breaches)
    right = told.replace("95})", "80})").replace("is broken", "does not suit me")
    assert support().breaches(quote(right)) == []


def test_each_task_is_decided_by_the_rules_that_it_names() -> None:
    data = Path(__file__).parents[3] / "examples" / "data" / "support"
    files = [data / f"{split}.jsonl" for split in ("train", "val", "test")]
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert {name for line in lines for name in json.loads(line)["rules"]} == NAMES


def test_is_built_in_and_knows_what_is_no_run() -> None:
    scenario = load_scenario("support")
    assert isinstance(scenario, Support)
    assert scenario.breaches(f"{TICKET}It is broken.") is None
    call = Call("chat", "m", (Message("user", "Hello."),))
    assert "How can I help" in scenario.reply(call, random.Random(0)).text
