"""What is known about PEFT releases: where they keep the things peft-strict needs.

Read in the sources of PEFT 0.2.0 to 0.21.2:

- ``TaskType``, ``PeftConfig``, ``PeftModel`` and ``get_peft_model`` are names of the package ``peft`` itself in all.
- The config base is ``PeftConfigMixin`` in all; it has no ``task_type`` of its own before 0.14.
- ``PEFT_TYPE_TO_CONFIG_MAPPING`` is in ``peft.mapping`` in all; ``PEFT_TYPE_TO_TUNER_MAPPING`` there since 0.5.
- ``MODEL_TYPE_TO_PEFT_MODEL_MAPPING`` stands where ``get_peft_model`` does: ``peft.mapping`` up to 0.15, then
  ``peft.mapping_func``.
- ``PeftMixedModel`` exists since 0.7, ``BaseTuner`` and ``inject_adapter_in_model`` since 0.5.
- The first positional argument of a config is ``peft_type`` up to 0.13 and ``task_type`` from 0.14.
- PEFT up to 0.3 makes ``__dict__`` of a config a property that returns a copy.
"""

from __future__ import annotations

import importlib
import re
import sys
import types
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from .vocabulary import Vocabulary

if TYPE_CHECKING:
    import enum
    from collections.abc import Iterator, Mapping

# What the task-specific PeftModel classes add to `modules_to_save` by themselves. The same from 0.2 to 0.21.2
# (PeftModelForQuestionAnswering: since 0.4); tests/releases/test_live.py measures it on the installed release.
_ADDED_MODULES = {
    "PeftModelForSequenceClassification": ("classifier", "score"),
    "PeftModelForTokenClassification": ("classifier", "score"),
    "PeftModelForQuestionAnswering": ("qa_outputs",),
}

# What the other wings look for in PEFT's modules, beside the names of the package itself.
_NEEDED = ("peft.mapping", "peft.mapping_func", "peft.tuners.tuners_utils", "peft.utils.other")
_LAZY: Optional[type] = getattr(types, "LazyImportType", None)  # from CPython 3.15 on

_MEANING = re.compile(r"^\s*-\s*(\w+):\s*([^.\n]+)", re.MULTILINE)


class Release(NamedTuple):
    """The parts of one imported copy of PEFT that peft-strict works with.

    Attributes:
        module: The package ``peft``.
        version: Its version.
        task_type: ``peft.TaskType``.
        config_base: The class all PEFT configs derive from.
        configs: PEFT's mapping from method to config class; live, it grows by ``register_peft_method``.
        tasks_module: The module with ``get_peft_model`` and the mapping from task type to model class that it reads.
        peft_model: ``peft.PeftModel``.
        mixed_model: ``peft.PeftMixedModel``, or ``None`` before 0.7.
        tuners: The classes that inject adapters without a ``PeftModel`` around; empty before 0.5.
    """

    module: types.ModuleType
    version: str
    task_type: type[enum.Enum]
    config_base: type
    configs: Mapping[str, type]
    tasks_module: types.ModuleType
    peft_model: type
    mixed_model: Optional[type]
    tuners: tuple[type, ...]

    @property
    def tasks(self) -> Mapping[str, type]:
        """PEFT's mapping from task type to model class. Live: users add names of their own, or replace it."""
        tasks: Mapping[str, type] = self.tasks_module.MODEL_TYPE_TO_PEFT_MODEL_MAPPING
        return tasks

    @property
    def supported(self) -> tuple[str, ...]:
        """The names of the task types, in PEFT's order."""
        return tuple(str(member.value) for member in self.task_type)

    def config_classes(self) -> Iterator[type]:
        """Every config class there is now: the registered ones first, then the base and all its subclasses."""
        registered = [cls for cls in self.configs.values() if _derives(cls, self.config_base)]
        return _families([*registered, self.config_base])

    def owners(self) -> Iterator[Any]:
        """Every class and module that may have been patched: the config classes, and what makes models."""
        yield from self.config_classes()
        yield from _families([cls for cls in (self.peft_model, self.mixed_model, *self.tuners) if cls is not None])
        yield self.tasks_module


def _derives(cls: Any, base: type) -> bool:
    return issubclass(type(cls), type) and base in type.__dict__["__mro__"].__get__(cls)


def _families(pending: list[type]) -> Iterator[type]:
    """Yield these classes and all below them, each once."""
    seen: set[int] = set()  # a class need not have a hash
    while pending:
        cls = pending.pop(0)
        if id(cls) not in seen:
            seen.add(id(cls))
            yield cls
            pending.extend(type.__subclasses__(cls))


def load_lazy_parts(peft: types.ModuleType) -> None:
    """Have everything imported that an import of PEFT imports where no import is lazy (CPython 3.15, PEP 810).

    A package that is imported lazily (``-X lazy_imports=all``, or by its own ``__lazy_modules__``) has executed only
    its first module at the end of its import, and registers its methods one by one as their names are used. What
    fails to be imported is left to whoever uses it. Not to be called with a lock in hand: imports wait for each other.
    """
    if _LAZY is None:
        return
    for name in [name for name, value in list(vars(peft).items()) if isinstance(value, _LAZY)]:
        _try(getattr, peft, name)
    for name in _NEEDED:
        _try(importlib.import_module, name)


def _try(load: Callable[..., Any], *arguments: Any) -> None:
    try:
        load(*arguments)
    except Exception:  # a dependency that is not there, or breaks
        return


