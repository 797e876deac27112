"""Where a report points: the user's line, with as little of ours around it as can be."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Optional

from .._errors import PeftStrictWarning
from .frames import module_of, package_of, users_frame

if TYPE_CHECKING:
    from ..releases.live import Release


def warn(warning: PeftStrictWarning, release: Release) -> Optional[Exception]:
    """Warn at the user's line, through Python's ordinary filters.

    Args:
        warning: What to say.
        release: The PEFT that it is about.

    Returns:
        The warning as an exception for the caller to raise, where a filter says ``error``; else ``None``.
    """
    frame = users_frame(release)
    names = frame.f_globals if frame else {}
    registry = names.setdefault("__warningregistry__", {})
    try:
        warnings.warn_explicit(
            warning,
            None,
            frame.f_code.co_filename if frame else "<unknown>",
            frame.f_lineno if frame else 1,
            module=(module_of(frame) if frame else "") or "<unknown>",
            registry=registry if isinstance(registry, dict) else None,
        )
    except PeftStrictWarning as turned:
        return turned.with_traceback(None)
    return None


def trim(error: BaseException) -> None:
    """Leave at most the outermost of our frames in the traceback of an error that passes through one of them."""
    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None:
        if package_of(entry.tb_next.tb_frame) == "peft_strict":
            entry.tb_next = entry.tb_next.tb_next
        else:
            entry = entry.tb_next
