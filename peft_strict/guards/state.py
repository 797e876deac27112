"""What the guards see of the state that outlives a reload of our modules: for type checkers, imported by nothing else.

The state itself is made where a start of Python has it at hand, in ``_standby``, which stands on this wing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class State(Protocol):
    """What is set at run time.

    Attributes:
        on: Whether the guards act.
        invalid: What a wrong value meets.
        misfit: What a right value on the wrong model meets.
        roundtrip: What a save or a load that loses something meets.
        installs: What was patched, one entry for each imported copy of PEFT.
    """

    on: bool
    invalid: str
    misfit: str
    roundtrip: str
    installs: list[Any]

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held by whoever switches or patches."""
