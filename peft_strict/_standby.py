"""Standing by for ``import peft``: all that is loaded at the start of an interpreter where ``PEFT_STRICT`` is set.

In one module, which imports only what is always loaded: no wrapt, no PEFT, no typing, no ``__future__``, which is why
its annotations are in quotes. A module more costs every such start of Python 2 % more.

A finder stands by at the front of ``sys.meta_path``. It imports nothing while a module is being looked for: that holds
the import lock, and a second thread can then wait for ever (CPython 3.9 to 3.13). It lets the finders behind it find
``peft``, puts a loader around the real one, and patches when the real one has executed the package. It stays, so that
a PEFT that is imported again is guarded again.
"""

import _thread
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import FrameType, ModuleType
    from typing import Any

DEFAULT_INVALID = "raise"
DEFAULT_MISFIT = "warn"
DEFAULT_ROUNDTRIP = "warn"
INVALID_MODES = ("raise", "warn")
REPORT_MODES = ("warn", "raise", "ignore")

VARIABLE = "PEFT_STRICT"
_OFF_WORDS = ("", "0", "off", "no", "false")
_ON_WORDS = ("1", "on", "yes", "true")
_WARN_WORDS = ("warn",)
_RAISE_WORDS = ("raise", "error")


class State:
    """All that changes at run time, in one object that outlives a reload of our modules.

    While we are on its home is our finder on ``sys.meta_path`` (see `current_state`): every copy of our code that is
    imported, as IPython's ``%autoreload`` does it, finds it there.

    Attributes:
        decided: Whether the variable has been read, or code has said what it wants.
        on: Whether the guards act. Read without a lock on every construction of a config.
        invalid: What a wrong value meets, ``"raise"`` or ``"warn"``.
        misfit: What a right value on the wrong model meets, ``"warn"``, ``"raise"`` or ``"ignore"``.
        roundtrip: What a save or a load that loses something meets, the same words.
        installs: What was patched, one entry for each imported copy of PEFT (filled by ``guards.install``).
        problem: Why PEFT could not be guarded, or ``None``.
        variable: What ``PEFT_STRICT`` was before we set it for our children, and to what; ``None`` if we have not.
        lock: Held by whoever switches or patches.
    """

    __slots__ = ("decided", "installs", "invalid", "lock", "misfit", "on", "problem", "roundtrip", "variable")

    def __init__(self) -> None:
        self.decided = False
        self.on = False
        self.invalid = DEFAULT_INVALID
        self.misfit = DEFAULT_MISFIT
        self.roundtrip = DEFAULT_ROUNDTRIP
        self.installs: list[Any] = []
        self.problem: str | None = None
        self.variable: tuple[str | None, str] | None = None
        self.lock = _thread.RLock()


state = State()  # while we are off, and where somebody has taken our finder away; to be read by `current_state`


def current_state() -> "State":
    """Return the state that our finder on ``sys.meta_path`` carries, whichever copy of our code has put it there."""
    global state
    for finder in _finders():
        if _is_ours(finder):
            state = finder.peft_strict_state
            break
    return state


def _is_ours(finder: object) -> bool:
    """Whether it is a finder of ours, of whatever copy of our code. Runs no code of a foreign one."""
    return "peft_strict_state" in getattr(finder, "__dict__", ())


def _renew_lock() -> None:
    """Take a new lock: a forked child inherits the old one, held if another thread was switching just then."""
    current_state().lock = _thread.RLock()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has none
    os.register_at_fork(after_in_child=_renew_lock)


def parse_variable(text: "str | None") -> "tuple[tuple[str, str, str] | None, str | None]":
    """Read the value of ``PEFT_STRICT``.

    Args:
        text: The value, or ``None`` where the variable is not set. It is stripped and its case does not matter.

    Returns:
        The modes ``(invalid, misfit, roundtrip)``, or ``None`` for "off", and a sentence of complaint, or ``None``. An
        unknown word switches on with the defaults: whoever sets a strictness switch wants strictness.
    """
    text = text or ""
    word = text.strip().lower()
    if word in _OFF_WORDS:
        return None, None
    if word in _WARN_WORDS:
        return ("warn", "warn", "warn"), None
    if word in _RAISE_WORDS:
        return ("raise", "raise", "raise"), None
    defaults = (DEFAULT_INVALID, DEFAULT_MISFIT, DEFAULT_ROUNDTRIP)
    if word in _ON_WORDS:
        return defaults, None
    named = _named_modes(word)
    if named is not None:
        return named, None
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    allowed = "1 on yes true, warn, raise error, 0 off no false, or modes: invalid=warn,misfit=ignore"
    return defaults, f"peft-strict: {VARIABLE}={shown!r} is not a word I know, so I am on. Allowed: {allowed}."


def _named_modes(text: str) -> "tuple[str, str, str] | None":
    """Read ``invalid=warn,misfit=ignore``, where what is not named is as usual; ``None`` for anything else."""
    modes = {"invalid": DEFAULT_INVALID, "misfit": DEFAULT_MISFIT, "roundtrip": DEFAULT_ROUNDTRIP}
    for part in text.split(","):
        name, _, mode = map(str.strip, part.partition("="))
        if name not in modes or mode not in (INVALID_MODES if name == "invalid" else REPORT_MODES):
            return None
        modes[name] = mode
    return modes["invalid"], modes["misfit"], modes["roundtrip"]


