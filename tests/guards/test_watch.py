"""What is reported, how often, and for what, on the installed PEFT. Every way in and release: ``test_ways_in.py``."""

from __future__ import annotations

import contextlib
import enum
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import peft
import pytest
from peft import LoraConfig, TaskType

import peft_strict
from peft_strict import InvalidTaskTypeError, MisfitError, MisfitWarning, TaskTypeWarning
from peft_strict.releases.live import live_release

from ..outcomes import refused, reports
from ..ways_in.rows import lora, past_us, registered_classes, saved_adapter, tiny_classifier, tiny_lm

NAMES = ", ".join(member.value for member in TaskType)
SENTENCE = f"Must be one of the following task types: {NAMES}."


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
        (
            lambda: peft.PeftModel(tiny_lm(), past_us(lora(), "X")),
            "  in LoraConfig(task_type='X'), used on LlamaForCausalLM",
        ),
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


@pytest.mark.parametrize("mended", ["CAUSAL_LM", None], ids=str)
def test_mended_and_made_again(off: None, mended: str | None) -> None:
    """The same mistake on the same config is another one after it was mended."""
    peft_strict.enable(invalid="warn")
    config, mistake = LoraConfig(), "CASUAL_LM"
    with reports() as found:
        for value in (mistake, mistake, mended, mistake):
            config.task_type = value
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


# -- task types of the user's own ----------------------------------------------------------------------------------


@contextlib.contextmanager
def another_member() -> Iterator[TaskType]:
    """Add a member to PEFT's enum, as helpers that extend enums do, and take it away again."""
    member = str.__new__(TaskType, "FED_LM")
    member._name_ = member._value_ = "FED_LM"
    TaskType._member_map_["FED_LM"] = TaskType._value2member_map_["FED_LM"] = member
    TaskType._member_names_.append("FED_LM")
    yield member
    del TaskType._member_map_["FED_LM"], TaskType._value2member_map_["FED_LM"]
    TaskType._member_names_.remove("FED_LM")


def test_a_member_added_later(strict: None) -> None:
    """PEFT's enum is asked again before a value is refused, and the error lists what there is by then."""
    with another_member() as added:
        config = lora(task_type="FED_LM")
        assert config.task_type is added
        config.task_type = None
        config.task_type = "FED_LM"
        assert config.task_type is added is peft_strict.parse_task_type("FED_LM")
        assert type(peft.get_peft_model(tiny_lm(), config)) is peft.PeftModel
        assert refused(LoraConfig, task_type="FED_ML").supported[-1] == "FED_LM"
    assert "FED_LM" not in refused(LoraConfig, task_type="FED_ML").supported
    refused(LoraConfig, task_type="FED_LM")


def test_another_mapping(strict: None) -> None:
    """A name counts as registered where PEFT's mapping was replaced by another one that has it."""
    module = live_release().tasks_module
    before = module.MODEL_TYPE_TO_PEFT_MODEL_MAPPING
    module.MODEL_TYPE_TO_PEFT_MODEL_MAPPING = {**before, "Vector_LM": peft.PeftModelForCausalLM}
    try:
        config = lora()
        config.task_type = "Vector_LM"
        assert type(peft.get_peft_model(tiny_lm(), config)) is peft.PeftModelForCausalLM
    finally:
        module.MODEL_TYPE_TO_PEFT_MODEL_MAPPING = before
    refused(setattr, config, "task_type", "Vector_LM")


# -- peft_type --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [TaskType.SEQ_CLS, "CAUSAL_LM", "CASUAL_LM", "causal_lm"])
@pytest.mark.parametrize("beside", [{}, {"task_type": "TOKEN_CLS"}], ids=["alone", "beside-a-right-task-type"])
def test_a_task_type_as_peft_type(strict: None, word: str, beside: dict[str, str]) -> None:
    """The error says which argument was meant."""
    error = refused(LoraConfig, peft_type=word, **beside)
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


def test_a_prompt_that_would_be_left_out(off: None) -> None:
    """``PeftModel(...)`` by hand does not fail on it: with ``invalid="warn"`` it is reported, once, and goes on."""
    peft_strict.enable(invalid="warn")
    model, config = tiny_lm(), peft.PromptTuningConfig(num_virtual_tokens=2)
    with reports() as found:
        assert peft.PeftModel(model, config).get_prompt(batch_size=3).shape[:2] == (3, 2)
        peft.PeftModel(tiny_lm(), config)
    assert [each.category for each in found] == [TaskTypeWarning]
    assert "only PEFT's class for a task adds the prompt" in str(found[0].message)
    assert (found[0].message.code, found[0].message.fix) == ("M1", 'task_type="CAUSAL_LM"')  # type: ignore[union-attr]
    with pytest.raises(InvalidTaskTypeError, match="needs a task type"):
        peft.get_peft_model(tiny_lm(), peft.PromptTuningConfig(num_virtual_tokens=2))


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
        assert vars(error) == {"code": code, "task_type": task_type, "fix": fix, "source": None, **names}


def test_a_failed_use_leaves_no_trace(strict: None) -> None:
    """After a refused use the same config, mended, works."""
    config = past_us(lora(), "X")
    refused(peft.get_peft_model, tiny_lm(), config)
    config.task_type = "CAUSAL_LM"
    assert type(peft.get_peft_model(tiny_lm(), config)) is peft.PeftModelForCausalLM


def test_a_copy_of_the_config_is_not_judged_again(off: None) -> None:
    """X-LoRA gives the tuner it builds a copy of its config: still one mistake, one report."""
    peft_strict.enable()
    with tempfile.TemporaryDirectory() as folder, reports() as found:
        peft.get_peft_model(tiny_lm(), lora(task_type="CAUSAL_LM")).save_pretrained(folder)
        config = peft.XLoraConfig(task_type="SEQ_CLS", hidden_size=8, adapters={"0": folder})
        model = tiny_lm()
        model.config.use_cache = False  # X-LoRA wants that
        peft.get_peft_model(model, config)
    assert [str(each.message)[:14] for each in found] == ["peft-strict L1"]


def test_nested_models_are_judged_apart(strict: None) -> None:
    """A second config that is used while the first is being applied is judged on its own."""
    wrong = past_us(lora(), "X")

    class Model(peft.LoraModel):
        def inject_adapter(self, *args: Any, **words: Any) -> None:
            peft.inject_adapter_in_model(wrong, tiny_lm())

    refused(Model, tiny_lm(), lora(), "default")


def test_a_model_made_without_its_class(strict: None) -> None:
    """The same where somebody has taken the ``__init__`` of ``PeftModel`` out of the class."""
    model = object.__new__(peft.PeftModel)
    error = refused(vars(peft.PeftModel)["__init__"], model, tiny_lm(), past_us(lora(), "X"))
    assert str(error).splitlines()[1] == "  in LoraConfig(task_type='X'), used on LlamaForCausalLM"
