"""Right uses. Each returns what came of it, which must be the same with us as without, and without a report."""

from __future__ import annotations

import copy
import dataclasses
import enum
import json
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, Optional

from .rows import (
    Table,
    entry,
    lora,
    not_ours,
    registered_classes,
    release,
    saved_adapter,
    tiny_classifier,
    tiny_lm,
    transformers_refuses_peft,
)

USES = Table()
use = USES.row

Tries = Iterator[tuple[str, Callable[[], Any]]]


def stored(config: Any) -> Optional[str]:
    """Return the text of a config's task type; with us on, a right one must be the member itself."""
    import peft

    import peft_strict

    value = config.task_type
    if peft_strict.status().state == "guarding" and value is not None:
        assert type(value) is peft.TaskType, repr(value)
    return None if value is None else str.__str__(value)


def made(cls: Any, **words: Any) -> Optional[str]:
    """Return the task type of a new config, or what the class wants instead."""
    try:
        return stored(cls(**words))
    except Exception as error:
        return not_ours(error)


def written(config: Any) -> str:
    """Return the file that a config is saved to."""
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        with open(os.path.join(folder, "adapter_config.json"), newline="") as file:
            return file.read()


def takes(cls: type, name: Optional[str]) -> bool:
    """Whether that class keeps that task type (CPTConfig replaces others up to 0.17: a way to be refused)."""
    return cls.__name__ != "CPTConfig" or name == "CAUSAL_LM" or release() >= (0, 18)


# -- values -----------------------------------------------------------------------------------------------------------


@use("None, and no task type at all: every registered config class")
def none() -> dict[str, Any]:
    return {cls.__name__: [made(cls), made(cls, task_type=None)] for cls in registered_classes()}


@use("every member and its text: every registered config class")
def members() -> Tries:
    import peft

    for member in peft.TaskType:
        classes = [cls for cls in registered_classes() if takes(cls, member.value)]
        for value in (member, str(member.value)):
            yield repr(value), lambda v=value, cs=classes: {cls.__name__: made(cls, task_type=v) for cls in cs}


@use("other strings equal to a member: another enum, a subclass of str, numpy's")
def other_strings() -> Tries:
    import numpy

    class Task(str, enum.Enum):
        CHAT = "CAUSAL_LM"

    class Text(str):
        pass

    for value in (Task.CHAT, Text("CAUSAL_LM"), numpy.str_("CAUSAL_LM")):
        yield type(value).__name__, lambda value=value: stored(lora(task_type=value))


@use("positional, in the place of task_type")
def positional() -> Optional[str]:
    import inspect

    import peft

    place = list(inspect.signature(peft.LoraConfig).parameters).index("task_type")
    return stored(peft.LoraConfig(*[None] * place, "CAUSAL_LM"))


@use("assigned: members, texts, None, deleted and set again")
def assigned() -> list[Optional[str]]:
    import peft

    config, seen = lora(), []
    for value in (peft.TaskType.SEQ_CLS, "CAUSAL_LM", None):
        config.task_type = value
        seen.append(stored(config))
    config.task_type = "SEQ_CLS"
    del config.task_type
    seen.append(stored(config))
    setattr(config, "task_type", "TOKEN_CLS")  # noqa: B010
    return [*seen, stored(config)]


@use(
    "a name of the user's own in PEFT's task-to-model mapping, given to the constructor",
    until=(0, 13),
    reason="from PEFT 0.14 on constructors refuse it themselves",
)
def own_name() -> list[Any]:
    return _own_name(lambda: lora(task_type="Vector_LM"))


@use("a name of the user's own in PEFT's task-to-model mapping, assigned")
def own_name_assigned() -> list[Any]:
    def make() -> Any:
        config = lora()
        config.task_type = "Vector_LM"
        return config

    return _own_name(make)


def _own_name(make: Callable[[], Any]) -> list[Any]:
    import peft

    from peft_strict.releases.live import live_release

    with entry(live_release().tasks, "Vector_LM", peft.PeftModelForCausalLM):
        config = make()
        model = peft.get_peft_model(tiny_lm(), config)
        return [config.task_type, type(model).__name__, json.loads(written(config))["task_type"]]


# -- peft_type --------------------------------------------------------------------------------------------------------


