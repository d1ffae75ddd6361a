"""The `tickets` scenario: picking a clerk for a support ticket, graded by a rater who errs."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from agl_adapters.testing.calls import draws
from agl_adapters.testing.choosing import Choosing, Domain, Fields, amount, needed, preferred
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor

__all__ = ["RATER_ERRS", "TICKETS", "noisy_grade", "tickets"]

RATER_ERRS = 0.2
"""The probability that the rater gives the opposite grade."""

LANGUAGES = ("English", "German", "French", "Spanish")
PRODUCTS = ("billing", "login", "export", "reports")


def _request(rng: random.Random) -> Fields:
    return {
        "language": rng.choice(LANGUAGES),
        "product": rng.choice(PRODUCTS),
        "severity": rng.choice(("low", "high")),
        "customer": rng.choice(("free", "business")),
        "takes": f"{rng.randint(1, 5)} hours",
    }


def _option(rng: random.Random) -> Fields:
    return {
        "languages": ", ".join(rng.sample(LANGUAGES, 3)),
        "products": ", ".join(rng.sample(PRODUCTS, 3)),
        "level": str(rng.randint(1, 3)),
        "business badge": rng.choice(("yes", "yes", "no")),
        "shift ends in": f"{rng.randint(2, 8)} hours",
        "open tickets": str(rng.choice((2, 2, 3, 4))),
    }


TICKETS = Domain(
    name="tickets",
    request="Ticket",
    option="Clerk",
    opening="Who shall answer this ticket?",
    draw_request=_request,
    draw_option=_option,
    criteria=(
        needed(
            "language",
            "Only pick a clerk who speaks the language of the ticket.",
            r"language|speak",
            unstated=0.97,
            fits=lambda has, asks: asks["language"] in has["languages"],
        ),
        needed(
            "product",
            "Only pick a clerk who knows the product of the ticket.",
            r"product",
            r"know|handle|expert|match|of the ticket",
            unstated=0.95,
            fits=lambda has, asks: asks["product"] in has["products"],
        ),
        needed(
            "severity",
            "A ticket of high severity needs a clerk of level 2 or 3.",
            r"sever|urgent|critical",
            r"level|senior",
            unstated=0.65,
            fits=lambda has, asks: asks["severity"] == "low" or amount(has["level"]) > 1,
        ),
        needed(
            "badge",
            "A business customer's ticket needs a clerk with a business badge.",
            r"business",
            r"badge",
            unstated=0.75,
            fits=lambda has, asks: asks["customer"] == "free" or has["business badge"] == "yes",
        ),
        needed(
            "shift",
            "Only pick a clerk whose shift does not end before the ticket is done.",
            r"shift|working hours",
            unstated=0.75,
            fits=lambda has, asks: amount(has["shift ends in"]) >= amount(asks["takes"]),
        ),
        preferred(
            "load",
            "Among the clerks who fit, pick the one with the fewest open tickets.",
            r"(?:fewest|least|lowest|smallest) (?:number of )?(?:open|load)|least busy",
            unstated=0.55,
            least=lambda has: amount(has["open tickets"]),
        ),
        preferred(
            "junior",
            "With equally many open tickets, pick the clerk of the lowest level.",
            r"(?:lowest|least|smallest|minimal) level|most junior",
            unstated=0.5,
            least=lambda has: amount(has["level"]),
        ),
    ),
)


def noisy_grade(answer: str, task: Mapping[str, Any], draw: str) -> float:
    """The rater's grade of an answer: 1.0 or 0.0, and the opposite with `RATER_ERRS`.

    Args:
        answer: What was answered.
        task: The task.
        draw: What tells this answer from others, such as the id of the model's reply: equal draws
            give equal errors.
    """
    grade = TICKETS.grade(answer, task)
    return 1.0 - grade if draws("rater", draw, task["id"]).random() < RATER_ERRS else grade


def tickets() -> Choosing:
    """The scenario."""
    return Choosing(TICKETS, Critic(), Editor())
