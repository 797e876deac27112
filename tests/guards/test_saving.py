"""What is reported at save, with the damage made for real; and the same scenes in order, where nothing is."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import torch.distributed.fsdp
from safetensors.torch import load_file
from torch import nn

import peft_strict
from peft_strict import RoundTripError, RoundTripWarning

from ..interpreters import REPOSITORY
from ..outcomes import reports
from ..roundtrip.scenes import (
    FRONT,
    adapted,
    checkpointed,
    classifier,
    compiled,
    language_model,
    lora,
    tensors,
    unreadable,
)
from ..torch_build import compiles

pytestmark = [
    pytest.mark.filterwarnings("ignore:Could not find a config file"),  # of PEFT up to 0.20, for models without a name
    pytest.mark.usefixtures("unread"),
]

PICKS_BY_PATH = hasattr(peft.tuners.tuners_utils.BaseTuner, "_get_adapter_state_dict")  # since 0.21
by_transformers = pytest.mark.skipif(
    importlib.util.find_spec("peft.utils.transformers_weight_conversion") is None,
    reason="this transformers wants a newer PEFT",
)
by_path = pytest.mark.skipif(not PICKS_BY_PATH, reason="PEFT before 0.21 picks the tensors by their names alone")


def codes(save: Callable[[], Any]) -> list[str]:
    """Return the codes that saving reports, and check that each is a warning at a line of this file."""
    with reports() as found:
        save()
    assert all(each.category is RoundTripWarning and each.filename == __file__ for each in found)
    return [each.message.code for each in found]  # type: ignore[union-attr]


def renamed(model: Any, change: Callable[[str], str]) -> dict[str, Any]:
    return {change(name): tensor for name, tensor in model.state_dict().items()}


# -- nothing is written -----------------------------------------------------------------------------------------------


@by_path
@pytest.mark.usefixtures("strict")
def test_activation_checkpointing(tmp_path: Path) -> None:
    """A wrapper that puts its name between the modules leaves the file empty, and is named."""
    model = checkpointed(adapted())
    with reports() as found:
        model.save_pretrained(tmp_path)
    assert not tensors(tmp_path)
    message = str(found[0].message)
    assert message.startswith("peft-strict K1: PeftModelForCausalLM, adapter 'default': none of its 8 tensors")
    assert "`_checkpoint_wrapped_module` (activation checkpointing)" in message


@by_path
@pytest.mark.usefixtures("strict")
def test_the_advice_for_activation_checkpointing(tmp_path: Path) -> None:
    """What the message has one run saves what was trained; and a model that checkpoints by itself saves it anyway."""
    model = checkpointed(adapted())
    with reports() as found:
        model.save_pretrained(tmp_path)
    lines = str(found[0].message).splitlines()
    exec("\n".join(line[2:] for line in lines if line.startswith(("  for ", "      "))), {"model": model})
    assert codes(lambda: model.save_pretrained(tmp_path)) == []
    assert len(tensors(tmp_path)) == 8
    own = adapted()
    own.gradient_checkpointing_enable()
    assert codes(lambda: own.save_pretrained(tmp_path)) == []


@by_path
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name: f"module.{name}", "start with `module.`, from the state dict of DistributedDataParallel"),
        (lambda name: f"model.{name}", "start with `model.`, from the state dict of a LightningModule"),
        (lambda name: f"_orig_mod.{name}", "start with `_orig_mod.`, from the state dict of a compiled model"),
        (lambda name: name[len(FRONT) :], f"lack `{FRONT}` in front"),
    ],
    ids=["ddp", "lightning", "compiled", "bare"],
)
@pytest.mark.usefixtures("strict")
def test_foreign_names(tmp_path: Path, change: Callable[[str], str], said: str) -> None:
    """A state dict whose names are not the model's leaves the file empty; the advice, followed, fills it."""
    model = adapted()
    state_dict = renamed(model, change)
    with reports() as found:
        model.save_pretrained(tmp_path, state_dict=state_dict)
    assert not tensors(tmp_path)
    message = str(found[0].message)
    assert said in message
    written = message.partition("Write state_dict=")[2].partition(", or leave")[0]
    mended = eval(written, {"state_dict": state_dict})
    assert codes(lambda: model.save_pretrained(tmp_path, state_dict=mended)) == []
    assert len(tensors(tmp_path)) == 8


