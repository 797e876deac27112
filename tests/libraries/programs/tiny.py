"""What the programs share: tiny models with random weights, a tokenizer, texts, and how a program answers."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])
DEVICE = os.environ.get("TINY_DEVICE", "cpu")  # `python -m tests.gpu` sets it
IS_MISTAKE = sys.argv[2:] == ["mistake"]
WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "dog",
    "ran",
    "to",
    "house",
    "red",
    "blue",
    "good",
    "bad",
    "yes",
    "no",
    "one",
    "two",
    "three",
]
TEXTS = ["the cat sat on a mat", "a dog ran to the house", "red house and blue mat", "one two three good cat"] * 2
SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def seed() -> None:
    """Make the program come out the same each time."""
    import torch

    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)


def tokenizer() -> Any:
    """Return a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<unk>", "<s>", "</s>", "[CLS]", "[SEP]", "[MASK]"]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*special, *WORDS])}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]", model_max_length=64,
    )  # fmt: skip
    made.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    return made


def llama(kind: str = "ForCausalLM", **options: Any) -> str:
    """Save a tiny Llama that is one for language modeling unless said otherwise, and return its folder."""
    import transformers

    seed()
    sizes = {**SIZES, **options}
    config = transformers.LlamaConfig(**sizes, vocab_size=32, pad_token_id=0, bos_token_id=2, eos_token_id=3)
    return _saved(f"Llama{kind}", config)


def bert(kind: str = "ForMaskedLM", **options: Any) -> str:
    """Save a tiny BERT that is one for masked language modeling unless said otherwise, and return its folder."""
    import transformers

    seed()
    return _saved(f"Bert{kind}", transformers.BertConfig(**SIZES, vocab_size=32, **options))


def unet() -> Any:
    """Return a tiny UNet, always the same."""
    from diffusers import UNet2DConditionModel

    seed()
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )


def _saved(name: str, config: Any) -> str:
    import transformers

    folder = FOLDER / f"base-{name}"
    getattr(transformers, name)(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


def training(**options: Any) -> dict[str, Any]:
    """Return the arguments of a trainer that makes three small steps."""
    return {
        "output_dir": str(FOLDER / "run"), "max_steps": 3, "per_device_train_batch_size": 2, "learning_rate": 1e-2,
        "logging_steps": 1, "save_strategy": "no", "report_to": [], "use_cpu": DEVICE == "cpu", "seed": 0,
        "disable_tqdm": True, **options,
    }  # fmt: skip


def answer(losses: Any) -> None:
    """Write what the runs are compared by, next to the adapter that was saved under ``adapter``."""
    (FOLDER / "answer.json").write_text(json.dumps([round(float(loss), 6) for loss in losses]))


def losses_of(trainer: Any) -> list[float]:
    """Return the losses that a trainer of transformers has logged."""
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]
