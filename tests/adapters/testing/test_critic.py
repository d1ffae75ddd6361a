import random
from collections import Counter

from agl_adapters.testing import Breach, Critic, Rule, any_of

RULES = [Rule(name, f"Mind {name}.", any_of(name), 0.5) for name in ("alpha", "beta", "gamma")]


def named(critic: Critic, *broken: str, times: int = 2000) -> Counter[str]:
    rng = random.Random(0)
    breaches = [Breach(name) for name in broken]
    picks = (critic.suggest(breaches, RULES, rng) for _ in range(times))
    return Counter("+".join(sorted(rule.name for rule in pick)) for pick in picks)


def test_it_misses_some_breaches() -> None:
    seen = named(Critic(misses=0.15), "alpha")
    assert set(seen) == {"alpha", ""}
    assert 0.12 < seen[""] / 2000 < 0.18


def test_it_names_two_at_most_the_frequent_ones_rather() -> None:
    seen = named(Critic(misses=0), *["alpha"] * 8, *["beta"] * 8, "gamma")
    assert {len(names.split("+")) for names in seen} == {2}
    assert seen["alpha+beta"] > 1400


def test_it_names_nothing_that_is_not_broken() -> None:
    assert set(named(Critic(misses=0))) == {""}


def test_remarks_state_no_rule() -> None:
    rng = random.Random(0)
    texts = [Critic(vague=0.2).write([(RULES[0], "")], rng) for _ in range(2000)]
    plain = texts.count("- The prompt should say: Mind alpha.")
    assert 0.77 < plain / 2000 < 0.83
    assert all(text.count("The prompt should say") == 1 for text in texts)
    nothing = Critic(vague=0).write([], rng)
    assert "should say" not in nothing
