"""Guards the config classes: their constructors, their ``task_type``, and those that are made later."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Optional

from . import attribute, construction, report
from .patching import MISSING, AddedClassMethod, AddedFunction, Place, attributes_of, mro_of, peel, put, wrapping
from .watch import REPORTS

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

    from .watch import Watch

NAMES = ("__init__", "task_type")


def places(watch: Watch) -> Iterator[Place]:
    """Yield the places of every config class there is, and the one that tells of those to come."""
    for cls in list(watch.release.config_classes()):
        with contextlib.suppress(Exception):  # whatever a foreign metaclass raises
            yield from _places_of(cls, watch, is_made=cls not in watch.newcomers)
    base = watch.release.config_base
    yield Place(base, "__init_subclass__", lambda raw: _newcomer_hook(raw, watch), adds=True)


def held_by(cls: type) -> list[tuple[type, str]]:
    """Return the class and the name of each attribute of its own that we guard."""
    return [(cls, name) for name in NAMES if name in attributes_of(cls)]


def relied_on(cls: type) -> list[tuple[type, str]]:
    """Return the same for what instances of a config class use, of its own or inherited."""
    found = [(base, name) for name in NAMES for base in mro_of(cls) if name in attributes_of(base)]
    return [next(each for each in found if each[1] == name) for name in dict.fromkeys(name for _, name in found)]


def _places_of(cls: type, watch: Watch, *, is_made: bool) -> Iterator[Place]:
    """Yield the places of one class; while it is being made only those that no decorator is going to read.

    `dataclasses`, attrs and pydantic read the ``task_type`` that the body of a class holds, and leave alone an
    ``__init__``, a slot or a property that is there.
    """
    own = attributes_of(cls)
    if "__init__" in own:
        yield Place(cls, "__init__", lambda raw: wrapping(construction.construction(cls, raw, watch))(raw))
    first, raw = attribute.inherited(cls)
    is_foreign = first is not None and not issubclass(first, watch.release.config_base)  # a mixin's, in front of ours
    if (first is cls or is_foreign) and (is_made or hasattr(type(raw), "__set__")):
        yield Place(cls, "task_type", lambda raw: attribute.guard_for(cls, raw, watch), adds=is_foreign)


# -- classes that are made later --------------------------------------------------------------------------------------


def _newcomer_hook(raw: Any, watch: Watch) -> Any:
    """Return the ``__init_subclass__`` that tells us of config classes made after patching."""
    base: Any = watch.release.config_base

    def __init_subclass__(cls: type, **kwargs: Any) -> None:
        if raw is MISSING:
            super(base, cls).__init_subclass__(**kwargs)
        else:
            raw.__get__(None, cls)(**kwargs)
        if watch.state.on:
            watch.newcomers[cls] = True  # before the lock: whoever looks meanwhile holds it
        with watch.state.lock:
            if watch.state.on:
                watch.newcomers[cls] = True  # `disable` may have forgotten it, and `enable` come after that
                put(Place(base, "__setattr__", lambda raw: _first_hook(raw, watch), adds=True), watch)
                _patch(cls, watch, is_made=False)
            else:
                watch.newcomers.forget(cls)

    return AddedClassMethod(__init_subclass__)


def _first_hook(raw: Any, watch: Watch) -> Any:
    """Return the ``__setattr__`` that is there for as long as some class has had no instance yet.

    It is the first thing of ours that a config meets whose class has got its ``__init__`` after the class statement.
    """
    base: Any = watch.release.config_base

    def __setattr__(self: Any, name: str, value: Any) -> None:
        __tracebackhide__ = True
        try:
            error = welcome(self, watch, sys._getframe(1)) if watch.state.on else None
            if error is not None:
                raise error
            if raw is MISSING:
                super(base, self).__setattr__(name, value)
            else:
                raw.__get__(self, type(self))(name, value)
        except REPORTS as error:
            report.trim(error)
            raise

    return AddedFunction(__setattr__)


def welcome(config: Any, watch: Watch, setting: types.FrameType) -> Optional[Exception]:
    """Have the classes of a first instance patched, and judge what their unpatched ``__init__`` was given so far.

    Args:
        config: The instance, that has no attribute yet unless somebody went around ``setattr``.
        watch: The rules.
        setting: What sets the first attribute.
    """
    classes = [cls for cls in mro_of(type(config)) if cls in watch.newcomers]
    with watch.state.lock:
        for cls in classes:
            _patch(cls, watch, is_made=True)
        if not watch.newcomers:
            peel(watch.release.config_base, "__setattr__")
    if not classes or not watch.active:
        return None
    return construction.first(config, watch, setting)


def _patch(cls: type, watch: Watch, *, is_made: bool) -> None:
    """Patch one class. One that takes no patch costs itself its guard, and the status names it."""
    try:
        for place in _places_of(cls, watch, is_made=is_made):
            put(place, watch)
    except Exception:  # whatever a foreign metaclass raises
        watch.stubborn[cls] = True
        is_made = True
    if is_made:
        watch.newcomers.forget(cls)
