"""Knows which file PEFT is reading a config from, for as long as it reads it, and what was found in it."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, NamedTuple, Optional

if TYPE_CHECKING:
    from collections.abc import Mapping


class File(NamedTuple):
    """A config file.

    Attributes:
        path: Where it is.
        values: What was found in it, by field.
        told: The fields whose value was reported already: PEFT reads some files twice in one call.
    """

    path: str
    values: Mapping[str, object]
    told: set[str]


# The files that the outermost call of PEFT's that loads has read so far; ``None`` where nothing is being loaded.
files: contextvars.ContextVar[Optional[dict[str, File]]] = contextvars.ContextVar("peft_strict_files", default=None)


def file_with(name: str, value: object) -> Optional[File]:
    """Return the file that is being loaded and gave this very value to that field, if there is one."""
    known = files.get() or {}
    return next((file for file in known.values() if file.values.get(name, known) is value), None)
