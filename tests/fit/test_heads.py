"""What is looked at as the head of a model, and of which models: only what is certain to be new and to be used."""

from __future__ import annotations

import tempfile
from typing import Any, Callable, Optional

import peft
import pytest
import torch
import transformers
from torch import nn

from peft_strict.fit.heads import head_of
from peft_strict.fit.kinds import kinds_of

from . import model_zoo as zoo
from .test_measured import lora, verdict

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # those of torch and transformers are not the matter here
    pytest.mark.skipif(int(transformers.__version__.partition(".")[0]) < 5, reason="transformers < 5 sets no marks"),
]


def modules(model: nn.Module) -> list[str]:
    """Return the modules that are known to be new, in short."""
    weights = head_of(model, kinds_of(type(model))[0]).weights
    return list(dict.fromkeys(weight.unit or weight.path.partition(".")[0] for weight in weights if weight.fresh))


def loaded(name: str, checkpoint: str, **sizes: Any) -> nn.Module:
    """Return a model of a class of transformers, loaded from what another class has saved."""
    cls, saver = getattr(transformers, name), getattr(transformers, checkpoint)
    config = cls.config_class(**_SIZES[cls.config_class.__name__])
    with tempfile.TemporaryDirectory() as folder:
        saver(config).save_pretrained(folder)
        return cls.from_pretrained(folder, **sizes)


_SIZES: dict[str, dict[str, Any]] = {
    "BertConfig": zoo.BERT,
    "LlamaConfig": zoo.LLAMA,
    "AlbertConfig": {**zoo.BERT, "embedding_size": 16},
    "LlavaConfig": zoo.LLAVA,
    "SiglipConfig": zoo.SIGLIP,
    "SegformerConfig": zoo.ZOO["segformer"].sizes,
    "GLPNConfig": {key: value for key, value in zoo.ZOO["segformer"].sizes.items() if key != "num_labels"},
    "PatchTSTConfig": {
        "d_model": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "ffn_dim": 8,
        "context_length": 8,
        "patch_length": 2,
        "patch_stride": 2,
        "prediction_length": 3,
    },
    "YolosConfig": {
        **{key: value for key, value in zoo.VIT.items() if key not in ("image_size", "num_labels")},
        "image_size": [16, 16],
        "num_detection_tokens": 2,
    },
    "T5Config": zoo.T5,
    "WhisperConfig": zoo.SPEECH,
}

# -- poolers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "checkpoint", "expected"),
    [
        ("BertForSequenceClassification", "BertForMaskedLM", ["classifier", "bert.pooler"]),
        ("BertForMultipleChoice", "BertForMaskedLM", ["classifier", "bert.pooler"]),
        ("AlbertForSequenceClassification", "AlbertForMaskedLM", ["classifier", "albert.pooler"]),
        ("BertForSequenceClassification", "BertModel", ["classifier"]),
        ("BertForTokenClassification", "BertForMaskedLM", ["classifier"]),
        ("BertModel", "BertForMaskedLM", []),
        ("BertForMaskedLM", "BertModel", []),
    ],
)
def test_poolers(name: str, checkpoint: str, expected: list[str]) -> None:
    """A new pooler inside of the base model counts where ``forward`` reads it, and nowhere else."""
    assert modules(loaded(name, checkpoint)) == expected


# -- other kinds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "checkpoint", "expected"),
    [
        ("SegformerForSemanticSegmentation", "SegformerForImageClassification", ["decode_head"]),
        ("SegformerForSemanticSegmentation", "SegformerForSemanticSegmentation", []),
        ("SiglipForImageClassification", "SiglipModel", ["classifier"]),
        ("PatchTSTForPrediction", "PatchTSTModel", ["head"]),
        # `head` has a `head` in it
        ("GLPNForDepthEstimation", "GLPNModel", ["decoder", "head.head"]),
        ("YolosForObjectDetection", "YolosModel", ["class_labels_classifier", "bbox_predictor"]),
        ("T5ForQuestionAnswering", "T5ForConditionalGeneration", ["qa_outputs"]),
        ("WhisperForAudioClassification", "WhisperForConditionalGeneration", ["projector", "classifier"]),
        ("LlamaForCausalLM", "LlamaModel", []),  # the output embedding, which PEFT saves by rules of its own
        ("LlamaModel", "LlamaForCausalLM", []),
        ("LlavaForConditionalGeneration", "LlavaForConditionalGeneration", []),
    ],
)
def test_kinds(name: str, checkpoint: str, expected: list[str]) -> None:
    """Where everything else is marked as loaded, the kind does not matter."""
    assert modules(loaded(name, checkpoint)) == expected


