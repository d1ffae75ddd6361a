"""Writing files so that nobody ever reads half of one."""

from __future__ import annotations

import os
import secrets
import shutil
from functools import partial
from pathlib import Path

from agl_core.errors import ConfigurationError

__all__ = ["write_atomically"]


def write_atomically(
    path: str | os.PathLike[str], content: str | bytes, *, private: bool = False
) -> Path:
    """Write a file so that a reader sees the old one or the new one, never a part.

    The mode of a file that is replaced is kept, and a link to it stays a link. Text is written
    as UTF-8; what that cannot hold, half of a surrogate pair, as JSON escapes it.

    Args:
        path: The file, made with its folders.
        content: What is written.
        private: Whether a new one can be read by its user only, whatever the umask.

    Raises:
        ConfigurationError: If it cannot be written.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    target, mode = Path(path), 0o600 if private else 0o666
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        real = target.resolve()
        temporary = real.with_name(f".{real.name}.{secrets.token_hex(4)}")
        try:
            with open(temporary, "xb", opener=partial(os.open, mode=mode)) as file:
                file.write(data)
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
