"""The names of live models, read from real torch modules and real adapters."""

from __future__ import annotations

import warnings
from typing import Any

import peft
import pytest
import torch
import transformers
from torch import nn

from peft_strict.fit import tree
from peft_strict.fit.names import Embeddings

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 32,
}


def llama() -> Any:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES))


def _paths(model: object) -> list[str] | None:
    modules = tree.modules_of(model)
    return None if modules is None else [path for path, _ in modules]


def test_plain() -> None:
    """Without adapters the names are those of ``named_modules``, each module as often as it is found."""
    model = llama()
    assert _paths(model) == [name for name, _ in model.named_modules(remove_duplicate=False) if name]
    shared = nn.Linear(2, 2)
    assert _paths(nn.ModuleDict({"a": shared, "b": nn.ModuleList([shared])})) == ["a", "b", "b.0"]


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(
            peft.LoraConfig(target_modules=["q_proj", "embed_tokens"], modules_to_save=["lm_head"]), id="lora"
        ),
        pytest.param(peft.LoraConfig(trainable_token_indices=[1, 2]), id="tokens"),
        pytest.param(peft.LoraConfig(target_modules=[], target_parameters=["q_proj.weight"]), id="parameters"),
        pytest.param(peft.IA3Config(target_modules=["q_proj"], feedforward_modules=[]), id="ia3"),
        pytest.param(peft.LNTuningConfig(target_modules=["norm"]), id="ln tuning"),
        pytest.param(peft.OFTConfig(r=2, oft_block_size=0, target_modules=["q_proj"]), id="oft"),
    ],
)
def test_with_adapters(config: peft.PeftConfig) -> None:
    """With adapters the names of modules and parameters are those of the base model all the same."""
    plain = llama()
    parameters = [name for name, _ in plain.named_parameters()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.inject_adapter_in_model(config, llama())
    assert _paths(model) == _paths(plain)
    assert list(tree.parameter_names(model, tree.modules_of(model) or []).paths) == parameters
    adapted = {path for path, module in tree.modules_of(model) or [] if tree.is_adapted(module)}
    assert "lm_head" not in adapted
    assert "model.layers.0.mlp" not in adapted


def test_modules_that_cannot_be_followed() -> None:
    """What holds itself, and what is no module, has no names."""
    ring = nn.Sequential(nn.Linear(2, 2))
    ring[0].above = nn.ModuleList([])
    ring[0].above._modules["back"] = ring
    assert _paths(ring) is None
    assert _paths(object()) == []
    assert _paths(None) == []


def test_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model in which modules are shared without end has no names."""
    monkeypatch.setattr(tree, "_MOST", 100)
    module: nn.Module = nn.Linear(2, 2)
    for _ in range(10):
        module = nn.ModuleList([module, module])
    assert _paths(module) is None


def test_a_model_that_fails() -> None:
    """Attributes that fail are no reason to fail."""

    class Odd(nn.Module):
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    assert _paths(Odd()) == []
    assert tree.embeddings_of(Odd(), []) == Embeddings()


class Own(nn.Module):
    """A model with a module of its own that has the name that adapters use."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = nn.Linear(2, 2)
        self.original_module = nn.ModuleDict({"lora_A": nn.Linear(2, 2)})


def test_names_that_adapters_use() -> None:
    """A module of the user's that is called as those of adapters is one of the model's."""
    assert _paths(nn.ModuleDict({"block": Own()})) == [
        "block",
        "block.base_layer",
        "block.original_module",
        "block.original_module.lora_A",
    ]


@pytest.mark.parametrize(
    ("module", "adaptable", "weights"),
    [
        pytest.param(nn.Linear(2, 2), True, True, id="linear"),
        pytest.param(nn.Conv1d(2, 2, 3), True, True, id="convolution"),
        pytest.param(nn.Embedding(2, 2), True, True, id="embedding"),
        pytest.param(nn.LayerNorm(2), False, True, id="norm"),
        pytest.param(nn.Dropout(), False, False, id="dropout"),
        pytest.param(nn.Sequential(nn.Linear(2, 2)), False, True, id="container"),
        pytest.param(nn.Linear(2, 2, device="meta"), True, True, id="meta"),
    ],
)
def test_what_may_be_meant(module: nn.Module, adaptable: bool, weights: bool) -> None:
    """Layers with a matrix may be adapted; whatever has weights may be saved."""
    assert tree.is_adaptable(module) is adaptable
    assert tree.holds_weights(module) is weights


def test_spread_layers() -> None:
    """Layers whose elements DeepSpeed keeps elsewhere have the shapes that they had."""
    layer, norm = nn.Linear(2, 2), nn.LayerNorm(2)
    for parameter in (*layer.parameters(), *norm.parameters()):
        parameter.ds_shape, parameter.data = parameter.shape, torch.empty(0)  # type: ignore[attr-defined]
    assert tree.is_adaptable(layer)
    assert not tree.is_adaptable(norm)


def test_quantised_layers() -> None:
    """A layer that keeps its weight in a buffer may be adapted too."""
    module = nn.Module()
    module.register_buffer("qweight", torch.zeros(4, 4, dtype=torch.int32))
    assert tree.is_adaptable(module)


def test_parametrised() -> None:
    """A parametrised parameter has the name that it had before."""
    model = nn.ModuleDict({"a": nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))})
    assert "a.weight" in tree.parameter_names(model, tree.modules_of(model) or []).paths


def _embeddings(model: Any) -> Embeddings:
    return tree.embeddings_of(model, tree.modules_of(model) or [])


def test_embeddings() -> None:
    """The embedding and the head are the shortest names that tell them, also below adapters."""
    assert _embeddings(llama()) == Embeddings("embed_tokens", "lm_head")
    bert = transformers.BertForSequenceClassification(transformers.BertConfig(**SIZES))
    assert _embeddings(bert) == Embeddings("word_embeddings", None)
    rwkv = transformers.RwkvForCausalLM(transformers.RwkvConfig(hidden_size=16, num_hidden_layers=2, vocab_size=32))
    assert _embeddings(rwkv) == Embeddings("embeddings", "head")
    assert (
        _embeddings(transformers.ViTModel(transformers.ViTConfig(**SIZES, image_size=4, patch_size=2))) == Embeddings()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved = peft.LoraConfig(target_modules=["embed_tokens"], modules_to_save=["lm_head"])
        adapted = peft.inject_adapter_in_model(saved, llama())
    assert _embeddings(adapted) == Embeddings("embed_tokens", "lm_head")


def test_an_embedding_that_needs_a_longer_name() -> None:
    """Where another module's name ends as the embedding's, the name has a part more."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.text = nn.ModuleDict({"embed": nn.Embedding(2, 2)})
            self.image = nn.ModuleDict({"patch_embed": nn.Linear(2, 2)})

        def get_input_embeddings(self) -> nn.Module:
            return self.text["embed"]

    assert _embeddings(Two()) == Embeddings("text.embed", None)
