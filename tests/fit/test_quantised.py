"""Models that real packages have quantised, on the CPU. They are not in the test extra: see .ci/quantised."""

from __future__ import annotations

import importlib.util
from typing import Any, Callable, Optional

import peft
import pytest
import torch
import transformers
from torch import nn

import peft_strict

from . import model_zoo as zoo
from .test_measured import _as_written, lora, verdict

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # those of torch, transformers and PEFT are not the matter here
    pytest.mark.skipif(int(transformers.__version__.partition(".")[0]) < 5, reason="transformers < 5 sets no marks"),
]


def _torchao_config() -> Any:
    from torchao.quantization import Int8WeightOnlyConfig

    return transformers.TorchAoConfig(Int8WeightOnlyConfig())


def _bits(bits: int, **extra: Any) -> Any:
    return transformers.BitsAndBytesConfig(**{f"load_in_{bits}bit": True, **extra})


# How to quantise while loading, with the module that has to be installed.
LOADERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "quanto": ("optimum.quanto", lambda: transformers.QuantoConfig(weights="int8")),
    "bitsandbytes-4": ("bitsandbytes", lambda: _bits(4)),
    "bitsandbytes-8": ("bitsandbytes", lambda: _bits(8)),
    "torchao": ("torchao", _torchao_config),
}
SIZES = {"hidden_size": 64, "intermediate_size": 128}  # bitsandbytes packs 64 weights at a time
KINDS = (
    "bert_seq",
    "roberta_seq",
    "distil_seq",
    "deberta_seq",
    "electra_seq",
    "modernbert_seq",
    "bert_tok",
    "bert_qa",
)


def _needs(module: str) -> None:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # the package that it is in
        found = None
    if found is None:
        pytest.skip(f"{module} is not installed; .ci/quantised says how to get it")


def _load(name: str, folder: str, quantiser: Optional[str]) -> nn.Module:
    cls = zoo._find(zoo.ZOO[name].model)
    if quantiser is None:
        return cls.from_pretrained(folder)
    module, make = LOADERS[quantiser]
    _needs(module)
    return cls.from_pretrained(folder, quantization_config=make(), device_map="cpu")


def _after(model: nn.Module) -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(model, Int8WeightOnlyConfig())


@pytest.mark.parametrize("quantiser", LOADERS)
@pytest.mark.parametrize("name", [*KINDS, "llama_seq", "llama_tok"])
def test_wholly_loaded(name: str, quantiser: str, strict: None) -> None:
    """A fine-tuned classifier that was quantised while it was loaded is right, also where a misfit is an error."""
    peft_strict.enable(misfit="raise")
    model = _load(name, zoo.checkpoint(name, own=True), quantiser)
    assert verdict(model, lora(model)) is None
    peft.get_peft_model(model, lora(model, target_modules="all-linear"))


@pytest.mark.parametrize("name", [*KINDS, "llama_seq"])
def test_quantised_after_loading(name: str) -> None:
    """So is one that was quantised afterwards."""
    _needs("torchao")
    model = _load(name, zoo.checkpoint(name, own=True), None)
    _after(model)
    assert verdict(model, lora(model)) is None


@pytest.mark.parametrize("quantiser", LOADERS)
@pytest.mark.parametrize("name", ["bert_seq", "roberta_seq", "llama_seq", "bert_qa"])
def test_new_head(name: str, quantiser: str) -> None:
    """A head that the checkpoint has not is told of, whatever has become of the base model."""
    found = verdict(model := _load(name, zoo.checkpoint(name), quantiser), lora(model))
    assert found is not None
    assert found.code == "H2"
    assert "was not loaded from the checkpoint" in found.message


@pytest.mark.parametrize("bits", [4, 8])
def test_advice_for_a_quantised_head(bits: int, tmp_path: Any) -> None:
    """bitsandbytes' layers in a new head cannot be trained; kept out as the report says, they are, and are saved."""
    _needs("bitsandbytes")
    config = transformers.RobertaConfig(**{**zoo.ZOO["roberta_seq"].sizes, **SIZES})
    transformers.RobertaForMaskedLM(config).save_pretrained(tmp_path)
    cls = transformers.RobertaForSequenceClassification
    model = cls.from_pretrained(tmp_path, quantization_config=_bits(bits), device_map="cpu")
    found = verdict(model, _lora(model))
    assert found is not None
    assert 'BitsAndBytesConfig(llm_int8_skip_modules=["classifier"])' in found.fix
    with pytest.raises((AssertionError, AttributeError, RuntimeError)):
        _step(peft.get_peft_model(model, _lora(model, "SEQ_CLS")))

    kept = _bits(bits, llm_int8_skip_modules=["classifier"])
    model = cls.from_pretrained(tmp_path, quantization_config=kept, device_map="cpu")
    written = _as_written(found.fix)
    assert verdict(model, _lora(model, **written)) is None
    tuned = peft.get_peft_model(model, _lora(model, **written))
    _step(tuned)
    trained = [key for key, parameter in tuned.named_parameters() if parameter.grad is not None]
    assert sum("classifier.modules_to_save" in key for key in trained) == 4
    assert sum("classifier" in key for key in peft.get_peft_model_state_dict(tuned)) == 4


def _lora(model: nn.Module, task: Optional[str] = None, **extra: Any) -> peft.LoraConfig:
    return lora(model, task, target_modules=["query"], **extra)


def _step(model: nn.Module) -> None:
    model(input_ids=torch.ones(2, 4, dtype=torch.long), labels=torch.tensor([0, 1])).loss.backward()
