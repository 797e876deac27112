"""Small adapters for the looks at save and load, and ways of damaging them that are met in practice."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peft
import torch
from safetensors.torch import load_file, save_file
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import apply_activation_checkpointing
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

TINY = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 32}
FRONT = "base_model.model."


def language_model(**config: Any) -> Any:
    """Return a tiny causal language model, always the same."""
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**TINY, **config))


def classifier() -> Any:
    """Return the same with a head for two classes."""
    torch.manual_seed(0)
    return LlamaForSequenceClassification(LlamaConfig(**TINY, num_labels=2, pad_token_id=0))


def lora(**arguments: Any) -> peft.LoraConfig:
    """Return a LoRA config for it; 8 tensors unless told otherwise."""
    return peft.LoraConfig(**{"task_type": "CAUSAL_LM", "r": 2, **arguments})


def adapted(**arguments: Any) -> peft.PeftModel:
    """Return such a model with an adapter whose tensors are all different from their start."""
    return moved(peft.get_peft_model(language_model(), lora(**arguments)))


def moved(model: Any) -> Any:
    """Change what is trainable, as a step of training would."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01)
    return model


def checkpointed(model: Any) -> Any:
    """Put torch's activation checkpointing around the decoder layers, as FSDP set-ups do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of transformers, for looking at each module
        apply_activation_checkpointing(model, check_fn=lambda each: type(each).__name__ == "LlamaDecoderLayer")
    return model


def compiled(model: Any) -> Any:
    """Replace the decoder layers by compiled ones, which compile nothing before they run."""
    layers = model.get_decoder().layers if hasattr(model, "get_decoder") else model.model.layers
    for number, layer in enumerate(layers):
        layers[number] = torch.compile(layer)
    return model


class Closed:
    """What torch takes for a module without parameters, as far as saving and loading ask, and has no ``__dict__``."""

    __slots__ = ("_buffers", "_load_state_dict_post_hooks", "_modules", "_parameters")

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, {})

    def state_dict(self, *_: Any, **__: Any) -> None:
        """Add nothing."""

    _load_from_state_dict = train = state_dict

    def named_modules(self, memo: Any, prefix: str, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        """Yield itself."""
        yield prefix, self


def unreadable(model: Any) -> Any:
    """Put a module into the base model that cannot be read as modules are."""
    model.base_model.model._modules["closed"] = Closed()
    return model


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Return what the file of an adapter holds: before PEFT 0.7 it is no safetensors unless one asks for it."""
    if (folder / "adapter_model.safetensors").exists():
        return load_file(folder / "adapter_model.safetensors")
    found: dict[str, torch.Tensor] = torch.load(folder / "adapter_model.bin", weights_only=True)
    return found


def write(folder: Path, found: dict[str, torch.Tensor]) -> None:
    """Put these into the file in the place of what it holds."""
    path = folder / "adapter_model.safetensors"
    if path.exists():
        save_file(found, path)
    else:
        torch.save(found, folder / "adapter_model.bin")
