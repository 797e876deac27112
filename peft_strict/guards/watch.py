"""The rules at work on one imported copy of PEFT: what a patch asks about a value, or about a config and a model.

Nothing here raises by itself: the functions return the error, and the patch that asked raises it, so that a traceback
holds one frame of ours.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Optional

from .._errors import (
    InvalidFieldError,
    InvalidFieldWarning,
    InvalidTaskTypeError,
    MisfitError,
    MisfitWarning,
    TaskTypeWarning,
)
from ..fit.facts import find_misfit
from ..releases.live import added_modules, instance_dict, task_types, vocabulary
from ..releases.loading import loaded_from
from ..values import rule
from . import frames, reading, report
from .fields import FieldLook
from .memory import Memory
from .naming import NameLook
from .suspension import is_suspended

if TYPE_CHECKING:
    from ..fit.misfit import Misfit
    from ..releases.live import Release
    from .state import State

MISSING: Any = dataclasses.MISSING  # still the same object when this module is reloaded

# What a patch lets through after cutting our other frames out of the traceback.
REPORTS = (InvalidFieldError, InvalidFieldWarning, MisfitError)


class Watch:
    """The rules for one imported copy of PEFT, with what they need to remember.

    Attributes:
        state: The shared state: on or off, and the modes.
        release: The copy of PEFT.
        vocabulary: Its task types.
        newcomers: Config classes made after patching that have had no instance yet.
        stubborn: The classes and modules that took no patch when one was last put there.
        attributes: Returns the real ``__dict__`` of a config.
        names: The look at the names in a config.
        fields: The look at the other fields than the task type.
        functions: The patch of each function that several modules hold, by the ``id`` of what it wraps.
    """

    def __init__(self, release: Release, state: State) -> None:
        self.state = state
        self.renew(release)
        self.newcomers: Memory[bool] = Memory()
        self.stubborn: Memory[bool] = Memory()
        self.attributes = instance_dict(release.config_base)
        self.names = NameLook(release, state)
        self.fields = FieldLook(self)
        self.functions: dict[int, Any] = {}
        self._reported: Memory[object] = Memory()  # the value that a config was last warned of
        self._headless: Memory[bool] = Memory()
        self._foreign: Memory[bool] = Memory()
        self._meeting = threading.local()
        self._mislabelled: set[tuple[str, Optional[str]]] = set()

    def renew(self, release: Release) -> None:
        """Work with the parts of this PEFT as they are now."""
        self.release = release
        self.vocabulary = vocabulary(release)

    @property
    def active(self) -> bool:
        """Whether anything is to be checked here and now."""
        return self.state.on and not is_suspended.get()

    # -- values ------------------------------------------------------------------------------------------------------

    def lookup(self, value: object) -> tuple[bool, Any]:
        """Apply the rule to a value, with the task types that PEFT has by now: somebody may have changed them."""
        found = rule.lookup(value, self.vocabulary)
        if not found[0]:
            known, there = self.vocabulary.members, task_types(self.release)
            if known != there:
                known.update(there)
                for gone in known.keys() - there.keys():
                    del known[gone]
                found = rule.lookup(value, self.vocabulary)
        return found

    def refuse(self, value: object, config: Any, where: str) -> Optional[Exception]:
        """Return the error for a wrong value, unless this config's was reported before or it is only to be warned."""
        if self._was_reported(config, value):
            return None
        file = reading.file_with("task_type", value)
        if file is not None and self.state.invalid == "warn" and "task_type" in file.told:
            self._reported[config] = value
            return None
        source, name = file.path if file is not None else None, type(config).__name__
        error = self._deliver(
            rule.invalid(value, self.vocabulary, where=where, config_class=name, source=source), config, value
        )
        if file is not None:
            file.told.add("task_type")
        return error

    def refuse_method(self, method: object, config: Any) -> Optional[Exception]:
        """Return the error for a task type given as ``peft_type``, if it is one."""
        if self._was_reported(config, method):
            return None
        name = type(config).__name__
        error = rule.misplaced(method, self.vocabulary, self.release.configs, config_class=name)
        return self._deliver(error, config, method) if error else None

    def refuse_replaced(self, value: object, config: Any, left: object) -> Optional[Exception]:
        """Return the error for a value that did not reach the config as it was passed."""
        if self._was_reported(config, value):
            return None
        right, _ = self.lookup(value)
        name = type(config).__name__
        if right:
            error = rule.replaced(value, left, self.vocabulary, config_class=name)
        else:
            error = rule.invalid(value, self.vocabulary, where=f"{name}(task_type={{}})", config_class=name)
        return self._deliver(error, config, value)

    def tell_of_class_line(self, written: object, config: Any) -> Optional[Exception]:
        """Warn that a class attribute ``task_type`` has no effect; return the error where a filter makes it one."""
        text = rule.without_effect(written, self.vocabulary, config_class=type(config).__name__)
        return report.warn(TaskTypeWarning(text), self.release)

    def _deliver(self, error: InvalidTaskTypeError, config: Any, value: object) -> Optional[Exception]:
        if self.state.invalid == "raise":
            return error
        turned = report.warn(TaskTypeWarning(str(error), code=error.code, fix=error.fix), self.release)
        if turned is None:
            self._reported[config] = value
        return turned

    def _was_reported(self, config: Any, value: object) -> bool:
        """Whether this config was warned of for this value. What was only warned of is refused once errors are on."""
        return self.state.invalid == "warn" and self._reported.get(config, MISSING) is value

    def assigned(self, config: Any, value: Any) -> tuple[Any, Optional[Exception]]:
        """Return what to store for an assigned value, and the error to raise instead."""
        if not self.active:
            return value, None
        right, stored = self.lookup(value)
        if right:
            return stored, None
        left = self.attributes(config).get("task_type", MISSING)
        if left is not MISSING and left is not value:  # mended since it was reported
            self._reported.forget(config)
        return value, self.refuse(value, config, f"{type(config).__name__}.task_type = {{}}")

    # -- models ------------------------------------------------------------------------------------------------------

    def enter(self, config: Any, *, wraps: bool) -> bool:
        """Note that ``config`` meets a model on this thread; say no if it already does (a nested call of PEFT's).

        A tuner that is built inside of a meeting may have been given a copy (X-LoRA does that): it counts as the same.
        """
        met = self._meeting.__dict__.setdefault("configs", [])
        if any(config is other or (not wraps and _same(config, other)) for other in met):
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
        right, _ = self.lookup(task_type)
        used_on = type(model).__name__
        if not right:
            return self.refuse(task_type, config, f"{type(config).__name__}(task_type={{}}), used on {used_on}")
        error = self.refuse_method(getattr(config, "peft_type", None), config)
        return error or self.fields.met(config, used_on) or self._misfit(model, config, wrapper)

    def _misfit(self, model: Any, config: Any, wrapper: Optional[type]) -> Optional[Exception]:
        misfit = find_misfit(
            model,
            config,
            wrapper=wrapper,
            adds=added_modules(wrapper),
            supported=self.release.supported,
            source=loaded_from(sys._getframe(), partial(frames.is_users, release=self.release)),
        )
        if misfit is None or self._was_told_in_training(misfit):
            return None
        if self.state.misfit != "ignore":
            if misfit.code in ("H1", "H2"):
                self._headless[model] = True
            if misfit.source is not None:
                self._foreign[model] = True
        names = {"config_class": misfit.config_class, "model_class": misfit.model_class}
        if misfit.code == "M1":
            loader = self.release.tasks.get(misfit.fitting) if misfit.fitting else None
            error = rule.missing(
                self.vocabulary,
                fitting=misfit.fitting,
                source=misfit.source,
                loader=loader.__name__ if loader else None,
                **names,
            )
            if wrapper is None:  # in `get_peft_model`, which is about to fail
                return error
            return None if self._was_reported(config, None) else self._deliver(error, config, None)
        if self.state.misfit == "ignore":
            return None
        if misfit.always_error or (self.state.misfit == "raise" and not misfit.warn_only):
            return MisfitError(
                misfit.message,
                code=misfit.code,
                fix=misfit.fix,
                task_type=misfit.task_type,
                source=misfit.source,
                **names,
            )
        return report.warn(MisfitWarning(misfit.message, code=misfit.code, fix=misfit.fix), self.release)

    def was_headless(self, model: Any) -> bool:
        """Whether it was reported that the head of this model, or of the model in it, will not be saved."""
        return self._base_of(model) in self._headless

    def was_foreign(self, model: Any) -> bool:
        """Whether it was reported that an adapter that was loaded into this model is for one of another class."""
        return self._base_of(model) in self._foreign

    def _base_of(self, model: Any) -> Any:
        below = model.__dict__["_modules"].get("base_model") if isinstance(model, self.release.peft_model) else None
        return getattr(below, "model", model)

    def forget(self) -> None:
        """Forget what was said of the models and adapters so far: the next one to switch on has heard none of it."""
        self._headless.clear()
        self._foreign.clear()
        self._mislabelled.clear()

    def _was_told_in_training(self, misfit: Misfit) -> bool:
        """Whether an adapter is being loaded that names a wrong task as one did that this program has trained."""
        if misfit.code != "L1":
            return False
        key = (misfit.model_class, misfit.task_type)
        if misfit.source is None:
            self._mislabelled.add(key)
            return False
        return key in self._mislabelled


def _same(config: Any, other: Any) -> bool:
    """Whether two configs are of one class and say the same about the task."""
    return type(config) is type(other) and getattr(config, "task_type", None) is getattr(other, "task_type", None)
