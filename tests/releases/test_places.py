"""The places in PEFT that we look at, on the installed release. Every release: ``python -m tests.matrix``."""

from __future__ import annotations

import sys

import pytest

from ..ways_in import places


def test_none_has_moved() -> None:
    """Each place is there from its release on."""
    assert places.moved() == []


@pytest.mark.parametrize(
    ("module", "name", "told"),
    [
        ("peft.tuners.tuners_utils", "BaseTunerLayer", "what PEFT saves goes through get_peft_model_state_dict"),
        ("peft.utils.other", "_set_trainable", "_set_trainable gets the names of modules to save"),
        ("peft.auto", "_BaseAutoPeftModel", "AutoPeftModel loads"),
        ("peft.utils.save_and_load", "_validate_lora_adapter_state_dict", "PEFT warns of matrices without elements"),
    ],
)
def test_one_that_has_moved(monkeypatch: pytest.MonkeyPatch, module: str, name: str, told: str) -> None:
    """A place that is not where we look is told."""
    (place,) = (place for place in places.PLACES if place.says == told)
    model = places.example()
    assert places.judged(place, model) == ""
    monkeypatch.delattr(sys.modules[module], name)
    assert places.judged(place, model) == f"{told}: not there"
