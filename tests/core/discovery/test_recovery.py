"""From what was seen to a prompt: what is the program's, and what is the task's or the model's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agl_core.discovery.recovery import (
    Foreign,
    Recovered,
    SeenText,
    recover,
    sample_values,
    seen_slots,
)
from agl_core.prompts.binding import Binding
from agl_core.prompts.provenance import Rendered
from agl_core.prompts.sightings import Sightings
from agl_core.prompts.templates import PromptTemplate
from agl_core.rollouts import Rollout
from agl_core.spans.genai import message_attributes, request_attributes, tool_attributes
from agl_core.spans.span import Span

SYSTEM, USER = "toy:node#system", "toy:node#user"
QUESTIONS = ["Where is the river Po?", "When did Rome burn down?", "Who wrote the Aeneid?"]


def span(attributes: dict[str, Any]) -> Span:
    return Span("span", "client", "t", "1", None, 1, 2, attributes)


def said(text: str) -> Span:
    answer = {"role": "assistant", "content": text}
    return span(request_attributes("m") | message_attributes([answer], "output"))


def rollout(
    number: int,
    *texts: str | Rendered,
    slot: str = SYSTEM,
    task: Any = None,
    spans: Sequence[Span] = (),
    inputs: Sequence[str] = (),
) -> Rollout:
    """A rollout in which a slot sent some texts."""
    binding = Binding({}, sightings=Sightings(inputs=list(inputs)))
    role: Any = "user" if "#user" in slot else "system"
    for text in texts:
        if isinstance(text, Rendered):
            binding.inject(slot, text.template.render(text.values), text, role)
        else:
            binding.inject(slot, text, role=role)
    return Rollout(
        str(number),
        {"id": number} if task is None else task,
        f"task {number}",
        "t",
        "val",
        "succeeded",
        1.0,
        spans=tuple(spans),
        sightings=binding.sightings,
    )


def recovered(rollouts: Sequence[Rollout], max_unmatched: float = 0.2) -> Recovered | None:
    (slot,) = seen_slots(rollouts).values()
    foreign = [Foreign(rollout) for rollout in rollouts]
    return recover(slot, foreign, len({r.task_key for r in rollouts}), max_unmatched)


def asked(*texts: str, **options: Any) -> list[Rollout]:
    """Rollouts that each send a user message, and whose tasks are questions."""
    return [
        rollout(n, text, slot=USER, task={"question": QUESTIONS[n % 3]}, **options)
        for n, text in enumerate(texts)
    ]


class TestSystemMessages:
    def test_the_same_text_is_the_prompt(self) -> None:
        found = recovered([rollout(n, "Plan {x}.", "Plan {x}.") for n in range(3)])
        assert found == Recovered(PromptTemplate("Plan {x}.", "literal"), "text")

    def test_the_text_of_a_task_is_a_value_however_tasks_resemble_each_other(self) -> None:
        tasks = [f"Find a room for {n} people in the north wing on Monday." for n in (4, 7, 12)]
        found = recovered(
            [
                rollout(n, f"Book rooms. Request: {t} Be brief.", task={"q": t})
                for n, t in enumerate(tasks)
            ]
        )
        assert found is not None
        assert found.source == "inferred"
        assert found.prompt == PromptTemplate(
            "Book rooms. Request: {value_1} Be brief.", "literal", ["value_1"]
        )

    def test_values_that_stand_close_together_are_told_apart_if_they_are_known(self) -> None:
        answers = [
            "It is in Italy, I think.",
            "It was in the year 64.",
            "It was Virgil, of course.",
        ]
        found = recovered(
            [
                rollout(
                    n,
                    f"Compare.\nQ: {question}\nA: {answer}\nQ again: {question}",
                    task={"question": question},
                    spans=[said(answer)],
                )
                for n, (question, answer) in enumerate(zip(QUESTIONS, answers, strict=True))
            ]
        )
        assert found is not None
        assert found.prompt is not None
        assert found.prompt.raw == "Compare.\nQ: {value_1}\nA: {value_2}\nQ again: {value_1}"

    def test_texts_that_share_nothing_are_left_alone(self) -> None:
        found = recovered(
            [rollout(n, text) for n, text in enumerate(["Plan.", "Go home.", "x y z"])]
        )
        assert found is not None
        assert found.prompt is None
        assert "3 texts in 3 rollouts" in found.reason

    def test_a_text_that_is_nothing_but_what_the_task_says_is_no_template(self) -> None:
        found = recovered(
            [rollout(n, question, task={"q": question}) for n, question in enumerate(QUESTIONS)]
        )
        assert found is not None
        assert found.prompt is None

    def test_few_other_texts_are_other_prompts_that_share_the_slot(self) -> None:
        usual = ["Plan the trip for the customer."] * 4
        rollouts = [rollout(n, *usual, "Sum up what you know.") for n in range(3)]
        found = recovered(rollouts)
        assert found is not None
        assert found.prompt == PromptTemplate(usual[0], "literal")
        found = recovered(rollouts, max_unmatched=0.1)
        assert found is not None
        assert found.prompt is None

    def test_a_text_of_one_task_alone_is_no_prompt(self) -> None:
        texts = [["A"] * 9, ["Bb cc"], ["Dd ee ff"]]
        found = recovered([rollout(n, *sent) for n, sent in enumerate(texts)])
        assert found is not None
        assert found.prompt is None


class TestProvenance:
    OWN = PromptTemplate("Tell {who} of {what}.")

    def test_a_template_that_was_seen_is_believed(self) -> None:
        found = recovered([rollout(1, Rendered(self.OWN, {"who": "Ann", "what": "cats"}))])
        assert found == Recovered(self.OWN, "template")

    def test_also_for_texts_that_were_rendered_unseen(self) -> None:
        seen = Rendered(self.OWN, {"who": "Ann", "what": "cats"})
        assert recovered([rollout(1, seen, "Tell Bob of dogs.")]) == Recovered(self.OWN, "template")

    def test_several_templates_are_several_prompts(self) -> None:
        other = PromptTemplate("Warn {who}.")
        found = recovered(
            [
                rollout(1, Rendered(self.OWN, {"who": "Ann", "what": "cats"})),
                rollout(2, Rendered(other, {"who": "Ann"})),
            ]
        )
        assert found is not None
        assert found.prompt is None
        assert "2 different templates" in found.reason

    def test_values_are_shown(self) -> None:
        texts = [
            SeenText("Tell Ann of cats.", None, 0, 1),
            SeenText("", Rendered(self.OWN, {"who": "Bob of", "what": "x"}), 1, 1),
        ]
        assert sample_values(self.OWN, texts) == {"what": ("cats", "x"), "who": ("Ann", "Bob of")}


class TestUserMessages:
    def test_the_same_message_on_several_tasks_is_a_prompt(self) -> None:
        found = recovered(asked(*["Now write the final answer."] * 3))
        assert found == Recovered(PromptTemplate("Now write the final answer.", "literal"), "text")

    def test_a_text_around_the_task_is_a_prompt(self) -> None:
        found = recovered(asked(*[f"Answer in one word: {question}" for question in QUESTIONS]))
        assert found is not None
        assert found.prompt is not None
        assert found.prompt.raw == "Answer in one word: {value_1}"

    def test_the_task_is_none(self) -> None:
        assert recovered(asked(*QUESTIONS)) is None
        assert recovered(asked(*[f"  {question}\n" for question in QUESTIONS])) is None

    def test_nor_a_part_of_it(self) -> None:
        assert recovered(asked(*["the river Po", "Rome burn down", "the Aeneid"])) is None

    def test_nor_what_the_program_was_given_otherwise(self) -> None:
        given = "Customer 7781 asks: where is my parcel?"
        assert recovered(asked(*[given] * 3, inputs=[given])) is None

    def test_nor_tasks_that_resemble_each_other(self) -> None:
        tasks = [f"Find a room for {n} people in the north wing on Monday." for n in (4, 7, 12)]
        rollouts = [rollout(n, t, slot=USER, task={"q": t}) for n, t in enumerate(tasks)]
        assert recovered(rollouts) is None

    def test_nor_what_a_model_or_a_tool_said(self) -> None:
        assert recovered(asked(*["APPROVED, go on."] * 3, spans=[said("APPROVED, go on.")])) is None
        result = span(tool_attributes("t", arguments={"ask": "Who is it?"}, result="Nobody knows."))
        assert recovered(asked(*["Nobody knows."] * 3, spans=[result])) is None
        assert recovered(asked(*["Who is it?"] * 3, spans=[result])) is None
        inside = said('{"question": "Who is it?"}')
        assert recovered(asked(*["Who is it?"] * 3, spans=[inside])) is None

    def test_nor_what_was_seen_on_one_task_alone(self) -> None:
        message = "Now write the final answer."
        once = [*asked("x y z w"), *asked(message)][:1]
        assert recovered(once) is None
        same_task = [rollout(1, message, slot=USER), rollout(1, message, slot=USER)]
        assert recovered(same_task) is None

    def test_nor_a_template_without_text_of_its_own(self) -> None:
        whole = PromptTemplate("{input}")
        seen = [
            rollout(n, Rendered(whole, {"input": q}), slot=USER) for n, q in enumerate(QUESTIONS)
        ]
        assert recovered(seen) is None
        assert recovered(asked(*[f"Q: {question}" for question in QUESTIONS])) is None

    def test_nor_one_that_cannot_be_recovered(self) -> None:
        assert recovered(asked("one two", "three", "four five six")) is None


def test_a_hostile_text_costs_no_time() -> None:
    texts = [f"{n} " + "a b " * 30_000 + str(n) for n in range(8)]
    found = recovered([rollout(n, text) for n, text in enumerate(texts)])
    assert found is not None
    assert found.prompt is None
