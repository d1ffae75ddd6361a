"""Recovering templates: what is recovered renders to every sample, and matches what comes later."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agl_core.prompts.inference import infer_template
from agl_core.prompts.matching import lift

NAMES = ["Ann", "Bob Miller", "Li Wei", "Zoë O'Neill", "the customer", "J. R. Díaz", "Ng", "Ada"]
DAYS = ["2026-03-02", "2026-11-30", "Monday, May 4", "tomorrow", "today", "2025-01-01", "in May"]
FACTS = [
    "- likes tea\n- lives in Rome",
    "",
    "- none known",
    '{"age": 41, "tags": ["a", "b"]}',
    "The order 7781 was late.\nIt was refunded.",
    "- works nights",
]
WORDS = ["refunds", "flight delays", "opening hours", "tax forms", "the new phone", "visas"]

PROMPTS = {
    "planner": lambda r: (
        f"You are a planner for {r.choice(NAMES)}. Today is {r.choice(DAYS)}. Be brief."
    ),
    "sql": lambda r: (
        "You are a careful SQL assistant. The schema is:\n"
        f"CREATE TABLE t{r.randrange(99)} (id int, name text{', age int' * r.randrange(3)})\n\n"
        f"Write exactly one query. Prefer explicit joins. User: {r.choice(NAMES)}."
    ),
    "retrieval": lambda r: (
        "Answer from the passages below and from nothing else.\n\n<passages>\n"
        f"{r.choice(FACTS)}\n</passages>\n\nIf the answer is not there, say so."
    ),
    "json": lambda r: (
        'Reply with JSON such as {"answer": {"text": "...", "sure": true}}. '
        f"The topic is {r.choice(WORDS)}. Do not add a comment."
    ),
    "braces": lambda r: (
        f"Fill {{{{name}}}} and {{date}} yourself. The case is about {r.choice(WORDS)}: be kind."
    ),
    "repeated": lambda r: (
        lambda name: f"You help {name} with mail. Sign every answer with the name {name} alone."
    )(r.choice(NAMES)),
    "optional": lambda r: (
        "You answer questions about our shop."
        + r.choice(["", "\nThe customer is a member: offer free delivery.", "\nBe formal."])
        + f"\nThe question is about {r.choice(WORDS)}.\nNever promise a date."
    ),
    "memory": lambda r: (
        f"Facts about the user:\n{r.choice(FACTS)}\nUse only these facts, and never guess others."
    ),
    "ends in a value": lambda r: (
        f"You translate for travelers. Keep names as they are. Language: {r.choice(NAMES)}"
    ),
    "starts with a value": lambda r: (
        f"{r.choice(NAMES)} asks you for help. You are the night desk of a hotel in Lisbon."
    ),
    "two lines of values": lambda r: (
        f"Agent: support.\nUser: {r.choice(NAMES)}\nDate: {r.choice(DAYS)}\n"
        "Solve the request in as few steps as possible, then stop."
    ),
    "number": lambda r: (
        f"You may call tools at most {r.randrange(2, 30)} times. Then answer with what you know."
    ),
}


@pytest.mark.parametrize("name", PROMPTS)
def test_what_is_recovered_from_eight_samples_matches_later_ones(name: str) -> None:
    source = random.Random(name)
    samples = [PROMPTS[name](source) for _ in range(8)]
    template = infer_template(samples)
    assert template is not None
    assert template.variables
    later = [PROMPTS[name](source) for _ in range(50)]
    matched = [text for text in later if lift(template, text) is not None]
    assert len(matched) >= 45
    for text in [*samples, *matched]:
        assert template.render(lift(template, text) or {}) == text


def test_two_places_with_the_same_values_are_one_variable() -> None:
    template = infer_template([PROMPTS["repeated"](random.Random(n)) for n in range(8)])
    assert template is not None
    assert len(template.variables) == 1


def test_braces_of_the_text_stay_as_they_are() -> None:
    template = infer_template([PROMPTS["braces"](random.Random(n)) for n in range(8)])
    assert template is not None
    assert "{{name}} and {date}" in template.raw
    assert "{{name}} and {date}" in template.render(dict.fromkeys(template.variables, "x"))


def test_the_year_that_all_dates_share_is_part_of_them() -> None:
    days = ["2026-01-10", "2026-02-11", "2026-03-12"]
    template = infer_template([f"You plan trips. Today is {day}, at 10:30. Go." for day in days])
    assert template is not None
    assert template.raw == "You plan trips. Today is {value_1}, at 10:30. Go."


@pytest.mark.parametrize(
    "samples",
    [
        [],
        ["You are a planner."],
        ["Hello Ann, be brief.", "Hello Bob, be brief."],
        ["Hello Ann, be brief.", "Hello Bob, be brief.", "Hello Bob, be brief."],
        ["apples are red", "the sky over Rome", "never mind 42"],
    ],
    ids=["none", "one", "two", "two different ones", "nothing in common"],
)
def test_nothing_is_guessed(samples: list[str]) -> None:
    assert infer_template(samples) is None


TEXTS = st.text("ab{} \n.1_v", max_size=12)


@given(
    literals=st.lists(TEXTS, min_size=2, max_size=5),
    rows=st.lists(st.lists(TEXTS, min_size=4, max_size=4), min_size=3, max_size=6),
)
def test_a_template_renders_to_every_sample(literals: list[str], rows: list[list[str]]) -> None:
    samples = [
        "".join(text + value for text, value in zip(literals, [*row, ""], strict=False))
        for row in rows
    ]
    template = infer_template(samples)
    if template is not None:
        for sample in samples:
            values = lift(template, sample)
            assert values is not None
            assert template.render(values) == sample
