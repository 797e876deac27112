"""That the patches do not show, that the undo is exact, and that nobody else's patches get in the way."""

from __future__ import annotations

import copy
import dataclasses
import functools
import gc
import inspect
import io
import json
import pickle
import sys
import threading
import time
import typing
import unittest.mock
import weakref
from collections.abc import Callable
from typing import Any

import peft
import pytest
import wrapt
from peft import LoraConfig, TaskType
from peft.config import _check_and_remove_unused_kwargs

import peft_strict
from peft_strict import InvalidTaskTypeError
from peft_strict._standby import state
from peft_strict.releases.live import live_release

from ..command_line import python
from ..outcomes import refused
from ..subclass_kinds import KINDS
from ..ways_in import snapshot
from ..ways_in.rows import entry, lora, past_us, registered_classes, tiny_lm

CONFIGS = pytest.mark.parametrize("cls", [*registered_classes(), peft.PeftConfig], ids=lambda cls: cls.__name__)


def layers(owner: Any, name: str = "__init__") -> int:
    """Return how many patches of ours an attribute goes through."""
    layer, found = vars(owner).get(name), 0
    while layer is not None:
        found += "_self_peft_strict_watch" in getattr(type(layer), "__slots__", ()) or _is_marked(layer)
        layer = getattr(layer, "__wrapped__", None)
    return found


def _is_marked(layer: Any) -> bool:
    try:
        object.__getattribute__(layer, "_self_peft_strict_watch")
    except AttributeError:
        return False
    return True


def is_refused(function: Callable[..., Any], *args: Any, **words: Any) -> bool:
    """Whether we refuse it; PEFT's own refusal does not count."""
    try:
        function(*args, **words)
    except InvalidTaskTypeError:
        return True
    except ValueError:
        return False
    return False


# -- what must not show (R22) -----------------------------------------------------------------------------------------

SEEN: dict[str, Callable[[Any], Any]] = {
    "signature": inspect.signature,
    "signature of __init__": lambda cls: inspect.signature(cls.__init__),
    "unfollowed signature": lambda cls: inspect.signature(cls.__init__, follow_wrapped=False),
    "full argspec": lambda cls: inspect.getfullargspec(cls.__init__),
    "kinds": lambda cls: [test(cls.__init__) for test in (inspect.isfunction, inspect.isroutine, callable)],
    "code": lambda cls: [cls.__init__.__code__, cls.__init__.__defaults__, cls.__init__.__kwdefaults__],
    "names": lambda cls: [cls.__init__.__name__, cls.__init__.__qualname__, cls.__init__.__module__],
    "documentation": lambda cls: [cls.__doc__, cls.__init__.__doc__, inspect.getdoc(cls)],
    "annotations": lambda cls: [cls.__init__.__annotations__, cls.__annotations__],
    "fields": lambda cls: [(f.name, f.type, f.default, f.metadata) for f in dataclasses.fields(cls)],
    "source": lambda cls: [inspect.getsource(cls), inspect.getsourcefile(cls.from_json_file)],
    "class methods": lambda cls: [inspect.ismethod(cls.from_json_file), inspect.signature(cls.from_json_file)],
    "type hints": lambda cls: _answer(typing.get_type_hints, cls.__init__),
    "members": lambda cls: [name for name, _ in inspect.getmembers(cls)],
    "pickled class": lambda cls: pickle.dumps(cls),
    "hash and eq": lambda cls: [cls.__hash__, cls.__eq__ is not object.__eq__],
    "autospec": lambda cls: _answer(_of_autospec, cls),
    "unused arguments": lambda cls: _check_and_remove_unused_kwargs(cls, {"task_type": None, "new": 1}),
}


