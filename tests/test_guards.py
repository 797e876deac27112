"""What the guards do to configs, on the installed PEFT. Every way in and every release: ``test_ways_in.py``."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import peft
import pytest
from peft import LoraConfig, TaskType

import peft_strict
from peft_strict import InvalidTaskTypeError, MisfitError, MisfitWarning, TaskTypeWarning

from .subclass_kinds import KINDS
from .test_rule import RIGHT, WRONG
from .ways_in.rows import lora, past_us, registered_classes, saved_adapter, tiny_classifier, tiny_lm

NAMES = ", ".join(member.value for member in TaskType)
SENTENCE = f"Must be one of the following task types: {NAMES}."


@contextlib.contextmanager
def reports() -> Iterator[list[warnings.WarningMessage]]:
    """Collect our warnings, all of them."""
    caught: list[warnings.WarningMessage] = []
    with warnings.catch_warnings(record=True) as everything:
        warnings.simplefilter("always")
        yield caught
    caught += [each for each in everything if issubclass(each.category, TaskTypeWarning)]


def refused(function: Callable[..., Any], *args: Any, **words: Any) -> InvalidTaskTypeError:
    """Return the error that the call ends in. Its traceback must not hold more than one frame of ours."""
    with pytest.raises(InvalidTaskTypeError) as caught:
        function(*args, **words)
    printed = "".join(traceback.format_exception(type(caught.value), caught.value, caught.value.__traceback__))
    assert printed.count("/peft_strict/") <= 1, printed
    return caught.value


# -- the message ------------------------------------------------------------------------------------------------------


def test_the_message_of_the_readme(strict: None) -> None:
    """PEFT's own sentence, whole; where it was; what was meant."""
    assert str(refused(LoraConfig, task_type="CASUAL_LM")).splitlines() == [
        f"Invalid task type: 'CASUAL_LM'. {SENTENCE}",
        "  in LoraConfig(task_type='CASUAL_LM')",
        "  Did you mean 'CAUSAL_LM' (causal language modeling)?",
    ]


def test_the_first_line_is_what_peft_says(off: None) -> None:
    """Code that matches the text of PEFT's own error goes on working."""
    with pytest.raises(ValueError, match="Invalid task type") as plain:
        LoraConfig(task_type="CASUAL_LM")
    peft_strict.enable()
    assert str(refused(LoraConfig, task_type="CASUAL_LM")).startswith(str(plain.value))


@pytest.mark.parametrize(
    ("mistake", "place"),
    [
        (lambda: LoraConfig("X"), "  in LoraConfig(task_type='X')"),
        (lambda: peft.IA3Config(task_type=["X"]), "  in IA3Config(task_type=['X'])"),
        (lambda: setattr(lora(), "task_type", "X"), "  in LoraConfig.task_type = 'X'"),
        (lambda: peft.PeftModel(tiny_lm(), past_us(lora(), "X")), "  in LoraConfig(task_type='X'), used on PeftModel"),
        (
            lambda: peft.inject_adapter_in_model(past_us(lora(), "X"), tiny_lm()),
            "  in LoraConfig(task_type='X'), used on LlamaForCausalLM",
        ),
    ],
    ids=["positional", "keyword", "assigned", "model", "injected"],
)
def test_the_place(strict: None, mistake: Callable[[], Any], place: str) -> None:
    """The second line says what was done with the value."""
    assert str(refused(mistake)).splitlines()[1] == place


def test_the_attributes(strict: None) -> None:
    """The error carries what it says."""
    error = refused(LoraConfig, task_type="CASUAL_LM")
    assert error.value == "CASUAL_LM"
    assert error.supported == tuple(member.value for member in TaskType)
    assert error.suggestion == "CAUSAL_LM"
    assert error.config_class == "LoraConfig"
    assert error.source is None


