"""The package itself: what it offers."""

from __future__ import annotations

import pytest

import peft_strict


def test_every_name_is_there() -> None:
    """What ``__all__`` lists can be used, and ``dir()`` shows it though it is loaded on first use."""
    assert set(peft_strict.__all__) <= set(peft_strict.__dir__())
    found = {name: getattr(peft_strict, name) for name in peft_strict.__all__}
    assert [name for name, value in found.items() if value is None] == []


def test_no_other_name_is_there() -> None:
    """Anything else is an ordinary ``AttributeError``."""
    with pytest.raises(AttributeError, match="module 'peft_strict' has no attribute 'enabel'"):
        _ = peft_strict.enabel