def test_mismatched_sizes() -> None:
    """A head that was drawn anew because of its size is new."""
    model = loaded("PatchTSTForPrediction", "PatchTSTForPrediction", prediction_length=5, ignore_mismatched_sizes=True)
    assert modules(model) == ["head"]


@pytest.mark.parametrize("name", zoo.ZOO)
def test_built_from_a_config(name: str) -> None:
    """Of a model that was not loaded, nothing is known to be new."""
    if name in ("mlp", "wrapped_lm"):
        pytest.skip("not of transformers")
    kind = zoo.ZOO[name]
    with torch.device("meta"):
        model = zoo._find(kind.model)(zoo._find(kind.config)(**kind.sizes))
    assert modules(model) == []


# -- hung onto a model -----------------------------------------------------------------------------------------------


class WithRewardHead(transformers.LlavaForConditionalGeneration):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.rm_head = nn.Linear(32, 1)
        self.post_init()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.score(super().forward(*args, output_hidden_states=True, **kwargs).hidden_states[-1])

    def score(self, states: torch.Tensor) -> torch.Tensor:
        return self.rm_head(states)


class WithUnusedHead(transformers.LlamaForCausalLM):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.spare = nn.Linear(32, 1)
        self.post_init()


def _reward_model() -> nn.Module:
    return WithRewardHead.from_pretrained(zoo.checkpoint("llava"))


def _hung(model: nn.Module, head: Optional[nn.Module] = None) -> nn.Module:
    model.score = head or nn.Linear(32, 1)
    return model


def _tuned(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        model.score.weight.mul_(2)
    return model


def _by_hand(model: nn.Module) -> nn.Module:
    model.score.load_state_dict({key: value * 2 for key, value in model.score.state_dict().items()})
    return model


def _frozen(model: nn.Module) -> nn.Module:
    model.score.requires_grad_(False)
    return model


def _ignoring(patterns: object) -> nn.Module:
    model = _hung(zoo.build("llama_lm"))
    model._keys_to_ignore_on_load_missing = patterns
    return model


HUNG: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "onto a language model": (lambda: _hung(zoo.build("llama_lm")), ["score"]),
    "beside an output embedding that is new, too": (
        lambda: _hung(loaded("LlamaForCausalLM", "LlamaModel")),
        ["score", "lm_head"],
    ),
    "of several layers": (
        lambda: _hung(zoo.build("t5"), nn.Sequential(nn.Linear(32, 8), nn.Tanh(), nn.Linear(8, 1))),
        ["score"],
    ),
    "onto a model without a head": (lambda: _hung(zoo.build("llama_base")), ["score"]),
    "in a subclass": (_reward_model, ["rm_head"]),
    "in a subclass, unused": (lambda: WithUnusedHead.from_pretrained(zoo.checkpoint("llama_lm")), []),
    "and trained since": (lambda: _tuned(_hung(zoo.build("llama_lm"))), []),
    "and loaded by hand": (lambda: _by_hand(_hung(zoo.build("llama_lm"))), []),
    "and frozen": (lambda: _frozen(_hung(zoo.build("llama_lm"))), []),
    "that has no weights": (lambda: _hung(zoo.build("llama_lm"), nn.Dropout()), []),
    "that is one of the model's": (lambda: _hung(model := zoo.build("llama_lm"), model.lm_head), []),
    "that was loaded": (lambda: _hung(zoo.build("llama_lm"), zoo.build("bert_base")), []),
    "that may be missing in a checkpoint": (lambda: _ignoring([r"lm_head\.", r"score\."]), []),
    "beside what may be missing": (lambda: _ignoring([r"lm_head\."]), ["score"]),
    "of a class that says so in a way of its own": (lambda: _ignoring(3), []),
    "onto a model from a config": (
        lambda: _hung(transformers.LlamaForCausalLM(transformers.LlamaConfig(**zoo.LLAMA))),
        [],
    ),
}


