"""The rules at work on one imported copy of PEFT: what a patch asks about a value, or about a config and a model.

Nothing here raises by itself: the functions return the error, and the patch that asked raises it, so that a traceback
holds one frame of ours.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any, Optional

from .._errors import (
    InvalidFieldError,
    InvalidFieldWarning,
    InvalidTaskTypeError,
    MisfitError,
    TaskTypeWarning,
)
from ..releases.live import instance_dict, task_types, vocabulary
from ..values import rule
from . import reading, report
from .fields import FieldLook
from .memory import Memory
from .misfits import MisfitLook
from .naming import NameLook
from .suspension import is_suspended

if TYPE_CHECKING:
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
        misfits: The look at whether a config fits a model.
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
        self.misfits = MisfitLook(self)
        self.functions: dict[int, Any] = {}
        self._reported: Memory[object] = Memory()  # the value that a config was last warned of
        self._meeting = threading.local()

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
        error = self.deliver(
            rule.invalid(value, self.vocabulary, where=where, config_class=name, source=source), config, value
        )
        if file is not None:
            file.told.add("task_type")
        return error

    def refuse_method(self, method: object, config: Any) -> Optional[Exception]:
        """Return the error for a task type given as ``peft_type``, if it is one."""
        name = type(config).__name__
        error = rule.misplaced(method, self.vocabulary, self.release.configs, config_class=name)
        return self.deliver(error, config, method) if error else None

    def refuse_replaced(self, value: object, config: Any, left: object) -> Optional[Exception]:
        """Return the error for a value that did not reach the config as it was passed."""
        right, _ = self.lookup(value)
        name = type(config).__name__
        if right:
            error = rule.replaced(value, left, self.vocabulary, config_class=name)
        else:
            error = rule.invalid(value, self.vocabulary, where=f"{name}(task_type={{}})", config_class=name)
        return self.deliver(error, config, value)

    def tell_of_class_line(self, written: object, config: Any) -> Optional[Exception]:
        """Warn that a class attribute ``task_type`` has no effect; return the error where a filter makes it one."""
        text = rule.without_effect(written, self.vocabulary, config_class=type(config).__name__)
        return report.warn(TaskTypeWarning(text), self.release)

    def deliver(self, error: InvalidTaskTypeError, config: Any, value: object) -> Optional[Exception]:
        """Return the error to raise; or warn instead, unless this config was warned of for this value before."""
        if self.state.invalid == "raise":
            return error
        if self._was_reported(config, value):
            return None
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
        return error or self.fields.met(config, used_on) or self.misfits.at(model, config, wrapper)


def _same(config: Any, other: Any) -> bool:
    """Whether two configs are of one class and say the same about the task."""
    return type(config) is type(other) and getattr(config, "task_type", None) is getattr(other, "task_type", None)
