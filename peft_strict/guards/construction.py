"""Wraps the constructor of a config class, and judges what was passed and what became of it."""

from __future__ import annotations

import inspect
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Optional

from ..releases.live import is_own
from . import report
from .suspension import is_suspended
from .watch import MISSING, REPORTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .watch import Watch


# What `__post_init__` may add to the fields. LoraConfig has 42 of them, which fill a dict to the brim, and adds one
# more: to have the dict grow costs 4 % of the construction.
_SPARE = ("spare 1", "spare 2", "spare 3", "spare 4")


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
    blank = _blank_names(cls, original, watch)
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
        prefilled = None
        try:
            if kept is None or args or "peft_type" in kwargs:
                method = args[method_at] if method_at < len(args) else kwargs.get("peft_type")
                error = _before(watch, instance, passed, method, translates)
                if error is not None:
                    raise error
            if blank is not None and type(instance) is cls and not instance.__dict__:
                prefilled = instance.__dict__ = blank.copy()
            wrapped(*args, **kwargs)
            if passed is not None and (prefilled or attributes(instance)).get("task_type") is not (kept or passed):
                error = _after(watch, instance, passed, translates)
                if error is not None:
                    raise error
            error = look(instance, args, kwargs)
            if error is not None:
                raise error
        except TypeError as error:
            if prefilled is not None and getattr(error.__traceback__, "tb_next", None) is None:
                prefilled.clear()  # the arguments do not fit: the class has not seen the config
            raise
        except REPORTS as error:
            __tracebackhide__ = True
            report.trim(error)
            raise
        return None

    return check


def _blank_names(cls: type, original: Any, watch: Watch) -> Optional[dict[str, Any]]:
    """Return the attributes that constructing ``cls`` is sure to set, in order, if ``task_type`` is the first of them.

    Python is slow with an attribute dict that it is asked for at the first of 45 attributes, as our guard does. One
    that has the names already saves a fifth of the time of a plain construction. So classes of PEFT, whose generated
    ``__init__`` sets every field before anybody can look, start with one; a config that has attributes already, from
    an earlier ``__init__`` or from somebody else, keeps its own.
    """
    fields = getattr(cls, "__dataclass_fields__", {})
    names = [name for name, field in fields.items() if field.init]
    known = is_own(cls) and _is_generated(original) and cls in watch.release.configs.values()
    if (
        not known
        or len(names) != len(fields)
        or list(_positional_names(original)) != names  # a mock with a specification is generated, too
        or names[:1] != ["task_type"]
        or getattr(cls, "peft_type", cls) is not None
    ):
        return None
    stored = not any(hasattr(type(getattr(cls, name, None)), "__set__") for name in names[1:])  # by no property
    plain = stored and not any("__setattr__" in vars(base) for base in cls.__mro__[:-1])
    if not plain:
        return None
    blank: dict[str, Any] = {**dict.fromkeys(names), "task_type": MISSING}
    large = {**blank, **dict.fromkeys(_SPARE)}
    for _ in _SPARE:
        large.popitem()
    return large if sys.getsizeof(large) > sys.getsizeof(blank) else blank  # only a larger one keeps the room


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
    default = getattr(type(instance), "task_type", None)
    right, meant = watch.lookup(passed)
    if (
        (left is default or left is None)
        and (right or not translates)
        and "task_type" not in watch.attributes(instance)
    ):
        return None  # nothing was stored at all: somebody has put another __init__, such as a mock, in its place
    if right and left == meant:
        return None
    if translates and not right and left is not None:
        return None
    return watch.refuse_replaced(passed, instance, left)


def _is_generated(function: Any) -> bool:
    code = getattr(function, "__code__", None)
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
