"""What the wrapped constructors do, on the installed PEFT."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import Any

import peft
import pytest
from peft import LoHaConfig, LoraConfig, TaskType

import peft_strict

from ..outcomes import refused, reports
from ..subclass_kinds import KINDS
from ..values.test_rule import RIGHT, WRONG
from ..ways_in.rows import lora, past_us, registered_classes, tiny_lm

# -- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(RIGHT.keys() - {"registered"}))
def test_right_values_become_the_member(strict: None, name: str) -> None:
    """Whatever is right is stored as the member that it equals, given or assigned."""
    value, member = RIGHT[name]
    expected = None if member is None else TaskType(member.value)
    assert LoraConfig(task_type=value).task_type is expected
    config = LoraConfig()
    config.task_type = value
    assert config.task_type is expected


@pytest.mark.parametrize("name", WRONG)
def test_any_wrong_value_is_refused(strict: None, name: str) -> None:
    """Given to a constructor, assigned, or used on a model: the same clean error, whatever the value does."""
    value = WRONG[name]
    config = LoraConfig()
    for mistake in (
        lambda: LoraConfig(task_type=value),
        lambda: LoraConfig(value),
        lambda: setattr(config, "task_type", value),
        lambda: peft.PeftModel(tiny_lm(), past_us(lora(), value)),
    ):
        error = refused(mistake)
        assert error.value is value
        assert str(error).startswith("Invalid task type: '")
    assert config.task_type is None


@pytest.mark.parametrize("name", WRONG)
def test_any_wrong_value_is_refused_by_get_peft_model(strict: None, name: str) -> None:
    """PEFT looks the value up before it builds anything; for LoRA and for prompt learning."""
    for config in (lora(), peft.PromptTuningConfig(num_virtual_tokens=2)):
        assert refused(peft.get_peft_model, tiny_lm(), past_us(config, WRONG[name])).value is WRONG[name]


@pytest.mark.parametrize("name", sorted(RIGHT.keys() - {"registered"}))
def test_right_values_stay_right_on_a_model(off: None, name: str) -> None:
    """A right value that went around the checks is no mistake when it is used."""
    peft_strict.enable(misfit="ignore")
    config = past_us(lora(), RIGHT[name][0])
    with reports() as found:
        assert type(peft.PeftModel(tiny_lm(), config)) is peft.PeftModel
    assert found == []


@pytest.mark.parametrize("kind", ["PEFT's own", "dataclass"])
def test_other_errors_are_pefts_own(off: None, kind: str) -> None:
    """What is wrong besides the task type is told by PEFT, in its words, and leaves a config as far as PEFT got."""
    cls: Any = KINDS[kind]() if kind in KINDS else LoraConfig

    def told(**words: Any) -> tuple[type, str, list[str]]:
        config = object.__new__(cls)
        with pytest.raises((TypeError, ValueError)) as caught:
            config.__init__(**words)
        return type(caught.value), str(caught.value), list(vars(config))

    mistakes: list[dict[str, Any]] = [
        {"nonsense": 1},
        {"target_modules": "x", "layers_to_transform": [1]},
        {"eva_config": "x"},  # a TypeError of __post_init__
    ]
    plain = [told(**words) for words in mistakes]
    twice = [told(**{**words, "task_type": "CAUSAL_LM"}) for words in mistakes]
    peft_strict.enable()
    assert [told(**words) for words in mistakes] == plain
    assert [told(**{**words, "task_type": "CAUSAL_LM"}) for words in mistakes] == twice


def test_a_task_type_given_twice(off: None) -> None:
    """Python's own error for an argument given twice is left to Python."""
    with pytest.raises(TypeError, match="multiple values") as plain:
        LoraConfig("CAUSAL_LM", task_type="CAUSAL_LM")
    peft_strict.enable()
    with pytest.raises(TypeError, match="multiple values") as strict:
        LoraConfig("CAUSAL_LM", task_type="CAUSAL_LM")
    assert str(strict.value) == str(plain.value)


def test_called_without_its_class(strict: None) -> None:
    """An ``__init__`` that somebody has taken out of the class checks the config it is called with."""
    taken = vars(LoraConfig)["__init__"]
    config = LoraConfig()
    refused(taken, config, task_type="X")
    refused(taken, config, "X")
    taken(config, "SEQ_CLS")
    assert config.task_type is TaskType.SEQ_CLS


