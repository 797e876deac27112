"""Where a report points: the user's line, with as little of ours around it as can be."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Optional

from .._errors import PeftStrictWarning

if TYPE_CHECKING:
    import types

# Code that constructs configs or wraps models on behalf of somebody else: the mistake is in whoever called it.
_LIBRARIES = frozenset(
    {
        "_pytest",
        "accelerate",
        "contextlib",
        "copy",
        "dataclasses",
        "diffusers",
        "functools",
        "importlib",
        "lightning",
        "peft",
        "peft_strict",
        "pluggy",
        "pytorch_lightning",
        "sentence_transformers",
        "torch",
        "transformers",
        "trl",
        "unittest",
        "wrapt",
    }
)

_LOADERS = frozenset({"diffusers", "peft", "transformers"})


def _package(frame: types.FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name.partition(".")[0] if isinstance(name, str) else ""


def _is_generated(frame: types.FrameType) -> bool:
    """Whether this is an ``__init__`` that `dataclasses` wrote: it runs in the globals of the user's own module."""
    return frame.f_code.co_name == "__init__" and frame.f_code.co_filename == "<string>"


def _users_frame() -> Optional[types.FrameType]:
    """Return the innermost frame that is not a library's, or the innermost that is not ours."""
    frame: Optional[types.FrameType] = sys._getframe(1)
    fallback = None
    while frame is not None:
        package = _package(frame)
        if package not in _LIBRARIES and not _is_generated(frame):
            return frame
        if fallback is None and package != "peft_strict":
            fallback = frame
        frame = frame.f_back
    return fallback


def is_loading() -> bool:
    """Whether a saved adapter is being loaded: PEFT, transformers or diffusers does it below the user's line."""
    frame: Optional[types.FrameType] = sys._getframe(1)
    while frame is not None:
        package = _package(frame)
        if package in _LOADERS and frame.f_code.co_name.startswith(("load_", "from_pretrained")):
            return True
        if package not in _LIBRARIES and not _is_generated(frame):
            return False
        frame = frame.f_back
    return False


def warn(warning: PeftStrictWarning) -> Optional[Exception]:
    """Warn at the user's line, through Python's ordinary filters.

    Returns:
        The warning as an exception for the caller to raise, where a filter says ``error``; else ``None``.
    """
    frame = _users_frame()
    names = frame.f_globals if frame else {}
    try:
        warnings.warn_explicit(
            warning,
            None,
            frame.f_code.co_filename if frame else "<unknown>",
            frame.f_lineno if frame else 1,
            module=names.get("__name__") or "<unknown>",
            registry=names.setdefault("__warningregistry__", {}),
        )
    except PeftStrictWarning as turned:
        return turned.with_traceback(None)
    return None


def trim(error: BaseException) -> None:
    """Leave at most the outermost of our frames in the traceback of an error that passes through one of them."""
    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None:
        if _package(entry.tb_next.tb_frame) == "peft_strict":
            entry.tb_next = entry.tb_next.tb_next
        else:
            entry = entry.tb_next


def caller() -> Optional[types.FrameType]:
    """Return the frame that called a patch of ours."""
    frame: Optional[types.FrameType] = sys._getframe(1)
    while frame is not None and _package(frame) in ("peft_strict", "wrapt"):
        frame = frame.f_back
    return frame


def is_in(frame: Optional[types.FrameType], package: str) -> bool:
    """Whether a frame runs code of this package, or of one in it."""
    name = frame.f_globals.get("__name__") if frame is not None else None
    return isinstance(name, str) and f"{name}.".startswith(f"{package}.")
