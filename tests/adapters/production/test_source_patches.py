"""Prompts put into source: what the patch gives is parsed, and applied with git and patch."""

import ast
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agl_adapters.production.source_patches import Patch, make_patch
from agl_core.errors import ConfigurationError
from agl_core.prompts.prompt_files import PromptFile
from agl_core.prompts.templates import Engine, PromptTemplate

SLOT, OTHER = "my:program#system", "my:other#system"
OWN = "You plan.\nBe brief."
NAME = "my app.py"

SOURCES = {
    "plain": 'P = "You plan.\\nBe brief."\n',
    "triple": 'def f():\n    P = """You plan.\nBe brief."""\n    return P\n',
    "single quotes": "P = '''You plan.\nBe brief.'''\n",
    "implicit": 'P = (\n    "You plan.\\n"  # a comment\n    "Be brief."\n)\n',
    "implicit on one line": 'f("You plan.\\n" "Be brief.", 1)\n',
    "argument": 'def f():\n    g(\n        "You plan.\\n"\n        "Be brief.", 1)\n',
    "plus": 'P = "You plan.\\n" + "Be brief."\n',
    "continued": 'P = "You plan.\\n" \\\n    "Be brief."\n',
    "parenthesised": 'P = ("""You plan.\nBe brief.""")\n',
    "line ends of Windows": 'P = """You plan.\r\nBe brief."""\r\nx = 1\r\n',
    "no last line end": "P = 'You plan.\\nBe brief.'",
    "raw": 'P = r"""You plan.\nBe brief."""\n',
    "f-string without values": 'P = f"You plan.\\nBe brief."\n',
    "byte order mark": '\ufeffP = "You plan.\\nBe brief."\n',
    "others before it": 'x, P = "é漢", "You plan.\\nBe brief."\n',
}
TEXTS = ["You plan.\nBe very brief.", "One.", 'Q"\'s """ \\ \\n {x} %s \t\x1b\u202e é\n\nend"', ""]


def prompt(text: str, *variables: str, engine: Engine = "literal") -> PromptTemplate:
    return PromptTemplate(text, engine, variables)


def patch_of(
    folder: Path, source: str | bytes, own: PromptTemplate, new: PromptTemplate
) -> tuple[Patch, bytes]:
    """Make a patch for one file; return it with the file as it was."""
    content = source if isinstance(source, bytes) else source.encode()
    (folder / NAME).write_bytes(content)
    return make_patch(PromptFile({SLOT: new}, {SLOT: own}), [folder / NAME], folder), content


def applied(folder: Path, patch: Patch, tool: str = "git") -> bytes:
    """Apply a patch; return what the file then is."""
    command = ["git", "apply", "-"] if tool == "git" else ["patch", "-p1", "--binary"]
    subprocess.run(command, cwd=folder, input=patch.diff, check=True, capture_output=True)
    return (folder / NAME).read_bytes()


def texts(source: bytes) -> list[str]:
    tree = ast.walk(ast.parse(source))
    return [n.value for n in tree if isinstance(n, ast.Constant) and isinstance(n.value, str)]


