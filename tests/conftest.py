"""What the tests of the core share. Whatever runs in this process starts switched off, and ends so."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("PEFT_STRICT", None)

import peft_strict  # the variable is read when it is imported

from .endings import ENDINGS


def pytest_sessionfinish() -> None:
    """Leave nothing in the temporary folder."""
    ENDINGS.close()


@pytest.fixture(name="off")
def _off() -> Iterator[None]:
    """Start switched off, and switch off again whatever the test does."""
    peft_strict.disable()
    yield
    peft_strict.disable()


@pytest.fixture(name="strict")
def _strict(off: None) -> None:
    """Switch on with the defaults."""
    import peft  # noqa: F401  # guarded at once

    assert peft_strict.enable().state == "guarding"
