"""Finds saved adapter configs, reads them within limits, and replaces them whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from typing import TYPE_CHECKING, Callable, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_NAME = "adapter_config.json"
LARGEST = 16 * 1024 * 1024  # configs that name every module of a large model reach about 1 MB


class UnusableError(Exception):
    """A path that cannot be read or written; the message is a sentence for the user."""


class Loaded(NamedTuple):
    """The bytes of a file, and its state when they were read."""

    content: bytes
    state: os.stat_result


def find(root: str, complain: Callable[[str, str], None]) -> Iterator[list[str]]:
    """Search a folder and all below it, in the order of their names, and yield for each which adapter configs it has.

    Linked folders are followed, each folder is searched once. What cannot be searched, and a link back to a folder
    that it lies in, goes to ``complain(path, reason)``.
    """
    seen: set[tuple[int, int]] = set()
    pending: list[tuple[str, tuple[tuple[int, int], ...]]] = [(root, ())]
    while pending:
        folder, above = pending.pop()
        try:
            state = os.stat(folder)
            identity = (state.st_dev, state.st_ino)
            if identity in above:
                complain(folder, "this link leads in a circle")
            if identity in seen:
                continue
            seen.add(identity)
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            complain(folder, reason(folder, error))
            continue
        folders = [entry.path for entry in entries if _is_folder(entry, complain)]
        pending.extend((path, (*above, identity)) for path in reversed(folders))
        yield [entry.path for entry in entries if entry.name == FILE_NAME and entry.path not in folders]


def _is_folder(entry: os.DirEntry[str], complain: Callable[[str, str], None]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if entry.name != FILE_NAME:  # else the attempt to read it tells
            complain(entry.path, reason(entry.path, error))
        return False


def read(path: str) -> Loaded:
    """Read a file.

    Raises:
        UnusableError: if it is missing, not a regular file, unreadable, or larger than any config is.
    """
    try:
        require_regular(path)
        with open(path, "rb") as file:
            state = os.fstat(file.fileno())  # asked for LARGEST, it would make a buffer of that size for each
            loaded = Loaded(file.read(min(state.st_size, LARGEST) + 1), state)
    except OSError as error:
        raise UnusableError(reason(path, error)) from error
    if len(loaded.content) > LARGEST:
        raise UnusableError(f"larger than {LARGEST >> 20} MB, so no adapter config: not read")
    return loaded


def require_regular(path: str) -> None:
    """Look before opening: to open a named pipe waits for ever. Raises ``UnusableError`` and ``OSError``."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise UnusableError("not a regular file")


def replace(path: str, loaded: Loaded, content: bytes) -> None:
    """Replace a file that `read` has loaded: afterwards it is the new one or still the old one, never a part.

    Mode and extended attributes are kept, the owner where the system permits. A link stays, and what it points to is
    replaced. Another hard link to the file keeps the old content.

    Raises:
        UnusableError: if it cannot be written, or has changed since it was read. Nothing is left behind.
    """
    target = os.path.realpath(path)
    try:
        if not os.access(target, os.W_OK):  # os.replace would not ask
            raise PermissionError(errno.EACCES, "Permission denied")
        # Named before it exists, unlike by tempfile.mkstemp: Ctrl-C while it is being made must not leave it behind.
        temporary = os.path.join(os.path.dirname(target), f".peft-strict-{os.urandom(8).hex()}")
        try:
            with open(temporary, "xb", opener=_open_private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _make_alike(temporary, target, loaded.state)
            if _changed(target, loaded.state):
                raise UnusableError("not fixed: it changed while it was being read")
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(FileNotFoundError):  # as it should be: it has become the file
                os.unlink(temporary)
    except OSError as error:
        raise UnusableError(f"not fixed: {reason(target, error)}") from error


def is_shared(path: str) -> bool:
    """Whether it is a link into a cache of the Hub (``models--*/blobs``), where all revisions share one file.

    The cache names a file by its content and never loads it again: a change would be there for everybody, for ever.
    """
    folder, name = os.path.split(os.path.dirname(os.path.realpath(path)))
    return name == "blobs" and os.path.isdir(os.path.join(folder, "snapshots"))


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _make_alike(path: str, model: str, state: os.stat_result) -> None:
    if hasattr(os, "chown"):  # pragma: no branch - Windows has none
        for owner, group in ((-1, state.st_gid), (state.st_uid, -1)):
            with contextlib.suppress(PermissionError):  # only root may give files away; the content matters more
                os.chown(path, owner, group)
    shutil.copystat(model, path)
    os.utime(path)  # copystat took over the old times


def _changed(path: str, state: os.stat_result) -> bool:
    now = os.stat(path)
    return (now.st_ino, now.st_size, now.st_mtime_ns) != (state.st_ino, state.st_size, state.st_mtime_ns)


def reason(path: str, error: OSError) -> str:
    """Say in words what an ``OSError`` means for this path."""
    if error.errno == errno.ELOOP:
        return "this link leads in a circle"
    if error.errno == errno.ENOENT:
        return "the file this link points to does not exist" if os.path.islink(path) else "no such file or folder"
    return (error.strerror or str(error)).lower()