@pytest.mark.usefixtures("strict")
def test_a_replaced_state_dict(tmp_path: Path) -> None:
    """Scripts for PEFT 0.2 put a `state_dict` onto the model, out of which later ones up to 0.20 save nothing."""
    model = adapted()
    whole = model.state_dict
    model.state_dict = lambda: peft.get_peft_model_state_dict(model, whole())
    with reports() as found:
        model.save_pretrained(tmp_path)
    assert bool(found) != bool(tensors(tmp_path))
    if found:
        message = str(found[0].message)
        assert message.startswith("peft-strict K1")
        assert "PEFT takes them from the model's `state_dict`, which has been replaced." in message
        exec(found[0].message.fix.partition(": ")[2], {"model": model})
        assert codes(lambda: model.save_pretrained(tmp_path)) == []
        assert len(tensors(tmp_path)) == 8


@pytest.mark.usefixtures("strict")
def test_nothing_was_gathered(tmp_path: Path) -> None:
    """An empty state dict that is about to be written is told of; on a rank that writes nothing it is not."""
    model = adapted()
    assert codes(lambda: model.save_pretrained(tmp_path, state_dict={}, is_main_process=False)) == []
    with reports() as found:
        model.save_pretrained(tmp_path, state_dict={})
    assert "the state dict that was passed is empty" in str(found[0].message)
    assert not tensors(tmp_path)


@pytest.mark.usefixtures("strict")
def test_a_stand_in_for_what_deepspeed_saves(tmp_path: Path) -> None:
    """transformers writes an empty file on purpose where DeepSpeed has the weights, and says so."""
    model = adapted()
    for parameter in model.parameters():
        parameter.ds_id = 0  # type: ignore[attr-defined]  # what ZeRO-3 marks the parameters with that it has spread
    assert codes(lambda: model.save_pretrained(tmp_path, state_dict={})) == []


@pytest.mark.usefixtures("strict")
def test_a_disabled_adaption_prompt(tmp_path: Path) -> None:
    """PEFT takes it out of the model while it is disabled, and saves nothing; afterwards it saves all."""
    config = peft.AdaptionPromptConfig(task_type="CAUSAL_LM", adapter_len=4, adapter_layers=1)
    try:
        model = peft.get_peft_model(language_model(), config)
    except AttributeError:
        pytest.skip("this PEFT does not know the attention of this transformers")
    with model.disable_adapter(), reports() as found:
        model.save_pretrained(tmp_path)
    assert not tensors(tmp_path)
    assert "where it is disabled.\n  Save it where it is the active one" in str(found[0].message)
    assert codes(lambda: model.save_pretrained(tmp_path)) == []
    assert tensors(tmp_path)


@pytest.mark.usefixtures("strict")
def test_merged_in_vain(tmp_path: Path) -> None:
    """Saving a model whose adapter was merged, in place of what merging returned, writes nothing; the latter all."""
    model = adapted()
    merged = model.merge_and_unload()
    with reports() as found:
        model.save_pretrained(tmp_path / "adapter")
    assert not tensors(tmp_path / "adapter")
    assert "has been merged or unloaded" in str(found[0].message)
    assert "merged.save_pretrained" in str(found[0].message)
    assert codes(lambda: merged.save_pretrained(tmp_path / "whole")) == []
    assert "lm_head.weight" in load_file(tmp_path / "whole" / "model.safetensors")


@by_path
@pytest.mark.usefixtures("strict")
def test_models_with_adapters_of_transformers(tmp_path: Path) -> None:
    """`model.add_adapter` models are saved by transformers, and looked at all the same."""
    model = language_model()
    model.add_adapter(lora())
    assert codes(lambda: model.save_pretrained(tmp_path)) == []
    assert codes(lambda: checkpointed(model).save_pretrained(tmp_path)) == ["K1"]
    assert codes(lambda: model.save_pretrained(tmp_path, is_main_process=False, state_dict={})) == []


