"""The modes that `enable` takes, and what is said of a word that is none of them."""

from __future__ import annotations

from .._standby import INVALID_MODES, REPORT_MODES


def nearest(word: object, allowed: tuple[str, ...]) -> str | None:
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


def mode_error(**modes: object) -> ValueError | None:
    """Return the error for the first of the settings that is no mode, with the nearest allowed word."""
    for name, word in modes.items():
        allowed = INVALID_MODES if name == "invalid" else REPORT_MODES
        if not (isinstance(word, str) and word in allowed):
            close = nearest(word, allowed)
            meant = f" Did you mean {close!r}?" if close else ""
            listed = ", ".join(map(repr, allowed))
            return ValueError(f"{name}={_shown(word)} is not a mode of peft-strict. Use one of {listed}.{meant}")
    return None
