"""Where adapters cross between model and file: the places whose calls `saving` and `loading` judge.

PEFT's functions for it are imported by name all over: into PEFT, accelerate, diffusers, TRL and the user's scripts. So
every module that holds them under their own name is a place, at the time of patching; who imports them later gets what
those modules hold. Not reached: another name (``as``), a container or a closure that took them before that.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

from ..releases import adapters
from . import loading, saving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .watch import Watch

_NAMES = (adapters.SAVE, adapters.LOAD)


def methods(watch: Watch) -> Iterator[tuple[type, str, Callable[..., Any]]]:
    """Yield each method: its class, its name and what is put around it."""
    model = watch.release.peft_model
    if adapters.home(adapters.SAVE) is not None:
        yield model, "save_pretrained", saving.saving(watch)
    if adapters.home(adapters.LOAD) is not None:
        yield model, "from_pretrained", loading.loading(watch, 1)
        yield model, "load_adapter", loading.loading(watch, 0)


def functions(watch: Watch) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    """Yield each module that holds one of PEFT's functions: the module, the name and what is put around it."""
    wrappers = {adapters.SAVE: saving.choosing(watch), adapters.LOAD: loading.placing(watch)}
    homes = {name: adapters.home(name) for name in _NAMES}
    for module, name, held in holders():
        home = homes[name]
        if home is not None and getattr(held, "__globals__", None) is vars(home):
            yield module, name, wrappers[name]


def holders() -> Iterator[tuple[types.ModuleType, str, Any]]:
    """Yield every module that has a function of these names, with the name and the function."""
    for module in list(sys.modules.values()):
        if not issubclass(type(module), types.ModuleType):
            continue
        names = object.__getattribute__(module, "__dict__")
        for name in _NAMES:
            held = names.get(name)
            if isinstance(held, types.FunctionType):  # a patch says that it is one, too
                yield module, name, held
