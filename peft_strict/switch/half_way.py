"""An import of PEFT that runs on the very thread that switches on: it is over only after we have returned."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

from .. import _standby

if TYPE_CHECKING:
    import types


def patch_at_the_end(peft: types.ModuleType) -> str | None:
    """Have PEFT patched when its import is over; return a sentence if that cannot be noticed.

    The thread goes on inside of that import, so nobody can wait for its end, and what has been imported by then is
    half of PEFT. The import system marks the end on the module's spec, which for that long gets a class that notices.
    """
    spec: Any = peft.__spec__
    if type(spec) is ModuleSpec:
        spec.__class__ = _Unfinished
    if type(spec) is not _Unfinished:
        return "peft-strict: PEFT is NOT guarded: it is being imported by a loader of its own; call enable() again"
    return None


class _Unfinished(ModuleSpec):
    """The spec of a PEFT that is being imported."""

    @property
    def _initializing(self) -> bool:
        return True

    @_initializing.setter
    def _initializing(self, value: bool) -> None:
        """Become a plain spec again and patch, unless the import has failed."""
        spec: Any = self
        spec.__class__ = ModuleSpec
        spec._initializing = value
        if getattr(sys.modules.get("peft"), "__spec__", None) is spec:
            complaint = _standby.patch()
            if complaint is not None:
                _standby.say(complaint)
