"""What the rule says of adapters that PEFT has saved of trained models: nothing."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import safetensors.torch

from peft_strict.releases import marks, source
from peft_strict.roundtrip import postmortem
from peft_strict.roundtrip.postmortem import Adapter

from . import adapters


@pytest.mark.parametrize("method", adapters.MADE_ALONE)
def test_sound_adapters_of_every_method(tmp_path: Path, method: str) -> None:
    """Of what PEFT saves of a trained adapter there is nothing to say, whatever the method."""
    try:
        adapters.save(tmp_path, method)
    except ImportError as error:
        pytest.skip(f"PEFT needs another library for {method}: {error}")
    except AttributeError as error:
        pytest.skip(f"this PEFT cannot put {method} on a model of this transformers: {error}")
    config, tensors = adapters.saved_config(tmp_path), adapters.tensors(tmp_path)
    found = Adapter(config, config["task_type"], tensors, marks.marks(source.installed().methods))
    assert list(postmortem.findings(found)) == list(postmortem.statements(found)) == []


def test_it_is_zero_at_the_start_in_peft(tmp_path: Path) -> None:
    """What is said to be zero before the first step is so in PEFT, and nothing else that could move is."""
    for init in (True, "gaussian"):
        options = {"target_modules": ["q_proj", "embed_tokens"], "init_lora_weights": init}
        made = peft.get_peft_model(adapters.tiny(), adapters.config("LORA", **options))
        made.save_pretrained(tmp_path, save_embedding_layers=False)
        values = safetensors.torch.load_file(tmp_path / "adapter_model.safetensors")
        found = Adapter(adapters.saved_config(tmp_path), None, adapters.tensors(tmp_path), marks.marks(["LORA"]))
        assert {name for name, each in values.items() if not each.any()} == {*postmortem.zero_at_start(found)}
