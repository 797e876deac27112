"""Where PEFT loads adapters, told from its frames.

Read in the sources of PEFT 0.2.0 to 0.21.2: ``PeftModel.from_pretrained`` and, since 0.3, ``load_adapter`` get the
adapter as ``model_id``, and so do those of ``PeftMixedModel``; ``AutoPeftModel`` calls the former. The integration of
transformers (read in 5.23) has a ``load_adapter`` with ``peft_model_id``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Callable, Optional

if TYPE_CHECKING:
    import types

_LOADERS = {"from_pretrained", "load_adapter"}
_HOMES = ("peft.peft_model", "peft.mixed_model", "transformers.integrations.peft")
_NAMES = ("model_id", "peft_model_id")


def loaded_from(frame: Optional[types.FrameType], is_users: Callable[[types.FrameType], bool]) -> Optional[str]:
    """Return the adapter that is being loaded: its folder or name, as the caller gave it.

    Args:
        frame: Where to start.
        is_users: Whether a frame runs the user's own code: what that makes while an adapter is loaded is another one.
            Asked only where something is being loaded at all.

    Returns:
        ``None`` where no adapter is being loaded, or its name is no path.
    """
    between: list[types.FrameType] = []
    while frame is not None:
        if frame.f_globals.get("__name__") in _HOMES and frame.f_code.co_name in _LOADERS:
            found = next((path for name in _NAMES if (path := _path(frame.f_locals.get(name)))), None)
            return None if any(map(is_users, between)) else found
        between.append(frame)
        frame = frame.f_back
    return None


def _path(value: object) -> Optional[str]:
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    return path if isinstance(path, str) else None
