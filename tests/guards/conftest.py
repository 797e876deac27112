"""What several tests of the guards share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import peft_strict

from ..roundtrip import noting
from ..ways_in import snapshot


@pytest.fixture(name="before")
def _before(off: None) -> Iterator[snapshot.Snapshot]:
    """Give what PEFT is before the test, and check that it is the same again when all is switched off."""
    before = snapshot.take()
    yield before
    peft_strict.disable()
    assert snapshot.changes(before) == []


@pytest.fixture(name="unread")
def _unread() -> Iterator[list[str]]:
    """Give a list of what our own code failed to read of a model at save and load; it has to be empty at the end."""
    with noting.failures() as found:
        yield found
    assert found == []
