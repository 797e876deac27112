"""What the status says, and that it says what is so."""

from __future__ import annotations

import json
import pickle
import sys
import types
from pathlib import Path

import pytest

from peft_strict import Status
from peft_strict._standby import State
from peft_strict.switch.status import examine

from ..interpreters import World, on_each_peft, on_the_real_peft

BASE = {"invalid": "raise", "misfit": "warn", "roundtrip": "warn"}
SHOWN = {
    "off": ({"state": "off"}, "<peft_strict: off>"),
    "off-with-note": ({"state": "off", "note": "call me"}, "<peft_strict: off (call me)>"),
    "armed": ({"state": "armed"}, '<peft_strict: armed, waiting for "import peft">'),
    "armed, other modes": (
        {"state": "armed", "misfit": "raise"},
        "<peft_strict: armed, waiting for \"import peft\", misfit='raise'>",
    ),
    "guarding": (
        {"state": "guarding", "classes": 45, "peft_version": "0.21.2"},
        "<peft_strict: guarding 45 config classes, PEFT 0.21.2>",
    ),
    "guarding-in-another-mode": (
        {"state": "guarding", "classes": 45, "peft_version": "0.21.2", "invalid": "warn"},
        "<peft_strict: guarding 45 config classes, PEFT 0.21.2, invalid='warn'>",
    ),
    "one-class-not-guarded": (
        {"state": "not guarding", "classes": 45, "unguarded": ("LoraConfig",)},
        "<peft_strict: NOT guarding 1 of 45: LoraConfig; call enable() again>",
    ),
    "many-not-guarded": (
        {"state": "not guarding", "classes": 45, "unguarded": ("A", "B", "C", "D", "PeftModel.__init__")},
        "<peft_strict: NOT guarding 4 of 45: A, B, C, ...; call enable() again>",
    ),
    "as-many-as-are-named": (
        {"state": "not guarding", "classes": 45, "unguarded": ("A", "B", "C")},
        "<peft_strict: NOT guarding 3 of 45: A, B, C; call enable() again>",
    ),
    "only-a-place-not-guarded": (
        {"state": "not guarding", "classes": 45, "unguarded": ("PeftModel.__init__",)},
        "<peft_strict: NOT guarding PeftModel.__init__; call enable() again>",
    ),
    "what-takes-no-patch": (
        {"state": "not guarding", "classes": 45, "unguarded": ("A",), "unpatchable": ("A",)},
        "<peft_strict: NOT guarding 1 of 45: A; no patch can be put there>",
    ),
    "what-takes-no-patch-and-what-does": (
        {"state": "not guarding", "classes": 45, "unguarded": ("A", "B"), "unpatchable": ("A",)},
        "<peft_strict: NOT guarding 2 of 45: A, B; call enable() again>",
    ),
    "problem": (
        {"state": "not guarding", "problem": "KeyError: 'x'"},
        "<peft_strict: NOT guarding: KeyError: 'x'>",
    ),
}


@pytest.mark.parametrize(("attributes", "shown"), SHOWN.values(), ids=SHOWN)
def test_repr(attributes: dict[str, object], shown: str) -> None:
    """The repr is one line that serves as a notebook's answer."""
    assert repr(Status(**{**BASE, **attributes})) == shown


@pytest.mark.parametrize("attributes", [attributes for attributes, _ in SHOWN.values()], ids=SHOWN)
def test_to_dict(attributes: dict[str, object]) -> None:
    """``to_dict()`` has every attribute and survives JSON; statuses that say the same are equal; it can be pickled."""
    status = Status(**{**BASE, **attributes})
    values = status.to_dict()
    assert json.loads(json.dumps(values)) == values
    tuples = {name: tuple(values[name]) for name in ("unguarded", "unpatchable")}
    assert {name: getattr(status, name) for name in values} == {**values, **tuples}
    assert set(values) == set(Status.__slots__)
    assert status == Status(**{**BASE, **attributes}) == pickle.loads(pickle.dumps(status))
    assert status != Status(**{**BASE, **attributes, "note": "other"})
    assert status != repr(status)


def test_nothing_is_guarded_unless_said() -> None:
    """A status says nothing of PEFT where there is nothing to say."""
    status = Status(**BASE, state="off")
    assert (status.classes, status.peft_version, status.unguarded, status.problem, status.note) == (
        0,
        None,
        (),
        None,
        None,
    )


