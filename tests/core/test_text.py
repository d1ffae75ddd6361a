from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from agl_core.text import cut, cut_middle, escape_hidden, printable


def moves(text: str) -> list[str]:
    """The characters of a text that a terminal could take for a command."""
    return [
        c
        for c in text
        if c not in "\n\t\u200c\u200d" and unicodedata.category(c) in ("Cc", "Cf", "Cs")
    ]


def test_a_terminal_takes_no_commands_from_text(hostile_text: str) -> None:
    cleaned = printable(f"a{hostile_text}b")
    assert moves(cleaned) == []
    assert cleaned.startswith("a\N{REPLACEMENT CHARACTER}")
    assert cleaned.endswith("b")
    cleaned.encode()


def test_honest_text_stays_as_it_is() -> None:
    text = "line\n\ttab, Größe, 日本語, नमस्ते, क्\u200cष, 👩\u200d💻, ∞ {x} [bold] :smile:"
    assert printable(text) == text


@given(st.text(st.characters()))
def test_whatever_it_is_it_moves_nothing_and_can_be_written(text: str) -> None:
    cleaned = printable(text)
    assert moves(cleaned) == []
    assert len(cleaned) == len(text)
    assert printable(cleaned) == cleaned
    cleaned.encode()


def test_a_long_text_is_cut_and_says_so() -> None:
    assert cut("x" * 10, 10) == "x" * 10
    assert cut("one two three", 9) == "one two … (13 characters in all)"
    assert cut("one two three", 8) == "one two … (13 characters in all)"
    assert cut('{"key": "sk-12345678"}', 16) == '{"key": "… (22 characters in all)'


def test_a_cut_goes_through_no_word_unless_it_is_a_very_long_one() -> None:
    assert cut("a" * 100_000, 10_000) == "a" * 8_000 + "… (100000 characters in all)"
    assert cut("a" * 100, 10) == "a" * 5 + "… (100 characters in all)"


def test_what_was_cut_before_says_how_long_it_was() -> None:
    assert cut(cut("word " * 1_000, 500), 100).endswith("… (5000 characters in all)")
    claimed = "word " * 100 + "… (3 characters in all)"
    assert len(cut(claimed, 100)) < 200


def test_a_cut_in_the_middle_keeps_start_and_end() -> None:
    assert cut_middle("x" * 10, 10) == "x" * 10
    text = "start of it, a word sk-12345678 and another sk-87654321 and the end"
    whole, in_two = cut_middle(text, 48), cut_middle(text, 46)
    assert whole == "start of it, a word \n… (23 characters left out)\n sk-87654321 and the end"
    assert in_two == "start of it, a word \n… (35 characters left out)\n and the end"


def test_hidden_characters_are_escaped_and_all_others_stay() -> None:
    def escape(character: str) -> str:
        return f"<{ord(character):x}>"

    assert escape_hidden("a\tb\nc\r\x1b\u2028\u202e\ud83d\x85", escape) == (
        "a<9>b\nc<d><1b><2028><202e><d83d><85>"
    )
    text = "Größe 漢字 क्\u200dष 👩\u200d💻 \u00a0"
    assert escape_hidden(text, escape) == text
    assert escape_hidden("plain", escape) == "plain"
