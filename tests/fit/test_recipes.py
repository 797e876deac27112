"""Lists of public recipes, each on the architecture it is used with, judged by hand before the rule was asked.

``recipes.json`` holds them: what each is, the class of the model, the fields, what was judged (``silent``, ``N1``,
``N2``, or ``refused`` where PEFT raises) and, for N1 and N2, the name that was meant for each dead one.
None of them was looked at when the rule was made.
"""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

import peft_strict

RECIPES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("recipes.json").read_text())
_DEPTHS = (
    "depth",
    "encoder_layers",
    "decoder_layers",
    "n_layer",
    "n_layers",
    "num_decoder_layers",
    "num_hidden_layers",
    "num_layers",
)


def build(name: str, sizes: dict[str, Any]) -> Any:
    """Return a model of this class on the meta device: all sizes as by default, but for two layers of each kind."""
    kind = getattr(transformers, name, None)
    if kind is None:
        pytest.skip(f"this transformers has no {name}")
    config = kind.config_class(**sizes)
    parts = [config, *(getattr(config, inner) for inner in getattr(config, "sub_configs", {}))]
    for part in filter(None, parts):
        for depth in _DEPTHS:
            if depth not in sizes and isinstance(getattr(part, depth, None), int):
                setattr(part, depth, 2)
        if "num_hidden_layers" not in sizes and isinstance(vars(part).get("layer_types"), list):
            part.layer_types = part.layer_types[:2]
    with torch.device("meta"):
        return kind(config)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe["source"])
def test_recipe(recipe: dict[str, Any], strict: None) -> None:
    """What is said of a public list is what was judged by hand."""
    model = build(recipe["model"], recipe.get("sizes", {}))
    task_type = "SEQ_CLS" if "SequenceClassification" in recipe["model"] else None
    config = peft.LoraConfig(task_type=task_type, **recipe["fields"])
    refused = pytest.raises(ValueError, match=r".") if recipe["by_hand"] == "refused" else contextlib.nullcontext()
    with warnings.catch_warnings(record=True) as caught, refused:
        warnings.simplefilter("always")
        peft.get_peft_model(model, config, low_cpu_mem_usage=True)
    said = [entry.message for entry in caught if isinstance(entry.message, peft_strict.MisfitWarning)]
    said = [warning for warning in said if warning.code.startswith("N")]
    if recipe["by_hand"] in ("silent", "refused"):
        assert said == []
        return
    assert [warning.code for warning in said] == [recipe["by_hand"]]
    named = re.findall(r"names (.*?), which", str(said[0]))
    assert {name for names in named for name in re.findall(r"`(.*?)`", names)} == set(recipe["meant"])
    assert all(f'"{name}"' in said[0].fix for name in recipe["meant"].values() if name)


def test_enough() -> None:
    """There are many of them, and some of each judgement."""
    judged = [recipe["by_hand"] for recipe in RECIPES]
    assert len(judged) > 130
    assert {"silent", "N1", "refused"} <= set(judged)
