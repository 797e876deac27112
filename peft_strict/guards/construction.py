"""Wraps the constructor of a config class, and judges what was passed and what became of it."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Optional

from ..releases.live import is_own
from . import report
from .attribute import TaskTypeGuard
from .suspension import is_suspended
from .watch import REPORTS

if TYPE_CHECKING:
    import types
    from collections.abc import Callable

    from .watch import Watch


_NOT_GIVEN = getattr(dataclasses, "_HAS_DEFAULT_FACTORY", None)  # what a field with a factory is given if nothing is


def construction(cls: type, original: Any, watch: Watch) -> Callable[..., Any]:
    """Return the wrapper for the ``__init__`` of a config class.

    It checks what the caller passed. A hand-written ``__init__`` of a class that is not PEFT's may have words of its
    own, so there a wrong value is only refused if it is still wrong, or gone, when the class is done with it.
    """
    names = _positional_names(original) or _handed_on(original, cls)
    task_at = names.index("task_type") if "task_type" in names else sys.maxsize
    method_at = names.index("peft_type") if "peft_type" in names else sys.maxsize
    translates = not is_own(cls) and not _is_generated(original)
    state, members, attributes = watch.state, watch.vocabulary.members, watch.attributes
    task_class = watch.release.task_type
    look = watch.fields.at(cls, names)

    def check(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not state.on:
            return wrapped(*args, **kwargs)
        passed = kwargs.get("task_type")
        if args:
            if instance is None:  # called as the class attribute, which somebody has saved
                wrapped, instance, args = partial(wrapped, args[0]), args[0], args[1:]
            if task_at < len(args):
                passed = args[task_at]
        kept = members.get(passed) if type(passed) is str else passed if type(passed) is task_class else None
        try:
            if kept is None or args or "peft_type" in kwargs:
                method = args[method_at] if method_at < len(args) else kwargs.get("peft_type")
                error = _before(watch, instance, passed, method, translates)
                if error is not None:
                    raise error
            wrapped(*args, **kwargs)
            left = attributes(instance).get("task_type")
            wrong = kept is None and passed is not None
            if wrong or (left is not kept and (passed is not None or type(left) is not task_class)):
                error = _after(watch, instance, passed, translates)
                if error is not None:
                    raise error
            error = look(instance, args, kwargs)
            if error is None and passed is None and type(instance) is not cls:
                error = _without_effect(watch, instance)
            if error is not None:
                raise error
        except REPORTS as error:
            __tracebackhide__ = True
            report.trim(error)
            raise
        return None

    return check


def _before(watch: Watch, instance: Any, passed: Any, method: Any, translates: bool) -> Optional[Exception]:
    """Judge what was passed, before the class sees it."""
    if is_suspended.get():
        return None
    if method is not None:
        error = watch.refuse_method(method, instance)
        if error is not None:
            return error
    if translates or watch.lookup(passed)[0]:
        return None
    return watch.refuse(passed, instance, f"{type(instance).__name__}(task_type={{}})")


def _after(watch: Watch, instance: Any, passed: Any, translates: bool) -> Optional[Exception]:
    """Judge what became of it."""
    if not watch.active:
        return None
    left = getattr(instance, "task_type", None)
    right, meant = watch.lookup(passed)
    if not watch.lookup(left)[0]:
        return watch.refuse(left, instance, f"{type(instance).__name__}(task_type={{}})")
    stored = "task_type" in watch.attributes(instance)
    untouched = not stored and (left is None or left is getattr(type(instance), "task_type", None))
    if untouched and (right or not translates):
        return None  # nothing was stored at all: somebody has put another __init__, such as a mock, in its place
    if passed is None or (right and left == meant) or (translates and not right and left is not None):
        return None
    return watch.refuse_replaced(passed, instance, left)


def _without_effect(watch: Watch, config: Any) -> Optional[Exception]:
    """Say once that ``task_type = ...`` in the body of the class has no effect: a dataclass gives it its default.

    Only where the constructor is PEFT's or generated: one that is written by hand may read the line.
    """
    cls = type(config)
    guard = vars(cls).get("task_type")
    written = getattr(guard, "shown", None)
    if not watch.active or type(guard) is not TaskTypeGuard or guard.is_told or written is None:
        return None
    users = list(takewhile(lambda base: not is_own(base), cls.__mro__))
    by_hand = any(name in vars(base) for base in users for name in ("__post_init__", "__new__"))
    init = next(vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base))
    field = getattr(cls, "__dataclass_fields__", {}).get("task_type")
    if by_hand or not _is_generated(init) or field is None or is_own(cls) or hasattr(type(written), "__get__"):
        return None
    if field.default is written or field.default is not getattr(config, "task_type", None):
        return None
    guard.is_told = True
    return watch.tell_of_class_line(written, config)


def first(config: Any, watch: Watch, frame: Optional[types.FrameType]) -> Optional[Exception]:
    """Judge the first instance of a class, whose ``__init__`` was not wrapped yet when it was called.

    Looks at what the class has stored already, and at what a generated ``__init__`` was given, if that is what runs:
    a frame is asked for arguments here alone, once for each class. What a hand-written ``__init__`` that was set on
    the class later keeps to itself is judged from the second instance on.
    """
    own = {getattr(vars(cls).get("__init__"), "__code__", None) for cls in type(config).__mro__}
    while frame is not None and frame.f_code not in own:
        frame = frame.f_back
    passed, method = watch.attributes(config).get("task_type"), None
    if frame is not None and _is_generated(frame):
        given = frame.f_locals
        value, method = given.get("task_type"), given.get("peft_type")
        passed = passed if value is None or value is _NOT_GIVEN else value
    return _before(watch, config, passed, method, translates=False)


def _is_generated(function: Any) -> bool:
    """Whether `dataclasses` has written this function, or what runs in this frame."""
    code = getattr(function, "__code__", None) or getattr(function, "f_code", None)
    return code is not None and code.co_filename == "<string>"


def _positional_names(function: Any) -> tuple[str, ...]:
    """Return the names of the positional parameters after ``self``."""
    code = getattr(function, "__code__", None)
    if code is None:  # an extension's, or something callable
        return ()
    return tuple(code.co_varnames[1 : code.co_argcount])


def _handed_on(function: Any, cls: type) -> tuple[str, ...]:
    """Return what the ``*args`` of a function stand for that somebody has put in the place of PEFT's ``__init__``."""
    code = getattr(function, "__code__", None)
    if code is None or not code.co_flags & inspect.CO_VARARGS or not is_own(cls):
        return ()
    return tuple(name for name, field in getattr(cls, "__dataclass_fields__", {}).items() if field.init)
