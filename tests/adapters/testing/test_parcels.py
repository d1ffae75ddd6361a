from __future__ import annotations

import random

from agl_adapters.testing.parcels import PARCELS, parcels
from agl_adapters.testing.rules import Breach

NAMES = {rule.name for rule in PARCELS.rules}


def test_half_of_what_a_critique_suggests_is_wrong() -> None:
    scenario, rng = parcels(), random.Random(0)
    breaches = [Breach(name) for name in sorted(NAMES)]
    named = [
        rule.name
        for _ in range(500)
        for rule in scenario.critic.suggest(breaches, scenario.rules, rng)
    ]
    assert 0.45 < sum(name in NAMES for name in named) / len(named) < 0.55
    assert {decoy.rule.name for decoy in PARCELS.decoys} < set(named) - NAMES


def test_nothing_is_suggested_where_nothing_is_broken() -> None:
    scenario = parcels()
    assert scenario.critic.suggest([], scenario.rules, random.Random(0)) == []


def test_a_decoy_that_is_stated_comes_before_the_rules() -> None:
    names = {*NAMES, "fastest"}
    worse = 0
    for task in PARCELS.tasks("test", 30):
        scenario = parcels()
        options = scenario.seen(task["input"])[0].situation
        best = PARCELS.best(options.options, options.request, names)
        worse += best != [task["expected"]]
    assert worse > 10
