"""The facts that are read from live models, configs and PEFT classes."""

from __future__ import annotations

import functools
import types
from typing import Any, Optional

import peft
import pytest
import torch
import transformers
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from torch import nn

from peft_strict.fit import facts, kinds
from peft_strict.fit.forward import collides, forward_of
from peft_strict.fit.misfit import Weight
from peft_strict.releases.live import added_modules, live_release

from . import model_zoo as zoo

pytestmark = pytest.mark.filterwarnings("ignore")  # those of torch, transformers and PEFT are not the matter here

MARKS = int(transformers.__version__.partition(".")[0]) >= 5


def gather(model: Any, config: Any = None, wrapper: Optional[type] = peft.PeftModel) -> Any:
    config = config or LoraConfig()
    return facts.gather(model, config, wrapper=wrapper, adds=added_modules(wrapper), supported=("SEQ_CLS",))


# -- kinds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("registry", "kind"),
    [
        ("MODEL_MAPPING_NAMES", "HEADLESS"),
        ("MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES", "HEADLESS"),
        ("MODEL_FOR_IMAGE_MAPPING_NAMES", "HEADLESS"),
        ("MODEL_FOR_PRETRAINING_MAPPING_NAMES", None),
        ("MODEL_WITH_LM_HEAD_MAPPING_NAMES", None),
        ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "CAUSAL_LM"),
        ("MODEL_FOR_CAUSAL_LM_MAPPING", "CAUSAL_LM"),
        ("MODEL_FOR_CAUSAL_IMAGE_MODELING_MAPPING_NAMES", "OTHER"),
        ("MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES", "SEQ_2_SEQ_LM"),
        ("MODEL_FOR_MASKED_LM_MAPPING_NAMES", "MASKED_LM"),
        ("MODEL_FOR_MASKED_IMAGE_MODELING_MAPPING_NAMES", "OTHER"),
        ("MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES", "SEQ_CLS"),
        ("MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES", "TOKEN_CLS"),
        ("MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES", "QUESTION_ANS"),
        ("MODEL_FOR_DOCUMENT_QUESTION_ANSWERING_MAPPING_NAMES", "QUESTION_ANS"),
        ("MODEL_FOR_VISUAL_QUESTION_ANSWERING_MAPPING_NAMES", "OTHER_CLS"),
        ("MODEL_FOR_TABLE_QUESTION_ANSWERING_MAPPING_NAMES", "OTHER_CLS"),
        ("MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES", "OTHER_CLS"),
        ("MODEL_FOR_AUDIO_FRAME_CLASSIFICATION_MAPPING_NAMES", "OTHER_CLS"),
        ("MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES", "DUAL"),
        ("MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES", "OTHER_CLS"),
        ("MODEL_FOR_NEXT_SENTENCE_PREDICTION_MAPPING_NAMES", "OTHER_CLS"),
        ("MODEL_FOR_CTC_MAPPING_NAMES", "OTHER_CLS"),
        ("MODEL_FOR_AUDIO_XVECTOR_MAPPING_NAMES", "OTHER_CLS"),
        ("MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES", "SPEECH"),
        ("MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES", "MULTIMODAL"),
        ("MODEL_FOR_VISION_2_SEQ_MAPPING_NAMES", "MULTIMODAL"),
        ("MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES", "MULTIMODAL"),
        ("MODEL_FOR_AUDIO_TOKENIZATION_NAMES", "OTHER"),
        ("MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES", "OTHER"),
        ("MODEL_FOR_SOMETHING_NEW_MAPPING_NAMES", "OTHER"),
        ("MODEL_FOR_SOMETHING_NEW_CLASSIFICATION_MAPPING_NAMES", "OTHER_CLS"),
        ("CONFIG_MAPPING_NAMES", None),
        ("AutoModel", None),
    ],
)
def test_kind_of_registry(registry: str, kind: Optional[str]) -> None:
    """A registry's name says what is in it; of new ones, too."""
    assert kinds.kind_of_registry(registry) == kind


