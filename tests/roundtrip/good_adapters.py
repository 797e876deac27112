"""Saves and loads good adapters of every method, from the cases of PEFT's own tests, and tells what was reported.

Run by `tests.roundtrip.__main__` in a process that has PEFT's tests as the package ``tests``; prints JSON.
"""

from __future__ import annotations

import collections
import contextlib
import filecmp
import importlib
import io
import json
import os
import sys
import tempfile
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import adapters  # of this folder, as the next: `tests` are PEFT's here
import noting
import peft
import torch
import transformers

import peft_strict

TINY = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 4, "vocab_size": 64}
# The modules of PEFT's tests that list configs for a kind of model, and such a model.
LISTS: dict[str, Callable[[], Any]] = {
    "test_decoder_models": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**TINY)),
    "test_encoder_decoder_models": lambda: transformers.T5ForConditionalGeneration(
        transformers.T5Config(**T5, decoder_start_token_id=0)
    ),
    "test_feature_extraction_models": lambda: transformers.BertModel(transformers.BertConfig(**TINY)),
    "test_seq_classifier": lambda: transformers.BertForSequenceClassification(transformers.BertConfig(**TINY)),
}


def stand_in() -> None:
    """Let PEFT's tests be imported beside a diffusers that is too new for this PEFT; no case here needs it."""
    try:
        importlib.import_module("diffusers").StableDiffusionPipeline  # noqa: B018  # imported when it is asked for
    except (ImportError, RuntimeError):
        sys.modules["diffusers"] = types.ModuleType("diffusers")
        sys.modules["diffusers"].StableDiffusionPipeline = object  # type: ignore[attr-defined]


def cases() -> Iterator[tuple[str, Callable[[], Any], type, dict[str, Any]]]:
    """Yield the name of each case, what makes its model, its config class and the config's arguments.

    The cases of PEFT's tests, of which releases before 0.7 have none, and one more of each method.
    """
    with contextlib.suppress(ImportError):
        custom = importlib.import_module("tests.test_custom_models")
        for case in custom.TEST_CASES:
            name, model, cls, arguments = getattr(case, "values", case)[:4]
            yield name, lambda model=model: custom.MockTransformerWrapper.from_pretrained(model), cls, arguments
    for module, make in LISTS.items():
        with contextlib.suppress(ImportError):  # a release that does not have it
            for case in getattr(importlib.import_module(f"tests.{module}"), "ALL_CONFIGS", ()):
                cls, arguments = getattr(case, "values", case)[:2]
                yield f"{module} {cls.__name__}", make, cls, arguments
    for method in adapters.MADE_ALONE:
        yield (method, adapters.tiny, *adapters.arguments(method))


def build(make: Callable[[], Any], cls: type, arguments: dict[str, Any]) -> Any:
    """Return a model with an adapter that has been trained: whatever is trainable has moved."""
    torch.manual_seed(0)
    model = peft.get_peft_model(make(), cls(**arguments))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                parameter.add_(torch.full_like(parameter, 0.01))
    return model


def run(make: Callable[[], Any], cls: type, arguments: dict[str, Any]) -> list[str]:
    """Save with and without peft-strict, load in each way, and return what it reported, and files that differ."""
    with tempfile.TemporaryDirectory() as plain, tempfile.TemporaryDirectory() as strict:
        peft_strict.disable()
        model = build(make, cls, arguments)
        model.save_pretrained(plain)
        peft_strict.enable(misfit="ignore")
        with warnings.catch_warnings(record=True) as found, noting.failures() as failures:
            warnings.simplefilter("always")
            model.save_pretrained(strict)
            copied = {key: each.clone() for key, each in model.state_dict().items()}
            model.save_pretrained(os.path.join(strict, "passed"), state_dict=copied)
            torch.manual_seed(0)
            loaded = peft.PeftModel.from_pretrained(make(), strict)
            if not loaded.peft_config["default"].is_prompt_learning:
                loaded.load_adapter(strict, "default")
            peft.set_peft_model_state_dict(loaded, peft.get_peft_model_state_dict(model))
        _, different, absent = filecmp.cmpfiles(plain, strict, os.listdir(plain), shallow=False)
        reports = [str(each.message) for each in found if isinstance(each.message, peft_strict.PeftStrictWarning)]
        return reports + failures + [f"{name} differs" for name in different + absent]


def main() -> None:
    """Run every case, or the first of each method with ``--sample``, and print what came out."""
    sample = "--sample" in sys.argv
    stand_in()
    count: collections.Counter[str] = collections.Counter()
    reports, failures, seen = [], [], set()
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make, cls, arguments in cases():
            if sample and cls in seen:
                continue
            seen.add(cls)
            try:
                reports += [f"{name}: {report}" for report in run(make, cls, arguments)]
                count[cls.__name__] += 1
            except Exception:  # a case that needs what is not here; told, and counted
                failures.append(f"{name}: {traceback.format_exc(limit=-1).splitlines()[-1]}")
    print(json.dumps({"adapters": count, "reports": reports, "failures": failures}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