def test_the_file_is_named(strict: None) -> None:
    """A value that came from a file is reported with the file."""
    with saved_adapter(task_type="CASUAL_LM") as folder:
        error = refused(LoraConfig.from_pretrained, folder)
    assert error.source == f"{folder}/adapter_config.json"
    assert f"  read from {error.source}" in str(error).splitlines()


@pytest.mark.parametrize("value", ["", "x", 1, True], ids=repr)
def test_a_file_is_only_named_for_its_own_value(strict: None, value: object) -> None:
    """Python keeps one object for each short text and small number; the next mistake with it is not that file's."""
    with saved_adapter(task_type=value) as folder:
        refused(LoraConfig.from_pretrained, folder)
    assert refused(LoraConfig, task_type=value).source is None


def test_a_file_that_was_only_looked_at(strict: None) -> None:
    """Reading a config as a dict is no use of it; a later mistake is not that file's."""
    with saved_adapter(task_type="CASUAL_LM") as folder:
        assert LoraConfig.from_json_file(f"{folder}/adapter_config.json")["task_type"] == "CASUAL_LM"
    assert refused(LoraConfig, task_type="CASUAL_LM").source is None


def test_a_file_is_warned_of_in_each_call(off: None) -> None:
    """Loading the same file again is another mistake; so is loading it where warnings are errors."""
    peft_strict.enable(invalid="warn")
    with saved_adapter(task_type="CASUAL_LM") as folder:
        with reports() as found:
            with contextlib.suppress(ValueError):  # PEFT's own
                LoraConfig.from_pretrained(folder)
            with contextlib.suppress(ValueError):
                LoraConfig.from_pretrained(folder)
        assert [f"read from {folder}" in str(each.message) for each in found] == [True, True]
        with warnings.catch_warnings():
            warnings.simplefilter("error", TaskTypeWarning)
            for _ in range(2):
                with pytest.raises(TaskTypeWarning):
                    LoraConfig.from_pretrained(folder)


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("not today")


@pytest.mark.parametrize("value", ["CASUAL_LM", 3, ["CAUSAL_LM"], Unpicklable()], ids=lambda v: type(v).__name__)
def test_errors_are_portable(strict: None, value: object) -> None:
    """The error of a real config can be pickled, whatever the value was."""
    error = refused(setattr, LoraConfig(), "task_type", value)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (InvalidTaskTypeError, str(error))
    assert {**vars(again), "value": None} == {**vars(error), "value": None}


@pytest.mark.parametrize("cls", registered_classes(), ids=lambda cls: cls.__name__)
def test_every_class_is_named(strict: None, cls: type) -> None:
    """The error of each registered class names that class, however it is reached."""
    assert refused(cls, task_type="X").config_class == cls.__name__
    assert refused(cls, "X").config_class == cls.__name__


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


def test_other_errors_are_pefts_own(off: None) -> None:
    """What is wrong besides the task type is told by PEFT, in its words."""

    def told(**words: Any) -> tuple[type, str]:
        with pytest.raises((TypeError, ValueError)) as caught:
            LoraConfig(**words)
        return type(caught.value), str(caught.value)

    mistakes: list[dict[str, Any]] = [{"nonsense": 1}, {"target_modules": "x", "layers_to_transform": [1]}]
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


# -- the attribute ----------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("cls", registered_classes(), ids=lambda cls: cls.__name__)
def test_reading_on_the_class(strict: None, cls: Any) -> None:
    """The class answers with the default of the field, as a dataclass does."""
    assert cls.task_type is None


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
    assert config.task_type is TaskType.CAUSAL_LM
    assert refused(setattr, config, "task_type", "X").config_class == type(config).__name__
    config.task_type = None
    assert config.task_type is None
    assert refused(cls, task_type="X").value == "X"
    config.task_type = "SEQ_CLS"
    peft_strict.disable()
    assert config.task_type is TaskType.SEQ_CLS


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
    """What a user's own property does with the value, it does; it is given the member."""
    config = KINDS["property-of-its-own"]()(task_type="CAUSAL_LM")
    assert vars(config)["kept"] is TaskType.CAUSAL_LM
    config.task_type = "SEQ_CLS"
    assert vars(config)["kept"] is TaskType.SEQ_CLS


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
        assert cls().task_type is TaskType.SEQ_CLS
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