@by_path
@compiles
@pytest.mark.usefixtures("strict")
def test_the_function_itself(tmp_path: Path) -> None:
    """Scripts that call PEFT's function and write what it returns are told as well, whatever they imported it from."""
    from peft import get_peft_model_state_dict
    from peft.utils.save_and_load import get_peft_model_state_dict as defined

    model = checkpointed(adapted())
    assert codes(lambda: get_peft_model_state_dict(model)) == ["K1"]
    assert codes(lambda: defined(model=model, adapter_name="default")) == ["K1"]
    assert codes(lambda: get_peft_model_state_dict(torch.compile(adapted()), unwrap_compiled=True)) == []


@by_path
def test_two_ranks() -> None:
    """Under FSDP the rank that writes tells of an empty file; the other rank, whose state dict is empty, never.

    FSDP 1 leaves its name between the modules where it wraps the layers one by one; the advice, followed, fills the
    file.
    """
    command = [sys.executable, "-m", "tests.roundtrip.two_ranks"]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # one GPU is one rank
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env, cwd=REPOSITORY)
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "fsdp2": [[], [], 8],
        "fsdp2, checkpointing": [["K1"], [], 0],
        "fsdp1": [[], [], 8],
        "fsdp1, layers": [["K1"], [], 0],
        "fsdp1, layers, rescued": [[], [], 8],
        "fsdp1, layers, checkpointing, rescued": [[], [], 8],
    }


# -- part of it is written --------------------------------------------------------------------------------------------


@pytest.fixture(name="one_rank")
def _one_rank() -> Iterator[None]:
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:FSDP is switching", "ignore:When using ``NO_SHARD``", "ignore:Please use DTensor")
@by_path
@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(
    "config",
    [
        pytest.param(lambda: lora(modules_to_save=["lm_head"]), id="saved whole"),
        pytest.param(
            lambda: peft.TinyLoraConfig(r=2, u=4, target_modules=["q_proj"]), id="one tensor of several layers"
        ),
    ],
)
def test_within_fsdp(one_rank: None, config: Callable[[], peft.PeftConfig]) -> None:
    """Names that PEFT finds without the part of the FSDP that is around the whole model are written."""
    model = peft.get_peft_model(language_model(), config())
    whole = set(peft.get_peft_model_state_dict(model))
    wrapped = torch.distributed.fsdp.FullyShardedDataParallel(
        model, use_orig_params=True, device_id=torch.device("cpu")
    )
    assert codes(lambda: peft.get_peft_model_state_dict(wrapped)) == []
    assert set(peft.get_peft_model_state_dict(wrapped)) == whole


@pytest.mark.usefixtures("strict")
def test_tensors_without_elements(tmp_path: Path) -> None:
    """A part of a sharded parameter that was not gathered is told of where PEFT does not do it."""
    model = adapted()
    hollow = {name: each[:0] if "lora_A" in name else each for name, each in model.state_dict().items()}
    assert codes(lambda: model.save_pretrained(tmp_path, state_dict=hollow)) == ["K2"]
    for name, parameter in model.named_parameters():
        if "layers.0" in name and "lora_A" in name:
            parameter.data = torch.empty(0)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.save_pretrained(tmp_path)
    said = [str(each.message) for each in found if "gathered" in str(each.message)]
    assert len(said) == 1
    assert said[0].startswith("peft-strict K2") != PICKS_BY_PATH  # 0.21 warns by itself


@pytest.mark.usefixtures("strict")
def test_a_layer_that_was_pruned_away(tmp_path: Path) -> None:
    """AdaLoRA takes all ranks from layers that matter least: their tensors have no elements, and nothing is lost."""
    steps = {"init_r": 2, "target_r": 1, "tinit": 0, "tfinal": 0, "deltaT": 1, "total_step": 2}
    model = peft.get_peft_model(
        language_model(), peft.AdaLoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"], **steps)
    )
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data.fill_(float("q_proj" in name))
            parameter.grad = torch.ones_like(parameter)
    for step in range(3):
        model.base_model.update_and_allocate(step)
    assert codes(lambda: model.save_pretrained(tmp_path)) == []
    assert any(tensor.numel() == 0 for tensor in tensors(tmp_path).values())
    assert codes(lambda: peft.PeftModel.from_pretrained(language_model(), tmp_path)) == []


