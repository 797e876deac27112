"""The rule at save, on facts alone."""

from __future__ import annotations

from typing import Any

import pytest

from peft_strict.roundtrip.saved import Saved, judge
from peft_strict.roundtrip.wrappers import Difference

NAMES = ("base_model.model.q.lora_A.weight", "base_model.model.q.lora_B.weight")
GOOD = Saved("PeftModelForCausalLM", "default", NAMES, written=2)
NONE = GOOD._replace(written=0)


@pytest.mark.parametrize(
    ("facts", "codes"),
    [
        (GOOD, []),
        (GOOD._replace(between="_orig_mod", unloaded=True, sharded=True), []),
        (NONE, ["K1"]),
        (NONE._replace(missing=NAMES, hollow=("x",), loose=("y",)), ["K1"]),
        (NONE._replace(expected=()), []),
        (NONE._replace(expected=(), unloaded=True), ["K1"]),
        (NONE._replace(passed=0), ["K1"]),
        (NONE._replace(passed=0, sharded=True), []),
        (NONE._replace(passed=8, sharded=True), ["K1"]),
        (GOOD._replace(hollow=NAMES[:1], missing=NAMES[1:]), ["K2"]),
        (GOOD._replace(missing=NAMES[:1]), ["K3"]),
        (GOOD._replace(loose=("lm_head.weight",)), ["K4"]),
        (GOOD._replace(missing=NAMES[:1], loose=("lm_head.weight",)), ["K3", "K4"]),
    ],
    ids=str,
)
def test_codes(facts: Saved, codes: list[str]) -> None:
    """Nothing written says it all; of empty and missing tensors the first counts; what else is trained comes too."""
    assert [loss.code for loss in judge(facts)] == codes


@pytest.mark.parametrize(
    ("change", "reason", "fix"),
    [
        ({"passed": 0}, "the state dict that was passed is empty", "accelerator.get_state_dict"),
        ({"passed": 8}, "the state dict that was passed has none of them", "leave state_dict out"),
        (
            {"between": "_checkpoint_wrapped_module"},
            "where `_checkpoint_wrapped_module` (activation checkpointing) is in between",
            "gradient_checkpointing=True",
        ),
        (
            {"between": "_fsdp_wrapped_module", "passed": 8},
            "where `_fsdp_wrapped_module` (FSDP) is in between",
            "Use FSDP 2 (fsdp_version=2)",
        ),
        (
            {"between": "_checkpoint_wrapped_module", "passed": 8},
            "where `_checkpoint_wrapped_module` (activation checkpointing) is in between",
            "gradient_checkpointing=True",
        ),
        ({"between": "_orig_mod"}, "where `_orig_mod` (torch.compile) is in between", "before it is wrapped"),
        (
            {"passed": 8, "difference": Difference(more="module.")},
            "start with `module.`, from the state dict of DistributedDataParallel",
            "name.removeprefix('module.')",
        ),
        ({"passed": 8, "difference": Difference(more="my.")}, "start with `my.`.", "name.removeprefix('my.')"),
        (
            {"passed": 8, "difference": Difference(less="base_model.model.")},
            "lack `base_model.model.` in front",
            "{'base_model.model.' + name: tensor",
        ),
        (
            {"passed": 8, "difference": Difference(between="_orig_mod")},
            "have `_orig_mod` (torch.compile) in between",
            "leave state_dict out",
        ),
        (
            {"replaced": True},
            "PEFT takes them from the model's `state_dict`, which has been replaced",
            "del model.state_dict",
        ),
        (
            {"replaced": True, "between": "_orig_mod"},
            "where `_orig_mod` (torch.compile) is in between",
            "before it is wrapped",
        ),
        ({}, "none of its 2 tensors will be in the file.", "before it is wrapped"),
    ],
    ids=str,
)
def test_the_reason_and_the_cure(change: dict[str, Any], reason: str, fix: str) -> None:
    """Where the reason is known it is named, and the advice is for it."""
    (loss,) = judge(NONE._replace(**change))
    first, *advice = loss.message.splitlines()
    assert first.startswith("peft-strict K1: PeftModelForCausalLM, adapter 'default': none of its 2 tensors ")
    assert reason in first
    assert fix in loss.fix
    assert [line.strip() for line in advice] == [line.strip() for line in loss.fix.splitlines()]
    assert loss.keys == NAMES


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({}, "state_dict=accelerator.get_state_dict(wrapped), is_main_process=accelerator.is_main_process"),
        (
            {"sharded": True},
            "GatheredParameters([each for name, each in model.named_parameters() if '.default' in name])",
        ),
        ({"sharded": True, "hollow": (*NAMES, "base_model.model.wte.weight")}, "(list(model.parameters()))"),
        ({"sharded": True, "hollow": (), "missing": NAMES[:1], "passed": 1}, "'.default' in name])"),
    ],
    ids=["fsdp", "adapter", "embedding", "missing"],
)
def test_the_advice_for_tensors_without_elements(change: dict[str, Any], advice: str) -> None:
    """What is gathered is what is written: of DeepSpeed's parameters those of the adapter, if there are no others."""
    (loss,) = judge(GOOD._replace(**{"hollow": NAMES, **change}))
    assert advice in loss.fix
    assert ("with deepspeed" in loss.fix) is ("sharded" in change)