def _answer(function: Callable[..., Any], *args: Any) -> Any:
    """Return the answer, or the error as text."""
    try:
        return function(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _of_autospec(cls: Any) -> list[Any]:
    spec = unittest.mock.create_autospec(cls)
    return [inspect.signature(spec), sorted(dir(spec)), spec(task_type="CASUAL_LM").task_type is not None]


@CONFIGS
def test_a_config_class_looks_the_same(before: snapshot.Snapshot, cls: Any) -> None:
    """Everything that ``inspect``, ``dataclasses``, mocks and PEFT itself ask of a class is answered as before."""
    plain = {name: look(cls) for name, look in SEEN.items()}
    peft_strict.enable()
    assert {name: look(cls) for name, look in SEEN.items()} == plain


@pytest.mark.parametrize(
    "function",
    [
        lambda: peft.get_peft_model,
        lambda: peft.PeftModel.__init__,
        lambda: peft.PeftModel.add_adapter,
        lambda: peft.PeftMixedModel.__init__,
        lambda: peft.LoraModel.__init__,
        lambda: peft.PeftModelForCausalLM.__init__,
    ],
    ids=["get_peft_model", "PeftModel", "add_adapter", "PeftMixedModel", "LoraModel", "PeftModelForCausalLM"],
)
def test_a_function_looks_the_same(before: snapshot.Snapshot, function: Callable[[], Any]) -> None:
    """The same for what is patched around models."""

    def look() -> list[Any]:
        found = function()
        return [inspect.signature(found), inspect.getsource(found), found.__qualname__, found.__doc__, found.__code__]

    plain = look()
    peft_strict.enable()
    assert look() == plain


def test_what_is_known_to_differ(before: snapshot.Snapshot) -> None:
    """The list of what a patched class shows that a plain one does not; it should not grow (R23)."""
    peft_strict.enable()
    assert isinstance(vars(LoraConfig)["__init__"], wrapt.FunctionWrapper)
    assert LoraConfig.__init__ == LoraConfig.__init__
    assert hash(LoraConfig.__init__) == hash(LoraConfig.__init__)


class OfATest(LoraConfig):
    def __init__(self) -> None:
        super().__init__()

    @property
    def read(self) -> Any:
        return self.__init__  # type: ignore[misc]


METHODS = {
    "constructor": lambda: LoraConfig.__init__,
    "a user's constructor": lambda: OfATest.__init__,
    "inherited": lambda: type("Local", (LoraConfig,), {}).__init__,
    "class method": lambda: LoraConfig.from_json_file,
    "class method of a subclass": lambda: OfATest.from_json_file,
    "method of a model": lambda: peft.PeftModel.add_adapter,
    "function": lambda: peft.get_peft_model,
}


@pytest.mark.parametrize("read", METHODS.values(), ids=METHODS)
def test_a_patched_method_pickles(before: snapshot.Snapshot, read: Callable[[], Any]) -> None:
    """It travels as a plain one does: by its name, as whatever has that name where it is unpickled or copied."""
    plain = read()
    peft_strict.enable()
    patched = read()
    assert copy.copy(patched) == copy.deepcopy(patched) == patched
    pickled = [pickle.dumps(patched, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    assert not any(b"peft_strict" in text for text in pickled)
    assert {pickle.loads(text) for text in pickled} == {patched}
    peft_strict.disable()
    assert {pickle.loads(text) for text in pickled} == {pickle.loads(pickle.dumps(patched))} == {plain}


def test_a_bound_method_is_copied_with_its_instance(before: snapshot.Snapshot) -> None:
    """As for plain methods: a copy is bound to the same instance, a deep copy and a pickle to a copy of it."""
    peft_strict.enable()
    config = OfATest()
    bound = config.read
    assert copy.copy(bound).__self__ is config
    for again in (copy.deepcopy(bound), pickle.loads(pickle.dumps(bound))):
        assert again.__self__ == config
        assert again.__self__ is not config
        again()


def test_a_method_that_cannot_be_pickled(before: snapshot.Snapshot) -> None:
    """A method of a class inside a function is refused, as without us."""

    class Mine(LoraConfig):
        def __init__(self) -> None:
            super().__init__()

    outcomes = []
    for switch in (peft_strict.disable, peft_strict.enable):
        switch()
        with pytest.raises((AttributeError, pickle.PicklingError)) as caught:
            pickle.dumps(Mine.__init__)
        outcomes.append(str(caught.value))
    assert outcomes[0] == outcomes[1]


def test_instances_are_ordinary(before: snapshot.Snapshot) -> None:
    """An instance that was made with us on holds nothing of ours, and travels into a process without us."""
    peft_strict.enable()
    config = LoraConfig(task_type="CAUSAL_LM", r=3)
    assert b"peft_strict" not in pickle.dumps(config)
    assert [type(value).__module__ for value in vars(config).values() if "strict" in type(value).__module__] == []
    peft_strict.disable()
    assert config == LoraConfig(task_type="CAUSAL_LM", r=3)
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == copy.copy(config) == config


def test_wrapt_finds_how_to_bind_on_our_wrapper(before: snapshot.Snapshot) -> None:
    """wrapt need not look for its class of bound wrappers on the wrapped ``__init__``, which is slow."""
    peft_strict.enable()
    wrapper = vars(LoraConfig)["__init__"]
    assert vars(type(wrapper))["__bound_function_wrapper__"] is type(LoraConfig.__init__)


def test_only_classes_with_an_init_are_patched(before: snapshot.Snapshot) -> None:
    """A class that inherits its ``__init__`` is not given one (R24)."""
    peft_strict.enable()

    class Mine(LoraConfig):
        pass

    Mine(task_type="CAUSAL_LM")
    assert "__init__" not in vars(Mine)
    assert layers(LoraConfig) == 1


def task_mapping() -> Any:
    return live_release().tasks_module.MODEL_TYPE_TO_PEFT_MODEL_MAPPING


def test_the_task_mapping_is_a_dict(before: snapshot.Snapshot) -> None:
    """PEFT's task-to-model mapping can be used in every way that a dict can."""
    module = live_release().tasks_module

    def use() -> list[Any]:
        mapping = module.MODEL_TYPE_TO_PEFT_MODEL_MAPPING
        with pytest.raises(KeyError, match="nothing"):
            mapping["nothing"]
        with pytest.raises(TypeError, match="unhashable"):
            mapping[[]]
        with pytest.raises(TypeError, match="unhashable"):
            [] in mapping.keys()  # noqa: B015, SIM118
        return [
            isinstance(mapping, dict),
            [len(mapping), bool(mapping), list(mapping), list(mapping.keys()), list(mapping.values())],
            ["CAUSAL_LM" in mapping, "CAUSAL_LM" in mapping.keys(), None in mapping.keys(), "X" in mapping],  # noqa: SIM118
            [mapping["CAUSAL_LM"], mapping.get("X"), mapping.get("X", 1)],
            [dict(mapping), {**mapping}, mapping.copy(), mapping | {"X": 1}, {"X": 1} | mapping],
            [mapping == dict(mapping), repr(mapping), mapping.keys() == dict(mapping).keys()],
            [mapping.keys() & {"CAUSAL_LM"}, mapping.keys() | {"X"}, len(mapping.keys()), repr(mapping.keys())],
            list(reversed(mapping)),
        ]

    plain = use()
    peft_strict.enable()
    assert use() == plain


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_the_task_mapping_can_be_copied(before: snapshot.Snapshot, duplicate: Callable[[Any], Any]) -> None:
    """A copy of the mapping is a plain dict with the same entries."""
    peft_strict.enable()
    mapping = task_mapping()
    again = duplicate(mapping)
    assert type(again) is dict
    assert again == mapping


def test_the_task_mapping_is_written_through(before: snapshot.Snapshot) -> None:
    """What a user puts into the mapping while we are on is there when we are off."""
    module = live_release().tasks_module
    peft_strict.enable()
    with entry(module.MODEL_TYPE_TO_PEFT_MODEL_MAPPING, "Vector_LM", peft.PeftModelForCausalLM):
        peft_strict.disable()
        assert module.MODEL_TYPE_TO_PEFT_MODEL_MAPPING["Vector_LM"] is peft.PeftModelForCausalLM
        assert type(module.MODEL_TYPE_TO_PEFT_MODEL_MAPPING) is dict


# -- undo (R27) -------------------------------------------------------------------------------------------------------


def test_identity_is_restored(before: snapshot.Snapshot) -> None:
    """After ``disable()`` every attribute of every class and module of PEFT is the very object it was."""
    assert peft_strict.enable().state == "guarding"
    patched = snapshot.changes(before)
    assert "LoraConfig.__init__" in patched
    assert "PeftConfigMixin.task_type" in patched
    assert len(patched) > 50
    assert peft_strict.disable().state == "off"
    assert snapshot.changes(before) == []


def test_identity_is_restored_after_use(before: snapshot.Snapshot) -> None:
    """The same after configs, models, subclasses, mistakes and every change of the settings."""
    for invalid, misfit in (("raise", "warn"), ("warn", "ignore"), ("raise", "raise")):
        peft_strict.enable(invalid=invalid, misfit=misfit)
        with pytest.warns(peft_strict.TaskTypeWarning) if invalid == "warn" else pytest.raises(InvalidTaskTypeError):
            LoraConfig().task_type = "X"
        peft.get_peft_model(tiny_lm(), lora(task_type="CAUSAL_LM"))
        peft_strict.status()
    peft_strict.disable()
    assert snapshot.changes(before) == []


@pytest.mark.parametrize("kind", KINDS)
def test_subclasses_are_restored(off: None, kind: str) -> None:
    """A user's own class is put back as well, whether it was there before or was made while we were on."""

    def attributes(cls: type) -> dict[str, Any]:
        return dict(vars(getattr(cls, "__origin__", cls)))

    early = KINDS[kind]()
    early(task_type="CAUSAL_LM")
    earlier = attributes(early)
    peft_strict.enable()
    late = KINDS[kind]()
    for cls in (early, late):
        cls(task_type="CAUSAL_LM")
    peft_strict.disable()
    for name, value in attributes(early).items():
        assert value is earlier[name] or name == "__slotnames__", name
    assert attributes(early).keys() == earlier.keys()
    assert attributes(late).keys() == earlier.keys()
    for name, value in attributes(late).items():
        assert type(value) is type(earlier[name]), name


def test_idempotent(before: snapshot.Snapshot) -> None:
    """Switching on twice patches once; switching off twice is no error; both say the same as ``status()``."""
    first = peft_strict.enable()
    assert peft_strict.enable() == first == peft_strict.status()
    assert {layers(cls) for cls in registered_classes()} == {1}
    assert layers(live_release().config_base, "task_type") == 1
    last = peft_strict.disable()
    assert peft_strict.disable() == last == peft_strict.status()


def test_cycles_leave_nothing(before: snapshot.Snapshot) -> None:
    """Neither patches nor notes pile up."""
    for _ in range(30):
        peft_strict.enable()
        peft_strict.disable()
    assert len(state.installs) == 1
    assert not state.installs[0].watch.newcomers
    peft_strict.enable()
    assert {layers(cls) for cls in registered_classes()} == {1}


def test_classes_are_not_kept_alive(before: snapshot.Snapshot) -> None:
    """A user's class that is no longer needed goes away, also while we are on."""
    peft_strict.enable()
    found = [weakref.ref(KINDS[kind]()) for kind in ("plain", "dataclass", "own-init-stores")]
    for reference in found:
        cls = reference()
        if cls is not None:
            cls(task_type="CAUSAL_LM")
    del cls
    gc.collect()
    assert [reference() for reference in found] == [None] * len(found)


def test_the_status_tells_what_is_not_guarded(before: snapshot.Snapshot) -> None:
    """The status is read from the live classes."""
    peft_strict.enable()
    ours = vars(LoraConfig)["__init__"]
    LoraConfig.__init__ = before[LoraConfig]["__init__"]
    found = peft_strict.status()
    assert (found.state, found.unguarded) == ("not guarding", ("LoraConfig",))
    assert repr(found) == f"<peft_strict: NOT guarding 1 of {found.classes}: LoraConfig; call enable() again>"
    assert peft_strict.enable().state == "guarding"
    assert layers(LoraConfig) == 1
    assert vars(LoraConfig)["__init__"] is not ours


@pytest.mark.parametrize(
    "place",
    [
        "PeftModel.__init__",
        "PeftMixedModel.add_adapter",
        "BaseTuner.__init__",
        "PeftConfigMixin.from_json_file",
        "PeftConfigMixin.__init_subclass__",
        f"{live_release().tasks_module.__name__}.MODEL_TYPE_TO_PEFT_MODEL_MAPPING",
    ],
)
def test_the_status_tells_of_other_places(before: snapshot.Snapshot, place: str) -> None:
    """Where configs are read, classes made, and models met counts too."""
    peft_strict.enable()
    cls_name, _, name = place.rpartition(".")
    cls = next(owner for owner in before if getattr(owner, "__name__", "") == cls_name)
    if name in before[cls]:
        setattr(cls, name, before[cls][name])
    else:
        delattr(cls, name)
    assert place in peft_strict.status().unguarded
    assert peft_strict.enable().state == "guarding"


def test_the_attribute_can_be_shadowed(before: snapshot.Snapshot) -> None:
    """A class attribute that somebody puts over the guard is noticed, and guarded in its turn."""
    peft_strict.enable()
    LoraConfig.task_type = "SEQ_CLS"
    try:
        assert peft_strict.status().unguarded == ("LoraConfig", "AdaLoraConfig")
        peft_strict.enable()
        assert is_refused(setattr, LoraConfig(), "task_type", "X")
        assert LoraConfig.task_type == "SEQ_CLS"
        peft_strict.disable()
        assert vars(LoraConfig)["task_type"] == "SEQ_CLS"
    finally:
        del LoraConfig.task_type


# -- somebody else's patches (R28 to R32) -----------------------------------------------------------------------------


def assign_wrong() -> None:
    LoraConfig().task_type = "X"


def test_under_a_wrapt_wrapper(before: snapshot.Snapshot) -> None:
    """Theirs stays and works; ours below it guards while on, and does nothing when off."""
    peft_strict.enable()
    seen = []

    def theirs(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append(kwargs)
        return wrapped(*args, **kwargs)

    ours = vars(LoraConfig)["__init__"]
    LoraConfig.__init__ = wrapper = wrapt.FunctionWrapper(ours, theirs)
    assert peft_strict.status().state == "guarding"
    assert peft_strict.enable().state == "guarding"
    assert vars(LoraConfig)["__init__"] is wrapper
    assert is_refused(LoraConfig, peft_type=TaskType.SEQ_CLS)

    peft_strict.disable()
    assert vars(LoraConfig)["__init__"] is wrapper
    assert not is_refused(LoraConfig, peft_type=TaskType.SEQ_CLS)
    assert not is_refused(assign_wrong)
    assert len(seen) == 3

    LoraConfig.__init__ = ours  # they go, and put back what they found
    assert not is_refused(LoraConfig, peft_type=TaskType.SEQ_CLS)
    peft_strict.enable()
    assert layers(LoraConfig) == 1
    assert is_refused(LoraConfig, peft_type=TaskType.SEQ_CLS)


def test_dug_out_after_disable(before: snapshot.Snapshot) -> None:
    """When they go after us, a further ``disable()`` puts the original back."""
    peft_strict.enable()
    ours = vars(LoraConfig)["__init__"]
    LoraConfig.__init__ = wrapt.FunctionWrapper(ours, lambda wrapped, instance, args, kwargs: wrapped(*args, **kwargs))
    peft_strict.disable()
    LoraConfig.__init__ = ours
    peft_strict.disable()
    assert vars(LoraConfig)["__init__"] is before[LoraConfig]["__init__"]


def test_over_a_wrapt_wrapper(before: snapshot.Snapshot) -> None:
    """What was there before us is what is there after us."""
    original = vars(LoraConfig)["__init__"]
    theirs = wrapt.FunctionWrapper(original, lambda wrapped, instance, args, kwargs: wrapped(*args, **kwargs))
    LoraConfig.__init__ = theirs
    try:
        peft_strict.enable()
        assert is_refused(LoraConfig, task_type="X")
        assert is_refused(LoraConfig, "X")
        peft_strict.disable()
        assert vars(LoraConfig)["__init__"] is theirs
    finally:
        LoraConfig.__init__ = original


@pytest.mark.parametrize("has_trace", [False, True], ids=["bare", "functools.wraps"])
def test_under_a_closure(before: snapshot.Snapshot, has_trace: bool) -> None:
    """The usual monkey patch keeps what it found for ever: that guards while we are on, and is inert when off."""
    original = vars(LoraConfig)["__init__"]
    peft_strict.enable()
    found = LoraConfig.__init__

    def theirs(self: Any, *args: Any, **words: Any) -> None:
        found(self, *args, **words)

    LoraConfig.__init__ = functools.wraps(found)(theirs) if has_trace else theirs
    try:
        assert is_refused(LoraConfig, peft_type=TaskType.SEQ_CLS)
        peft_strict.enable()
        assert peft_strict.status().state == "guarding"
        peft_strict.enable(invalid="warn")
        with pytest.warns(peft_strict.TaskTypeWarning) as reports:
            LoraConfig(peft_type=TaskType.SEQ_CLS)
        assert len(reports) == 1
        peft_strict.disable()
        assert vars(LoraConfig)["__init__"] is theirs
        assert not is_refused(LoraConfig, peft_type=TaskType.SEQ_CLS)
        LoraConfig.__init__ = found  # what they had read from the class
        assert not is_refused(LoraConfig, peft_type=TaskType.SEQ_CLS)
        assert not is_refused(assign_wrong)
        assert LoraConfig(task_type="CAUSAL_LM").task_type == "CAUSAL_LM"
    finally:
        LoraConfig.__init__ = original


def test_disable_inside_a_mock_patch(before: snapshot.Snapshot) -> None:
    """A mock that puts our patch back after ``disable()`` puts back something that does nothing."""
    peft_strict.enable()
    with unittest.mock.patch.object(LoraConfig, "__init__", return_value=None):
        LoraConfig(task_type="X")
        peft_strict.disable()
    assert layers(LoraConfig) == 1
    assert not is_refused(LoraConfig, peft_type=TaskType.SEQ_CLS)
    assert not is_refused(assign_wrong)
    assert peft_strict.status().state == "off"
    peft_strict.enable()
    assert is_refused(LoraConfig, peft_type=TaskType.SEQ_CLS)


def test_enable_inside_a_mock_patch(before: snapshot.Snapshot) -> None:
    """When the mock takes our patch away, the status says so, and ``enable()`` mends it."""
    with unittest.mock.patch.object(LoraConfig, "__init__", return_value=None):
        peft_strict.enable()
        assert peft_strict.status().state == "guarding"
    assert peft_strict.status().unguarded == ("LoraConfig",)
    assert is_refused(assign_wrong)
    assert peft_strict.enable().state == "guarding"


def test_a_mock_below_our_patch(before: snapshot.Snapshot) -> None:
    """A mock that was there first is called as Python calls it, without the instance."""
    with unittest.mock.patch.object(LoraConfig, "__init__", return_value=None) as mocked:
        peft_strict.enable()
        LoraConfig(r=1, task_type="CAUSAL_LM")
        mocked.assert_called_once_with(r=1, task_type="CAUSAL_LM")
        assert LoraConfig.__init__ is vars(LoraConfig)["__init__"]  # type: ignore[misc]
        peft_strict.disable()
        assert vars(LoraConfig)["__init__"] is mocked


def test_a_mock_with_a_signature_below_our_patch(before: snapshot.Snapshot) -> None:
    """A mock that sets nothing leaves a config with nothing, though its signature is that of the dataclass."""
    with unittest.mock.patch.object(LoraConfig, "__init__", autospec=True, return_value=None):
        peft_strict.enable()
        assert vars(LoraConfig(r=1)) == {}


def test_mocks_restore_exactly(before: snapshot.Snapshot) -> None:
    """A mock around a patched class leaves it patched as it was."""
    peft_strict.enable()
    ours = vars(LoraConfig)["__init__"]
    for words in ({"return_value": None}, {"autospec": True, "return_value": None}):
        with unittest.mock.patch.object(LoraConfig, "__init__", **words) as mocked:
            LoraConfig(task_type="X")
            assert mocked.called
        assert vars(LoraConfig)["__init__"] is ours


def test_saved_references_are_inert(before: snapshot.Snapshot) -> None:
    """What somebody has read from a class while we were on does nothing when we are off."""
    peft_strict.enable()
    saved = [LoraConfig.__init__, vars(LoraConfig)["__init__"], LoraConfig().__init__]  # type: ignore[misc]
    mapping = task_mapping()
    guard = vars(live_release().config_base)["task_type"]
    peft_model = peft.PeftModel.__init__
    peft_strict.disable()
    config = LoraConfig()
    for init in saved:
        with pytest.raises(ValueError, match="Invalid task type") as caught:
            init(*([config] if init is not saved[2] else []), task_type="X")
        assert not isinstance(caught.value, InvalidTaskTypeError)
        init(*([config] if init is not saved[2] else []), peft_type=TaskType.SEQ_CLS)
    guard.__set__(config, "X")
    assert config.task_type == "X"
    with pytest.raises(KeyError):
        mapping["X"]
    config = lora()
    config.task_type = "X"
    peft_model(peft.PeftModel.__new__(peft.PeftModel), tiny_lm(), config)


@pytest.mark.parametrize("read", [getattr, lambda cls, name: vars(cls)[name]], ids=["attribute", "raw"])
def test_called_with_the_model_in_front(before: snapshot.Snapshot, read: Callable[..., Any]) -> None:
    """A method that is read from the class and called with the model works as ever, and refuses as ever."""
    peft_strict.enable()
    add = read(peft.PeftModel, "add_adapter")
    model = peft.get_peft_model(tiny_lm(), lora(task_type="CAUSAL_LM"))
    add(model, "second", lora(task_type="CAUSAL_LM"))
    assert list(model.peft_config) == ["default", "second"]
    with pytest.raises(InvalidTaskTypeError):
        add(model, "third", past_us(lora(), "CASUAL_LM"))


def test_removed_by_somebody_else(before: snapshot.Snapshot) -> None:
    """Tools that peel off the outermost wrapper, whoever's it is, may take ours; the undo copes."""
    peft_strict.enable()
    LoraConfig.__init__ = vars(LoraConfig)["__init__"].__wrapped__
    assert peft_strict.status().unguarded == ("LoraConfig",)
    peft_strict.disable()
    assert vars(LoraConfig)["__init__"] is before[LoraConfig]["__init__"]


# -- what others do with patched classes and models -------------------------------------------------------------------

BY_VALUE = """
import dataclasses, sys
import peft
from peft import LoraConfig
import {pickler} as pickler

@dataclasses.dataclass
class Default(LoraConfig):
    task_type: str = "CAUSAL_LM"

@dataclasses.dataclass
class Field(LoraConfig):
    mine: int = 1

class Own(LoraConfig):
    def __init__(self, task_type=None):
        super().__init__(task_type=task_type)

import peft_strict
assert peft_strict.enable().state == "guarding"
texts = [pickler.dumps(what) for cls in (Default, Field, Own) for what in (cls, cls(task_type="SEQ_CLS"))]
assert not any(b"peft_strict" in text for text in texts)
print([text.hex() for text in texts])
"""
ELSEWHERE = """
import {pickler} as pickler
import ast, sys
found = [pickler.loads(bytes.fromhex(text)) for text in ast.literal_eval(sys.stdin.read())]
for cls, made in zip(found[::2], found[1::2]):
    for each in (made, cls(task_type="SEQ_CLS")):
        assert (type(each).__name__, each.task_type) == (cls.__name__, "SEQ_CLS"), each
"""


@pytest.mark.parametrize("pickler", ["cloudpickle", "dill"])
def test_classes_pickled_by_value(pickler: str) -> None:
    """Ray, joblib and datasets take the classes of a script apart: the patches travel as what they replaced."""
    done = python("-c", BY_VALUE.format(pickler=pickler))
    assert (done.returncode, done.stderr) == (0, "")
    there = python("-c", ELSEWHERE.format(pickler=pickler), stdin=None, input=done.stdout)
    assert (there.returncode, there.stderr) == (0, "")


PEFT_BY_VALUE = """
import cloudpickle, peft, peft_strict

cloudpickle.register_pickle_by_value(peft)
class Before(peft.LoraConfig): ...
assert peft_strict.enable().state == "guarding"
class Waiting(peft.LoraConfig): ...
base = next(cls for cls in peft.LoraConfig.__mro__ if "__init_subclass__" in vars(cls))
assert "__setattr__" in vars(base)  # what waits for a first instance
config = peft.LoraConfig(task_type="SEQ_CLS")
things = [peft.LoraConfig, Before, Waiting, peft.LoraConfig.__init__, peft.LoraConfig.from_json_file, config]
texts = [cloudpickle.dumps(things)]
peft_strict.disable()
texts.append(cloudpickle.dumps(things))
assert not any(b"peft_strict" in text for text in texts)
print([text.hex() for text in texts])
"""
PEFT_ELSEWHERE = """
import ast, cloudpickle, sys
for text in ast.literal_eval(sys.stdin.read()):
    *classes, init, read, config = cloudpickle.loads(bytes.fromhex(text))
    assert type(config) is classes[0]
    assert config.task_type == "SEQ_CLS"
    for cls in classes:
        class Mine(cls): ...
        for each in (cls, Mine):
            made = each(task_type="SEQ_CLS", r=3)
            made.r = 4
            assert (made.to_dict()["r"], made.task_type) == (4, "SEQ_CLS")
    init(config, task_type="CAUSAL_LM")
    assert (config.task_type, callable(read)) == ("CAUSAL_LM", True)
assert "peft_strict" not in sys.modules
"""


def test_peft_pickled_by_value() -> None:
    """With `cloudpickle.register_pickle_by_value(peft)` classes and configs travel as without us, and work there."""
    done = python("-c", PEFT_BY_VALUE)
    assert (done.returncode, done.stderr) == (0, "")
    there = python("-c", PEFT_ELSEWHERE, stdin=None, input=done.stdout)
    assert (there.returncode, there.stderr) == (0, "")


@pytest.mark.parametrize("way", ["add_adapter", "load_adapter"])
@pytest.mark.parametrize("make", [lora, lambda **words: peft.PromptTuningConfig(num_virtual_tokens=2, **words)])
def test_adapter_after_the_last_was_deleted(
    strict: None, tmp_path: Any, make: Callable[..., Any], way: str, recwarn: pytest.WarningsRecorder
) -> None:
    """A model without an adapter cannot say what its base model is, and takes a new adapter all the same."""
    adapted = peft.get_peft_model(tiny_lm(), make(task_type="CAUSAL_LM"))
    adapted.save_pretrained(tmp_path)
    adapted.delete_adapter("default")
    if way == "load_adapter":
        adapted.load_adapter(tmp_path, "another")
    else:
        adapted.add_adapter("another", make(task_type="CAUSAL_LM"))
    assert list(adapted.peft_config) == ["another"]
    assert not [each for each in recwarn if issubclass(each.category, peft_strict.PeftStrictWarning)]
    with pytest.raises(InvalidTaskTypeError):
        adapted.add_adapter("third", past_us(make(), "CASUAL_LM"))


def mixed_first(config: Any) -> Any:
    return peft.get_peft_model(tiny_lm(), config, mixed=True)


def mixed_second(config: Any) -> Any:
    adapted = peft.get_peft_model(tiny_lm(), lora(), mixed=True)
    return adapted.add_adapter("second", config)


def beside_lora(config: Any) -> Any:
    return peft.get_peft_model(tiny_lm(), lora()).add_adapter("second", config)


@pytest.mark.parametrize("act", [mixed_first, mixed_second, beside_lora])
@pytest.mark.parametrize("task_type", [None, "CAUSAL_LM", "SEQ_CLS"])
def test_soft_prompt_out_of_place(off: None, act: Callable[[Any], Any], task_type: Any) -> None:
    """Where PEFT takes no soft prompt at all it says so itself: a task type would not help."""
    messages = []
    for switch in (peft_strict.disable, peft_strict.enable):
        switch()
        with pytest.raises(ValueError, match=r"not compatible|different peft types") as caught:
            act(peft.PrefixTuningConfig(task_type=task_type, num_virtual_tokens=2))
        messages.append((type(caught.value), str(caught.value).replace("TaskType.", "")))
    assert messages[0] == messages[1]


# -- threads (R33) ----------------------------------------------------------------------------------------------------


def in_threads(seconds: float, *functions: Callable[[], None], once: bool = False) -> list[BaseException]:
    """Call each function over and over (or once), on a thread of its own, and return what they raised."""
    errors: list[BaseException] = []
    end = time.monotonic() + seconds

    def work(function: Callable[[], None]) -> None:
        try:
            while (once or time.monotonic() < end) and not errors:
                function()
                if once:
                    break
        except BaseException as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(function,), daemon=True) for function in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + 60)
        assert not any(thread.is_alive() for thread in threads), "deadlock"
    finally:
        sys.setswitchinterval(interval)
    return errors


def construct() -> None:
    config = LoraConfig(task_type="CAUSAL_LM", r=3)
    assert config.task_type == "CAUSAL_LM"
    assert config.r == 3
    assert is_refused(assign_wrong) in (True, False)
    assert peft.IA3Config(task_type="SEQ_CLS").task_type == "SEQ_CLS"


def define() -> None:
    @dataclasses.dataclass
    class Mine(LoraConfig):
        more: int = 0

    assert Mine(task_type="CAUSAL_LM", more=1).task_type == "CAUSAL_LM"


def test_toggling_while_others_construct(before: snapshot.Snapshot) -> None:
    """Four threads switch on and off, four make configs and one makes classes: no error, and nothing is left."""

    def toggle() -> None:
        peft_strict.enable()
        peft_strict.status()
        peft_strict.disable()

    assert in_threads(3, *[toggle] * 4, *[construct] * 4, define) == []
    peft_strict.disable()
    assert snapshot.changes(before) == []


def test_switched_on_by_many_at_once(before: snapshot.Snapshot) -> None:
    """Four threads that switch on at the same moment patch once; one that switches off then undoes it all."""
    for _ in range(40):
        barrier = threading.Barrier(4)

        def switch(barrier: threading.Barrier = barrier) -> None:
            barrier.wait(30)
            peft_strict.enable()

        assert in_threads(0, *[switch] * 4, once=True) == []
        assert {layers(cls) for cls in registered_classes()} == {1}
        assert layers(live_release().config_base, "task_type") == 1
        peft_strict.disable()
        assert snapshot.changes(before) == []


def test_nothing_passes_while_on(before: snapshot.Snapshot) -> None:
    """While the settings change but we stay on, no thread gets a wrong value past us."""
    peft_strict.enable()
    modes = iter(())

    def change() -> None:
        nonlocal modes
        misfit = next(modes, None)
        if misfit is None:
            modes = iter(("warn", "raise", "ignore"))
        peft_strict.enable(misfit=misfit or "warn")

    def mistake() -> None:
        assert is_refused(assign_wrong)
        assert is_refused(LoraConfig, peft_type=TaskType.SEQ_CLS)
        assert is_refused(LoraConfig, task_type="X")

    assert in_threads(2, *[change] * 2, *[mistake] * 3, define) == []


def test_somebody_else_is_told_of_subclasses(before: snapshot.Snapshot) -> None:
    """An ``__init_subclass__`` that was there before ours is still called, and put back."""
    made: list[type] = []
    base: Any = LoraConfig.__mro__[2]
    theirs = classmethod(lambda cls, **_: made.append(cls))
    base.__init_subclass__ = theirs
    try:
        peft_strict.enable()

        class Mine(LoraConfig):
            pass

        assert made == [Mine]
        peft_strict.disable()
        assert vars(base)["__init_subclass__"] is theirs
    finally:
        peft_strict.disable()
        del base.__init_subclass__


# -- our own code, twice (R34) ----------------------------------------------------------------------------------------

TWICE = """
import importlib, json, sys
import peft_strict
import peft
from tests.ways_in import snapshot
from peft import LoraConfig

before = snapshot.take()
found = {}


def look(name, module):
    finders = [finder for finder in sys.meta_path if hasattr(finder, "peft_strict_state")]
    wrapper, depth = vars(LoraConfig)["__init__"], 0
    while hasattr(wrapper, "__wrapped__"):
        wrapper, depth = wrapper.__wrapped__, depth + 1
    try:
        LoraConfig().task_type = "X"
        raised = "nothing"
    except ValueError as error:
        raised = type(error).__name__
        found["error of the " + name] = type(error) is module.InvalidTaskTypeError
    found[name] = [len(finders), depth, raised, module.status().state]


def forget():
    for name in [name for name in sys.modules if name.partition(".")[0] == "peft_strict"]:
        del sys.modules[name]


peft_strict.enable()
look("first", peft_strict)

forget()
import peft_strict as second
assert second is not peft_strict
second.enable()
look("imported again", second)
peft_strict.enable()
look("the first again", peft_strict)
second.disable()
found["after the second's disable"] = snapshot.changes(before)
look("off", second)

forget()
import peft_strict as third
third.enable()
look("imported while off", third)
peft_strict.enable()
look("two that met while off", peft_strict)
third.disable()
peft_strict.disable()
found["after both's disable"] = snapshot.changes(before)

third.enable()
importlib.reload(third)
third.enable()
look("reloaded", third)
for name in sorted(name for name in sys.modules if name.partition(".")[0] == "peft_strict"):
    importlib.reload(sys.modules[name])
third.enable()
look("all reloaded", third)
third.disable()
for name in sorted(name for name in sys.modules if name.partition(".")[0] == "peft_strict"):
    importlib.reload(sys.modules[name])
third.enable()
look("all reloaded while off", third)
third.disable()
found["after a reload"] = snapshot.changes(before)
print(json.dumps(found))
"""

ON = [1, 1, "InvalidTaskTypeError", "guarding"]
OFF = [0, 0, "nothing", "off"]


@functools.cache
def twice() -> dict[str, Any]:
    done = python("-c", TWICE)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("first", ON),
        ("imported again", ON),
        ("the first again", ON),
        ("after the second's disable", []),
        ("off", OFF),
        ("imported while off", ON),
        ("two that met while off", ON),
        ("after both's disable", []),
        ("reloaded", ON),
        ("all reloaded", ON),
        ("all reloaded while off", ON),
        ("error of the first", True),
        ("error of the imported again", True),
        ("error of the reloaded", True),
        ("after a reload", []),
    ],
)
def test_our_code_twice_in_one_process(step: str, expected: list[Any]) -> None:
    """Imported again, or reloaded: one finder, one patch, the caller's own error class, and an exact undo."""
    assert twice()[step] == expected


