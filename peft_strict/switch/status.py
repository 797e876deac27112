"""What is guarded, read from the live classes."""

from __future__ import annotations

import sys

from .._standby import DEFAULT_INVALID, DEFAULT_MISFIT, DEFAULT_ROUNDTRIP, VARIABLE, State, parse_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SHOWN = 3


class Status:
    """What peft-strict guards at the moment it was asked. Its repr is one line, fit for a notebook's answer.

    Attributes:
        state: ``"off"``, ``"armed"`` (waiting for ``import peft``), ``"guarding"`` or ``"not guarding"``.
        invalid: The mode for wrong values.
        misfit: The mode for right values on the wrong model.
        roundtrip: The mode for what a save or a load loses.
        peft_version: The version of the imported PEFT, or ``None``.
        classes: How many config classes PEFT registers.
        unguarded: The names of those, and of other places, that are not guarded.
        unpatchable: Those of them that take no patch, such as a class whose metaclass forbids it.
        problem: Why PEFT could not be guarded, or ``None``.
        note: A remark on how it was switched on, or ``None``.
    """

    __slots__ = (
        "classes",
        "invalid",
        "misfit",
        "note",
        "peft_version",
        "problem",
        "roundtrip",
        "state",
        "unguarded",
        "unpatchable",
    )

    def __init__(
        self,
        *,
        state: str,
        invalid: str,
        misfit: str,
        roundtrip: str,
        peft_version: str | None = None,
        classes: int = 0,
        unguarded: tuple[str, ...] = (),
        unpatchable: tuple[str, ...] = (),
        problem: str | None = None,
        note: str | None = None,
    ) -> None:
        self.state = state
        self.invalid = invalid
        self.misfit = misfit
        self.roundtrip = roundtrip
        self.peft_version = peft_version
        self.classes = classes
        self.unguarded = unguarded
        self.unpatchable = unpatchable
        self.problem = problem
        self.note = note

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dict, ready for JSON."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {**values, "unguarded": list(self.unguarded), "unpatchable": list(self.unpatchable)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Status) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # compared by what it says

    def __repr__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"<peft_strict: {self._words()}{note}>"

    def _words(self) -> str:
        if self.state == "guarding":
            return f"guarding {self.classes} config classes, PEFT {self.peft_version}{self._modes()}"
        if self.state == "not guarding":
            if self.problem:
                return f"NOT guarding: {self.problem}"
            classes = [name for name in self.unguarded if "." not in name]
            names = ", ".join(self.unguarded[:_SHOWN]) + (", ..." if len(self.unguarded) > _SHOWN else "")
            count = f"{len(classes)} of {self.classes}: " if classes else ""
            can_be = len(self.unguarded) > len(self.unpatchable)
            return f"NOT guarding {count}{names}; {'call enable() again' if can_be else 'no patch can be put there'}"
        if self.state == "armed":
            return f'armed, waiting for "import peft"{self._modes()}'
        return self.state

    def _modes(self) -> str:
        """Return the modes that are not the usual ones."""
        usual = {"invalid": DEFAULT_INVALID, "misfit": DEFAULT_MISFIT, "roundtrip": DEFAULT_ROUNDTRIP}
        modes = {name: getattr(self, name) for name in usual}
        return "".join(f", {name}={mode!r}" for name, mode in modes.items() if mode != usual[name])


def examine(state: State, *, is_armed: bool) -> dict[str, Any]:
    """Return the attributes of a `Status` for this moment."""
    modes = {name: getattr(state, name) for name in ("invalid", "misfit", "roundtrip")}
    found: dict[str, Any] = {"state": "off", **modes}
    if not state.on:
        return {**found, "note": None if state.decided else _unread_variable()}
    peft = sys.modules.get("peft")
    if peft is None or getattr(getattr(peft, "__spec__", None), "_initializing", False):
        if is_armed:
            return {**found, "state": "armed"}
        return {**found, "state": "not guarding", "problem": "our import hook was removed; call enable() again"}
    try:
        from ..guards.install import inspect_live

        classes, unguarded, version = inspect_live(state, peft)
    except Exception as error:  # something else by the name of peft, or a wrapt that cannot be imported
        return {**found, "state": "not guarding", "problem": state.problem or f"{type(error).__name__}: {error}"}
    if unguarded and state.problem is not None:
        return {**found, "state": "not guarding", "problem": state.problem}
    return {
        **found,
        "state": "not guarding" if unguarded else "guarding",
        "classes": classes,
        "unguarded": tuple(each.name for each in unguarded),
        "unpatchable": tuple(each.name for each in unguarded if each.is_stubborn),
        "peft_version": version,
    }


def _unread_variable() -> str | None:
    """Explain a variable that says "on" while we are off: it is only read when the interpreter starts."""
    import os

    modes, _ = parse_variable(os.environ.get(VARIABLE))
    return f"{VARIABLE} is set, but is only read at start: call enable()" if modes is not None else None
