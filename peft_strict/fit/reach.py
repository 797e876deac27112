"""Which modules of a live model a name in ``modules_to_save`` reaches.

PEFT saves and trains every module whose full name ends with an entry (``_set_trainable``). Nothing here raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .foreign import inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# What PEFT refuses to wrap: these are never called (read in 0.10 to 0.21).
_CONTAINERS = frozenset({"ModuleDict", "ModuleList", "ParameterDict", "ParameterList"})


def units(module: object, path: str) -> Iterator[str]:
    """Yield the names by which PEFT can save a module: its own, or those of the modules in it.

    Not its own where it is a mere container, or where a name in it ends as its does: PEFT wraps one in the other then,
    and cannot load what it saves (``KeyError``). Parameters that are in a container themselves have no such name.
    """
    children = inside(module, "_modules")
    for wrapped in ("original_module", "base_layer"):  # by an earlier adapter
        if wrapped in children:
            yield from units(children[wrapped], path)
            return
    nested = any(below.endswith(path) for below in _paths(module, f"{path}."))
    if nested or is_container(module):
        for name, child in children.items():
            yield from units(child, f"{path}.{name}")
    else:
        yield path


def is_container(module: object) -> bool:
    """Whether PEFT refuses to train and save this very module."""
    return type(module).__name__ in _CONTAINERS


def also_reached(model: object, names: Iterable[str], coming: Iterable[str] = ()) -> dict[str, str]:
    """Return, for each module that is to be saved, the first one outside of it whose name ends as its does.

    Args:
        model: The model.
        names: The modules.
        coming: Names of modules that PEFT will put into the model.
    """
    found: dict[str, str] = {}
    wanted = tuple(names)
    for path in (*_paths(model, ""), *coming):
        for name in wanted:
            if path.endswith(name) and path != name and not path.startswith(f"{name}."):
                found.setdefault(name, path)
    return found


def has_module(model: object, names: Sequence[str]) -> bool:
    """Whether the name of a module of the model ends with one of these."""
    return any(path.endswith(tuple(names)) for path in _paths(model, ""))


def _paths(module: object, start: str) -> Iterator[str]:
    for name, child in inside(module, "_modules").items():
        yield f"{start}{name}"
        yield from _paths(child, f"{start}{name}.")
