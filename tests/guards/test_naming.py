"""The look at names at each way in which a config meets a model, with real PEFT and tiny models."""

from __future__ import annotations

import copy
import gc
import warnings
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import peft
import pytest
import transformers
from torch import nn

import peft_strict

GOOD, WRONG = ["q_proj", "v_proj"], ["q_proj", "v_prj"]
SIZES = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 32,
}


def llama(kind: str = "CausalLM", **sizes: Any) -> Any:
    return getattr(transformers, f"LlamaFor{kind}")(transformers.LlamaConfig(**{**SIZES, **sizes}))


def lora(targets: Any = WRONG, **fields: Any) -> peft.LoraConfig:
    return peft.LoraConfig(r=2, target_modules=targets, **fields)


def said(action: Callable[[], Any]) -> list[peft_strict.MisfitWarning]:
    """Return what was warned of by the action."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [entry.message for entry in caught if isinstance(entry.message, peft_strict.MisfitWarning)]


def _with_adapter() -> Any:
    model = llama()
    model.add_adapter(lora(GOOD), "first")
    return model


def _mixed() -> Any:
    return peft.get_peft_model(llama(), lora(GOOD), mixed=True)


WAYS = {
    "get_peft_model": lambda config: peft.get_peft_model(llama(), config),
    "get_peft_model with a task": lambda config: peft.get_peft_model(llama(), _typed(config, "CAUSAL_LM")),
    "get_peft_model, mixed": lambda config: peft.get_peft_model(llama(), config, mixed=True),
    "PeftModel": lambda config: peft.PeftModel(llama(), config),
    "PeftModelForCausalLM": lambda config: peft.PeftModelForCausalLM(llama(), _typed(config, "CAUSAL_LM")),
    "PeftMixedModel": lambda config: peft.PeftMixedModel(llama(), config),
    "tuner": lambda config: peft.LoraModel(llama(), config, "default"),
    "inject_adapter_in_model": lambda config: peft.inject_adapter_in_model(config, llama()),
    "add_adapter of transformers": lambda config: llama().add_adapter(config),
    "second add_adapter of transformers": lambda config: _with_adapter().add_adapter(config, "second"),
    "add_adapter of PEFT": lambda config: peft.get_peft_model(llama(), lora(GOOD)).add_adapter("second", config),
    "add_adapter of a mixed model": lambda config: _mixed().add_adapter("second", config),
}


def _typed(config: peft.LoraConfig, task_type: str) -> peft.LoraConfig:
    config.task_type = task_type
    return config


@pytest.fixture(autouse=True)
def _on(strict: None) -> None:
    """Switch on for every test."""


@pytest.mark.parametrize("way", WAYS)
def test_ways(way: str) -> None:
    """Each way in which a config meets a model reports a dead name once, and says nothing of a right list."""
    found = said(lambda: WAYS[way](lora(WRONG)))
    assert [warning.code for warning in found] == ["N1"]
    assert found[0].fix == 'target_modules=["q_proj", "v_proj"]'
    assert said(lambda: WAYS[way](lora(GOOD))) == []


@pytest.mark.parametrize("way", WAYS)
def test_raise(way: str) -> None:
    """With ``misfit="raise"`` it is an error, which says that the model has changed."""
    peft_strict.enable(misfit="raise")
    with pytest.raises(peft_strict.MisfitError, match="Did you mean") as caught:
        said(lambda: WAYS[way](lora(WRONG)))
    assert caught.value.code == "N1"
    assert caught.value.fix == 'target_modules=["q_proj", "v_proj"]'
    assert (caught.value.model_class, caught.value.config_class) == ("LlamaForCausalLM", "LoraConfig")
    assert "in the model by now" in str(caught.value)
    assert said(lambda: WAYS[way](lora(GOOD))) == []


@pytest.mark.parametrize("way", ["get_peft_model", "add_adapter of transformers", "add_adapter of PEFT"])
def test_silence(way: str) -> None:
    """Nothing is said with ``misfit="ignore"``, while suspended, or of a config for inference."""
    assert said(lambda: WAYS[way](lora(inference_mode=True))) == []
    with peft_strict.suspended():
        assert said(lambda: WAYS[way](lora())) == []
    peft_strict.enable(misfit="ignore")
    assert said(lambda: WAYS[way](lora())) == []


def test_no_near_name_is_never_an_error() -> None:
    """A name to be saved that has nothing near is a warning, also with ``misfit="raise"``."""
    peft_strict.enable(misfit="raise")
    found = said(lambda: peft.get_peft_model(llama(), lora(GOOD, modules_to_save=["foo"])))
    assert [warning.code for warning in found] == ["N2"]


def test_place() -> None:
    """The warning points at the user's line, and a filter can make an error of it."""
    with pytest.warns(peft_strict.MisfitWarning) as caught:
        peft.get_peft_model(llama(), lora())
    assert [record.filename for record in caught if record.category is peft_strict.MisfitWarning] == [__file__]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="peft-strict N1")
        with pytest.raises(peft_strict.MisfitWarning) as turned:
            peft.get_peft_model(llama(), lora())
    assert sum("peft_strict" in str(entry.path) for entry in turned.traceback) <= 1


def test_loading(tmp_path: Any) -> None:
    """An adapter that is loaded is not looked at, to be trained on or not, by PEFT or by transformers."""
    said(lambda: peft.get_peft_model(llama(), lora()).save_pretrained(tmp_path))
    wrapped = peft.get_peft_model(llama(), lora(GOOD))
    for action in (
        lambda: peft.PeftModel.from_pretrained(llama(), tmp_path),
        lambda: peft.PeftModel.from_pretrained(llama(), tmp_path, is_trainable=True),
        lambda: wrapped.load_adapter(tmp_path, "second", is_trainable=True),
        lambda: llama().load_adapter(str(tmp_path)),
        lambda: llama().load_adapter(str(tmp_path), is_trainable=True),
    ):
        assert said(action) == []


