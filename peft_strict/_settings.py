"""The modes, the words of ``PEFT_STRICT``, and the one object that holds what is switched on.

Imported at the start of every interpreter where ``PEFT_STRICT`` is set, so it imports only what is always loaded.
"""

import _thread
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INVALID_MODES = ("raise", "warn")
MISFIT_MODES = ("warn", "raise", "ignore")
DEFAULT_INVALID = "raise"
DEFAULT_MISFIT = "warn"

VARIABLE = "PEFT_STRICT"
_OFF_WORDS = ("", "0", "off", "no", "false")
_ON_WORDS = ("1", "on", "yes", "true")
_WARN_WORDS = ("warn",)
_RAISE_WORDS = ("raise", "error")


class State:
    """All that changes at run time, in one object that outlives a reload of our modules.

    It is reachable from our finder on ``sys.meta_path`` (see `current_state`), because IPython's ``%autoreload`` and
    ``%reload_ext`` wipe the globals of the modules they reload.

    Attributes:
        decided: Whether the variable has been read, or code has said what it wants.
        on: Whether the guards act. Read without a lock on every construction of a config.
        invalid: What a wrong value meets, ``"raise"`` or ``"warn"``.
        misfit: What a right value on the wrong model meets, ``"warn"``, ``"raise"`` or ``"ignore"``.
        installs: What was patched, one entry for each imported copy of PEFT (filled by ``_patching``).
        problem: Why PEFT could not be guarded, or ``None``.
        lock: Held by whoever switches or patches.
    """

    __slots__ = ("decided", "installs", "invalid", "lock", "misfit", "on", "problem")

    def __init__(self) -> None:
        self.decided = False
        self.on = False
        self.invalid = DEFAULT_INVALID
        self.misfit = DEFAULT_MISFIT
        self.installs: list[Any] = []
        self.problem: str | None = None
        self.renew_lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew_lock)

    def renew_lock(self) -> None:
        """Take a new lock: a forked child inherits the old one, held if another thread was switching just then."""
        self.lock = _thread.RLock()


def current_state() -> "State":
    """Return the state that our finder on ``sys.meta_path`` carries, or a new one where there is none."""
    for finder in sys.meta_path:
        found = getattr(finder, "peft_strict_state", None)
        if found is not None:
            return found  # type: ignore[no-any-return]
    return State()


state = current_state()


def nearest(word: object, allowed: "tuple[str, ...]") -> "str | None":
    """Return the allowed word that ``word`` is closest to, or ``None``."""
    import difflib

    text = word.strip().lower() if isinstance(word, str) else ""
    return next(iter(difflib.get_close_matches(text[:40], allowed, n=1)), None)


def _shown(word: object) -> str:
    import reprlib

    try:
        return reprlib.repr(word)
    except Exception:  # a foreign __repr__, or a number of thousands of digits
        return f"<{type(word).__name__}>"


def mode_error(**modes: object) -> "ValueError | None":
    """Return the error for the first of ``invalid`` and ``misfit`` that is no mode, with the nearest allowed word."""
    for name, word in modes.items():
        allowed = INVALID_MODES if name == "invalid" else MISFIT_MODES
        if not (isinstance(word, str) and word in allowed):
            close = nearest(word, allowed)
            meant = f" Did you mean {close!r}?" if close else ""
            listed = ", ".join(map(repr, allowed))
            return ValueError(f"{name}={_shown(word)} is not a mode of peft-strict. Use one of {listed}.{meant}")
    return None


def parse_variable(text: "str | None") -> "tuple[tuple[str, str] | None, str | None]":
    """Read the value of ``PEFT_STRICT``.

    Args:
        text: The value, or ``None`` where the variable is not set. It is stripped and its case does not matter.

    Returns:
        The modes ``(invalid, misfit)``, or ``None`` for "off", and a sentence of complaint, or ``None``. An unknown
        word switches on with the defaults: whoever sets a strictness switch wants strictness.
    """
    word = (text or "").strip().lower()
    if word in _OFF_WORDS:
        return None, None
    if word in _WARN_WORDS:
        return ("warn", "warn"), None
    if word in _RAISE_WORDS:
        return ("raise", "raise"), None
    defaults = (DEFAULT_INVALID, DEFAULT_MISFIT)
    if word in _ON_WORDS:
        return defaults, None
    shown = text if text is not None and len(text) <= 40 else f"{(text or '')[:40]}..."
    allowed = "1 on yes true, warn, raise error, 0 off no false"
    return defaults, f"peft-strict: {VARIABLE}={shown!r} is not a word I know, so I am on. Allowed: {allowed}."