def test_a_rival_adapter() -> None:
    """An adapter that is named like a module is named, and is to get another name."""
    (loss,) = judge(GOOD._replace(missing=NAMES[:1], rivals=("q",)))
    assert "(`base_model.model.q.lora_A.weight`): PEFT takes them for tensors of the adapter 'q'" in loss.message
    assert loss.fix == "Give the adapter 'q' a name that no module of the model has."
    (loss,) = judge(NONE._replace(rivals=("0", "1")))
    assert (
        "in the file: PEFT takes them for tensors of the adapters '0', '1', whose names are in theirs." in loss.message
    )
    assert loss.fix == "Give the adapters '0', '1' names that no module of the model has."


def test_what_peft_has_said() -> None:
    """Tensors without elements that PEFT warns of are said already."""
    assert judge(GOOD._replace(hollow=NAMES, warned=True))[0].said
    assert not judge(GOOD._replace(hollow=NAMES))[0].said


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        ({}, 'modules_to_save=["lm_head", "model.norm"]'),
        ({"listed": ("score", "lm_head")}, 'modules_to_save=["score", "lm_head", "model.norm"]'),
        ({"listed": None}, None),
        ({"loose": ("base_model.model.q.base_layer.weight",)}, None),
        ({"loose": ("base_model.model._orig_mod.norm.weight",)}, 'modules_to_save=["norm"]'),
        ({"loose": ("base_model.model.scale",), "nameless": True}, None),
        (
            {"loose": ("base_model.model.attn.in_proj_weight", "base_model.model.attn.out_proj.weight")},
            'modules_to_save=["attn"]',
        ),
        (
            {"also": {"lm_head": "my_lm_head"}},
            'modules_to_save=["lm_head", "model.norm"] (rename `lm_head` before: "lm_head" also reaches `my_lm_head`)',
        ),
    ],
    ids=["plain", "listed", "no-field", "adapted-layer", "wrapper", "nameless", "nested", "also"],
)
def test_the_advice_for_loose_parameters(change: dict[str, Any], fix: Any) -> None:
    """Modules are named as `modules_to_save` takes them, beside what it has; not for a layer that has an adapter."""
    loose = ("base_model.model.lm_head.weight", "base_model.model.model.norm.weight")
    (loss,) = judge(GOOD._replace(**{"loose": loose, **change}))
    assert (f"Write {fix} in the config" in loss.fix) == (fix is not None)
    assert ("modules_to_save" in loss.fix) == (fix is not None)
    assert 'message="peft-strict K4"' in loss.fix
