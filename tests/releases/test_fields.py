"""What is read of the fields of the installed PEFT's configs."""

from __future__ import annotations

import dataclasses
import gc
import sys
import types
import weakref
from dataclasses import dataclass
from typing import Any, Literal, Optional

import peft
import pytest
from peft import LoraConfig

from peft_strict.releases import fields
from peft_strict.releases.fields import LIST, NESTED, SWITCH, TEXTS, fields_of, is_newer
from peft_strict.values.fields import judge

from ..outcomes import parser_of
from ..ways_in.rows import registered_classes

VERSION = peft.__version__


def test_a_class() -> None:
    """A bool, a set with and without bool, a list and a sub-config; other fields have no entry."""
    kinds = fields_of(LoraConfig, VERSION)
    assert (kinds["use_rslora"].form, kinds["use_rslora"].default) == (SWITCH, False)
    assert (kinds["bias"].form, kinds["bias"].texts, kinds["bias"].takes_bool) == (
        TEXTS,
        ("none", "all", "lora_only"),
        False,
    )
    assert kinds["init_lora_weights"].takes_bool
    assert "gaussian" in kinds["init_lora_weights"].texts
    assert (kinds["modules_to_save"].form, kinds["modules_to_save"].takes_none) == (LIST, True)
    assert kinds["modules_to_save"].takes_names
    assert not kinds["layer_replication"].takes_names
    assert kinds["eva_config"].form == NESTED
    assert not kinds.keys() & {"r", "lora_alpha", "target_modules", "rank_pattern", "task_type", "peft_type"}


@pytest.mark.parametrize("cls", registered_classes(), ids=lambda cls: cls.__name__)
def test_every_class_says_something(cls: type) -> None:
    """Each registered class resolves: it has ``inference_mode`` at least, and the texts of its biases."""
    kinds = fields_of(cls, VERSION)
    assert kinds["inference_mode"].form == SWITCH
    assert ("bias" in kinds) == ("bias" in cls.__dataclass_fields__)  # type: ignore[attr-defined]
    if "bias" in kinds:
        assert {"none", "all"} < set(kinds["bias"].texts)


def test_types_that_a_parser_has_overwritten() -> None:
    """transformers' ``HfArgumentParser`` writes less into ``Field.type`` than is declared: what is declared counts."""
    overwritten = set()
    for cls in registered_classes():
        fields._known.pop(cls, None)
        before = [field.type for field in dataclasses.fields(cls)]
        kinds = dict(fields_of(cls, VERSION))
        fields._known.pop(cls)
        with parser_of(cls):
            overwritten |= {cls} if before != [field.type for field in dataclasses.fields(cls)] else set()
            assert fields_of(cls, VERSION) == kinds, cls
    assert peft.PrefixTuningConfig in overwritten


@pytest.mark.parametrize(
    ("cls", "field", "right"),
    [
        (LoraConfig, "init_lora_weights", ["pissa_niter_3", "lora_ga", "OLoRA", "Gaussian", "corda"]),
        (LoraConfig, "bias", ["vera_only"]),
        (peft.VeraConfig, "bias", ["vera_only", "none", "all", "lora_only"]),
        (peft.ShiraConfig, "mask_type", ["random", "mine"]),
        (peft.HiraConfig, "init_weights", ["Gaussian"]),
        (peft.MultitaskPromptTuningConfig, "prompt_tuning_init", ["SAMPLE_VOCAB", "EXACT_SOURCE_TASK"]),
        (peft.PromptTuningConfig, "prompt_tuning_init", ["TEXT", "SAMPLE_VOCAB", "RANDOM"]),
        (peft.PromptEncoderConfig, "encoder_reparameterization_type", ["MLP", "LSTM"]),
        (peft.TinyLoraConfig, "init_weights", ["uniform", "anything"]),
        (peft.LNTuningConfig, "modules_to_save", ["lm_head"]),
    ],
    ids=lambda each: each.__name__ if isinstance(each, type) else str(each),
)
def test_what_the_code_takes(cls: type, field: str, right: list[str]) -> None:
    """What PEFT's code takes is right, declared or not; what is declared nowhere is not judged."""
    kind = fields_of(cls, VERSION).get(field)
    assert kind is None or [value for value in right if judge(field, value, kind)] == []


def test_a_config_inside_of_a_config() -> None:
    """The dataclasses that are no PEFT configs are read in the same way."""
    assert fields_of(peft.LoraGAConfig, VERSION)["scale"].form == TEXTS
    assert fields_of(peft.EvaConfig, VERSION)["whiten"].form == SWITCH


def test_on_a_newer_release_there_is_doubt() -> None:
    """A release that nobody has verified may take a text before its annotation says so."""

    @dataclass
    class Config(LoraConfig):
        pass

    assert "newer than" in fields_of(Config, "99.0.0.dev0")["bias"].doubt
    assert fields_of(LoraConfig, VERSION)["bias"].doubt == ""