# How many classes fit each task type, counted by hand from the registries' names: those listed once, and more often.
COUNTED = {
    "5.23.0": {"SEQ_CLS": 126, "TOKEN_CLS": 100, "QUESTION_ANS": 79, "CAUSAL_LM": 281, "MASKED_LM": 51, "": 22},
    "4.40.2": {"SEQ_CLS": 82, "TOKEN_CLS": 58, "QUESTION_ANS": 64, "CAUSAL_LM": 84, "MASKED_LM": 45, "": 23},
}


def test_counts() -> None:
    """Every class of every registry has a kind, but for those that are in the catch-alls only."""
    module = transformers.models.auto.modeling_auto
    listed = set()
    for name, table in vars(module).items():
        if isinstance(table, dict) and name.startswith("MODEL_") and name.endswith("_NAMES"):
            listed |= set(kinds._flat(table.values()))
    found_kinds = {name: kinds._registries().by_name.get(name, frozenset()) for name in listed}
    found = {
        task: sum(task in each or (task == "CAUSAL_LM" and "MULTIMODAL" in each) for each in found_kinds.values())
        for task in ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "CAUSAL_LM", "MASKED_LM")
    }
    found[""] = sum(not each for each in found_kinds.values())
    assert found == COUNTED.get(transformers.__version__, found)
    assert found["SEQ_CLS"] > 50


@pytest.mark.parametrize(
    ("name", "expected", "exact"),
    [
        ("LlamaForCausalLM", {"CAUSAL_LM"}, True),
        ("BartForConditionalGeneration", {"MASKED_LM", "SEQ_2_SEQ_LM"}, True),
        ("XLMWithLMHeadModel", {"MASKED_LM", "CAUSAL_LM"}, True),
        ("LlamaModel", {"HEADLESS"}, True),
        ("WhisperForConditionalGeneration", {"SPEECH"}, True),
        ("Blip2ForConditionalGeneration", {"MULTIMODAL", "OTHER_CLS"}, True),
        ("BertForPreTraining", set(), False),
        ("PreTrainedModel", set(), False),
    ],
)
def test_kinds_of(name: str, expected: set[str], exact: bool) -> None:
    """A class has the kinds of all registries that list it; being a model without a head counts only if alone."""
    assert kinds.kinds_of(getattr(transformers, name)) == (expected, exact)


def test_kinds_of_others() -> None:
    """A user's subclass has the kinds of its base, but is not exact; what is not of transformers has none."""
    assert kinds.kinds_of(zoo.MyRM) == ({"SEQ_CLS"}, False)
    namesake = type("LlamaForCausalLM", (nn.Module,), {})
    assert kinds.kinds_of(namesake) == (set(), False)
    remote = type(
        "LlamaForSequenceClassification", (transformers.LlamaForCausalLM,), {"__module__": "transformers_modules.x"}
    )
    assert kinds.kinds_of(remote) == ({"CAUSAL_LM"}, False)


def test_registered_later() -> None:
    """A class that is registered after the registries were read is known from then on."""

    class LateConfig(transformers.PretrainedConfig):
        model_type = "peft-strict-late"

    class LateModel(transformers.PreTrainedModel):
        config_class = LateConfig

    assert kinds.kinds_of(LateModel) == (set(), False)
    transformers.AutoModelForTokenClassification.register(LateConfig, LateModel)
    assert kinds.kinds_of(LateModel) == ({"TOKEN_CLS"}, True)
    transformers.AutoModel.register(LateConfig, LateModel)
    assert kinds.kinds_of(LateModel) == ({"TOKEN_CLS"}, True)


def test_table_that_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """So is one whose name is put into a table."""

    class Grown(transformers.PreTrainedModel):
        pass

    table = transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    assert kinds.kinds_of(Grown) == (set(), False)
    monkeypatch.setitem(table, "grown", ("Other", "Grown"))
    assert kinds.kinds_of(Grown) == ({"CAUSAL_LM"}, True)


# -- the head --------------------------------------------------------------------------------------------------------


def test_head() -> None:
    """The head is what stands beside the base model; each parameter is new or not."""
    fresh = True
    assert gather(zoo.build("llama_seq")).head == (Weight("score.weight", fresh, unit="score"),)
    assert gather(zoo.build("llama_seq", own=True)).head == (Weight("score.weight", False, unit="score"),)
    assert {w.path for w in gather(zoo.build("roberta_seq")).head} == {
        f"classifier.{part}.{kind}" for part in ("dense", "out_proj") for kind in ("weight", "bias")
    }
    assert gather(zoo.build("llama_seq")).marked is MARKS