# -- one mistake, one report ------------------------------------------------------------------------------------------


def test_warned_once_on_the_way_to_the_model(off: None) -> None:
    """Assigned, then used on a model, then added again: one report."""
    peft_strict.enable(invalid="warn")
    with reports() as found:
        config = lora()
        config.task_type = "X"
        model = peft.PeftModel(tiny_lm(), config)
        model.add_adapter("again", config)
    assert len(found) == 1


def test_each_config_is_reported(off: None) -> None:
    """The same mistake in two configs is two mistakes; so is a copy that is used on its own."""
    peft_strict.enable(invalid="warn")
    with reports() as found:
        for _ in range(2):
            lora().task_type = "X"
    assert len(found) == 2


def test_made_again_is_reported_again(off: None) -> None:
    """A mistake that was mended and made again is reported again."""
    peft_strict.enable(invalid="warn")
    config = lora()
    with reports() as found:
        config.task_type = "X"
        config.task_type = "CAUSAL_LM"
        config.task_type = "X"
    assert len(found) == 2


def test_warned_of_is_not_allowed(off: None) -> None:
    """What was only warned of is refused as soon as wrong values raise."""
    peft_strict.enable(invalid="warn")
    config = lora()
    with reports() as found:
        config.task_type = "X"
    assert len(found) == 1
    peft_strict.enable()
    refused(setattr, config, "task_type", "X")
    refused(peft.PeftModel, tiny_lm(), config)


def test_warnings_as_errors_stop_every_time(off: None) -> None:
    """With a filter that turns them into errors, our warnings stop the mistake, the second time too."""
    peft_strict.enable(invalid="warn")
    config = lora()
    with warnings.catch_warnings():
        warnings.simplefilter("error", TaskTypeWarning)
        for _ in range(2):
            with pytest.raises(TaskTypeWarning):
                config.task_type = "X"
            assert config.task_type is None
            with pytest.raises(TaskTypeWarning):
                LoraConfig(task_type="X")
        past_us(config, "X")
        for _ in range(2):
            with pytest.raises(TaskTypeWarning):
                peft.PeftModel(tiny_lm(), config)


def test_refused_every_time(strict: None) -> None:
    """An error is no licence: the same mistake on the same config is refused again."""
    config = past_us(lora(), "X")
    for _ in range(2):
        refused(setattr, config, "task_type", "X")
        refused(peft.PeftModel, tiny_lm(), config)


def test_the_warning_is_the_message(off: None) -> None:
    """The warning says what the error would have said, and the value is let through to PEFT."""
    peft_strict.enable(invalid="warn")
    config = LoraConfig()
    with reports() as found:
        config.task_type = "CASUAL_LM"
    assert config.task_type == "CASUAL_LM"
    peft_strict.enable()
    assert str(found[0].message) == str(refused(setattr, config, "task_type", "CASUAL_LM"))


# -- peft_type --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [TaskType.SEQ_CLS, "CAUSAL_LM", "CASUAL_LM", "causal_lm"])
def test_a_task_type_as_peft_type(strict: None, word: str) -> None:
    """The error says which argument was meant."""
    error = refused(LoraConfig, peft_type=word)
    assert str(error).splitlines()[0] == f"`peft_type` got a task type; write `task_type={error.suggestion!r}`."
    assert error.suggestion in ("SEQ_CLS", "CAUSAL_LM")


@pytest.mark.parametrize("word", [*peft.PeftType, "lora", "MY_METHOD", "", None, 3, enum.Enum], ids=str)
def test_other_peft_types_are_pefts_business(strict: None, word: object) -> None:
    """Methods and anything else are left alone."""
    assert LoraConfig(peft_type=word).peft_type is peft.PeftType.LORA


