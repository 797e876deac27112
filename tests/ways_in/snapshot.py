"""What PEFT looks like, attribute by attribute, to tell whether an undo was exact."""

from __future__ import annotations

import sys
import types
from typing import Any

_PYTHONS = {"__slotnames__", "__warningregistry__"}  # kept there by copyreg and by warnings

Snapshot = dict[object, dict[str, Any]]


def take() -> Snapshot:
    """Return every attribute of every module and class of the imported PEFT."""
    return {owner: dict(vars(owner)) for owner in _owners()}


def changes(before: Snapshot) -> list[str]:
    """Return what is not the same object as in ``before``; submodules imported since do not count."""
    found = []
    for owner, attributes in before.items():
        now = vars(owner)  # type: ignore[arg-type]
        for name in (attributes.keys() | now.keys()) - _PYTHONS:
            value = now.get(name, "gone")
            if value is not attributes.get(name, "new") and not isinstance(value, types.ModuleType):
                found.append(f"{getattr(owner, '__name__', owner)}.{name}")
    return sorted(found)


def _owners() -> list[object]:
    names = [name for name in sys.modules if name.partition(".")[0] == "peft"]
    modules = [sys.modules[name] for name in names]
    classes = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__.partition(".")[0] == "peft"
    ]
    return list(dict.fromkeys([*modules, *classes]))
