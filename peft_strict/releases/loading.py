"""Where PEFT loads adapters, told from its frames.

Read in the sources of PEFT 0.2.0 to 0.21.2: ``PeftModel.from_pretrained`` and, since 0.3, ``load_adapter`` get the
adapter as ``model_id``, and so do those of ``PeftMixedModel``; ``AutoPeftModel`` calls the former. The integration of
transformers (read in 5.23) has a ``load_adapter`` with ``peft_model_id``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    import types

_LOADERS = {"from_pretrained", "load_adapter"}
_HOMES = ("peft.peft_model", "peft.mixed_model", "transformers.integrations.peft")
_NAMES = ("model_id", "peft_model_id")
# What may stand between a loader and where the adapter meets its model.
_BETWEEN = {"peft", "peft_strict", "wrapt", "transformers", "contextlib", "accelerate"}


def loaded_from(frame: Optional[types.FrameType]) -> Optional[str]:
    """Return the adapter that is being loaded: its folder or name, as the caller gave it.

    Args:
        frame: Where to start. Its callers are looked at up to the first one that is not of a library in question.

    Returns:
        ``None`` where no adapter is being loaded, or its name is no path.
    """
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.partition(".")[0] not in _BETWEEN:
            return None
        if module in _HOMES and frame.f_code.co_name in _LOADERS:
            return next((found for name in _NAMES if (found := _path(frame.f_locals.get(name)))), None)
        frame = frame.f_back
    return None


def _path(value: object) -> Optional[str]:
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    return path if isinstance(path, str) else None
