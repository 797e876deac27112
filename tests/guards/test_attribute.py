"""What the stand-in for the class attribute ``task_type`` does, on the installed PEFT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, TaskType

import peft_strict
from peft_strict.guards.attribute import HiddenAttribute
from peft_strict.releases.live import instance_dict

from ..command_line import python
from ..outcomes import refused
from ..ways_in.rows import registered_classes


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


def test_a_property_of_the_class_is_asked(off: None) -> None:
    """A ``task_type`` that a user's class computes, stores and deletes by itself goes on doing so."""

    def used() -> list[Any]:
        calls: list[Any] = []

        class Computed(LoraConfig):
            @property
            def task_type(self) -> Any:
                calls.append("read")
                return self.__dict__.get("_kept")

            @task_type.setter
            def task_type(self, value: Any) -> None:
                calls.append(value)
                self._kept = value

            @task_type.deleter
            def task_type(self) -> None:
                calls.append("deleted")
                del self._kept

        config = Computed(task_type=TaskType.SEQ_CLS)
        config.task_type = TaskType.TOKEN_CLS
        calls.append(config.task_type)
        del config.task_type
        return [*calls[-5:], config.task_type]

    plain = used()
    peft_strict.enable()
    assert used() == plain


def test_an_attribute_that_dict_does_not_show() -> None:
    """On PEFT up to 0.3 ``__dict__`` is a property that returns a copy: the attribute is kept in the real one."""

    class Base:
        pass

    class Old(Base):
        @property
        def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
            return dict(real(self))

    real = instance_dict(Old)
    Old.task_type = HiddenAttribute("default", real)  # type: ignore[attr-defined]
    config: Any = Old()
    assert config.task_type == "default"
    config.task_type = "X"
    assert (config.task_type, vars(config), real(config)) == ("X", {"task_type": "X"}, {"task_type": "X"})
    del config.task_type
    assert (config.task_type, real(config)) == ("default", {})
    with pytest.raises(AttributeError, match=r"^task_type$"):
        del config.task_type


TESTS = """
import sys, peft, peft_strict, torch
from peft import LoraConfig, TaskType
peft_strict.enable()

class Later(LoraConfig):
    pass

def test_constructed():
    LoraConfig(task_type="X")  # here

def test_assigned():
    LoraConfig().task_type = "X"  # here

def test_first_of_its_class():
    Later(peft_type=TaskType.SEQ_CLS)  # here

def test_used():
    config = LoraConfig(target_modules=["0"])
    vars(config)["task_type"] = "X"
    peft.PeftModel(torch.nn.Sequential(torch.nn.Linear(1, 1)), config)  # here

def test_looked_up():
    peft.get_peft_model(torch.nn.Linear(1, 1), peft.PrefixTuningConfig(num_virtual_tokens=1))

def test_looked_up_without_a_hash():
    config = LoraConfig()
    vars(config)["task_type"] = []
    peft.get_peft_model(torch.nn.Linear(1, 1), config)
"""


def test_what_pytest_shows_ends_on_the_users_line(tmp_path: Path) -> None:
    """Our frames do not show in the report of a failed test (``__tracebackhide__``)."""
    file = tmp_path / "test_it.py"
    file.write_text(TESTS)
    result = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", file, cwd=tmp_path)
    lines = [line for line in result.stdout.splitlines() if line.strip(" ^")]
    ends = [lines[number - 1] for number, line in enumerate(lines) if line.startswith("E   peft_strict.Invalid")]
    assert [end.rpartition("# ")[2] for end in ends[:4]] == ["here"] * 4, result.stdout
    assert len(ends) == 6
    assert "peft_strict/_" not in result.stdout
