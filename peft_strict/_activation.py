"""Switching on and off, now or as soon as PEFT is imported.

Imported at the start of every interpreter where ``PEFT_STRICT`` is set, so at module level it imports only what is
always loaded: no wrapt, no PEFT, no typing, no ``__future__``, which is why its annotations are in quotes.

Before PEFT is imported, a finder stands by at the front of ``sys.meta_path``. It imports nothing while a module is
being looked for: that holds the import lock, and a second thread can then wait for ever (CPython 3.9 to 3.13). It lets
the finders behind it find ``peft``, puts a loader around the real one, and patches when the real one has executed the
package. It stays, so that a PEFT that is imported again is guarded again.
"""

import sys

from ._settings import DEFAULT_INVALID, DEFAULT_MISFIT, VARIABLE, mode_error, parse_variable, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    from ._settings import State
    from ._status import Status


class _Around:
    """Stands around the real loader of ``peft``, and passes on whatever it is asked for."""

    def __init__(self, real: "Any") -> None:
        self.__dict__["_real"] = real

    def __getattr__(self, name: str) -> "Any":
        if name == "_real":  # not set yet: being unpickled or copied
            raise AttributeError(name)
        return getattr(self._real, name)


class Loader(_Around):
    """Patches when the real loader has executed the package."""

    def create_module(self, spec: "ModuleSpec") -> "Any":
        """Leave the making of the module to the real loader."""
        return self._real.create_module(spec)

    def exec_module(self, module: "ModuleType") -> None:
        """Take ourselves out of the module, have it executed, then patch. A failing import stays as it is."""
        spec: Any = module.__spec__
        if spec is not None and spec.loader is self:
            spec.loader = self._real
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._real
        self._real.exec_module(module)
        complaint = _patch()
        if complaint is not None:
            _say(complaint)


class LegacyLoader(_Around):
    """The same for a loader without ``exec_module``, which is what ``zipimport`` has before CPython 3.10."""

    def load_module(self, name: str) -> "ModuleType":
        """Have the module made and executed, then patch."""
        module: ModuleType = self._real.load_module(name)
        complaint = _patch()
        if complaint is not None:
            _say(complaint)
        return module


