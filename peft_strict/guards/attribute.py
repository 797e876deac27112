"""Stands in for the class attribute ``task_type`` of PEFT's configs, so that every assignment is checked."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Optional

from .patching import MISSING, attributes_of, mro_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .watch import Watch


class _Plain(type):
    """Has `inspect` and ``help()`` take the stand-in for what it stands in for, which is no data descriptor."""

    def __getattribute__(cls, name: str) -> Any:
        if name in ("__set__", "__delete__"):  # Python itself does not ask in this way
            raise AttributeError(name)
        return super().__getattribute__(name)


class TaskTypeGuard(metaclass=_Plain):
    """Stands in for the class attribute ``task_type``, so that every assignment is checked.

    A data descriptor in front of what the class had there: reads and stores what an ordinary attribute would, in the
    instance's own ``__dict__``, and answers on the class with what the class had.

    Attributes:
        shown: The raw class attribute it stands for.
        is_told: Whether it was said that this class attribute has no effect.
    """

    __slots__ = ("_members", "_self_original", "_self_peft_strict_watch", "_state", "_type", "is_told", "shown")

    def __init__(self, shown: Any, watch: Watch) -> None:
        self.shown = shown
        self.is_told = False
        self._self_peft_strict_watch = watch
        self._members = watch.vocabulary.members
        self._state = watch.state
        self._type = watch.release.task_type

    def __get__(self, instance: Any, owner: Optional[type] = None) -> Any:
        if instance is not None:
            try:
                return instance.__dict__["task_type"]
            except KeyError:
                pass
        bind = getattr(type(self.shown), "__get__", None)
        return self.shown if bind is None else bind(self.shown, instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        if type(value) is not self._type and value is not None:
            member = self._members.get(value) if type(value) is str else None
            if member is not None and self._state.on:
                value = member
            else:
                value, error = self._self_peft_strict_watch.assigned(instance, value)
                if error is not None:
                    __tracebackhide__ = True  # pytest then ends on the user's line
                    try:
                        raise error
                    finally:
                        del error  # or frame and error hold each other, and with them what the caller has at hand
        instance.__dict__["task_type"] = value

    def __delete__(self, instance: Any) -> None:
        if instance.__dict__.pop("task_type", MISSING) is MISSING:
            raise AttributeError("task_type")

    def __reduce_ex__(self, protocol: Any) -> Any:  # for cloudpickle and dill, which take whole classes apart
        return operator.getitem, ([self.shown], 0)


TaskTypeGuard.__doc__ = property(lambda self: self.shown.__doc__)  # type: ignore[assignment]  # what help() prints


class StorageGuard(TaskTypeGuard):
    """Stands in for a ``task_type`` that stores by itself: a slot or a property of a user's class.

    That gets the value as it was written, as it would without us.
    """

    __slots__ = ("_inner",)

    def __init__(self, shown: Any, watch: Watch, inner: Any) -> None:
        super().__init__(shown, watch)
        self._inner = inner

    def __get__(self, instance: Any, owner: Optional[type] = None) -> Any:
        return self.shown if instance is None else self._inner.__get__(instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        stored, error = self._self_peft_strict_watch.assigned(instance, value)
        if error is not None:
            __tracebackhide__ = True
            try:
                raise error
            finally:
                del error
        self._inner.__set__(instance, stored if isinstance(self._inner, HiddenAttribute) else value)

    def __delete__(self, instance: Any) -> None:
        self._inner.__delete__(instance)


class HiddenAttribute:
    """An ordinary attribute ``task_type`` of an instance whose ``__dict__`` is a property that returns a copy."""

    def __init__(self, default: Any, attributes: Callable[[Any], dict[str, Any]]) -> None:
        self._default = default
        self._attributes = attributes

    def __get__(self, instance: Any, owner: Optional[type] = None) -> Any:
        return self._attributes(instance).get("task_type", self._default)

    def __set__(self, instance: Any, value: Any) -> None:
        self._attributes(instance)["task_type"] = value

    def __delete__(self, instance: Any) -> None:
        if self._attributes(instance).pop("task_type", MISSING) is MISSING:
            raise AttributeError("task_type")


def guard_for(cls: type, raw: Any, watch: Watch) -> TaskTypeGuard:
    """Return the guard that fits a class, whose raw attribute may be `MISSING`: it then stands for the inherited."""
    shown = inherited(cls)[1] if raw is MISSING else raw
    if hasattr(type(shown), "__set__"):
        return StorageGuard(shown, watch, shown)
    if isinstance(vars(watch.release.config_base).get("__dict__"), property):
        return StorageGuard(shown, watch, HiddenAttribute(shown, watch.attributes))
    return TaskTypeGuard(shown, watch)


def inherited(cls: type) -> tuple[Optional[type], Any]:
    """Return the first class that an instance gets its ``task_type`` from, with the raw attribute there."""
    for base in mro_of(cls):
        if "task_type" in attributes_of(base):
            return base, attributes_of(base)["task_type"]
    return None, MISSING
