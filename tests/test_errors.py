"""The exceptions and warnings: what they are, and that they cross process borders whole."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import pytest

import peft_strict
from peft_strict import InvalidTaskTypeError, MisfitError, MisfitWarning, TaskTypeWarning
from peft_strict._errors import name_of


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("not today")


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


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
CASES = pytest.mark.parametrize(
    ("kind", "attributes"), [(InvalidTaskTypeError, INVALID), (MisfitError, MISFIT)], ids=["invalid", "misfit"]
)


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


@pytest.mark.parametrize("kind", [InvalidTaskTypeError, MisfitError])
def test_attributes_are_always_there(kind: type[Exception]) -> None:
    """An error made without attributes still answers for each documented one."""
    names = INVALID if kind is InvalidTaskTypeError else MISFIT
    error = kind("text")
    assert all(getattr(error, name) in (None, (), "") for name in names)


def test_what_they_are() -> None:
    """Errors are ValueErrors, as PEFT's own are; the warnings can be filtered together or one by one."""
    assert issubclass(InvalidTaskTypeError, ValueError)
    assert issubclass(MisfitError, ValueError)
    assert not issubclass(MisfitError, InvalidTaskTypeError)
    assert issubclass(TaskTypeWarning, UserWarning)
    assert issubclass(MisfitWarning, TaskTypeWarning)


@pytest.mark.parametrize("name", ["InvalidTaskTypeError", "MisfitError", "TaskTypeWarning", "MisfitWarning"])
def test_they_live_where_users_import_them(name: str) -> None:
    """A traceback names them as ``peft_strict.<name>``, and that is where they are."""
    kind = getattr(peft_strict, name)
    assert f"{kind.__module__}.{kind.__qualname__}" == f"peft_strict.{name}"
