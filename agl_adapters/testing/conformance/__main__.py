"""Run tests that use the suite, and print what holds for which framework as a table."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from agl_adapters.testing.conformance.matrix import Matrix

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run pytest on the arguments, the command line's by default; return its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    return int(pytest.main(["--quiet", *given], plugins=[Matrix()]))


if __name__ == "__main__":
    sys.exit(main())
