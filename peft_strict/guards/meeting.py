"""Guards where a config meets a model: ``PeftModel``, mixed models, tuners, second adapters, ``get_peft_model``."""

from __future__ import annotations

import copy
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from ..releases.live import is_own
from . import report
from .patching import Place, Proxy, attributes_of, wrapping
from .watch import REPORTS

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator

    from .watch import Watch

_TASKS = "MODEL_TYPE_TO_PEFT_MODEL_MAPPING"


def places(watch: Watch) -> Iterator[Place]:
    """Yield the places where a config meets a model."""
    release = watch.release
    yield Place(release.peft_model, "__init__", _meeting(watch, wraps=True))
    yield Place(release.peft_model, "add_adapter", _joining(watch, wraps=True))
    if release.mixed_model is not None:
        yield Place(release.mixed_model, "__init__", _meeting(watch, wraps=False))
        yield Place(release.mixed_model, "add_adapter", _joining(watch, wraps=False))
    for tuner in release.tuners:
        if "__init__" in attributes_of(tuner):
            yield Place(tuner, "__init__", _meeting(watch, wraps=False))
    yield Place(release.tasks_module, _TASKS, lambda raw: TaskMapping(raw, watch))
    if "_prepare_lora_config" in vars(release.tasks_module):  # PEFT 0.2
        yield Place(release.tasks_module, "_prepare_lora_config", wrapping(partial(_prepare, watch)))


def _meeting(watch: Watch, *, wraps: bool) -> Callable[[Any], Any]:
    """Return what wraps a constructor ``(model, peft_config, adapter_name)``.

    Args:
        watch: The rules.
        wraps: Whether the class is a ``PeftModel``, whose own class decides what happens to the head.
    """

    def parties(_instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Callable[[], Any]]:
        model, config, name = _arguments(args, kwargs, "model", "peft_config", "adapter_name")
        config = kwargs.get("config") if config is None else config  # what tuners called it up to 0.13
        if isinstance(config, dict):  # a tuner is given all configs of the model, by adapter name
            config = config.get(name)
        return config, lambda: model

    return wrapping(_judging(watch, parties, wraps=wraps))


def _joining(watch: Watch, *, wraps: bool) -> Callable[[Any], Any]:
    """Return what wraps ``add_adapter(adapter_name, peft_config)`` of a model that has adapters already."""

    def parties(instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Callable[[], Any]]:
        _, config = _arguments(args, kwargs, "adapter_name", "peft_config")
        return config, lambda: _base_of(instance, watch.release.tuners)

    return wrapping(_judging(watch, parties, wraps=wraps))


def _judging(
    watch: Watch, parties: Callable[..., tuple[Any, Callable[[], Any]]], *, wraps: bool
) -> Callable[..., Any]:
    """Return a wrapper that judges, then calls; PEFT's own nested calls for the same config are not judged again.

    Args:
        watch: The rules.
        parties: Finds the config in a call, and a function for the base model: a ``PeftModel`` that is still being
            built cannot say what it is, and is not asked.
        wraps: As above.
    """

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
            error = watch.names.after(seen, wrapper, of_head=watch.misfits.was_headless(model)) if seen else None
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


def _prepare(watch: Watch, wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Hand prompt learning without a task type on to ``PeftModel``, where it is judged: PEFT 0.2 takes it for LoRA."""
    if watch.active and args and isinstance(args[0], watch.release.module.PromptLearningConfig):
        return args[0]
    return wrapped(*args, **kwargs)


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


# -- get_peft_model ---------------------------------------------------------------------------------------------------


class TaskMapping(Proxy):
    """Stands in for the task-to-model mapping that ``get_peft_model`` reads, to speak before its ``KeyError: None``.

    Passes everything on to PEFT's own dict. Only where a look-up by ``get_peft_model`` itself fails does it hand out
    something in the place of a model class, which is then called with the model and the config. So it works for every
    reference to that function there already is.
    """

    def __init__(self, tasks: Any, watch: Watch) -> None:
        super().__init__(tasks)
        self._self_watch = watch

    def __getitem__(self, key: object) -> Any:
        try:
            return self.__wrapped__[key]
        except Exception:  # no such key, no hash, or a foreign __hash__ or __eq__ that raises
            if not _runs_get_peft_model(self._self_watch, sys._getframe(1)):
                raise
        return partial(_judge_then_fail, self._self_watch, self.__wrapped__, key)

    def keys(self) -> Any:
        """Return the keys."""
        keys = self.__wrapped__.keys()
        return _TaskKeys(keys) if _runs_get_peft_model(self._self_watch, sys._getframe(1)) else keys

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce_ex__(self, protocol: Any) -> Any:  # for copies and pickles, which wrapt's proxies refuse
        return dict, (dict(self.__wrapped__),)

    def __copy__(self) -> Any:
        return dict(self.__wrapped__)

    def __deepcopy__(self, memo: Any) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)


class _TaskKeys:
    """The keys of that mapping as ``get_peft_model`` looks at them: a task type without a hash is not among them."""

    def __init__(self, keys: Any) -> None:
        self._keys = keys

    def __contains__(self, key: object) -> bool:
        try:
            return key in self._keys
        except Exception:  # no hash, or a foreign __hash__ or __eq__ that raises
            return False


def _runs_get_peft_model(watch: Watch, frame: types.FrameType) -> bool:
    code, names = frame.f_code, frame.f_globals
    return watch.active and code.co_name == "get_peft_model" and names is vars(watch.release.tasks_module)


def _judge_then_fail(watch: Watch, tasks: Any, key: object, model: Any, peft_config: Any, *_: Any, **__: Any) -> Any:
    """Stands in for the class that there is none of: refuses the config, or fails as PEFT does."""
    error = watch.meet(model, peft_config, None)
    if error is not None:
        __tracebackhide__ = True
        try:
            raise error
        finally:
            del error  # or the frame and the error hold each other, and the model with them
    return tasks[key]
