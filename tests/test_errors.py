"""The exceptions and warnings: what they are, and that they cross process borders whole."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import pytest

import peft_strict
from peft_strict import (
    InvalidFieldError,
    InvalidFieldWarning,
    InvalidTaskTypeError,
    MisfitError,
    MisfitWarning,
    PeftStrictWarning,
    RoundTripError,
    RoundTripWarning,
    TaskTypeWarning,
)
from peft_strict._errors import PUBLIC, name_of


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("not today")


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


FIELD = {
    "code": "F1",
    "field": "use_rslora",
    "value": "False",
    "allowed": (),
    "suggestion": False,
    "config_class": "LoraConfig",
    "source": "/somewhere/adapter_config.json",
    "fix": "use_rslora=False",
}
INVALID = {
    "value": "CASUAL_LM",
    "supported": ("SEQ_CLS", "CAUSAL_LM"),
    "suggestion": "CAUSAL_LM",
    "config_class": "LoraConfig",
    "source": "/somewhere/adapter_config.json",
}
MISFIT = {
    "code": "H1",
    "task_type": "SEQ_CLS",
    "model_class": "BertForQuestionAnswering",
    "config_class": "LoraConfig",
    "fix": 'task_type="QUESTION_ANS"',
}
ROUND_TRIP = {
    "code": "K3",
    "keys": ("base_model.model.lm_head.weight",),
    "model_class": "PeftModelForCausalLM",
    "source": "/somewhere",
    "fix": "save the model that was trained",
}
REPORT = {"code": "H2", "fix": 'task_type="SEQ_CLS"'}
KINDS = {
    InvalidFieldError: FIELD,
    InvalidTaskTypeError: INVALID,
    MisfitError: MISFIT,
    RoundTripError: ROUND_TRIP,
    **dict.fromkeys((InvalidFieldWarning, TaskTypeWarning, MisfitWarning, RoundTripWarning), REPORT),
}
CASES = pytest.mark.parametrize(("kind", "attributes"), KINDS.items(), ids=[kind.__name__ for kind in KINDS])


@CASES
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_whole(kind: type[Exception], attributes: dict[str, Any], protocol: int) -> None:
    """An error keeps its class, message and attributes through every pickle protocol."""
    again = pickle.loads(pickle.dumps(kind("what\nwhere", **attributes), protocol))
    assert type(again) is kind
    assert str(again) == "what\nwhere"
    assert again.args == ("what\nwhere",)
    assert vars(again) == attributes


@CASES
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copied_whole(kind: type[Exception], attributes: dict[str, Any], duplicate: Any) -> None:
    """The same for copies."""
    again = duplicate(kind("text", **attributes))
    assert (type(again), str(again), vars(again)) == (kind, "text", attributes)


@pytest.mark.parametrize(
    "value",
    [Unpicklable(), Rude(), threading.Lock(), lambda: None, (each for each in ())],
    ids=["reduce-raises", "local-class", "lock", "lambda", "generator"],
)
def test_a_value_that_cannot_be_pickled(value: object) -> None:
    """Such a value travels as a short text that says what it was; all the rest arrives."""
    if isinstance(value, Rude):
        value = type("Local", (Rude,), {})()
    again = pickle.loads(pickle.dumps(InvalidTaskTypeError("text", **{**INVALID, "value": value})))
    assert again.value == f"<{type(value).__name__} that cannot be pickled>"
    assert vars(again) == {**INVALID, "value": again.value}


def test_a_long_class_name_is_cut() -> None:
    """Of the name of a class, messages show at most 60 characters."""
    assert [len(name_of(type("x" * length, (), {}))) for length in (59, 60, 61, 10_000)] == [59, 60, 60, 60]


@CASES
def test_attributes_are_always_there(kind: type[Exception], attributes: dict[str, Any]) -> None:
    """A report made without attributes still answers for each documented one."""
    made = kind("text")
    assert all(getattr(made, name) in (None, (), "", "task_type") for name in attributes)


def test_what_they_are() -> None:
    """Errors are ValueErrors, as PEFT's own are; the warnings can be filtered together or one by one."""
    assert all(issubclass(kind, ValueError) for kind in (InvalidFieldError, MisfitError, RoundTripError))
    assert issubclass(InvalidTaskTypeError, InvalidFieldError)
    assert InvalidTaskTypeError("text").field == "task_type"
    assert not issubclass(MisfitError, InvalidFieldError)
    assert issubclass(PeftStrictWarning, UserWarning)
    warnings = (InvalidFieldWarning, MisfitWarning, RoundTripWarning)
    assert all(issubclass(kind, PeftStrictWarning) for kind in warnings)
    assert issubclass(TaskTypeWarning, InvalidFieldWarning)
    assert not any(issubclass(kind, other) for kind in warnings for other in warnings if kind is not other)


@pytest.mark.parametrize("name", [kind.__name__ for kind in PUBLIC])
def test_they_live_where_users_import_them(name: str) -> None:
    """A traceback names them as ``peft_strict.<name>``, and that is where they are."""
    kind = getattr(peft_strict, name)
    assert f"{kind.__module__}.{kind.__qualname__}" == f"peft_strict.{name}"