@use("peft_type: PEFT's methods in any form, and anything else that is no task type")
def peft_type() -> dict[str, str]:
    import peft

    words = [*peft.PeftType, *(str(member.value) for member in peft.PeftType), "lora", "MY_METHOD", None]
    return {repr(word): str(peft.LoraConfig(peft_type=word).peft_type) for word in words}


@use("peft_type that the user has registered, however much it looks like a task type")
def own_peft_type() -> str:
    import peft
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    @dataclasses.dataclass
    class Mine(peft.PeftConfig):
        pass

    with entry(PEFT_TYPE_TO_CONFIG_MAPPING, "CAUSAL_LMS", Mine):
        return str(peft.get_peft_config({"peft_type": "CAUSAL_LMS", "task_type": "CAUSAL_LM"}).peft_type)


@use(
    "first positional argument: a PEFT method",
    until=(0, 13),
    reason="from PEFT 0.14 on the first argument is task_type",
)
def positional_method() -> list[Any]:
    import peft

    return [str(peft.LoraConfig(word).peft_type) for word in (peft.PeftType.LORA, "LORA")]


# -- saved ------------------------------------------------------------------------------------------------------------


@use("adapter_config.json, byte for byte: every registered config class and task type")
def saved_bytes() -> Tries:
    import peft

    def save(cls: Any, value: object) -> str:
        try:
            return written(cls(task_type=value))
        except Exception as error:  # wants more, or another task type
            return not_ours(error)

    for cls in registered_classes():
        values = [None, *peft.TaskType, *(str(member.value) for member in peft.TaskType)]
        fitting = [value for value in values if takes(cls, value)]
        yield cls.__name__, lambda cls=cls, values=fitting: [save(cls, value) for value in values]


@use("saved and loaded: the same bytes when it is saved again")
def round_trip() -> dict[str, Any]:
    import peft

    with saved_adapter() as folder:
        loaders = (peft.LoraConfig, peft.PeftConfig)
        return {cls.__name__: written(cls.from_pretrained(folder)) for cls in loaders}


@use("an adapter of a newer PEFT, with a key that this one does not know")
def unknown_key() -> str:
    import peft

    with saved_adapter(from_the_future=True) as folder:
        return written(peft.LoraConfig.from_pretrained(folder))


@use("a saved adapter on a model, and a second one")
def saved_on_model() -> list[Any]:
    import peft

    with saved_adapter() as folder:
        model = peft.PeftModel.from_pretrained(tiny_lm(), folder)
        if hasattr(peft.PeftModel, "load_adapter"):  # since 0.3
            model.load_adapter(folder, "second")
        return [type(model).__name__, len(list(model.named_parameters()))]


@use("a saved adapter on a model of transformers", needs=transformers_refuses_peft)
def saved_transformers() -> list[str]:
    with saved_adapter() as folder:
        model = tiny_lm()
        model.load_adapter(folder)
        return [name for name, _ in model.named_parameters()]


@use("get_peft_config(dict)")
def config_dict() -> Optional[str]:
    import peft

    return stored(peft.get_peft_config({"peft_type": "LORA", "task_type": "SEQ_CLS", "r": 4}))


# -- as the dataclass it is -------------------------------------------------------------------------------------------


@use("asdict, replace, ==, fields, to_dict")
def dataclass_protocol() -> list[Any]:
    import peft

    config = lora(task_type=peft.TaskType.CAUSAL_LM)
    other = dataclasses.replace(config, task_type="SEQ_CLS")
    return [
        json.dumps(dataclasses.asdict(config), default=sorted),
        json.dumps(config.to_dict(), default=sorted),
        [field.name for field in dataclasses.fields(config)],
        [config == lora(task_type="CAUSAL_LM"), config == other, stored(other)],
        repr(config),
    ]


@use("pickled and copied", since=(0, 4), reason="up to PEFT 0.3 a copied config loses all its attributes")
def copies() -> list[Any]:
    config = lora(task_type="CAUSAL_LM")
    others = (pickle.loads(pickle.dumps(config)), copy.copy(config), copy.deepcopy(config))
    return [[other == config, stored(other)] for other in others]


@use("HfArgumentParser, every registered config class")
def argument_parser() -> dict[str, Any]:
    from transformers import HfArgumentParser

    def parse(cls: Any) -> list[Any]:
        try:
            parser = HfArgumentParser(cls)
            words = ["--task_type", "CAUSAL_LM"]
            parsed = (parser.parse_args_into_dataclasses(words)[0], parser.parse_dict({"task_type": "CAUSAL_LM"})[0])
            return [stored(config) for config in parsed]
        except Exception as error:  # transformers cannot read all of PEFT's annotations
            return [not_ours(error)]

    return {cls.__name__: parse(cls) for cls in registered_classes()}


