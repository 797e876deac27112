"""Stands in for the class attribute ``task_type`` of PEFT's configs, so that every assignment is checked."""

from __future__ import annotations

import dataclasses
import operator
from typing import TYPE_CHECKING, Any, Optional

from .patching import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .watch import Watch


class TaskTypeGuard:
    """Stands in for the class attribute ``task_type``, so that every assignment is checked.

    A data descriptor in front of what the class had there: reads and stores what an ordinary attribute would, in the
    instance's own ``__dict__``, and answers on the class with what the class had.

    Attributes:
        _self_original: The raw class attribute it replaces.
        _self_peft_strict_watch: The rules; marks it as ours.
    """

    __slots__ = ("_members", "_self_original", "_self_peft_strict_watch", "_state", "_type")

    def __init__(self, original: Any, watch: Watch) -> None:
        self._self_original = original
        self._self_peft_strict_watch = watch
        self._members = watch.vocabulary.members
        self._state = watch.state
        self._type = watch.release.task_type

    def __get__(self, instance: Any, owner: Optional[type] = None) -> Any:
        if instance is not None:
            try:
                return instance.__dict__["task_type"]
            except KeyError:
                return self._default()
        return self._default()

    def __set__(self, instance: Any, value: Any) -> None:
        if type(value) is not self._type and value is not None:
            member = self._members.get(value) if type(value) is str else None
            if member is not None and self._state.on:
                value = member
            else:
                value, error = self._self_peft_strict_watch.assigned(instance, value)
                if error is not None:
                    __tracebackhide__ = True  # pytest then ends on the user's line
                    raise error
        instance.__dict__["task_type"] = value

    def __delete__(self, instance: Any) -> None:
        if instance.__dict__.pop("task_type", MISSING) is MISSING:
            raise AttributeError("task_type")

    def __reduce_ex__(self, protocol: Any) -> Any:  # for cloudpickle and dill, which take whole classes apart
        return operator.getitem, ([self._default()], 0)

    def _default(self) -> Any:
        original = self._self_original
        if isinstance(original, dataclasses.Field) and original.name and original.default is not dataclasses.MISSING:
            # `dataclasses` has read the field and asks what became of it: the default, as it would have set itself
            return original.default
        return original


class DelegatingGuard(TaskTypeGuard):
    """Stands in for a ``task_type`` that is not stored under that name in ``instance.__dict__``.

    That is a slot or a property of a user's class, and any config of PEFT <= 0.3 (see `HiddenAttribute`).
    """

    __slots__ = ("_inner",)

    def __init__(self, original: Any, watch: Watch, inner: Any) -> None:
        super().__init__(original, watch)
        self._inner = inner

    def __get__(self, instance: Any, owner: Optional[type] = None) -> Any:
        return self._default() if instance is None else self._inner.__get__(instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        watch = self._self_peft_strict_watch
        value, error = watch.assigned(instance, value)
        if error is not None:
            __tracebackhide__ = True
            raise error
        self._inner.__set__(instance, value)

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


def guard_for(original: Any, watch: Watch) -> TaskTypeGuard:
    """Return the guard that fits the raw class attribute."""
    if hasattr(type(original), "__set__"):
        return DelegatingGuard(original, watch, original)
    if isinstance(vars(watch.release.config_base).get("__dict__"), property):
        return DelegatingGuard(original, watch, HiddenAttribute(original, watch.attributes))
    return TaskTypeGuard(original, watch)
