"""Every field of every config class, right and wrong; on all releases: ``python -m tests.field_values``."""

from __future__ import annotations

import importlib.metadata

import pytest

from .field_values.__main__ import tried_on


@pytest.mark.parametrize(
    ("version", "right", "wrong", "declared"),
    [
        pytest.param(importlib.metadata.version("peft"), 19_000, 5_200, 210, id="newest"),
        pytest.param("0.17.1", 10_000, 2_800, 110, id="0.17.1"),
        pytest.param("0.13.2", 7_000, 1_800, 75, id="0.13.2"),
    ],
)
def test_right_values_are_quiet_and_wrong_ones_are_not(version: str, right: int, wrong: int, declared: int) -> None:
    """No word to a right value of any field, and one to each wrong one, given to the constructor or assigned.

    And what is declared of a field is the same whether it is read from the class or from PEFT's source.
    """
    found = tried_on(version)
    counts = found["counts"]
    assert (found["alarms"], found["missed"], found["apart"]) == ([], [], [])
    assert found["declared"] >= declared
    assert set(found["unmade"]) <= {"AdamssConfig"}  # it wants scikit-learn
    assert counts["right"] - counts["right, refused by PEFT"] > right * 0.8
    assert sum(counts[f"{code} {way}"] for code in ("F1", "F2") for way in ("passed", "met")) > wrong


def test_what_is_lost_without_a_word_is_told() -> None:
    """Wrong values of LoRA that plain PEFT takes without a word, and that make another adapter, are all told.

    Of all methods: ``python -m tests.field_values --losses``.
    """
    found = tried_on(importlib.metadata.version("peft"), "--losses", "LORA")
    assert {field.partition(".")[2] for field in found["fields"]} == {"use_rslora", "use_dora", "init_lora_weights"}
    assert len(found["losses"]) >= 10
    assert found["untold"] == []
