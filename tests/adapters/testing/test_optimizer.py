"""Critique, rewrite and reflection calls, in the forms in which optimizers send them."""

import dataclasses
import json
import random
import re

import pytest

from agl_adapters.testing import Call, Critic, Editor, Message, Tool
from agl_adapters.testing.optimizer import optimizer_reply
from agl_adapters.testing.room_booking import RoomBooking
from agl_adapters.testing.room_rules import RULES

SENTENCES = {rule.name: rule.sentence for rule in RULES}
SEED = "You are a booking assistant."
PLANNER = "You gather what is needed, with list_rooms."
REQUEST = "Please book a room on Tuesday 2026-03-03 from 10:00 to 11:00 for 5 people."
LINE = (
    "Room {} | building: Main | capacity {} | equipment: none | step-free: yes | distance: 50 m"
    " | booked: {}"
)
TOO_LARGE = f"{LINE.format('A1', 6, 'none')}\n{LINE.format('A2', 12, 'none')}"
NO_DAY = LINE.format("A2", 12, "not asked for")


class Flawless(RoomBooking):
    critic = Critic(misses=0, vague=0)
    editor = Editor(0, 0, 0, 0)


def run(lines: str = TOO_LARGE, answer: str = "A2", prompt: str = SEED) -> str:
    blocks = [
        f"### system\n{prompt}",
        f"### user\n{REQUEST}",
        '### assistant\n-> calls list_rooms({"day": "2026-03-03"})',
        f"### tool\n{lines}",
        f"### assistant\nIt has what you need.\nRoom: {answer}",
    ]
    return "\n\n".join(blocks)


def tagged(name: str, text: str) -> str:
    return f'<prompt name="{name}">\n{text}\n</prompt>'


def ask(
    *texts: str, tools: tuple[Tool, ...] = (), scenario: RoomBooking | None = None
) -> str | None:
    messages = tuple(Message("user", text) for text in texts)
    call = Call("chat", "gpt-4o", messages, tools)
    reply = optimizer_reply(call, scenario or Flawless(), random.Random(0))
    return reply and reply.text


def suggested(text: str | None) -> list[str]:
    found = re.findall(r"The prompt should say: (.*)", text or "")
    return [name for name, sentence in SENTENCES.items() if sentence in found]


CRITIQUE = "Write a critique of the prompt. Do not rewrite it."


def test_a_critique_names_what_is_broken() -> None:
    text = f"{CRITIQUE}\n{tagged('p', SEED)}\n## Run 1: reward 0\n{run()}"
    assert suggested(ask(text)) == ["smallest"]
    assert suggested(ask(f"{CRITIQUE}\n{json.dumps([{'content': run()}])}")) == ["smallest"]
    assert suggested(ask("You are a critic.", f"{run()}\n{run(NO_DAY)}")) == ["day", "smallest"]


def test_a_critique_of_good_runs_names_nothing() -> None:
    critique = ask(f"{CRITIQUE}\n{tagged('p', SEED)}\n{run(answer='A1')}")
    assert critique is not None
    assert suggested(critique) == []


def test_a_critique_of_several_prompts_says_which_one() -> None:
    prompts = (
        f"{tagged('langgraph:planner#system', PLANNER)}\n{tagged('langgraph:decider#system', SEED)}"
    )
    planned = run(NO_DAY, prompt=PLANNER).split("\n\n")
    two_calls = "\n\n".join([*planned[:3], f"### system\n{SEED}", *planned[3:]])
    task = f"Task: {json.dumps(REQUEST)}"
    text = f"{CRITIQUE}\n{prompts}\n{task}\n{two_calls}\n{two_calls.replace(NO_DAY, TOO_LARGE)}"
    lines = (ask("You are a critic. " * 200, text) or "").splitlines()
    assert [line.split("The prompt should say")[0] for line in sorted(lines)] == [
        "- In prompt [langgraph:decider#system] (about the answer): ",
        "- In prompt [langgraph:planner#system] (about gathering the rooms, tool use): ",
    ]
    unknown = ask(f"{CRITIQUE}\n{prompts}\n{run(NO_DAY, prompt='Another prompt.')}")
    assert (unknown or "").startswith("- About gathering the rooms, tool use: The prompt should")


def test_a_rewrite_adds_what_its_critique_suggests() -> None:
    critique = f"- The prompt should say: {SENTENCES['smallest']}\n- Be clearer."
    text = (
        f"Rewrite the prompt.\n{tagged('p', SEED)}\n# Critique\n{critique}\n# Answer with the text."
    )
    assert ask(text) == f"{SEED}\n{SENTENCES['smallest']}"
    assert (
        ask(f"Apply {json.dumps(critique)} to\n```\n{SEED}\n```")
        == f"{SEED}\n{SENTENCES['smallest']}"
    )