@pytest.mark.parametrize("name", ["llama_lm", "bert_mlm", "llama_base", "t5", "mlp", "whisper"])
def test_no_head(name: str) -> None:
    """Models that are no classifiers and were loaded whole, or not at all, have no head that may be lost."""
    assert gather(zoo.build(name)).head == ()


def test_head_under_an_adapter() -> None:
    """An earlier adapter's copies and layers are not the model's own parameters."""
    for first in ({"modules_to_save": ["classifier"]}, {"target_modules": ["query", "dense", "out_proj"]}):
        model = zoo.build("roberta_seq")
        plain = gather(model).head
        get_peft_model(model, LoraConfig(**{"r": 2, "target_modules": ["query"], **first}))
        assert gather(model).head == plain


def test_only_the_head_is_walked() -> None:
    """Of the base model no more is looked at than the first few parameters, however many layers it has."""
    seen = set()

    class Watched(nn.Module):
        def __getattribute__(self, name: str) -> Any:
            if name == "__dict__":
                seen.add(id(self))
            return super().__getattribute__(name)

    model = transformers.LlamaForSequenceClassification(
        transformers.LlamaConfig(**{**zoo.LLAMA, "num_hidden_layers": 40})
    )
    for layer in model.model.layers:
        layer.watched = Watched()
    seen.clear()
    assert [weight.path for weight in gather(model).head] == ["score.weight"]
    assert 0 < len(seen) < 10


@pytest.mark.parametrize(
    ("architectures", "fresh"),
    [
        (["LlamaForCausalLM"], True),
        (["LlamaForSequenceClassification"], False),
        (["LlamaModel", "LlamaForSequenceClassification"], False),
        ([], None),
        (None, None),
        ("LlamaForCausalLM", None),
        ([3], True),
    ],
)
def test_architectures(architectures: Any, fresh: Optional[bool]) -> None:
    """Without marks, the head is new if the checkpoint was saved from a class that is none of the model's."""
    model = transformers.LlamaForSequenceClassification(transformers.LlamaConfig(**zoo.LLAMA))
    model.config.__dict__["architectures"] = architectures
    assert gather(model).head == (Weight("score.weight", fresh, unit="score"),)


def test_a_head_without_data() -> None:
    """Where a part of the head is still on the meta device, its mark says nothing: the checkpoint's class tells."""
    model = zoo.build("llama_seq")
    model.score.weight = nn.Parameter(torch.empty(2, 32, device="meta"))
    found = gather(model)
    assert (found.head, found.marked) == ((Weight("score.weight", True, unit="score"),), False)


def test_who_saves_the_head() -> None:
    """The head is looked at where PEFT trains and saves it: not under a class of the user's, nor for X-LoRA."""
    model = zoo.build("llama_seq")
    mine = type("Mine", (peft.PeftModel,), {"__module__": "project"})
    assert gather(model).head == gather(model, wrapper=None).head != ()
    assert gather(model, wrapper=mine).head == ()
    assert gather(model, types.SimpleNamespace(peft_type="XLORA")).head == ()


# -- what PEFT will do -----------------------------------------------------------------------------------------------


class Recorder(transformers.LlamaForCausalLM):
    """Notes the keywords of each forward."""

    def forward(self, **kwargs: Any) -> Any:
        self.__dict__["passed"] = set(kwargs)
        raise InterruptedError


@pytest.mark.parametrize("task", [*zoo.TASKS])
def test_passed(task: Optional[str]) -> None:
    """What each PeftModel class always passes to the model is what it really passes."""
    batch = {"input_ids": torch.ones(1, 4, dtype=torch.long)}
    for config in (
        LoraConfig(task_type=task, target_modules=["q_proj"]),
        PromptTuningConfig(task, num_virtual_tokens=2),
    ):
        config.task_type = task
        model = Recorder(transformers.LlamaConfig(**zoo.LLAMA))
        wrapper = live_release().tasks.get(task, peft.PeftModel)
        if config.is_prompt_learning and task is None:
            continue
        expected = set(facts._passed(wrapper, model, config))
        try:
            wrapped = get_peft_model(model, config)
        except TypeError:  # PEFT 0.13 cannot build prompt tuning for these
            continue
        with pytest.raises(InterruptedError):
            wrapped(**batch)
        if task is None:
            assert (expected, model.passed) == (set(), {"input_ids"})
        else:
            assert expected - {"decoder_inputs_embeds"} <= model.passed
            assert "inputs_embeds" in expected