def test_enable_prints_nothing(before: snapshot.Snapshot, capsys: pytest.CaptureFixture[str]) -> None:
    """Switching on and off is silent."""
    peft_strict.enable()
    peft_strict.disable()
    assert capsys.readouterr() == ("", "")
    assert isinstance(sys.stdout, io.TextIOBase)


# -- what hardly happens ----------------------------------------------------------------------------------------------


def test_a_method_of_ones_own_that_counts_as_prompt_learning(off: None) -> None:
    """``get_peft_model`` looks its task type up in the mapping at once: the error says what is missing there, too."""

    class Mine(peft.PeftConfig):
        is_prompt_learning = property(lambda self: True)

    def train() -> None:
        config = Mine()
        config.num_layers = config.token_dim = config.num_attention_heads = 1
        config.num_transformer_submodules = 1
        peft.get_peft_model(tiny_lm(), config)

    with pytest.raises(KeyError):
        train()
    peft_strict.enable()
    assert refused(train).value is None


def test_a_wrapper_that_wraps_itself(before: snapshot.Snapshot) -> None:
    """Who has a ``__wrapped__`` that leads in a circle is looked through for so long only, and wrapped."""
    original: Any = vars(LoraConfig)["__init__"]

    def circle(self: Any, *args: Any, **words: Any) -> None:
        original(self, *args, **words)

    circle.__wrapped__ = circle  # type: ignore[attr-defined]
    LoraConfig.__init__ = circle  # type: ignore[assignment]
    try:
        assert peft_strict.enable().state == "guarding"
        assert is_refused(LoraConfig, task_type="X")
        peft_strict.disable()
        assert vars(LoraConfig)["__init__"] is circle
    finally:
        LoraConfig.__init__ = original  # type: ignore[method-assign]


