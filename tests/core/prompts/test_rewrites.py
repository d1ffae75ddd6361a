from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agl_core.prompts.rewrites import (
    InvalidRewriteError,
    check_placeholders,
    check_rewrite,
    strip_wrapping,
)
from agl_core.prompts.templates import PromptTemplate

PROMPT = "You book rooms.\nBe brief."


@pytest.mark.parametrize(
    "answer",
    [
        PROMPT,
        f"\n  {PROMPT}\n\n",
        f"```\n{PROMPT}\n```",
        f"```markdown\n{PROMPT}\n```\n",
        f"~~~~text\n{PROMPT}\n~~~~",
        f"<prompt>\n{PROMPT}\n</prompt>",
        f'Sure!\n<prompt name="a">\n{PROMPT}\n</prompt>\nHope that helps.',
        f"<improved_prompt>{PROMPT}</improved_prompt>",
        f"Here is the revised prompt:\n\n{PROMPT}",
        f"Here's the new version of your prompt:\n{PROMPT}",
        f"Sure, I made it shorter:\n```\n{PROMPT}\n```",
        f"Okay:\n{PROMPT}",
        f"```\nBelow is the rewrite:\n{PROMPT}\n```",
        f"```\n<prompt>\n{PROMPT}\n</prompt>\n```",
    ],
)
def test_what_models_put_around_a_prompt_is_taken_off(answer: str) -> None:
    assert strip_wrapping(answer) == PROMPT


@pytest.mark.parametrize(
    "prompt",
    [
        "Answer in JSON:\n```json\n{}\n```",
        "```\n{}\n```\nAnswer like that.",
        "Here are the rules you must follow:\n- Be brief.",
        "This is a room booking task:\nBook.",
        "Answer what is in the <prompt>{question}</prompt> and nothing else.",
        "Note:\nBe brief.",
    ],
)
def test_what_belongs_to_a_prompt_stays(prompt: str) -> None:
    assert strip_wrapping(prompt) == prompt


@pytest.mark.parametrize(
    "parent",
    [
        "```\n# Rules\n```",
        "Rules.\n<prompt>\n{question}\n</prompt>",
        "Here is the prompt of the user:\n{question}",
    ],
)
def test_what_the_parent_has_itself_is_no_wrapping(parent: str) -> None:
    child = parent.replace("R", "Good r").replace("the user", "a user").replace("<p", "Go:\n<p")
    assert strip_wrapping(child, parent) == child


@given(st.text(alphabet="`~<prompt>/ \nSure:ab"), st.text(alphabet="`<prompt>/\nab"))
def test_any_answer_is_taken_apart(answer: str, parent: str) -> None:
    stripped = strip_wrapping(answer, parent)
    assert stripped in answer
    assert stripped == stripped.strip()


class TestCheck:
    def test_keeps_engine_and_declared_names(self) -> None:
        parent = PromptTemplate("Book for {name}. {json}", variables=["name"])
        child = check_rewrite(parent, "```\nBook a room for {name}! {json}\n```")
        assert child == parent.with_text("Book a room for {name}! {json}")

    def test_braces_that_are_no_placeholder_are_welcome(self) -> None:
        child = check_rewrite(PromptTemplate("Hi {name}"), 'Hi {name}: {"room": 1, {2}, {} }')
        assert child.format(name="Ada") == 'Hi Ada: {"room": 1, {2}, {} }'

    @pytest.mark.parametrize(
        ("parent", "answer", "reason"),
        [
            ("Hi {name}", "", "empty"),
            ("Hi {name}", " \n", "empty"),
            ("Hi {name}", "```\n```", "empty"),
            ("Hi {name}", " Hi {name}\n", "changes nothing"),
            ("Hi {name}", "```\nHi {name}\n```", "changes nothing"),
            ("Hi {name}. Bye.", "Hi {name}.\n\nBye.", "changes nothing"),
            ("Hi {name}", "Hi there", r"loses \{name\}"),
            ("Hi {name}", "Hi {{name}}", r"loses \{name\}"),
            ("Hi {name}", "Hi {name} {other} {more}", r"invents \{more\}, \{other\}"),
            ("Hi", "Hi {name}", r"invents \{name\}"),
            ("Hi", "x" * 101, "101 characters; the limit is 100"),
            ("Hi", "Hi \ud83d", "no valid Unicode"),
        ],
    )
    def test_refuses_what_is_not_worth_a_rollout(
        self, parent: str, answer: str, reason: str
    ) -> None:
        with pytest.raises(InvalidRewriteError, match=reason):
            check_rewrite(PromptTemplate(parent), answer, max_chars=100)

    def test_a_parent_that_is_longer_sets_its_own_limit(self) -> None:
        parent = PromptTemplate("x" * 200)
        assert check_rewrite(parent, "y" * 200, max_chars=100).raw == "y" * 200
        with pytest.raises(InvalidRewriteError, match="limit is 200"):
            check_rewrite(parent, "y" * 201, max_chars=100)

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            ("Hi {{ name", "no valid template"),
            ("Hi {{ other }}", r"loses \{name\}"),
            ("Hi {{ name | missing }}", "no valid template"),
        ],
    )
    def test_jinja_has_to_parse(self, answer: str, reason: str) -> None:
        with pytest.raises(InvalidRewriteError, match=reason):
            check_rewrite(PromptTemplate("Hi {{ name }}", engine="jinja"), answer)

    def test_in_a_literal_braces_are_text(self) -> None:
        parent = PromptTemplate("Hi {name}", engine="literal")
        assert check_rewrite(parent, "Hi {other}").raw == "Hi {other}"


def test_placeholders_are_compared_whatever_is_declared() -> None:
    parent = PromptTemplate("{a} {b}", variables=["a"])
    check_placeholders(parent, parent.with_text("{b} {a} {a}"))
    with pytest.raises(InvalidRewriteError, match=r"loses \{b\}"):
        check_placeholders(parent, parent.with_text("{a}"))


class TestCode:
    """A model may rewrite the text of a Jinja prompt; it writes no programs."""

    PARENT = PromptTemplate("Hi {{ name }}.{% for i in items %} {{ i }}{% endfor %}", "jinja")

    @pytest.mark.parametrize(
        "text",
        [
            "Hello {{name}}, dear {{ name }}:{% for i in items %} - {{ i }}{% endfor %}",
            "{%- for i in items -%} {{ i }}{% endfor %} Hello {{ name }}. {# why #}",
        ],
    )
    def test_what_was_there_may_be_moved(self, text: str) -> None:
        assert check_rewrite(self.PARENT, text).raw == text

    @pytest.mark.parametrize(
        "added",
        [
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "{{ 'x' * 10**10 }}",
            "{{ name.__class__ }}",
            "{{ cycler.__init__.__globals__ }}",
            "{% set x = 1 %}",
            "{% for i in items %}{% for i in items %}{% endfor %}{% endfor %}",
        ],
    )
    def test_what_is_added_is_rejected(self, added: str) -> None:
        with pytest.raises(InvalidRewriteError, match=r"the rewrite (adds code: |invents)"):
            check_rewrite(self.PARENT, self.PARENT.raw + added)
