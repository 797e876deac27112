"""Puts a patch in the place of an attribute, and takes it away again. The only module that imports wrapt.

A patch is known by the mark that it bears, never from a remembered flag, and the mark holds what it replaced. So the
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
import types
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .watch import Watch

MISSING: Any = dataclasses.MISSING  # still the same object when this module is reloaded
DEEPEST = 100  # layers of wrappers to look through
# What no patch of ours is: most of what a module or a class holds beside functions. By id: a class need have no hash.
_PLAIN = frozenset(map(id, (type(None), bool, int, float, str, tuple, list, dict, type)))


class Place(NamedTuple):
    """Somewhere that a patch belongs.

    Attributes:
        owner: The class or module.
        name: The attribute.
        make: Makes the patch from the raw attribute.
        adds: Whether the patch belongs there although the owner has no such attribute (``make`` then gets `MISSING`).
        above: What makes further patches around that one.
    """

    owner: Any
    name: str
    make: Callable[[Any], Any]
    adds: bool = False

    above: tuple[Callable[[Any], Any], ...] = ()

    def under(self, other: Place) -> Place:
        """Return this place with another one's patches around its own."""
        return self._replace(adds=self.adds or other.adds, above=(*self.above, other.make, *other.above))


class Mark(NamedTuple):
    """What a patch of ours bears.

    Attributes:
        watch: The rules that it applies.
        original: The raw attribute that it replaced, or `MISSING` where there was none.
    """

    watch: Watch
    original: Any


def attributes_of(owner: Any) -> Mapping[str, Any]:
    """Return the ``__dict__`` of a class or module, whatever a metaclass makes of that name."""
    found: Mapping[str, Any] = (
        type.__dict__["__dict__"].__get__(owner) if issubclass(type(owner), type) else vars(owner)
    )
    return found


def mro_of(cls: type) -> tuple[type, ...]:
    """Return the ``__mro__`` of a class, whatever a metaclass makes of that name."""
    found: tuple[type, ...] = type.__dict__["__mro__"].__get__(cls)
    return found


def mark_of(layer: Any) -> Optional[Mark]:
    """Return the mark of a patch of ours; ``None`` for anything else.

    Looks at the object itself: an ordinary ``getattr`` on somebody else's proxy around ours would find our mark.
    """
    if id(type(layer)) in _PLAIN:
        return None
    own = object.__getattribute__
    if issubclass(type(layer), wrapt.BoundFunctionWrapper):  # what somebody has read from the class, and put back
        layer = own(layer, "_self_parent")
    try:
        watch, original = own(layer, "_self_peft_strict_watch"), own(layer, "_self_original")
    except AttributeError:
        return None
    if issubclass(type(layer), wrapt.FunctionWrapper):  # wrapt takes other wrappers out from below it
        original = layer.__wrapped__
    return Mark(watch, original)


def holds(place: Place, watch: Watch) -> bool:
    """Whether one of our patches is in force there: outermost, or kept by what somebody else has put on top."""
    pending = [attributes_of(place.owner).get(place.name)]
    seen: set[int] = set()
    while pending and len(seen) < DEEPEST:
        layer = pending.pop(0)
        if id(layer) not in seen:
            seen.add(id(layer))
            mark = mark_of(layer)
            if mark is not None and mark.watch is watch:
                return True
            pending.extend(_kept_by(layer))
    return False


def _kept_by(layer: Any) -> Iterator[Any]:
    """Yield what a wrapper may call: what it names in ``__wrapped__``, and the functions that its code holds.

    PEFT's own functions wrap nothing: what they call, such as what `save_pretrained` calls, may well be patched.
    """
    with contextlib.suppress(Exception):  # no such attribute, or a foreign one that raises
        yield layer.__wrapped__
    if type(layer) is types.FunctionType and not _is_of_peft(layer):
        held = [layer.__globals__.get(name) for name in layer.__code__.co_names]
        for cell in layer.__closure__ or ():
            with contextlib.suppress(ValueError):  # empty
                held.append(cell.cell_contents)
        yield from (each for each in held if type(each) is types.FunctionType or mark_of(each) is not None)