def test_passed_by_others() -> None:
    """Nothing is known of a PeftModel class with a forward of its own, nor where there is no such class."""
    mine = type("Mine", (peft.PeftModelForCausalLM,), {"forward": lambda self, x: x, "__module__": "project"})
    mine.forward.__module__ = "project"
    model = zoo.build("llama_lm")
    assert facts._passed(mine, model, LoraConfig()) == ()
    assert facts._passed(None, model, LoraConfig()) == ()
    model.config.model_type = "mpt"
    assert "inputs_embeds" not in facts._passed(peft.PeftModelForCausalLM, model, LoraConfig())


@pytest.mark.parametrize(
    ("config", "wrapper", "expected"),
    [
        (
            LoraConfig(task_type="SEQ_CLS", modules_to_save=["embed"]),
            peft.PeftModelForSequenceClassification,
            {"task_type": "SEQ_CLS", "training": True, "saved": ("embed", "classifier", "score"), "untyped": False},
        ),
        (
            LoraConfig(inference_mode=True),
            peft.PeftModel,
            {"task_type": None, "training": False, "saved": (), "untyped": True, "can_save": True},
        ),
        (LoraConfig(), None, {"untyped": True, "prompt_learning": False}),
        (
            PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2),
            peft.PeftModelForCausalLM,
            {"config_class": "PromptTuningConfig", "prompt_learning": True, "task_type": "CAUSAL_LM"},
        ),
        (types.SimpleNamespace(is_prompt_learning=True), peft.PeftModel, {"prompt_learning": True, "can_save": False}),
        (peft.LNTuningConfig(target_modules=["norm"]), peft.PeftModel, {"saved": ("norm",)}),
        (peft.LNTuningConfig(target_modules=".*norm"), peft.PeftModel, {"saved": ("",)}),
    ],
    ids=["typed", "inference", "injected", "prompt", "a method by itself", "whole layers", "by a pattern"],
)
def test_config_and_wrapper(config: Any, wrapper: Optional[type], expected: dict[str, Any]) -> None:
    """What is read from the config and from the class around the model."""
    found = gather(zoo.build("llama_seq"), config, wrapper)._asdict()
    assert {name: found[name] for name in expected} == expected
    assert found["model_class"] == "LlamaForSequenceClassification"
    assert found["text_inputs"] is True


@pytest.mark.parametrize("wrapper", [peft.PeftModelForCausalLM, peft.PeftModelForSeq2SeqLM])
def test_lacks(wrapper: type) -> None:
    """What PEFT's classes for generation read and a model does not have is named; other classes read nothing."""
    assert gather(zoo.build("mlp"), wrapper=wrapper).lacks in facts._READ
    assert gather(zoo.build("mlp"), wrapper=peft.PeftModelForTokenClassification).lacks is None
    assert gather(zoo.build("llama_lm"), wrapper=wrapper).lacks != "prepare_inputs_for_generation"


@pytest.mark.parametrize("has_own_constructor", [True, False])
def test_lacks_of_a_users_wrapper(has_own_constructor: bool) -> None:
    """A wrapper class whose constructor is the user's may need nothing of what PEFT's reads; an inherited one does."""

    class Mine(peft.PeftModelForCausalLM):
        if has_own_constructor:

            def __init__(self, model: Any, config: Any, name: str = "default") -> None:
                peft.PeftModel.__init__(self, model, config, name)

    assert (gather(zoo.build("mlp"), wrapper=Mine).lacks is None) is has_own_constructor


