"""Puts the guards on a live PEFT and takes them off again. The only module that imports wrapt.

A patch is recognised by a mark on the patch itself, never from a remembered flag, and carries what it replaced. So the
same walk over the classes patches what is not guarded, tells what is not, and undoes what is there. Undo puts the
original back where the patch is what the class holds; where something else sits on top, that is left alone, and the
patch below it has gone inert with ``state.on``.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import operator
import pkgutil
import sys
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Optional

import wrapt

from .._errors import name_of
from ..releases.live import is_own, live_release
from . import attribute, construction, crossings, report
from .watch import MISSING, REPORTS, Watch, note_source

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator

    from .._standby import State
    from ..releases.live import Release

_TASKS = "MODEL_TYPE_TO_PEFT_MODEL_MAPPING"
_DEEPEST = 100  # layers of wrappers to look through


def _sign(patch: Any, original: Any, watch: Watch) -> Any:
    """Mark a patch as ours, with what it replaced (`MISSING` where there was nothing)."""
    patch._self_original = original
    patch._self_peft_strict_watch = watch
    return patch


def _mark_of(layer: Any) -> tuple[Any, Any]:
    """Return the watch and the original of a patch of ours; ``(None, None)`` for anything else.

    Looks at the object itself: an ordinary ``getattr`` on somebody else's proxy around ours would find our mark.
    """
    own = object.__getattribute__
    if type(layer) is wrapt.BoundFunctionWrapper:  # what somebody has read from the class, and put back
        layer = own(layer, "_self_parent")
    try:
        watch, original = own(layer, "_self_peft_strict_watch"), own(layer, "_self_original")
    except AttributeError:
        return None, None
    if issubclass(type(layer), wrapt.FunctionWrapper):  # wrapt takes other wrappers out from below it
        original = layer.__wrapped__
    return watch, original


class TaskMapping(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """Stands in for the task-to-model mapping that ``get_peft_model`` reads, to speak before its ``KeyError: None``.

    Passes everything on to PEFT's own dict. Only where a look-up by ``get_peft_model`` itself fails does it have the
    config judged, so it costs nothing, and it works for every reference to that function there already is.
    """

    def __getitem__(self, key: object) -> Any:
        try:
            return self.__wrapped__[key]
        except Exception:  # no such key, no hash, or a foreign __hash__ or __eq__ that raises
            error = _judge_caller(self._self_peft_strict_watch, sys._getframe(1))
            if error is not None:
                __tracebackhide__ = True
                raise error from None
            raise

    def keys(self) -> Any:
        """Return the keys, which judge as well."""
        return _TaskKeys(self.__wrapped__.keys(), self._self_peft_strict_watch)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce_ex__(self, protocol: Any) -> Any:  # for copies and pickles, which wrapt's proxies refuse
        return dict, (dict(self.__wrapped__),)

    def __copy__(self) -> Any:
        return dict(self.__wrapped__)

    def __deepcopy__(self, memo: Any) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)


class _TaskKeys(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """The keys of that mapping, which ``get_peft_model`` looks at first.

    A task type without a hash fails in them already, and PEFT 0.2 takes prompt learning that is not in them for LoRA.
    """

    def __init__(self, keys: Any, watch: Watch) -> None:
        super().__init__(keys)
        self._self_watch = watch

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __contains__(self, key: object) -> bool:
        watch = self._self_watch
        failure: Optional[Exception] = None
        try:
            if key in self.__wrapped__:
                return True
        except Exception as error:  # no hash, or a foreign __hash__ or __eq__ that raises
            failure = error
        caller = sys._getframe(1)
        if failure or isinstance(caller.f_locals.get("peft_config"), watch.release.module.PromptLearningConfig):
            failure = _judge_caller(watch, caller) or failure
        if failure is not None:
            __tracebackhide__ = True
            raise failure from None
        return False


def _judge_caller(watch: Watch, frame: types.FrameType) -> Optional[Exception]:
    """Judge what ``get_peft_model`` was called with, if it is what runs in ``frame``."""
    names = frame.f_locals
    if frame.f_code.co_name != "get_peft_model" or not {"model", "peft_config"} <= names.keys() or not watch.active:
        return None
    return watch.meet(names["model"], names["peft_config"], None)


class InitWrapper(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """Around an ``__init__``. Pickles as what it wraps, for cloudpickle and dill, which take whole classes apart."""

    # What wrapt binds calls with. For a subclass, its compiled version looks for this here, then on the wrapped
    # function, and takes this very class when both fail: to have it here takes 0.5 us off each construction.
    __bound_function_wrapper__ = wrapt.BoundFunctionWrapper

    def __reduce_ex__(self, protocol: Any) -> Any:
        return operator.getitem, ([self.__wrapped__], 0)


class BareWrapper(InitWrapper):
    """Around an ``__init__`` that is no function but, say, a mock: Python calls that without the instance."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        wrapper: Any = self._self_wrapper
        return lambda *args, **kwargs: wrapper(self.__wrapped__, instance, args, kwargs)