# -- on models --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [None, "LORA", {"default": "LORA"}, {}, object()],
    ids=["None", "text", "dict of text", "empty dict", "object"],
)
def test_what_is_no_config_is_pefts_business(off: None, config: object) -> None:
    """Something else in the place of a config meets PEFT's own error."""

    def told() -> list[tuple[type, str]]:
        found = []
        for use in (peft.PeftModel, peft.PeftMixedModel, lambda model, it: peft.LoraModel(model, it, "default")):
            with pytest.raises(Exception) as caught:  # noqa: PT011
                use(tiny_lm(), config)
            found.append((type(caught.value), str(caught.value)))
        return found

    plain = told()
    peft_strict.enable()
    assert told() == plain


def test_prompt_learning_without_a_task_type(strict: None) -> None:
    """PEFT's ``KeyError: None`` becomes an error that names what fits the model; with any of the ways to build one."""
    for build in (peft.get_peft_model, peft.PeftModel):
        error = refused(build, tiny_lm(), peft.PromptTuningConfig(num_virtual_tokens=2))
        assert (error.value, error.suggestion, error.config_class) == (None, "CAUSAL_LM", "PromptTuningConfig")
        assert "used on LlamaForCausalLM" in str(error)
    error = refused(peft.get_peft_model, tiny_classifier(), peft.PrefixTuningConfig(num_virtual_tokens=2))
    assert error.suggestion == "SEQ_CLS"


@pytest.mark.parametrize(
    ("build", "task_type", "code", "kinds"),
    [
        (tiny_classifier, "QUESTION_ANS", "H2", {"warn": MisfitWarning, "raise": MisfitError}),
        (tiny_classifier, None, "H2", {"warn": MisfitWarning, "raise": MisfitError}),
        (tiny_lm, "SEQ_CLS", "L1", {"warn": MisfitWarning, "raise": MisfitWarning}),
        (tiny_lm, "CAUSAL_LM", "", {}),
    ],
    ids=["H2", "H2 untyped", "L1", "fits"],
)
@pytest.mark.parametrize("mode", ["warn", "raise", "ignore"])
def test_a_misfit_in_each_mode(
    off: None, mode: str, build: Callable[[], Any], task_type: str | None, code: str, kinds: dict[str, type]
) -> None:
    """A misfit warns, raises or is ignored as was asked for, but L1 never raises; the error says all it knows."""
    peft_strict.enable(misfit=mode)
    model, config = build(), lora(task_type=task_type)
    names = {"config_class": "LoraConfig", "model_class": type(model).__name__}
    raised = []
    with reports() as warned:
        try:
            peft.get_peft_model(model, config)
        except MisfitError as error:
            raised.append(error)
    said = [*raised, *(each.message for each in warned)]
    assert [type(each) for each in said] == ([kinds[mode]] if mode in kinds else [])
    assert all(str(each).startswith(f"peft-strict {code}: ") for each in said)
    for error in raised:
        fix = str(error).partition("Write ")[2]
        assert vars(error) == {"code": code, "task_type": task_type, "fix": fix, **names}


def test_a_failed_use_leaves_no_trace(strict: None) -> None:
    """After a refused use the same config, mended, works."""
    config = past_us(lora(), "X")
    refused(peft.get_peft_model, tiny_lm(), config)
    config.task_type = "CAUSAL_LM"
    assert type(peft.get_peft_model(tiny_lm(), config)) is peft.PeftModelForCausalLM


def test_nested_models_are_judged_apart(strict: None) -> None:
    """A second config that is used while the first is being applied is judged on its own."""
    wrong = past_us(lora(), "X")

    class Model(peft.LoraModel):
        def inject_adapter(self, *args: Any, **words: Any) -> None:
            peft.inject_adapter_in_model(wrong, tiny_lm())

    refused(Model, tiny_lm(), lora(), "default")