@pytest.mark.parametrize(
    ("version", "than", "newer"),
    [
        ("0.21.3", "0.21.2", True),
        ("0.22.0.dev0@UNKNOWN", "0.21.2", True),
        ("1.0", "0.21.2", True),
        ("0.21.2", "0.21.2", False),
        ("0.9.0", "0.21.2", False),
        ("?", "0.21.2", False),
        (None, "0.21.2", False),
        ("0.21.3", "main", False),
    ],
)
def test_newer(version: object, than: str, newer: bool) -> None:
    """Versions are compared as numbers; what is no version is not newer."""
    assert is_newer(version, than) is newer


# -- a user's own classes ---------------------------------------------------------------------------------------------


@dataclass
class Changed(LoraConfig):
    """Declares one field anew and adds one."""

    use_rslora: str = "no"  # type: ignore[assignment]
    mode: Literal["a", "b"] = "a"


class Undeclared(LoraConfig):
    """Sets another default, and has a property for a field."""

    bias = "some"  # type: ignore[assignment]

    @property
    def use_dora(self) -> bool:  # type: ignore[override]
        return True


def test_a_subclass_is_judged_by_what_it_inherits() -> None:
    """Fields that a user's class changes or adds are its own affair."""
    theirs = fields_of(LoraConfig, VERSION).keys()
    assert theirs - fields_of(Changed, VERSION).keys() == {"use_rslora"}
    assert theirs - fields_of(Undeclared, VERSION).keys() == {"bias", "use_dora"}
    assert fields_of(Changed, VERSION).keys() <= theirs


def test_a_foreign_class_has_none() -> None:
    """What is not PEFT's is never judged."""

    @dataclass
    class Mine:
        flag: bool = False

    assert fields_of(Mine, VERSION) == {} == fields_of(int, VERSION)


def test_a_class_that_raises_has_none() -> None:
    """A metaclass of the user's may do anything."""

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise RuntimeError(name)

    assert fields_of(Meta("Odd", (), {}), VERSION) == {}


def test_classes_are_not_kept_alive() -> None:
    """What was read of a class goes with it."""

    @dataclass
    class Config(LoraConfig):
        pass

    gone = weakref.ref(Config)
    assert fields_of(Config, VERSION)
    del Config
    gc.collect()
    assert gone() is None


# -- annotations ------------------------------------------------------------------------------------------------------


def _read(annotation: Any, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Any:
    """Return what is read of a field ``it`` of a class of PEFT's with this annotation."""
    module = types.ModuleType("peft.made_up")
    vars(module).update(Literal=Literal, Optional=Optional)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    made = dataclasses.make_dataclass("Made", [("it", annotation, dataclasses.field(**more))])
    made.__module__ = module.__name__
    return fields_of(made, VERSION).get("it")


@pytest.mark.parametrize(
    "annotation",
    ["OnlyForTypeCheckers", "Optional[Missing]", "bool |", "Optional[", 3, "1/0", Any, "int", "dict", "Optional[str]"],
)
def test_what_cannot_be_told_is_left_out(annotation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not there when the program runs, broken syntax, and types without a finite set."""
    assert _read(annotation, monkeypatch, default=None) is None


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("bool", (SWITCH, (), True, False)),
        ("Optional[bool]", (SWITCH, (), True, True)),
        ("Literal['a', 'b']", (TEXTS, ("a", "b"), False, False)),
        ("Literal['a', None]", (TEXTS, ("a",), False, True)),
        ("Literal['a', True]", (TEXTS, ("a",), True, False)),
        ("Optional[list]", (LIST, (), False, True)),
        ("list[str]", (LIST, (), False, False)),
    ],
)
def test_annotations(annotation: str, expected: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the ways to write a type come to."""
    kind = _read(annotation, monkeypatch, default=None)
    assert (kind.form, kind.texts, kind.takes_bool, kind.takes_none) == expected


@pytest.mark.parametrize(
    ("help_text", "texts"),
    [
        ("Can be 'none', 'all' or 'it_only'.", ("none", "all", "it_only")),
        ("Can be 'none', 'all'. If 'all', all. It's 'it_only' else", ("none", "all", "it_only")),
        ("Whether to train biases", None),
        ("Bias type. Can be 'none' or 'all'", ("none", "all")),  # DeloraConfig's on PEFT 0.18
        ("Can be 'none'", None),
        (None, None),
    ],
)
def test_biases_are_in_the_help(help_text: Optional[str], texts: object) -> None:
    """Where ``bias`` is declared ``str``, the help names its texts; where it does not, nothing is known."""
    declared = fields.Declared((), frozenset({"str"}), none=False)
    kind = fields.kind_of("Config", "bias", declared, "none", help_text)
    assert (kind and kind.texts) == texts
    assert fields.kind_of("Config", "revision", declared, "none", help_text) is None
