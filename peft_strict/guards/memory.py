"""Remembers something of objects, for as long as they live."""

from __future__ import annotations

import weakref
from typing import Any, Generic, Optional, TypeVar

_T = TypeVar("_T")


class Memory(Generic[_T]):
    """What is remembered of objects, by identity.

    A config with ``==`` and a class with a metaclass of its own need not have a hash, so that no weak set or mapping
    can hold them.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], _T]] = {}

    def __setitem__(self, thing: Any, value: _T) -> None:
        key = id(thing)
        self._known[key] = (weakref.ref(thing, lambda _: self._known.pop(key, None)), value)

    def __contains__(self, thing: object) -> bool:
        known = self._known.get(id(thing))
        return known is not None and known[0]() is thing

    def __len__(self) -> int:
        return len(self._known)

    def get(self, thing: object, default: Optional[_T] = None) -> Optional[_T]:
        """Return what is remembered of an object, or the default."""
        known = self._known.get(id(thing))
        return known[1] if known is not None and known[0]() is thing else default

    def forget(self, thing: object) -> None:
        """Forget what there is of an object, if there is anything."""
        self._known.pop(id(thing), None)

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
