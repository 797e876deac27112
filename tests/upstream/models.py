"""Tiny models with random weights, in a cache of the hub, under the names by which PEFT's tests load theirs.

``python models.py FOLDER`` makes ``FOLDER`` a cache for ``HF_HOME``. It stands in for the real models: what a test
computes may differ from what it expects, in the same way with and without peft-strict.
"""

from __future__ import annotations

import string
import sys
import warnings
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

# The class of each, by its name on the hub.
CLASSES = {
    "facebook/opt-125m": "OPTForCausalLM",
    "facebook/opt-350m": "OPTForCausalLM",
    "hf-internal-testing/Mixtral-tiny": "MixtralForCausalLM",
    "hf-internal-testing/tiny-random-Gemma3ForCausalLM": "Gemma3ForCausalLM",
    "hf-internal-testing/tiny-random-LlamaForCausalLM": "LlamaForCausalLM",
    "hf-internal-testing/tiny-random-MistralForCausalLM": "MistralForCausalLM",
    "hf-internal-testing/tiny-random-gpt2": "GPT2LMHeadModel",
    "openai-community/gpt2": "GPT2LMHeadModel",
    "peft-internal-testing/opt-125m": "OPTForCausalLM",
    "peft-internal-testing/tiny-clip-text-2": "CLIPTextModel",
    "peft-internal-testing/tiny-dummy-qwen2": "Qwen2ForCausalLM",
    "peft-internal-testing/tiny-random-BartForConditionalGeneration": "BartForConditionalGeneration",
    "peft-internal-testing/tiny-random-BertForSequenceClassification": "BertForSequenceClassification",
    "peft-internal-testing/tiny-random-BertModel": "BertModel",
    "peft-internal-testing/tiny-random-BloomForCausalLM": "BloomForCausalLM",
    "peft-internal-testing/tiny-random-DebertaModel": "DebertaModel",
    "peft-internal-testing/tiny-random-DebertaV2Model": "DebertaV2Model",
    "peft-internal-testing/tiny-random-GPT2LMHeadModel": "GPT2LMHeadModel",
    "peft-internal-testing/tiny-random-GPTJForCausalLM": "GPTJForCausalLM",
    "peft-internal-testing/tiny-random-GPTNeoXForCausalLM": "GPTNeoXForCausalLM",
    "peft-internal-testing/tiny-random-LlamaForCausalLM": "LlamaForCausalLM",
    "peft-internal-testing/tiny-random-OPTForCausalLM": "OPTForCausalLM",
    "peft-internal-testing/tiny-random-RobertaForSequenceClassification": "RobertaForSequenceClassification",
    "peft-internal-testing/tiny-random-RobertaModel": "RobertaModel",
    "peft-internal-testing/tiny-random-T5ForConditionalGeneration": "T5ForConditionalGeneration",
    "peft-internal-testing/tiny-random-T5ForConditionalGeneration-calibrated": "T5ForConditionalGeneration",
    "peft-internal-testing/tiny-random-gpt2": "GPT2LMHeadModel",
    "peft-internal-testing/tiny-random-t5": "T5ForConditionalGeneration",
    "trl-internal-testing/tiny-GptOssForCausalLM": "GptOssForCausalLM",
    "trl-internal-testing/tiny-Llama4ForCausalLM": "Llama4ForCausalLM",
    "trl-internal-testing/tiny-LlamaForSequenceClassification-3.2": "LlamaForSequenceClassification",
    "trl-internal-testing/tiny-Qwen2ForCausalLM-2.5": "Qwen2ForCausalLM",
    "trl-internal-testing/tiny-Qwen3ForCausalLM": "Qwen3ForCausalLM",
    "trl-internal-testing/tiny-Qwen3MoeForCausalLM": "Qwen3MoeForCausalLM",
    "trl-internal-testing/tiny-random-LlamaForCausalLM": "LlamaForCausalLM",
}
# What models call the same sizes.
SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("intermediate_size", "intermediate_size_mlp", "moe_intermediate_size", "d_ff", "ffn_dim"), 64),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "n_inner"), 64),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "num_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_local_experts", "num_experts"), 2),
    **dict.fromkeys(("num_experts_per_tok", "interleave_moe_layer_step"), 1),
    **dict.fromkeys(("head_dim", "d_kv"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 512),
    "rotary_dim": 4,
    "vocab_size": 1024,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "decoder_start_token_id": 2,
}


def model(name: str) -> Any:
    """Return a model of a class of transformers, tiny and with random weights."""
    kind = getattr(transformers, name)
    known = kind.config_class()
    torch.manual_seed(0)
    return kind(kind.config_class(**{size: value for size, value in SIZES.items() if hasattr(known, size)}))


def tokenizer() -> Any:
    """Return a tokenizer that knows letters."""
    words = ["<unk>", "<pad>", "<s>", "</s>", *string.printable.replace(" ", "")]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"\s*"), "removed")
    special = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **special)


def fill(cache: Path) -> None:
    """Make all models of `CLASSES` in a cache."""
    for name, kind in CLASSES.items():
        home = cache / "hub" / f"models/{name}".replace("/", "--")
        snapshot = home / "snapshots" / ("0" * 40)
        model(kind).save_pretrained(snapshot)
        tokenizer().save_pretrained(snapshot)
        (home / "refs").mkdir(exist_ok=True)
        (home / "refs" / "main").write_text(snapshot.name)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    fill(Path(sys.argv[1]))
