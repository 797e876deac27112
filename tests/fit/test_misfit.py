"""What follows from the facts about a model and a task type, as tables; no torch, no transformers, no PEFT."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from peft_strict.fit import misfit
from peft_strict.fit.misfit import Weight

from .test_rule import DEEP, LOADED, UNKNOWN, facts


@pytest.mark.parametrize(
    ("task", "kinds", "encoder_decoder", "expected"),
    [
        (None, "SEQ_CLS", False, True),
        ("FEATURE_EXTRACTION", "SEQ_CLS", False, True),
        ("Vector_LM", "SEQ_CLS", False, True),
        ("CAUSAL_LM", "CAUSAL_LM", False, True),
        ("CAUSAL_LM", "MULTIMODAL", True, True),
        ("CAUSAL_LM", "SEQ_2_SEQ_LM", True, False),
        ("SEQ_2_SEQ_LM", "SEQ_2_SEQ_LM MASKED_LM", True, True),
        ("SEQ_2_SEQ_LM", "MULTIMODAL", True, True),
        ("SEQ_2_SEQ_LM", "MULTIMODAL", False, False),
        ("SEQ_2_SEQ_LM", "SPEECH", True, True),
        ("SEQ_2_SEQ_LM", "SPEECH", False, False),
        ("SEQ_2_SEQ_LM", "MASKED_LM", True, False),
        ("SEQ_CLS", "SEQ_CLS", False, True),
        ("SEQ_CLS", "OTHER_CLS", False, False),
        ("QUESTION_ANS", "QUESTION_ANS", False, True),
        ("TOKEN_CLS", "SEQ_CLS", False, False),
    ],
)
def test_fits(task: Optional[str], kinds: str, encoder_decoder: bool, expected: bool) -> None:
    """Which task type is right for which kind."""
    assert misfit.fits(facts(kinds, task, encoder_decoder=encoder_decoder)) is expected


@pytest.mark.parametrize(
    ("kinds", "extra", "expected"),
    [
        ("CAUSAL_LM MULTIMODAL", {}, "CAUSAL_LM"),
        ("MULTIMODAL SEQ_2_SEQ_LM SPEECH", {}, "CAUSAL_LM"),
        ("MULTIMODAL SEQ_2_SEQ_LM", {"encoder_decoder": True}, "SEQ_2_SEQ_LM"),
        ("MASKED_LM SEQ_2_SEQ_LM", {"encoder_decoder": True}, "SEQ_2_SEQ_LM"),
        ("MASKED_LM CAUSAL_LM", {}, "CAUSAL_LM"),
        ("SPEECH", {"encoder_decoder": True}, None),
        ("HEADLESS", {}, "FEATURE_EXTRACTION"),
        ("HEADLESS", {"text_inputs": False}, None),
        ("HEADLESS", {"supported": ("SEQ_CLS", "CAUSAL_LM")}, None),
        ("QUESTION_ANS", {"supported": ("SEQ_CLS", "CAUSAL_LM")}, None),
        ("", {}, None),
    ],
)
def test_fitting(kinds: str, extra: dict[str, Any], expected: Optional[str]) -> None:
    """Which task type is proposed; never one that the installed PEFT does not have."""
    assert misfit.fitting(facts(kinds, **extra)) == expected


@pytest.mark.parametrize(
    ("names", "marked", "expected"),
    [
        ((), True, ["classifier.dense.weight", "classifier.dense.bias", "classifier.out_proj.weight"]),
        (("classifier",), True, []),
        (("sifier",), True, []),
        (("classifier.out_proj",), True, ["classifier.dense.weight", "classifier.dense.bias"]),
        (("dense",), True, ["classifier.out_proj.weight"]),
        (("dense",), False, []),
        (("weight",), True, ["classifier.dense.weight", "classifier.dense.bias", "classifier.out_proj.weight"]),
        (("",), True, []),
        (tuple("jr"), True, []),
    ],
)
def test_lost(names: tuple[str, ...], marked: bool, expected: list[str]) -> None:
    """PEFT takes modules, not parameters, whose full name ends with an entry; without marks, in part is enough."""
    assert misfit.lost(facts("SEQ_CLS", head=DEEP, marked=marked), names) == expected


def test_lost_is_what_is_new() -> None:
    """Loaded parameters are never lost, whichever evidence there is."""
    mixed = (Weight("head.weight", False), Weight("classifier.weight", True))
    assert misfit.lost(facts("SEQ_CLS", head=mixed), ()) == ["classifier.weight"]
    assert misfit.lost(facts("SEQ_CLS", head=LOADED, marked=False), ()) == []
    assert misfit.lost(facts("SEQ_CLS", head=UNKNOWN), ()) == ["score.weight"]


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (DEEP, ["classifier"]),
        (DEEP[:1], ["classifier.dense"]),
        ((), []),
    ],
    ids=["all", "part", "none"],
)
def test_modules(gone: tuple[Weight, ...], named: list[str]) -> None:
    """The fewest modules are named that hold these parameters and no others of the head."""
    head = (*DEEP[:1], *DEEP[2:])  # without the bias beside the first one
    given = facts("SEQ_CLS", head=head)
    assert misfit.modules(given, [weight.path for weight in gone if weight in head]) == named


@pytest.mark.parametrize(
    ("names", "text"),
    [((), ""), (("a",), "`a`"), (("a", "b", "c"), "`a`, `b`, `c`"), ("abcde", "`a`, `b`, `c` and 2 more")],
    ids=str,
)
def test_listing(names: tuple[str, ...], text: str) -> None:
    """Three names are written out."""
    assert misfit.listing(names) == text


def test_kinds_for() -> None:
    """The kinds of model that a task type is for; none for what PEFT has no task type for."""
    assert misfit.kinds_for("SEQ_2_SEQ_LM") == ("SEQ_2_SEQ_LM", "SPEECH", "MULTIMODAL")
    assert [misfit.kinds_for(task) for task in ("SEQ_CLS", "MINE", None)] == [("SEQ_CLS",), (), ()]
