"""The `dispatch` scenario: two agents send somebody to a report, a team first and then a worker.

Each agent has a prompt of its own, which lacks other rules. The answer is right if both are.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from agl_adapters.testing.calls import draws
from agl_adapters.testing.chains import Chain
from agl_adapters.testing.choosing import Choosing, Domain, Fields, amount, line, needed, preferred
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor

__all__ = ["TEAMS", "WORKERS", "dispatch", "dispatch_tasks", "grade"]

TRADES = ("power", "water", "network", "lifts")
SITES = ("harbor", "center", "airport")
CREWS, CREW = 5, 5
DRAWS = 12


def _report(rng: random.Random) -> Fields:
    return {
        "trade": rng.choice(TRADES),
        "site": rng.choice(SITES),
        "danger": rng.choice(("yes", "no")),
    }


def _team(rng: random.Random) -> Fields:
    return {
        "trades": ", ".join(rng.sample(TRADES, 3)),
        "licensed for": ", ".join(rng.sample(SITES, 2)),
        "safety badge": rng.choice(("yes", "yes", "no")),
        "queue": f"{rng.choice((1, 1, 2, 3))} reports",
        "distance": f"{rng.randrange(1, 30)} km",
    }


def _visit(rng: random.Random) -> Fields:
    return {
        "starts": f"{rng.randint(9, 13)} h",
        "lasts": f"{rng.randint(1, 4)} hours",
        "tools": rng.choice(("heavy", "light")),
        "customer": rng.choice(("new", "known")),
    }


def _worker(rng: random.Random) -> Fields:
    return {
        "free from": f"{rng.randint(8, 11)} h",
        "shift ends": f"{rng.randint(13, 18)} h",
        "van": rng.choice(("yes", "yes", "no")),
        "certified": rng.choice(("yes", "yes", "no")),
        "visits today": str(rng.choice((1, 1, 2, 3))),
        "rate": f"{rng.randrange(30, 70)} EUR",
    }


TEAMS = Domain(
    name="dispatch teams",
    request="Report",
    option="Team",
    opening="Which team takes this report?",
    draw_request=_report,
    draw_option=_team,
    criteria=(
        needed(
            "trade",
            "Only pick a team that masters the trade of the report.",
            r"\btrades?\b",
            unstated=0.97,
            fits=lambda has, asks: asks["trade"] in has["trades"],
            about="picking the team",
        ),
        needed(
            "site",
            "Only pick a team that is licensed for the site of the report.",
            r"licen[sc]e|permit",
            r"\bsites?\b",
            unstated=0.75,
            fits=lambda has, asks: asks["site"] in has["licensed for"],
            about="picking the team",
        ),
        needed(
            "danger",
            "Where there is danger, only pick a team with a safety badge.",
            r"danger|hazard",
            r"badge",
            unstated=0.75,
            fits=lambda has, asks: asks["danger"] == "no" or has["safety badge"] == "yes",
            about="picking the team",
        ),
        preferred(
            "queue",
            "Among the teams that fit, pick the one with the shortest queue.",
            r"(?:shortest|smallest|least|fewest)[^.]{0,20} (?:queue|reports)",
            unstated=0.65,
            least=lambda has: amount(has["queue"]),
            about="picking the team",
        ),
        preferred(
            "nearest",
            "With equal queues, pick the nearest team.",
            r"nearest|closest|(?:shortest|smallest|least) distance",
            unstated=0.6,
            least=lambda has: amount(has["distance"]),
            about="picking the team",
        ),
    ),
)

WORKERS = Domain(
    name="dispatch workers",
    request="Visit",
    option="Worker",
    opening="Which worker makes this visit?",
    draw_request=_visit,
    draw_option=_worker,
    criteria=(
        needed(
            "free",
            "Only pick a worker who is free when the visit starts.",
            r"\bfree\b|available",
            r"start|begin|\bfrom\b",
            unstated=0.95,
            fits=lambda has, asks: amount(has["free from"]) <= amount(asks["starts"]),
            about="picking the worker",
        ),
        needed(
            "shift",
            "Only pick a worker whose shift does not end before the visit is over.",
            r"\bshifts?\b|overtime",
            unstated=0.75,
            fits=lambda has, asks: (
                amount(has["shift ends"]) >= amount(asks["starts"]) + amount(asks["lasts"])
            ),
            about="picking the worker",
        ),
        needed(
            "van",
            "Heavy tools need a worker with a van.",
            r"heavy|tools?\b",
            r"\bvan\b",
            unstated=0.75,
            fits=lambda has, asks: asks["tools"] == "light" or has["van"] == "yes",
            about="picking the worker",
        ),
        needed(
            "certified",
            "A new customer is only sent a certified worker.",
            r"new customers?",
            r"certif",
            unstated=0.8,
            fits=lambda has, asks: asks["customer"] == "known" or has["certified"] == "yes",
            about="picking the worker",
        ),
        preferred(
            "load",
            "Among the workers who fit, pick the one with the fewest visits today.",
            r"(?:fewest|least|lowest|smallest)[^.]{0,20} visits|least busy",
            unstated=0.65,
            least=lambda has: amount(has["visits today"]),
            about="picking the worker",
        ),
        preferred(
            "rate",
            "With equally many visits, pick the worker with the lowest rate.",
            r"cheapest|(?:lowest|least|smallest) (?:rate|price|cost)",
            unstated=0.6,
            least=lambda has: amount(has["rate"]),
            about="picking the worker",
        ),
    ),
)


def dispatch_tasks(seed: int | str, n: int) -> list[dict[str, Any]]:
    """Fresh tasks; different seeds give different ones, equal seeds the same.

    Returns:
        Tasks with `id`, `report` (what the first agent is told, the teams in it), `crews` (what the
        second one is told, by the team that was picked), `team` and `worker` (those that are right)
        and `rules` (those that decide it).
    """
    rng = draws("dispatch", "tasks", seed)
    return [{"id": f"{seed}-{number:02}", **_task(rng)} for number in range(1, n + 1)]


def grade(answer: str, task: Mapping[str, Any]) -> float:
    """1.0 if the answer names the right worker last, else 0.0."""
    named = re.findall(r"\bWorker:\W*([A-Z]\d+)\b", answer)
    return float(named[-1:] == [task["worker"]])


def dispatch() -> Chain:
    """The scenario."""
    stages = [Choosing(domain, Critic(), Editor()) for domain in (TEAMS, WORKERS)]
    return Chain("dispatch", stages, Critic(), Editor())


def _task(rng: random.Random) -> dict[str, Any]:
    """Whoever is sent from whichever team, nobody else has the name."""
    teams = [f"T{number}" for number in rng.sample(range(10, 100), CREWS)]
    names = [f"W{number}" for number in rng.sample(range(100, 1000), CREWS * CREW)]
    report, options, team, team_rules = _choice(TEAMS, teams, rng)
    visit, workers, worker, worker_rules = _choice(WORKERS, [names.pop() for _ in range(CREW)], rng)
    crews = {
        name: workers
        if name == team
        else {names.pop(): WORKERS.draw_option(rng) for _ in range(CREW)}
        for name in teams
    }
    number = rng.randrange(100, 1000)
    return {
        "report": _text(TEAMS, f"R{number}", report, options),
        "crews": {name: _text(WORKERS, f"V{number}", visit, crew) for name, crew in crews.items()},
        "team": team,
        "worker": worker,
        "rules": [*team_rules, *worker_rules],
    }


def _choice(
    domain: Domain, names: list[str], rng: random.Random
) -> tuple[Fields, dict[str, Fields], str, list[str]]:
    """Of some draws the one that most rules decide: request, options, the right one, the rules."""
    drawn: list[tuple[Fields, dict[str, Fields], str, list[str]]] = []
    while len(drawn) < DRAWS:
        request = domain.draw_request(rng)
        options = {name: domain.draw_option(rng) for name in names}
        rules = domain.engaged(options, request)
        if rules is not None:
            (right,) = domain.best(options, request, {rule.name for rule in domain.rules})
            drawn.append((request, options, right, sorted(rules)))
    return max(drawn, key=lambda choice: len(choice[3]))


def _text(domain: Domain, number: str, request: Fields, options: Mapping[str, Fields]) -> str:
    lines = [line(domain.request, number, request)]
    lines += [line(domain.option, name, has) for name, has in options.items()]
    return "\n".join([domain.opening, *lines])
