"""PEFT's own lists of target modules, on every model type that they are for: nothing is said of them.

They are given here as if the user had written them, which asks more: what PEFT fills in is not looked at.
"""

from __future__ import annotations

from typing import Any

import peft
import pytest
import torch
import transformers
from peft.utils import constants

from peft_strict.fit import look

SUFFIX = "_TARGET_MODULES_MAPPING"
MAPPINGS = {name: vars(constants)[name] for name in sorted(vars(constants)) if name.endswith(SUFFIX)}
TYPES = sorted({kind for mapping in MAPPINGS.values() for kind in mapping})
_DEPTHS = ("num_hidden_layers", "n_layer", "num_layers", "encoder_layers", "decoder_layers", "depth")


def build(kind: str) -> Any:
    """Return a model of this type with two layers on the meta device, as a language model if there is one."""
    config = transformers.AutoConfig.for_model(kind)
    parts = [config, *(getattr(config, inner) for inner in getattr(config, "sub_configs", {}))]
    for part in filter(None, parts):
        for depth in _DEPTHS:
            if isinstance(getattr(part, depth, None), int):
                setattr(part, depth, 2)
        if isinstance(vars(part).get("layer_types"), list):
            part.layer_types = part.layer_types[:2]
    for way in ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModelForImageTextToText", "AutoModel"):
        if type(config) in getattr(transformers, way)._model_mapping:
            with torch.device("meta"):
                return getattr(transformers, way).from_config(config)
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", TYPES)
def test_default_lists(kind: str) -> None:
    """No entry of PEFT's lists for a model type is taken for a mistake on a model of that type."""
    try:
        model = build(kind)
    except (ValueError, KeyError) as error:
        pytest.skip(f"this transformers has no {kind}: {error!s:.60}")
    for name, mapping in MAPPINGS.items():
        targets = mapping.get(kind)
        if isinstance(targets, list):
            method = "LN_TUNING" if "LNTUNING" in name else "LORA"
            config = peft.LoraConfig(target_modules=targets)
            config.peft_type = method
            seen = look.before(model, config, added=())
            assert seen is not None
            assert seen.unknown == [], name