class Dropping(type):
    """A class that drops the others of its kind, but for the last, when something is set on it."""

    kept: list[type] = []  # noqa: RUF012
    armed = False

    def __setattr__(cls, name: str, value: Any) -> None:
        type.__setattr__(cls, name, value)
        if Dropping.armed and len(Dropping.kept) > 2:
            Dropping.kept[:] = [cls, Dropping.kept[-1]]
            gc.collect()


def test_classes_that_die_meanwhile(before: snapshot.Snapshot) -> None:
    """A user's class may go away at any moment, also while we put back what it had."""
    peft_strict.enable()
    Dropping.kept[:] = [Dropping("Mine", (LoraConfig,), {"task_type": None}) for _ in range(5)]
    for cls in Dropping.kept:
        cls(task_type="SEQ_CLS")
    del cls
    assert [layers(cls, "task_type") for cls in Dropping.kept] == [1] * 5
    Dropping.armed = True
    try:
        assert peft_strict.disable().state == "off"
        assert [layers(cls, "task_type") for cls in Dropping.kept] == [0] * 2
    finally:
        Dropping.armed = False
        Dropping.kept.clear()
        gc.collect()


def test_a_saved_hook_for_subclasses_is_inert(before: snapshot.Snapshot) -> None:
    """An ``__init_subclass__`` of ours that somebody calls on after ``disable()`` notes no class."""
    base: Any = live_release().config_base
    peft_strict.enable()
    hook = vars(base)["__init_subclass__"]
    peft_strict.disable()
    base.__init_subclass__ = hook
    try:

        class Mine(LoraConfig):
            task_type: Any = None

        assert layers(Mine) == layers(Mine, "task_type") == 0
        assert not any(install.watch.newcomers for install in state.installs)
    finally:
        del base.__init_subclass__


