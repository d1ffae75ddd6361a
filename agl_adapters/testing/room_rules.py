"""The rules of booking a room: the sentence that says each, and what else states it."""

from __future__ import annotations

from agl_adapters.testing.rules import Rule, all_of, any_of, either

__all__ = ["ANSWERING", "GATHERING", "RULES"]

# What a sentence may speak of; a rule is stated where the right ones come together.
GATHERS = r"\btools?\b|look(?:ing)? ?up|\b(?:call|quer|search|ask\b|pass|give|fetch|list)"
PEOPLE = r"people|person|attend|participa|group|party|everyone|everybody|headcount|guests"
SPACE = r"capacity|\bseat|\bfit|\bhold|accommodat|\blarge|\bbig|enough|\bsize"
EQUIPMENT = r"equip|projector|whiteboard|webcam|microphone|amenit|facilit|\bitems?\b"
HAVING = (
    r"\bha(?:s|ve)\b|\bwith\b|\ball\b|\bevery|\beach|requir|request|need|ask|includ|match|missing"
)
ACCESS = r"step[- ]?free|accessib|\bramp|\blift|barrier|no steps"
DISABILITY = r"wheelchair|mobility|disab|need|requir|request|must|ask"
FREE = r"overlap|conflict|clash|(?<!step.)\bfree\b|availab|unbooked|not booked"
TIME = r"slot|time|period|duration|meeting|book|schedule|calendar|request"
WHOLE = r"whole|entire|\bfull|complete|throughout|all of"
TOUCHING = (
    r"touch|back[- ]to[- ]back|adjacent|adjoin|(?:immediately|right|directly|just) (?:before|after)"
    r"|(?:end|finish|start|begin)(?:n?ing|e?s)? (?:exactly |just |right )?(?:when|as|at)\b"
)
HARMLESS = (
    r"(?:\bnot?\b|n't).{0,20}(?:overlap|conflict|clash|problem|block|count)"
    r"|\bfine\b|\bok(?:ay)?\b|allowed|acceptable|\bfree\b|available|ignore"
)
DAY = r"\b(?:day|date)s?\b"
BUILDING = r"\bbuildings?\b"
NAMED = r"request|\bname|asked|right|correct|respect|prefer|want"

# The unstated probabilities are those of a model that knows what everybody knows (people need
# seats) and guesses at the conventions of the house. They are set so that a prompt that states no
# rule scores 0.57 on the example's validation tasks.

GATHERING = (
    Rule(
        "day",
        "Call list_rooms with the day of the request, so that it shows the bookings of that day.",
        all_of(GATHERS, DAY),
        obeyed_unstated=0.73,
        about="gathering the rooms, tool use",
    ),
    Rule(
        "building",
        "Call list_rooms with the building that the request names.",
        all_of(f"{GATHERS}|{NAMED}", BUILDING),
        obeyed_unstated=0.75,
        about="gathering the rooms, tool use",
    ),
)
"""What the call that uses the tool must observe."""

ANSWERING = (
    Rule(
        "capacity",
        "Only pick a room whose capacity is at least the number of people.",
        all_of(SPACE, PEOPLE),
        obeyed_unstated=0.99,
    ),
    Rule(
        "equipment",
        "Only pick a room that has every item of equipment asked for.",
        all_of(EQUIPMENT, HAVING),
        obeyed_unstated=0.98,
    ),
    Rule(
        "step_free",
        "If somebody uses a wheelchair, only pick a room with step-free access.",
        all_of(ACCESS, DISABILITY),
        obeyed_unstated=0.9,
    ),
    Rule(
        "free",
        "Only pick a room with no booking that overlaps the requested time.",
        either(
            any_of(r"double[- ]book", r"already (?:booked|taken|occupied)"),
            all_of(FREE, TIME, but=TOUCHING),
            all_of(FREE, TIME, WHOLE),
        ),
        obeyed_unstated=0.985,
    ),
    Rule(
        "touching",
        "A booking that ends when the meeting starts, or starts when it ends, is not an overlap.",
        all_of(TOUCHING, HARMLESS),
        obeyed_unstated=0.76,
    ),
    Rule(
        "smallest",
        "Among the rooms that fit, pick the one with the smallest capacity.",
        any_of(
            r"\bsmallest\b(?! distance)|\btightest|\bsnuggest",
            r"oversize|too (?:large|big)|wast(?:e|ing)",
            r"(?:least|lowest|minimal|fewest) (?:\w+ )?(?:capacity|seats)",
            r"(?:no|not) (?:larger|bigger) than",
            r"closest (?:in|to)\b.*(?:size|capacity|number)",
        ),
        obeyed_unstated=0.75,
    ),
    Rule(
        "nearest",
        "Among rooms of the same capacity, pick the one with the shortest distance.",
        any_of(
            r"\bnearest\b|\bnearer\b|closer to the entrance",
            r"\bclosest\b(?! (?:in|to)\b.*(?:size|capacity|number))",
            r"(?:shortest|shorter|smallest|lowest|least|minimal) (?:walk|distance|way)",
        ),
        obeyed_unstated=0.74,
    ),
)
"""What the call that answers must observe: five hard rules, then two that break ties."""

RULES = GATHERING + ANSWERING