# -- the attributes of a config ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [False, True], ids=["closure", "functools.wraps"])
def test_over_a_wrapper_that_hands_on(off: None, named: bool) -> None:
    """Under somebody else's ``(*args, **kwargs)`` around PEFT's constructor, positions mean what they mean there."""
    below = LoHaConfig.__init__

    def hand_on(self: Any, *args: Any, **kwargs: Any) -> None:
        below(self, *args, **kwargs)

    try:
        LoHaConfig.__init__ = functools.wraps(below)(hand_on) if named else hand_on
        peft_strict.enable()
        assert LoHaConfig("CAUSAL_LM", "LOHA").task_type is TaskType.CAUSAL_LM
        assert str(refused(LoHaConfig, None, "CAUSAL_LM")).startswith("`peft_type` got a task type")
    finally:
        peft_strict.disable()
        LoHaConfig.__init__ = below


def test_initialised_again(strict: None) -> None:
    """A second ``__init__`` on the same config is checked like the first."""
    config = LoraConfig(task_type="SEQ_CLS", r=3)
    config.mine = 1
    config.__init__(task_type="CAUSAL_LM")  # type: ignore[misc]
    assert (config.task_type, config.r, config.mine) == (TaskType.CAUSAL_LM, LoraConfig().r, 1)
    refused(config.__init__, task_type="X")  # type: ignore[misc]


def test_attributes_that_were_there_first(strict: None) -> None:
    """What a subclass, or somebody with ``__new__``, sets before the ``__init__`` of PEFT runs is kept."""

    class Mine(LoraConfig):
        def __init__(self) -> None:
            self.mine = 1
            super().__init__(task_type="CAUSAL_LM")

    config = LoraConfig.__new__(LoraConfig)
    config.mine = 1
    config.__init__(task_type="CAUSAL_LM")  # type: ignore[misc]
    assert [config.mine, Mine().mine] == [1, 1]
    assert list(vars(Mine())) == list(vars(config))


def test_two_configs_do_not_share(strict: None) -> None:
    """Each config has attributes of its own."""
    one, other = LoraConfig(r=3), LoraConfig(r=4)
    one.task_type = "SEQ_CLS"
    assert (one.r, other.r, other.task_type) == (3, 4, None)
    assert vars(one) is not vars(other)


def test_the_attributes_stay_in_order(off: None) -> None:
    """``vars(config)`` holds the same names in the same order, for every class."""

    def attributes() -> dict[type, list[str]]:
        found = {}
        for cls in registered_classes():
            try:
                config = cls(task_type="CAUSAL_LM")
            except Exception:  # wants more arguments, or a package that is not here
                continue
            found[cls] = list(vars(config))
        return found

    plain = attributes()
    assert len(plain) > 30
    peft_strict.enable()
    assert attributes() == plain


@pytest.mark.parametrize("watches", ["a property", "__setattr__"])
def test_somebody_watches_the_attributes_come(off: None, monkeypatch: pytest.MonkeyPatch, watches: str) -> None:
    """Code that runs while a config of PEFT's own is being filled sees no attribute that is not set yet."""
    seen: list[list[str]] = []

    def store(config: Any, name: str, value: Any) -> None:
        seen.append([*vars(config), name])
        vars(config)[name] = value

    if watches == "a property":
        in_store = property(lambda config: vars(config)["r"], lambda config, value: store(config, "r", value))
        monkeypatch.setattr(LoraConfig, "r", in_store)
    else:
        monkeypatch.setattr(LoraConfig, "__setattr__", store)
    plain = LoraConfig(task_type="CAUSAL_LM", r=3).r, seen.copy()
    seen.clear()
    peft_strict.enable()
    assert (LoraConfig(task_type="CAUSAL_LM", r=3).r, seen) == plain
    refused(LoraConfig, task_type="X")


# -- the user's own classes -------------------------------------------------------------------------------------------

DEFINED = pytest.mark.parametrize("defined", ["before", "after", "while-suspended", "between"])


def made(kind: str, defined: str) -> Any:
    """Make a class of a kind before or after ``enable()``, which is on when this returns."""
    if defined == "after":
        peft_strict.enable()
        return KINDS[kind]()
    if defined == "while-suspended":
        peft_strict.enable()
        with peft_strict.suspended():
            return KINDS[kind]()
    if defined == "between":
        peft_strict.enable()
        peft_strict.disable()
    cls = KINDS[kind]()
    peft_strict.enable()
    return cls


