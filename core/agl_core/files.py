"""Writing files so that nobody ever reads half of one."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from agl_core.errors import ConfigurationError

__all__ = ["write_atomically"]


def write_atomically(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file so that a reader sees the old one or the new one, never a part.

    The mode of a file that is replaced is kept, and a link to it stays a link. What UTF-8 cannot
    hold, half of a surrogate pair, is written as JSON escapes it.

    Raises:
        ConfigurationError: If it cannot be written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        real = target.resolve()
        temporary = real.with_name(f".{real.name}.{secrets.token_hex(4)}")
        try:
            with temporary.open("x", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if real.exists():
                shutil.copymode(real, temporary)
            os.replace(temporary, real)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot write {target}: {error.strerror}") from error
    return target
