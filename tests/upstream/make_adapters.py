"""Makes saved adapters from PEFT's own test cases: ``python make_adapters.py TESTS FOLDER``, in a process of its own.

``TESTS`` is a folder with PEFT's ``tests`` package, which has the name of ours. All values that train are moved away
from where they start, so that each adapter is as one that was trained. Prints how many were made, as JSON.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import peft
import torch
import transformers

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 64}


def _decoder() -> Any:
    config = transformers.LlamaConfig(intermediate_size=32, num_key_value_heads=2, **TINY)
    return transformers.LlamaForCausalLM(config)


def _encoder_decoder() -> Any:
    config = transformers.T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, vocab_size=64)
    return transformers.T5ForConditionalGeneration(config)


def _encoder(kind: str) -> Any:
    return getattr(transformers, kind)(transformers.BertConfig(intermediate_size=32, num_labels=2, **TINY))


# PEFT's file, its table, and the model that stands for those it downloads.
TABLES: list[tuple[str, str, Callable[[], Any]]] = [
    ("test_decoder_models", "ALL_CONFIGS", _decoder),
    ("test_encoder_decoder_models", "ALL_CONFIGS", _encoder_decoder),
    ("test_feature_extraction_models", "ALL_CONFIGS", lambda: _encoder("BertModel")),
    ("test_seq_classifier", "ALL_CONFIGS", lambda: _encoder("BertForSequenceClassification")),
    ("test_token_classification_qa", "TOKEN_CLS_CONFIGS", lambda: _encoder("BertForTokenClassification")),
    ("test_token_classification_qa", "QA_CONFIGS", lambda: _encoder("BertForQuestionAnswering")),
]


def cases() -> Iterator[tuple[Callable[[], Any], Any]]:
    """Yield pairs of functions: one makes the model, the other the config."""
    custom = importlib.import_module("tests.test_custom_models")
    variants = importlib.import_module("tests.test_lora_variants")
    for _, model, config_class, options in custom.TEST_CASES:
        yield (
            lambda model=model: custom.MockTransformerWrapper.from_pretrained(model),
            lambda made=config_class, options=options: made(**options),
        )
    for _, config_class, options in variants.TEST_CASES:
        yield variants.CustomModel, lambda made=config_class, options=options: made(**options)
    for file, table, model in TABLES:
        for config_class, options in getattr(importlib.import_module(f"tests.{file}"), table):
            yield model, lambda made=config_class, options=options: made(**options)


def make(model: Any, config: Any, folder: pathlib.Path) -> None:
    """Put an adapter on the model, move what trains, and save it."""
    adapted = peft.get_peft_model(model, config)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                parameter.add_(torch.rand_like(parameter) * 0.1 + 0.01)
    adapted.save_pretrained(folder)


def main() -> None:
    tests, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    sys.path.insert(0, tests)
    warnings.simplefilter("ignore")
    made, refused = 0, []
    for number, (model, config) in enumerate(cases()):
        torch.manual_seed(0)
        try:
            make(model(), config(), folder / f"{number:04}")
            made += 1
        except Exception as error:  # a case that needs a checkpoint, or a library that is not here
            refused.append(f"{number:04} {type(error).__name__}: {error}"[:200])
    json.dump({"made": made, "refused": refused}, sys.stdout)


if __name__ == "__main__":
    main()
