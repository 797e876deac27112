"""What runs inside the patches: on the construction of a config, on assignment, and where a config meets a model.

Nothing here raises by itself from deep inside: the functions return the error, and the patch that called them raises
it, so that a traceback holds one frame of ours.
"""

from __future__ import annotations

import contextvars
import dataclasses
import sys
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Optional

from . import _report, _rule
from ._errors import InvalidTaskTypeError, MisfitError, MisfitWarning, TaskTypeWarning
from ._facts import find_misfit
from ._peft import added_modules, instance_dict, is_own, meanings
from ._suspension import is_suspended

if TYPE_CHECKING:
    import types
    from collections.abc import Callable

    from ._peft import Release
    from ._settings import State

MISSING: Any = dataclasses.MISSING  # still the same object when this module is reloaded

# What a patch lets through after cutting our other frames out of the traceback.
REPORTS = (InvalidTaskTypeError, MisfitError, TaskTypeWarning)

# The last wrong task_type that was read from a file, and that file. The value is recognised by identity: the text that
# JSON decoding made is the very object that reaches the config.
_last_read: contextvars.ContextVar[tuple[object, Optional[str]]] = contextvars.ContextVar(
    "peft_strict_last_read", default=(MISSING, None)
)
# The last file that was warned of, and the user's call that had it read: PEFT <= 0.3 reads it for each of two configs.
_last_warned: contextvars.ContextVar[tuple[object, ...]] = contextvars.ContextVar(
    "peft_strict_last_warned", default=()
)