@pytest.mark.usefixtures("strict")
def test_an_adapter_named_like_a_module(tmp_path: Path) -> None:
    """PEFT leaves out the tensors whose names have the name of another adapter in them (peft #3584)."""
    model = adapted(target_modules=["q_proj", "up_proj"])
    model.add_adapter("mlp", lora())
    with reports() as found:
        model.save_pretrained(tmp_path, selected_adapters=["default"])
    if len(tensors(tmp_path)) == 8:
        assert not found
        pytest.skip("this PEFT does not leave them out")
    assert [each.message.code for each in found] == ["K3"]  # type: ignore[union-attr]
    assert "4 of its 8 tensors" in str(found[0].message)
    assert "adapter 'mlp'" in str(found[0].message)
    other = adapted(target_modules=["q_proj", "up_proj"])
    other.add_adapter("second", lora())
    assert codes(lambda: other.save_pretrained(tmp_path)) == []


@pytest.mark.usefixtures("strict")
def test_an_adapter_named_like_a_tensor(tmp_path: Path) -> None:
    """So it is where the name of the other adapter is the last part of theirs."""
    layer = lora(task_type=None, target_modules=["0"])
    model = peft.get_peft_model(nn.Sequential(nn.Linear(2, 2)), layer)
    model.add_adapter("weight", layer)
    with reports() as found:
        model.save_pretrained(tmp_path, selected_adapters=["default"])
    if tensors(tmp_path):
        assert not found
        pytest.skip("this PEFT does not leave them out")
    assert "Give the adapter 'weight' a name that no module of the model has." in str(found[0].message)


@pytest.mark.usefixtures("strict")
def test_adapters_named_by_numbers(tmp_path: Path) -> None:
    """Where each layer has the name of another adapter nothing is left, and all of these adapters are named."""
    model = peft.get_peft_model(language_model(), lora(), adapter_name="2")
    model.add_adapter("0", lora())
    model.add_adapter("1", lora())
    with reports() as found:
        model.save_pretrained(tmp_path, selected_adapters=["2"])
    if tensors(tmp_path / "2"):
        pytest.skip("this PEFT does not leave them out")
    assert [each.message.code for each in found] == ["K1"]  # type: ignore[union-attr]
    assert "Give the adapters '0', '1' names that no module of the model has." in str(found[0].message)


@pytest.mark.usefixtures("strict")
def test_a_state_dict_without_an_adapter(tmp_path: Path) -> None:
    """PEFT 0.21 writes those of another adapter where none of its own are passed, as the Trainer does under ZeRO-3."""
    model = adapted()
    model.add_adapter("second", lora())
    passed = {name: tensor for name, tensor in model.state_dict().items() if ".default." in name}
    with reports() as found:
        model.save_pretrained(tmp_path, state_dict=passed)
    assert len(tensors(tmp_path)) == 8
    assert not {name for name in tensors(tmp_path / "second") if ".default." not in name}
    (said,) = map(str, (each.message for each in found))
    assert said.startswith(f"peft-strict {'K3' if tensors(tmp_path / 'second') else 'K1'}: ")
    assert "adapter 'second'" in said
    assert "the state dict that was passed has none of them" in said


@by_path
@pytest.mark.usefixtures("strict")
def test_some_layers_are_wrapped(tmp_path: Path) -> None:
    """Where a wrapper is around some of the layers only, the others are written and these are told."""
    model = checkpointed(adapted(target_modules=["q_proj", "lm_head"]))
    with reports() as found:
        model.save_pretrained(tmp_path, save_embedding_layers=False)
    assert len(tensors(tmp_path)) == 2
    assert [each.message.code for each in found] == ["K3"]  # type: ignore[union-attr]
    assert "4 of its 6 tensors" in str(found[0].message)
    assert "`_checkpoint_wrapped_module` (activation checkpointing)" in str(found[0].message)


# -- trained, and not part of the adapter -----------------------------------------------------------------------------


