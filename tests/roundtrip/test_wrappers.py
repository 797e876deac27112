"""The parts that wrappers put into names."""

from __future__ import annotations

from typing import Optional

import pytest

from peft_strict.roundtrip.wrappers import BETWEEN, Difference, between, cut_out, difference, may_be_in, outside, strip

NAME = "base_model.model.layers.0.q_proj.lora_A.default.weight"


@pytest.mark.parametrize(
    ("path", "bare"),
    [
        ("layers.0._checkpoint_wrapped_module.q", "layers.0.q"),
        ("_fsdp_wrapped_module.layers.0._fsdp_wrapped_module._checkpoint_wrapped_module.q", "layers.0.q"),
        ("layers.0._orig_mod.q", "layers.0.q"),
        ("layers.0.my_module.q", "layers.0.my_module.q"),
        ("q", "q"),
    ],
)
def test_strip(path: str, bare: str) -> None:
    """The parts of wrappers go, and whole parts only."""
    assert strip(path) == bare


@pytest.mark.parametrize("part", BETWEEN)
def test_may_be_in(part: str) -> None:
    """The quick look passes over no part of a wrapper."""
    assert may_be_in(f"{NAME}\nlayers.0.{part}.q\n{NAME}")
    assert not may_be_in(f"{NAME}\n{NAME}")


def test_between() -> None:
    """The first part of a wrapper is named."""
    assert between(["a.b", "a._orig_mod.b._fsdp_wrapped_module"]) == "_orig_mod"
    assert between(["a.b_orig_mod"]) == ""


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["x", f"module.{NAME}"], Difference(more="module.")),
        ([f"base_model.model.{NAME}"], Difference(more="base_model.model.")),
        (["layers.0.q_proj.lora_A.default.weight"], Difference(less="base_model.model.")),
        ([NAME.replace("q_proj", "_orig_mod.q_proj")], Difference(between="_orig_mod")),
        (["0.q_proj.lora_A.default.weights", "xbase_model"], None),
        ([f"x{NAME}"], None),
        ([NAME], None),
        ([], None),
    ],
    ids=["more", "nested", "less", "between", "other", "no-part", "same", "none"],
)
def test_difference(given: list[str], found: Optional[Difference]) -> None:
    """What is more, less or in between is told in whole parts of a name."""
    assert difference(given, [NAME]) == found


@pytest.mark.parametrize(
    ("piece", "found"),
    [(".q", ".q"), (".lora", ".lora"), (".w", ".w"), ("_proj", ""), (".no", ""), ("", "")],
    ids=["letter", "word", "last", "no-part", "other", "same"],
)
def test_cut_out(piece: str, found: str) -> None:
    """What begins a part of a name and is gone from it is told, whatever else there is."""
    assert cut_out(["x", NAME.replace(piece, "")], [NAME]) == found


def test_outside() -> None:
    """Known prefixes are put into words."""
    assert outside("module.") == "DistributedDataParallel"
    assert outside("mine.") == ""
