import pytest

from agl_adapters.testing.prompts import asked_for, find_prompts, prompt_in_force

TWO = (
    'Below are prompts in <prompt name="..."> tags.\n'
    '<prompt name="langgraph:planner#system">\nPlan.\nBe quick.\n</prompt>\n'
    '<prompt name="langgraph:decider#system">\nDecide.\n</prompt>\n'
)


HEADED = "A\n\n## Part\n\nB"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            TWO,
            [
                ("langgraph:planner#system", "Plan.\nBe quick."),
                ("langgraph:decider#system", "Decide."),
            ],
        ),
        ("<current_prompt>\nA\n</current_prompt>", [(None, "A")]),
        ("<prompt name=a>A</prompt> and ```\nB\n```", [("a", "A")]),
        ("Use tags: <prompt>...</prompt>\n<prompt>\nA\n</prompt>", [(None, "A")]),
        ("The instructions:\n```\nA\n\nB\n```\nExamples:\n```\nC\n```", [(None, "A\n\nB")]),
        (f"# Current Prompt Template\n\n{HEADED}\n\n# Critique\n\nC", [(None, HEADED)]),
        ("### PROMPT\nA\n### CRITIQUE\nC", [(None, "A")]),
        ("No prompt here.", []),
    ],
)
def test_prompts_are_found(text: str, found: list[tuple[str | None, str]]) -> None:
    assert [(prompt.name, prompt.text) for prompt in find_prompts(text)] == found


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("Rewrite the prompt named langgraph:decider#system.", ["langgraph:decider#system"]),
        ("Change only langgraph:planner#system", ["langgraph:planner#system"]),
        (
            "A critique of langgraph:planner#system follows.\nNow revise langgraph:decider#system.",
            ["langgraph:decider#system"],
        ),
        ("It concerns langgraph:planner#system", ["langgraph:planner#system"]),
        ("Rewrite them.", ["langgraph:planner#system", "langgraph:decider#system"]),
    ],
)
def test_the_prompts_asked_for_are_chosen(order: str, names: list[str]) -> None:
    assert [prompt.name for prompt in asked_for(find_prompts(TWO), TWO + order)] == names


def test_a_name_that_begins_like_another_is_not_it() -> None:
    text = '<prompt name="a:b">A</prompt><prompt name="a:b#c">C</prompt>'
    (chosen,) = asked_for(find_prompts(text), f"{text}\nRewrite a:b#c")
    assert chosen.name == "a:b#c"


def test_the_prompt_in_force_is_the_last_one_used_before() -> None:
    text = f'{TWO}### system\nPlan.\nBe quick.\n### tool\nX\n{{"system": "Decide."}}\n### answer\nY'
    prompts = find_prompts(text)
    assert prompt_in_force(prompts, text, text.index("X")) == "langgraph:planner#system"
    assert prompt_in_force(prompts, text, text.index("Y")) == "langgraph:decider#system"
    assert prompt_in_force(prompts, TWO, len(TWO)) is None
    escaped = f'{TWO}"Plan.\\nBe quick." Y'
    assert prompt_in_force(prompts, escaped, len(escaped)) == "langgraph:planner#system"
