"""Wrong values of other fields than the task type, on the installed PEFT: where they are seen, how often, and how."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import peft
import pytest
import torch
import yaml
from peft import LoraConfig, PeftConfig

import peft_strict
from peft_strict import InvalidFieldError, InvalidFieldWarning, InvalidTaskTypeError

from ..outcomes import parser_of, reports
from ..ways_in.rows import lora, saved_adapter, tiny_lm


def refused(function: Callable[..., Any], *args: Any, **words: Any) -> InvalidFieldError:
    """Return the error that the call ends in. Its traceback must not hold more than one frame of ours."""
    with pytest.raises(InvalidFieldError) as caught:
        function(*args, **words)
    assert not isinstance(caught.value, InvalidTaskTypeError)
    printed = "".join(traceback.format_exception(type(caught.value), caught.value, caught.value.__traceback__))
    assert printed.count("/peft_strict/") <= 1, printed
    return caught.value


def assigned(**values: Any) -> Any:
    """Return a config that was given these values after it was made."""
    config = lora()
    for name, value in values.items():
        setattr(config, name, value)
    return config


# -- what is seen -----------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "bool": ({"use_rslora": "False"}, "use_rslora=False"),
    "inference mode": ({"inference_mode": "False"}, "inference_mode=False"),
    "mixed up with bias": ({"lora_bias": "none"}, "lora_bias=False"),
    "list": ({"modules_to_save": "lm_head"}, 'modules_to_save=["lm_head"]'),
    "text": ({"init_lora_weights": "gausian"}, 'init_lora_weights="gaussian"'),
    "text in the help": ({"bias": "lora"}, 'bias="lora_only"'),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused_by_the_constructor(strict: None, name: str) -> None:
    """The error says what and where, and carries it."""
    values, fix = WRONG[name]
    ((field, value),) = values.items()
    error = refused(LoraConfig, **values)
    assert (error.code, error.field, error.value, error.config_class) == ("F1", field, value, "LoraConfig")
    assert (error.fix, error.source) == (fix, None)
    assert str(error).startswith(f"peft-strict F1: LoraConfig({field}={value!r}): ")
    assert fix in str(error)
    assert pickle.loads(pickle.dumps(error)).__dict__ == error.__dict__


def test_error_names_the_choices(strict: None) -> None:
    """What the field takes and what was meant are attributes of the error."""
    error = refused(LoraConfig, bias="everything")
    assert (error.allowed, error.suggestion) == (("none", "all", "lora_only"), None)
    error = refused(LoraConfig, init_lora_weights="true")
    assert error.suggestion is True


def test_all_of_them_in_one_error(strict: None) -> None:
    """Several wrong values end in one error that tells them all; what is only warned of waits until then."""
    with reports() as caught:
        error = refused(LoraConfig, use_rslora="False", modules_to_save="lm_head", use_dora="True")
    assert caught == []
    assert str(error).splitlines() == [
        "peft-strict F1: LoraConfig(use_rslora='False'): a text is true whatever it says: this switches it on.",
        "  Write use_rslora=False.",
        "  And LoraConfig(modules_to_save='lm_head'): a list belongs here, and a text is taken letter by letter.",
        '  Write modules_to_save=["lm_head"].',
    ]


@pytest.mark.parametrize("values", [{"use_dora": "True"}, {"use_dora": ""}, {"init_lora_weights": None}])
@pytest.mark.parametrize("invalid", ["raise", "warn"])
def test_what_works_by_chance_is_warned_of(off: None, invalid: str, values: dict[str, Any]) -> None:
    """F2 is a warning in both modes."""
    peft_strict.enable(invalid=invalid)
    with reports() as caught:
        config = LoraConfig(**values)
    ((field, value),) = values.items()
    assert getattr(config, field) is value
    (report,) = caught
    assert report.category is InvalidFieldWarning
    assert (report.message.code, report.filename) == ("F2", __file__)  # type: ignore[union-attr]
    assert report.message.fix in str(report.message)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", WRONG)
def test_warned_of_with_invalid_warn(off: None, name: str) -> None:
    """F1 is a warning at the user's line with ``invalid="warn"``, and the config is as it was made."""
    peft_strict.enable(invalid="warn")
    values, fix = WRONG[name]
    with reports() as caught:
        config = LoraConfig(**values)
    assert {field: getattr(config, field) for field in values} == values
    (report,) = caught
    assert (report.category, report.filename) == (InvalidFieldWarning, __file__)
    assert (report.message.code, report.message.fix) == ("F1", fix)  # type: ignore[union-attr]
    assert str(report.message).startswith("peft-strict F1: LoraConfig(")