def test_a_file_that_is_read_while_suspended(off: None, tmp_path: Any) -> None:
    """What was read without a check is not remembered: a later report does not name that file."""
    config = lora()
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "task_type": ""}')
    peft_strict.enable()
    with peft_strict.suspended():
        read = LoraConfig.from_json_file(str(tmp_path / "adapter_config.json"))
    error = refused(setattr, config, "task_type", read["task_type"])
    assert error.source is None


def test_only_get_peft_model_is_looked_at(before: snapshot.Snapshot) -> None:
    """A look-up in PEFT's mapping by anybody else fails as ever, though the name of theirs may be the same."""

    def other(model: Any, peft_config: Any) -> Any:
        return task_mapping()[peft_config.task_type]

    def get_peft_model(model: Any, peft_config: Any) -> Any:
        return task_mapping()[peft_config.task_type]

    peft_strict.enable()
    config = peft.PrefixTuningConfig(num_virtual_tokens=2)
    for look_up in (other, get_peft_model):
        with pytest.raises(KeyError):
            look_up(tiny_lm(), config)
    with pytest.raises(KeyError), peft_strict.suspended():
        peft.get_peft_model(tiny_lm(), config)
    with pytest.raises(InvalidTaskTypeError, match="Prompt learning needs a task type"):
        peft.get_peft_model(tiny_lm(), config)