@pytest.mark.parametrize("case", HUNG)
def test_hung_onto(case: str) -> None:
    """A new head that somebody has hung onto a loaded model counts, whatever the model is."""
    make, expected = HUNG[case]
    assert modules(make()) == expected


# -- modules of the user's own ---------------------------------------------------------------------------------------


class Around(nn.Module):
    """A loaded model and a head."""

    def __init__(self, backbone: nn.Module, **parts: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, **kwargs: Any) -> Any:
        return self.backbone(**kwargs)


class Reading(Around):
    """Takes the hidden states of the model in it, and leaves its head alone."""

    def forward(self, **kwargs: Any) -> Any:
        return self.value(self.backbone(**kwargs, output_hidden_states=True).hidden_states[-1])


class Pooled(Around):
    """Takes what the pooler of the model in it returns."""

    def forward(self, **kwargs: Any) -> Any:
        return self.head(self.backbone(**kwargs).pooler_output)


class Past(Around):
    """Calls the model without a head that is in the model in it."""

    def forward(self, **kwargs: Any) -> Any:
        return self.value(self.backbone.bert(**kwargs)[0])


class Stepping(nn.Module):
    """As a module of Lightning: ``forward`` is not all there is."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **kwargs: Any) -> Any:
        return self.step(kwargs)

    def step(self, batch: dict[str, Any]) -> Any:
        return self.model(**batch)


def _vision() -> nn.Module:
    """Return a model that another library has loaded by hand."""
    part = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    part.load_state_dict({key: value * 1 for key, value in part.state_dict().items()})
    return part


AROUND: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "a head": (lambda: Around(zoo.build("llama_lm"), value=nn.Linear(32, 1)), ["value"]),
    "two heads": (
        lambda: Around(zoo.build("bert_base"), heads=nn.ModuleDict({"a": nn.Linear(32, 1), "b": nn.Linear(32, 2)})),
        ["heads.a", "heads.b"],
    ),
    "a new pooler nobody need use": (
        lambda: Around(loaded("BertModel", "BertForMaskedLM"), head=nn.Linear(32, 1)),
        ["head"],
    ),
    "another model, loaded by hand": (lambda: Around(zoo.build("llama_lm"), vision=_vision()), []),
    "embeddings that were given": (
        lambda: Around(zoo.build("llama_lm"), words=nn.Embedding.from_pretrained(torch.ones(3, 2))),
        [],
    ),
    "a new pooler that is read": (
        lambda: Pooled(loaded("BertModel", "BertForMaskedLM"), head=nn.Linear(32, 1)),
        ["backbone.pooler", "head"],
    ),
    "a pooler that is read and was loaded": (lambda: Pooled(zoo.build("bert_base"), head=nn.Linear(32, 1)), ["head"]),
    "a classifier": (lambda: Stepping(zoo.build("bert_seq")), ["model.classifier"]),
    "a classifier and a head": (
        lambda: Around(zoo.build("roberta_seq"), value=nn.Linear(32, 1)),
        ["value", "backbone.classifier"],
    ),
    "a classifier with a new pooler": (
        lambda: Stepping(loaded("BertForSequenceClassification", "BertForMaskedLM")),
        ["model.classifier", "model.bert.pooler"],
    ),
    "a classifier that was loaded": (lambda: Stepping(zoo.build("bert_seq", own=True)), []),
    "a classifier from a config": (
        lambda: Stepping(transformers.BertForSequenceClassification(transformers.BertConfig(**zoo.BERT))),
        [],
    ),
    "a classifier for its hidden states": (lambda: Reading(zoo.build("bert_seq"), value=nn.Linear(32, 1)), ["value"]),
    "a classifier for its base": (lambda: Past(zoo.build("bert_seq"), value=nn.Linear(32, 1)), ["value"]),
    "what a head was hung onto": (lambda: Stepping(_hung(zoo.build("llama_lm"))), ["model.score"]),
    "no loaded model": (lambda: Around(nn.Linear(3, 3), head=nn.Linear(3, 1)), []),
}


@pytest.mark.parametrize("case", AROUND)
def test_around_a_loaded_model(case: str) -> None:
    """In a module of the user's own, what stands beside a loaded model and is plainly new counts."""
    make, expected = AROUND[case]
    assert modules(make()) == expected