def test_a_filter_that_says_error(strict: None) -> None:
    """A warning that a filter turns into an error ends the construction, without our frames."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", InvalidFieldWarning)
        with pytest.raises(InvalidFieldWarning, match="F2") as caught:
            LoraConfig(use_dora="True")
    assert sum("/peft_strict/" in entry.filename for entry in traceback.extract_tb(caught.value.__traceback__)) <= 1


def test_peft_refuses_first(off: None) -> None:
    """What PEFT's own constructor refuses ends in PEFT's error, word for word."""
    with pytest.raises(ValueError, match="variant") as plain:
        peft.RoadConfig(variant="road_3")
    peft_strict.enable()
    with pytest.raises(ValueError, match="variant") as strict:
        peft.RoadConfig(variant="road_3")
    assert (type(strict.value), str(strict.value)) == (type(plain.value), str(plain.value))


def test_positional_arguments(strict: None) -> None:
    """Arguments count by their place as well."""
    names = [field.name for field in dataclasses.fields(LoraConfig)]
    values = [getattr(LoraConfig(), name) for name in names[: names.index("inference_mode")]]
    assert refused(LoraConfig, *values, "False").field == "inference_mode"
    assert LoraConfig(*values, False).inference_mode is False


RIGHT: dict[str, Callable[[], Any]] = {
    "numbers for bools": lambda: LoraConfig(use_rslora=1, use_dora=0, inference_mode=0),
    "None for a bool": lambda: LoraConfig(fan_in_fan_out=None),
    "members": lambda: LoraConfig(bias="all", init_lora_weights="pissa"),
    "a number of rounds": lambda: LoraConfig(init_lora_weights="pissa_niter_16"),
    "another case that PEFT takes": lambda: LoraConfig(init_lora_weights="OLoRA"),
    "a set for a list": lambda: LoraConfig(modules_to_save={"lm_head"}, target_modules={"q_proj"}),
    "a float for a whole number": lambda: LoraConfig(lora_alpha=22.6),
    "a text where a text is one of several": lambda: LoraConfig(target_modules="all-linear"),
    "members as enum": lambda: peft.PromptTuningConfig(prompt_tuning_init=peft.PromptTuningInit.RANDOM),
    "defaults": lambda: LoraConfig(
        **{each.name: getattr(LoraConfig(), each.name) for each in dataclasses.fields(LoraConfig) if each.init}
    ),
    "a dict for a part": lambda: LoraConfig(velora_config={"init_type": "random"}),
    # What libraries pass, read in their sources.
    "TRL 1.16, get_peft_config": lambda: LoraConfig(
        task_type="CAUSAL_LM",
        target_modules="all-linear",
        lora_dropout=0.05,
        bias="none",
        use_rslora=False,
        use_dora=False,
        modules_to_save=None,
        target_parameters=["mlp.experts.down_proj"],
    ),
    "axolotl 0.19, what nobody has set": lambda: LoraConfig(
        r=8,
        target_modules=[],
        target_parameters=[],
        layers_to_transform=None,
        layers_pattern=None,
        fan_in_fan_out=None,
        modules_to_save=None,
        exclude_modules=None,
        bias="none",
        task_type=peft.TaskType.TOKEN_CLS,
    ),
    "axolotl 0.19, merging": lambda: LoraConfig(
        lora_dropout=0.0, fan_in_fan_out=False, use_dora=False, lora_bias=False
    ),
    "LLaMA-Factory 0.9.5, PiSSA and a new vocabulary": lambda: LoraConfig(
        task_type=peft.TaskType.CAUSAL_LM,
        inference_mode=False,
        init_lora_weights=f"pissa_niter_{16}",
        modules_to_save={"embed_tokens", "lm_head"},
    ),
    "LLaMA-Factory 0.9.5, OFT": lambda: peft.OFTConfig(
        task_type=peft.TaskType.CAUSAL_LM,
        inference_mode=False,
        r=0,
        oft_block_size=32,
        module_dropout=0.0,
        modules_to_save=None,
    ),
    "diffusers 0.42, a file with alphas": lambda: LoraConfig(
        r=4,
        lora_alpha=torch.tensor(2.5).item(),
        rank_pattern={"to_q": 8},
        alpha_pattern={"to_k": 1.5},
        use_dora=False,
        lora_bias=False,
    ),
    "diffusers 0.42, a file with the whole config": lambda: LoraConfig(**_of_a_file(LoraConfig(r=4))),
    "sentence-transformers 6.2, as its docs have it": lambda: LoraConfig(
        task_type=peft.TaskType.FEATURE_EXTRACTION, inference_mode=False, r=64, lora_alpha=128, lora_dropout=0.1
    ),
}


def _of_a_file(config: PeftConfig) -> dict[str, Any]:
    """Return a config as it comes out of the metadata of a file."""
    whole = {name: list(value) if isinstance(value, set) else value for name, value in config.to_dict().items()}
    read: dict[str, Any] = json.loads(json.dumps(whole))
    return {name: value for name, value in read.items() if name not in ("peft_type", "task_type", "auto_mapping")}


@pytest.mark.parametrize("name", RIGHT)
def test_right_values(strict: None, name: str) -> None:
    """Whatever PEFT takes as it is meant goes through without a word."""
    with reports() as caught:
        RIGHT[name]()
    assert caught == []


# -- where a config meets a model -------------------------------------------------------------------------------------


def _over(config: Any, **values: Any) -> Any:
    """Return a config whose ``__dict__`` was changed."""
    config.__dict__.update(values)
    return config


def _unpickled(**values: Any) -> Any:
    config = _over(lora(), **values)
    return pickle.loads(pickle.dumps(config))


@pytest.mark.parametrize(
    "meet",
    [
        lambda config: peft.get_peft_model(tiny_lm(), config),
        lambda config: peft.PeftModel(tiny_lm(), config),
        lambda config: peft.inject_adapter_in_model(config, tiny_lm()),
        lambda config: peft.PeftMixedModel(tiny_lm(), config),
        lambda config: peft.get_peft_model(tiny_lm(), lora()).add_adapter("second", config),
        lambda config: tiny_lm().add_adapter(config),
    ],
    ids=["get_peft_model", "PeftModel", "inject", "mixed", "second", "transformers"],
)
@pytest.mark.parametrize(
    "make",
    [assigned, _unpickled, lambda **values: _over(lora(), **values), lambda **values: copy.copy(assigned(**values))],
    ids=["assigned", "unpickled", "__dict__", "copied"],
)
def test_what_reached_the_config_later(strict: None, make: Callable[..., Any], meet: Callable[[Any], Any]) -> None:
    """Whatever came past the constructor is refused where the config meets a model."""
    error = refused(meet, make(use_rslora="False"))
    assert (error.field, error.config_class) == ("use_rslora", "LoraConfig")
    assert str(error).startswith("peft-strict F1: LoraConfig(use_rslora='False'), used on ")


def test_a_good_config_meets_a_model(strict: None) -> None:
    """A right config meets a model without a word."""
    with reports() as caught:
        peft.get_peft_model(tiny_lm(), lora(modules_to_save=["lm_head"], init_lora_weights="gaussian"))
    assert caught == []


@pytest.mark.parametrize("values", [{"init_lora_weights": None}, {"use_rslora": "False", "use_dora": "True"}])
def test_what_was_said_is_not_said_again(off: None, values: dict[str, Any]) -> None:
    """What was warned of in the constructor is not said again at the model, nor at a second one."""
    peft_strict.enable(invalid="warn")
    with reports() as caught:
        config = lora(**values)
        peft.get_peft_model(tiny_lm(), config)
        peft.get_peft_model(tiny_lm(), config)
    assert len(caught) == len(values)


def test_another_wrong_value_is_another_mistake(off: None) -> None:
    """A value that was put in since then is told, and only that."""
    peft_strict.enable(invalid="warn")
    with reports() as caught:
        config = lora(use_rslora="False", use_dora="True")
        config.use_rslora = "no"
        peft.get_peft_model(tiny_lm(), config)
    assert ["use_rslora='no'" in str(each.message) for each in caught] == [False, False, True]


def test_what_was_warned_of_is_refused_once_errors_are_on(off: None) -> None:
    """``invalid="raise"`` holds for a config that was only warned of before."""
    peft_strict.enable(invalid="warn")
    with reports():
        config = lora(use_rslora="False")
    peft_strict.enable(invalid="raise")
    assert refused(peft.get_peft_model, tiny_lm(), config).field == "use_rslora"


def test_mended_before_the_model(strict: None) -> None:
    """An assignment is judged where it takes effect: what is mended before is not told."""
    config = assigned(use_rslora="False")
    config.use_rslora = False
    with reports() as caught:
        peft.get_peft_model(tiny_lm(), config)
    assert caught == []


def test_notes_go_with_the_config(off: None) -> None:
    """A config that was warned of is not kept alive for it."""
    import weakref

    peft_strict.enable(invalid="warn")
    with reports():
        config = lora(use_rslora="False")
    gone = weakref.ref(config)
    del config
    assert gone() is None


# -- a config inside of a config --------------------------------------------------------------------------------------


def test_a_part_is_judged_with_the_whole(strict: None) -> None:
    """A dataclass of PEFT's that is no config by itself is told as part of the one that holds it."""
    part = peft.LoraGAConfig(scale="stabel")
    error = refused(lora, lora_ga_config=part)
    assert (error.field, error.config_class, error.fix) == ("scale", "LoraGAConfig", 'scale="stable"')
    assert str(error).startswith("peft-strict F1: LoraConfig(lora_ga_config=LoraGAConfig(scale='stabel')): ")


