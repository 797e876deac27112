"""What several tests of the guards share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import peft_strict

from ..ways_in import snapshot


@pytest.fixture(name="before")
def _before(off: None) -> Iterator[snapshot.Snapshot]:
    """Give what PEFT is before the test, and check that it is the same again when all is switched off."""
    before = snapshot.take()
    yield before
    peft_strict.disable()
    assert snapshot.changes(before) == []