def test_around_is_a_warning() -> None:
    """Of such a module the report is never more than a warning: its user may save the head in another way."""
    model = Around(zoo.build("llama_lm"), value=nn.Linear(32, 1))
    found = verdict(model, lora(model, None))
    assert found is not None
    assert (found.code, found.fix, found.warn_only) == ("H2", 'modules_to_save=["value"]', True)
    assert verdict(model, lora(model, None, modules_to_save=["value"])) is None
    assert verdict(model, lora(model, None, inference_mode=True)) is None
    assert verdict(model, lora(model, None), wrapper=None) is None


def test_names_that_reach_more() -> None:
    """PEFT goes by how names end: where another module's ends so, too, the advice is to rename the head first."""
    model = Around(zoo.build("bert_base"), value=nn.Linear(32, 1))
    found = verdict(model, lora(model, None))
    assert found is not None
    assert "rename `value` before" in found.fix
    assert "`backbone.encoder.layer.0.attention.self.value`" in found.fix
    tuned = peft.get_peft_model(model, lora(model, None, target_modules=["key"], modules_to_save=["value"]))
    assert any("self.value" in key for key in peft.get_peft_model_state_dict(tuned))
    model = Around(zoo.build("bert_base"), value_head=nn.Linear(32, 1))
    assert verdict(model, lora(model, None)).fix == 'modules_to_save=["value_head"]'


@pytest.mark.parametrize("name", ["out", "layer"])
def test_names_that_reach_what_peft_puts_in(name: str) -> None:
    """PEFT looks for whole modules when its own are in, as `lora_dropout`: such a head has to be renamed first."""
    model = Around(zoo.build("llama_lm"), **{name: nn.Linear(32, 1)})
    config = lora(model, None)
    found = verdict(model, config)
    assert found is not None
    try:
        tuned = peft.get_peft_model(model, lora(model, None, modules_to_save=[name]))
        reached = [path for path, module in tuned.named_modules() if hasattr(module, "original_module")]
    except TypeError:  # what it reached cannot be saved
        reached = []
    assert (f"rename `{name}` before" in found.fix) == (reached != [f"base_model.model.{name}"])


def test_parameters_in_a_list() -> None:
    """PEFT refuses to save a list of parameters, so that nothing is advised; a module with such a list it saves."""
    prompts = nn.ParameterList([nn.init.normal_(nn.Parameter(torch.empty(2, 32)))])
    assert modules(Around(zoo.build("llama_lm"), prompts=prompts)) == []
    head = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 1))
    head.prompts = prompts
    assert modules(Around(zoo.build("llama_lm"), head=head)) == ["head"]


def test_resized_embeddings() -> None:
    """Embeddings that were resized after loading are no new head, tied or not."""
    for tied in (True, False):
        config = transformers.LlamaConfig(**zoo.LLAMA, tie_word_embeddings=tied)
        with tempfile.TemporaryDirectory() as folder:
            transformers.LlamaForCausalLM(config).save_pretrained(folder)
            model = transformers.LlamaForCausalLM.from_pretrained(folder)
        model.resize_token_embeddings(80)
        assert modules(model) == []


def test_a_second_adapter() -> None:
    """What an earlier adapter has put into the model is not taken for a head."""
    for name, head in (("llama_lm", []), ("segformer", ["decode_head"])):
        model = zoo.build(name)
        peft.get_peft_model(model, lora(model, modules_to_save=["decode_head"] if head else None))
        assert verdict(model, lora(model), wrapper=peft.PeftModel) is None or head