def test_what_cannot_be_read() -> None:
    """A property that fails is no fact, but for one that PEFT is going to read itself."""

    class Odd(nn.Module):
        @property
        def config(self) -> Any:
            raise RuntimeError

    class OddConfig:
        @property
        def modules_to_save(self) -> Any:
            raise RuntimeError

    class OddForward:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError

    Odd.forward = OddForward()  # type: ignore[assignment]
    found = gather(Odd(), OddConfig())
    assert (found.encoder_decoder, found.listed, found.can_save) == (False, (), True)
    assert (found.refused, found.collides) == ((), False)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [(None, ()), (["a", "b"], ("a", "b")), ("ab", ("a", "b")), ({"a"}, ("a",)), (3, ()), ([3, "a"], ("a",))],
)
def test_listed(listed: Any, expected: tuple[str, ...]) -> None:
    """modules_to_save in any form; a text counts by its characters, as PEFT takes it."""
    config = LoraConfig()
    config.modules_to_save = listed
    assert gather(zoo.build("llama_lm"), config).listed == expected


def test_listed_without_what_peft_added() -> None:
    """Names that PEFT has put into the config already are not the user's."""
    config = LoraConfig(modules_to_save=["embed", "classifier", "score"])
    found = gather(zoo.build("llama_seq"), config, peft.PeftModelForSequenceClassification)
    assert found.listed == ("embed",)
    assert set(found.saved) == {"embed", "classifier", "score"}


def test_automatic() -> None:
    """The names each task type adds come from PEFT's own mapping; without a PeftModel there are none."""
    model = zoo.build("llama_seq")
    assert gather(model).automatic["SEQ_CLS"] == ("classifier", "score")
    assert gather(model).automatic["CAUSAL_LM"] == ()
    assert gather(model, wrapper=None).automatic == {}


# -- forward ---------------------------------------------------------------------------------------------------------


