"""The `handbook` scenario: a question becomes a search, and what the search finds an answer.

Two stages, each with a prompt of its own. The first writes the words that are searched for; what
they find is up to the program's own index. The second reads the documents that it is sent, and
knows no others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from agl_adapters.testing.calls import Reply
from agl_adapters.testing.chains import Chain
from agl_adapters.testing.critic import Critic
from agl_adapters.testing.editor import Editor
from agl_adapters.testing.room_text import unescaped
from agl_adapters.testing.rules import Rule, all_of, any_of, either
from agl_adapters.testing.stages import Seen, Stage

__all__ = ["ANSWERING", "FORMAL", "SEARCHING", "Answering", "Searching", "handbook"]

SEARCHES = "writing the search"
SEARCHING = (
    Rule(
        "story",
        "Search only for what is asked, and leave out the story around the question.",
        all_of(
            r"story|background|chat|small talk|filler|anecdote|context|irrelevant|unrelated|around",
            r"leave|omit|ignor|drop|without|strip|remov|\bnot\b|only|skip",
        ),
        obeyed_unstated=0.65,
        about=SEARCHES,
    ),
    Rule(
        "formal",
        "Replace everyday words by the formal terms that a handbook uses.",
        all_of(
            r"formal|official|handbook(?:'s)? (?:terms|words|language)|terminology|technical term",
            r"word|term|replac|translat|use|synonym",
        ),
        obeyed_unstated=0.65,
        about=SEARCHES,
    ),
    Rule(
        "staff",
        "Name the group of staff that the question is about among the words of the search.",
        all_of(
            r"group|staff|department|role|\bkind of (?:worker|employee)|who the question",
            r"name|add|includ|search|mention|state|keep",
            but=r"document",
        ),
        obeyed_unstated=0.65,
        about=SEARCHES,
    ),
)
"""What the call that writes the search must observe."""

ANSWERS = "answering from the documents"
ANSWERING = (
    Rule(
        "meant",
        "Only answer from a document that is for the staff of the question.",
        all_of(r"document|page|source", r"staff|group|department|\bwho\b|role", but=r"number of"),
        obeyed_unstated=0.85,
        about=ANSWERS,
    ),
    Rule(
        "draft",
        "Never answer from a draft.",
        any_of(r"\bdrafts?\b|not (?:yet )?in force|unapproved"),
        obeyed_unstated=0.8,
        about=ANSWERS,
    ),
    Rule(
        "newest",
        "Where several editions answer, take the newest.",
        any_of(r"newest|latest|most recent|up[- ]to[- ]date|last edition|current edition"),
        obeyed_unstated=0.65,
        about=ANSWERS,
    ),
    Rule(
        "cite",
        "After the answer, cite the number of the document in square brackets.",
        either(
            any_of(r"\bcit(?:e|es|ing|ation)\b"),
            all_of(r"number|\bids?\b|source|reference", r"bracket|after the answer|document"),
        ),
        obeyed_unstated=0.65,
        about=ANSWERS,
    ),
)
"""What the call that answers must observe."""

FORMAL = {
    "holiday": "annual leave",
    "new baby": "parental leave",
    "when ill": "sick pay",
    "long days": "overtime supplement",
    "at home": "remote work",
    "courses": "training budget",
    "way to work": "commuting allowance",
    "boots": "protective footwear",
    "lunch": "meal voucher",
    "goodbye": "notice period",
    "laptop": "computer replacement",
    "bike": "bicycle loan",
}
"""Everyday words, and what a handbook calls the same: the language that a model knows."""

STAFF = {"drives": "driving", "in the workshop": "workshop", "in the office": "office"}
WHAT = re.compile("|".join(FORMAL))
WHO = re.compile("|".join(STAFF))
ASKED = re.compile(
    r"(?P<story>[^\n\r\\\"<>{}`|?]*?)"
    r"(?P<ask>\b(?:How|For how|After how) (?:much|many)\b[^\n\r\\\"<>{}`|?]*\?)"
)
SEARCH = re.compile(r"\bSearch: (?P<search>[^\n\r\\\"]+)")
DOCUMENT = re.compile(
    r"\[(?P<number>H\d+)\] (?P<title>[A-Z][a-z ]+), (?P<staff>\w+) staff, "
    r"(?P<state>edition|draft) (?P<year>\d{4})\. (?P<says>[^\n\r\\\"\[]+)"
)
LISTED = re.compile(r"\bDocuments:")
AMOUNT = re.compile(r"\b(\d+ [a-z]+)")
ANSWER = re.compile(r"\bAnswer: (?P<answer>(?:\d+ [a-z]+|not found)(?: \[H\d+\])?)")
NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class Question:
    """A question.

    Attributes:
        story: What stands before it.
        what: What it asks for, in everyday words.
        who: The kind of staff that it is about.
    """

    story: str
    what: str
    who: str


@dataclass(frozen=True, slots=True)
class Document:
    """A document that the search found.

    Attributes:
        number: Its number.
        title: What it is about, in lower case.
        staff: The kind of staff that it is for.
        draft: Whether it is a draft.
        year: The year of its edition.
        amount: The first amount that it names.
    """

    number: str
    title: str
    staff: str
    draft: bool
    year: int
    amount: str


@dataclass(slots=True)
class Found:
    """A question and the documents found for it, the best match first."""

    question: Question
    documents: list[Document] = field(default_factory=list[Document])


def _questions(text: str) -> Iterator[tuple[int, Question]]:
    """The questions in a text that name a subject and a kind of staff, and where they stand."""
    for found in ASKED.finditer(text):
        what, who = WHAT.search(found["ask"]), WHO.search(found["ask"])
        if what and who:
            yield found.start("ask"), Question(found["story"].strip(), what[0], STAFF[who[0]])


def _document(found: re.Match[str]) -> Document:
    amount = AMOUNT.search(found["says"])
    return Document(
        found["number"],
        found["title"].lower(),
        found["staff"].lower(),
        found["state"] == "draft",
        int(found["year"]),
        amount[1] if amount else "",
    )


class Searching(Stage[Question]):
    """Writes the words that are searched for."""

    def seen(self, text: str) -> list[Seen[Question]]:
        """The questions in a text, and what was searched for."""
        text = unescaped(text)
        steps: list[tuple[int, Question | str]] = [*_questions(text)]
        steps += [(found.start(), found["search"].strip()) for found in SEARCH.finditer(text)]
        seen: list[Seen[Question]] = []
        for place, step in sorted(steps, key=lambda step: step[0]):
            if isinstance(step, Question):
                seen.append(Seen(step, place))
            elif seen and not seen[-1].done:
                seen[-1].done, seen[-1].done_at = step, place
        return seen

    def ways(self, situation: Question, names: Collection[str]) -> Sequence[str]:
        """The one search that somebody writes who observes these rules."""
        words = [FORMAL[situation.what] if "formal" in names else situation.what]
        if "staff" in names:
            words.append(f"{situation.who} staff")
        if "story" not in names and situation.story:
            words.append(situation.story)
        return [" ".join(words)]

    def say(self, way: str) -> Reply:
        """The search."""
        return Reply(f"Search: {way}" if way else "What do you want to know?")


class Answering(Stage[Found]):
    """Answers a question from the documents that were found for it."""

    def seen(self, text: str) -> list[Seen[Found]]:
        """The questions in a text with a list of documents after them, and the answers."""
        text = unescaped(text)
        steps: list[tuple[int, Question | Document | str | None]] = [*_questions(text)]
        steps += [(found.start(), None) for found in LISTED.finditer(text)]
        steps += [(found.start(), _document(found)) for found in DOCUMENT.finditer(text)]
        steps += [(found.start(), found["answer"]) for found in ANSWER.finditer(text)]
        seen: list[Seen[Found]] = []
        for place, step in sorted(steps, key=lambda step: step[0]):
            if isinstance(step, Question):
                seen.append(Seen(Found(step)))
            elif seen and not seen[-1].done:
                last = seen[-1]
                if isinstance(step, str):
                    last.done, last.done_at = step, place
                    continue
                last.asked_at = place
                if step is not None:
                    last.situation.documents.append(step)
        return seen

    def ways(self, situation: Found, names: Collection[str]) -> Sequence[str]:
        """The one answer that somebody gives who observes these rules."""
        subject = FORMAL[situation.question.what]
        left = [document for document in situation.documents if document.title == subject]
        if "meant" in names:
            left = [document for document in left if document.staff == situation.question.who]
        if "draft" in names:
            left = [document for document in left if not document.draft]
        if not left:
            return [NOT_FOUND]
        chosen = max(left, key=lambda document: document.year) if "newest" in names else left[0]
        return [f"{chosen.amount} [{chosen.number}]" if "cite" in names else chosen.amount]

    def say(self, way: str) -> Reply:
        """The answer."""
        return Reply(f"Answer: {way}" if way else "I have no documents to answer from.")


def handbook() -> Chain:
    """The scenario."""
    stages = [Searching("search", SEARCHING), Answering("answer", ANSWERING)]
    return Chain("handbook", stages, Critic(), Editor())