class Finder:
    """Waits for ``import peft``.

    Attributes:
        peft_strict_state: The state of peft-strict, for a copy of our code that is imported or reloaded later.
    """

    def __init__(self) -> None:
        self.peft_strict_state = state

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return what the finders behind us find for ``peft``, with our loader around theirs."""
        if name != "peft":
            return None
        finders = list(sys.meta_path)
        behind = finders[finders.index(self) + 1 :] if self in finders else finders
        for finder in behind:
            find_spec = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec(name, path, target) if find_spec is not None else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = Loader(spec.loader)  # type: ignore[assignment]
                elif hasattr(spec.loader, "load_module"):
                    spec.loader = LegacyLoader(spec.loader)  # type: ignore[assignment]
                return spec
        return None


def enable(*, invalid: str = DEFAULT_INVALID, misfit: str = DEFAULT_MISFIT) -> "Status":
    """Make PEFT refuse every wrong ``task_type``, from now on or from its import on.

    Idempotent; a later call changes the settings, and guards again what somebody else has unguarded in between.
    Imports neither PEFT nor wrapt unless PEFT is imported already. May be called from any thread, and while PEFT is
    being imported: on another thread it waits for that, on the importing thread PEFT is guarded when the import ends.

    Args:
        invalid: What a wrong ``task_type`` meets: ``"raise"`` (`InvalidTaskTypeError`) or ``"warn"``
            (`TaskTypeWarning`; PEFT >= 0.14 then still raises its own ``ValueError`` in most constructors).
        misfit: What a valid ``task_type`` that does not fit the base model meets: ``"warn"`` (`MisfitWarning`),
            ``"raise"`` (`MisfitError`) or ``"ignore"``. What PEFT itself cannot get past is an error in any case.

    Returns:
        What is guarded now.

    Raises:
        ValueError: if a mode is none of the allowed words; nothing is changed then.

    Not covered: child processes that are not forked (set ``PEFT_STRICT`` for those), and configs that never meet this
    process's PEFT.
    """
    error = mode_error(invalid=invalid, misfit=misfit)
    if error is not None:
        raise error
    state.decided = True
    _switch_on(str(invalid), str(misfit))
    peft = sys.modules.get("peft")
    complaint = None
    if peft is not None:
        complaint = _patch_when_complete(peft)
    if complaint is not None:
        import warnings

        from ._errors import TaskTypeWarning

        warnings.warn(complaint, TaskTypeWarning, stacklevel=2)
    return status()


def disable() -> "Status":
    """Undo `enable`: put every class attribute back as it was, and stop waiting for PEFT. Idempotent.

    Where somebody else has patched on top of us, theirs is left in place and ours below it does nothing any more.
    Configs made meanwhile keep their task type, which is the ``TaskType`` member. Wins over ``PEFT_STRICT`` in this
    process. May be called from any thread.
    """
    with state.lock:
        state.decided = True
        for known in _states():
            _undo(known)
        _set_finders()
    return status()


def status() -> "Status":
    """Tell what is guarded now, from the live classes of PEFT. Imports neither PEFT nor anything heavy."""
    from ._status import Status, examine

    with state.lock:
        return Status(**examine(state, is_armed=any(map(_is_ours, sys.meta_path))))


def start() -> None:
    """Do what ``PEFT_STRICT`` says. Called by ``peft_strict.pth`` at the start of the interpreter.

    Virtual environments run every ``.pth`` twice (CPython issue 75723), so a second call does nothing. Never raises
    and never writes to stdout: a problem is one line on stderr, if there is a stderr.
    """
    try:
        import os

        if state.decided:
            return
        state.decided = True
        modes, complaint = parse_variable(os.environ.get(VARIABLE))
        if modes is not None:
            _switch_on(*modes)
        if complaint is not None:
            _say(complaint)
    except Exception as error:  # the interpreter must start whatever is wrong with us
        _say(f"peft-strict: not switched on: {type(error).__name__}: {error}")


def _switch_on(invalid: str, misfit: str) -> None:
    with state.lock:
        state.invalid = invalid
        state.misfit = misfit
        state.on = True
        first = sys.meta_path[0] if sys.meta_path else None
        if type(first) is not Finder:
            for other in _states()[1:]:
                _undo(other)
            _set_finders(Finder())


def _set_finders(*ours: Finder) -> None:
    """Put these, and nothing else of ours, in front of ``sys.meta_path``.

    In a new list: a thread that is importing walks the old one by position, and would miss what is behind a finder that
    is taken out of it.
    """
    sys.meta_path = [*ours, *(finder for finder in sys.meta_path if not _is_ours(finder))]


def _states() -> "list[State]":
    """Return our state, then that of another copy of our code that was imported while we were off, if it is on."""
    carried = [getattr(finder, "peft_strict_state", state) for finder in sys.meta_path]
    return [state, *(other for other in carried if other is not state)]


def _undo(known: "State") -> None:
    known.on = False
    known.problem = None
    for install in known.installs:
        install.undo()


def _is_ours(finder: object) -> bool:
    return hasattr(finder, "peft_strict_state")


def _patch() -> "str | None":
    """Patch the PEFT that is imported, and return a sentence if that failed. Leaves nothing half done."""
    try:
        from . import _patching  # before the lock: an import that waits for another must not hold it

        with state.lock:
            if state.on:
                _patching.apply(state)
                state.problem = None
    except Exception as error:  # a PEFT we do not understand must stay importable and usable
        state.problem = f"{type(error).__name__}: {error}"
        return f"peft-strict: PEFT is NOT guarded: {state.problem}"
    return None


def _patch_when_complete(peft: "ModuleType") -> "str | None":
    if _is_initializing(peft):
        try:
            import peft as complete  # waits if another thread is importing it
        except Exception:  # that import failed: theirs to report, and the next one is guarded
            return None
        if _is_initializing(complete):
            _patch_at_end_of_import(complete)
            return None
        peft = complete
    if sys.modules.get("peft") is not peft:  # the import we waited for has failed: the next one is guarded
        return None
    return _patch()


def _is_initializing(module: "ModuleType") -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _patch_at_end_of_import(peft: "ModuleType") -> None:
    """Patch when the import of PEFT that runs on this very thread is over.

    The import system marks the end by setting ``_initializing`` on the spec (CPython 3.9 to 3.13), so for that long
    the spec gets a class that notices.
    """
    spec: Any = peft.__spec__
    plain = type(spec)
    if getattr(plain, "peft_strict_waits", False):
        return

    def ended(self: "Any", value: bool) -> None:
        self.__class__ = plain
        self.__dict__["_initializing"] = value
        if not value and sys.modules.get("peft") is peft:
            complaint = _patch()
            if complaint is not None:
                _say(complaint)

    spec.__class__ = type(
        plain.__name__,
        (plain,),
        {"_initializing": property(lambda self: True, ended), "peft_strict_waits": True},
    )


def _say(text: str) -> None:
    stream = sys.stderr
    if stream is None:  # closed: printing would go to stdout
        return
    try:
        stream.write(text + "\n")
    except (OSError, ValueError):  # a full disk or a closed pipe behind it: nobody is listening
        return