class Watch:
    """The rules for one imported copy of PEFT, with what they need to remember.

    Attributes:
        state: The shared state: on or off, and the modes.
        release: The copy of PEFT.
        vocabulary: Its task types.
        newcomers: Config classes made after patching whose ``__init__`` was not there yet.
        attributes: Returns the real ``__dict__`` of a config.
        adopt: Patches such a class; set by ``_patching``.
    """

    def __init__(self, release: Release, state: State) -> None:
        self.state = state
        self.release = release
        self.vocabulary = _rule.Vocabulary(
            members={str(member.value): member for member in release.task_type},
            registered=release.tasks,
            meanings=meanings(release.task_type),
        )
        self.newcomers: set[weakref.ref[type]] = set()
        self.attributes = instance_dict(release.config_base)
        self.adopt: Callable[[type], None]
        self._reported: dict[int, tuple[weakref.ref[Any], object]] = {}
        self._meeting = threading.local()

    @property
    def active(self) -> bool:
        """Whether anything is to be checked here and now."""
        return self.state.on and not is_suspended.get()

    # -- values ------------------------------------------------------------------------------------------------------

    def refuse(self, value: object, config: Any, where: str) -> Optional[Exception]:
        """Return the error for a wrong value, unless this config's was reported before or it is only to be warned."""
        if self._was_reported(config, value):
            return None
        read, path = _last_read.get()
        name = type(config).__name__
        source = path if read is value else None
        call: tuple[object, ...] = ()
        if source is not None:
            _last_read.set((MISSING, None))  # "" and 1 are the same object wherever they come from
            call = (source, *_report.users_call())
            if self.state.invalid == "warn" and _last_warned.get() == call:
                self._remember(config, value)
                return None
        error = self._deliver(
            _rule.invalid(value, self.vocabulary, where=where, config_class=name, source=source), config, value
        )
        if call and error is None:
            _last_warned.set(call)
        return error

    def refuse_method(self, method: object, config: Any) -> Optional[Exception]:
        """Return the error for a task type given as ``peft_type``, if it is one."""
        if self._was_reported(config, method):
            return None
        name = type(config).__name__
        error = _rule.misplaced(method, self.vocabulary, self.release.configs, config_class=name)
        return self._deliver(error, config, method) if error else None

    def refuse_replaced(self, value: object, config: Any, left: object) -> Optional[Exception]:
        """Return the error for a value that did not reach the config as it was passed."""
        if self._was_reported(config, value):
            return None
        right, _ = _rule.lookup(value, self.vocabulary)
        name = type(config).__name__
        if right:
            error = _rule.replaced(value, left, self.vocabulary, config_class=name)
        else:
            error = _rule.invalid(value, self.vocabulary, where=f"{name}(task_type={{}})", config_class=name)
        return self._deliver(error, config, value)

    def _deliver(self, error: InvalidTaskTypeError, config: Any, value: object) -> Optional[Exception]:
        if self.state.invalid == "raise":
            return error
        turned = _report.warn(str(error), TaskTypeWarning)
        if turned is None:
            self._remember(config, value)
        return turned

    def _was_reported(self, config: Any, value: object) -> bool:
        """Whether this config was warned of for this value. What was only warned of is refused once errors are on."""
        known = self._reported.get(id(config))
        return self.state.invalid == "warn" and known is not None and known[0]() is config and known[1] is value

    def _remember(self, config: Any, value: object) -> None:
        key = id(config)  # a dataclass with == has no hash, so no weak set or mapping can hold it
        self._reported[key] = (weakref.ref(config, lambda _: self._reported.pop(key, None)), value)

    def assigned(self, config: Any, value: Any) -> tuple[Any, Optional[Exception]]:
        """Return what to store for an assigned value, and the error to raise instead."""
        if not self.active:
            return value, None
        right, stored = _rule.lookup(value, self.vocabulary)
        if right:
            return stored, None
        left = self.attributes(config).get("task_type")
        if left is not None and left is not value:  # mended since it was reported
            self._reported.pop(id(config), None)
        return value, self.refuse(value, config, f"{type(config).__name__}.task_type = {{}}")

    def welcome(self, config: Any, caller: types.FrameType) -> Optional[Exception]:
        """Have the class of a first instance patched, and check what its unpatched ``__init__`` was given."""
        if weakref.ref(type(config)) not in self.newcomers:
            return None
        self.adopt(type(config))
        if caller.f_code.co_name != "__init__" or not self.active:
            return None
        return self.refuse_method(caller.f_locals.get("peft_type"), config)

    # -- models ------------------------------------------------------------------------------------------------------

    def enter(self, config: Any) -> bool:
        """Note that ``config`` meets a model on this thread; say no if it already does (a nested call of PEFT's)."""
        met = self._meeting.__dict__.setdefault("configs", [])
        if any(config is other for other in met):
            return False
        met.append(config)
        return True

    def leave(self, config: Any) -> None:
        """Take back `enter`."""
        met = self._meeting.__dict__["configs"]
        del met[next(i for i, other in enumerate(met) if other is config)]

    def meet(self, model: Any, config: Any, wrapper: Optional[type]) -> Optional[Exception]:
        """Judge a config at the moment it is used on a model.

        Args:
            model: The base model.
            config: The config; anything that is not a PEFT config is left alone.
            wrapper: The ``PeftModel`` class around the model, or ``None`` where adapters are injected without one.

        Returns:
            The error to raise, or ``None`` if there is none or it was given as a warning.
        """
        if not isinstance(config, self.release.config_base):
            return None
        task_type = getattr(config, "task_type", None)
        right, _ = _rule.lookup(task_type, self.vocabulary)
        if not right:
            used_on = wrapper.__name__ if wrapper else type(model).__name__
            return self.refuse(task_type, config, f"{type(config).__name__}(task_type={{}}), used on {used_on}")
        error = self.refuse_method(getattr(config, "peft_type", None), config)
        return error or self._misfit(model, config, wrapper)

    def _misfit(self, model: Any, config: Any, wrapper: Optional[type]) -> Optional[Exception]:
        misfit = find_misfit(
            model, config, wrapper=wrapper, adds=added_modules(wrapper), supported=self.release.supported
        )
        if misfit is None:
            return None
        names = {"config_class": type(config).__name__, "model_class": type(model).__name__}
        if misfit.code == "M1":
            return _rule.missing(self.vocabulary, fitting=misfit.fitting, **names)
        if self.state.misfit == "ignore":
            return None
        if misfit.always_error or (self.state.misfit == "raise" and not misfit.warn_only):
            _, meant = _rule.lookup(getattr(config, "task_type", None), self.vocabulary)
            named = None if meant is None else str.__str__(meant)
            return MisfitError(misfit.message, code=misfit.code, fix=misfit.fix, task_type=named, **names)
        return _report.warn(misfit.message, MisfitWarning)


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
        watch = self._self_peft_strict_watch
        if type(value) is str and value in self._members and self._state.on:
            value = self._members[value]
        elif value is not None and type(value) is not self._type:
            value, error = watch.assigned(instance, value)
            if error is not None:
                __tracebackhide__ = True  # pytest then ends on the user's line
                raise error
        if watch.newcomers:
            error = watch.welcome(instance, sys._getframe(1))
            if error is not None:
                __tracebackhide__ = True
                raise error
        instance.__dict__["task_type"] = value

    def __delete__(self, instance: Any) -> None:
        if instance.__dict__.pop("task_type", MISSING) is MISSING:
            raise AttributeError("task_type")

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
        if error is None and watch.newcomers:
            error = watch.welcome(instance, sys._getframe(1))
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