def test_a_part_that_came_as_a_dict(strict: None) -> None:
    """What PEFT makes of a dict is judged."""
    error = refused(lora, init_lora_weights="eva", eva_config={"whiten": "False"})
    assert (error.field, error.suggestion) == ("whiten", False)


def test_a_part_at_the_model(strict: None) -> None:
    """A part that is put in or changed later is seen when the config meets a model."""
    config = lora(init_lora_weights="eva", eva_config=peft.EvaConfig())
    config.eva_config.whiten = "False"
    assert refused(peft.PeftModel, tiny_lm(), config).fix == "whiten=False"


def test_a_part_is_told_once(off: None) -> None:
    """One mistake in a part, one report."""
    peft_strict.enable(invalid="warn")
    with reports() as caught:
        config = lora(runtime_config=peft.LoraRuntimeConfig(ephemeral_gpu_offload="False"))
        peft.get_peft_model(tiny_lm(), config)
    assert len(caught) == 1


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_saved_config_names_its_file(strict: None) -> None:
    """By whatever way PEFT loads it: the file is named."""
    with saved_adapter(use_rslora="False") as folder:
        path = str(Path(folder, "adapter_config.json"))
        for read in (
            lambda: PeftConfig.from_pretrained(folder),
            lambda: LoraConfig.from_pretrained(folder),
            lambda: peft.PeftModel.from_pretrained(tiny_lm(), folder),
            lambda: tiny_lm().load_adapter(folder),
        ):
            error = refused(read)
            assert error.source == path
            assert str(error).splitlines()[1] == f"  read from {path}"


