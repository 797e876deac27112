"""Every model class of transformers, tiny and with random weights: is what the marks tell of it true?

A class is loaded twice: from a checkpoint of its own, where nothing may be called new, and from one of the model
without a head of its family, where nothing may be called new but what transformers itself says was missing.
``python -m tests.fit`` tries all; a sample is in ``test_all_classes``.
"""

from __future__ import annotations

import tempfile
from typing import Any, Optional

import torch
import transformers
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from peft_strict.fit.heads import head_of
from peft_strict.fit.kinds import kind_of_registry, kinds_of

_LARGEST = 20_000_000  # parameters
_TABLE = """
1 num_hidden_layers num_layers encoder_layers decoder_layers n_layer n_layers num_encoder_layers num_decoder_layers
1 depth
4 num_attention_heads num_key_value_heads num_heads encoder_attention_heads decoder_attention_heads n_head n_heads
4 n_routed_experts num_experts num_local_experts qk_rope_head_dim qk_nope_head_dim
8 head_dim d_kv patch_size num_mel_bins q_lora_rank kv_lora_rank v_head_dim
16 projection_dim moe_intermediate_size shared_expert_intermediate_size
32 hidden_size d_model n_embd dim embed_dim embedding_size word_embed_proj_dim decoder_hidden_size encoder_hidden_size
32 image_size
40 max_source_positions max_target_positions
64 intermediate_size d_ff encoder_ffn_dim decoder_ffn_dim hidden_dim ffn_dim n_inner mlp_dim
128 vocab_size max_position_embeddings n_positions
"""
_SIZES = {key: int(size) for size, *keys in map(str.split, _TABLE.strip().splitlines()) for key in keys}


class CannotBuild(Exception):
    """The class is not there, wants other packages, or takes no config as small as this."""


def classes() -> dict[str, str]:
    """Return the model type of each class that is in a registry."""
    found: dict[str, str] = {}
    for name, table in vars(modeling_auto).items():
        if isinstance(table, dict) and name.endswith("_NAMES") and kind_of_registry(name):
            for model_type, entry in table.items():
                for each in entry if isinstance(entry, (tuple, list)) else (entry,):
                    found.setdefault(each, model_type)
    return found


def wrongly_new(name: str, model_type: str, *, own: bool) -> tuple[list[str], list[str]]:
    """Load a class; return what is called new and is not, and what is called new.

    Args:
        name: The class.
        model_type: Its model type.
        own: Whether its checkpoint is its own, not that of the model without a head.

    Raises:
        CannotBuild: If transformers or the machine does not let it be built, or there is no model without a head.
    """
    saver = name if own else _first(modeling_auto.MODEL_MAPPING_NAMES.get(model_type))
    if not saver or (not own and saver == name):
        raise CannotBuild("the model without a head itself")
    try:
        model, info = _loaded(name, saver, model_type)
    except Exception as error:  # packages that are not there, and sizes that do not fit together
        raise CannotBuild(f"{type(error).__name__}: {error}") from None
    missing = {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}
    new = [weight.path for weight in head_of(model, kinds_of(type(model))[0]).weights if weight.fresh]
    return [path for path in new if own or path not in missing], new


def _loaded(name: str, saver: str, model_type: str) -> tuple[Any, Any]:
    config = _small(CONFIG_MAPPING[model_type]())
    cls = getattr(transformers, name)
    with torch.device("meta"):
        if sum(parameter.numel() for parameter in cls(config).parameters()) > _LARGEST:
            raise ValueError("too large")
    with tempfile.TemporaryDirectory() as folder:
        getattr(transformers, saver)(config).save_pretrained(folder)
        return cls.from_pretrained(folder, output_loading_info=True)


def _first(entry: Any) -> Optional[str]:
    return entry[0] if isinstance(entry, (tuple, list)) else entry


def _small(config: Any) -> Any:
    for key, value in list(vars(config).items()):
        if isinstance(value, transformers.PretrainedConfig):
            _small(value)
        elif type(value) is int and value > _SIZES.get(key, value):
            setattr(config, key, _SIZES[key])
        elif key in ("layer_types", "mlp_layer_types") and isinstance(value, list):
            setattr(config, key, value[:1])
        elif key.endswith("token_id") and isinstance(value, int) and value >= _SIZES["vocab_size"]:
            setattr(config, key, 2)
    return config
