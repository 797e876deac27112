"""What the stand-in for the class attribute ``task_type`` does, on the installed PEFT."""

from __future__ import annotations

from typing import Any

import pytest
from peft import LoraConfig, TaskType

import peft_strict

from .outcomes import refused
from .ways_in.rows import registered_classes


def test_a_refused_assignment_changes_nothing(strict: None) -> None:
    """The config keeps what it had."""
    config = LoraConfig(task_type="SEQ_CLS")
    refused(setattr, config, "task_type", "X")
    assert config.task_type is TaskType.SEQ_CLS


def test_deleting(off: None) -> None:
    """``del`` and reading afterwards are what they are without us."""

    def deleted() -> list[Any]:
        config = LoraConfig(task_type="SEQ_CLS")
        del config.task_type
        found: list[Any] = [config.task_type, "task_type" in vars(config)]
        with pytest.raises(AttributeError, match="task_type"):
            del config.task_type
        config.task_type = "CAUSAL_LM"
        return [*found, config.task_type, list(vars(config))[-1]]

    plain = deleted()
    peft_strict.enable()
    assert deleted() == plain


@pytest.mark.parametrize("cls", registered_classes(), ids=lambda cls: cls.__name__)
def test_reading_on_the_class(strict: None, cls: Any) -> None:
    """The class answers with the default of the field, as a dataclass does."""
    assert cls.task_type is None