def test_the_file_is_named_for_its_own_values_only(strict: None) -> None:
    """A value that was written by the user is not put down to the file that was read last."""
    with saved_adapter(use_rslora="False") as folder:
        LoraConfig.from_json_file(str(Path(folder, "adapter_config.json")))
    assert refused(LoraConfig, use_rslora="".join(["Fal", "se"])).source is None
    assert refused(LoraConfig, use_dora="False").source is None


def test_a_saved_none_names_its_file_once(strict: None) -> None:
    """``null`` is the same object everywhere: it counts as read from the file for the first config only."""
    with reports() as caught, saved_adapter(init_lora_weights=None) as folder:
        LoraConfig.from_pretrained(folder)
        LoraConfig(init_lora_weights=None)
    assert ["read from" in str(each.message) for each in caught] == [True, False]


def test_loading_warns_once(off: None) -> None:
    """A file is told once, although the config in it is made and then meets a model."""
    peft_strict.enable(invalid="warn")
    with saved_adapter(use_rslora="False") as folder, reports() as caught:
        peft.PeftModel.from_pretrained(tiny_lm(), folder)
    assert len(caught) == 1


def test_a_file_of_a_newer_peft(strict: None) -> None:
    """A text that a newer PEFT has saved may be right there: it is only warned of. A text for a bool never is."""
    with saved_adapter(init_lora_weights="brand_new", peft_version="99.0.0") as folder, reports() as caught:
        LoraConfig.from_pretrained(folder)
    (report,) = caught
    assert report.message.code == "F2"  # type: ignore[union-attr]
    assert "saved by a newer PEFT" in str(report.message)
    with saved_adapter(use_rslora="False", peft_version="99.0.0") as folder:
        refused(LoraConfig.from_pretrained, folder)


@pytest.mark.parametrize("content", [[], {"peft_type": ["LORA"]}, {"peft_type": "NEW"}, {"use_rslora": "False"}])
def test_odd_files_are_left_to_peft(strict: None, tmp_path: Path, content: object) -> None:
    """Reading a file says nothing by itself, whatever is in it."""
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(content))
    assert LoraConfig.from_json_file(str(path)) == content


