"""The advice, followed: no report any more, and what was lost is trained, saved and the same after loading."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any, Callable, Optional

import peft
import pytest
import torch
import transformers
from torch import nn

import peft_strict

from . import model_zoo as zoo
from .test_heads import Around, Pooled, Stepping, WithRewardHead, loaded
from .test_measured import _as_written, lora, verdict

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # those of torch, transformers and PEFT are not the matter here
    pytest.mark.skipif(int(transformers.__version__.partition(".")[0]) < 5, reason="transformers < 5 sets no marks"),
]


PEFT = tuple(int(part) for part in peft.__version__.split(".")[:2])
MERGES = pytest.mark.skipif(not hasattr(peft.LoraModel, "merge_and_unload"), reason="this PEFT cannot merge")


def said(action: Callable[[], Any]) -> list[str]:
    """Return the codes of what peft-strict says of an action."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            action()
        except peft_strict.MisfitError as error:
            return [error.code]
    return [each.message.code for each in caught if isinstance(each.message, peft_strict.PeftStrictWarning)]


# -- new modules -----------------------------------------------------------------------------------------------------


def _hung(seed: int) -> nn.Module:
    model = zoo.build("llama_lm")
    torch.manual_seed(seed)
    model.score = nn.Linear(32, 1)
    return model


