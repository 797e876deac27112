"""Saved adapters of every method of the installed PEFT, on a tiny model, as if they had been trained."""

from __future__ import annotations

import inspect
import json
import warnings
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from peft_strict.roundtrip import header

# What the defaults of a config are too large for, or do not say.
OPTIONS: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 1},
    "ADAPTION_PROMPT": {"adapter_len": 4, "adapter_layers": 1, "target_modules": None},
    "C3A": {"block_size": 4},
    "FOURIERFT": {"n_frequency": 4},
    "IA3": {"feedforward_modules": []},
    "MISS": {"r": 4},
    "PSOFT": {"r": 4},
    "ROAD": {"group_size": 4},
    "SHIRA": {"r": 2},
    "TRAINABLE_TOKENS": {"target_modules": ["embed_tokens"], "token_indices": [1, 2]},
    "VBLORA": {"vector_length": 4, "num_vectors": 8},
    "WAVEFT": {"n_frequency": 4},
}
METHODS = sorted(str(getattr(name, "value", name)) for name in PEFT_TYPE_TO_CONFIG_MAPPING)
# Mixes adapters that have been saved before, which are no part of what it saves.
MADE_ALONE = [name for name in METHODS if name != "XLORA"]


def tiny(kind: str = "LlamaForCausalLM", **options: Any) -> Any:
    """Return a model with random weights."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config_class = transformers.LlamaConfig if kind.startswith("Llama") else transformers.BertConfig
    return getattr(transformers, kind)(config_class(vocab_size=64, **sizes, **options))


def arguments(method: str) -> tuple[Any, dict[str, Any]]:
    """Return the config class of a method, and arguments that suit a tiny model where its defaults do not."""
    made = next(made for name, made in PEFT_TYPE_TO_CONFIG_MAPPING.items() if getattr(name, "value", name) == method)
    known = inspect.signature(made).parameters
    general = {"task_type": "CAUSAL_LM", "target_modules": ["q_proj", "v_proj"], "num_virtual_tokens": 4}
    return made, {**{key: value for key, value in general.items() if key in known}, **OPTIONS.get(method, {})}


def config(method: str, **options: Any) -> Any:
    """Return a config of a method."""
    made, chosen = arguments(method)
    return made(**{**chosen, **options})


def trained(model: Any, adapter_config: Any) -> Any:
    """Put an adapter on a model and move all that trains."""
    adapted = peft.get_peft_model(model, adapter_config)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                parameter.add_(torch.rand_like(parameter) * 0.1 + 0.01)
    return adapted


def save(folder: Path, method: str = "LORA", model: Any = None, **options: Any) -> Path:
    """Save an adapter of a method and return its folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trained(tiny() if model is None else model, config(method, **options)).save_pretrained(folder)
    return folder


def tensors(folder: Path) -> dict[str, Any]:
    """Return the header of a saved adapter."""
    path = folder / "adapter_model.safetensors"
    with path.open("rb") as file:
        return header.read(file, path.stat().st_size).tensors


def saved_config(folder: Path) -> dict[str, Any]:
    """Return the config of a saved adapter."""
    return json.loads((folder / "adapter_config.json").read_text())
