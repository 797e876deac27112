"""What the guards see of the state."""

from __future__ import annotations

from peft_strict import _standby
from peft_strict.guards.state import State


def test_the_state_has_what_the_guards_see() -> None:
    """Each name that the guards may use is one of the state's."""
    seen = {*State.__annotations__, *(name for name in vars(State) if not name.startswith("_"))}
    assert "lock" in seen
    assert seen <= set(_standby.State.__slots__)
