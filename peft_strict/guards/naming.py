"""The look at the names in a config, where the config meets a model: once per adapter, and never at a load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from .._errors import MisfitError, MisfitWarning
from ..fit import look
from ..releases.live import added_modules
from . import frames, report
from .memory import Memory

if TYPE_CHECKING:
    from ..releases.live import Release
    from .state import State

_CHANGED = "The adapter is in the model by now: load the model anew before you go on"


class NameLook:
    """Looks for one imported copy of PEFT, with what it has to remember of the configs.

    Attributes:
        state: The shared state.
        release: The copy of PEFT.
    """

    def __init__(self, release: Release, state: State) -> None:
        self.state = state
        self.release = release
        self._rewritten: Memory[dict[str, Any]] = Memory()

    def before(self, model: Any, config: Any) -> Optional[look.Look]:
        """Look at a config that is about to meet a model; `after` speaks of it.

        Returns:
            ``None`` if nothing is to be said whatever happens: misfits are ignored, or an adapter is being loaded.
        """
        if self.state.misfit == "ignore" or not isinstance(config, self.release.config_base) or frames.is_loading():
            return None
        added = {name for cls in self.release.tasks.values() for name in added_modules(cls)}
        return look.before(model, config, added=added, skipped=self._skipped(config))

    def after(self, seen: look.Look, wrapper: Optional[type], *, of_head: bool = False) -> Optional[Exception]:
        """Report what names nothing, now that PEFT has taken the config.

        Args:
            seen: What `before` returned.
            wrapper: The ``PeftModel`` class around the model, or ``None``.
            of_head: Whether it was said in this meeting that the head is neither trained nor saved.

        Returns:
            The error to raise, or ``None``. With ``misfit="raise"`` it comes when the adapter is in the model: only
            then is it known that PEFT accepts it. PEFT's own injection changes the model in place, so that there is
            no way back from it, and the message says so.
        """
        changed = look.rewritten(seen)
        if changed:
            self._rewritten[seen.config] = changed
        found = look.after(seen, adds=added_modules(wrapper), of_head=of_head)
        if found is None:
            return None
        if self.state.misfit == "raise" and found.code == "N1":
            return MisfitError(
                f"{found.message}\n  {_CHANGED}",
                code=found.code,
                fix=found.fix,
                task_type=look.task_type(seen.config),
                model_class=type(seen.model).__name__,
                config_class=type(seen.config).__name__,
            )
        return report.warn(MisfitWarning(found.message, code=found.code, fix=found.fix), self.release)

    def _skipped(self, config: Any) -> list[str]:
        """Return the fields that hold what PEFT has made of them when this config was used before."""
        changed = self._rewritten.get(config) or {}
        return [field for field, entries in changed.items() if getattr(config, field, None) is entries]