def _wrap(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Narrow(nn.Module):
    """Takes two inputs."""

    def forward(self, input_ids: Any, labels: Any = None) -> Any:
        return input_ids


class Open(nn.Module):
    """Takes anything."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return args


class Decorated(Narrow):
    """Takes anything, perhaps: a foreign decorator may drop some keywords."""

    forward = _wrap(Narrow.forward)


def test_refused() -> None:
    """Only what is certain to be refused counts: not for containers, open ends, or decorators of others."""
    passed = ("input_ids", "inputs_embeds", "labels", "return_dict", "output_attentions")
    assert forward_of(Narrow()).refuses(passed) == ("inputs_embeds", "return_dict", "output_attentions")
    for model in (
        Open(),
        Decorated(),
        nn.ModuleDict(),
        nn.DataParallel(nn.Linear(2, 2)),
        torch.jit.trace,
        object(),
        3,
    ):
        assert forward_of(model).refuses(passed) == ()
    replaced = Narrow()
    replaced.forward = lambda **kwargs: None
    assert forward_of(replaced).refuses(passed) == ()
    hooked = Narrow()
    hooked.forward = functools.update_wrapper(functools.partial(Open.forward, hooked), hooked.forward)
    assert forward_of(hooked).refuses(passed) == ()


def test_decorators_of_transformers() -> None:
    """Decorators of transformers drop the keywords about outputs, and no others."""
    decorator = getattr(transformers.utils.generic, "can_return_tuple", None)
    if decorator is None:
        pytest.skip(f"transformers {transformers.__version__} has no such decorators")
    model = type("Decorated", (nn.Module,), {"forward": decorator(Narrow.forward)})()
    assert forward_of(model).refuses(("inputs_embeds", "return_dict", "output_attentions")) == ("inputs_embeds",)


class Decoder(nn.Module):
    def forward(self, input_ids: Any = None, extra: Any = None, **kwargs: Any) -> Any:
        return input_ids


class Speech(nn.Module):
    """Hands its keywords on to a decoder whose input it passes itself."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = Decoder()

    def forward(self, features: Any, tokens: Any = None, **kwargs: Any) -> Any:
        return self.decoder(input_ids=tokens, **kwargs)


class Nested(nn.Module):
    """Does so two calls deeper."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"speech": Speech()})

    def run(self, features: Any, **kwargs: Any) -> Any:
        return self.inner.speech(features, **kwargs)

    def forward(self, features: Any, **kwargs: Any) -> Any:
        return self.run(features, **kwargs)


class ByPosition(Speech):
    """Passes it by position."""

    def forward(self, features: Any, tokens: Any = None, **kwargs: Any) -> Any:
        return self.decoder(tokens, **kwargs)


class Careful(Speech):
    """Passes something else by name."""

    def forward(self, features: Any, tokens: Any = None, **kwargs: Any) -> Any:
        return self.decoder(extra=tokens, **kwargs)


class Naming(Speech):
    """Takes the keyword itself."""

    def forward(self, features: Any, input_ids: Any = None, **kwargs: Any) -> Any:
        return self.decoder(input_ids=features, **kwargs)


class Ignoring(Speech):
    """Takes all keywords and uses none."""

    def forward(self, features: Any, tokens: Any = None, **kwargs: Any) -> Any:
        return self.decoder(input_ids=tokens)


class Others(Speech):
    """Passes other keywords on than its own."""

    def forward(self, features: Any, tokens: Any = None, **kwargs: Any) -> Any:
        others: dict[str, Any] = {}
        return self.decoder(input_ids=tokens, **others)


class Elsewhere(Speech):
    """Passes its keywords to something else that is called as its decoder is."""

    def forward(self, features: Any, tokens: Any = None, **kwargs: Any) -> Any:
        foreign = types.SimpleNamespace(decoder=lambda *args, **kwargs: args)
        return foreign.decoder(tokens, **kwargs)


class Endless(nn.Module):
    """Would call itself until the stack is full."""

    def forward(self, features: Any, **kwargs: Any) -> Any:
        return self.forward(features, **kwargs)


class Returning(Speech):
    """Passes a keyword about outputs itself; decorators of transformers take those out on the way."""

    def forward(self, features: Any, **kwargs: Any) -> Any:
        return self.decoder(return_dict=True, **kwargs)


def test_what_is_not_followed() -> None:
    """Keywords about outputs never collide, and calls are followed to a limit."""
    assert collides(Returning(), ("return_dict",)) is False
    assert collides(Endless(), ("input_ids",)) is False


@pytest.mark.parametrize(
    "model",
    [
        *(Speech(), Nested(), ByPosition(), Careful(), Naming(), Ignoring(), Others(), Elsewhere()),
        *(Open(), Narrow()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_collides(model: nn.Module) -> None:
    """A keyword that meets the same one on its way is a TypeError: found in the source if and only if it happens."""
    happens = ""
    try:
        model(1) if isinstance(model, Narrow) else model(1, input_ids=None)
    except TypeError as error:
        happens = str(error)
    assert collides(model, ("input_ids", "return_dict")) is ("multiple values" in happens)


def test_only_models_without_text_collide() -> None:
    """What becomes of the keywords is asked of models that take no text; for all others it is no fact."""
    wrapper = peft.PeftModelForSeq2SeqLM
    assert collides(Speech(), facts._passed(wrapper, Speech(), LoraConfig()))
    assert gather(Speech(), wrapper=wrapper).collides is False


def test_collides_on_anything() -> None:
    """What has no source, is no function, or is decorated in a circle does not collide."""
    circle = type("Circle", (Speech,), {"forward": lambda self, **kwargs: self.decoder(x=1, **kwargs)})
    circle.forward.__wrapped__ = circle.forward
    assert collides(circle(), ("x",)) is False
    no_source = type("Odd", (nn.Module,), {"forward": eval("lambda self, **kwargs: self.a(x=1, **kwargs)")})()
    for thing in (no_source, nn.Linear(2, 2), nn.LSTM(2, 2), object(), None, 3, type):
        assert collides(thing, ("x",)) is False


class OnlyInputs(nn.Module):
    def forward(self, input_ids: Any, inputs_embeds: Any) -> None: ...


class OnlyPixels(nn.Module):
    def forward(self, pixel_values: Any, **kwargs: Any) -> None: ...


@pytest.mark.parametrize(
    ("model", "encoder_decoder", "text_inputs"),
    [
        pytest.param(zoo.build("t5"), True, True, id="t5"),
        pytest.param(zoo.build("llama_lm"), False, True, id="llama"),
        pytest.param(OnlyInputs(), False, True, id="no other inputs"),
        pytest.param(OnlyPixels(), False, False, id="pixels"),
    ],
)
def test_what_a_model_says_of_itself(model: nn.Module, encoder_decoder: bool, text_inputs: bool) -> None:
    """Its config tells whether it has two parts, its ``forward`` whether it takes text."""
    found = gather(model, LoraConfig(), None)
    assert (found.encoder_decoder, found.text_inputs) == (encoder_decoder, text_inputs)