@pytest.mark.usefixtures("strict")
def test_unfrozen_by_hand(tmp_path: Path) -> None:
    """A layer that is unfrozen by hand is in no file; as `modules_to_save` it is."""
    model = adapted()
    model.base_model.model.model.norm.requires_grad_(True)
    with reports() as found:
        model.save_pretrained(tmp_path)
    assert [each.message.code for each in found] == ["K4"]  # type: ignore[union-attr]
    assert 'modules_to_save=["model.norm"]' in str(found[0].message)
    assert codes(lambda: adapted(modules_to_save=["model.norm"]).save_pretrained(tmp_path)) == []
    assert any("norm" in name for name in tensors(tmp_path))


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")  # PEFT's, which is another matter
@pytest.mark.usefixtures("strict")
def test_tied_to_what_is_saved_whole(tmp_path: Path) -> None:
    """While adapters are disabled PEFT up to 0.18 unfreezes the untrained head, and the embedding tied to it."""
    model = peft.get_peft_model(language_model(tie_word_embeddings=True), lora(modules_to_save=["lm_head"]))
    with model.disable_adapter():
        model.base_model.model.lm_head.original_module.requires_grad_(True)
        assert model.get_input_embeddings().weight.requires_grad
        assert codes(lambda: model.save_pretrained(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "module", "advice"),
    [
        ("scale", nn.Parameter(torch.ones(1)), ""),
        ("prompts", nn.ParameterList([nn.Parameter(torch.ones(1))]), ""),
        ("attention", nn.MultiheadAttention(16, 2), '  Write modules_to_save=["attention"] in the config'),
        (
            "out",
            nn.Linear(2, 2),
            '(rename `out` before: "out" also reaches `model.layers.0.self_attn.q_proj.lora_dropout`)',
        ),
        ("proj", nn.Linear(2, 2), '(rename `proj` before: "proj" also reaches `model.layers.0.self_attn.q_proj`)'),
    ],
)
@pytest.mark.usefixtures("strict")
def test_unfrozen_where_peft_could_not_save_it(tmp_path: Path, name: str, module: Any, advice: str) -> None:
    """Only that is advised for `modules_to_save` which PEFT can save, and without reaching other modules as well."""
    model = adapted()
    setattr(model.base_model.model, name, module)
    with reports() as found:
        model.save_pretrained(tmp_path)
    assert [each.message.code for each in found] == ["K4"]  # type: ignore[union-attr]
    assert advice in str(found[0].message)
    assert ("modules_to_save" in str(found[0].message)) == bool(advice)


@pytest.mark.usefixtures("strict")
def test_put_onto_the_wrapper(tmp_path: Path) -> None:
    """A module that is put onto the `PeftModel` is in no file, and no name for `modules_to_save` reaches it."""
    model = adapted()
    model.router = nn.Linear(2, 2)
    with reports() as found:
        model.save_pretrained(tmp_path)
    assert [each.message.code for each in found] == ["K4"]  # type: ignore[union-attr]
    assert "`router.weight`, `router.bias` require gradients" in str(found[0].message)
    assert "modules_to_save" not in str(found[0].message)
    model.router.requires_grad_(False)
    assert codes(lambda: model.save_pretrained(tmp_path)) == []


@by_transformers
@pytest.mark.usefixtures("strict")
def test_unfrozen_in_a_model_of_transformers(tmp_path: Path) -> None:
    """The same through `model.add_adapter`; not where only the tensors are asked for, which may be put beside."""
    model = language_model()
    model.add_adapter(lora())
    model.lm_head.requires_grad_(True)
    assert codes(lambda: model.save_pretrained(tmp_path)) == ["K4"]
    assert codes(lambda: model.get_adapter_state_dict()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"bias": "all"},
        {"bias": "lora_only"},
        {"modules_to_save": ["lm_head"]},
        pytest.param(
            {"use_dora": True},
            marks=pytest.mark.skipif(not hasattr(peft.LoraConfig, "use_dora"), reason="this PEFT has no DoRA"),
        ),
    ],
    ids=str,
)
@pytest.mark.usefixtures("strict")
def test_what_the_config_trains_is_saved(tmp_path: Path, arguments: dict[str, Any]) -> None:
    """Biases and whole modules that the config has PEFT train are in the file; another adapter's are in its own."""
    model = peft.get_peft_model(language_model(attention_bias=True), lora(**arguments))
    found = codes(lambda: model.save_pretrained(tmp_path))
    are_trained = any("bias" in name and each.requires_grad for name, each in model.named_parameters())
    if are_trained and not any("bias" in name for name in tensors(tmp_path)):
        assert (arguments, found) == ({"bias": "lora_only"}, ["K4"])  # so PEFT 0.9 to 0.20 does
        return
    assert found == []
    model.add_adapter("second", lora())
    assert codes(lambda: model.save_pretrained(tmp_path)) == []
    if "bias" not in arguments:  # PEFT warns of it then
        with model.disable_adapter():
            assert codes(lambda: model.save_pretrained(tmp_path)) == []