@pytest.mark.parametrize("tool", ["git", "patch"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_a_literal_is_replaced_whatever_way_it_is_written(
    tmp_path: Path, source: str, tool: str
) -> None:
    for text in TEXTS:
        patch, before = patch_of(tmp_path, source, prompt(OWN), prompt(text))
        assert (list(patch.placed), patch.unplaced) == ([SLOT], {})
        after = applied(tmp_path, patch, tool)
        assert text in texts(after)
        assert (b"\r\n" in after) == (b"\r\n" in before)
        assert after.startswith(b"\xef\xbb\xbf") == before.startswith(b"\xef\xbb\xbf")


@given(text=st.text(), source=st.sampled_from(list(SOURCES.values())))
def test_any_text_can_be_put_in(
    text: str, source: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    patch, _ = patch_of(folder, source, prompt(OWN), prompt(text))
    assert patch.unplaced == {}
    if text != OWN:
        assert patch.placed


def test_the_patch_is_small_and_in_the_manner_of_the_source(tmp_path: Path) -> None:
    patch, _ = patch_of(tmp_path, SOURCES["triple"], prompt(OWN), prompt(TEXTS[0]))
    assert patch.diff.decode() == (
        "--- a/my app.py\t\n+++ b/my app.py\t\n@@ -1,4 +1,4 @@\n def f():\n"
        '     P = """You plan.\n-Be brief."""\n+Be very brief."""\n     return P\n'
    )
    assert patch.placed == {SLOT: "my app.py:2"}
    patch, _ = patch_of(tmp_path, SOURCES["plain"], prompt(OWN), prompt(TEXTS[0]))
    assert applied(tmp_path, patch).decode() == (
        'P = (\n    "You plan.\\n"\n    "Be very brief."\n)\n'
    )


def test_a_source_in_another_encoding_stays_in_it(tmp_path: Path) -> None:
    source = '# -*- coding: latin-1 -*-\nx = "é"\nP = "You plan.\\nBe brief."\n'.encode("latin-1")
    patch, _ = patch_of(tmp_path, source, prompt(OWN), prompt("é"))
    assert applied(tmp_path, patch).decode("latin-1").endswith('x = "é"\nP = "é"\n')


# templates


@pytest.mark.parametrize(
    ("expression", "new", "expected"),
    [
        (
            'f"Hi {name}, it is {day}."',
            "{v2}: hi, {v1}, {v1} {{x}}",
            'f"{day}: hi, {name}, {name} {{{{x}}}}"',
        ),
        ('f"Hi {name}, it is {self.day!r:>5}."', "{v1} {v2}", 'f"{name} {self.day!r:>5}"'),
        ('f"Hi {name}, " f"it is {now()}."', "Dear {v1}: {v2}", 'f"Dear {name}: {now()}"'),
        ('f"Hi {name}, it is {now()}."', "{v2} {v1}", None),
        ('f"Hi {name}, it is {now()}."', "{v1}", None),
        ('f"Hi {name}, its {day}."', "{v1} {v2}", None),
        ('"Hi {}, it is {}.".format(name, day)', "{v1} {v2}", None),
        ('"Hi {v1}, it is {v2}.".format(v1=name, v2=day)', "{v1} {v2} {{}}", None),
    ],
)
def test_an_f_string_keeps_its_expressions_or_is_left_alone(
    tmp_path: Path, expression: str, new: str, expected: str | None
) -> None:
    own = prompt("Hi {v1}, it is {v2}.", "v1", "v2")
    patch, _ = patch_of(tmp_path, f"P = {expression}\n", own, prompt(new, "v1", "v2"))
    if expected is None:
        assert (patch.diff, list(patch.unplaced)) == (b"", [SLOT])
    else:
        assert applied(tmp_path, patch).decode() == f"P = {expected}\n"


@pytest.mark.parametrize("engine", ["f-string", "jinja"])
def test_the_text_of_a_template_is_replaced_as_it_stands(tmp_path: Path, engine: Engine) -> None:
    own, new = (PromptTemplate(text, engine) for text in ("Hi {{name}}.", "Dear {{name}}: {x}."))
    patch, _ = patch_of(tmp_path, 'P = Template("Hi {{name}}.")\n', own, new)
    assert applied(tmp_path, patch).decode() == 'P = Template("Dear {{name}}: {x}.")\n'


# what cannot be placed


def test_a_text_in_several_places_is_not_placed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("P = 'Own.'\nQ = 'Own.'\n")
    (tmp_path / "b.py").write_text("P = 'Own.'\n")
    file = PromptFile({SLOT: prompt("New.")}, {SLOT: prompt("Own.")})
    patch = make_patch(file, [tmp_path], tmp_path)
    assert patch.diff == b""
    assert "stands in 3 places: a.py:1, a.py:2, b.py:1; name only" in patch.unplaced[SLOT]
    assert make_patch(file, [tmp_path / "b.py"], tmp_path).placed == {SLOT: "b.py:1"}


def test_two_slots_of_one_text_are_placed_if_they_agree(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("P = 'Own.'\n")
    own = {SLOT: prompt("Own."), OTHER: prompt("Own.")}
    agreed = PromptFile({SLOT: prompt("New."), OTHER: prompt("New.")}, own)
    assert make_patch(agreed, [tmp_path], tmp_path).placed == {SLOT: "a.py:1", OTHER: "a.py:1"}
    apart = make_patch(
        PromptFile({SLOT: prompt("New."), OTHER: prompt("Another.")}, own), [tmp_path], tmp_path
    )
    assert (len(apart.placed), len(apart.unplaced)) == (1, 1)
    assert "another slot's prompt is put at a.py:1" in "".join(apart.unplaced.values())


def test_several_prompts_of_one_file_are_placed(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("P, Q = 'One.', 'Two.'\nR = 'Three.'\n")
    names = ("One", "Two", "Three")
    patch = make_patch(
        PromptFile(
            {f"my:{n}#system": prompt(f"{n}!\nMore.") for n in names},
            {f"my:{n}#system": prompt(f"{n}.") for n in names},
        ),
        [tmp_path],
        tmp_path,
    )
    assert patch.unplaced == {}
    assert set(texts(applied(tmp_path, patch))) == {f"{n}!\nMore." for n in names}


def test_what_is_not_there_or_not_known_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("P = 'Mine, and more.'\n# Own.\nB = b'Own.'\nF = f'{x}Own.'\n")
    file = PromptFile({SLOT: prompt("New."), OTHER: prompt("New.")}, {SLOT: prompt("Own.")})
    patch = make_patch(file, [tmp_path], tmp_path)
    assert patch.unplaced == {
        SLOT: "no literal in 1 file has its text; change it where the program takes it from",
        OTHER: "the file does not say what it replaces",
    }


def test_a_prompt_that_changes_nothing_is_left_out(tmp_path: Path) -> None:
    patch, _ = patch_of(tmp_path, "P = 'Own.'\n", prompt("Own."), prompt("Own."))
    assert (patch.diff, patch.placed, patch.unplaced) == (b"", {}, {})


def test_folders_are_searched_without_what_is_no_source_of_ones_own(tmp_path: Path) -> None:
    for name in (".venv/a.py", "node_modules/a.py", "src/deep/a.py", "src/broken.py", "src/a.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("P = 'Own.'\n" if "broken" not in name else "def (")
    file = PromptFile({SLOT: prompt("New.")}, {SLOT: prompt("Own.")})
    assert make_patch(file, [tmp_path], tmp_path).placed == {SLOT: "src/deep/a.py:1"}


def test_paths_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    file = PromptFile({SLOT: prompt("New.")}, {SLOT: prompt("Own.")})
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "inner").mkdir()
    for path, folder, message in (
        (tmp_path / "none.py", tmp_path, "there is no such file"),
        (tmp_path / "broken.py", tmp_path, "is no Python source"),
        (tmp_path / "broken.py", tmp_path / "inner", "run this in a folder above it"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            make_patch(file, [path], folder)