def text_of(invalid: str, misfit: str, roundtrip: str) -> str:
    """Return the value of the variable that says these modes."""
    return f"invalid={invalid},misfit={misfit},roundtrip={roundtrip}"


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
        complaint = patch()
        if complaint is not None:
            say(complaint)


class LegacyLoader(_Around):
    """The same for a loader without ``exec_module``, which is what ``zipimport`` has before CPython 3.10."""

    def load_module(self, name: str) -> "ModuleType":
        """Have the module made and executed, then patch."""
        module: ModuleType = self._real.load_module(name)
        complaint = patch()
        if complaint is not None:
            say(complaint)
        return module


class Finder:
    """Waits for ``import peft``.

    Attributes:
        peft_strict_state: The state of peft-strict, for every copy of our code.
    """

    def __init__(self, state: State) -> None:
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
            spec = _asked(finder, name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = Loader(spec.loader)  # type: ignore[assignment]
                elif hasattr(spec.loader, "load_module"):
                    spec.loader = LegacyLoader(spec.loader)  # type: ignore[assignment]
                return spec
        return None


def _asked(finder: "Any", name: str, path: "Sequence[str] | None", target: "ModuleType | None") -> "ModuleSpec | None":
    """Ask a finder as the import system does; up to CPython 3.11 that knows finders with ``find_module`` only."""
    find_spec = getattr(finder, "find_spec", None)
    if find_spec is not None:
        return find_spec(name, path, target)  # type: ignore[no-any-return]
    legacy = getattr(sys.modules["_frozen_importlib"], "_find_spec_legacy", None)
    return legacy(finder, name, path) if legacy is not None else None


def start() -> None:
    """Do what ``PEFT_STRICT`` says. Called by ``peft_strict.pth`` at the start of the interpreter.

    Virtual environments run every ``.pth`` twice (CPython issue 75723), so a second call does nothing. Never raises
    and never writes to stdout: a problem is one line on stderr, if there is a stderr.
    """
    try:
        known = current_state()
        if known.decided:
            return
        known.decided = True
        modes, complaint = parse_variable(os.environ.get(VARIABLE))
        if modes is not None:
            switch_on(*modes)
        if complaint is not None:
            say(complaint)
    except Exception as error:  # the interpreter must start whatever is wrong with us
        say(f"peft-strict: not switched on: {type(error).__name__}: {error}")


def switch_on(invalid: str, misfit: str, roundtrip: str) -> None:
    """Set the modes, and stand by in front of everybody else."""
    known = current_state()
    with known.lock:
        known.invalid = invalid
        known.misfit = misfit
        known.roundtrip = roundtrip
        known.on = True
        first = sys.meta_path[0] if sys.meta_path else None
        if type(first) is not Finder:  # somebody else's, or that of another copy of our code
            ours = Finder(known)
            sys.meta_path.insert(0, ours)
            _take_out(ours)


def switch_off() -> None:
    """Undo everything, and stop waiting for PEFT."""
    known = current_state()
    with known.lock:
        known.decided = True
        known.on = False
        known.problem = None
        for install in known.installs:
            install.undo()
        _take_out()


def _take_out(*stay: Finder) -> None:
    """Take every finder of ours but these out of ``sys.meta_path``.

    Out of the list that is there: somebody may have it in hand, to put a finder into it. Only an import that walks it
    just now keeps it: that goes by position, and would miss what stands behind a finder that is taken out.
    """
    gone = [finder for finder in _finders() if _is_ours(finder) and finder not in stay]
    if gone and _is_walked():
        sys.meta_path = [*sys.meta_path]
    for finder in gone:
        sys.meta_path.remove(finder)


def _finders() -> "list[Any]":
    """Return the finders of one moment: of a list that another thread changes some are missed, others seen twice."""
    return list(sys.meta_path)


def _is_walked() -> bool:
    """Whether some thread is looking for a module just now."""
    looking = sys.modules["_frozen_importlib"]._find_spec.__code__
    for frame in sys._current_frames().values():
        caller: FrameType | None = frame
        while caller is not None:
            if caller.f_code is looking:
                return True
            caller = caller.f_back
    return False


def is_armed() -> bool:
    """Whether a finder of ours stands by."""
    return any(map(_is_ours, _finders()))


def patch() -> "str | None":
    """Patch the PEFT that is imported, if we are on; return a sentence if that failed. Leaves nothing half done."""
    known = current_state()
    if not known.on:
        return None
    try:
        from .guards import install  # before the lock: an import that waits for another must not hold it
        from .releases import live

        peft = live.imported()
        live.load_lazy_parts(peft)
        with known.lock:
            if known.on:
                install.apply(known, peft)
                known.problem = None
    except Exception as error:  # a PEFT we do not understand must stay importable and usable
        known.problem = f"{type(error).__name__}: {error}"
        return f"peft-strict: PEFT is NOT guarded: {known.problem}"
    return None


def say(text: str) -> None:
    """Write a line to stderr, if there is a stderr.

    Past the buffers of Python's own stderr: what a full disk behind it does not take would stay in them, and have the
    interpreter end with exit code 120.
    """
    stream: Any = sys.stderr
    if stream is None:  # closed: printing would go to stdout
        return
    is_pythons_own = stream is sys.__stderr__ and hasattr(stream, "buffer")
    try:
        if is_pythons_own:
            stream.flush()
            getattr(stream.buffer, "raw", stream.buffer).write(f"{text}\n".encode(stream.encoding, "backslashreplace"))
        else:
            stream.write(text + "\n")
    except (OSError, ValueError):  # a full disk or a closed pipe behind it: nobody is listening
        return
