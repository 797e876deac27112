"""The look at whether a config fits the model that it meets, and what the later looks have to know of its reports."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Optional

from .._errors import MisfitError, MisfitWarning
from ..fit.facts import find_misfit
from ..releases.live import added_modules
from ..releases.loading import loaded_from
from ..values import rule
from . import frames, report
from .memory import Memory

if TYPE_CHECKING:
    from ..fit.misfit import Misfit
    from .watch import Watch


class MisfitLook:
    """The look at misfits on one imported copy of PEFT."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._headless: Memory[bool] = Memory()
        self._foreign: Memory[bool] = Memory()
        self._mislabelled: set[tuple[str, Optional[str]]] = set()

    def at(self, model: Any, config: Any, wrapper: Optional[type]) -> Optional[Exception]:
        """Judge a config whose values are right; the arguments and what is returned are those of `Watch.meet`."""
        release, mode = self._watch.release, self._watch.state.misfit
        misfit = find_misfit(
            model,
            config,
            wrapper=wrapper,
            adds=added_modules(wrapper),
            supported=release.supported,
            source=loaded_from(sys._getframe(), partial(frames.is_users, release=release)),
        )
        if misfit is None or self._was_told_in_training(misfit):
            return None
        if misfit.code == "M1":
            return self._missing(misfit, config, wrapper)
        if mode == "ignore":
            return None
        if misfit.code in ("H1", "H2"):
            self._headless[model] = True
        if misfit.source is not None:
            self._foreign[model] = True
        if misfit.always_error or (mode == "raise" and not misfit.warn_only):
            return MisfitError(
                misfit.message,
                code=misfit.code,
                fix=misfit.fix,
                task_type=misfit.task_type,
                source=misfit.source,
                config_class=misfit.config_class,
                model_class=misfit.model_class,
            )
        return report.warn(MisfitWarning(misfit.message, code=misfit.code, fix=misfit.fix), release)

    def _missing(self, misfit: Misfit, config: Any, wrapper: Optional[type]) -> Optional[Exception]:
        """Return the error for prompt learning without a task type, or warn of it."""
        loader = self._watch.release.tasks.get(misfit.fitting) if misfit.fitting else None
        error = rule.missing(
            self._watch.vocabulary,
            fitting=misfit.fitting,
            source=misfit.source,
            loader=loader.__name__ if loader else None,
            config_class=misfit.config_class,
            model_class=misfit.model_class,
        )
        # Without a wrapper this is `get_peft_model`, which is about to fail.
        return error if wrapper is None else self._watch.deliver(error, config, None)

    def _was_told_in_training(self, misfit: Misfit) -> bool:
        """Whether an adapter is being loaded that names a wrong task as one did that this program has trained."""
        if misfit.code != "L1":
            return False
        key = (misfit.model_class, misfit.task_type)
        if misfit.source is None:
            self._mislabelled.add(key)
            return False
        return key in self._mislabelled

    def was_headless(self, model: Any) -> bool:
        """Whether it was reported that the head of this model, or of the model in it, will not be saved."""
        return self._inner(model) in self._headless

    def was_foreign(self, model: Any) -> bool:
        """Whether it was reported that an adapter that was loaded into this model is for one of another class."""
        return self._inner(model) in self._foreign

    def _inner(self, model: Any) -> Any:
        is_wrapped = isinstance(model, self._watch.release.peft_model)
        below = model.__dict__["_modules"].get("base_model") if is_wrapped else None
        return getattr(below, "model", model)

    def forget(self) -> None:
        """Forget what was said of models so far: the next one to switch on has heard none of it."""
        self._headless.clear()
        self._foreign.clear()
        self._mislabelled.clear()
