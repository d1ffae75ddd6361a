"""The `parcels` scenario: picking a carrier, with critiques that are right half of the time.

Half of what a critique suggests is no rule of the house. Some of it does harm where a prompt states
it, as advice that sounds sensible does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agl_adapters.testing.choosing import (
    Choosing,
    Criterion,
    Domain,
    Fields,
    amount,
    needed,
    preferred,
)
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor
from agl_adapters.testing.rules import Breach, Rule, any_of

__all__ = ["PARCELS", "HalfRightCritic", "parcels"]


def _request(rng: random.Random) -> Fields:
    return {
        "weight": f"{rng.randint(1, 20)} kg",
        "abroad": rng.choice(("yes", "no")),
        "fragile": rng.choice(("yes", "no")),
        "due in": f"{rng.randint(2, 6)} days",
        "value": f"{rng.choice((20, 80, 150, 400, 900))} EUR",
    }


def _option(rng: random.Random) -> Fields:
    return {
        "limit": f"{rng.choice((5, 10, 20, 30))} kg",
        "delivers abroad": rng.choice(("yes", "yes", "no")),
        "careful handling": rng.choice(("yes", "yes", "no")),
        "takes": f"{rng.randint(1, 5)} days",
        "insures": f"{rng.choice((100, 500, 500, 1000))} EUR",
        "price": f"{rng.choice((9, 12, 12, 15))} EUR",
        "emissions": f"{rng.randrange(20, 100, 10)} g",
    }


def _decoy(name: str, sentence: str, pattern: str, least: Callable[[Fields], float]) -> Criterion:
    """What no good prompt states, and what does harm where one does."""
    rule = Rule(name, sentence, any_of(pattern), obeyed_unstated=0.0, obeyed_stated=0.6)
    return Criterion(rule, least=least)


PARCELS = Domain(
    name="parcels",
    request="Parcel",
    option="Carrier",
    opening="Which carrier shall take this parcel?",
    draw_request=_request,
    draw_option=_option,
    criteria=(
        needed(
            "weight",
            "Only pick a carrier whose limit is at least the weight of the parcel.",
            r"limit|capacity|carry",
            r"weigh|heav",
            unstated=0.97,
            fits=lambda has, asks: amount(has["limit"]) >= amount(asks["weight"]),
        ),
        needed(
            "abroad",
            "A parcel that goes abroad needs a carrier that delivers abroad.",
            r"abroad|international|foreign",
            r"need|only|must|has to|deliver",
            unstated=0.95,
            fits=lambda has, asks: "yes" in (has["delivers abroad"], _opposite(asks["abroad"])),
        ),
        needed(
            "fragile",
            "A fragile parcel needs a carrier with careful handling.",
            r"fragile|breakable",
            r"careful|gentl",
            unstated=0.75,
            fits=lambda has, asks: "yes" in (has["careful handling"], _opposite(asks["fragile"])),
        ),
        needed(
            "due",
            "Only pick a carrier that takes no more days than the parcel is due in.",
            r"\bdays?\b|time|deadline",
            r"\bdue\b|deadline|in time|late",
            unstated=0.85,
            fits=lambda has, asks: amount(has["takes"]) <= amount(asks["due in"]),
        ),
        needed(
            "insured",
            "Only pick a carrier that insures at least the value of the parcel.",
            r"insur",
            r"value|worth",
            unstated=0.65,
            fits=lambda has, asks: amount(has["insures"]) >= amount(asks["value"]),
        ),
        preferred(
            "cheapest",
            "Among the carriers that fit, pick the one with the lowest price.",
            r"cheapest",
            r"(?:lowest|least|smallest|minimal) (?:price|cost)",
            unstated=0.55,
            least=lambda has: amount(has["price"]),
        ),
        preferred(
            "greenest",
            "At the same price, pick the carrier with the lowest emissions.",
            r"greenest",
            r"(?:lowest|least|fewest|smallest|minimal) emissions",
            unstated=0.5,
            least=lambda has: amount(has["emissions"]),
        ),
    ),
    decoys=(
        _decoy(
            "fastest",
            "Always pick the carrier that delivers fastest.",
            r"fastest|quickest",
            least=lambda has: amount(has["takes"]),
        ),
        _decoy(
            "strongest",
            "Prefer the carrier with the highest limit, to be on the safe side.",
            r"(?:highest|largest|biggest) limit",
            least=lambda has: -amount(has["limit"]),
        ),
        _decoy(
            "best_insured",
            "Choose the carrier with the most insurance.",
            r"(?:most|highest|best) insurance",
            least=lambda has: -amount(has["insures"]),
        ),
    ),
)

HARMLESS = (
    "Explain the choice in one friendly sentence.",
    "Mention the name of the carrier twice.",
    "Double-check the answer before giving it.",
)


def _opposite(answer: str) -> str:
    return "no" if answer == "yes" else "yes"


@dataclass(frozen=True, slots=True)
class HalfRightCritic(Critic):
    """A critic that mistakes what it sees: with `wrong`, a suggestion is something else.

    Attributes:
        wrong: The probability that a suggestion is wrong.
        mistakes: What it then suggests, in place of a rule.
    """

    wrong: float = 0.5
    mistakes: tuple[Rule, ...] = ()

    def suggest(
        self, breaches: Sequence[Breach], rules: Sequence[Rule], rng: random.Random
    ) -> list[Rule]:
        """The rules to be named, and mistakes in the place of some."""
        # Not super(): a dataclass with slots is another class than the one that `super` refers to.
        named = Critic.suggest(self, breaches, rules, rng)
        return [rng.choice(self.mistakes) if rng.random() < self.wrong else rule for rule in named]


def parcels() -> Choosing:
    """The scenario."""
    decoys = [criterion.rule for criterion in PARCELS.decoys]
    harmless = [Rule(text, text, lambda prompt: False, 0.0) for text in HARMLESS]
    critic = HalfRightCritic(mistakes=(*decoys, *harmless))
    return Choosing(PARCELS, critic, Editor())