def test_a_rewrite_of_one_of_several_takes_what_is_meant_for_it() -> None:
    critique = (
        f"- In prompt [a:x#system] (about A): The prompt should say: {SENTENCES['nearest']}\n"
        f"- In prompt [a:y#system] (about B): The prompt should say: {SENTENCES['day']}\n"
        f"- About tool use: The prompt should say: {SENTENCES['building']}\n"
    )
    both = f"{tagged('a:x#system', 'X')}\n{tagged('a:y#system', 'Y')}"
    new_x = f"X\n{SENTENCES['nearest']}\n{SENTENCES['building']}"
    new_y = f"Y\n{SENTENCES['day']}\n{SENTENCES['building']}"
    assert ask(f"Rewrite a:x#system.\n{both}\n{critique}") == new_x
    assert ask(f"Rewrite it.\n{tagged('a:y#system', 'Y')}\n{critique}") == new_y
    everything = f"{tagged('a:x#system', new_x)}\n{tagged('a:y#system', new_y)}"
    assert ask(f"Apply the critique.\n{both}\n{critique}") == everything


def test_a_rewrite_without_suggestions_changes_nothing() -> None:
    text = f"Rewrite a prompt so that it takes in a critique.\n{tagged('p', SEED)}\nCritique: fine."
    assert ask(text) == SEED


def test_a_rewrite_that_also_shows_runs_is_a_rewrite() -> None:
    text = f"Revise.\n{tagged('p', SEED)}\n{run(NO_DAY)}\nThe prompt should say: Smile."
    assert ask(text) == f"{SEED}\nSmile."


def test_a_critique_that_is_told_of_failed_edits_is_a_critique() -> None:
    failed = "<failed_edit>\n- The prompt should say: Smile.\n</failed_edit>"
    text = f"# Prompts\n{tagged('p', SEED)}\n# Runs\n{run()}\n{CRITIQUE}\n# Earlier edits\n{failed}"
    assert suggested(ask(text)) == ["smallest"]


def test_gepa_reflection_gets_a_new_instruction_in_a_fence() -> None:
    from gepa.strategies.instruction_proposal import InstructionProposalSignature

    prompt = InstructionProposalSignature.prompt_renderer(
        {
            "current_instruction_doc": SEED,
            "dataset_with_feedback": [
                {
                    "Inputs": REQUEST,
                    "Generated Outputs": f"{TOO_LARGE}\nRoom: A2",
                    "Feedback": "The right room was A1.",
                }
            ],
            "prompt_template": None,
        }
    )
    assert isinstance(prompt, str)
    reply = ask(prompt)
    assert reply == f"```\n{SEED}\n{SENTENCES['smallest']}\n```"
    extracted = InstructionProposalSignature.output_extractor(reply or "")
    assert extracted == {"new_instruction": f"{SEED}\n{SENTENCES['smallest']}"}


def test_agent_lightning_forms() -> None:
    runs = json.dumps([{"role": "user", "content": run()}])
    gradient = (
        f"You optimize a prompt template.\n\n# Original Prompt Template\n\n{SEED}\n\n"
        f"# Experiments with Original Prompt Template\n\n{runs}\n\n"
        "# Your Task\n\nProduce a brief critique listing specific causes for the error."
    )
    critique = ask(gradient)
    assert suggested(critique) == ["smallest"]
    edit = f"# Current Prompt Template\n\n{SEED}\n\n# Critique\n\n{critique}"
    assert ask("You will revise the current prompt.", edit) == f"{SEED}\n{SENTENCES['smallest']}"


@pytest.mark.parametrize(
    "texts",
    [
        (REQUEST,),
        (SEED, f"{REQUEST}\n{TOO_LARGE}"),
        (REQUEST, TOO_LARGE, "Room: A2"),  # a conversation, not a text that quotes one
        (f"<instructions>{SEED}</instructions>", REQUEST),
    ],
)
def test_agent_calls_are_left_to_the_scenario(texts: tuple[str, ...]) -> None:
    assert ask(*texts) is None


def test_a_call_that_offers_tools_is_an_agents() -> None:
    assert ask(f"{CRITIQUE}\n{run()}", tools=(Tool("search"),)) is None


def test_the_scenario_sets_the_rates() -> None:
    class Blind(Flawless):
        critic = dataclasses.replace(Flawless.critic, misses=1.0)

    assert suggested(ask(f"{CRITIQUE}\n{run()}", scenario=Blind())) == []