def _is_of_peft(function: types.FunctionType) -> bool:
    module = function.__globals__.get("__name__")
    return isinstance(module, str) and module.partition(".")[0] == "peft"


def put(place: Place, watch: Watch) -> None:
    """Put the patch there, unless one is in force. What another copy of our code has left there goes first."""
    if holds(place, watch):
        return
    peel(place.owner, place.name)
    raw = patch = attributes_of(place.owner).get(place.name, MISSING)
    if raw is not MISSING or place.adds:
        for make in (place.make, *place.above):
            below, patch = patch, make(patch)
            patch._self_original = below
            patch._self_peft_strict_watch = watch
        setattr(place.owner, place.name, patch)


def peel(owner: Any, name: str) -> None:
    """Put back what our patch there has replaced; the newest first, if several of ours lie on each other."""
    mark = mark_of(attributes_of(owner).get(name))
    while mark is not None:
        if mark.original is MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, mark.original)
        mark = mark_of(attributes_of(owner).get(name))


# -- the wrappers -----------------------------------------------------------------------------------------------------


class BoundWrapper(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]
    """What a `Wrapper` gives when it is read. Is copied and pickled as functions and methods are: by its name."""

    def __copy__(self) -> BoundWrapper:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        function: Any = self.__wrapped__
        bound_to = getattr(function, "__self__", None)
        return self if bound_to is None else getattr(copy.deepcopy(bound_to, memo), function.__name__)

    def __reduce_ex__(self, protocol: Any) -> Any:
        function: Any = self.__wrapped__
        bound_to = getattr(function, "__self__", None)
        if bound_to is not None:
            return getattr, (bound_to, function.__name__)
        if "<locals>" in function.__qualname__:  # fails, as it does without us
            return operator.getitem, ([function], 0)
        return pkgutil.resolve_name, (f"{function.__module__}:{function.__qualname__}",)


class Wrapper(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """Around a function. Pickles as what it wraps, for cloudpickle and dill, which take whole classes apart."""

    # What wrapt binds calls with. For a subclass, its compiled version looks for this here, then on the wrapped
    # function, and takes this very class when both fail: to have it here takes 0.5 us off each construction.
    __bound_function_wrapper__ = BoundWrapper

    def __reduce_ex__(self, protocol: Any) -> Any:
        return operator.getitem, ([self.__wrapped__], 0)


class BareWrapper(Wrapper):
    """Around something that is no function but, say, a mock: Python calls that without the instance."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        wrapper: Any = self._self_wrapper
        return lambda *args, **kwargs: wrapper(self.__wrapped__, instance, args, kwargs)


class FunctionPatch(Wrapper):
    """Around a function of a module. Pickles by its name, and so as whatever has that name where it is unpickled."""

    def __copy__(self) -> FunctionPatch:  # functions are not copied
        return self

    def __deepcopy__(self, memo: Any) -> FunctionPatch:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return pkgutil.resolve_name, (f"{self.__wrapped__.__module__}:{self.__wrapped__.__qualname__}",)


class Proxy(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """Stands in for an object, and passes everything on to it. For patches that are no functions."""


def wrapping(wrapper: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return what makes a patch of a raw attribute, from a function ``(wrapped, instance, args, kwargs)``."""
    return lambda raw: (Wrapper if hasattr(type(raw), "__get__") else BareWrapper)(raw, wrapper)


class AddedFunction:
    """A function in a class that inherits it otherwise. Pickles as what is inherited, for cloudpickle and dill."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self._function if instance is None else types.MethodType(self._function, instance)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return operator.getitem, ([_below(self, self._function.__name__)], 0)


class AddedClassMethod(classmethod):  # type: ignore[type-arg]
    """The same for a class method."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        return operator.getitem, ([_below(self, self.__func__.__name__)], 0)


def _below(patch: Any, name: str) -> Any:
    """Return what a patch replaced, or what every object has under that name."""
    return getattr(object, name) if patch._self_original is MISSING else patch._self_original
