"""Where a config meets a model, with somebody else's functions in the places of PEFT's."""

from __future__ import annotations

import contextlib
import linecache
import types
from collections.abc import Callable, Iterator
from typing import Any

import peft
import pytest

import peft_strict

from ..outcomes import refused, reports
from ..ways_in import snapshot
from ..ways_in.rows import lora, past_us, saved_adapter, tiny_classifier, tiny_lm

# Modules as others write them, in a source tree: no path tells them from the user's own code.
WRAPPING = """
import functools, peft, sys
homes = [peft, sys.modules.get("peft.mapping_func") or sys.modules["peft.mapping"]]
found = peft.get_peft_model

@functools.wraps(found)
def wrapper(*args, **words):
    calls.append(1)
    return found(*args, **words)

def patch():
    for home in homes:
        home.get_peft_model = wrapper

def undo():
    for home in homes:
        home.get_peft_model = found
"""


def replacing(cls: str) -> str:
    """Return a module that puts an ``__init__`` of its own into a class of PEFT's."""
    return f"""
from peft import {cls} as owner
found = vars(owner).get("__init__")
inherited = owner.__init__

def __init__(self, *args, **words):
    calls.append(1)
    inherited(self, *args, **words)

def patch():
    owner.__init__ = __init__

def undo():
    if found is None and vars(owner).get("__init__") is __init__:
        del owner.__init__
    elif found is not None:
        owner.__init__ = found
"""


def by_get_peft_model(config: Any) -> None:
    peft.get_peft_model(tiny_lm(), config)  # here


def by_injection(config: Any) -> None:
    peft.inject_adapter_in_model(config, tiny_lm())  # here


SOMEBODY = {
    "wraps": (WRAPPING, by_get_peft_model),
    "replaces": (replacing("LoraModel"), by_injection),
    "replaces, wrapped": (replacing("LoraModel"), by_get_peft_model),
}


@contextlib.contextmanager
def somebody(text: str) -> Iterator[types.ModuleType]:
    """Import a module, have it patch PEFT, and undo that in the end."""
    module = types.ModuleType("somebody")
    vars(module)["calls"] = []
    exec(compile(text, "/home/me/somebody/patches.py", "exec"), vars(module))
    module.patch()
    try:
        yield module
    finally:
        module.undo()


def is_told_once(mistake: Callable[[Any], None], module: types.ModuleType) -> None:
    """Look at a wrong value and at a name that misses: one report each, at the line of the mistake."""
    module.calls.clear()
    refused(mistake, past_us(lora(), "X"))
    with reports() as found:
        mistake(peft.LoraConfig(target_modules=["q_proj", "v_prj"]))
    (report,) = found
    assert report.filename == __file__
    assert "# here" in linecache.getline(report.filename, report.lineno)
    assert module.calls  # theirs has run


def is_quiet(mistake: Callable[[Any], None]) -> None:
    with reports() as found:
        mistake(peft.LoraConfig(target_modules=["q_proj", "v_prj"]))
    assert found == []


@pytest.mark.parametrize("kind", SOMEBODY)
def test_somebody_below_us(before: snapshot.Snapshot, kind: str) -> None:
    """Their function is there before we are: it stays where it is when we go."""
    text, mistake = SOMEBODY[kind]
    with somebody(text) as module:
        theirs = snapshot.take()
        assert peft_strict.enable().state == "guarding"
        is_told_once(mistake, module)
        assert peft_strict.status().state == "guarding"
        peft_strict.disable()
        assert snapshot.changes(theirs) == []
        is_quiet(mistake)


@pytest.mark.parametrize("is_first_out", [True, False], ids=["they go first", "we go first"])
@pytest.mark.parametrize("kind", SOMEBODY)
def test_somebody_above_us(before: snapshot.Snapshot, kind: str, is_first_out: bool) -> None:
    """Their function is put over ours, and keeps it: that guards while we are on, and is inert when we are off."""
    text, mistake = SOMEBODY[kind]
    peft_strict.enable()
    with somebody(text) as module:
        assert peft_strict.status().state == "guarding"
        assert peft_strict.enable().state == "guarding"
        is_told_once(mistake, module)
        if is_first_out:
            module.undo()
            assert peft_strict.status().state == "guarding"
            peft_strict.disable()
        else:
            peft_strict.disable()
            is_quiet(mistake)
            module.undo()
            is_quiet(mistake)
            peft_strict.enable()
            assert peft_strict.status().state == "guarding"


def test_an_adapter_that_is_loaded_through_somebody(before: snapshot.Snapshot) -> None:
    """A function of somebody else between PEFT's does not hide that an adapter is being loaded, and from where."""
    peft_strict.enable()
    with saved_adapter(task_type="CAUSAL_LM") as folder, somebody(replacing("PeftModel")) as module:
        with pytest.raises(peft_strict.MisfitError) as caught:  # M2
            peft.PeftModel.from_pretrained(tiny_classifier(), folder)
        assert folder in str(caught.value)
        assert caught.value.source == folder
        assert module.calls == [1]


class Unhashable:
    """A value whose hash is asked for in vain."""

    def __hash__(self) -> int:
        raise RuntimeError("not today")


@pytest.mark.parametrize("value", [["CAUSAL_LM"], Unhashable()], ids=["list", "raising"])
def test_a_task_type_without_a_hash(strict: None, value: object) -> None:
    """PEFT looks a task type up among its keys; one that cannot be looked up is refused as any other wrong one."""
    config = lora()
    config.__dict__["task_type"] = value
    with pytest.raises(peft_strict.InvalidTaskTypeError, match=r"^Invalid task type: "):
        peft.get_peft_model(tiny_lm(), config)
