"""The places between model and file: every module that holds PEFT's functions, and how they are left again."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import sys
import types
from collections.abc import Iterator
from typing import Any

import peft
import peft.utils.save_and_load as home
import pytest

import peft_strict
from peft_strict.releases.adapters import SAVE

from ..outcomes import reports
from ..roundtrip.scenes import adapted

# of PEFT up to 0.20, for models without a name
pytestmark = pytest.mark.filterwarnings("ignore:Could not find a config file")

ORIGINAL = vars(home)[SAVE]  # tests start switched off


@pytest.fixture(name="script")
def _script() -> Iterator[Any]:
    """A module of a user's that has imported the function before peft-strict was switched on."""
    module = types.ModuleType("a_script")
    exec(f"from peft import {SAVE}", vars(module))
    sys.modules["a_script"] = module
    yield module
    del sys.modules["a_script"]


def reported(function: Any) -> bool:
    """Whether an empty state dict is reported through this reference to PEFT's function."""
    with reports() as found:
        function(adapted(), {})
    return bool(found)


@pytest.mark.usefixtures("off")
def test_every_module_that_holds_it(script: Any) -> None:
    """PEFT's own modules and a script that imported it before are places; what `disable` leaves is the function."""
    peft_strict.enable()
    holding = [module for module in (peft, peft.utils, home, peft.peft_model, script) if vars(module)[SAVE]]
    assert [reported(vars(module)[SAVE]) for module in holding] == [True] * 5
    assert len({id(vars(module)[SAVE]) for module in holding}) == 1
    peft_strict.disable()
    assert all(vars(module)[SAVE] is ORIGINAL for module in holding)


@pytest.mark.usefixtures("off")
def test_a_module_that_imports_it_meanwhile(script: Any) -> None:
    """Who imports it while peft-strict is on has the function itself afterwards."""
    del vars(script)[SAVE]
    peft_strict.enable()
    exec(f"from peft import {SAVE}", vars(script))
    assert reported(vars(script)[SAVE])
    peft_strict.disable()
    assert vars(script)[SAVE] is ORIGINAL


@pytest.mark.usefixtures("off")
def test_a_reference_that_stays() -> None:
    """A reference that was taken while it was on does nothing of its own afterwards, and works again later."""
    peft_strict.enable()
    kept = vars(peft)[SAVE]
    peft_strict.disable()
    assert not reported(kept)
    peft_strict.enable()
    assert reported(kept)


@pytest.mark.usefixtures("off")
def test_somebody_on_top(script: Any) -> None:
    """A wrapper that somebody has put on ours is left in place, and ours below it is off."""
    peft_strict.enable()
    inner = vars(script)[SAVE]
    script.get_peft_model_state_dict = functools.wraps(inner)(lambda *args, **words: inner(*args, **words))
    theirs = vars(script)[SAVE]
    assert reported(theirs)
    peft_strict.disable()
    assert vars(script)[SAVE] is theirs
    assert not reported(theirs)
    del vars(script)[SAVE]


@pytest.mark.usefixtures("off")
def test_status_tells_of_a_place_that_was_lost(script: Any) -> None:
    """Where somebody has put PEFT's function back, `status` says so, and `enable` guards it again."""
    peft_strict.enable()
    vars(script)[SAVE] = ORIGINAL
    assert f"a_script.{SAVE}" in peft_strict.status().unguarded
    assert not peft_strict.enable().unguarded


@pytest.mark.parametrize("name", ["save_pretrained", "load_adapter"])
def test_a_method_that_calls_what_is_guarded(off: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The same goes for a method of PEFT's that calls a function which is guarded still: it is not guarded by that."""
    original = vars(peft.PeftModel)[name]
    peft_strict.enable()
    monkeypatch.setattr(peft.PeftModel, name, original)
    assert f"PeftModel.{name}" in peft_strict.status().unguarded
    assert not peft_strict.enable().unguarded
    peft_strict.disable()
    assert vars(peft.PeftModel)[name] is original


@pytest.mark.usefixtures("strict")
def test_it_is_still_that_function() -> None:
    """Its signature, its name, its source, its copies and its pickles are those of the function."""
    patched = vars(peft)[SAVE]
    assert patched is not ORIGINAL
    assert inspect.signature(patched) == inspect.signature(ORIGINAL)
    assert inspect.getsource(patched) == inspect.getsource(ORIGINAL)
    assert (patched.__name__, patched.__module__) == (SAVE, home.__name__)
    assert inspect.isfunction(patched)
    assert copy.copy(patched) is patched
    assert copy.deepcopy(patched) is patched
    pickled = pickle.dumps(patched)
    assert pickle.loads(pickled) is patched
    peft_strict.disable()
    assert pickle.loads(pickled) is ORIGINAL
    assert pickle.loads(pickle.dumps(patched)) is ORIGINAL


@pytest.mark.usefixtures("off")
def test_odd_things_among_the_modules() -> None:
    """What is in `sys.modules` without being a module, or fails when looked at, is passed over."""

    class Lazy(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("not to be touched")

    class NoModule:
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError("not to be touched")

    sys.modules.update(a_lazy_one=Lazy("a_lazy_one"), no_module=NoModule())  # type: ignore[call-overload]
    try:
        assert peft_strict.enable().state == "guarding"
    finally:
        del sys.modules["a_lazy_one"], sys.modules["no_module"]