def test_dicts_and_argument_parsers(strict: None) -> None:
    """``get_peft_config`` and ``HfArgumentParser`` build a config: its constructor sees what they read."""
    assert refused(peft.get_peft_config, {"peft_type": "LORA", "use_rslora": "no"}).field == "use_rslora"
    assert peft.get_peft_config({"peft_type": "LORA", "use_rslora": False}).use_rslora is False
    with parser_of(peft.PeftConfig) as parser:
        assert refused(parser.parse_dict, {"inference_mode": "False"}).field == "inference_mode"
        (config,) = parser.parse_args_into_dataclasses(["--inference_mode", "False"])  # the parser reads it as a bool
    assert config.inference_mode is False


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("use_rslora: no", ""),
        ("use_rslora: off", ""),
        ("use_rslora: True", ""),
        ("fan_in_fan_out: null", ""),
        ("fan_in_fan_out: ~", ""),
        ("modules_to_save: null", ""),
        ("modules_to_save: [lm_head]", ""),
        ("bias: none", ""),
        ("init_lora_weights: true", ""),
        ("init_lora_weights: gaussian", ""),
        ("use_rslora: 'no'", "F1"),
        ("use_rslora: None", "F1"),
        ("use_rslora: ${dora}", "F1"),
        ("use_rslora: 'yes'", "F2"),
        ("use_rslora: 'True'", "F2"),
        ("modules_to_save: lm_head", "F1"),
        ("modules_to_save: 'null'", "F1"),
        ("modules_to_save: None", "F1"),
        ("bias: None", "F1"),
        ("init_lora_weights: null", "F2"),
        ("init_lora_weights: None", "F1"),
        ("init_lora_weights: 'false'", "F1"),
    ],
)
def test_yaml(off: None, line: str, code: str) -> None:
    """What YAML makes a bool, a list or nothing is right; texts that only look so are told."""
    peft_strict.enable(invalid="warn")
    with reports() as caught:
        LoraConfig(**yaml.safe_load(line))
    assert [each.message.code for each in caught] == [code] * bool(code)  # type: ignore[union-attr]


def test_yaml_files_of_argument_parsers(strict: None, tmp_path: Path) -> None:
    """``HfArgumentParser.parse_yaml_file`` hands on what the file says."""
    for line, wrong in (("inference_mode: no", False), ("inference_mode: 'no'", True)):
        file = tmp_path / "config.yaml"
        file.write_text(line)
        with parser_of(peft.PeftConfig) as parser:
            if wrong:
                assert refused(parser.parse_yaml_file, str(file)).fix == "inference_mode=False"
            else:
                assert parser.parse_yaml_file(str(file))[0].inference_mode is False


# -- a user's own classes ---------------------------------------------------------------------------------------------


@dataclass
class Reading(LoraConfig):
    """Reads texts by itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.use_rslora = str(self.use_rslora).lower() == "true"


class Handing(LoraConfig):
    """Has a constructor of its own, which hands a text on and mends it."""

    def __init__(self, use_rslora: str = "yes", **more: Any) -> None:
        super().__init__(use_rslora=use_rslora, **more)  # type: ignore[arg-type]
        self.use_rslora = use_rslora == "yes"


class Keeping(LoraConfig):
    """Has a constructor of its own, which leaves the text as it is."""

    def __init__(self, use_rslora: str) -> None:
        super().__init__(use_rslora=use_rslora)  # type: ignore[arg-type]


@dataclass
class Adding(LoraConfig):
    """Adds a field, and changes one."""

    use_dora: str = "no"  # type: ignore[assignment]
    verbose: Optional[bool] = None


def test_a_class_that_reads_texts(strict: None) -> None:
    """A text that the class has made something of is right, given, nested, or with a positional argument."""
    with reports() as caught:
        assert Reading(use_rslora="False").use_rslora is False
        assert Handing("no").use_rslora is False
        assert Adding(use_dora="no", verbose="False").verbose == "False"  # type: ignore[arg-type]
    assert caught == []


def test_a_class_that_keeps_them(strict: None) -> None:
    """One that has not is judged like PEFT's own, for the fields that it inherits."""
    assert refused(Keeping, "no").config_class == "Keeping"
    assert refused(Adding, use_rslora="no").config_class == "Adding"


# -- switches ---------------------------------------------------------------------------------------------------------


def test_off_and_suspended(off: None) -> None:
    """Nothing is said where we are off or suspended; a config that meets a model outside of the block is judged."""
    with reports() as caught:
        LoraConfig(use_rslora="False")
        peft_strict.enable()
        with peft_strict.suspended():
            config = lora(use_rslora="False")
            peft.get_peft_model(tiny_lm(), config)
        peft_strict.disable()
        peft.get_peft_model(tiny_lm(), config)
    assert caught == []
    peft_strict.enable()
    refused(peft.get_peft_model, tiny_lm(), config)
