"""Pages: the templates, and the styles and scripts that go with them."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import agl_adapters
from agl_adapters.report.views import shown_number
from agl_core.text import printable

__all__ = [
    "ASSETS",
    "REPORT_SCRIPTS",
    "Assets",
    "embedded_json",
    "inlined_assets",
    "linked_assets",
    "render",
]

_HERE = Path(__file__).parent
ASSETS = _HERE / "assets"
"""The folder of styles and scripts."""

_LIBRARIES = {
    "vendor/d3.min.js": "vendor/d3.LICENSE",
    "vendor/plot.umd.min.js": "vendor/plot.LICENSE",
}
REPORT_SCRIPTS = (*_LIBRARIES, "page.js", "charts.js", "heat.js", "rollouts.js", "trace.js")
"""The scripts of a run's page, but for the one that starts it."""
_START = "start.js"


@dataclass(frozen=True, slots=True)
class Assets:
    """The style and the scripts of a page: their text if they are in it, else their names."""

    inlined: bool
    style: str
    scripts: Sequence[str]
    policy: str
    """The Content-Security-Policy of a page that has all in it."""


@functools.cache
def inlined_assets() -> Assets:
    """Return what a page needs that must open from a file, and may load nothing."""
    scripts = [_script(name) for name in (*REPORT_SCRIPTS, _START)]
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    # Styles have to be allowed as such: the charts bring theirs along.
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return Assets(True, (ASSETS / "page.css").read_text(encoding="utf-8"), scripts, policy)


def linked_assets(*scripts: str) -> Assets:
    """Return what a page of the server links to.

    Args:
        scripts: Its scripts, but for the one that starts it.
    """
    return Assets(False, "page.css", [*scripts, _START], "")


def render(template: str, **context: Any) -> str:
    """Fill a template. What is put in is text, never markup."""
    return _environment().get_template(template).render(version=agl_adapters.__version__, **context)


def embedded_json(value: Any) -> Markup:
    """Return JSON that can stand in a script element: nothing in it ends the element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        embedded=embedded_json,
        score=shown_number,
        shown=printable,
        signed=_signed,
    )
    return environment


def _script(name: str) -> str:
    """Return a script; that of a library with its license, which asks for it."""
    text = (ASSETS / name).read_text(encoding="utf-8")
    if name not in _LIBRARIES:
        return text
    terms = (ASSETS / _LIBRARIES[name]).read_text(encoding="utf-8").strip()
    return f"/*!\n{terms}\n*/\n{text}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
