"""Files: written so that nobody ever reads half of one; what is the matter if that fails."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from functools import partial
from pathlib import Path

from agl_core.errors import ConfigurationError

__all__ = ["trouble", "write_atomically"]

_REMEDIES = {
    errno.ENOENT: "paths are relative to {folder}",
    errno.EISDIR: "give a file in it",
    errno.ENOTDIR: "a part of the path is a file: give another path",
    errno.EEXIST: "a part of the path is a file: give another path",
    errno.EACCES: "give your user access to it, or choose another file",
    errno.EPERM: "give your user access to it, or choose another file",
    errno.EROFS: "choose a file in another place",
    errno.ENOSPC: "free some, or choose a file in another place",
    errno.EDQUOT: "free some, or choose a file in another place",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def trouble(error: OSError) -> str:
    """Return what is the matter with a file, and what to do about it where that is known."""
    reason = error.strerror or str(error)
    remedy = _REMEDIES.get(error.errno or 0)
    return reason if remedy is None else f"{reason}; {remedy.format(folder=Path.cwd())}"


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
        raise ConfigurationError(f"cannot write {target}: {trouble(error)}") from error
    return target
