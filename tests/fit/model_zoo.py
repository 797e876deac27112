"""Tiny models of many kinds, with random weights, as a user would get them.

``ZOO`` names every kind once. ``build(kind)`` returns the model as ``from_pretrained`` gives it: the checkpoint is
saved by the class named there, so that a head which that class does not have is newly initialised. ``Missing`` is
raised where the installed transformers does not have the kind.
"""

from __future__ import annotations

import functools
import pickle
import tempfile
from typing import Any, NamedTuple

import torch
import transformers
from torch import nn

from ..endings import ENDINGS

torch.set_num_threads(1)  # for models this small, threads only wait for each other

TASKS = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "CAUSAL_LM", "SEQ_2_SEQ_LM", "FEATURE_EXTRACTION", None)
BATCH, LENGTH = 2, 6

LLAMA = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
BERT = {key: value for key, value in LLAMA.items() if key not in ("head_dim", "num_key_value_heads")}
GPT2 = {
    "vocab_size": 64,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT2 = {**GPT2, "pad_token_id": 0}
BART = {
    "vocab_size": 64,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "forced_eos_token_id": None,
}
T5 = {"vocab_size": 64, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
T5 = {**T5, "pad_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 0}
DISTIL = {"vocab_size": 64, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 64}
VIT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 16,
    "patch_size": 8,
    "num_labels": 3,
}
WAV2VEC2 = {
    **{key: BERT[key] for key in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")},
    "num_attention_heads": 4,
    "pad_token_id": 0,
    "conv_dim": (32, 32),
    "conv_kernel": (4, 4),
    "conv_stride": (4, 4),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 16,
    "num_labels": 3,
    "mask_time_prob": 0.0,
}
SPEECH = {
    **{key: value for key, value in BART.items() if key != "max_position_embeddings"},
    "num_mel_bins": 8,
    "max_source_positions": 10,
    "max_target_positions": 32,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
}
_CLIP_TEXT = {**BERT, "projection_dim": 16}
_CLIP_VISION = {**{key: value for key, value in VIT.items() if key != "num_labels"}, "projection_dim": 16}
CLIP = {"text_config": _CLIP_TEXT, "vision_config": _CLIP_VISION, "projection_dim": 16}
SIGLIP = {"text_config": {**BERT, "projection_size": 32}, "vision_config": _CLIP_VISION}
LLAVA = {
    "text_config": {**LLAMA, "model_type": "llama"},
    "vision_config": {**_CLIP_VISION, "model_type": "clip_vision_model"},
    "image_token_index": 63,
}
QWEN2_VL = {
    **LLAMA,
    "text_config": {**LLAMA, "rope_scaling": {"type": "mrope", "rope_type": "default", "mrope_section": [1, 1, 2]}},
    "rope_scaling": {"type": "mrope", "rope_type": "default", "mrope_section": [1, 1, 2]},
    "vision_config": {"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "patch_size": 8},
}


class Kind(NamedTuple):
    """One kind of model.

    Attributes:
        model: Its class in transformers, or a function here.
        config: The config class.
        sizes: What makes it tiny.
        checkpoint: The class that saved the checkpoint; its own where nothing is new.
        inputs: What a training step is given: a word of `batch`.
    """

    model: str
    config: str
    sizes: dict[str, Any]
    checkpoint: str
    inputs: str


class Missing(Exception):
    """The installed transformers does not have this kind."""


def _text(family: str, sizes: dict[str, Any], saver: str, **heads: tuple[str, str]) -> dict[str, Kind]:
    return {
        name: Kind(f"{family}{suffix}", f"{family}Config", sizes, f"{family}{saver}", inputs)
        for name, (suffix, inputs) in heads.items()
    }


_SEQ, _TOK, _QA = (
    ("ForSequenceClassification", "labels"),
    ("ForTokenClassification", "tags"),
    ("ForQuestionAnswering", "span"),
)
_LM, _S2S, _MLM = ("ForCausalLM", "lm"), ("ForConditionalGeneration", "lm"), ("ForMaskedLM", "lm")
_IMAGE = ("ForImageClassification", "image")
_BASE = ("Model", "text")

# The rows of the tables that the rule was shaped on.
ZOO: dict[str, Kind] = {
    **_text("Llama", LLAMA, "ForCausalLM", llama_lm=_LM, llama_seq=_SEQ, llama_tok=_TOK, llama_base=_BASE),
    **_text("Llama", LLAMA, "Model", llama_qa=_QA),
    **_text("Llama", {**LLAMA, "num_labels": 1}, "ForCausalLM", llama_rm=("ForSequenceClassification", "score")),
    **_text("GPT2", GPT2, "LMHeadModel", gpt2_lm=("LMHeadModel", "lm"), gpt2_seq=_SEQ),
    **_text("Bert", BERT, "Model", bert_seq=_SEQ, bert_tok=_TOK, bert_qa=_QA, bert_base=_BASE),
    **_text("Bert", BERT, "Model", bert_mc=("ForMultipleChoice", "choice")),
    **_text("Bert", BERT, "ForMaskedLM", bert_mlm=_MLM),
    **_text("Bert", {**BERT, "is_decoder": True}, "LMHeadModel", bert_lmhead=("LMHeadModel", "lm")),
    **_text("Roberta", {**BERT, "max_position_embeddings": 80}, "ForMaskedLM", roberta_seq=_SEQ),
    **_text("DistilBert", DISTIL, "ForMaskedLM", distil_seq=_SEQ),
    **_text("DebertaV2", BERT, "ForMaskedLM", deberta_seq=_SEQ),
    **_text("Bart", BART, "ForConditionalGeneration", bart=_S2S, bart_seq=_SEQ),
    **_text("T5", T5, "ForConditionalGeneration", t5=_S2S, t5_seq=_SEQ, t5enc=("EncoderModel", "text")),
    "whisper": Kind(
        "WhisperForConditionalGeneration", "WhisperConfig", SPEECH, "WhisperForConditionalGeneration", "speech"
    ),
    **_text("ViT", VIT, "Model", vit_cls=_IMAGE, vit_base=("Model", "pixels")),
    "clip": Kind("CLIPModel", "CLIPConfig", CLIP, "CLIPModel", "pairs"),
    "llava": Kind("LlavaForConditionalGeneration", "LlavaConfig", LLAVA, "LlavaForConditionalGeneration", "lm"),
    **_text("Wav2Vec2", WAV2VEC2, "Model", w2v_ctc=("ForCTC", "ctc"), w2v_cls=("ForSequenceClassification", "audio")),
}
TABLE = tuple(ZOO)

# Kinds that the rule was not shaped on.
ZOO.update(
    {
        **_text("Mistral", LLAMA, "ForCausalLM", mistral_lm=_LM, mistral_seq=_SEQ),
        **_text("Qwen2", LLAMA, "ForCausalLM", qwen2_lm=_LM, qwen2_tok=_TOK),
        **_text("Gemma", LLAMA, "ForCausalLM", gemma_lm=_LM, gemma_seq=_SEQ),
        **_text("Phi3", LLAMA, "ForCausalLM", phi3_lm=_LM),
        **_text("Electra", {**BERT, "embedding_size": 32}, "ForMaskedLM", electra_seq=_SEQ, electra_qa=_QA),
        **_text("Albert", {**BERT, "embedding_size": 16}, "Model", albert_seq=_SEQ, albert_tok=_TOK),
        **_text("ModernBert", {**BERT, "cls_token_id": 1, "sep_token_id": 2}, "ForMaskedLM", modernbert_seq=_SEQ),
        **_text(
            "XLNet",
            {"vocab_size": 64, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},
            "LMHeadModel",
            xlnet_seq=_SEQ,
            xlnet_tok=_TOK,
        ),
        **_text("MBart", BART, "ForConditionalGeneration", mbart=_S2S, mbart_seq=_SEQ),
        **_text("Pegasus", BART, "ForConditionalGeneration", pegasus=_S2S),
        **_text(
            "LED",
            {
                **BART,
                "max_encoder_position_embeddings": 64,
                "max_decoder_position_embeddings": 64,
                "attention_window": 4,
            },
            "ForConditionalGeneration",
            led=_S2S,
            led_qa=_QA,
        ),
        **_text("T5", T5, "ForConditionalGeneration", t5_qa=_QA),
        **_text("MPNet", {**BERT, "max_position_embeddings": 80}, "Model", mpnet_mc=("ForMultipleChoice", "choice")),
        **_text("Beit", VIT, "Model", beit_cls=_IMAGE),
        **_text("Dinov2", VIT, "Model", dinov2_cls=_IMAGE, dinov2_base=("Model", "pixels")),
        **_text("Hubert", WAV2VEC2, "Model", hubert_cls=("ForSequenceClassification", "audio")),
        "ast_cls": Kind(
            "ASTForAudioClassification",
            "ASTConfig",
            {**VIT, "patch_size": 4, "frequency_stride": 4, "time_stride": 4, "max_length": 8, "num_mel_bins": 8},
            "ASTModel",
            "spectrogram",
        ),
        "segformer": Kind(
            "SegformerForSemanticSegmentation",
            "SegformerConfig",
            {
                "hidden_sizes": [8, 8],
                "depths": [1, 1],
                "num_attention_heads": [1, 1],
                "num_encoder_blocks": 2,
                "decoder_hidden_size": 8,
                "sr_ratios": [1, 1],
                "strides": [2, 2],
                "patch_sizes": [3, 3],
                "mlp_ratios": [2, 2],
                "num_labels": 3,
            },
            "SegformerModel",
            "mask",
        ),
        "siglip": Kind("SiglipModel", "SiglipConfig", SIGLIP, "SiglipModel", "pairs"),
        "speech2text": Kind(
            "Speech2TextForConditionalGeneration",
            "Speech2TextConfig",
            {
                **SPEECH,
                "input_feat_per_channel": 8,
                "conv_channels": 16,
                "num_conv_layers": 1,
                "conv_kernel_sizes": [3],
            },
            "Speech2TextForConditionalGeneration",
            "speech",
        ),
        "qwen2_vl": Kind(
            "Qwen2VLForConditionalGeneration", "Qwen2VLConfig", QWEN2_VL, "Qwen2VLForConditionalGeneration", "lm"
        ),
        "vilt_qa": Kind("ViltForQuestionAnswering", "ViltConfig", {**BERT, **VIT}, "ViltModel", "vqa"),
        "blenderbot": Kind(
            "BlenderbotForConditionalGeneration", "BlenderbotConfig", BART, "BlenderbotForConditionalGeneration", "lm"
        ),
        "opt_base": Kind(
            "OPTModel",
            "OPTConfig",
            {**BERT, "ffn_dim": 64, "word_embed_proj_dim": 32},
            "OPTForCausalLM",
            "text",
        ),
    }
)


class MLP(nn.Module):
    """A model that is not of transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).relu())


class WithValueHead(nn.Module):
    """The usual wrapper around a language model, as in TRL."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.pretrained_model = model
        self.config = model.config
        self.value = nn.Linear(32, 1)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["output_hidden_states"] = True
        out = self.pretrained_model(*args, **kwargs)
        values = self.value(out.hidden_states[-1])
        out.loss = values.mean() if out.loss is None else out.loss + values.mean()
        return out


class MyOwnLM(transformers.LlamaForCausalLM):
    """A user's class around a language model of transformers."""


class MyRM(transformers.LlamaForSequenceClassification):
    """A user's reward model."""


class CustomConfig(transformers.PretrainedConfig):
    model_type = "peft-strict-custom"

    def __init__(self, width: int = 32, vocab_size: int = 64, **kwargs: Any) -> None:
        self.width = width
        self.vocab_size = vocab_size
        super().__init__(**kwargs)


class CustomBody(nn.Module):
    """The base model under both."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.q_proj = nn.Linear(config.width, config.width)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.q_proj(self.embed(ids))


class _Custom(transformers.PreTrainedModel):
    config_class = CustomConfig
    base_model_prefix = "body"

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight)
            nn.init.zeros_(module.bias)


class CustomCausal(_Custom, transformers.GenerationMixin):
    """Registered with AutoModelForCausalLM."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.body = CustomBody(config)
        self.out = nn.Linear(config.width, config.vocab_size)
        self.post_init()

    def forward(self, input_ids: Any = None, labels: Any = None, **kwargs: Any) -> Any:
        logits = self.out(self.body(input_ids))
        loss = None if labels is None else nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return transformers.modeling_outputs.CausalLMOutput(loss=loss, logits=logits)

    def prepare_inputs_for_generation(self, input_ids: Any, **kwargs: Any) -> Any:
        return {"input_ids": input_ids}


class CustomScorer(_Custom):
    """Registered with AutoModelForSequenceClassification; its head has a name that PEFT does not know."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.body = CustomBody(config)
        self.verdict = nn.Linear(config.width, config.num_labels)
        self.post_init()

    def forward(self, input_ids: Any = None, labels: Any = None, **kwargs: Any) -> Any:
        logits = self.verdict(self.body(input_ids).mean(1))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return transformers.modeling_outputs.SequenceClassifierOutput(loss=loss, logits=logits)


transformers.AutoConfig.register("peft-strict-custom", CustomConfig, exist_ok=True)
transformers.AutoModelForCausalLM.register(CustomConfig, CustomCausal, exist_ok=True)
transformers.AutoModelForSequenceClassification.register(CustomConfig, CustomScorer, exist_ok=True)

_USER = {cls.__name__: cls for cls in (MyOwnLM, MyRM, CustomConfig, CustomCausal, CustomScorer)}

ZOO.update(
    {
        "user_sub_lm": Kind("MyOwnLM", "LlamaConfig", LLAMA, "LlamaForCausalLM", "lm"),
        "user_sub_rm": Kind("MyRM", "LlamaConfig", LLAMA, "LlamaForCausalLM", "text"),
        "auto_reg_lm": Kind("CustomCausal", "CustomConfig", {}, "CustomCausal", "lm"),
        "auto_reg_scorer": Kind("CustomScorer", "CustomConfig", {"num_labels": 3}, "CustomCausal", "labels"),
    }
)


def _find(name: str) -> Any:
    try:
        return _USER.get(name) or getattr(transformers, name)
    except AttributeError:
        raise Missing(f"transformers {transformers.__version__} has no {name}") from None


@functools.cache
def _checkpoints() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="peft-strict-zoo-")
    ENDINGS.callback(folder.cleanup)
    return folder


@functools.cache
def checkpoint(name: str, *, own: bool = False) -> str:
    """Return the folder of this kind's checkpoint, saved once; with ``own``, saved by its own class, head and all."""
    kind = ZOO[name]
    torch.manual_seed(0)
    saver = _find(kind.model if own else kind.checkpoint)
    folder = f"{_checkpoints().name}/{name}{'-own' if own else ''}"
    saver(_find(kind.config)(**kind.sizes)).save_pretrained(folder)
    return folder


def build(name: str, *, own: bool = False, seed: int = 1) -> nn.Module:
    """Return a model of this kind as loaded from its checkpoint; a new head is drawn by ``seed``."""
    try:
        return pickle.loads(_pickled(name, own, seed))  # keeps transformers' marks on the parameters, unlike deepcopy
    except RuntimeError:  # wav2vec 2.0 has parametrised modules, which cannot be pickled
        return _load(name, own, seed)


@functools.cache
def _pickled(name: str, own: bool, seed: int) -> bytes:
    return pickle.dumps(_load(name, own, seed))


def _load(name: str, own: bool, seed: int) -> nn.Module:
    inner = build("llama_lm") if name == "wrapped_lm" else None
    folder = None if name in ("mlp", "wrapped_lm") else checkpoint(name, own=own)
    torch.manual_seed(seed)
    if folder is None:
        return WithValueHead(inner) if inner else MLP()
    return _find(ZOO[name].model).from_pretrained(folder, **_labels(name))


@functools.cache
def new_parameters(name: str) -> frozenset[str]:
    """Return the parameters that `build` draws anew, as transformers itself reports them."""
    if name in ("mlp", "wrapped_lm"):
        return frozenset(key for key, _ in build(name).named_parameters() if key.startswith(("head", "value")))
    _, info = _find(ZOO[name].model).from_pretrained(checkpoint(name), output_loading_info=True, **_labels(name))
    return frozenset(info["missing_keys"])


def _labels(name: str) -> dict[str, int]:
    return {key: value for key, value in ZOO[name].sizes.items() if key == "num_labels"}


def batch(name: str) -> dict[str, Any]:
    """Return the inputs of one training step for this kind."""
    if name == "mlp":
        return {"x": torch.ones(BATCH, 8)}
    inputs = "lm" if name == "wrapped_lm" else ZOO[name].inputs
    ids = torch.arange(3, 3 + BATCH * LENGTH).reshape(BATCH, LENGTH)
    ids[:, -1] = 2  # Bart pools at this token
    pixels = torch.linspace(0, 1, BATCH * 3 * 16 * 16).reshape(BATCH, 3, 16, 16)
    wave = torch.linspace(-1, 1, BATCH * 400).reshape(BATCH, 400)
    classes = torch.tensor([0, 1])
    return {
        "text": {"input_ids": ids},
        "labels": {"input_ids": ids, "labels": classes},
        "score": {"input_ids": ids, "labels": torch.tensor([0.0, 1.0])},
        "tags": {"input_ids": ids, "labels": ids % 2},
        "span": {"input_ids": ids, "start_positions": classes, "end_positions": classes},
        "lm": {"input_ids": ids, "labels": ids},
        "choice": {"input_ids": ids[:, None].repeat(1, 2, 1), "labels": classes},
        "pixels": {"pixel_values": pixels},
        "image": {"pixel_values": pixels, "labels": classes},
        "mask": {"pixel_values": pixels, "labels": torch.ones(BATCH, 16, 16, dtype=torch.long)},
        "pairs": {"input_ids": ids, "pixel_values": pixels},
        "vqa": {"input_ids": ids, "pixel_values": pixels, "labels": torch.ones(BATCH, 3)},
        "audio": {"input_values": wave, "labels": classes},
        "ctc": {"input_values": wave, "labels": ids[:, :3]},
        "spectrogram": {"input_values": torch.ones(BATCH, 8, 8), "labels": classes},
        "speech": {"input_features": _features(name), "labels": ids},
    }[inputs]


def _features(name: str) -> torch.Tensor:
    return torch.ones(BATCH, 8, 20) if name == "whisper" else torch.ones(BATCH, 20, 8)


_LAYERS = {
    "num_hidden_layers",
    "num_layers",
    "encoder_layers",
    "decoder_layers",
    "num_encoder_layers",
    "n_layer",
    "depth",
}


def smallest(table: Any) -> nn.Module:
    """Build the first model of a registry that its default config can build on the meta device, with few layers.

    Raises:
        Missing: if none of the first ones can be built, and why.
    """
    failed = []
    for model_type, entry in list(table.items())[:12]:
        name = entry[0] if isinstance(entry, (tuple, list)) else entry
        try:
            config = transformers.models.auto.configuration_auto.CONFIG_MAPPING[model_type]()
            _shrink(config)
            with torch.device("meta"):
                model = getattr(transformers, name)(config)
        except Exception as error:  # packages that are not installed, defaults that do not fit together
            failed.append(f"{name}: {type(error).__name__}")
            continue
        if targets(model):
            return model
        failed.append(f"{name}: nothing to adapt")
    raise Missing(", ".join(failed))


def _shrink(config: Any) -> None:
    for key, value in list(vars(config).items()):
        if key in _LAYERS and isinstance(value, int):
            setattr(config, key, 1)
        elif isinstance(value, transformers.PretrainedConfig):
            _shrink(value)


def targets(model: nn.Module, *, count: int = 2) -> list[str]:
    """Return the names of the first linear layers of the base model, for LoRA; of convolutions if it has no others."""
    prefix = getattr(model, "base_model_prefix", "")
    start = f"{prefix}." if isinstance(getattr(model, prefix or " ", None), nn.Module) else ""
    named = [(name, type(module).__name__) for name, module in model.named_modules() if name.startswith(start)]
    linear = [name for name, cls in named if cls in ("Linear", "Conv1D", "NonDynamicallyQuantizableLinear")]
    # of models that see and speak, those that speak: the batches here hold text only
    found = sorted(linear, key=lambda name: "language_model" not in name)
    return (found or [name for name, cls in named if cls == "Conv2d"])[:count]