@DEFINED
@pytest.mark.parametrize("kind", KINDS)
def test_subclasses_of_all_kinds(off: None, kind: str, defined: str) -> None:
    """A user's class is guarded from its first instance on, whenever and however it was defined."""
    cls = made(kind, defined)
    assert refused(cls, task_type="X").value == "X"
    config = cls(task_type="CAUSAL_LM")
    assert config.task_type == TaskType.CAUSAL_LM
    assert refused(setattr, config, "task_type", "X").config_class == type(config).__name__
    config.task_type = None
    assert config.task_type is None
    assert refused(cls, task_type="X").value == "X"
    config.task_type = "SEQ_CLS"
    peft_strict.disable()
    assert config.task_type == TaskType.SEQ_CLS


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_config_has_is_kept(off: None, kind: str) -> None:
    """Switching on and off changes no config that is there."""
    cls = KINDS[kind]()
    config = cls(task_type="CAUSAL_LM")
    for switch in (peft_strict.enable, peft_strict.disable, peft_strict.enable):
        switch()
        assert config.task_type == "CAUSAL_LM"
    config.task_type = "SEQ_CLS"
    peft_strict.disable()
    assert config.task_type == "SEQ_CLS"


def test_a_property_of_the_class_is_used(strict: None) -> None:
    """What a user's own property does with the value, it does; it is given the value as it was written."""
    config = KINDS["property-of-its-own"]()(task_type="CAUSAL_LM")
    assert (vars(config)["kept"], type(vars(config)["kept"])) == ("CAUSAL_LM", str)
    config.task_type = "SEQ_CLS"
    assert (vars(config)["kept"], type(vars(config)["kept"])) == ("SEQ_CLS", str)


@DEFINED
@pytest.mark.parametrize("kind", KINDS)
def test_subclasses_give_one_report(off: None, kind: str, defined: str) -> None:
    """With ``invalid="warn"`` a mistake is reported once, through however many classes it passes."""
    cls = made(kind, defined)
    peft_strict.enable(invalid="warn")
    for _ in range(2):
        with reports() as found, contextlib.suppress(ValueError):  # PEFT's own
            cls(task_type="X")
        assert len(found) == 1


@DEFINED
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith(("field", "slots-and", "keyword-only-f"))])
def test_redeclared_fields_keep_their_default(off: None, kind: str, defined: str) -> None:
    """A class that declares ``task_type`` again has the default and the metadata that it wrote."""
    peft_strict.disable()
    plain = KINDS[kind]()
    peft_strict.disable()
    cls = made(kind, defined)
    field, expected = (next(f for f in dataclasses.fields(c) if f.name == "task_type") for c in (cls, plain))
    assert (field.default, field.metadata) == (expected.default, expected.metadata)
    assert (field.default_factory is dataclasses.MISSING) == (expected.default_factory is dataclasses.MISSING)
    if kind != "field-without-default":
        assert cls().task_type == TaskType.SEQ_CLS
    if "slots" not in kind:  # there the class attribute is the slot
        assert cls.task_type == plain.task_type if hasattr(plain, "task_type") else not hasattr(cls, "task_type")


@DEFINED
def test_a_wrong_default(off: None, defined: str) -> None:
    """A wrong default of a redeclared field is refused when it is used."""

    def kind() -> Any:
        @dataclasses.dataclass
        class Mine(LoraConfig):
            task_type: str = "CASUAL_LM"

        return Mine

    KINDS["wrong-default"] = kind
    try:
        cls = made("wrong-default", defined)
    finally:
        del KINDS["wrong-default"]
    assert refused(cls).value == "CASUAL_LM"
    assert cls(task_type="CAUSAL_LM").task_type is TaskType.CAUSAL_LM


@DEFINED
def test_words_of_its_own(off: None, defined: str) -> None:
    """An ``__init__`` that translates words of its own is not spoken to; one that loses them is."""

    def kind() -> Any:
        class Mine(LoraConfig):
            def __init__(self, task_type: str, keep: bool = True) -> None:
                super().__init__(task_type={"chat": "CAUSAL_LM"}[task_type] if keep else None)

        return Mine

    KINDS["translating"] = kind
    try:
        cls = made("translating", defined)
    finally:
        del KINDS["translating"]
    assert cls("chat").task_type is TaskType.CAUSAL_LM
    assert cls(task_type="chat").task_type is TaskType.CAUSAL_LM
    assert refused(cls, "chat", keep=False).value == "chat"