# -- classes of the user's own ----------------------------------------------------------------------------------------


@use("subclasses: plain, dataclass, own __init__, own __post_init__, task_type declared again")
def subclasses() -> list[Any]:
    import peft

    class Plain(peft.LoraConfig):
        pass

    @dataclasses.dataclass
    class More(peft.LoraConfig):
        more: int = 0

    class OwnInit(peft.LoraConfig):
        def __init__(self, kind: object = None, **words: Any) -> None:
            super().__init__(task_type=kind, **words)

    @dataclasses.dataclass
    class Skips(peft.LoraConfig):
        def __post_init__(self) -> None:
            self.peft_type = peft.PeftType.LORA

    @dataclasses.dataclass
    class Again(peft.LoraConfig):
        task_type: str = "SEQ_CLS"

    made_ = [cls(task_type="CAUSAL_LM") for cls in (Plain, More, Skips, Again)]
    return [stored(config) for config in (*made_, OwnInit("CAUSAL_LM"), OwnInit(), Again(), Plain(), More(more=1))]


@use("subclass with words of its own, which its __init__ translates")
def own_words() -> list[Any]:
    import peft

    class Mine(peft.LoraConfig):
        def __init__(self, task_type: str) -> None:
            super().__init__(task_type={"chat": "CAUSAL_LM", "judge": "SEQ_CLS"}[task_type])

    return [stored(Mine("chat")), stored(Mine(task_type="judge"))]


@use("LoraConfig.task_type, read on the class")
def read_on_class() -> list[Any]:
    return [repr(getattr(cls, "task_type", "nothing")) for cls in registered_classes()]


# -- on models --------------------------------------------------------------------------------------------------------


@use("training: LoRA on a language model and on a classifier, prompt tuning")
def training() -> Tries:
    import peft

    def prompts() -> Any:
        return peft.PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")

    yield "CAUSAL_LM", lambda: _trained(tiny_lm(), lora(task_type="CAUSAL_LM"))
    yield "SEQ_CLS", lambda: _trained(tiny_classifier(), lora(task_type=peft.TaskType.SEQ_CLS))
    yield "None", lambda: _trained(tiny_lm(), lora())
    yield "prompts", lambda: _trained(tiny_lm(), prompts())


def _trained(base: Any, config: Any) -> list[Any]:
    """Take three steps; return what the model is and the losses."""
    import peft
    import torch

    model = peft.get_peft_model(base, config)
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.5)
    words = torch.arange(1, 9).reshape(2, 4)
    labels = torch.tensor([0, 1]) if hasattr(base, "score") else words
    losses = []
    for _ in range(3):
        loss = model(input_ids=words, attention_mask=torch.ones_like(words), labels=labels).loss
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return [type(model).__name__, losses]


@use("a second adapter", since=(0, 3), reason="since PEFT 0.3")
def second() -> list[Any]:
    import peft

    model = peft.get_peft_model(tiny_lm(), lora(task_type="CAUSAL_LM"))
    model.add_adapter("second", lora(task_type="CAUSAL_LM"))
    return [type(model).__name__, sorted(model.peft_config)]


@use("a mixed model with two adapters", since=(0, 7), reason="since PEFT 0.7")
def mixed() -> list[Any]:
    import peft

    model = peft.get_peft_model(tiny_lm(), lora(task_type="CAUSAL_LM"), mixed=True)
    model.add_adapter("second", lora(task_type="CAUSAL_LM"))
    return [type(model).__name__, sorted(model.peft_config)]


@use("adapters without a PeftModel: inject_adapter_in_model, a tuner", since=(0, 5), reason="since PEFT 0.5")
def injected() -> list[Any]:
    import peft

    model = peft.inject_adapter_in_model(lora(), tiny_lm())
    tuner = peft.LoraModel(tiny_lm(), {"default": lora(task_type="CAUSAL_LM")}, "default")
    return [[name for name, _ in module.named_parameters()] for module in (model, tuner)]


@use("model.add_adapter of transformers", needs=transformers_refuses_peft)
def add_adapter() -> list[Any]:
    model = tiny_lm()
    model.add_adapter(lora(task_type="CAUSAL_LM"))
    return [name for name, _ in model.named_parameters()]