def _around(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return Around(zoo.build("llama_lm"), value=nn.Linear(32, 1))


def _linear(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Linear(32, 1)


def _of(name: str, checkpoint: str, **extra: Any) -> Callable[[int], nn.Module]:
    def make(seed: int) -> nn.Module:
        torch.manual_seed(0)  # the checkpoint is the same each time
        with torch.random.fork_rng():
            model = loaded(name, checkpoint, **extra)
        torch.manual_seed(seed)
        with torch.no_grad():  # as if it had been drawn by another seed
            for parameter in model.parameters():
                if not getattr(parameter, "_is_hf_initialized", False) and parameter.dim() > 1:
                    parameter.data.normal_()
        return model

    return make


CASES: dict[str, tuple[Callable[[int], nn.Module], Optional[str]]] = {
    "pooler": (_of("BertForSequenceClassification", "BertForMaskedLM"), "SEQ_CLS"),
    "pooler, no type": (_of("BertForSequenceClassification", "BertForMaskedLM"), None),
    "hung onto a language model": (_hung, "CAUSAL_LM"),
    "in a subclass": (lambda seed: WithRewardHead.from_pretrained(zoo.checkpoint("llava")), "CAUSAL_LM"),
    "segmentation": (lambda seed: zoo.build("segformer", seed=seed), None),
    "depth": (_of("GLPNForDepthEstimation", "GLPNModel"), None),
    "forecasting": (_of("PatchTSTForPrediction", "PatchTSTModel"), None),
    "detection": (_of("YolosForObjectDetection", "YolosModel"), None),
    "question answering": (lambda seed: zoo.build("t5_qa", seed=seed), "QUESTION_ANS"),
    "image classification": (_of("SiglipForImageClassification", "SiglipModel"), None),
    "module of the user's": (_around, None),
    "several heads in a module of the user's": (
        lambda seed: Around(zoo.build("bert_base"), heads=nn.ModuleList([_linear(seed), _linear(seed + 1)])),
        None,
    ),
    "pooler in a module of the user's": (
        lambda seed: Pooled(_of("BertModel", "BertForMaskedLM")(seed), head=_linear(seed)),
        None,
    ),
    "classifier in a module of the user's": (
        lambda seed: Stepping(_of("BertForSequenceClassification", "BertForMaskedLM")(seed)),
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_new_modules(case: str, strict: None, tmp_path: Any) -> None:
    """Without our line what is new is not in the adapter; with it, it is trained and comes back as it was."""
    make, task = CASES[case]
    if task is not None and task not in list(peft.TaskType):
        pytest.skip(f"this PEFT has no task type {task}")
    if PEFT < (0, 3):
        pytest.skip("this PEFT saves one adapter alone, under other names")
    if PEFT < (0, 4) and case.endswith("of the user's"):
        pytest.skip("this PEFT takes only models with a config")
    model = make(1)
    found = verdict(model, lora(model, task))
    if case == "question answering":
        assert found is None  # its head has the name that PEFT adds by itself
        found = verdict(model, lora(model, task := None))
    assert found is not None
    assert found.code == "H2"
    lost = re.findall(r"`([^`]+)`", found.message.splitlines()[0])
    assert lost
    plain = peft.get_peft_model(make(1), lora(model, task))
    assert not _of_modules(lost, peft.get_peft_model_state_dict(plain))

    written = {"task": task, **_as_written(found.fix)}
    config = lora(model, **written)
    tuned = peft.get_peft_model(model, config)
    assert said(lambda: peft.get_peft_model(make(1), lora(model, **written))) == []
    trained = [key for key, parameter in tuned.named_parameters() if parameter.requires_grad]
    assert all(any(f"{each}.modules_to_save.default" in key for key in trained) for each in lost)
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter += 0.1
    tuned.save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(make(2), tmp_path)
    saved = _of_modules(lost, peft.get_peft_model_state_dict(tuned))
    back = peft.get_peft_model_state_dict(again)
    assert saved
    assert all(torch.equal(value, back[key]) for key, value in saved.items())


def _of_modules(names: list[str], state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if any(f".{name}." in f".{key}" for name in names)}


# -- loading ---------------------------------------------------------------------------------------------------------


def _lora(task: Optional[str] = None, targets: Sequence[str] = ("q_proj", "v_proj")) -> peft.PeftConfig:
    """Return a config that the oldest releases of PEFT take, too: they need all these, and more than one target."""
    return peft.LoraConfig(task_type=task, target_modules=list(targets), r=2, lora_alpha=2, lora_dropout=0.0)


def _adapter(name: str, config: peft.PeftConfig, folder: Any) -> torch.Tensor:
    """Train an adapter on a kind of the zoo and save it; return what it answers."""
    base = type(zoo.build(name)).from_pretrained(zoo.checkpoint(name))
    with peft_strict.suspended():
        model = peft.get_peft_model(base, config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1
    model.save_pretrained(folder)
    return _answers(model)


def _answers(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(3, 9).reshape(2, 3))[0]


def _report(model: nn.Module, folder: Any, **extra: Any) -> Any:
    """Load an adapter; return the only report of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            peft.PeftModel.from_pretrained(model, folder, **extra)
        except peft_strict.MisfitError as error:
            return error
    (found,) = (each.message for each in caught if isinstance(each.message, peft_strict.PeftStrictWarning))
    return found


def _as_loaded(fix: str) -> nn.Module:
    """Load the model that the advice names."""
    named = re.search(r'(AutoModel\w*)\.from_pretrained\("([^"]+)"\)', fix)
    assert named is not None
    return getattr(transformers, named[1]).from_pretrained(named[2])


LOADS: dict[str, tuple[str, Any, str, str]] = {
    "language model on a model without a head": ("llama_lm", "CAUSAL_LM", "LlamaModel", "M2"),
    "language model on a classifier": ("llama_lm", "CAUSAL_LM", "LlamaForSequenceClassification", "M2"),
    "translation on an encoder": ("t5", "SEQ_2_SEQ_LM", "T5EncoderModel", "M2"),
    "classifier on a language model": ("llama_seq", "SEQ_CLS", "LlamaForCausalLM", "L1"),
    "soft prompt for a classifier on a language model": ("llama_seq", "prompt", "LlamaForCausalLM", "P1"),
}


@pytest.mark.parametrize("case", LOADS)
def test_loading(case: str, strict: None, tmp_path: Any) -> None:
    """Where an adapter is loaded, its type is not the user's to write; the class named loads it as it was."""
    name, task, wrong, code = LOADS[case]
    if task == "prompt" and PEFT == (0, 13):
        pytest.skip("this PEFT cannot load a prompt for a classifier: it passes low_cpu_mem_usage on")
    if task == "prompt":
        config: Any = peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=2)
    else:
        config = _lora(task, ["q_proj", "v_proj"] if "llama" in name else ["q", "v"])
    trained = _adapter(name, config, tmp_path) if name != "t5" else _adapter_of_t5(config, tmp_path)
    model = getattr(transformers, wrong).from_pretrained(zoo.checkpoint(name))
    found = _report(model, tmp_path)
    assert found.code == code
    assert getattr(found, "source", str(tmp_path)) == str(tmp_path)
    assert f"from {tmp_path}" in str(found)
    assert f"trained as {config.task_type.value}" in str(found)
    assert "task_type=" not in found.fix
    right = _as_loaded(found.fix)
    assert said(lambda: peft.PeftModel.from_pretrained(right, tmp_path)) == []
    if trained is not None and task != "prompt":
        assert torch.allclose(
            _answers(peft.PeftModel.from_pretrained(_as_loaded(found.fix), tmp_path)), trained, atol=1e-6
        )


def test_a_soft_prompt_that_names_no_task(strict: None, tmp_path: Any) -> None:
    """The adapter is named, and either part of the advice loads it as it was trained."""
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    trained = _adapter("llama_lm", config, tmp_path)
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "task_type": None}))
    with pytest.raises(peft_strict.InvalidTaskTypeError, match=f"M1: PromptTuningConfig .* from {tmp_path}") as caught:
        peft.PeftModel.from_pretrained(zoo.build("llama_lm"), tmp_path)
    assert caught.value.source == str(tmp_path)
    advised = re.search(r'write ("task_type": "\w+") into .* load it with (\w+).from_pretrained', caught.value.fix)
    assert advised is not None
    written, loader = advised.groups()
    model = getattr(peft, loader).from_pretrained(zoo.build("llama_lm"), tmp_path)
    assert torch.equal(_answers(model), trained)
    file.write_text(file.read_text().replace('"task_type": null', written))
    model = peft.PeftModel.from_pretrained(zoo.build("llama_lm"), tmp_path)
    assert torch.equal(_answers(model), trained)


def _adapter_of_t5(config: Any, folder: Any) -> None:
    base = transformers.T5ForConditionalGeneration.from_pretrained(zoo.checkpoint("t5"))
    try:
        peft.get_peft_model(base, config).save_pretrained(folder)
    except AttributeError as error:  # up to 0.13 it asks T5 for what transformers 5 has no more
        pytest.skip(f"this PEFT fails on it: {error}")


@pytest.mark.skipif(PEFT < (0, 4), reason="this PEFT does not say what of a file has no place")
def test_a_head_without_a_place(off: None, tmp_path: Any) -> None:
    """The report at the model says it of the head; the one at load is there for all else, and if that one is off."""
    _adapter("llama_seq", _lora("SEQ_CLS"), tmp_path)
    _adapter("llama_qa", _lora("QUESTION_ANS"), tmp_path / "spans")

    def load(folder: Any = tmp_path, **settings: Any) -> list[str]:
        peft_strict.enable(**{"misfit": "warn", "roundtrip": "warn", **settings})
        return said(lambda: peft.PeftModel.from_pretrained(zoo.build("llama_lm"), folder))

    assert load() == ["L1"]
    found = _report(zoo.build("llama_lm"), tmp_path)
    assert "This model is for another task: a head that it brings has no place in it, and AutoPeftModel" in str(found)
    assert load(misfit="ignore") == ["R1"]
    assert load(tmp_path / "spans") == ["L1", "R1"]  # nothing of it has a place: the base has another name
    with pytest.raises(peft_strict.RoundTripError, match="R1"):
        load(roundtrip="raise")


@MERGES
def test_a_classifier_on_top(strict: None, tmp_path: Any) -> None:
    """A classifier on top of a language model's adapter: merged first, its base model has what was learnt."""
    _adapter("llama_lm", _lora("CAUSAL_LM"), tmp_path)
    wrong = transformers.LlamaForSequenceClassification.from_pretrained(zoo.checkpoint("llama_lm"))
    found = _report(wrong, tmp_path)
    assert "merge it there first (merge_and_unload, save_pretrained)" in found.fix
    merged = peft.PeftModel.from_pretrained(_as_loaded(found.fix), tmp_path).merge_and_unload()
    with tempfile.TemporaryDirectory() as folder:
        merged.save_pretrained(folder)
        model = transformers.LlamaForSequenceClassification.from_pretrained(folder)
    weights = dict(merged.model.named_parameters())
    assert all(torch.equal(value, weights[key]) for key, value in model.model.named_parameters())
    assert said(lambda: peft.get_peft_model(model, lora(model, "SEQ_CLS"))) == []


@pytest.mark.skipif(PEFT < (0, 3), reason="this PEFT loads adapters for training no otherwise than for use")
def test_a_new_head_over_a_loaded_adapter(strict: None, tmp_path: Any) -> None:
    """A new head is told of also where the adapter is loaded to be trained on, but not where it is only used."""
    _adapter("llama_lm", _lora(), tmp_path)
    cls = transformers.LlamaForSequenceClassification
    found = _report(cls.from_pretrained(zoo.checkpoint("llama_lm")), tmp_path, is_trainable=True)
    assert found.code == "H2"
    assert "merge it there first" in found.fix
    assert found.fix.endswith('for a new adapter with task_type="SEQ_CLS"')
    quiet = cls.from_pretrained(zoo.checkpoint("llama_lm"))
    assert said(lambda: peft.PeftModel.from_pretrained(quiet, tmp_path)) == []


def test_told_once(strict: None, tmp_path: Any) -> None:
    """An adapter that names a wrong task is told of where it is trained, and not again when it is loaded."""
    config = _lora("TOKEN_CLS")
    model = zoo.build("llama_lm")
    assert said(lambda: peft.get_peft_model(model, config).save_pretrained(tmp_path)) == ["L1"]
    assert said(lambda: peft.PeftModel.from_pretrained(zoo.build("llama_lm"), tmp_path)) == []
    peft_strict.disable()
    peft_strict.enable()
    other = peft.LoraConfig.from_pretrained(tmp_path)
    assert said(lambda: peft.get_peft_model(zoo.build("llama_lm"), other)) == ["L1"]


# -- a language model without its head, and a type that does not arrive ----------------------------------------------


def test_a_language_model_without_its_head(strict: None) -> None:
    """CAUSAL_LM on what ``AutoModel`` has loaded: the class that has the head is named, and is right."""
    folder = zoo.checkpoint("llama_lm")
    found = verdict(model := transformers.AutoModel.from_pretrained(folder), lora(model, "CAUSAL_LM"))
    assert found is not None
    assert found.fix.startswith(f'load the model with AutoModelForCausalLM.from_pretrained("{folder}"), ')
    right = _as_loaded(found.fix)
    assert said(lambda: peft.get_peft_model(right, lora(right, "CAUSAL_LM"))) == []


class Unfielded(peft.LoraConfig):
    """Its task type is a class attribute, and no field."""

    task_type = "SEQ_CLS"


def test_a_type_that_does_not_arrive() -> None:
    """A type that stands in a config's class without being a field is said to have no effect; written, it has."""
    model = zoo.build("llama_seq")
    found = verdict(model, Unfielded(target_modules=["q_proj"]))
    assert found is not None
    assert "The SEQ_CLS in its class is no field of it, and has no effect." in found.message
    assert verdict(model, Unfielded(target_modules=["q_proj"], task_type="SEQ_CLS")) is None
    assert "no field" not in verdict(model, lora(model)).message
