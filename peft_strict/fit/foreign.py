"""Reads what is not ours, models and their configs, without ever raising: what cannot be read is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from collections.abc import Mapping


def attribute(thing: object, name: str) -> Any:
    """Return an attribute; ``None`` if there is none, or a foreign property or ``__getattr__`` fails."""
    try:
        return getattr(thing, name, None)
    except Exception:  # not ours to report: what cannot be read is unknown
        return None


def answer(thing: object, method: str) -> Any:
    """Call a method without arguments and return what it returns; ``None`` if there is none, or it fails."""
    try:
        return getattr(thing, method)()
    except Exception:  # no such method, or one that is not implemented for this model
        return None


def inside(module: object, name: str) -> Mapping[str, Any]:
    """Return the modules or parameters of a module as stored, past any ``__getattr__``."""
    found = attribute(module, "__dict__")
    inner = found.get(name) if isinstance(found, dict) else None
    return {key: value for key, value in inner.items() if value is not None} if isinstance(inner, dict) else {}


def text_of(value: object) -> Optional[str]:
    """Return the characters of a string, whatever a subclass makes of them; ``None`` for anything else."""
    return str.__str__(value) if issubclass(type(value), str) else None