def test_state_dict() -> None:
    """Where the places come from a state dict, the names are not used, and so not looked at."""
    state = peft.get_peft_model_state_dict(peft.get_peft_model(llama(), lora(GOOD)))
    state = {name.removeprefix("base_model.model."): tensor for name, tensor in state.items()}
    assert said(lambda: peft.inject_adapter_in_model(lora(), llama(), state_dict=state)) == []


def test_only_what_the_user_wrote() -> None:
    """What PEFT has filled in or rewritten is not the user's, also where the config is used again."""
    config = peft.LoraConfig(r=2)  # PEFT fills in q_proj and v_proj
    peft.get_peft_model(llama(), config)
    assert config.target_modules == {"q_proj", "v_proj"}
    phi3 = transformers.Phi3ForCausalLM(transformers.Phi3Config(**SIZES, pad_token_id=0))
    config.target_modules.add("o_proj")
    config.target_modules.add("gate_proj")  # would be N1, did it come from the user
    assert said(lambda: peft.get_peft_model(phi3, config)) == []
    config.target_modules = ["o_proj", "gate_proj"]
    phi3 = transformers.Phi3ForCausalLM(transformers.Phi3Config(**SIZES, pad_token_id=0))
    assert [warning.code for warning in said(lambda: peft.get_peft_model(phi3, config))] == ["N1"]


def test_used_again() -> None:
    """A config with a dead name is reported at each model that it is used on."""
    config = lora()
    for _ in range(2):
        assert [warning.code for warning in said(lambda: peft.get_peft_model(llama(), config))] == ["N1"]
    copied = copy.deepcopy(config)
    assert [warning.code for warning in said(lambda: peft.get_peft_model(llama(), copied))] == ["N1"]


@pytest.mark.parametrize("task_type", ["SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", None])
@pytest.mark.parametrize("kind", ["SequenceClassification", "TokenClassification", "QuestionAnswering"])
def test_names_that_peft_adds(kind: str, task_type: str | None) -> None:
    """``classifier``, ``score`` and ``qa_outputs`` are never reported, whoever wrote them."""
    names = ["classifier", "score", "qa_outputs"]
    for given in (None, names):
        fields = {"task_type": task_type, "modules_to_save": given and list(given)}
        found = said(partial(peft.get_peft_model, llama(kind), lora(GOOD, **fields)))
        assert [warning.code for warning in found if warning.code.startswith("N")] == []


def test_one_report_for_a_head() -> None:
    """Where it was said that the head is not saved, its misspelt name is not reported as well."""
    found = said(lambda: peft.get_peft_model(llama("SequenceClassification"), lora(modules_to_save=["scor"])))
    assert sorted(warning.code for warning in found) == ["H2", "N1"]
    named = next(warning for warning in found if warning.code == "N1")
    assert "scor" not in str(named)
    found = said(lambda: peft.get_peft_model(llama("SequenceClassification"), lora(GOOD, modules_to_save=["scor"])))
    assert [warning.code for warning in found] == ["H2"]


@pytest.mark.skipif(int(transformers.__version__.partition(".")[0]) < 5, reason="transformers < 5 sets no marks")
def test_names_beside_a_head(tmp_path: Any) -> None:
    """What is reported beside a head that is not saved is all but the head, also where the base model has no name.

    What the head was meant by stays in the list, by its right name.
    """
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 32}
    transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes)).save_pretrained(tmp_path)
    model = transformers.T5ForQuestionAnswering.from_pretrained(tmp_path)
    config = peft.LoraConfig(target_modules=["q"], modules_to_save=["qa_output", "wte"])
    found = said(lambda: peft.get_peft_model(model, config))
    assert sorted(warning.code for warning in found) == ["H2", "N1"]
    named = next(warning for warning in found if warning.code == "N1")
    assert "names `wte`, which" in str(named)
    assert named.fix == 'modules_to_save=["qa_outputs", "shared"]'


def test_what_peft_refuses() -> None:
    """What PEFT refuses is not reported, and its error stays as it is."""

    def refused() -> None:
        with pytest.raises(ValueError, match="not found in the base model"):
            peft.get_peft_model(llama(), lora(["q_prj", "v_prj"]))

    assert said(refused) == []


class Odd(nn.Module):
    """A model whose embeddings cannot be asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(4, 4)
        self.v_proj = nn.Linear(4, 4)

    def get_input_embeddings(self) -> nn.Module:
        raise NotImplementedError

    def get_output_embeddings(self) -> object:
        return "lm_head"


def test_odd_models() -> None:
    """A model that fails to say what its embeddings are is looked at without them."""
    found = said(lambda: peft.inject_adapter_in_model(lora(modules_to_save=["embed_tokens"]), Odd()))
    assert [warning.code for warning in found] == ["N1"]
    assert "Leave `embed_tokens` out" in str(found[0])


def test_nothing_is_kept() -> None:
    """Neither the model nor the config is kept alive by what was looked at."""
    model, config = llama(), peft.LoraConfig(r=2)
    references = weakref.ref(model), weakref.ref(config)
    said(partial(peft.get_peft_model, model, config))
    del model, config
    gc.collect()
    assert [reference() for reference in references] == [None, None]
