"""Files are replaced whole, or not at all, and only what is a file is read or written."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ParameterError, VitAttentionError
from ..support.words import said, shorten

__all__ = ["check_file", "reading", "replaced"]


@contextmanager
def replaced(path: str | Path) -> Iterator[Path]:
    """Write a file in one go: whoever reads it sees the old file or the new one, never a part.

    The body writes the path that it is given, which lies beside the file; then it is flushed to
    the disk and takes the file's place. A link stays a link, and the file's mode stays;
    a new one has the mode that the system gives, whatever writes it (safetensors' is private).

    Raises
    ------
    ParameterError
        With the file's name, whatever goes wrong; then the old file is as it was.
    """
    try:
        target = Path(path).resolve()  # a link stays a link
        mode = _mode(target)
        if mode is not None and not os.access(target, os.W_OK):
            raise PermissionError("Permission denied: the file is read-only")
        temporary = target.with_name(f".{secrets.token_hex(8)}.part")
        try:
            temporary.touch(exist_ok=False)
            mode = mode or stat.S_IMODE(temporary.stat().st_mode)  # as the system gives new files
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except Exception as error:
        raise ParameterError(f"{_name(path)} cannot be written: {_reason(error)}.") from error


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Understand in the body what a file holds: whatever that raises, the file is damaged.

    Raises
    ------
    ParameterError
        With the file's name.
    """
    try:
        yield
    except Exception as error:  # a hostile file makes any code raise anything
        raise ParameterError(f"{_name(path)} is damaged: {_reason(error)}.") from error


def check_file(path: str | Path) -> None:
    """Raise :class:`ParameterError` unless there is such a file: no folder, device or pipe."""
    try:
        mode = _mode(Path(path))
    except Exception as error:
        raise ParameterError(
            f"{_name(path)} cannot be read as safetensors: {_reason(error)}."
        ) from error
    if mode is None:
        raise ParameterError(f"There is no file {_name(path)}.")


def _mode(file: Path) -> int | None:
    """Permissions of a file, None where there is none; refuses what is not a regular file."""
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device or pipe"
        raise OSError(f"it is {kind}, not a file")
    return stat.S_IMODE(mode)


def _reason(error: Exception) -> str:
    """What an error says; its type too where the message alone says nothing."""
    if isinstance(error, OSError | ValueError | VitAttentionError):
        return said(error).partition(": ")[2].rstrip(".") or said(error)
    return said(error)


def _name(path: str | Path) -> str:
    """A path that can be printed, as it was given."""
    return shorten(os.fspath(path).encode("utf-8", "backslashreplace").decode(), 300)
