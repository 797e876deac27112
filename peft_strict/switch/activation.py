"""``enable()``, ``disable()`` and ``status()``: switching on and off, whatever stage an import of PEFT is in.

A ``sitecustomize`` may import this at every start of Python, so neither this module nor what it imports needs typing.
"""

from __future__ import annotations

import sys

from .. import _standby
from .._standby import DEFAULT_INVALID, DEFAULT_MISFIT, DEFAULT_ROUNDTRIP
from .settings import mode_error
from .status import Status, examine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any


def enable(
    *,
    invalid: str = DEFAULT_INVALID,
    misfit: str = DEFAULT_MISFIT,
    roundtrip: str = DEFAULT_ROUNDTRIP,
    children: bool = False,
) -> Status:
    """Watch PEFT, now or from its import on, for wrong values of configs, misfits, and losses at save and load.

    Idempotent; a later call changes the settings, and guards again what somebody else has unguarded in between.
    Imports neither PEFT nor wrapt unless PEFT is imported already. May be called from any thread, and while PEFT is
    being imported: on another thread it waits for that, on the importing thread PEFT is guarded when the import ends.

    Args:
        invalid: What a wrong value of a field meets: ``"raise"`` (`InvalidFieldError`; of ``task_type`` its subclass
            `InvalidTaskTypeError`) or ``"warn"`` (`InvalidFieldWarning`, `TaskTypeWarning`; for a task type
            PEFT >= 0.14 then still raises its own ``ValueError`` in most constructors).
        misfit: What a config meets whose values are right and do not fit the base model, such as a task type for
            another one or a name that it does not have: ``"warn"`` (`MisfitWarning`), ``"raise"`` (`MisfitError`) or
            ``"ignore"``. Where PEFT itself would fail there is an error in any case (code ``M2``, but not with
            ``"ignore"``; code ``M1``, an `InvalidTaskTypeError`).
        roundtrip: What a save or a load that loses something meets: ``"warn"`` (`RoundTripWarning`), ``"raise"``
            (`RoundTripError`, before the first byte is written) or ``"ignore"``.
        children: Whether processes that this one starts are guarded as well, with the same settings. Forked ones
            always are. For all others ``PEFT_STRICT`` is set, until `disable` or a call without ``children``. Call it
            before the first child is started: a fork server (the default of CPython 3.14 on Linux) and the workers of
            a pool are what they were at their start.

    Returns:
        What is guarded now.

    Raises:
        ValueError: if a mode is none of the allowed words; nothing is changed then.

    Warns:
        PeftStrictWarning: if PEFT cannot be guarded, or children will not see the variable.

    Not covered: configs that never meet this process's PEFT, and children that are started with an environment of
    their own, or by an interpreter without peft-strict.
    """
    error = mode_error(invalid=invalid, misfit=misfit, roundtrip=roundtrip)
    if error is not None:
        raise error
    _standby.current_state().decided = True
    _standby.switch_on(str(invalid), str(misfit), str(roundtrip))
    _wait_for_a_look_up()
    peft = sys.modules.get("peft")
    complaints = [_patch_when_complete(peft) if peft is not None else None, *_settle_children(children)]
    for complaint in filter(None, complaints):
        import warnings

        from .._errors import PeftStrictWarning

        warnings.warn(complaint, PeftStrictWarning, stacklevel=2)
    return status()


def disable() -> Status:
    """Undo `enable`: put every class attribute and the variable back as it was, and stop waiting for PEFT. Idempotent.

    Where somebody else has patched on top of us, theirs is left in place and ours below it does nothing any more.
    Configs made meanwhile keep their task type, which is the ``TaskType`` member. Wins over ``PEFT_STRICT`` in this
    process. May be called from any thread.
    """
    _standby.switch_off()
    _settle_children(False)
    return status()


def status() -> Status:
    """Tell what is guarded now, from the live classes of PEFT. Imports neither PEFT nor anything heavy."""
    state = _standby.current_state()
    with state.lock:
        return Status(**examine(state, is_armed=_standby.is_armed()))


def _settle_children(are_guarded: bool) -> list[str]:
    """Set the variable for the processes that this one starts, or set it back; return what is to be said of it."""
    state = _standby.current_state()
    if not are_guarded and state.variable is None:
        return []
    from . import children

    if are_guarded:
        return children.guard_children(state)
    children.let_children_be(state)
    return []


def _wait_for_a_look_up() -> None:
    """Wait for another thread that is looking for ``peft``: it may have passed our place before we took it.

    In that time ``peft`` is not in ``sys.modules`` yet, but the import system holds the module's lock. Returns at once
    on the thread that looks, and where the two would wait for each other.
    """
    bootstrap: Any = sys.modules["_frozen_importlib"]
    if "peft" not in sys.modules and "peft" in getattr(bootstrap, "_module_locks", ()):
        bootstrap._lock_unlock_module("peft")


def _patch_when_complete(peft: ModuleType) -> str | None:
    if _is_initializing(peft):
        try:
            import peft as complete  # waits if another thread is importing it
        except Exception:  # that import failed: theirs to report, and the next one is guarded
            return None
        if _is_initializing(complete):  # on this very thread
            from .half_way import patch_at_the_end

            return patch_at_the_end(complete)
        peft = complete
    if sys.modules.get("peft") is not peft:  # the import we waited for has failed: the next one is guarded
        return None
    return _standby.patch()


def _is_initializing(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