class Stubborn(type):
    """A class that nothing can be set on."""

    def __setattr__(cls, name: str, value: Any) -> None:
        raise AttributeError("not on me")


class Unhashable(Stubborn):
    """The same without a hash."""

    __hash__ = None  # type: ignore[assignment]


class Nowhere(Stubborn):
    """The same without a module."""

    __module__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("metaclass", [Stubborn, Unhashable, Nowhere])
@pytest.mark.parametrize("is_registered", [False, True], ids=["unregistered", "registered"])
@pytest.mark.parametrize("late", [False, True], ids=["before", "while on"])
def test_a_class_that_cannot_be_patched(
    before: snapshot.Snapshot, metaclass: Any, is_registered: bool, late: bool
) -> None:
    """Such a class costs nobody else their guard, and the status names it."""
    plain = registered_classes()
    if late:
        peft_strict.enable()
    words = {"__init__": lambda self, **words: LoraConfig.__init__(self, **words), "__module__": metaclass.__module__}
    mine: Any = metaclass("Mine", (LoraConfig,), words)
    try:
        with entry(peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING, "MINE", mine if is_registered else LoraConfig):
            found = peft_strict.enable()
            assert (found.state, found.unguarded, found.unpatchable) == ("not guarding", ("Mine",), ("Mine",))
            LoraConfig.__init__ = before[LoraConfig]["__init__"]
            found = peft_strict.status()
            assert (set(found.unguarded), found.unpatchable) == ({"LoraConfig", "Mine"}, ("Mine",))
            assert peft_strict.enable().unguarded == ("Mine",)
            assert {layers(cls) for cls in plain} == {1}
            assert refused(LoraConfig, task_type="X").value == "X"
            assert refused(mine, task_type="X").value == "X"
            assert mine(task_type="CAUSAL_LM").task_type is TaskType.CAUSAL_LM
            assert peft_strict.disable().state == "off"
    finally:
        del mine, words
        gc.collect()  # a class is a circle; it must not stay to be told of in another test


class WithoutHash(type):
    """A class that nobody can look up."""

    __hash__ = None  # type: ignore[assignment]


def test_a_value_of_a_class_without_a_hash(before: snapshot.Snapshot) -> None:
    """What a config class or a module of PEFT's holds may be of any class: all is put back past it."""
    value = WithoutHash("Odd", (), {})()
    mine: Any = type("Mine", (LoraConfig,), {"odd": value})
    try:
        with entry(vars(sys.modules["peft.utils.save_and_load"]), "odd", value):
            assert peft_strict.enable().state == "guarding"
            assert refused(mine, task_type="X").value == "X"
            assert peft_strict.disable().state == "off"
            assert mine(task_type="CAUSAL_LM").odd is value
    finally:
        del mine
        gc.collect()
