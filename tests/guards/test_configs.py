"""What becomes of config classes that others write, and of a PEFT that others take apart: here and on PEFT 0.13."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib.metadata
import importlib.util
import os
import pydoc
import sys
import threading
import types
import unittest.mock
import weakref
from collections.abc import Callable
from typing import Any, Optional

import peft
import pytest
from peft import LoraConfig

import peft_strict
from peft_strict import TaskTypeWarning
from peft_strict.guards import install
from peft_strict.guards.patching import mark_of

from ..command_line import REPOSITORY, environment, python
from ..outcomes import refused, reports
from ..upstream.compare import installed_copy
from ..ways_in import snapshot


def marked(*classes: type) -> list[str]:
    """Return the attributes that hold a patch of ours."""
    return [f"{cls.__name__}.{name}" for cls in classes for name, value in vars(cls).items() if mark_of(value)]


# -- mixins -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Field:
    task_type: Optional[str] = None
    extra: int = 0


class Attribute:
    task_type = None


class Slot:
    __slots__ = ("task_type",)


class Property:
    @property
    def task_type(self) -> Any:
        return self.__dict__.get("kept")

    @task_type.setter
    def task_type(self, value: Any) -> None:
        self.__dict__["kept"] = value


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "while-on"])
@pytest.mark.parametrize("mixin", [Field, Attribute, Slot, Property])
def test_a_mixin_in_front(off: None, mixin: Any, is_late: bool) -> None:
    """Where the first ``task_type`` of a class is a mixin's, the class is guarded, and the mixin left alone."""
    if is_late:
        peft_strict.enable()
    mine: Any = dataclasses.dataclass(type("Mine", (mixin, LoraConfig), {}))
    before = dict(vars(mixin)), set(vars(mine))
    peft_strict.enable()
    for _ in range(2):
        assert refused(mine, task_type="CASUAL_LM").suggestion == "CAUSAL_LM"
        config = mine(task_type="CAUSAL_LM")
        assert config.task_type == "CAUSAL_LM"
        refused(setattr, config, "task_type", "CASUAL_LM")
    peft_strict.disable()
    assert (dict(vars(mixin)), marked(mixin, mine)) == (before[0], [])
    assert set(vars(mine)) - before[1] <= {"__slotnames__"}


# -- classes that get their constructor late --------------------------------------------------------------------------


def by_dataclass() -> Any:
    @dataclasses.dataclass
    class Mine(LoraConfig):
        task_type: Optional[str] = None

    return Mine


def by_pydantic() -> Any:
    pydantic = pytest.importorskip("pydantic")

    @pydantic.dataclasses.dataclass(config={"arbitrary_types_allowed": True, "extra": "ignore"})
    class Mine(LoraConfig):
        pass

    return Mine


def by_attrs() -> Any:
    attrs = pytest.importorskip("attrs")

    @attrs.define(slots=False)
    class Mine(LoraConfig):
        task_type: Optional[str] = attrs.field(default=None)

    return Mine


def with_init_var() -> Any:
    @dataclasses.dataclass
    class Mine(LoraConfig):
        task_type: dataclasses.InitVar[Optional[str]] = None

        def __post_init__(self, task_type: Optional[str]) -> None:
            super().__post_init__()

    Mine.__dataclass_fields__["task_type"].type = Optional[str]  # annotations are texts in this file
    return Mine


def init_set_later() -> Any:
    class Mine(LoraConfig):
        pass

    def __init__(self: Any, task_type: Any = None) -> None:
        LoraConfig.__init__(self)
        self.task_type = task_type

    Mine.__init__ = __init__  # type: ignore[method-assign, assignment]
    return Mine


@pytest.mark.parametrize("make", [by_dataclass, by_pydantic, by_attrs, with_init_var, init_set_later])
def test_first_instances(off: None, make: Callable[[], Any]) -> None:
    """The first instance of a class is judged like the next, however the class has got its constructor."""
    peft_strict.enable()
    mine = make()
    for _ in range(2):
        with pytest.raises(ValueError, match="Invalid task type: 'CASUAL_LM'"):  # pydantic makes one of its own of it
            mine(task_type="CASUAL_LM")
    peft_strict.disable()
    assert marked(mine) == []
    assert "__setattr__" not in vars(mine.__mro__[-2])


def test_the_body_is_left_alone_until_then(strict: None) -> None:
    """Until its first instance a class holds what was written: decorators read it. The status changes nothing."""

    class Mine(LoraConfig):
        task_type: Any = "CAUSAL_LM"

    assert peft_strict.status().state == peft_strict.enable().state == "guarding"
    assert vars(Mine)["task_type"] == "CAUSAL_LM"
    Mine(task_type="SEQ_CLS")
    assert marked(Mine) == ["Mine.task_type"]


