"""Whose code a frame runs: the user's, or a library's that works on somebody's behalf."""

from __future__ import annotations

import functools
import os
import re
import sys
import sysconfig
import types
from typing import TYPE_CHECKING, Any, Optional

from ..releases.live import is_own
from .patching import DEEPEST, attributes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..releases.live import Release

_INSTALLED = frozenset({"site-packages", "dist-packages"})  # where installers put libraries
_GENERATED = "unsloth_compiled_cache"  # how the folder's name begins that unsloth writes its trainers into

# What calls PEFT for others and is often used from a source tree, where no path tells it from the user's own code; and
# what transformers and diffusers import from a repository's ``.py`` files, which lie in a cache.
_FROM_SOURCE = frozenset(
    {
        "accelerate",
        "diffusers",
        "diffusers_modules",
        "peft",
        "peft_strict",
        "sentence_transformers",
        "torch",
        "transformers",
        "transformers_modules",
        "trl",
        "wrapt",
    }
)

_LOADERS = frozenset({"diffusers", "peft", "transformers"})


def users_frame(release: Release) -> Optional[types.FrameType]:
    """Return the innermost frame that runs the user's own code.

    That is what lies neither where Python's own library does nor where libraries are installed: a script, a cell of a
    notebook, what is typed at a prompt, a project in its source tree. Not what somebody has put in the place of
    a function or method of PEFT's, wherever it lies.

    Returns:
        Where there is none, as in a project that is itself installed, or a framework that is started by its command:
        the innermost frame of an installed package that is not one of those which call PEFT for others. Where there is
        none of these either, the innermost frame that is not ours. ``None`` if all are ours.
    """
    frame: Optional[types.FrameType] = sys._getframe(1)
    installed = last = stand_ins = None
    while frame is not None:
        if _may_be_the_users(frame) and not _is_pythons(frame.f_code.co_filename):
            if stand_ins is None:
                stand_ins = set(_stand_ins(release))
            if frame.f_code not in stand_ins:
                if not _is_installed(frame.f_code.co_filename):
                    return frame
                installed = installed or frame
        if last is None and package_of(frame) != "peft_strict":
            last = frame
        frame = frame.f_back
    return installed or last


def is_users(frame: types.FrameType, release: Release) -> bool:
    """Whether a frame runs the user's own code."""
    return _lies_apart(frame) and frame.f_code not in set(_stand_ins(release))


def is_loading() -> bool:
    """Whether a saved adapter is being loaded: PEFT, transformers or diffusers does it below the user's line."""
    frame: Optional[types.FrameType] = sys._getframe(1)
    while frame is not None:
        if package_of(frame) in _LOADERS and frame.f_code.co_name.startswith(("load_", "from_pretrained")):
            return True
        if _lies_apart(frame):
            return False
        frame = frame.f_back
    return False


def caller() -> Optional[types.FrameType]:
    """Return the frame that called a patch of ours."""
    frame: Optional[types.FrameType] = sys._getframe(1)
    while frame is not None and package_of(frame) in ("peft_strict", "wrapt"):
        frame = frame.f_back
    return frame


def is_in(frame: Optional[types.FrameType], package: str) -> bool:
    """Whether a frame runs code of this package, or of one in it."""
    return frame is not None and f"{module_of(frame)}.".startswith(f"{package}.")


def module_of(frame: types.FrameType) -> str:
    """Return the name of the module that a frame runs code of; ``""`` where it has none."""
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def package_of(frame: types.FrameType) -> str:
    """Return the name of the outermost package of that module."""
    return module_of(frame).partition(".")[0]


def _lies_apart(frame: types.FrameType) -> bool:
    """Whether this is code that lies where no library does."""
    file = frame.f_code.co_filename
    return _may_be_the_users(frame) and not _is_pythons(file) and not _is_installed(file)


def _may_be_the_users(frame: types.FrameType) -> bool:
    """Whether somebody may have written this code, and no name tells that it is a library's.

    Not what was made of a string for no module, as attrs makes functions; nor an ``__init__`` by `dataclasses`, which
    runs in the globals of the user's own module.
    """
    code = frame.f_code
    is_written = bool(module_of(frame)) or not code.co_filename.startswith("<")
    return (
        is_written
        and package_of(frame) not in _FROM_SOURCE
        and (code.co_name, code.co_filename) != ("__init__", "<string>")
    )


@functools.lru_cache(maxsize=1024)
def _is_pythons(path: str) -> bool:
    """Whether a file belongs to Python's own library, or is a command that an installer wrote."""
    if path.startswith("<frozen "):
        return True
    return os.path.normcase(path).startswith(_pythons_folders()) and not _is_installed(path)


@functools.lru_cache(maxsize=1)
def _pythons_folders() -> tuple[str, ...]:
    """Return the folders of Python's own library, and of the commands that installers write."""
    try:
        commands = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", f"{os.name}_user")]
        found = [sysconfig.get_path("stdlib"), *commands]
    except Exception:  # a program that was frozen without what sysconfig reads, or a system without users
        found = [os.path.dirname(os.__file__)]
    return tuple(os.path.join(os.path.normcase(folder), "") for folder in found)


@functools.lru_cache(maxsize=1024)
def _is_installed(path: str) -> bool:
    """Whether a file lies where libraries are installed, or was generated by one."""
    return any(part in _INSTALLED or part.startswith(_GENERATED) for part in re.split(r"[\\/]", path))


def _stand_ins(release: Release) -> Iterator[types.CodeType]:
    """Yield the code of all that is in the place of a function or method of PEFT's."""
    for owner in [release.module, *release.owners()]:
        if not isinstance(owner, type) or is_own(owner):
            for value in attributes_of(owner).values():
                yield from _codes(value)


def _codes(value: Any) -> Iterator[types.CodeType]:
    """Yield the code of a function, and of those that it says it wraps."""
    for _ in range(DEEPEST):
        if isinstance(value, (classmethod, staticmethod)):
            value = value.__func__
        if not callable(value) or isinstance(value, type):
            return
        if type(value) is types.FunctionType:
            yield value.__code__
        try:
            value = value.__wrapped__
        except Exception:  # no such attribute, or a foreign one that raises
            return