def test_unhashable() -> None:
    """A status is compared by what it says, so it has no hash."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(Status(state="off", **BASE))


HALF, WHOLE = types.ModuleType("peft"), types.ModuleType("peft")
HALF.__spec__ = types.SimpleNamespace(_initializing=True)  # type: ignore[assignment]
REMOVED = "our import hook was removed; call enable() again"
LACKS = "this PEFT lacks what peft-strict needs (module 'peft' has no attribute '__version__')"


@pytest.mark.parametrize(
    ("changes", "module", "is_armed", "expected"),
    [
        ({}, None, False, {"state": "off", "note": None}),
        ({"on": True}, None, True, {"state": "armed"}),
        ({"on": True}, HALF, True, {"state": "armed"}),
        ({"on": True}, None, False, {"state": "not guarding", "problem": REMOVED}),
        ({"on": True, "problem": "X"}, HALF, False, {"state": "not guarding", "problem": REMOVED}),
        ({"on": True, "problem": "X"}, WHOLE, False, {"state": "not guarding", "problem": "X"}),
        ({"on": True}, WHOLE, True, {"state": "not guarding", "problem": f"RuntimeError: {LACKS}"}),
    ],
    ids=["off", "armed", "half imported", "not armed", "neither", "problem", "not PEFT"],
)
def test_before_peft_is_guarded(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], module: object, is_armed: bool, expected: object
) -> None:
    """What is said where PEFT is not there, is half imported, or could not be guarded."""
    monkeypatch.setitem(sys.modules, "peft", module)
    monkeypatch.delenv("PEFT_STRICT", raising=False)
    state = State()
    for name, value in changes.items():
        setattr(state, name, value)
    assert examine(state, is_armed=is_armed) == {**BASE, **expected}


@pytest.mark.parametrize(("word", "is_noted"), [("1", True), ("warn", True), ("0", False), ("", False)])
def test_a_variable_that_was_not_read(monkeypatch: pytest.MonkeyPatch, word: str, is_noted: bool) -> None:
    """While off, a variable that says "on" is explained: it was set too late."""
    monkeypatch.setenv("PEFT_STRICT", word)
    assert ("only read at start" in str(examine(State(), is_armed=False)["note"])) is is_noted


@on_each_peft
def test_from_off_to_off(world: World, tmp_path: Path) -> None:
    """Each state in the life of a process, and asking loads neither PEFT nor wrapt."""
    world.passes(
        """
        import sys, peft_strict
        def shown(): return repr(peft_strict.status())
        assert shown() == "<peft_strict: off>"
        assert repr(peft_strict.enable()) == shown() == '<peft_strict: armed, waiting for "import peft">'
        assert not {"peft", "wrapt"} & sys.modules.keys()
        import peft
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
        guarding = f"guarding {len(PEFT_TYPE_TO_CONFIG_MAPPING)} config classes, PEFT {peft.__version__}"
        assert shown() == f"<peft_strict: {guarding}>", shown()
        status = peft_strict.enable(invalid="warn", misfit="ignore")
        assert repr(status) == shown() == f"<peft_strict: {guarding}, invalid='warn', misfit='ignore'>"
        assert status.to_dict() == {
            "state": "guarding", "invalid": "warn", "misfit": "ignore", "roundtrip": "warn",
            "peft_version": peft.__version__,
            "classes": len(PEFT_TYPE_TO_CONFIG_MAPPING), "unguarded": [], "unpatchable": [],
            "problem": None, "note": None,
        }
        assert repr(peft_strict.disable()) == shown() == "<peft_strict: off>"
        """,
        tmp_path,
    )


@on_each_peft
@pytest.mark.parametrize("what", ["constructor", "attribute"])
def test_a_class_that_lost_its_guard(world: World, tmp_path: Path, what: str) -> None:
    """The status comes from the live classes: a patch that somebody took away is missed; enable() repairs."""
    remove = {
        "constructor": "cls.__init__ = cls.__init__.__wrapped__",
        "attribute": "cls.task_type = None",
    }[what]
    world.passes(
        f"""
        import peft, peft_strict, scenario
        from peft import IA3Config as cls
        assert peft_strict.enable().state == "guarding"
        {remove}
        status = peft_strict.status()
        assert (status.state, status.unguarded) == ("not guarding", ("IA3Config",)), status
        shown = f"NOT guarding 1 of {{status.classes}}: IA3Config; call enable() again"
        assert repr(status) == f"<peft_strict: {{shown}}>"
        assert scenario.refused(cls) == ({what!r} == "constructor")  # what is assigned in there is seen as well
        assert peft_strict.enable().state == "guarding"
        assert scenario.guarded() and scenario.refused(cls)
        """,
        tmp_path,
    )


@on_each_peft
def test_a_class_registered_later(world: World, tmp_path: Path) -> None:
    """A config class that is registered after ``enable()`` is counted, and guarded."""
    world.passes(
        """
        import dataclasses, peft, peft_strict, scenario
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
        before = peft_strict.enable()
        @dataclasses.dataclass
        class NewConfig(peft.PeftConfig):
            rank: int = 8
        PEFT_TYPE_TO_CONFIG_MAPPING["NEW"] = NewConfig
        status = peft_strict.status()
        assert (status.state, status.classes) == ("guarding", before.classes + 1), status
        assert scenario.refused(NewConfig)
        """,
        tmp_path,
    )


@on_each_peft
def test_a_problem_that_is_over(world: World, tmp_path: Path) -> None:
    """What went wrong with something else by the name of ``peft`` is not said of the PEFT that is guarded."""
    world.passes(
        """
        import peft, peft_strict, scenario, sys, types, warnings
        peft_strict.enable()
        sys.modules["peft"] = types.ModuleType("peft")
        with warnings.catch_warnings(record=True):
            assert peft_strict.enable().state == "not guarding"
        sys.modules["peft"] = peft
        assert peft_strict.status().state == "guarding"
        assert scenario.refused()
        """,
        tmp_path,
    )


@on_the_real_peft
def test_below_another_patch(world: World, tmp_path: Path) -> None:
    """A wrapt patch of somebody else on top of ours changes nothing: both work and the status sees ours below."""
    world.passes(
        """
        import wrapt, peft, peft_strict, scenario
        peft_strict.enable()
        @wrapt.decorator
        def theirs(wrapped, instance, args, kwargs):
            return wrapped(*args, **kwargs)
        peft.LoraConfig.__init__ = theirs(vars(peft.LoraConfig)["__init__"])
        assert peft_strict.status().state == "guarding"
        assert scenario.refused()
        """,
        tmp_path,
    )


@on_the_real_peft
def test_within_a_mock(world: World, tmp_path: Path) -> None:
    """A mocked constructor is told, and after the mock all is as before."""
    world.passes(
        """
        from unittest import mock
        import peft, peft_strict, scenario
        peft_strict.enable()
        with mock.patch.object(peft.LoraConfig, "__init__", lambda self, **options: None):
            status = peft_strict.status()
            assert (status.state, status.unguarded) == ("not guarding", ("LoraConfig",)), status
        assert scenario.guarded()
        """,
        tmp_path,
    )
