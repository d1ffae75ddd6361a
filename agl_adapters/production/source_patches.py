"""Prompts put into the source of a program, as a patch: for literals found by their exact text.

Nothing is written. Each replacement is parsed again and held against the syntax tree that it was
meant to give; one that does not is not made.
"""

from __future__ import annotations

import ast
import difflib
import io
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agl_adapters.production.literals import literal_for, literals, written
from agl_core.errors import ConfigurationError
from agl_core.files import trouble
from agl_core.prompts.prompt_files import PromptFile

__all__ = ["Patch", "make_patch"]

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})


@dataclass(slots=True)
class Patch:
    """A change to source files, and what became of each prompt."""

    diff: bytes = b""
    """A unified diff for `git apply` or `patch -p1` in the folder, encoded as they are."""
    placed: dict[str, str] = field(default_factory=dict[str, str])
    """Where a prompt was put, ``file:line``, by slot."""
    unplaced: dict[str, str] = field(default_factory=dict[str, str])
    """Why a prompt could not be put anywhere, by slot."""


@dataclass(frozen=True, slots=True)
class _Place:
    source: _Source
    node: ast.expr
    replacement: ast.expr

    def __str__(self) -> str:
        return f"{self.source.name}:{self.node.lineno}"


class _Source:
    """One file."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.original = path.read_bytes()
        self._encoding, _ = tokenize.detect_encoding(io.BytesIO(self.original).readline)
        self.text = self.original.decode(self._encoding)
        self.tree = ast.parse(self.text)

    @property
    def bytes(self) -> bytes:
        return self.text.encode(self._encoding)

    def replace(self, node: ast.expr, replacement: ast.expr) -> bool:
        """Replace a literal; return whether that could be done."""
        start, end = (
            self._offset(node.lineno, node.col_offset),
            self._offset(node.end_lineno or 0, node.end_col_offset or 0),
        )
        line = self.text.rfind("\n", 0, start) + 1
        before = self.text[line:start]
        indent = before[: len(before) - len(before.lstrip())]
        made = written(replacement, self.text[start:end], indent, not before.strip())
        if "\r\n" in self.text:
            made = made.replace("\n", "\r\n")
        text = self.text[:start] + made + self.text[end:]
        expected = ast.dump(_Swap(node, replacement).visit(ast.parse(self.text)))
        try:
            text.encode(self._encoding)
            fits = ast.dump(ast.parse(text)) == expected
        except (SyntaxError, ValueError):
            return False
        if fits:
            self.text = text
        return fits

    def _offset(self, line: int, column: int) -> int:
        start = 0
        for _ in range(line - 1):
            start = self.text.index("\n", start) + 1
        end = self.text.find("\n", start)
        content = self.text[start : None if end < 0 else end]
        return start + len(content.encode()[:column].decode())


class _Swap(ast.NodeTransformer):
    """Puts one expression in the place of another one, known by where it stands."""

    def __init__(self, node: ast.expr, replacement: ast.expr) -> None:
        self._place = _span(node)
        self._kind = type(node)
        self._replacement = replacement

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, self._kind) and _span(node) == self._place:
            return self._replacement
        return self.generic_visit(node)


def make_patch(file: PromptFile, paths: Sequence[Path], folder: Path) -> Patch:
    """Put the prompts of a file in the place of the literals that they replace.

    Args:
        file: The prompts. Those that change nothing are left out.
        paths: Python files, and folders of them, within `folder`.
        folder: What names in the patch are relative to.

    Raises:
        ConfigurationError: If a path cannot be read, or is not within the folder.
    """
    patch = Patch()
    sources = list(_sources(paths, folder))
    chosen: dict[str, _Place] = {}
    for slot, new in sorted(file.prompts.items()):
        own = file.replaces.get(slot)
        if own is None:
            patch.unplaced[slot] = "the file does not say what it replaces"
        elif own != new:
            places = [
                _Place(source, node, replacement)
                for source in sources
                for node in literals(source.tree)
                if (replacement := literal_for(node, own, new)) is not None
            ]
            if len(places) == 1:
                chosen[slot] = places[0]
            elif places:
                where = ", ".join(map(str, places))
                patch.unplaced[slot] = (
                    f"its text stands in {len(places)} places: {where}; name only the file in "
                    "which it is to be replaced"
                )
            else:
                files = "1 file" if len(sources) == 1 else f"{len(sources)} files"
                patch.unplaced[slot] = (
                    f"no literal in {files} has its text; change it where the program takes it from"
                )
    _place(chosen, patch)
    patch.diff = b"".join(_diff(source) for source in sources)
    return patch


def _place(chosen: dict[str, _Place], patch: Patch) -> None:
    """Replace from the end of each file to its start, so that what is above stays where it is."""
    order = sorted(chosen.items(), key=lambda item: _span(item[1].node), reverse=True)
    done: dict[tuple[str, object], _Place] = {}
    for slot, place in order:
        key = (place.source.name, _span(place.node))
        other = done.get(key)
        if other is not None:
            if ast.dump(other.replacement) == ast.dump(place.replacement):
                patch.placed[slot] = str(place)
            else:
                patch.unplaced[slot] = f"another slot's prompt is put at {place}, where its text is"
        elif place.source.replace(place.node, place.replacement):
            done[key] = place
            patch.placed[slot] = str(place)
        else:
            patch.unplaced[slot] = f"the literal at {place} cannot be rewritten safely"


def _sources(paths: Sequence[Path], folder: Path) -> Iterator[_Source]:
    seen: set[Path] = set()
    for path in paths:
        for file in _files(path):
            real = file.resolve()
            if real in seen:
                continue
            seen.add(real)
            try:
                name = real.relative_to(folder.resolve()).as_posix()
            except ValueError as error:
                raise ConfigurationError(
                    f"{file} is not in {folder.resolve()}: run this in a folder above it"
                ) from error
            try:
                source = _Source(real, name)
            except OSError as error:
                raise ConfigurationError(f"cannot read {file}: {trouble(error)}") from error
            except (SyntaxError, ValueError, RecursionError) as error:
                if path == file:
                    raise ConfigurationError(f"{file} is no Python source: {error}") from error
                continue
            # Python counts these as ends of lines and a patch does not.
            if "\r" not in source.text.replace("\r\n", "") and name.isprintable():
                yield source


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        if not path.exists():
            raise ConfigurationError(f"cannot read {path}: there is no such file")
        yield path
        return
    for file in sorted(path.rglob("*.py")):
        parts = file.relative_to(path).parts
        if file.is_file() and not any(p in _SKIPPED or p.startswith(".") for p in parts):
            yield file


def _diff(source: _Source) -> bytes:
    after = source.bytes
    if after == source.original:
        return b""
    tab = "\t" if " " in source.name else ""
    old, new = (f"{side}/{source.name}{tab}".encode() for side in "ab")
    lines = [io.BytesIO(part).readlines() for part in (source.original, after)]
    out = difflib.diff_bytes(difflib.unified_diff, *lines, fromfile=old, tofile=new, lineterm=b"\n")
    return b"".join(
        line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in out
    )


def _span(node: ast.AST) -> tuple[int, int, int, int]:
    return tuple(
        getattr(node, name, 0) or 0
        for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")
    )  # pyright: ignore[reportReturnType]