def test_a_class_that_another_thread_is_making(strict: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that is there before we hear of it, as Python is still making it, does not count as unguarded."""
    looked, made, found = threading.Event(), threading.Event(), []
    asking = threading.Thread(target=lambda: found.append(peft_strict.status()))

    class Slow:
        def __set_name__(self, owner: type, name: str) -> None:
            asking.start()
            looked.wait(30)

    def sleep(seconds: float) -> None:
        looked.set()
        made.wait(30)

    monkeypatch.setattr(install, "time", types.SimpleNamespace(sleep=sleep))

    class Mine(LoraConfig):
        slow = Slow()

        def __init__(self) -> None:
            super().__init__()

    made.set()
    asking.join()
    assert looked.is_set()
    assert found[0].state == "guarding", found
    assert Mine().r == LoraConfig().r


# -- what a class makes of a value ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["task_type", "kind"])
def test_stored_around_us(strict: None, name: str) -> None:
    """What is left counts: a wrong value that a constructor stores through ``__dict__`` is refused."""

    class Mine(LoraConfig):
        def __init__(self, **words: Any) -> None:
            super().__init__()
            self.__dict__["task_type"] = words[name]

    assert refused(Mine, **{name: "CASUAL_LM"}).value == "CASUAL_LM"
    assert Mine(**{name: "CAUSAL_LM"}).task_type == "CAUSAL_LM"


def test_a_property_gets_what_was_written(strict: None) -> None:
    """A setter that works on the text works as it would without us."""

    class Mine(LoraConfig):
        @property
        def task_type(self) -> Any:
            return self.__dict__.get("kept")

        @task_type.setter
        def task_type(self, value: Any) -> None:
            self.__dict__["kept"] = str(value) if value else None

    assert Mine(task_type="CAUSAL_LM").task_type == "CAUSAL_LM"


@pytest.mark.parametrize("value", ["CASUAL_LM", "CAUSAL_LM"])
def test_a_line_without_effect(strict: None, value: str) -> None:
    """``task_type = ...`` in a class body, without being a field, is told of once, and the advice works."""

    class Mine(LoraConfig):
        task_type = value  # type: ignore[assignment]

    with reports() as found:
        assert Mine(task_type="SEQ_CLS").task_type == "SEQ_CLS"
        assert Mine().task_type is None
        Mine()
    assert [each.category for each in found] == [TaskTypeWarning]
    assert "Write `task_type: str = 'CAUSAL_LM'` there" in str(found[0].message)
    fields: dict[str, Any] = {"task_type": "CAUSAL_LM", "__annotations__": {"task_type": str}}
    cured: Any = dataclasses.dataclass(type("Mine", (LoraConfig,), fields))
    with reports() as found:
        assert cured().task_type == "CAUSAL_LM"
    assert found == []


# -- what must not be kept, and must not show -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: LoraConfig(task_type="X"),
        lambda: setattr(LoraConfig(), "task_type", "X"),
        lambda: LoraConfig(peft_type="CAUSAL_LM"),
        lambda: peft.get_peft_model(peft.LoraModel, peft.PromptTuningConfig(num_virtual_tokens=2)),
        lambda: by_dataclass()(task_type="X"),
    ],
    ids=["constructor", "assignment", "peft_type", "get_peft_model", "first instance"],
)
def test_a_refusal_keeps_nothing_alive(strict: None, mistake: Callable[[], Any]) -> None:
    """When the error is caught, what the caller had at hand is freed at once: no error is part of a circle."""

    def attempt() -> weakref.ref[Any]:
        big = unittest.mock.Mock()
        reference = weakref.ref(big)
        with contextlib.suppress(ValueError, AttributeError, TypeError):
            mistake()
        return reference

    gc.collect()
    gc.disable()
    try:
        assert attempt()() is None
    finally:
        gc.enable()


def test_help_shows_the_default(off: None) -> None:
    """``help(LoraConfig)`` says of ``task_type`` what it says without us."""

    def said() -> list[str]:
        text = pydoc.plain(pydoc.render_doc(LoraConfig)).splitlines()
        return [line for line in text if line.startswith(" |  task_type = ")]

    plain = said()
    assert plain
    peft_strict.enable()
    assert said() == plain


# -- a PEFT that is taken apart ---------------------------------------------------------------------------------------


def test_imported_again_over_its_submodules(off: None) -> None:
    """The classes are the same ones: one report for one mistake, and one ``disable()`` leaves nothing."""
    before = snapshot.take()
    peft_strict.enable(invalid="warn")
    try:
        del sys.modules["peft"]
        import peft as again

        assert again is not peft
        assert again.LoraConfig is LoraConfig
        config = LoraConfig()
        with reports() as found:
            config.task_type = "CASUAL_LM"
        assert len(found) == 1
        peft_strict.enable(invalid="warn")
        peft_strict.disable()
        assert snapshot.changes(before) == []
    finally:
        sys.modules["peft"] = peft


@pytest.mark.parametrize("name", ["TaskType", "PeftConfig", "PeftModel"])
def test_switched_on_inside_a_mock(off: None, name: str) -> None:
    """A mock in the package while we are switched on is no part of PEFT."""
    before = snapshot.take()
    with unittest.mock.patch.object(peft, name):
        assert peft_strict.enable().state == "guarding"
    assert peft_strict.status().state == "guarding"
    assert refused(LoraConfig, task_type="CASUAL_LM").suggestion == "CAUSAL_LM"
    peft_strict.disable()
    assert snapshot.changes(before) == []


@pytest.mark.parametrize("after", [1, 40, 90])
def test_an_undo_that_is_interrupted(off: None, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """A ``disable()`` that Ctrl-C ends half-way can be called again, and leaves nothing then."""
    before, lines = snapshot.take(), 0
    peft_strict.enable()

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_name == "peel":
            lines += 1
            if lines == after:
                raise KeyboardInterrupt
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(KeyboardInterrupt):
            peft_strict.disable()
    finally:
        sys.settrace(previous)
    peft_strict.disable()
    assert snapshot.changes(before) == []


# -- the same on an older PEFT ----------------------------------------------------------------------------------------


@pytest.mark.skipif(importlib.metadata.version("peft") == "0.13.2" or "OLDER_PEFT" in os.environ, reason="is that run")
def test_all_of_this_on_an_older_peft() -> None:
    """Every test of this file passes on PEFT 0.13.2, which checks no task type by itself."""
    path = os.pathsep.join([str(installed_copy("peft", "0.13.2")), str(REPOSITORY)])
    variables = environment(PYTHONPATH=path, OLDER_PEFT="1")
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, cwd=REPOSITORY, env=variables)
    assert done.returncode == 0, done.stdout[-3000:]