@pytest.mark.usefixtures("off")
def test_a_head_that_was_reported_before(tmp_path: Path) -> None:
    """Where H2 has said that the head will not be saved, K4 does not say it again, but says what else is not."""
    peft_strict.enable()
    with reports() as found:
        model = peft.get_peft_model(classifier(), lora(task_type=None))
    assert [each.message.code for each in found] == ["H2"]  # type: ignore[union-attr]
    model.base_model.model.score.requires_grad_(True)
    assert codes(lambda: model.save_pretrained(tmp_path)) == []
    model.base_model.model.model.norm.requires_grad_(True)
    assert codes(lambda: model.save_pretrained(tmp_path)) == ["K4"]
    peft_strict.enable(misfit="ignore")
    other = peft.get_peft_model(classifier(), lora(task_type=None))
    other.base_model.model.score.requires_grad_(True)
    assert codes(lambda: other.save_pretrained(tmp_path)) == ["K4"]


# -- what is right ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda model: compiled(model.base_model.model) and model, marks=compiles, id="compiled-layers"),
        pytest.param(lambda model: model, id="plain"),
        pytest.param(lambda model: model.half(), id="half"),
        pytest.param(lambda model: torch.compile(model), marks=compiles, id="compiled"),
    ],
)
@pytest.mark.usefixtures("strict")
def test_quiet(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    """A save that loses nothing is not commented on, and has all tensors."""
    model = change(adapted())
    assert codes(lambda: model.save_pretrained(tmp_path)) == []
    assert len(tensors(tmp_path)) == 8


# -- the setting ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("off")
def test_raise(tmp_path: Path) -> None:
    """With `roundtrip="raise"` the error comes before anything is written, and has what it says as attributes."""
    model = adapted()
    peft_strict.enable(roundtrip="raise")
    with pytest.raises(RoundTripError) as caught:
        model.save_pretrained(tmp_path / "here", state_dict={})
    assert not (tmp_path / "here").exists()
    error = caught.value
    assert (error.code, error.model_class, error.source) == ("K1", "PeftModelForCausalLM", str(tmp_path / "here"))
    assert error.keys[0] == "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    assert str(error).endswith(error.fix.splitlines()[-1])
    printed = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    assert printed.count("/peft_strict/") <= 2
    model.save_pretrained(tmp_path / "here")
    assert len(tensors(tmp_path / "here")) == 8


@pytest.mark.usefixtures("off")
def test_raise_is_not_taken_for_another_error(tmp_path: Path) -> None:
    """Answered by an empty file, as by the Trainer under DeepSpeed, a refusal comes again; by a whole one, not."""
    model = adapted()
    for parameter in model.parameters():
        parameter.ds_id = 0  # type: ignore[attr-defined]
    half = {name: tensor for name, tensor in model.state_dict().items() if "lora_A" in name}
    peft_strict.enable(roundtrip="raise")

    def save_or(second: dict[str, torch.Tensor]) -> None:
        try:
            model.save_pretrained(tmp_path, state_dict=half)
        except ValueError:
            model.save_pretrained(tmp_path, state_dict=second)

    with pytest.raises(RoundTripError, match="peft-strict K3"):
        save_or({})
    save_or(model.state_dict())
    assert len(tensors(tmp_path)) == 8


@pytest.mark.usefixtures("off")
def test_raise_asks_a_soft_prompt_once(tmp_path: Path) -> None:
    """What PEFT saves of it is made by a call of its embedding, which ranks may have to make together."""
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    model = peft.get_peft_model(language_model(), config)
    calls = []
    model.prompt_encoder["default"].register_forward_hook(lambda *_: calls.append(1))
    peft_strict.enable(roundtrip="raise")
    model.save_pretrained(tmp_path, state_dict=model.state_dict())
    assert calls == [1]


@pytest.mark.usefixtures("off")
def test_raise_in_the_function_itself() -> None:
    """The same where PEFT's function is called alone."""
    model = adapted()
    peft_strict.enable(roundtrip="raise")
    with pytest.raises(RoundTripError, match="peft-strict K1"):
        peft.get_peft_model_state_dict(model, {})


@pytest.mark.usefixtures("off")
def test_calls_that_peft_refuses(tmp_path: Path) -> None:
    """What PEFT raises by itself is raised, whatever the setting."""
    model = adapted()
    (tmp_path / "file").touch()
    peft_strict.enable(roundtrip="raise")
    with pytest.raises(ValueError, match="invalid `selected_adapters`"):
        model.save_pretrained(tmp_path, selected_adapters=["no-such"])
    with pytest.raises(ValueError, match="should be a directory"):
        model.save_pretrained(tmp_path / "file")
    with pytest.raises(TypeError):
        model.save_pretrained()
    with pytest.raises(KeyError):
        peft.get_peft_model_state_dict(model, adapter_name="no-such")


@pytest.mark.parametrize("quiet", ["ignore", "suspended", "filter", "off"])
@pytest.mark.usefixtures("off")
def test_switched_off(tmp_path: Path, quiet: str) -> None:
    """`roundtrip="ignore"`, a suspended block, a filter for one code and `disable()` each keep it quiet."""
    peft_strict.enable(roundtrip="ignore" if quiet == "ignore" else "warn")
    if quiet == "off":
        peft_strict.disable()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        if quiet == "filter":
            warnings.filterwarnings("ignore", message="peft-strict K1")
        with peft_strict.suspended() if quiet == "suspended" else contextlib.nullcontext():
            adapted().save_pretrained(tmp_path, state_dict={})
    assert not [each for each in found if isinstance(each.message, peft_strict.PeftStrictWarning)]


@pytest.mark.usefixtures("strict")
def test_a_filter_that_makes_errors(tmp_path: Path) -> None:
    """Where warnings are errors, this one is, with its code."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RoundTripWarning)
        with pytest.raises(RoundTripWarning) as caught:
            adapted().save_pretrained(tmp_path, state_dict={})
    assert caught.value.code == "K1"


@pytest.mark.usefixtures("strict")
def test_one_loss_is_told_once(tmp_path: Path) -> None:
    """Python's own filter shows the same loss at the same line once, however many checkpoints are saved."""
    model = adapted()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for number in range(3):
            model.save_pretrained(tmp_path / str(number), state_dict={})
    assert len([each for each in found if isinstance(each.message, RoundTripWarning)]) == 1


@pytest.mark.usefixtures("strict")
def test_a_model_that_cannot_be_read(tmp_path: Path, unread: list[str]) -> None:
    """No save fails for what we make of a model."""
    model = unreadable(adapted())
    with reports() as found:
        model.save_pretrained(tmp_path, state_dict={})
    assert not found
    assert unread.pop()


@pytest.mark.usefixtures("strict")
def test_threads_do_not_share_a_save(tmp_path: Path) -> None:
    """What one thread saves as a rank that writes nothing says nothing about another thread's save."""
    model, inside, done = adapted(), threading.Event(), threading.Event()
    plain = model.create_or_update_model_card

    def slow(*args: Any) -> None:
        inside.set()
        done.wait(20)
        plain(*args)

    model.create_or_update_model_card = slow
    other = threading.Thread(target=model.save_pretrained, args=(tmp_path / "other",))
    other.start()
    inside.wait(20)
    found = codes(lambda: adapted().save_pretrained(tmp_path, state_dict={}, is_main_process=False))
    done.set()
    other.join()
    assert found == []


@pytest.mark.skipif(sys.version_info < (3, 14), reason="up to CPython 3.13 the function cannot be made")
def test_annotations_for_type_checkers_only(off: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Somebody's own ``save_pretrained``, annotated with names that are not there when it runs, saves as ever."""
    names: dict[str, Any] = {"plain": peft.PeftModel.save_pretrained}
    code = "def save(self, save_directory: Path, **more: Options): return plain(self, save_directory, **more)"
    exec(compile(code, "save.py", "exec", dont_inherit=True), names)
    monkeypatch.setattr(peft.PeftModel, "save_pretrained", names["save"])
    peft_strict.enable(roundtrip="raise")
    adapted().save_pretrained(tmp_path / "adapter")
    peft_strict.disable()
    assert (tmp_path / "adapter" / "adapter_config.json").exists()