class FunctionPatch(InitWrapper):
    """Around a function of a module. Pickles by its name, and so as whatever has that name where it is unpickled."""

    def __copy__(self) -> FunctionPatch:  # functions are not copied
        return self

    def __deepcopy__(self, memo: Any) -> FunctionPatch:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return pkgutil.resolve_name, (f"{self.__wrapped__.__module__}:{self.__wrapped__.__qualname__}",)


class NewcomerHook(classmethod):  # type: ignore[type-arg]
    """The ``__init_subclass__`` that tells us of config classes made after patching."""


class Install:
    """The patches on one imported copy of PEFT.

    Attributes:
        release: That copy.
        watch: The rules its patches apply.
    """

    def __init__(self, release: Release, state: State) -> None:
        self.release = release
        self.watch = Watch(release, state)
        self.watch.adopt = self._adopt
        self._placed: dict[tuple[int, str], weakref.ref[Any]] = {}
        self._functions: dict[int, FunctionPatch] = {}  # one for all modules that hold the function
        self._buried: set[tuple[int, str]] = set()  # where there are patches of ours that we no longer see

    def is_of(self, release: Release) -> bool:
        """Whether this is the install of that copy of PEFT."""
        parts = ("module", "task_type", "configs")
        return all(getattr(self.release, part) is getattr(release, part) for part in parts)

    def apply(self) -> None:
        """Patch whatever is not guarded, and can be: a class that takes no patch is named by `unguarded`."""
        for cls in list(self.release.config_classes()):
            with contextlib.suppress(Exception):  # whatever a foreign metaclass raises
                self._guard_config(cls)
        for owner, name, make in self._places():
            self._place(owner, name, make)

    def undo(self) -> None:
        """Put back the original of every patch that nothing sits on. The others are tried again at the next undo."""
        for module, name, held in crossings.holders():  # who has imported a patched function since
            if _mark_of(held)[0] is self.watch:
                self._remember(module, name)
        for key in list(self._placed):
            reference, name = self._placed.get(key), key[1]
            owner = reference() if reference is not None else None
            if owner is None:  # a class that has died
                continue
            watch, original = _mark_of(vars(owner).get(name))
            if watch is not self.watch and name in vars(owner):
                continue
            if key not in self._buried:
                self._placed.pop(key, None)
            if watch is not self.watch:
                continue
            if original is MISSING:
                delattr(owner, name)
            elif isinstance(original, dataclasses.Field) and original.name:  # `dataclasses` was here meanwhile
                setattr(owner, name, original.default)
            else:
                setattr(owner, name, original)

    def config_classes(self) -> list[type]:
        """Return the registered config classes."""
        found = {id(cls): cls for cls in self.release.configs.values() if isinstance(cls, type)}  # some have no hash
        return list(found.values())

    def unguarded(self) -> list[str]:
        """Return the names of the registered config classes, and of other places, that are not guarded now."""
        for reference in list(self.watch.newcomers):
            cls = reference()
            if cls is not None:
                self._adopt(cls)
        registered = self.config_classes()
        others = [cls for cls in self.release.config_classes() if not any(cls is known for known in registered)]
        names = [name_of(cls) for cls in registered if not self._is_guarded(cls)]
        names += [name_of(cls) for cls in others if not self._is_patched(cls)]
        places = [(owner, name) for owner, name, _ in self._places()]
        return names + [f"{owner.__name__}.{name}" for owner, name in places if not self._holds(owner, name)]

    def _is_patched(self, cls: type) -> bool:
        """Whether what this class has of its own is guarded. A class that cannot be looked at is not."""
        with contextlib.suppress(Exception):  # whatever a foreign metaclass raises
            return all(self._holds(cls, name) for name in ("__init__", "task_type") if name in vars(cls))
        return False

    def _is_guarded(self, cls: type) -> bool:
        with contextlib.suppress(Exception):
            owner = next(base for base in cls.__mro__ if "__init__" in vars(base))
            guard = next((vars(base)["task_type"] for base in cls.__mro__ if "task_type" in vars(base)), None)
            return self._holds(owner, "__init__") and _mark_of(guard)[0] is self.watch
        return False

    def _places(self) -> Iterator[tuple[Any, str, Callable[[Any], Any]]]:
        """Yield each place but the config classes: class or module, attribute, and what makes the patch from it."""
        base = self.release.config_base
        yield base, "__init_subclass__", self._newcomer_hook
        yield base, "from_json_file", self._wrapping(self._read)
        for cls, name, wrapper in self._meetings():
            yield cls, name, self._wrapping(wrapper)
        yield self.release.tasks_module, _TASKS, TaskMapping
        for cls, name, wrapper in crossings.methods(self.watch):
            yield cls, name, self._wrapping(wrapper)
        for module, name, wrapper in crossings.functions(self.watch):
            yield module, name, self._sharing(wrapper)

    # -- placing -----------------------------------------------------------------------------------------------------

    def _place(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        key = (id(owner), name)
        if not self._holds(owner, name):
            raw = vars(owner).get(name, MISSING)
            setattr(owner, name, _sign(make(raw), raw, self.watch))
            if key in self._placed:
                self._buried.add(key)
        self._remember(owner, name)

    def _remember(self, owner: Any, name: str) -> None:
        key = (id(owner), name)
        self._placed[key] = weakref.ref(owner, lambda _: self._forget(key))

    def _forget(self, key: tuple[int, str]) -> None:
        self._placed.pop(key, None)
        self._buried.discard(key)

    def _holds(self, owner: Any, name: str) -> bool:
        """Whether one of our patches is in force there: outermost, or visibly below somebody else's wrapper."""
        layer = vars(owner).get(name)
        for _ in range(_DEEPEST):
            if _mark_of(layer)[0] is self.watch:
                return True
            layer = getattr(layer, "__wrapped__", None)
            if layer is None:
                break
        return False

    def _guard_config(self, cls: type) -> None:
        if "__init__" in vars(cls):
            self._place(cls, "__init__", lambda raw: self._wrap(raw, construction.construction(cls, raw, self.watch)))
        if "task_type" in vars(cls):
            self._place(cls, "task_type", lambda raw: attribute.guard_for(raw, self.watch))

    def _adopt(self, cls: type) -> None:
        """Patch a config class that was made after the others."""
        with self.watch.state.lock:
            self.watch.newcomers.discard(weakref.ref(cls))
            if self.watch.state.on:
                self._guard_config(cls)

    # -- the patches -------------------------------------------------------------------------------------------------

    def _wrap(self, raw: Any, wrapper: Callable[..., Any]) -> Any:
        return (InitWrapper if hasattr(type(raw), "__get__") else BareWrapper)(raw, wrapper)

    def _wrapping(self, wrapper: Callable[..., Any]) -> Callable[[Any], Any]:
        return lambda raw: self._wrap(raw, wrapper)

    def _sharing(self, wrapper: Callable[..., Any]) -> Callable[[Any], Any]:
        """As `_wrapping`, for a function that many modules hold."""
        return lambda raw: self._functions.setdefault(id(raw), FunctionPatch(raw, wrapper))

    def _newcomer_hook(self, raw: Any) -> Any:
        base: Any = self.release.config_base
        watch = self.watch

        def __init_subclass__(cls: type, **kwargs: Any) -> None:
            if raw is MISSING:
                super(base, cls).__init_subclass__(**kwargs)  # type: ignore[misc]
            else:
                raw.__get__(None, cls)(**kwargs)
            with contextlib.suppress(Exception):  # whatever a foreign metaclass raises: it costs that class its guard
                if watch.state.on:
                    self._adopt(cls)
                    if "__init__" not in vars(cls):  # `dataclasses` may give it one yet
                        watch.newcomers.add(weakref.ref(cls, watch.newcomers.discard))

        return NewcomerHook(__init_subclass__)

    def _read(self, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Wraps ``from_json_file``."""
        found = wrapped(*args, **kwargs)
        if self.watch.active:
            path = args[0] if args else kwargs.get("path_json_file")
            note_source(found, path, self.watch)
            self.watch.fields.note_source(found, path)
        return found

    def _meetings(self) -> Iterator[tuple[type, str, Callable[..., Any]]]:
        """Yield each place where a config meets a model: class, method and wrapper."""
        release = self.release
        yield release.peft_model, "__init__", self._meeting(wraps=True)
        yield release.peft_model, "add_adapter", self._joining(wraps=True)
        if release.mixed_model is not None:
            yield release.mixed_model, "__init__", self._meeting(wraps=False)
            yield release.mixed_model, "add_adapter", self._joining(wraps=False)
        for tuner in release.tuners:
            yield tuner, "__init__", self._meeting(wraps=False)

    def _meeting(self, *, wraps: bool) -> Callable[..., Any]:
        """Return the wrapper for a constructor ``(model, peft_config, adapter_name)``.

        Args:
            wraps: Whether the class is a ``PeftModel``, whose own class decides what happens to the head.
        """

        def parties(_instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Callable[[], Any]]:
            model, config, name = _arguments(args, kwargs, "model", "peft_config", "adapter_name")
            config = kwargs.get("config") if config is None else config  # what tuners called it up to 0.13
            if isinstance(config, dict):  # a tuner is given all configs of the model, by adapter name
                config = config.get(name)
            return config, lambda: model

        return self._judging(parties, wraps=wraps)

    def _joining(self, *, wraps: bool) -> Callable[..., Any]:
        """Return the wrapper for ``add_adapter(adapter_name, peft_config)`` of a model that has adapters already."""

        def parties(instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Callable[[], Any]]:
            _, config = _arguments(args, kwargs, "adapter_name", "peft_config")
            return config, lambda: _base_of(instance, self.release.tuners)

        return self._judging(parties, wraps=wraps)

    def _judging(self, parties: Callable[..., tuple[Any, Callable[[], Any]]], *, wraps: bool) -> Callable[..., Any]:
        """Return a wrapper that judges, then calls; PEFT's own nested calls for the same config are not judged again.

        Args:
            parties: Finds the config in a call, and a function for the base model: a ``PeftModel`` that is still being
                built cannot say what it is, and is not asked.
            wraps: As above.
        """
        watch = self.watch

        def judged(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if not watch.active:
                return wrapped(*args, **kwargs)
            if instance is None and args:  # called as the class attribute, which somebody has saved
                wrapped, instance, args = partial(wrapped, args[0]), args[0], args[1:]
            config, base = parties(instance, args, kwargs)
            if _has_no_place(config, instance if wraps else None) or not watch.enter(config, wraps=wraps):
                return wrapped(*args, **kwargs)
            try:
                model, wrapper = base(), type(instance) if wraps else None
                error = watch.meet(model, config, wrapper)
                if error is not None:
                    raise error
                seen = None if kwargs.get("state_dict") else watch.names.before(model, config)
                result = wrapped(*args, **kwargs)
                error = watch.names.after(seen, wrapper, of_head=watch.was_headless(model)) if seen else None
                if error is not None:
                    raise error
                return result
            except REPORTS as error:
                __tracebackhide__ = True
                report.trim(error)
                raise
            finally:
                watch.leave(config)

        return judged


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any], *names: str) -> Iterator[Any]:
    """Yield the arguments of these names from a call; ``None`` for one that is not there."""
    for place, name in enumerate(names):
        yield args[place] if place < len(args) else kwargs.get(name)


def _has_no_place(config: Any, adapted: Any) -> bool:
    """Whether PEFT is about to say that there is no place for this soft prompt here, whatever its task type.

    That is so where adapters are injected or mixed, and beside adapters of another method.
    """
    if getattr(config, "is_prompt_learning", False) is not True:
        return False
    method = getattr(config, "peft_type", None)
    return adapted is None or vars(adapted).get("peft_type", method) != method


def _base_of(adapted: Any, tuners: tuple[type, ...]) -> Any:
    """Return the base model below a ``PeftModel`` or ``PeftMixedModel``; ``None`` if that is not to be found.

    ``get_base_model`` is not asked: it fails where the active adapter has been deleted.
    """
    below = getattr(adapted, "base_model", None)
    holds_layers = isinstance(below, tuners) or is_own(type(below))  # not so for prompt learning
    return getattr(below, "model", None) if holds_layers else below


def apply(state: State) -> None:
    """Guard the PEFT that is imported now, on top of what may be guarded already.

    Raises:
        RuntimeError: if this PEFT lacks something peft-strict needs.
    """
    release = live_release()
    install = _install_of(state, release)
    if install is None:
        for other in [known for known in state.installs if type(known) is not Install]:
            other.undo()  # placed by a copy of our code that was reloaded
            state.installs.remove(other)
        install = Install(release, state)
        state.installs.append(install)
    try:
        install.apply()
    except BaseException:
        install.undo()
        raise


def _install_of(state: State, release: Release) -> Optional[Install]:
    """Return what this copy of our code has patched of that copy of PEFT."""
    own = (known for known in state.installs if type(known) is Install)
    return next((known for known in own if known.is_of(release)), None)


def inspect_live(state: State) -> tuple[int, list[str], str]:
    """Return how many config classes PEFT registers, what is not guarded of it, and PEFT's version."""
    release = live_release()
    known = (install for install in reversed(state.installs) if install.is_of(release))
    install = next(known, None) or Install(release, state)  # what another copy of our code has patched counts too
    return len(install.config_classes()), install.unguarded(), release.version
