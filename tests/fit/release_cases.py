"""What is said of names, and how much is trained, on the PEFT that is imported: prints JSON, case by case.

Uses only what PEFT has had since 0.9. ``python -m tests.fit.release_cases``, with a release in front on PYTHONPATH.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import peft
import transformers

import peft_strict

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 32,
}
GOOD, WRONG, DEAD = ["q_proj", "v_proj"], ["q_proj", "v_prj"], ["q_prj", "v_prj"]


def llama() -> Any:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES))


def gpt2() -> Any:
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=32))


def bert() -> Any:
    return transformers.BertForSequenceClassification(transformers.BertConfig(**SIZES))


def lora(targets: Any, **fields: Any) -> Any:
    return peft.LoraConfig(r=2, target_modules=targets, **fields)


def second(targets: list[str]) -> Any:
    model = peft.get_peft_model(llama(), lora(GOOD, modules_to_save=["lm_head"]))
    model.add_adapter("second", lora(targets))
    return model


def loaded(**options: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        with peft_strict.suspended():
            peft.get_peft_model(llama(), lora(WRONG)).save_pretrained(folder)
        return peft.PeftModel.from_pretrained(llama(), folder, **options)


CASES: dict[str, Callable[[], Any]] = {
    "right": lambda: peft.get_peft_model(llama(), lora(GOOD)),
    "typo": lambda: peft.get_peft_model(llama(), lora(WRONG)),
    "comma, with a task": lambda: peft.get_peft_model(llama(), lora(["q_proj,", "v_proj"], task_type="CAUSAL_LM")),
    "all dead": lambda: peft.get_peft_model(llama(), lora(DEAD)),
    "embedding": lambda: peft.get_peft_model(
        gpt2(), lora(None, fan_in_fan_out=True, modules_to_save=["embed_tokens", "lm_head"])
    ),
    "nothing near": lambda: peft.get_peft_model(llama(), lora(["q_proj"], modules_to_save=["foo"])),
    "classifier": lambda: peft.get_peft_model(bert(), lora(["query", "value"], task_type="SEQ_CLS")),
    "typo on a classifier": lambda: peft.get_peft_model(bert(), lora(["query", "vlaue"], task_type="SEQ_CLS")),
    "default": lambda: peft.get_peft_model(llama(), lora(None)),
    "second, right": lambda: second(GOOD),
    "second, typo": lambda: second(WRONG),
    "mixed": lambda: peft.get_peft_model(llama(), lora(WRONG), mixed=True),
    "injected": lambda: peft.inject_adapter_in_model(lora(WRONG), llama()),
    "IA3": lambda: peft.get_peft_model(llama(), peft.IA3Config(target_modules=WRONG, feedforward_modules=[])),
    "loaded": loaded,
    "loaded to be trained": lambda: loaded(is_trainable=True),
}


def outcome(case: Callable[[], Any]) -> list[Any]:
    """Return the codes that were said, and the number of parameters that are trained, or PEFT's error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model = case()
            trained: Any = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        except ValueError as error:
            trained = type(error).__name__
    said = [entry.message for entry in caught if isinstance(entry.message, peft_strict.MisfitWarning)]
    return [[warning.code for warning in said], trained]


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    peft_strict.enable()
    json.dump({"peft": peft.__version__, "cases": {name: outcome(case) for name, case in CASES.items()}}, sys.stdout)
