"""What reaches ``get_peft_model`` past the constructor, on every Python: the ways in are tried on one with torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..interpreters import World, on_each_small_peft

VALUES = {"a typo": "'CASUAL_LM'", "no text": "3", "without a hash": "[]"}


@on_each_small_peft
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_wrong_value(world: World, tmp_path: Path, value: str) -> None:
    """It is refused there; while suspended, PEFT says what it says without us."""
    script = f"""
import peft, peft_strict

def outcome():
    config = peft.LoraConfig()
    config.__dict__["task_type"] = {value}
    try:
        peft.get_peft_model(object(), config)
    except Exception as error:
        return type(error), str(error)

plain = outcome()
assert plain[0] in (KeyError, TypeError), plain
peft_strict.enable()
kind, text = outcome()
assert kind is peft_strict.InvalidTaskTypeError and text.startswith("Invalid task type: "), (kind, text)
with peft_strict.suspended():
    assert outcome() == plain
peft_strict.disable()
assert outcome() == plain
"""
    world.passes(script, tmp_path)


@on_each_small_peft
def test_what_only_peft_refuses(world: World, tmp_path: Path) -> None:
    """Where PEFT finds no model class for a right value, its own error stays what it is."""
    script = """
import peft, peft_strict
peft_strict.enable()
for value in (None, "SEQ_CLS"):
    try:
        peft.get_peft_model(object(), peft.LoraConfig(task_type=value))
    except KeyError as error:
        assert error.args == (value,), error.args
    else:
        raise AssertionError
"""
    world.passes(script, tmp_path)


@on_each_small_peft
def test_right_value(world: World, tmp_path: Path) -> None:
    """A right value makes the model that it makes without us."""
    script = """
import peft, peft_strict
peft_strict.enable(misfit="ignore")
made = peft.get_peft_model(object(), peft.LoraConfig(task_type="CAUSAL_LM"))
assert type(made).__name__ == "PeftModelForCausalLM"
"""
    world.passes(script, tmp_path)