def construction(cls: type, original: Any, watch: Watch) -> Callable[..., Any]:
    """Return the wrapper for the ``__init__`` of a config class.

    It checks what the caller passed. A hand-written ``__init__`` of a class that is not PEFT's may have words of its
    own, so there a wrong value is only refused if it is still wrong, or gone, when the class is done with it.
    """
    names = _positional_names(original)
    task_at = names.index("task_type") if "task_type" in names else sys.maxsize
    method_at = names.index("peft_type") if "peft_type" in names else sys.maxsize
    translates = not is_own(cls) and not _is_generated(original)
    state, members, attributes = watch.state, watch.vocabulary.members, watch.attributes
    task_class = watch.release.task_type
    blank = _blank_names(cls, original, watch)

    def check(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not state.on:
            return wrapped(*args, **kwargs)
        if instance is None and args:  # called as the class attribute, which somebody has saved
            wrapped, instance, args = partial(wrapped, args[0]), args[0], args[1:]
        passed = kwargs.get("task_type") if task_at >= len(args) else args[task_at]
        names = None
        try:
            kept = members.get(passed) if type(passed) is str else passed if type(passed) is task_class else None
            plain = kept is not None and not args and "peft_type" not in kwargs
            if not plain:
                method = args[method_at] if method_at < len(args) else kwargs.get("peft_type")
                error = _before(watch, instance, passed, method, translates)
                if error is not None:
                    raise error
            if blank is not None and type(instance) is cls and not instance.__dict__:
                names = instance.__dict__ = blank.copy()
            wrapped(*args, **kwargs)
            if passed is not None:
                left = (names or attributes(instance)).get("task_type")
                if left is not (kept or passed):
                    error = _after(watch, instance, passed, translates)
                    if error is not None:
                        raise error
        except TypeError as error:
            if names is not None and getattr(error.__traceback__, "tb_next", None) is None:
                names.clear()  # the arguments do not fit: the class has not seen the config
            raise
        except REPORTS as error:
            __tracebackhide__ = True
            _report.trim(error)
            raise
        return None

    return check


def _blank_names(cls: type, original: Any, watch: Watch) -> Optional[dict[str, None]]:
    """Return the attributes that constructing ``cls`` is sure to set, in order, if ``task_type`` is the first of them.

    Python is slow with an attribute dict that it is asked for at the first of 45 attributes: a config then takes 1.4
    times as long, guards included. Given a dict that has the names already, it takes 1.2 times. So PEFT's own classes,
    whose generated ``__init__`` sets every field before anybody can look, start with one; a config that has attributes
    already, from an earlier ``__init__`` or from somebody else, keeps its own.
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
    return dict.fromkeys(names) if plain else None


def _before(watch: Watch, instance: Any, passed: Any, method: Any, translates: bool) -> Optional[Exception]:
    """Judge what was passed, before the class sees it."""
    if is_suspended.get():
        return None
    if method is not None:
        error = watch.refuse_method(method, instance)
        if error is not None:
            return error
    if translates or _rule.lookup(passed, watch.vocabulary)[0]:
        return None
    return watch.refuse(passed, instance, f"{type(instance).__name__}(task_type={{}})")


def _after(watch: Watch, instance: Any, passed: Any, translates: bool) -> Optional[Exception]:
    """Judge what became of it."""
    if not watch.active:
        return None
    left = getattr(instance, "task_type", None)
    default = getattr(type(instance), "task_type", None)
    right, meant = _rule.lookup(passed, watch.vocabulary)
    if (
        (left is default or left is None)
        and (right or not translates)
        and "task_type" not in watch.attributes(instance)
    ):
        return None  # nothing was stored at all: somebody has put another __init__, such as a mock, in its place
    if left is meant or left is passed or (right and left == meant):
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


def note_source(config_dict: Any, path: Any, watch: Watch) -> None:
    """Remember the file a wrong ``task_type`` was read from, for the report that will follow."""
    value = config_dict.get("task_type") if isinstance(config_dict, dict) else None
    if not _rule.lookup(value, watch.vocabulary)[0]:
        _last_read.set((value, str(path)))
