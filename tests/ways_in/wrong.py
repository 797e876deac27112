"""The ways in which a wrong ``task_type`` arrives. The line that makes the mistake ends in ``# !``."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import pickle
from collections.abc import Callable, Iterator
from typing import Any

from .rows import (
    WRONG,
    Table,
    entry,
    lora,
    past_us,
    registered_classes,
    saved_adapter,
    tiny_lm,
    transformers_refuses_peft,
)

WAYS = Table()
way = WAYS.row

Tries = Iterator[tuple[str, Callable[[], Any]]]

# -- given to a constructor -------------------------------------------------------------------------------------------


@way("keyword, every registered config class")
def keyword() -> Tries:
    for cls in registered_classes():
        yield cls.__name__, lambda cls=cls: cls(task_type=WRONG)  # !


@way("keyword, the config classes that are not registered")
def keyword_base() -> Tries:
    import peft

    from peft_strict.releases.live import live_release

    for cls in (peft.PeftConfig, peft.PromptLearningConfig):
        assert cls not in live_release().configs.values()
        yield cls.__name__, lambda cls=cls: cls(task_type=WRONG)  # !


@way("first positional argument, a misspelling")
def positional() -> None:
    import peft

    peft.LoraConfig(WRONG)  # !


@way(
    "first positional argument, a right TaskType that lands in peft_type",
    until=(0, 13),
    reason="from PEFT 0.14 on the first argument is task_type",
)
def positional_member() -> None:
    import peft

    peft.LoraConfig(peft.TaskType.SEQ_CLS)  # !


@way(
    "positional argument, in the place of task_type",
    until=(0, 13),
    reason="from PEFT 0.14 on that is the first place",
)
def positional_in_place() -> None:
    import inspect

    import peft

    place = list(inspect.signature(peft.LoraConfig).parameters).index("task_type")
    peft.LoraConfig(*[None] * place, WRONG)  # !


@way("peft_type=TaskType.CAUSAL_LM")
def peft_type_member() -> None:
    import peft

    peft.LoraConfig(peft_type=peft.TaskType.CAUSAL_LM)  # !


@way("peft_type with the text of a task type, or a misspelling of it")
def peft_type_text() -> Tries:
    import peft

    for text in ("CAUSAL_LM", WRONG, "seq_cls", "TaskType.CAUSAL_LM"):
        yield text, lambda text=text: peft.LoraConfig(peft_type=text)  # !


@way("not a string")
def not_a_string() -> Tries:
    import peft

    for value in (0, 1.5, True, b"CAUSAL_LM", ["CAUSAL_LM"], {"CAUSAL_LM": 1}, object, peft.TaskType, print):
        yield repr(value), lambda value=value: peft.LoraConfig(task_type=value)  # !


@way("empty string")
def empty() -> None:
    import peft

    peft.LoraConfig(task_type="")  # !


@way("right word, wrong spelling: case, blanks, an enum's repr, the text None")
def spelling() -> Tries:
    import peft

    for text in ("causal_lm", " CAUSAL_LM", "CAUSAL_LM\n", "TaskType.CAUSAL_LM", "None"):
        yield repr(text), lambda text=text: peft.LoraConfig(task_type=text)  # !


@way("get_peft_config(dict)")
def config_dict() -> None:
    import peft

    peft.get_peft_config({"peft_type": "LORA", "task_type": WRONG})  # !


@way("PeftConfig.from_peft_type(...)", since=(0, 8), reason="since PEFT 0.8")
def from_peft_type() -> None:
    import peft

    peft.PeftConfig.from_peft_type(peft_type="LORA", task_type=WRONG)  # !


@way("HfArgumentParser of transformers, parse_dict")
def argument_parser() -> None:
    import peft
    from transformers import HfArgumentParser

    parser = HfArgumentParser(peft.PromptTuningConfig)  # not LoraConfig: transformers cannot read its annotations
    parser.parse_dict({"task_type": WRONG})  # !


@way("dataclasses.replace(config, task_type=...)")
def replace() -> None:
    config = lora()
    dataclasses.replace(config, task_type=WRONG)  # !


@way(
    "a right value that the class replaces by another (CPTConfig)",
    since=(0, 14),
    until=(0, 17),
    reason="CPTConfig replaces it from PEFT 0.14 to 0.17, and refuses it by itself from 0.18 on",
)
def replaced() -> Tries:
    import peft

    for member in peft.TaskType:
        if member.value != "CAUSAL_LM":
            yield member.value, lambda member=member: peft.CPTConfig(task_type=member)  # !
            yield repr(member.value), lambda text=member.value: peft.CPTConfig(task_type=text)  # !


# -- assigned ---------------------------------------------------------------------------------------------------------


@way("config.task_type = ...")
def assignment() -> None:
    config = lora()
    config.task_type = WRONG  # !


@way('setattr(config, "task_type", ...), every registered config class')
def set_attribute() -> Tries:
    for cls in registered_classes():
        for words in ({}, {"task_type": "CAUSAL_LM"}):
            try:
                config = cls(**words)
            except Exception:  # wants more, or another task type (CPT)
                continue
            yield cls.__name__, lambda config=config: setattr(config, "task_type", WRONG)  # !
            break


@way("config.peft_type = TaskType.CAUSAL_LM, used on a model")
def assigned_peft_type() -> None:
    import peft

    config = lora()
    config.peft_type = peft.TaskType.CAUSAL_LM
    peft.get_peft_model(tiny_lm(), config)  # !


# -- read from a file -------------------------------------------------------------------------------------------------


@way("adapter_config.json, LoraConfig.from_pretrained", names_file=True)
def saved_own_class() -> None:
    import peft

    with saved_adapter(task_type=WRONG) as folder:
        peft.LoraConfig.from_pretrained(folder)  # !


@way("adapter_config.json, PeftConfig.from_pretrained", names_file=True)
def saved_base_class() -> None:
    import peft

    with saved_adapter(task_type=WRONG) as folder:
        peft.PeftConfig.from_pretrained(folder)  # !


@way("adapter_config.json with other values than a word", names_file=True)
def saved_values() -> Tries:
    import peft

    def load(value: object) -> None:
        with saved_adapter(task_type=value) as folder:
            peft.LoraConfig.from_pretrained(folder)  # !

    for value in ("", 1, ["CAUSAL_LM"], "None"):
        yield repr(value), lambda value=value: load(value)


@way("adapter_config.json, PeftModel.from_pretrained", names_file=True)
def saved_model() -> None:
    import peft

    with saved_adapter(task_type=WRONG) as folder:
        model = tiny_lm()
        peft.PeftModel.from_pretrained(model, folder)  # !


@way("adapter_config.json, a second adapter by load_adapter", since=(0, 3), reason="since PEFT 0.3", names_file=True)
def saved_second() -> None:
    import peft

    with saved_adapter(task_type=WRONG) as folder:
        model = peft.get_peft_model(tiny_lm(), lora(task_type="CAUSAL_LM"))
        model.load_adapter(folder, "second")  # !


@way("adapter_config.json, load_adapter of transformers", needs=transformers_refuses_peft, names_file=True)
def saved_transformers() -> None:
    with saved_adapter(task_type=WRONG) as folder:
        model = tiny_lm()
        model.load_adapter(folder)  # !


# -- classes of the user's own ----------------------------------------------------------------------------------------


@way("subclass without anything of its own")
def subclass() -> None:
    import peft

    class Mine(peft.LoraConfig):
        pass

    Mine(task_type=WRONG)  # !


@way("subclass that is a dataclass with more fields")
def subclass_dataclass() -> None:
    import peft

    @dataclasses.dataclass
    class Mine(peft.LoraConfig):
        more: int = 0

    Mine(task_type=WRONG)  # !


@way("subclass whose __post_init__ skips super()")
def subclass_skips() -> None:
    import peft

    @dataclasses.dataclass
    class Mine(peft.LoraConfig):
        def __post_init__(self) -> None:
            self.peft_type = peft.PeftType.LORA

    Mine(task_type=WRONG)  # !


@way("subclass with its own __init__ that stores it")
def subclass_own_init() -> None:
    import peft

    class Mine(peft.LoraConfig):
        def __init__(self, task_type: object) -> None:
            super().__init__()
            self.task_type = task_type  # !

    Mine(WRONG)


@way("subclass with its own __init__ that passes it on")
def subclass_passes_on() -> None:
    import peft

    class Mine(peft.LoraConfig):
        def __init__(self, kind: object) -> None:
            super().__init__(task_type=kind)  # !

    Mine(WRONG)


@way("subclass that declares task_type again, with a wrong default")
def subclass_default() -> None:
    import peft

    @dataclasses.dataclass
    class Mine(peft.LoraConfig):
        task_type: str = WRONG

    Mine()  # !


@way("subclass that declares task_type again, without a default")
def subclass_field() -> None:
    import peft

    @dataclasses.dataclass
    class Mine(peft.LoraConfig):
        task_type: str
        peft_type: str = "LORA"

    Mine(task_type=WRONG)  # !


@way("subclass that gets a TaskType as peft_type, first of its kind")
def subclass_peft_type() -> None:
    import peft

    @dataclasses.dataclass
    class Mine(peft.LoraConfig):
        more: int = 0

    Mine(peft_type=peft.TaskType.SEQ_CLS)  # !


@way("class put into PEFT's mapping after import")
def mapped_class() -> Tries:
    import peft
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    @dataclasses.dataclass
    class Mine(peft.PeftConfig):
        def __post_init__(self) -> None:
            self.peft_type = "MINE"

    def load() -> None:
        with entry(PEFT_TYPE_TO_CONFIG_MAPPING, "MINE", Mine):
            peft.get_peft_config({"peft_type": "MINE", "task_type": WRONG})  # !

    yield "constructed", lambda: Mine(task_type=WRONG)  # !
    yield "get_peft_config", load


@way("class registered with register_peft_method", since=(0, 15), reason="since PEFT 0.15")
def registered_class() -> None:
    import peft
    from peft import mapping

    @dataclasses.dataclass
    class Mine(peft.PeftConfig):
        def __post_init__(self) -> None:
            self.peft_type = peft.PeftType.IA3

    with contextlib.ExitStack() as room:  # a name can only be registered once, and must be one of PeftType
        for name in ("CONFIG", "TUNER", "PREFIX", "MIXED_MODEL"):
            registry = getattr(mapping, f"PEFT_TYPE_TO_{name}_MAPPING")
            room.enter_context(entry(registry, "IA3", None))
            del registry["IA3"]
        peft.utils.register_peft_method(name="ia3", config_cls=Mine, model_cls=peft.IA3Model)
        peft.get_peft_config({"peft_type": "IA3", "task_type": WRONG})  # !


# -- already in a config that is used on a model ----------------------------------------------------------------------


@way("changed through __dict__, used in get_peft_model")
def used_get_peft_model() -> None:
    import peft

    config = past_us(lora())
    peft.get_peft_model(tiny_lm(), config)  # !


@way("changed through __dict__, used in PeftModel(...)")
def used_peft_model() -> Tries:
    import peft

    def use(cls: Any) -> None:
        config, model = past_us(lora()), tiny_lm()
        if cls is peft.PeftModel:
            cls(model, config)  # !
        else:
            cls(model=model, peft_config=config)  # !

    yield "PeftModel", lambda: use(peft.PeftModel)
    yield "PeftModelForCausalLM", lambda: use(peft.PeftModelForCausalLM)


@way(
    "changed through __dict__, used in a mixed model",
    since=(0, 7),
    reason="since PEFT 0.7",
)
def used_mixed() -> Tries:
    import peft

    yield "get_peft_model(mixed=True)", lambda: peft.get_peft_model(tiny_lm(), past_us(lora()), mixed=True)  # !
    yield "PeftMixedModel", lambda: peft.PeftMixedModel(tiny_lm(), past_us(lora()))  # !


@way("changed through __dict__, used in inject_adapter_in_model", since=(0, 5), reason="since PEFT 0.5")
def used_inject() -> None:
    import peft

    config, model = past_us(lora()), tiny_lm()
    peft.inject_adapter_in_model(config, model)  # !


@way("changed through __dict__, used in a tuner itself", since=(0, 5), reason="since PEFT 0.5 as a way of its own")
def used_tuner() -> None:
    import peft

    config, model = past_us(lora()), tiny_lm()
    peft.LoraModel(model, {"default": config}, "default")  # !


@way("changed through __dict__, used in model.add_adapter of transformers", needs=transformers_refuses_peft)
def used_transformers() -> None:
    config, model = past_us(lora()), tiny_lm()
    model.add_adapter(config)  # !


@way("changed through __dict__, used as a second adapter", since=(0, 3), reason="since PEFT 0.3")
def used_second() -> None:
    import peft

    model = peft.get_peft_model(tiny_lm(), lora(task_type="CAUSAL_LM"))
    config = past_us(lora())
    model.add_adapter("second", config)  # !


@way("changed through __dict__, used as a second adapter of a mixed model", since=(0, 7), reason="since PEFT 0.7")
def used_second_mixed() -> None:
    import peft

    model = peft.get_peft_model(tiny_lm(), lora(task_type="CAUSAL_LM"), mixed=True)
    config = past_us(lora())
    model.add_adapter("second", config)  # !


@way(
    "unpickled or copied, used on a model",
    since=(0, 4),
    reason="up to PEFT 0.3 a copied config loses all its attributes, as __dict__ is a property",
)
def used_copy() -> Tries:
    import peft

    def use(duplicate: Callable[[Any], Any]) -> None:
        config = duplicate(past_us(lora()))
        assert config.task_type == WRONG
        peft.get_peft_model(tiny_lm(), config)  # !

    yield "pickle", lambda: use(lambda config: pickle.loads(pickle.dumps(config)))
    yield "copy", lambda: use(copy.copy)
    yield "deepcopy", lambda: use(copy.deepcopy)


# -- prompt learning --------------------------------------------------------------------------------------------------


@way("prompt learning without a task type, used in get_peft_model")
def prompt_without() -> None:
    import peft

    config = peft.PromptTuningConfig(num_virtual_tokens=2)
    peft.get_peft_model(tiny_lm(), config)  # !


@way("prompt learning with a wrong task type, used in get_peft_model")
def prompt_wrong() -> Tries:
    import peft

    def use(value: object) -> None:
        config = past_us(peft.PromptTuningConfig(num_virtual_tokens=2), value)
        peft.get_peft_model(tiny_lm(), config)  # !

    yield "text", lambda: use(WRONG)
    yield "no hash", lambda: use([WRONG])
