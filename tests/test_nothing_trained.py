"""A whole training run with ``inference_mode="False"``: without us nothing is trained and nothing is said."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

import peft_strict
from peft_strict import InvalidFieldError

from .ways_in.rows import tiny_classifier


def trained(config: Any, folder: Path) -> tuple[list[str], str]:
    """Train a classifier with transformers' ``Trainer``, as it is used with gradient checkpointing.

    Returns:
        The names of the parameters that have changed, and the warnings.
    """
    from transformers import Trainer, TrainingArguments

    model = peft.get_peft_model(tiny_classifier(), config)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    rows = [{"input_ids": [1 + i % 7, 2, 3, 4], "attention_mask": [1] * 4, "labels": i % 2} for i in range(16)]
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=4,
        per_device_train_batch_size=4,
        learning_rate=0.1,
        gradient_checkpointing=True,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    with (
        warnings.catch_warnings(record=True) as caught,
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("always")
        found = Trainer(model=model, args=arguments, train_dataset=rows).train()
    assert found.global_step == 4
    changed = [name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])]
    return changed, " ".join(str(each.message) for each in caught)


def lora(inference_mode: Any) -> Any:
    return peft.LoraConfig(
        task_type="SEQ_CLS", target_modules=["q_proj", "v_proj"], r=4, lora_alpha=8, inference_mode=inference_mode
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nothing_is_trained(off: None, tmp_path: Path) -> None:
    """Plain PEFT trains nothing and says nothing; with us the line that made the config ends in an error.

    What the error says to write trains the adapter and the head.
    """
    changed, said = trained(lora("False"), tmp_path)
    assert changed == []
    assert "inference_mode" not in said

    peft_strict.enable()
    with pytest.raises(InvalidFieldError, match="Write inference_mode=False"):
        lora("False")
    changed, _ = trained(lora(False), tmp_path)
    assert any("lora_B" in name for name in changed)
    assert any("modules_to_save" in name for name in changed)