def imported() -> types.ModuleType:
    """Return the ``peft`` that is imported.

    At its end a reload takes it out of ``sys.modules`` and puts it back (``importlib._bootstrap._exec``): to import it
    waits for that. Not to be called with a lock in hand.
    """
    found = sys.modules.get("peft")
    return importlib.import_module("peft") if found is None else found


def live_release(peft: Optional[types.ModuleType] = None) -> Release:
    """Describe a PEFT.

    Args:
        peft: The package; by default the one that is imported now.

    Raises:
        RuntimeError: if it lacks something peft-strict needs (older than 0.2, or a half-imported package).
    """
    peft = imported() if peft is None else peft
    mapping = sys.modules.get("peft.mapping")
    tasks_module = sys.modules.get("peft.mapping_func") or mapping
    try:
        release = Release(
            module=peft,
            version=str(peft.__version__),
            task_type=_named(peft, "TaskType"),
            config_base=_config_base(_named(peft, "PeftConfig")),
            configs=mapping.PEFT_TYPE_TO_CONFIG_MAPPING,  # type: ignore[union-attr]
            tasks_module=tasks_module,  # type: ignore[arg-type]
            peft_model=_named(peft, "PeftModel"),
            mixed_model=getattr(peft, "PeftMixedModel", None),
            tuners=_tuners(mapping),
        )
        release.tasks  # noqa: B018  # must be there, too
    except AttributeError as error:
        raise RuntimeError(f"this PEFT lacks what peft-strict needs ({error})") from error
    return release


def _named(peft: types.ModuleType, name: str) -> Any:
    """Return a class by its name in the package, or from below it where somebody has put a mock in its place."""
    found = getattr(peft, name)
    if not isinstance(found, type):
        modules = [module for key, module in list(sys.modules.items()) if key.startswith("peft.")]
        held = (vars(module).get(name) for module in modules if isinstance(module, types.ModuleType))
        found = next((each for each in held if isinstance(each, type) and each.__name__ == name), found)
    return found


def _config_base(config_class: type) -> type:
    """Return the last class of PEFT's own in the MRO: ``PeftConfigMixin``."""
    package = config_class.__module__.partition(".")[0]
    return [cls for cls in config_class.__mro__ if cls.__module__.partition(".")[0] == package][-1]


def _tuners(mapping: Optional[types.ModuleType]) -> tuple[type, ...]:
    """Return ``BaseTuner`` and every tuner with an ``__init__`` of its own that may not call it."""
    utils = sys.modules.get("peft.tuners.tuners_utils")
    base = getattr(utils, "BaseTuner", None)
    if base is None:
        return ()
    registered = getattr(mapping, "PEFT_TYPE_TO_TUNER_MAPPING", {}).values()
    own = [cls for cls in dict.fromkeys(registered) if isinstance(cls, type) and "__init__" in vars(cls)]
    return (base, *own)


def added_modules(wrapper: Optional[type]) -> tuple[str, ...]:
    """Return the names that building this ``PeftModel`` class adds to ``modules_to_save``."""
    for cls in wrapper.__mro__ if wrapper else ():
        if cls.__name__ in _ADDED_MODULES:
            return _ADDED_MODULES[cls.__name__]
    return ()


def added_reach_always() -> bool:
    """Whether PEFT saves the names it adds also for configs without ``modules_to_save``: so up to 0.14.

    Up to there ``_set_trainable`` reads them from the model, and gets them as ``module_names`` from then on.
    """
    code = getattr(getattr(sys.modules.get("peft.utils.other"), "_set_trainable", None), "__code__", None)
    return code is not None and "module_names" not in code.co_varnames


class _Registered:
    """The names in the task mapping of a copy of PEFT, whichever mapping is there when one asks."""

    def __init__(self, release: Release) -> None:
        self._release = release

    def __contains__(self, name: object) -> bool:
        return name in self._release.tasks


def task_types(release: Release) -> dict[str, enum.Enum]:
    """Return the text of each task type that there is now, with its member."""
    return {str(member.value): member for member in release.task_type}


def vocabulary(release: Release) -> Vocabulary:
    """Return the task types of a copy of PEFT, for the value rule."""
    return Vocabulary(
        members=task_types(release),
        registered=_Registered(release),
        meanings=meanings(release.task_type),
        methods=release.configs,
    )


def meanings(task_type: type[enum.Enum]) -> dict[str, str]:
    """Return what each task type means, from the enum's docstring; empty where it has none (before 0.8)."""
    found = _MEANING.findall(task_type.__doc__ or "")
    names = {str(member.value) for member in task_type}
    return {name: words.strip() for name, words in found if name in names}


def is_own(cls: type) -> bool:
    """Whether PEFT itself defines this class. A class of somebody else may have anything for a module, or none."""
    try:
        module = cls.__module__
    except Exception:  # a foreign metaclass
        return False
    return isinstance(module, str) and module.partition(".")[0] == "peft"


def instance_dict(cls: type) -> Callable[[Any], dict[str, Any]]:
    """Return the function that gives the real ``__dict__`` of an instance of ``cls``.

    ``instance.__dict__`` is not it on PEFT <= 0.3, where a property of that name returns a copy.
    """
    for base in cls.__mro__:
        slot = vars(base).get("__dict__")
        if isinstance(slot, types.GetSetDescriptorType):
            return slot.__get__
    raise TypeError(f"instances of {cls.__name__} have no __dict__")
