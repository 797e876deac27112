"""The rule at load, on facts alone."""

from __future__ import annotations

from typing import Any

import pytest

from peft_strict.roundtrip.loaded import Loaded, judge
from peft_strict.roundtrip.wrappers import Difference

NAMES = ("base_model.model.q.lora_A.weight", "base_model.model.q.lora_B.weight")
GOOD = Loaded("PeftModelForCausalLM", "LlamaForCausalLM", "default", "out", None, given=2, held=2)
LOST = GOOD._replace(unplaced=NAMES)


@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        (GOOD, []),
        (GOOD._replace(absent="score", bare="q", model_between="_orig_mod", said=True), []),
        (LOST, ["R1"]),
        (LOST._replace(unfilled=NAMES), ["R1"]),
        (GOOD._replace(unfilled=NAMES), ["R2"]),
        (GOOD._replace(unfilled=NAMES[:1]), ["R2"]),
        (GOOD._replace(unfilled=NAMES[:1], source=None), []),
        (GOOD._replace(unfilled=NAMES, source=None), ["R2"]),
    ],
    ids=["good", "good-beside-notes", "unplaced", "both", "unfilled", "part", "part-by-hand", "nothing-by-hand"],
)
def test_codes(facts: Loaded, codes: list[str]) -> None:
    """What has no place is told first, and what got no value with it: it is one loss. A part set by hand is none."""
    assert [loss.code for loss in judge(facts)] == codes


@pytest.mark.parametrize(
    ("change", "reason", "fix"),
    [
        (
            {"difference": Difference(more="module.")},
            "have `module.` in front, of DistributedDataParallel, and the model's have not",
            "{name.removeprefix('module.'): tensor",
        ),
        ({"difference": Difference(more="my.")}, "have `my.` in front, and", "{name.removeprefix('my.'): tensor"),
        (
            {"difference": Difference(less="my.")},
            "lack `my.` in front, which the model's have",
            "{'my.' + name: tensor",
        ),
        (
            {"difference": Difference(less="base_model.model.")},
            "twice in front, as PEFT is around it twice",
            "without get_peft_model",
        ),
        (
            {"difference": Difference(between="_orig_mod"), "file": "/out/adapter_model.safetensors"},
            "have `_orig_mod` (torch.compile) in between",
            "save_file({name.replace('_orig_mod.', ''): tensor for name, tensor in "
            "load_file('/out/adapter_model.safetensors').items()}, '/out/adapter_model.safetensors')",
        ),
        (
            {"difference": Difference(more="my."), "file": "/out/adapter_model.bin"},
            "have `my.` in front",
            "torch.save({name.removeprefix('my.'): tensor for name, tensor in "
            "torch.load('/out/adapter_model.bin', weights_only=True).items()}, '/out/adapter_model.bin')",
        ),
        (
            {"model_between": "_checkpoint_wrapped_module"},
            "the model's names have `_checkpoint_wrapped_module` (activation checkpointing) in between",
            "before the model is wrapped",
        ),
        (
            {"cut_out": ".a", "absent": "model.layer.0ttention"},
            "PEFT has cut `.a` out of their names, as the adapter was called 'a'",
            "with PEFT 0.18 or newer",
        ),
        ({"absent": "score"}, "LlamaForCausalLM has no `score`", "of the class that it was trained with"),
        (
            {"absent": "model.layers.3"},
            "LlamaForCausalLM has no `model.layers.3`",
            "into the model that it was trained on, which has `model.layers.3`.",
        ),
        (
            {"absent": "score", "task_type": "SEQ_CLS", "auto_class": "AutoModelForX"},
            "LlamaForCausalLM has no `score`",
            "trained with, which has `score`. Its task type, SEQ_CLS, is that of AutoModelForX.",
        ),
        ({"bare": "model.q"}, "`model.q` has no adapter of this kind", "If its config here is not the one"),
        (
            {"whole": True, "bare": "model.q.lora_A.default"},
            "PEFT puts the adapter's name into theirs, which have `default` in them already",
            "model.load_state_dict(state_dict, strict=False)",
        ),
        (
            {"whole": True, "file": "/out/adapter_model.bin"},
            "which have `default` in them already",
            "model.load_state_dict(torch.load('/out/adapter_model.bin', weights_only=True), strict=False)",
        ),
        (
            {"replaced": True},
            "the model's `state_dict` has been replaced, and PEFT looks for the places by the names in it",
            "del model.state_dict",
        ),
        ({}, "have no place in the model", "If its config here is not the one"),
    ],
    ids=str,
)
def test_the_reason_and_the_cure(change: dict[str, Any], reason: str, fix: str) -> None:
    """Where the reason is known it is named, and the advice is for it; the source and the names are there."""
    (loss,) = judge(LOST._replace(**change))
    first = loss.message.splitlines()[0]
    assert first.startswith(
        "peft-strict R1: PeftModelForCausalLM, adapter 'default': 2 of the 2 tensors of out have no place in the "
        f"model (`{NAMES[0]}`, `{NAMES[1]}`)"
    )
    assert reason in first
    assert fix in loss.fix
    assert loss.keys == NAMES


def test_what_is_left_empty() -> None:
    """Tensors without a value are counted beside those without a place, or alone."""
    both = judge(LOST._replace(unfilled=NAMES[:1]))[0].message
    assert "; 1 of 2 tensors of the adapter gets no value and stays as before." in both
    alone = judge(GOOD._replace(unfilled=NAMES))[0]
    assert "2 of 2 tensors of the adapter get no value and stay as before (`base" in alone.message
    empty = judge(GOOD._replace(unfilled=NAMES, given=0))[0]
    assert "stay as before, as out holds no tensor (" in empty.message
    nameless = judge(GOOD._replace(unfilled=NAMES, given=0, source=None))[0]
    assert "as what was given holds no tensor" in nameless.message


def test_what_others_say() -> None:
    """PEFT says by itself what got no value, not what has no place; some libraries say both."""
    assert not judge(LOST._replace(missing_said=True))[0].said
    assert judge(LOST._replace(said=True))[0].said
    assert judge(LOST._replace(told=True))[0].said
    assert judge(GOOD._replace(unfilled=NAMES, missing_said=True))[0].said
    assert not judge(GOOD._replace(unfilled=NAMES))[0].said
