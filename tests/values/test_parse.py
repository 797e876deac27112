"""The value rule on its own, for command lines and YAML files."""

from __future__ import annotations

import argparse

import peft
import pytest
from peft import TaskType

import peft_strict
from peft_strict import InvalidTaskTypeError, parse_task_type

from ..command_line import python
from ..ways_in.rows import entry
from .test_rule import RIGHT, WRONG

SWITCHED = pytest.mark.parametrize("is_on", [False, True], ids=["off", "on"])


@pytest.fixture(name="switched")
def _switched(off: None, is_on: bool) -> None:
    if is_on:
        peft_strict.enable()


@SWITCHED
@pytest.mark.parametrize("name", sorted(RIGHT.keys() - {"registered"}))
def test_right_values(switched: None, name: str) -> None:
    """Whatever equals a member comes back as that member, and ``None`` as ``None``."""
    value, member = RIGHT[name]
    assert parse_task_type(value) is (None if member is None else TaskType(member.value))


@SWITCHED
def test_every_member(switched: None) -> None:
    """Each member and its text."""
    for member in TaskType:
        assert parse_task_type(member) is member
        assert parse_task_type(member.value) is member


@SWITCHED
def test_registered_names(switched: None) -> None:
    """A name that the user has put into PEFT's mapping comes back as it is, as long as it is there."""
    from peft_strict.releases.live import live_release

    with entry(live_release().tasks, "Vector_LM", peft.PeftModelForCausalLM):
        assert parse_task_type("Vector_LM") == "Vector_LM"
    with pytest.raises(InvalidTaskTypeError):
        parse_task_type("Vector_LM")


@SWITCHED
def test_pefts_methods(switched: None) -> None:
    """Each of PEFT's methods, as a member or as text, is told to be one."""
    for method in peft.PeftType:
        for value in (method, method.value, method.value.lower(), f"PeftType.{method.value}"):
            with pytest.raises(InvalidTaskTypeError, match="is a PEFT method, no task") as caught:
                parse_task_type(value)
            assert (caught.value.suggestion, caught.value.fix) == (None, "")
            assert f"  {method.value} is a PEFT method" in str(caught.value).splitlines()[-1]


@SWITCHED
@pytest.mark.parametrize("name", WRONG)
def test_wrong_values(switched: None, name: str) -> None:
    """Everything else is refused, suspended or not."""
    with peft_strict.suspended(), pytest.raises(InvalidTaskTypeError) as caught:
        parse_task_type(WRONG[name])
    assert caught.value.value is WRONG[name]
    assert (caught.value.config_class, caught.value.source) == (None, None)


def test_the_message(off: None) -> None:
    """PEFT's sentence, the call, the suggestion."""
    with pytest.raises(InvalidTaskTypeError) as caught:
        parse_task_type("causal-lm")
    names = ", ".join(member.value for member in TaskType)
    assert str(caught.value).splitlines() == [
        f"Invalid task type: 'causal-lm'. Must be one of the following task types: {names}.",
        "  in parse_task_type('causal-lm')",
        "  Did you mean 'CAUSAL_LM' (causal language modeling)?",
    ]


def test_it_switches_nothing_on(off: None) -> None:
    """Using the rule does not switch the checks on."""
    parse_task_type("CAUSAL_LM")
    assert peft_strict.status().state == "off"


def test_argparse(off: None, capsys: pytest.CaptureFixture[str]) -> None:
    """It can be the ``type`` of an option: the value arrives as a member, a wrong one is a usage error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--task-type", type=parse_task_type)
    assert parser.parse_args(["--task-type", "SEQ_CLS"]).task_type is TaskType.SEQ_CLS
    with pytest.raises(SystemExit):
        parser.parse_args(["--task-type", "CASUAL_LM"])
    assert "CASUAL_LM" in capsys.readouterr().err


def test_it_imports_peft() -> None:
    """In a fresh process it imports PEFT by itself."""
    done = python("-c", "import peft_strict; print(repr(peft_strict.parse_task_type('CAUSAL_LM')))")
    assert done.stdout.strip() == "<TaskType.CAUSAL_LM: 'CAUSAL_LM'>"