@DEFINED
@pytest.mark.parametrize("left", ["CAUSAL_LM", None])
def test_a_right_value_that_is_replaced(off: None, defined: str, left: str | None) -> None:
    """What the caller passed counts, not only what is left: a class that sets another task type is reported."""

    def kind() -> Any:
        @dataclasses.dataclass
        class Mine(LoraConfig):
            def __post_init__(self) -> None:
                super().__post_init__()
                self.task_type = left

        return Mine

    KINDS["replacing"] = kind
    try:
        cls = made("replacing", defined)
    finally:
        del KINDS["replacing"]
    assert cls().task_type == left
    assert cls(task_type=left).task_type == left
    error = refused(cls, task_type="SEQ_CLS")
    assert f"it has set task_type to {left!r}." in str(error)
    assert error.suggestion == left
    assert refused(cls, task_type=TaskType.SEQ_CLS).value is TaskType.SEQ_CLS


@DEFINED
@pytest.mark.parametrize("kind", ["plain", "dataclass", "own-init-passes-on", "skips-post-init"])
def test_a_task_type_as_peft_type_of_a_subclass(off: None, kind: str, defined: str) -> None:
    """The very first instance of a class is checked for it as well."""
    cls = made(kind, defined)
    for _ in range(2):
        assert str(refused(cls, peft_type=TaskType.SEQ_CLS)).startswith("`peft_type` got a task type")
    assert cls(peft_type="LORA").task_type is None


@pytest.mark.parametrize("kind", ["plain", "dataclass"])
def test_a_first_instance_that_is_not_constructed(strict: None, kind: str) -> None:
    """A function that sets up the very first instance of a class has variables of its own, not PEFT's arguments."""

    def set_up(config: Any) -> Any:
        peft_type = "CAUSAL_LM"
        config.task_type = peft_type
        return config

    cls = KINDS[kind]()
    assert set_up(object.__new__(cls)).task_type is TaskType.CAUSAL_LM


@pytest.mark.parametrize("kind", ["plain", "dataclass"])
def test_a_first_instance_inside_a_block(strict: None, kind: str) -> None:
    """The very first instance of a class is not checked where the checks are suspended; the next one elsewhere is."""
    cls = KINDS[kind]()
    with peft_strict.suspended():
        assert cls(peft_type=TaskType.SEQ_CLS).task_type is None
    refused(cls, peft_type=TaskType.SEQ_CLS)


def with_a_default() -> Any:
    class Mine(LoraConfig):
        task_type: Any = TaskType.SEQ_CLS

        def __init__(self, **words: Any) -> None:
            pass

    return Mine


def with_a_property() -> Any:
    class Mine(LoraConfig):
        task_type: Any = property(lambda self: None, lambda self, value: None)

    return Mine


def with_an_idle_init() -> Any:
    class Mine(LoraConfig):
        def __init__(self, task_type: Any = None) -> None:
            pass

    return Mine


def with_things_of_its_own() -> Any:
    class Mine(LoraConfig):
        def __init__(self, *things: Any, **words: Any) -> None:
            super().__init__(**words)

    return lambda task_type: Mine("X", TaskType.SEQ_CLS, task_type)


class Idle:
    """An initialiser without code of its own, as an extension's."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        return lambda *args, **kwargs: None


def with_an_init_without_code() -> Any:
    class Mine(LoraConfig):
        __init__: Any = Idle()

    return Mine


@pytest.mark.parametrize(
    "make",
    [with_a_default, with_a_property, with_an_idle_init, with_things_of_its_own, with_an_init_without_code],
    ids=lambda make: make.__name__,
)
def test_a_class_that_stores_nothing(strict: None, make: Any) -> None:
    """A right task type that a class does not store, and what is no task type at all, is the class's own affair."""
    cls = make()
    with reports() as found:
        cls(task_type="CAUSAL_LM")
    assert found == []


def test_a_wrong_value_that_a_class_does_not_store(strict: None) -> None:
    """A wrong task type that an ``__init__`` of one's own takes, and drops, is refused."""
    assert refused(with_an_idle_init(), task_type="CASUAL_LM").suggestion == "CAUSAL_LM"
