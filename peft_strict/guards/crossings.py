"""Where adapters cross between model and file: the places whose calls `saving` and `loading` judge.

PEFT's functions for it are imported by name all over: into PEFT, accelerate, diffusers, TRL and the user's scripts. So
every module that holds them under their own name is a place, at the time of patching; who imports them later gets what
those modules hold. Not reached: another name (``as``), a container or a closure that took them before that.
"""

from __future__ import annotations

import sys
import types
from functools import partial
from typing import TYPE_CHECKING, Any

from ..releases import adapters
from . import loading, saving
from .patching import FunctionPatch, Place, wrapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .watch import Watch

_NAMES = (adapters.SAVE, adapters.LOAD)
# The `__dict__` of a module, whatever a lazy one makes of being asked for it.
_names_in = vars(types.ModuleType)["__dict__"].__get__


def places(watch: Watch) -> Iterator[Place]:
    """Yield the methods, and each module that holds one of PEFT's functions."""
    homes, model = {name: adapters.home(name) for name in _NAMES}, watch.release.peft_model
    if homes[adapters.SAVE] is not None:
        yield Place(model, "save_pretrained", wrapping(saving.saving(watch)))
    if homes[adapters.LOAD] is not None:
        yield Place(model, "from_pretrained", wrapping(loading.loading(watch, 1)))
        yield Place(model, "load_adapter", wrapping(loading.loading(watch, 0)))
    wrappers = {adapters.SAVE: saving.choosing(watch), adapters.LOAD: loading.placing(watch)}
    for module, name, held in holders():
        home = homes[name]
        if home is not None and getattr(held, "__globals__", None) is vars(home):
            yield Place(module, name, partial(_shared, watch, wrappers[name]))


def _shared(watch: Watch, wrapper: Callable[..., Any], raw: Any) -> Any:
    """Return the one patch for all modules that hold a function."""
    return watch.functions.setdefault(id(raw), FunctionPatch(raw, wrapper))


def holders() -> Iterator[tuple[types.ModuleType, str, Any]]:
    """Yield every module that has a function of these names, with the name and the function."""
    for module in list(sys.modules.values()):
        try:
            names = _names_in(module)
        except TypeError:  # no module: anything may be in there
            continue
        if adapters.SAVE in names or adapters.LOAD in names:  # there are thousands that have neither
            for name in _NAMES:
                if isinstance(names.get(name), types.FunctionType):  # a patch says that it is one, too
                    yield module, name, names[name]
